"""Four processes, and two, under torchrun train each kind of model as one process does on the joint batch; slips of the sharing are seen, and what does not fit together is named."""
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import distributed

from tests import gradient_process, many_processes
from tests.torchrun import finished

SCRIPT = Path(many_processes.__file__)
pytestmark = pytest.mark.skipif(not (distributed.is_available() and distributed.is_gloo_available()), reason="this PyTorch has no gloo")
NEAR = 1e-10  # float64; relative above one


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return finished(tmp_path_factory.mktemp("ranks"), SCRIPT, processes=4)


@pytest.fixture(scope="module")
def ranks(folder):
    """What each of four processes ended with; the first two also trained as two."""
    return [load_file(folder / f"{rank}.safetensors") for rank in range(4)]


@pytest.fixture(scope="module")
def alone():
    """What one process ends with, computed once for each kind and number of processes."""
    known = {}

    def ends_with(kind, size):
        if (kind, size) not in known:
            known[kind, size] = gradient_process.by_hand(size) if kind == "nvae" else many_processes.alone(kind, size)
        return known[kind, size]
    return ends_with


def whole(ranks, size, kind, name):
    """A tensor as the job has it: PCD's chains of all processes, else the first one's."""
    parts = [own[f"{size}.{kind}.{name}"] for own in ranks[:size]]
    return torch.cat(parts) if name == "trainer.chains" else parts[0]


def distance(ranks, size, name, expected) -> float:
    return max(((whole(ranks, size, name, key) - value).abs() / value.abs().clamp(min=1)).max().item()
               for key, value in expected.items() if value.is_floating_point() and value.numel())


def apart(ranks, size, name) -> float:
    """How far the processes are from each other, chains left out."""
    keys = [key for key in ranks[0] if key.startswith(f"{size}.{name}.") and not key.endswith("trainer.chains")]
    assert keys
    return max((own[key] - ranks[0][key]).abs().max().item() for own in ranks[1:size] for key in keys if own[key].numel())


@pytest.mark.parametrize("size", many_processes.SIZES, ids="{} processes".format)
@pytest.mark.parametrize("kind", [*many_processes.KINDS, "nvae"])
def test_many_processes_train_what_one_trains(ranks, alone, kind, size):
    assert distance(ranks, size, kind, alone(kind, size)) < NEAR and apart(ranks, size, kind) == 0.0


@pytest.mark.parametrize("kind", ["cd", "pcd"])
def test_an_rbm_does_not_depend_on_the_number_of_processes(ranks, kind):
    names = [key.removeprefix(f"4.{kind}.") for key in ranks[0] if key.startswith(f"4.{kind}.")]
    assert distance(ranks, 4, kind, {name: whole(ranks, 2, kind, name) for name in names}) < NEAR
    assert kind == "cd" or whole(ranks, 4, kind, "trainer.chains").shape == (8, 6)


@pytest.mark.parametrize("slip", ["forgotten", "late", "same_chains", "no_start", "own_clock", "whole_batch"])
def test_a_slip_is_seen(ranks, alone, slip):
    assert distance(ranks, 4, slip, alone("cd" if slip == "whole_batch" else "pcd", 4)) > 1e-3


@pytest.mark.parametrize("kind", ["up_down", "conv", "vae"])
def test_a_forgotten_average_is_seen_in_every_trainer(ranks, alone, kind):
    assert distance(ranks, 4, f"forgotten_{kind}", alone(kind, 4)) > 1e-3 and apart(ranks, 4, f"forgotten_{kind}") > 1e-3


@pytest.mark.parametrize("size", many_processes.SIZES, ids="{} processes".format)
def test_a_stack_is_the_same_everywhere_and_starts_at_the_mean_of_all(ranks, size):
    assert apart(ranks, size, "greedy") == 0.0
    parts = many_processes.bits(many_processes.PIXELS)(0).chunk(size)
    mean = sum(many_processes.base_rate(x) for x in parts) / size
    torch.testing.assert_close(ranks[0][f"{size}.still.directed.0.b"], torch.logit(mean), rtol=0, atol=1e-12)


SAID = {"rows": "average_: rows on processes 0 to 3: 5, 5, 6, 5", "shapes": "average_: elements on processes 0 to 3: 3, 4, 3, 3", "models": "share_first: elements on processes 0 to 3: 69, 69, 69, 79",
        "same size, other form": "share_first: checksum of their shapes", "shares": "fit: examples on processes 0 to 3: 7, 8, 8, 8", "options": "fit: options on processes 0 to 3",
        "places": "another is elsewhere in the program", "chains": "n_chains is 10 for 4 processes, expected a number that they divide; take 8"}


@pytest.mark.parametrize("name", SAID)
def test_every_process_says_what_does_not_fit(folder, name):
    for rank in range(4):
        said = json.loads((folder / f"{rank}.json").read_text())
        assert SAID[name] in said[name] and "expected" in said[name] and said.keys() == SAID.keys()
