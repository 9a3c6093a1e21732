"""The tool that makes mutants: what it changes, what it leaves alone, what it draws, and that killed, survived and hanging mutants are told apart."""
import ast
import json
import os
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))
import mutants

LINES = [
    ("x + y", "plus and minus", "x - y"), ("x - y", "plus and minus", "x + y"), ("x * y", "times and divide", "x / y"), ("x / y", "times and divide", "x * y"),
    ("x + y", "term dropped", "x"), ("x + y", "term dropped", "y"), ("x - y", "term dropped", "x"), ("-x", "sign", "x"), ("x < y", "comparison", "x <= y"),
    ("x < y", "comparison", "x > y"), ("x == y", "comparison", "x != y"), ("x.sum(0)", "axis", "x.sum(1)"), ("x.softmax(-1)", "axis", "x.softmax(0)"), ("x.any(dim=1)", "axis", "x.any(dim=0)"),
    ("cat(x, 0)", "axis", "cat(x, 1)"), ("x.T", "transpose", "x"), ("x.transpose(0, 1)", "transpose", "x"), ("x.detach()", "detach", "x"), ("torch.no_grad()", "no_grad", "torch.enable_grad"),
    ("range(3)", "off by one", "4"), ("x[1:]", "off by one", "2"), ("0.5", "constant", "1.0"), ("0.0", "constant", "1.0"), ("x.mean()", "mean and sum", "x.sum()"), ("x.sum(1)", "mean and sum", "x.mean(1)"),
    ("max(x, y)", "min and max", "min(x, y)"), ("x.argmin()", "min and max", "x.argmax()"), ("f(x, y)", "arguments swapped", "f(y, x)"), ("x, y", "other one of two", "(y, x)"),
    ("x if c else y", "other one of two", "y if c else x"), ("x and y", "condition", "x or y"), ("not x", "condition", "x"), ("f(x, keepdim=True)", "condition", "False"),
]


def made(source: str) -> set[tuple[str, str]]:
    return {(m.kind, m.after) for m in mutants.mutants_of("toy", source)}


@pytest.mark.parametrize("line, kind, after", LINES, ids=[f"{line} to {after}" for line, _, after in LINES])
def test_each_kind_of_change_is_made(line, kind, after):
    assert (kind, after) in made(f"def f(x, y, c):\n    return {line}\n")


@pytest.mark.parametrize("line", ["raise ValueError(f'{x + 1}', x - 1)", "'words' + x", "f'{x + 1}'", "require_count('f', 'x', x, minimum=1)", "'''A docstring: x + 1.'''", "y: f(1) = x", "import a.b",
                                  "register(x, minutes=5)"])
def test_messages_annotations_and_helpers_are_left_alone(line):
    assert made(f"def f(x):\n    {line}\n") == set()


def test_a_change_keeps_every_other_line_and_its_number():
    source = "def f(x, y):\n    # ψ\n    return (x +\n            y) * 2\n\n\ndef g():\n    return 'ψ'\n"
    for mutant in mutants.mutants_of("toy", source):
        lines = mutant.applied(source).split("\n")
        assert len(lines) == len(source.split("\n")) and lines[:2] == source.split("\n")[:2] and lines[6:] == source.split("\n")[6:]
        assert ast.dump(ast.parse(mutant.applied(source))) != ast.dump(ast.parse(source))


def test_what_is_no_python_is_no_mutant():
    assert mutants.Mutant("toy", "f", "sign", 1, "x", "x +", "x", (1, 1, 0, 1)).applied("x\n") is None
    assert mutants.Mutant("toy", "f", "sign", 1, "x", "x", "x", (1, 1, 0, 1)).applied("x\n") is None


def test_a_mutant_knows_its_function_and_the_lines_of_its_statement():
    source = "class A:\n    def f(self, x):\n        if x > 1:\n            return max(\n                x, 2)\n"
    found = {(m.kind, m.after): (m.function, m.statement, m.line) for m in mutants.mutants_of("toy", source)}
    assert found["comparison", "x >= 1"] == ("A.f", (3, 3), 3) and found["min and max", "min(x, 2)"] == ("A.f", (4, 5), 4)


def test_every_public_function_gets_a_mutant_and_kinds_take_turns(tmp_path):
    package = tmp_path / "toy"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "sums.py").write_text("".join(f"def f{i}(x, y):\n    return x + y * x.mean(0)\n\n\ndef _hidden{i}(x):\n    return -x\n\n\n" for i in range(20)))
    (package / "rare.py").write_text("".join(f"def r{i}(x):\n    return -x\n\n\n" for i in range(40)))

    def share(module):
        return 0.2 if module == "toy.rare" else 1.0

    drawn = mutants.draw(package, 40, 1, share)
    tried = Counter(m.module for m in drawn)
    assert {f"f{i}" for i in range(20)} <= {m.function for m in drawn} and 0 < tried["toy.rare"] < 20 and len(drawn) == 40
    kinds = Counter(m.kind for m in drawn if m.function.startswith("f"))
    assert len(kinds) == 6 and max(kinds.values()) - min(kinds.values()) <= 2
    assert [m.key for m in mutants.draw(package, 40, 1, share)] == [m.key for m in drawn] != [m.key for m in mutants.draw(package, 40, 2, share)]


RUN = """
import json, sys
from pathlib import Path
import mutation_run
mutation_run.PRELOADED = ("torch",)
mutation_run.preload()
source, folder = Path("deepgen_lib/rbm.py").read_text(), Path(sys.argv[1])
wrong = source.replace("- v @ self.b - h @ self.c", "- v @ self.b + h @ self.c")
assert wrong != source
tests = ["tests/test_rbm.py::test_energy_is_minus_the_three_products_row_by_row"]
jobs = [mutation_run.Job(name, "deepgen_lib.rbm", text, tests, limit) for name, text, limit in
        [("right", source, 500), ("wrong", wrong, 500), ("broken", "1 / 0", 500), ("hangs", "import time; time.sleep(1000)", 1)]]
print(json.dumps({job.name: verdict[:2] for job, verdict in mutation_run.verdicts(jobs, {}, folder, 2)}))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_killed_survived_and_hanging_mutants_are_told_apart(tmp_path):
    (tmp_path / "sitecustomize.py").touch()  # Debian's Python has one of its own, and it comes first
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT), str(ROOT / "benchmarks")]), "OMP_NUM_THREADS": "1", "PYTEST_ADDOPTS": ""}
    ran = subprocess.run([sys.executable, "-c", RUN, str(tmp_path)], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    assert ran.returncode == 0, ran.stderr[-3000:]
    test = "tests/test_rbm.py::test_energy_is_minus_the_three_products_row_by_row"
    assert json.loads(ran.stdout.splitlines()[-1]) == {"right": ["survived", ""], "wrong": ["killed", test], "broken": ["killed", "loading tests/test_rbm.py"], "hangs": ["time", ""]}


def test_every_explanation_speaks_of_a_line_that_is_there():
    """One of a line that was changed is no longer true: take it out, and run the mutants of that module again."""
    entries = tomllib.loads((ROOT / "benchmarks/results/mutation_explained.toml").read_text(encoding="utf-8"))["equivalent"]
    texts = {e["module"]: (ROOT / f"{e['module'].replace('.', '/')}.py").read_text(encoding="utf-8") for e in entries}
    assert [e for e in entries if e["line"] not in texts[e["module"]] or len(e["because"]) < 20] == []
