"""DEEPGEN_KERNELS: what each choice does, and every refusal with its reason. No GPU and no Triton are needed here."""
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from deepgen_lib.kernels import backend
from deepgen_lib.kernels.backend import use_triton

ROOT = Path(__file__).resolve().parents[1]
x = torch.zeros(2, 3)


@pytest.fixture
def here(monkeypatch):
    """A machine with Triton and without a GPU, nothing chosen; here(name="value") sets variables."""
    for name in ("DEEPGEN_KERNELS", "TRITON_INTERPRET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(backend, "triton_is_importable", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    def choose(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
    return choose


class OnGPU:
    """Stands in for a tensor on a GPU."""
    is_cuda, dtype, device = True, torch.float32, "cuda:0"


@pytest.fixture
def gpu(here, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    return here


@pytest.mark.parametrize("variables", [{}, {"DEEPGEN_KERNELS": ""}, {"DEEPGEN_KERNELS": "auto"}, {"DEEPGEN_KERNELS": "torch"}, {"TRITON_INTERPRET": "1"}], ids=str)
def test_tensors_on_the_cpu_take_the_torch_path(here, variables):
    here(**variables)
    assert not use_triton("f", x)


def test_auto_takes_triton_on_a_gpu_and_torch_does_not(gpu):
    assert use_triton("f", OnGPU())
    gpu(DEEPGEN_KERNELS="torch")
    assert not use_triton("f", OnGPU())


def test_auto_falls_back_where_triton_or_the_number_type_or_the_gpu_does_not_serve(gpu, monkeypatch):
    assert not use_triton("f", OnGPU(), dtypes=(torch.float64,))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 0))
    assert not use_triton("f", OnGPU())
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(backend, "triton_is_importable", lambda: False)
    assert not use_triton("f", OnGPU())


def test_triton_is_taken_where_the_interpreter_is_on(here):
    here(DEEPGEN_KERNELS="triton", TRITON_INTERPRET="1")
    assert use_triton("f", x)


def test_float64_runs_in_plain_pytorch_whatever_the_choice(here):
    here(DEEPGEN_KERNELS="triton")
    assert not use_triton("f", x.double())


def test_an_unknown_choice_is_refused(gpu):
    gpu(DEEPGEN_KERNELS="cuda")
    for tensor in (x, OnGPU()):
        with pytest.raises(ValueError, match="f: DEEPGEN_KERNELS is 'cuda', expected one of auto, torch, triton"):
            use_triton("f", tensor)


def test_triton_without_a_gpu_is_refused_with_the_reason(here):
    here(DEEPGEN_KERNELS="triton")
    with pytest.raises(RuntimeError, match="f: DEEPGEN_KERNELS is 'triton', but there is no NVIDIA GPU; set TRITON_INTERPRET=1"):
        use_triton("f", x)


def test_triton_that_is_not_there_is_refused_with_the_reason(here, monkeypatch):
    here(DEEPGEN_KERNELS="triton", TRITON_INTERPRET="1")
    monkeypatch.setattr(backend, "triton_is_importable", lambda: False)
    with pytest.raises(RuntimeError, match="Triton cannot be imported here"):
        use_triton("f", x)


def test_triton_refuses_a_tensor_on_the_cpu_beside_a_gpu_an_old_gpu_and_a_number_type(gpu, monkeypatch):
    gpu(DEEPGEN_KERNELS="triton")
    with pytest.raises(RuntimeError, match="a tensor is on the CPU"):
        use_triton("f", OnGPU(), x)
    with pytest.raises(RuntimeError, match="no torch.float32, expected torch.float64"):
        use_triton("f", OnGPU(), dtypes=(torch.float64,))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 0))
    with pytest.raises(RuntimeError, match="compute capability 7.0, expected at least 7.5"):
        use_triton("f", OnGPU())


HIDDEN = """
import sys
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "triton":
            raise ModuleNotFoundError("No module named 'triton'", name="triton")
sys.meta_path.insert(0, Hide())
import importlib.util, torch, deepgen_lib
from deepgen_lib import gibbs_half_step
h = gibbs_half_step(torch.zeros(2, 3), torch.zeros(3, 4), torch.zeros(4), torch.Generator())
assert h.shape == (2, 4) and "triton" not in sys.modules
"""


def test_the_library_works_with_no_triton():
    ran = subprocess.run([sys.executable, "-c", HIDDEN], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
