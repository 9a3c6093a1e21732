"""The repository as a whole: what may not be in it, what README promises, and the continuous run's guard against skips."""
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tools import course
from tools.environment import CPU_INDEX
from tools.skip_guard import ALLOWED, is_allowed, read_allowed

ROOT = Path(__file__).resolve().parents[1]
MAX_LINES, MAX_MEGABYTES = 250, 60  # megabytes of the whole course; three chapters took 32
# Written in pieces, so that this file does not contain them: folders of one machine, and hosts that an installer decides on.
FORBIDDEN = re.compile("|".join([r"(?<![\w.}])/(?:[\w.-]+/)*" + "(?:work|farm|root)/", "/tm" + "p/[a-z]", "/hom" + r"e/\w", "/Use" + r"rs/\w", r"C:\\Us" + "ers",
                                 r"py" + r"pi\.org", "python" + "hosted", r"registry\.np" + "mjs", r"deb\." + "debian", "anaconda" + r"\.org"]))


def tracked() -> list[Path]:
    """Files under version control or about to be."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git clone")
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True)
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def forbidden(text: str) -> list[str]:
    return [match.group() for match in FORBIDDEN.finditer(text)]


def too_long(path: Path, text: str) -> bool:
    """Whether a file that people read is longer than the house allows. Notebooks' sources are read as notebooks."""
    written = path.suffix in {".py", ".md", ".toml", ".yml", ".cff"} or path.name in {"Makefile", "run"}
    free = {"source", "notebooks", "solutions", "exercises", "results"} & set(path.parts) or path.name in {"LEDGER.md", "self_test.md"}
    return bool(written and not free and text.count("\n") > MAX_LINES)


def as_text(path: Path) -> str:
    content = path.read_bytes()
    return "" if b"\0" in content else content.decode(errors="replace")


def test_no_machine_path_and_no_package_host():
    found = {str(path.relative_to(ROOT)): hits for path in tracked() if (hits := forbidden(as_text(path)))}
    assert found == {}


@pytest.mark.parametrize("text", ["cd /wo" "rk/main", '"/srv/student/wo' 'rk/x"', "see /tm" "p/x", "https://py" "pi.org/simple", "files.python" "hosted.org", "'/ro" "ot/.cache'",
                                  '"/hom' 'e/someone"', "/Use" "rs/someone"])
def test_a_planted_path_or_host_is_found(text):
    assert forbidden(text)


@pytest.mark.parametrize("text", ["{root}/wo" "rk/notebooks", "work/01.ipynb", "../wo" "rk/x", CPU_INDEX])
def test_the_students_folder_and_pytorchs_index_are_fine(text):
    assert not forbidden(text)


def test_no_file_is_too_long():
    assert [str(path.relative_to(ROOT)) for path in tracked() if too_long(path.relative_to(ROOT), as_text(path))] == []


def test_a_planted_long_file_is_found():
    assert too_long(Path("tools/x.py"), "\n" * 251) and not too_long(Path("tools/x.py"), "\n" * 250)
    assert too_long(Path("README.md"), "\n" * 251) and not too_long(Path("source/lectures/x.py"), "\n" * 251)


def test_the_repository_stays_small():
    files = tracked()
    assert len(files) > 20
    assert sum(path.stat().st_size for path in files) < MAX_MEGABYTES * 1e6


def readme_verbs(text: str) -> set[str]:
    """The verbs that a text tells people to type."""
    return set(re.findall(r"(?:^|`)(?:make|python3? tools/course\.py) ([a-z]+)", text, flags=re.MULTILINE))


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_every_command_that_is_named_exists(name):
    assert readme_verbs((ROOT / name).read_text()) <= set(course.VERBS) | {"help"}


def test_a_planted_command_is_found():
    assert readme_verbs("type\nmake coffee\nor `make lab ARGS=x`, or\npython tools/course.py brew") == {"coffee", "lab", "brew"}


def test_the_two_commands_stand_alone_in_the_readme():
    blocks = re.findall(r"^```\n(.*?)^```", (ROOT / "README.md").read_text(), flags=re.MULTILINE | re.DOTALL)
    assert {"make lab\n", "make test\n"} <= set(blocks)


