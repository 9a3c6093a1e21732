"""The course on fresh and unkind machines, for real: a bare Debian made by debootstrap, entered by bubblewrap as an ordinary user.

    python3 tools/course.py bench fresh_machines --lend FILE ...     needs root, debootstrap and bwrap; about half an hour, most of it `make test`

`make lab` there must answer on its port; in every other row it works, or one message says what to do, nothing is lost, and the next call recovers.
--root keeps the Debian and its clone between calls; --lend shows it files of this machine, such as a pip configuration (FILE=PLACE shows it as PLACE).
"""
import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from harness import machine, publish

PACKAGES = "python3,python3-venv,make,git,ca-certificates"
HOME, COURSE, SPACED = "/srv/student", "/srv/student/deepgen", "/srv/student/my course, été 2"
LIGHT = "setup workspace binder dependencies fresh_machine jupyter checkpoint fitting record rbm enumeration vae checks_engine"
COLUMNS = ("situation", "what was run", "outcome", "what the reader sees")
LAB = r"""
make lab ARGS="--no-browser --port=8899" > /dev/shm/lab.log 2>&1 &
for i in $(seq 900); do
  python3 -c '
import json, re, sys, urllib.request
found = re.search(r"http://127.0.0.1:8899/\S*\?token=(\w+)", open("/dev/shm/lab.log").read())
page = urllib.request.urlopen("http://127.0.0.1:8899/lab?token=" + found[1], timeout=9)
listed = json.load(urllib.request.urlopen("http://127.0.0.1:8899/api/contents/notebooks?token=" + found[1], timeout=9))["content"]
print("ANSWERED", page.status, len(listed))' 2>/dev/null && break
  kill -0 $! 2>/dev/null || break
  sleep 1
done
cat /dev/shm/lab.log"""


