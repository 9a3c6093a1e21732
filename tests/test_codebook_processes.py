"""Two processes under torchrun learn the codebook of one process on the joint batch, and both the same; slips of the reduction are seen."""
from pathlib import Path

import pytest
from safetensors.torch import load_file
from torch import distributed

from tests import codebook_process
from tests.torchrun import finished

SCRIPT = Path(codebook_process.__file__)
pytestmark = pytest.mark.skipif(not (distributed.is_available() and distributed.is_gloo_available()), reason="this PyTorch has no gloo")


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """What each of two processes ended with."""
    folder = finished(tmp_path_factory.mktemp("ranks"), SCRIPT, processes=2)
    return [load_file(folder / f"{rank}.safetensors") for rank in (0, 1)]


def differences(ranks, name) -> tuple[float, float]:
    """(how far the processes are from one process on everything, relative above one; how far they are from each other)."""
    alone = codebook_process.train(0, 1).state_dict()
    pairs = [(ranks[0][f"{name}.{key}"], ranks[1][f"{name}.{key}"], value) for key, value in alone.items()]
    return max(((ours - value).abs() / value.abs().clamp(min=1)).max().item() for ours, _, value in pairs), max((ours - theirs).abs().max().item() for ours, theirs, _ in pairs)


def test_two_processes_learn_what_one_learns(ranks):
    from_one, from_each_other = differences(ranks, "right")
    assert from_one < 1e-6 and from_each_other == 0.0


@pytest.mark.parametrize("name", ["mean_of_means", "own_statistics", "means_of_totals"])
def test_a_wrong_reduction_is_seen(ranks, name):
    assert differences(ranks, name)[0] > 1e-3


def test_statistics_of_its_own_make_the_processes_differ(ranks):
    assert differences(ranks, "own_statistics")[1] > 1e-3


@pytest.mark.parametrize("what", ["revived", "fresh"])
def test_drawn_codes_are_the_same_on_both(ranks, what):
    """Though each process drew from its own vectors with its own numbers."""
    assert (ranks[0][what] == ranks[1][what]).all()
