"""The small NVAE that ships: its pictures, its sizes, and a file that holds the network that its note speaks of."""
import json

import torch

from deepgen_lib import NVAE, load_notes
from deepgen_lib.nvae_small import CHECKPOINT, SMALL_NVAE, bare_small_nvae, load_small_nvae, small_digits


def bound(model: NVAE, x: torch.Tensor):
    return model.elbo(x, torch.Generator().manual_seed(1))


def test_the_pictures_are_half_size_and_binary_and_always_the_same():
    x = small_digits("test")
    assert x.shape == (10_000, 1, 14, 14) and set(x.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(x, small_digits("test")) and 0.1 < x.mean() < 0.2


def test_the_shipped_network_has_the_bound_that_its_note_says_and_a_fresh_one_does_not():
    """On 2,000 test pictures: the note is a mean over 10,000, whose standard error is about a tenth of a nat."""
    notes, x = load_notes(CHECKPOINT), small_digits("test")[torch.randperm(10_000, generator=torch.Generator().manual_seed(0))[:2000]]
    model = load_small_nvae()
    with torch.no_grad():
        found = bound(model, x)
    assert abs(found.total.mean() - float(notes["test_bound"])) < 1
    assert (found.kl.mean(0) - torch.tensor(json.loads(notes["test_kl"]))).abs().max() < 0.3
    assert bound(bare_small_nvae(), x[:200]).total.mean() < -100
    assert not model.training and not any(p.requires_grad for p in model.parameters())


def test_no_group_of_the_shipped_network_is_silent():
    kl = torch.tensor(json.loads(load_notes(CHECKPOINT)["test_kl"]))
    assert kl.shape == (SMALL_NVAE.n_groups,) and kl.min() > 0.3


def test_the_note_holds_three_seeds_of_each_way():
    runs = json.loads(load_notes(CHECKPOINT)["runs"])
    assert set(runs) == {"relative", "absolute", "relative, no warm-up", "absolute, no warm-up"}
    assert all(len(found) == 3 and all(-60 < bound < -35 and len(kl) == 4 for bound, kl in found) for found in runs.values())