def test_make_and_course_know_the_same_verbs():
    rule = re.search(r"^([a-z ]+):\n\t@\$\(PYTHON\) tools/course\.py \$@ \$\(CHAPTER\) \$\(ARGS\)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert set(rule[1].split()) == set(course.VERBS)
    assert all(re.search(rf"^    {verb} ", course.__doc__, flags=re.MULTILINE) for verb in course.VERBS)


def test_the_runs_of_make_test_cover_tests_and_notebooks(monkeypatch):
    seen = []
    monkeypatch.setattr(course.environment, "ensure", lambda root: "python")
    monkeypatch.setattr(course, "run", lambda *command, **variables: seen.append((command, variables)) or 3)
    assert course.test([]) == 3
    assert seen[0][0][-1] == "tests" and seen[0][1] == course.QUIET
    for (command, _), (options, folders) in zip(seen, course.PYTEST_RUNS):
        assert [word for word in command if word in folders] == [folder for folder in folders if (ROOT / folder).is_dir()]
        assert all(find_spec(plugin) for flag, plugin in zip(command, command[1:]) if flag == "-p")
    assert course.test(["tests/test_rbm.py"]) == 3 and seen[-1][0][-1] == "tests/test_rbm.py"


def test_one_failing_run_fails_the_whole():
    assert [course.first_failure(codes) for codes in ([0, 0], [1, 0], [0, 2])] == [0, 1, 2]


def test_the_continuous_run_is_strict():
    script = ROOT / ".ci/run"
    assert os.access(script, os.X_OK) or os.name == "nt"
    text = script.read_text()
    assert "set -euo pipefail" in text and "DEEPGEN_STRICT_SKIPS=1 make test" in text
    assert "bash .ci/run" in (ROOT / ".github/workflows/test.yml").read_text()


SKIPPING = """import pytest
def test_runs(): pass
@pytest.mark.parametrize("x", [1])
def test_skips(x): pytest.skip("no such program")
@pytest.mark.xfail
def test_known(): assert False
"""


def strict_run(folder: Path, text: str, *options: str, strict: str) -> subprocess.CompletedProcess:
    (folder / "test_it.py").write_text(text)
    (folder / "pytest.ini").write_text("[pytest]\n")
    variables = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    variables |= {"DEEPGEN_STRICT_SKIPS": strict, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-p", "tools.skip_guard", "-p", "no:cacheprovider", "-q", *options, "test_it.py"]
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True)


@pytest.mark.parametrize("options", [(), ("-p", "xdist", "-n", "1")], ids=str)
@pytest.mark.parametrize("text, node", [(SKIPPING, "test_it.py::test_skips[1] | Skipped: no such program"),
                                        ("import pytest\npytest.importorskip('no_such_module')\n", "test_it.py | Skipped: could not import")])
def test_an_unlisted_skip_fails_the_strict_run(tmp_path, options, text, node):
    done = strict_run(tmp_path, text, *options, strict="1")
    assert done.returncode == 1 and node in done.stdout
    assert "test_known |" not in done.stdout  # an expected failure is no skip


def test_a_skip_passes_when_nobody_asked_to_be_strict(tmp_path):
    assert strict_run(tmp_path, SKIPPING, strict="").returncode == 0


def test_a_listed_skip_needs_its_test_and_its_reason():
    allowed = read_allowed("# comment\n\ntests/test_a.py::test_gpu | no CUDA device\n")
    assert is_allowed("tests/test_a.py::test_gpu[3-float]", "Skipped: no CUDA device here", allowed)
    assert not is_allowed("tests/test_a.py::test_gpu", "Skipped: could not import", allowed)
    assert not is_allowed("tests/test_a.py::test_gpu_too", "no CUDA device", allowed)
    with pytest.raises(ValueError, match="line 1: 'tests/test_a.py' is not NODE | REASON"):
        read_allowed("tests/test_a.py")
    read_allowed(ALLOWED.read_text())
