"""Execute a notebook in a fresh kernel of this interpreter, the same way wherever it is built."""
from __future__ import annotations

import os
import subprocess
from pathlib import Path

import nbclient
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from nbval.kernel import CURRENT_ENV_KERNEL_NAME, NbvalKernelspecManager

from tools.kernel_sockets import kernel_transport
from tools.sources import ROOT, code_cells

FIXED = {"TQDM_DISABLE": "1", "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0", "DEEPGEN_PROGRESS": "off"}  # the last: no build writes to a student's file
PATIENCE = 180  # seconds that a busy machine may take to start a kernel or to deliver an output
WIDGET = "application/vnd.jupyter.widget-view+json"


def python_path() -> str:
    """PYTHONPATH for kernels: what the caller set, then this checkout, so that its deepgen_lib is found from any folder."""
    return os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(ROOT)]))


def execute(notebook: NotebookNode, folder: Path, *, allow_errors: bool = False, timeout: int = 600) -> NotebookNode:
    """Run every cell in order in a new kernel started in `folder`; outputs and counts 1..n are stored in `notebook`.

    Raises RuntimeError naming the cell and its error, unless allow_errors.
    """
    manager = AsyncKernelManager(kernel_name=CURRENT_ENV_KERNEL_NAME, kernel_spec_manager=NbvalKernelspecManager(), **kernel_transport())
    client = nbclient.NotebookClient(notebook, km=manager, timeout=timeout, startup_timeout=PATIENCE, iopub_timeout=PATIENCE,
                                     allow_errors=allow_errors, record_timing=False, store_widget_state=False, coalesce_streams=True,
                                     resources={"metadata": {"path": str(folder)}})
    started = []
    client.on_cell_execute = lambda cell, cell_index: started.append(cell)
    metadata = notebook.metadata.copy()
    environment = os.environ | FIXED | {"PYTHONPATH": python_path()}
    try:
        client.execute(env=environment, stderr=subprocess.DEVNULL, cleanup_kc=True)  # of stderr this hides the kernel's own log alone
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        raise RuntimeError(_failure(notebook, started, error)) from None
    notebook.metadata = metadata  # the client adds the kernel's exact version
    for cell in code_cells(notebook):
        cell.outputs = [_without_widget_view(output) for output in cell.outputs]
    return notebook


def _failure(notebook: NotebookNode, started: list[NotebookNode], error: Exception) -> str:
    """Names the cell that ran last and what stopped it."""
    if not started:
        return f"the kernel did not start: {type(error).__name__}: {error}"
    cell = started[-1]
    stopped = [f"{output.ename}: {output.evalue}" for output in cell.outputs if output.output_type == "error"]
    reason = stopped[-1] if stopped else f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
    return f"cell {cell.id} (code cell {code_cells(notebook).index(cell) + 1}): {reason}"


def _without_widget_view(output: NotebookNode) -> NotebookNode:
    """A stored widget has no model any more: keep the picture and the words beside it, which every viewer can show."""
    if WIDGET in output.get("data", {}) and len(output.data) > 1:
        del output.data[WIDGET]
    return output
