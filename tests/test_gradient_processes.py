"""Two processes under torchrun train an NVAE as one process does that takes the mean of both gradients by hand; slips of the exchange are seen."""
from pathlib import Path

import pytest
from safetensors.torch import load_file
from torch import distributed

from tests import gradient_process
from tests.torchrun import finished

SCRIPT = Path(gradient_process.__file__)
pytestmark = pytest.mark.skipif(not (distributed.is_available() and distributed.is_gloo_available()), reason="this PyTorch has no gloo")


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """What each of two processes ended with."""
    folder = finished(tmp_path_factory.mktemp("ranks"), SCRIPT, processes=2)
    return [load_file(folder / f"{rank}.safetensors") for rank in (0, 1)]


@pytest.fixture(scope="module")
def alone():
    return gradient_process.by_hand()


def distance(ranks, name, alone, *, gradients=True) -> float:
    """How far the first process is from the one that does both processes' work, relative above one."""
    kept = {key: value for key, value in alone.items() if gradients or not key.startswith("grad.")}
    return max(((ranks[0][f"{name}.{key}"] - value).abs() / value.abs().clamp(min=1)).max().item() for key, value in kept.items() if value.is_floating_point())


def apart(ranks, name) -> float:
    """How far the processes are from each other."""
    return max((value - ranks[1][key]).abs().max().item() for key, value in ranks[0].items() if key.startswith(f"{name}."))


def test_two_processes_train_what_one_trains(ranks, alone):
    assert distance(ranks, "right", alone) < 1e-9 and apart(ranks, "right") == 0.0
    assert any("running_var" in key for key in alone) and any(key.startswith("grad.top_down") for key in alone)


@pytest.mark.parametrize("name", ["own", "total", "gradients_alone", "first_alone"])
def test_a_wrong_exchange_is_seen(ranks, alone, name):
    assert distance(ranks, name, alone) > 1e-3


@pytest.mark.parametrize("name", ["own", "gradients_alone", "no_start"])
def test_without_the_exchange_the_processes_drift_apart(ranks, name):
    assert apart(ranks, name) > 1e-3


def test_a_sum_in_place_of_the_mean_moves_the_weights_too(ranks, alone):
    """Adamax divides by the gradient's size; what is shortened to a norm, and the averages' start, still differ."""
    assert distance(ranks, "total", alone, gradients=False) > 1e-3
