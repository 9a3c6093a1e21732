"""A notebook's kernel that can be interrupted, killed and started again while its cells run, in a folder whose files are looked at afterwards."""
from __future__ import annotations

import os
import queue
import subprocess
import time
from pathlib import Path

from jupyter_client.manager import KernelManager
from nbformat import NotebookNode
from nbformat.v4 import new_output, output_from_msg
from nbval.kernel import CURRENT_ENV_KERNEL_NAME, NbvalKernelspecManager

from tools.kernel_sockets import kernel_transport
from tools.nbval_tolerance import compare
from tools.running import FIXED, PATIENCE, python_path
from tools.sources import tags_of
from tools.tolerance import tolerance_of

SHOWN = ("stream", "display_data", "execute_result", "error")
RECORD = ("progress.json", ".progress.json.lock")  # what a student's folder may keep


class LiveKernel:
    """A kernel that works in `folder`, with temporary files in `folder`/tmp; to be used in a with statement."""

    def __init__(self, folder: Path, **variables: str):
        self.folder = folder
        (folder / "tmp").mkdir(parents=True, exist_ok=True)
        self._environment = os.environ | FIXED | {"PYTHONPATH": python_path(), "DEEPGEN_PROGRESS": str(folder / RECORD[0]), "TMPDIR": str(folder / "tmp")} | variables
        self._start()

    def __enter__(self) -> LiveKernel:
        return self

    def __exit__(self, *_) -> None:
        self.client.stop_channels()
        self.kill()

    def run(self, source: str, *, interrupt_after: float | None = None, kill_after: float | None = None) -> list[NotebookNode] | None:
        """The cell's outputs; None where the kernel was killed. An interrupt or kill that comes too late does not happen."""
        request, began, outputs = self.client.execute(source, allow_stdin=False), time.monotonic(), []
        self.interrupted = False  # whether the interrupt came in time
        while True:
            now = time.monotonic() - began
            if kill_after is not None and now >= kill_after:
                self.kill()
                return None
            if interrupt_after is not None and now >= interrupt_after:
                self.interrupt()
                interrupt_after, self.interrupted = None, True
            try:
                message = self.client.get_iopub_msg(timeout=_next(now, interrupt_after, kill_after))
            except queue.Empty:
                if self._manager.is_alive():
                    continue
                self.restart()
                return [*outputs, new_output("error", ename="DeadKernel", evalue="the kernel died by itself and was started again, as Jupyter does", traceback=[])]
            if message["parent_header"].get("msg_id") != request:
                continue
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return outputs if self._status(request) != "aborted" else self.run(source)  # what is sent at once after an error waits in vain, in Jupyter too
            if message["msg_type"] in SHOWN:
                outputs.append(output_from_msg(message))

    def _status(self, request: str) -> str:
        while (reply := self.client.get_shell_msg(timeout=PATIENCE))["parent_header"].get("msg_id") != request:
            pass
        return reply["content"]["status"]

    def interrupt(self) -> None:
        self._manager.interrupt_kernel()

    def kill(self) -> None:
        if self._manager.has_kernel:
            self._manager.shutdown_kernel(now=True)

    def restart(self) -> None:
        """Another kernel in the same folder, as Jupyter's own button does."""
        self.client.stop_channels()
        self.kill()
        self._start()

    def stale(self) -> list[str]:
        """Files in its folder that no student asked for."""
        found = [path.relative_to(self.folder).as_posix() for path in sorted(self.folder.rglob("*")) if path.is_file()]
        return [name for name in found if name not in RECORD]

    def _start(self) -> None:
        self._manager = KernelManager(kernel_name=CURRENT_ENV_KERNEL_NAME, kernel_spec_manager=NbvalKernelspecManager(), **kernel_transport())
        self._manager.start_kernel(cwd=str(self.folder), env=self._environment, stderr=subprocess.DEVNULL)
        self.client = self._manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=PATIENCE)


def _next(now: float, *moments: float | None) -> float:
    return max(0.001, min([1.0, *(moment - now for moment in moments if moment is not None)]))


def error_of(outputs: list[NotebookNode]) -> str:
    """Name of the exception that a cell ended with, or nothing."""
    return next((output.ename for output in outputs if output.output_type == "error"), "")


def difference(outputs: list[NotebookNode], cell: NotebookNode) -> str | None:
    """What is not as committed, as `make test` compares it; None is good."""
    return compare(outputs, cell.outputs, tolerance_of(tags_of(cell)))
