"""Kernels of builds and of validation do not race for TCP ports."""
from __future__ import annotations

import glob
import sys
import tempfile

import nbformat
import pytest

from tests.toy_course import run_nbval
from tools.kernel_sockets import kernel_transport
from tools.running import execute
from tools.sources import write_notebook

ASK = "from ipykernel.kernelapp import IPKernelApp\nprint(IPKernelApp.instance().transport, IPKernelApp.instance().ip)"
ASK_TRANSPORT = "from ipykernel.kernelapp import IPKernelApp\nprint(IPKernelApp.instance().transport)"
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no socket files on Windows")


def notebook_of(*sources):
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])


def test_two_kernels_have_socket_files_of_their_own_and_leave_none_behind(tmp_path):
    said = [execute(notebook_of(ASK), tmp_path).cells[0].outputs[0].text.split() for _ in range(2)]
    assert [transport for transport, _ in said] == ["ipc", "ipc"] and said[0][1] != said[1][1]
    assert not [path for _, ip in said for path in glob.glob(ip + "*")]


def test_validation_starts_its_kernels_the_same_way(tmp_path):
    (tmp_path / "notebooks").mkdir()
    write_notebook(execute(notebook_of(ASK_TRANSPORT), tmp_path), tmp_path / "notebooks/01_ask.ipynb")
    run = run_nbval(tmp_path, "notebooks")
    assert run.returncode == 0, run.stdout


def test_a_folder_with_a_long_path_falls_back_to_ports(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/" + 90 * "x")
    assert kernel_transport() == {}
