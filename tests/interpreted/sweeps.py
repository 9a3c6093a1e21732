"""In Triton's interpreter: Gibbs sweeps of many chains in one launch, against their definition, tile sizes and enumeration."""
import pytest
import torch

from deepgen_lib import all_states
from deepgen_lib.enumeration import gibbs_transition_matrix, state_numbers, visible_log_prob
from deepgen_lib.kernels import triton_sweeps
from deepgen_lib.kernels.counter import new_clock
from deepgen_lib.kernels.sweeps import sweeps, sweeps_reference
from deepgen_lib.kernels.triton_counter import Tile
from deepgen_lib.rbm import RBM

WIDE = Tile(2048, 16, 16)  # few programs: the interpreter runs them one after another


def dyadic(shape, rng):
    return torch.randint(-16, 17, shape, generator=rng) / 64


def case(N, V, H, rng, *, turned=False):
    W = dyadic((H, V), rng).T if turned else dyadic((V, H), rng)
    return torch.randint(0, 2, (N, H), generator=rng).float(), W, dyadic((V,), rng), dyadic((H,), rng), new_clock(rng, torch.device("cpu"))


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 7), (17, 33, 19), (1, 3, 130), (0, 3, 4)], ids=str)
@pytest.mark.parametrize("turned", [False, True], ids=["W", "turned W"])
def test_states_are_those_of_the_definition_bit_for_bit(shape, turned, rng):
    h, *rest = case(*shape, rng, turned=turned)
    before = h.clone()
    (v, p, new_h), (want_v, want_p, want_h) = triton_sweeps.sweeps(h, *rest, 3), sweeps_reference(h, *rest, 3)
    assert torch.equal(v, want_v) and torch.equal(new_h, want_h) and torch.equal(h, before)
    torch.testing.assert_close(p, want_p, rtol=1e-6, atol=1e-6)


def test_tiles_do_not_matter(rng):
    arguments = case(19, 21, 35, rng)
    results = [triton_sweeps.launch(*arguments, 2, tile=tile) for tile in (Tile(16, 16, 16), Tile(32, 16, 64), Tile(64, 64, 32))]
    assert all(torch.equal(a, b) for other in results[1:] for a, b in zip(results[0], other))


def test_one_launch_and_one_for_each_half_step_are_the_same(rng):
    arguments = case(19, 21, 35, rng)
    assert all(torch.equal(a, b) for a, b in zip(triton_sweeps.launch(*arguments, 3, at_once=True), triton_sweeps.launch(*arguments, 3, at_once=False)))


@pytest.mark.parametrize("at_once", [True, False])
def test_chains_of_two_devices_are_those_of_one(at_once, rng):
    h, *rest = case(9, 6, 7, rng)
    parts = [triton_sweeps.launch(part, *rest, 2, first_row=first, at_once=at_once) for first, part in ((0, h[:4]), (4, h[4:]))]
    assert all(torch.equal(torch.cat(halves), whole) for halves, whole in zip(zip(*parts), triton_sweeps.launch(h, *rest, 2)))


def test_one_launch_is_its_half_steps_after_one_another(rng):
    h, W, b, c, clock = case(9, 6, 5, rng)
    v, p, both = triton_sweeps.sweeps(h, W, b, c, clock, 2)
    first = triton_sweeps.sweeps(h, W, b, c, clock, 1)[2]
    clock[1] += 1
    assert torch.equal(triton_sweeps.sweeps(first, W, b, c, clock, 1)[2], both)


def test_sweeps_carry_a_distribution_through_the_transition_matrix(rng):
    """Chi-square over the 16 states of v after two sweeps from one fixed h: 15 degrees of freedom, 5 standard deviations."""
    rbm, n = RBM(4, 3), 8192
    with torch.no_grad():
        for parameter in rbm.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=rng))
        h = torch.tensor([1.0, 0.0, 1.0]).expand(n, -1)
        v, _, _ = triton_sweeps.launch(h, rbm.W, rbm.b, rbm.c, new_clock(rng, h.device), 2, tile=WIDE)
        p_first = torch.where(all_states(4).bool(), torch.sigmoid(rbm.visible_logits(h[:1])), 1 - torch.sigmoid(rbm.visible_logits(h[:1]))).prod(1)
        p = p_first.to(torch.float64) @ gibbs_transition_matrix(rbm).double()
    counts = torch.bincount(state_numbers(v.float()), minlength=16)
    chi_square = ((counts - n * p) ** 2 / (n * p)).sum().item()
    assert chi_square < 15 + 5 * 30**0.5


def test_sweeps_leave_the_model_invariant(rng):
    """Start in exact draws of p(v, h): 16 states of v, 15 degrees of freedom."""
    rbm, n = RBM(4, 3), 8192
    with torch.no_grad():
        for parameter in rbm.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=rng))
        p = visible_log_prob(rbm).exp().double()
        v = all_states(4).float()[torch.multinomial(p, n, replacement=True, generator=rng)]
        h = torch.bernoulli(torch.sigmoid(rbm.hidden_logits(v)), generator=rng)
        v, _, _ = triton_sweeps.launch(h, rbm.W, rbm.b, rbm.c, new_clock(rng, h.device), 1, tile=WIDE)
    counts = torch.bincount(state_numbers(v.float()), minlength=16)
    assert ((counts - n * p) ** 2 / (n * p)).sum().item() < 15 + 5 * 30**0.5


def test_the_public_function_takes_the_kernel(rng):
    h, W, b, c, _ = case(3, 5, 7, rng)
    state = rng.get_state()
    got = sweeps(h, W, b, c, 2, rng)
    rng.set_state(state)
    assert all(torch.equal(x, y) for x, y in zip(got, triton_sweeps.sweeps(h, W, b, c, new_clock(rng, h.device), 2)))


def test_opcheck(rng):
    h, W, *rest = case(3, 5, 7, rng)
    torch.library.opcheck(triton_sweeps.sweeps, (h, W.requires_grad_(), *rest, 2))


def test_torch_compile_takes_the_operation_whole(rng):
    arguments = case(3, 5, 7, rng)
    compiled = torch.compile(lambda *x: triton_sweeps.sweeps(*x, 2)[0], fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(*arguments), triton_sweeps.sweeps(*arguments, 2)[0])


def test_every_number_of_the_results_is_written(rng, monkeypatch):
    empty = torch.empty
    def poisoned(*size, **options):
        x = empty(*size, **options)
        return x.fill_(float("nan")) if x.is_floating_point() else x.fill_(200)
    arguments = case(17, 5, 18, rng)
    want = sweeps_reference(*arguments, 2)
    monkeypatch.setattr(torch, "empty", poisoned)
    v, p, h = triton_sweeps.launch(*arguments, 2)
    assert torch.equal(v.float(), want[0]) and torch.equal(h.float(), want[2]) and not p.isnan().any()
