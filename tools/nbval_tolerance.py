"""pytest plugin: nbval with a numeric tolerance, pictures compared through their words, and no cell left out.

    python -m pytest --nbval -p tools.nbval_tolerance notebooks solutions -n 2 --dist loadscope

Tags of a cell: rtol-0.05 and atol-0.1 set its tolerance (default 1e-3 and 1e-6). What is compared and how: tools/tolerance.py.
A picture's pixels are not compared, its text/plain is, so a figure without words fails. Kernels are this interpreter's.
"""
from __future__ import annotations

import functools
import json
import os
from collections import Counter, defaultdict
from pathlib import Path

import nbval.kernel
import pytest
from jupyter_client.manager import KernelManager
from nbval.plugin import IPyNbCell, coalesce_streams

from tools.kernel_sockets import kernel_transport
from tools.running import FIXED, PATIENCE, WIDGET, python_path
from tools.sources import code_cells, read_notebook, tags_of
from tools.tolerance import first_difference, tolerance_of

PICTURES = ("image/png", "image/jpeg")
WORDLESS = "a picture without words (its text/plain is missing or blank)"


def pytest_itemcollected(item):
    """nbval runs a cell, we compare."""
    if isinstance(item, IPyNbCell):
        item.output_timeout = PATIENCE
        item.compare_outputs = functools.partial(_compare_cell, item)
        item.raise_cell_error = functools.partial(_raise_named, item, item.raise_cell_error)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item):
    if isinstance(item, IPyNbCell) and item.cell.execution_count is None and not item.options["skip"]:
        item.raise_cell_error("never executed, so there is nothing to compare with; build the notebook")


def _compare_cell(item: IPyNbCell, got: list, stored: list) -> bool:
    """In place of IPyNbCell.compare_outputs: True when the outputs just computed agree with the stored ones."""
    difference = compare(got, stored, tolerance_of(tags_of(item.cell)))
    item.comparison_traceback = [f"In {difference}"]
    return difference is None


def _raise_named(item: IPyNbCell, raise_cell_error, message: str, *arguments) -> None:
    """In place of IPyNbCell.raise_cell_error: the message also names the notebook and the cell's id."""
    name = os.path.relpath(item.path, item.config.rootpath)
    raise_cell_error(f"{message}: {name}, cell {item.cell.id} (code cell {item.cell_num + 1})", *arguments)


def compare(got_outputs: list, expected_outputs: list, tolerance) -> str | None:
    """None when two lists of outputs say the same; otherwise which output differs and how."""
    got, expected = _texts(got_outputs), _texts(expected_outputs)
    if WORDLESS in expected["picture"] + got["picture"]:
        return f"the {'stored' if WORDLESS in expected['picture'] else 'new'} outputs: {WORDLESS}, expected a description in words"
    for kind in expected | got:
        if len(got[kind]) != len(expected[kind]):
            return f"the outputs: got {len(got[kind])} of kind {kind}, expected {len(expected[kind])}{_quote(got[kind], expected[kind])}"
        for number, (a, b) in enumerate(zip(got[kind], expected[kind]), start=1):
            difference = first_difference(a, b, tolerance)
            if difference:
                return f"{kind}, output {number}, {difference}"
    return None


def _texts(outputs: list) -> dict[str, list[str]]:
    """What is compared: kind of output -> its texts in order.  The order between kinds is left to chance by Jupyter."""
    texts = defaultdict(list)
    for output in coalesce_streams(outputs):
        if output.output_type == "stream":
            texts[output.name].append(output.text)
        elif output.output_type == "error":
            texts["error"].append(f"{output.ename}: {output.evalue}")
        else:
            for kind, content in output.data.items():
                if kind in PICTURES:
                    words = output.data.get("text/plain", "").strip()
                    texts["picture"].append("a picture with words" if words else WORDLESS)
                elif kind != WIDGET:  # its model id is random
                    texts[kind].append(content if isinstance(content, str) else json.dumps(content, sort_keys=True))
    return texts


def _quote(got: list[str], expected: list[str]) -> str:
    longer, said = (got, "got") if len(got) > len(expected) else (expected, "missing")
    extra = list((Counter(longer) - Counter(expected if longer is got else got)).elements())
    return f"; {said}: {extra[0].strip()[:160]!r}" if extra else ""


class _AllCellsRan:
    """Fails a run in which a notebook that was asked for had fewer cells run than it holds."""

    def __init__(self, config):
        self.config, self.ran, self.missing = config, Counter(), []

    def pytest_runtest_logreport(self, report):
        if report.when == "call" and ".ipynb::" in report.nodeid:
            self.ran[report.nodeid.split("::")[0]] += 1

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session):
        if any("::" in argument for argument in self.config.args):
            return
        for path in _notebooks(Path(self.config.invocation_params.dir, argument) for argument in self.config.args):
            name = Path(os.path.relpath(path, self.config.rootpath)).as_posix()
            n_ran, n_cells = self.ran[name], len(code_cells(read_notebook(path)))
            if n_ran < n_cells:
                self.missing.append(f"{name}: {n_ran} of {n_cells} code cells were run")
        if self.missing:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter):
        if self.missing:
            terminalreporter.section("cells that were not compared", red=True)
            for line in self.missing:
                terminalreporter.line(line)


def _notebooks(arguments):
    for path in arguments:
        yield from sorted(p for p in path.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts) if path.is_dir() else [path]


@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    if not config.option.nbval:
        raise pytest.UsageError("nbval_tolerance: got no --nbval, expected it; this plugin compares notebooks and nothing else")
    nbval.kernel.KernelManager = lambda **options: KernelManager(**options, **kernel_transport())
    config.option.nbval_current_env = True
    config.option.nbval_kernel_startup_timeout = PATIENCE
    for name, value in FIXED.items():
        os.environ.setdefault(name, value)
    os.environ["PYTHONPATH"] = python_path()
    if not hasattr(config, "workerinput") and not config.option.collectonly:
        config.pluginmanager.register(_AllCellsRan(config))