class Bare:
    """A Debian in a folder, and what is lent to it."""

    def __init__(self, root: Path, lend: list[str], variables: list[str]):
        self.root, self.lend, self.variables = root, lend, variables

    def make(self) -> None:
        if not (self.root / "etc/debian_version").exists():
            subprocess.run(["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(self.root)], check=True)
        (self.root / "etc/hosts").write_text("127.0.0.1 localhost\n", encoding="utf-8")  # as on every machine; its own name stays unknown
        self.home = self.root / HOME[1:]
        self.home.mkdir(parents=True, exist_ok=True)
        for name in (COURSE, SPACED):
            if not (self.root / name[1:]).exists():
                subprocess.run(["git", "clone", "-q", str(ROOT), str(self.root / name[1:])], check=True)
            for words in (["fetch", "-q", str(ROOT), "HEAD"], ["reset", "-q", "--hard", "FETCH_HEAD"]):
                subprocess.run(["git", *words], cwd=self.root / name[1:], check=True)

    def command(self, script: str, *options: str, course: str = COURSE) -> list[str]:
        lent = [word for pair in self.lend for word in ("--ro-bind", pair.split("=")[0], pair.split("=")[-1])]
        given = [word for pair in self.variables for word in ("--setenv", *pair.split("=", 1))]
        return ["bwrap", "--bind", str(self.root), "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--ro-bind", "/etc/resolv.conf", "/etc/resolv.conf", *lent,
                "--unshare-user", "--uid", "1000", "--gid", "1000", "--unshare-pid", "--die-with-parent", "--clearenv", "--setenv", "HOME", HOME, "--setenv", "USER", "student",
                "--setenv", "PATH", "/usr/bin:/bin", "--setenv", "LANG", "C.UTF-8", *given, *options, "--chdir", course, "--", "bash", "-c", script]

    def run(self, script: str, *options: str, course: str = COURSE) -> tuple[int, str]:
        done = subprocess.run(self.command(script, *options, course=course), capture_output=True, text=True, timeout=7200,
                              preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))  # a script in the background ignores it, and so would all within
        return done.returncode, done.stdout + done.stderr

    def at(self, place: str) -> str:
        return str(self.root / place[1:])


def shown(line: str) -> str:
    """A line as the table shows it: files by their place in the course, wherever that lay."""
    return line.split("deepgen: ")[-1].replace(f"{COURSE}/", "").replace(f"{SPACED}/", "")[:300]


def lab(bare: Bare, *options: str, course: str = COURSE, sees: str = "JupyterLab") -> tuple[str, str]:
    """(outcome, what the reader sees) of `make lab`; sees: a pattern of the line to quote, where it is not the page that opens."""
    _, said = bare.run(LAB, *options, course=course)
    answered = re.search(r"ANSWERED 200 (\d+)", said)
    line = next((line for line in said.splitlines() if re.search(sees, line)), "")
    there = len(list((Path(bare.at(course)) / "notebooks").glob("*.ipynb")))
    good = answered and int(answered[1]) == there and line
    outcome = f"answers on its port, {there} notebooks" if good else f"FAILED: {answered[0] if answered else 'no answer'}, expected {there} notebooks and a line with {sees!r}: {said[-300:]}"
    return outcome, shown(line) if sees != "JupyterLab" else "the start page"


def message(bare: Bare, script: str, pattern: str, *options: str, course: str = COURSE) -> tuple[str, str]:
    """A call that cannot succeed: it ends with one message and without a traceback."""
    code, said = bare.run(script, *options, course=course)
    found = [line for line in said.splitlines() if re.search(pattern, line)]
    good = code and found and "Traceback" not in said
    return ("stops with a message" if good else f"FAILED: {code}, {said[-400:]}"), shown((found or [""])[-1])


def first_lab(bare: Bare) -> tuple[str, str]:
    """Nothing is there but the clone: no environment, no cache, no copies."""
    for name in (f"{COURSE}/.venv", f"{COURSE}/work", f"{HOME}/.cache", f"{HOME}/.local"):
        shutil.rmtree(bare.at(name), ignore_errors=True)
    return lab(bare, sees="Making .venv")


def stopped_set_up(bare: Bare) -> tuple[str, str]:
    """A set-up killed and interrupted at several moments, then left alone."""
    shutil.rmtree(Path(bare.at(SPACED)) / ".venv", ignore_errors=True)
    for seconds, how in ((3, "KILL"), (10, "INT"), (20, "KILL"), (30, "INT")):
        bare.run(f"set -m; make setup & sleep {seconds}; kill -{how} -- -$!; wait", course=SPACED)
    return lab(bare, course=SPACED, sees="unfinished")


def without_venv(bare: Bare, *hidden: str) -> tuple[str, str]:
    """Debian's Python alone has no ensurepip; python3-venv brings it."""
    place = next((bare.root / "usr/lib").glob("python3.*/ensurepip"))
    aside = place.rename(place.with_name("ensurepip-aside"))
    try:
        return message(bare, "make lab", "lacks ensurepip", *hidden)
    finally:
        aside.rename(place)


def full_while_building(bare: Bare, folder: Path) -> tuple[str, str]:
    """notebooks/ on a disk with room for nothing more, while chapter 00 is built; then with room."""
    notebooks, small = Path(bare.at(COURSE)) / "notebooks", folder / "small"
    small.mkdir()
    size = sum(path.stat().st_size for path in notebooks.glob("*.ipynb")) // 1024 + 2 * (notebooks / "00_start_here.ipynb").stat().st_size // 1024
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size + 150}k,mode=777", "none", str(small)], check=True)
    try:
        for path in notebooks.glob("*.ipynb"):
            shutil.copy(path, small)
        page = small / "00_start_here.ipynb"
        page.write_bytes(page.read_bytes() + b"\n")  # so that it has to be written
        old = page.read_bytes()
        subprocess.run(["dd", "if=/dev/zero", f"of={small}/filler", "bs=1k"], capture_output=True)
        outcome, sees = message(bare, 'make build ARGS="00 --only lectures"', "is full", "--bind", str(small), f"{COURSE}/notebooks")
        kept = page.read_bytes() == old and not list(small.glob(".*"))
        (small / "filler").unlink()
        code, _ = bare.run('make build ARGS="00 --only lectures"', "--bind", str(small), f"{COURSE}/notebooks")
        return f"{outcome}; the old notebook {'is whole' if kept else 'IS LOST: FAILED'}; with room the next call {'builds' if code == 0 else 'FAILED'}", sees
    finally:
        subprocess.run(["umount", str(small)], check=True)


def tests(bare: Bare, only: str) -> tuple[str, str]:
    """What `make test` finds: tests, then cells of the notebooks; fallen ones by name."""
    code, said = bare.run(f'make test ARGS="{only}"')
    ended = re.findall(r"^(?:=+ )?(\d[^\n]*(?:passed|failed|error)[^\n]*?) in (\d+)[.:]", said, re.MULTILINE)
    fallen = re.findall(r"^(?:FAILED|ERROR) (\S+)", said, re.MULTILINE)
    if code or fallen or not ended or not only and len(ended) != 2:
        return f"FAILED: {code}, {', '.join(fallen)}: {said[-300:]}", "pytest's summary"
    return ("; " if only else "; then of the notebooks' cells: ").join(f"{counts} in {round(int(seconds) / 60) or 'less than 1'} min" for counts, seconds in ended), "pytest's summary"


