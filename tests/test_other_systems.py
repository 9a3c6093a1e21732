"""Windows and macOS, thought through on whatever runs the tests: no module needs what only Linux has, file names fit every disk, text is
read as UTF-8 whatever the system's own encoding, and the commands print what any console can show."""
import ast
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path, PurePosixPath

import pytest

from tools.sources import ROOT

UNIX_ONLY = ("fcntl", "grp", "posix", "pty", "pwd", "resource", "spwd", "syslog", "termios", "tty")
UNIX_NAMES = ("fork", "geteuid", "getuid", "getpgid", "killpg", "sched_getaffinity", "getloadavg", "sysconf", "mkfifo", "setsid")
FOLDERS = ("deepgen_lib", "tools")
RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))}
LONGEST = 120  # characters of a path inside the course; Windows allows 260 with the folder it lies in
ELSEWHERE = """
import importlib, importlib.abc, os, sys
names = sys.argv[2].split(",")
for name in names:
    importlib.import_module(name)  # first as it is here, so that other packages are loaded with all they like
for name in [name for name in sys.modules if name.partition(".")[0] in ("deepgen_lib", "tools")]:
    del sys.modules[name]

class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name in MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

MODULES = set(sys.argv[3].split(","))
for name in MODULES & set(sys.modules):
    del sys.modules[name]
sys.meta_path.insert(0, Missing())
for name in sys.argv[4].split(","):
    if hasattr(os, name):
        delattr(os, name)
for name in names:
    try:
        importlib.import_module(name)
    except Exception as error:
        print(f"{name}: {type(error).__name__}: {error}")
"""


def modules(root: Path = ROOT) -> list[str]:
    """Every module of the library and the tools that is no script of GPU kernels, which Triton's wheels decide on."""
    files = [path.relative_to(root) for folder in FOLDERS for path in sorted((root / folder).rglob("*.py"))]
    names = [".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in files if not path.name.startswith("triton_") and "__pycache__" not in path.parts]
    return [name for name in names if not name.startswith("deepgen_lib.tiles")]


def failures_elsewhere(root: Path, names: list[str]) -> str:
    """What the modules of a course say when they are imported where nothing of UNIX_ONLY and UNIX_NAMES exists; empty is good."""
    command = [sys.executable, "-c", f"import sys\nsys.path.insert(0, sys.argv[1])\n{ELSEWHERE}", str(root), ",".join(names), ",".join(UNIX_ONLY), ",".join(UNIX_NAMES)]
    ran = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", cwd=root, timeout=600)
    return ran.stdout + (ran.stderr if ran.returncode else "")


def without_encoding(text: str) -> list[int]:
    """Lines that read or write text in the system's own encoding, which on Windows is not UTF-8."""
    found = []
    for call in (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        said = {keyword.arg for keyword in call.keywords}
        mode = next((keyword.value for keyword in call.keywords if keyword.arg == "mode"), None)
        places = call.args[1:2] if isinstance(call.func, ast.Name) else call.args[:1]
        mode = mode or next(iter(places), None)
        is_binary = isinstance(mode, ast.Constant) and isinstance(mode.value, str) and "b" in mode.value
        opens = name == "open" and (isinstance(call.func, ast.Name) or not call.args or isinstance(call.args[0], ast.Constant) and set(str(call.args[0].value)) <= set("rwaxbt+"))
        if (name in ("read_text", "write_text") or opens and not is_binary) and "encoding" not in said:
            found.append(call.lineno)
    return found


def bad_names(names: list[str]) -> list[str]:
    """Names of files that Windows or macOS cannot hold beside the others, or only in a short folder."""
    folded = Counter(name.casefold() for name in names)
    bad = [name for name in names if folded[name.casefold()] > 1 or len(name) > LONGEST]
    for name in names:
        for part in PurePosixPath(name).parts:
            if set(part) & set('<>:"\\|?*') or part.endswith((".", " ")) or part.split(".")[0].casefold() in RESERVED or not part.isascii():
                bad.append(name)
    return sorted(set(bad))


def tracked() -> list[str]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git clone")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    return [name for name in listed.stdout.decode().split("\0") if name]


def test_every_module_loads_where_only_linux_things_are_missing():
    assert failures_elsewhere(ROOT, modules()) == ""


@pytest.mark.parametrize("line, message", [("import fcntl", "No module named 'fcntl'"), ("import os\nUSER = os.getuid()", "has no attribute 'getuid'")], ids=["module", "name"])
def test_a_planted_linux_import_is_named(line, message, tmp_path):
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "__init__.py").write_text("", encoding="utf-8")
    (tmp_path / "tools" / "planted.py").write_text(line, encoding="utf-8")
    assert message in failures_elsewhere(tmp_path, ["tools.planted"])


def test_text_is_read_and_written_as_utf_8():
    files = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    assert {path.relative_to(ROOT).as_posix(): lines for path in files if (lines := without_encoding(path.read_text(encoding="utf-8")))} == {}


@pytest.mark.parametrize("line, n_found", [
    ("p.read_text()", 1), ("p.write_text(t)", 1), ("open(p)", 1), ("open(p, 'w')", 1), ("p.open('a')", 1), ("p.open()", 1), ("p.read_text(encoding='utf-8')", 0),
    ("open(p, 'rb')", 0), ("p.open('wb')", 0), ("open(p, 'w', encoding='utf-8')", 0), ("Image.open(file)", 0), ("webbrowser.open(url)", 0),
])
def test_an_encoding_that_is_left_to_the_system_is_found(line, n_found):
    assert len(without_encoding(line)) == n_found


def test_file_names_fit_every_system():
    assert bad_names(tracked()) == []


@pytest.mark.parametrize("name", ["a/b:c.md", "aux.py", "a/what?.txt", "a /b", "x" * 130, "naïve.md"])
def test_a_planted_name_is_found(name):
    assert bad_names(["fine.md", name]) == [name]
    assert bad_names(["A.md", "a.md"]) == ["A.md", "a.md"]


def test_no_link_is_tracked():
    if not (ROOT / ".git").exists():
        pytest.skip("not a git clone")
    listed = subprocess.run(["git", "ls-files", "--stage"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert [line for line in listed.splitlines() if line.startswith("120000")] == [], "a clone on Windows has text files in place of links"


@pytest.mark.parametrize("encoding", ["cp1252", "cp437", "ascii"])
def test_the_entry_speaks_on_every_console(encoding):
    variables = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    ran = subprocess.run([sys.executable, "tools/course.py", "help"], cwd=ROOT, env=variables, capture_output=True, timeout=300)
    assert ran.returncode == 0 and b"study: copy the notebooks" in ran.stdout, ran.stderr.decode()


@pytest.mark.parametrize("name", ["course", "environment", "workspace"])
def test_what_runs_before_the_environment_exists_is_plain_text(name):
    """An old console or editor shows it, and Python reads it, whatever the system's encoding."""
    assert (ROOT / "tools" / f"{name}.py").read_text(encoding="utf-8").isascii()
