"""Each benchmark that `make bench` lists is a program, finds what it imports when it is started as a file, and is left out of "all" where it cannot run as it is."""
import ast
from pathlib import Path

import pytest

from tools import course

ROOT = Path(__file__).resolve().parents[1]
FILES = {name: command[0] for name, command in course.benchmarks().items() if len(command) == 1}
BESIDE = {path.stem for path in (ROOT / "benchmarks").glob("*.py")}
ABOVE = {"benchmarks", "grading", "tests", "tools"}  # deepgen_lib is installed


def imports(tree: ast.AST) -> list[tuple[int, str]]:
    """(line, first name of the module) of every import, in functions, too."""
    found = [(node.lineno, name.name) for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names]
    found += [(node.lineno, node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level == 0]
    return [(line, name.split(".")[0]) for line, name in found]


def out_of_reach(text: str, *, reach: bool = False, seen: frozenset[str] = frozenset()) -> set[str]:
    """Folders of the course that a benchmark, or a file beside it that it imports, imports from though Python does not look there yet."""
    tree = ast.parse(text)
    opened = min((node.lineno for node in tree.body if isinstance(node, ast.Expr) and ast.unparse(node).startswith("sys.path.insert(0, str(")), default=10**6)
    missing = set()
    for line, name in imports(tree):
        here = reach or line > opened
        if name in BESIDE - seen:
            missing |= out_of_reach((ROOT / "benchmarks" / f"{name}.py").read_text(encoding="utf-8"), reach=here, seen=seen | {name})
        elif name in ABOVE and not here:
            missing.add(name)
    return missing


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_benchmark_finds_what_it_imports(name):
    text = FILES[name].read_text(encoding="utf-8")
    assert out_of_reach(text) == set()
    compile(text, name, "exec")


def test_planted_imports_out_of_reach_are_seen():
    text = FILES["grading_class"].read_text(encoding="utf-8")
    opening = next(line for line in text.splitlines() if line.startswith("sys.path.insert"))
    assert out_of_reach(text.replace(opening, "")) == out_of_reach(text.replace(opening, "") + opening) == {"benchmarks", "grading", "tests", "tools"}
    assert out_of_reach("import kernel_memory\nimport harness\nfrom deepgen_lib import RBM") == set() and out_of_reach("def late():\n    from tests.doors import Door") == {"tests"}


def needs_arguments(text: str) -> bool:
    """Whether its parser refuses an empty command line."""
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "add_argument"]
    named = [({word.arg: ast.unparse(word.value) for word in call.keywords}, ast.literal_eval(call.args[0])) for call in calls]
    return any(words.get("required") == "True" or (not name.startswith("-") and words.get("nargs") not in ("'*'", "'?'")) for words, name in named)


def test_all_leaves_out_what_needs_arguments_or_root(monkeypatch):
    texts = {name: path.read_text(encoding="utf-8") for name, path in FILES.items()}
    assert {name for name, text in texts.items() if needs_arguments(text) or "os.geteuid()" in text} == course.ONE_BY_ONE
    assert not any(needs_arguments(path.read_text(encoding="utf-8")) for path in (ROOT / "benchmarks/published").glob("*.py"))
    assert all(name in course.__doc__ for name in course.ONE_BY_ONE)
    ran = []
    monkeypatch.setattr(course.environment, "ensure", lambda root: "python")
    monkeypatch.setattr(course.environment, "pip", lambda *given, **named: None)
    monkeypatch.setattr(course, "run", lambda *command: ran.append(Path(command[1]).stem if command[1] != "-m" else command[2].removeprefix("benchmarks.")))
    course.bench(["all"])
    assert len(ran) == len(set(ran)) and set(ran) == {*course.benchmarks()} - course.ONE_BY_ONE and {"rbm_speed", "grading_speed", "published"} <= set(ran)


def test_a_file_that_is_no_program_is_no_benchmark():
    assert not {"harness", "kernel_timing", "mutants", "quantiser_step"} & {*course.benchmarks()}
    with pytest.raises(course.environment.SetupError, match="no benchmark 'harness'; expected one of .*conv_dbn, .*published, or all"):
        course.bench(["harness"])