def versions(bare: Bare) -> str:
    """What the course runs on there."""
    words = "import platform, torch, numpy, jupyterlab; print(f'Python {platform.python_version()}, torch {torch.__version__}, numpy {numpy.__version__}, jupyterlab {jupyterlab.__version__}')"
    _, debian = bare.run("cat /etc/debian_version")
    _, python = bare.run(f'.venv/bin/python -c "{words}"')
    return f"Debian {debian.strip()}, {python.strip()}"


def rows(bare: Bare, folder: Path, quick: bool) -> list[tuple]:
    no_net, closed = ("--unshare-net",), ("--ro-bind", bare.at(HOME), HOME, "--bind", bare.at(COURSE), COURSE)
    hidden = ("--tmpfs", f"{COURSE}/.venv")
    build = [] if quick else [
        ("bare Debian 12 with only " + PACKAGES.replace(",", ", ") + "; an ordinary user; no display", "`make lab`, the first time", *first_lab(bare)),
        ("folder `my course, été 2`; set-up killed after 3 and 20 s, Ctrl-C after 10 and 30 s", "`make setup` four times, then `make lab`", *stopped_set_up(bare))]
    return build + [
        ("bare Debian, set up", "`make lab` again", *lab(bare)),
        ("bare Debian, set up", "`make test`", *tests(bare, " ".join(f"tests/test_{name}.py" for name in LIGHT.split()) if quick else "")),
        ("bare Debian without python3-venv", "`make lab`", *without_venv(bare, *hidden)),
        ("no network after set-up", "`make lab`", *lab(bare, *no_net)),
        ("no network during set-up", "`make setup`", *message(bare, "make setup", "pip could not install", *no_net, *hidden)),
        ("home folder read-only", "`make lab`", *lab(bare, *closed, sees="home folder takes no files")),
        ("home and course read-only", "`make lab`", *message(bare, "make lab", "no leave to write", "--ro-bind", bare.at(HOME), HOME)),
        ("disk full while .venv is made (300 MB)", "`make setup`", *message(bare, "make setup", "No space left", "--size", "300000000", *hidden)),
        ("disk full while notebooks are copied to work/ (1 MB)", "`make lab`", *message(bare, "make lab", "is full", "--size", "1000000", "--tmpfs", f"{COURSE}/work")),
        ("disk full while a notebook is built", "`make build ARGS=00`, twice", *full_while_building(bare, folder)),
        ("after all of these", "`make lab`", *lab(bare)),
    ]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path, default=Path(tempfile.gettempdir()) / "deepgen-debian")
    parser.add_argument("--lend", action="append", default=[])
    parser.add_argument("--variable", action="append", default=[])
    parser.add_argument("--quick", action="store_true", help="without the set-ups, a light part of the tests: prints the rows, publishes nothing")
    given = parser.parse_args()
    if os.name != "posix" or os.geteuid() or not (shutil.which("debootstrap") and shutil.which("bwrap")):
        sys.exit("fresh_machines: needs root, debootstrap and bwrap (Debian: apt install debootstrap bubblewrap); nothing was run.")
    bare, folder = Bare(given.root, given.lend, given.variable), given.root / "tmp-fresh"
    bare.make()
    folder.mkdir(exist_ok=True)
    try:
        found = rows(bare, folder, given.quick)
    finally:
        shutil.rmtree(folder)
    failed = [row[0] for row in found if re.search(r"FAILED|\d (failed|error)", row[2])]
    if given.quick:
        print(*found, sep="\n")
        sys.exit(bool(failed))
    publish("fresh_machines", "Fresh and unkind machines", COLUMNS, found, about=machine() | {"guest": versions(bare)}, notes=(
        "Each row was run in the bare Debian, entered with bubblewrap as an ordinary user. A folder with spaces, a closed home, a stopped set-up and full disks are tried in small by tests/test_fresh_machine.py "
        "everywhere; environment.yml is parsed and its pins compared by tests/test_binder.py and tests/test_dependencies.py, which are among the tests run here. "
        + (f"FAILED: {'; '.join(failed)}." if failed else "Nothing failed.")))
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
