"""How much memory a student's kernel takes, chapter by chapter, for whoever sizes a JupyterHub.

    python benchmarks/kernel_memory.py             every lecture notebook
    python benchmarks/kernel_memory.py 01 08       these; the others keep their earlier rows

Each notebook is run to its end in a fresh kernel on one thread; then the kernel itself says, from Linux's /proc, what it holds and what it held
at most. A second process with the library loaded is open meanwhile, so that pages which all kernels share are seen as shared.
"""
from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.harness import RESULTS, machine, publish
from tools.running import execute, python_path
from tools.sources import find_sources, read_inputs

NAME, TITLE, PATIENCE = "kernel_memory", "Memory of a kernel, chapter by chapter", 180
COLUMNS = ("what runs", "MB at its end", "MB at most", "MB of its own", "date")
LOADED = "import torch, deepgen_lib\nfrom deepgen_lib import checks, plots, widgets\nimport matplotlib.pyplot"
ASK = """import json as _json, re as _re
def _held(file, name):
    return int(_re.search(rf"^{name}:\\s+(\\d+) kB", open(f"/proc/self/{file}").read(), _re.M)[1])
print(_json.dumps({"end": _held("status", "VmRSS"), "most": _held("status", "VmHWM"), "own": _held("smaps_rollup", "Private_Clean") + _held("smaps_rollup", "Private_Dirty")}))"""
NOTES = """All in MB (10^6 bytes) of resident memory. *At its end*: after the last cell, as long as the notebook stays open. *At most*: the highest point of the run;
a limit per user must lie above it. PyTorch is its CPU build. *Of its own*: what no other process shares; each further user of the same machine adds about this much, because
PyTorch's libraries are in memory once. JupyterLab's server comes on top, once for each user. Measure again here: `make bench ARGS="kernel_memory 01"`."""


def main(chapters: list[str]) -> None:
    if not Path("/proc/self/smaps_rollup").exists():
        sys.exit("kernel_memory: this system has no /proc/self/smaps_rollup; measure on Linux")
    rows = {row[0]: row for row in _earlier()}
    wanted = {"a kernel, nothing loaded": "", "a kernel with the library loaded": LOADED}
    wanted |= {source.stem: source.text for source in find_sources(ROOT, kinds=("lectures",)) if not chapters or source.stem.startswith(tuple(chapters))}
    rows["JupyterLab's server"] = _row("JupyterLab's server", server_memory())
    with _neighbour():
        for name, what in wanted.items():
            rows[name] = _row(name, kernel_memory(what))
    order = ["JupyterLab's server", *list(wanted)[:2], *(source.stem for source in find_sources(ROOT, kinds=("lectures",)))]
    publish(NAME, TITLE, COLUMNS, [rows[name] for name in order if name in rows], about=machine(), notes=NOTES)


def kernel_memory(what: str | Path) -> dict[str, int]:
    """kB at the end, at most, and of its own; of a notebook's source, or of one cell's code."""
    notebook = read_inputs(what) if isinstance(what, Path) else nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(what)])
    notebook.cells.append(nbformat.v4.new_code_cell(ASK, id="memory"))
    with tempfile.TemporaryDirectory() as folder:
        execute(notebook, Path(folder))
    return json.loads(notebook.cells[-1].outputs[0].text)


def server_memory() -> dict[str, int]:
    """The same of JupyterLab's server once it answers."""
    with tempfile.TemporaryDirectory() as folder:
        runtime = os.environ | {"JUPYTER_RUNTIME_DIR": folder}
        command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.port_retries=50", "--IdentityProvider.token=", f"--ServerApp.root_dir={folder}"]
        server = subprocess.Popen(command, env=runtime, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _await_server(Path(folder))
            status, rollup = (Path(f"/proc/{server.pid}/{file}").read_text() for file in ("status", "smaps_rollup"))
        finally:
            server.terminate()
            server.wait(PATIENCE)
    return {"end": _kb(status, "VmRSS"), "most": _kb(status, "VmHWM"), "own": _kb(rollup, "Private_Clean") + _kb(rollup, "Private_Dirty")}


def _await_server(runtime: Path) -> None:
    """Until the server, which writes its address to a file there, has sent JupyterLab's page."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        for file in runtime.glob("jpserver-*.json"):
            try:
                urllib.request.urlopen(json.loads(file.read_text())["url"] + "lab", timeout=PATIENCE).read()
                return
            except (ValueError, OSError):
                pass  # half written, or not listening yet
        time.sleep(0.2)
    raise RuntimeError("kernel_memory: JupyterLab's server did not start")


def _neighbour() -> subprocess.Popen:
    """A process that has loaded what every kernel loads, and waits."""
    process = subprocess.Popen([sys.executable, "-c", f"{LOADED}\nprint('ready', flush=True)\nimport sys; sys.stdin.read()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                               env=os.environ | {"PYTHONPATH": python_path()})
    assert process.stdout.readline() == "ready\n"
    return process


def _row(name: str, kb: dict[str, int]) -> list:
    print(f"{name}: {kb}", flush=True)
    return [name, *(round(kb[key] * 1.024e-3) for key in ("end", "most", "own")), machine()["date"]]


def _kb(text: str, name: str) -> int:
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name}:"))


def _earlier() -> list[list]:
    file = RESULTS / f"{NAME}.json"
    return json.loads(file.read_text())["rows"] if file.exists() else []


if __name__ == "__main__":
    main(sys.argv[1:])
