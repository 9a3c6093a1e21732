"""The Triton kernels of the RBM on a GPU, compiled: against their definitions there, and the update replayed from its CUDA graph."""
import pytest
import torch

if not torch.cuda.is_available():
    pytest.skip("there is no NVIDIA GPU", allow_module_level=True)
pytest.importorskip("triton")
from torch.testing import assert_close

from deepgen_lib.kernels import triton_cd_step
from deepgen_lib.kernels.anneal import Route, anneal, anneal_reference
from deepgen_lib.kernels.cd_step import CDStep, Plan
from deepgen_lib.kernels.cd_update import Parameters, Rates
from deepgen_lib.kernels.counter import HIDDEN, counter_uniforms, new_clock
from deepgen_lib.kernels.gibbs import gibbs_half_step_reference
from deepgen_lib.kernels import triton_gibbs, triton_sweeps
from deepgen_lib.kernels.sweeps import sweeps_reference
from deepgen_lib.kernels.triton_counter import INTERPRETED

pytestmark = pytest.mark.gpu
GPU = torch.device("cuda")


def dyadic(rng, *shape):
    return (torch.randint(-16, 17, shape, generator=rng) / 64).to(GPU)


def binary(rng, *shape):
    return torch.randint(0, 2, shape, generator=rng).float().to(GPU)


def test_the_kernels_are_compiled():
    assert not INTERPRETED


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("shape", [(1, 1, 1), (17, 33, 19), (100, 784, 500)], ids=str)
def test_half_a_step_draws_what_its_definition_draws(shape, kind, rng):
    n, V, H = shape
    v, W, c, clock = binary(rng, n, V), dyadic(rng, V, H), dyadic(rng, H), new_clock(rng, GPU)
    got = triton_gibbs.gibbs_half_step(v.to(kind), W.to(kind), c.to(kind), clock, HIDDEN, 0, 0)
    assert torch.equal(got.float(), gibbs_half_step_reference(v, W, c, counter_uniforms(clock, HIDDEN, n, H)))


@pytest.mark.parametrize("at_once", [True, False], ids=["one launch", "a launch each"])
def test_sweeps_draw_what_their_definition_draws(at_once, rng):
    h, W, b, c, clock = binary(rng, 70, 130), dyadic(rng, 200, 130), dyadic(rng, 200), dyadic(rng, 130), new_clock(rng, GPU)
    v, p, h_new = triton_sweeps.launch(h, W, b, c, clock, 5, at_once=at_once)
    want = sweeps_reference(h, W, b, c, clock, 5)
    assert torch.equal(v.float(), want[0]) and torch.equal(h_new.float(), want[2])
    assert_close(p, want[1], rtol=1e-5, atol=1e-6)


def test_annealing_weighs_as_its_definition_does(rng):
    route = Route(dyadic(rng, 60, 40), dyadic(rng, 60), dyadic(rng, 40), dyadic(rng, 60), torch.linspace(0, 1, 33, dtype=torch.float64))
    v, state = binary(rng, 50, 60), rng.get_state()
    got = anneal(v, route, rng)
    rng.set_state(state)
    want = anneal_reference(v.double(), Route(*(x.double() for x in route)), new_clock(rng, GPU)).cpu()
    assert_close(got, want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("persistent", [False, True], ids=["CD", "PCD"])
def test_replayed_updates_are_the_launches_one_by_one(persistent, rng):
    """Ten updates, the last seven replayed: fresh numbers, rates and batches at each, to the last bit."""
    plan = Plan(3, persistent, Rates(0.5, 0.01, 0.1))
    W, b, c = dyadic(rng, 33, 20), dyadic(rng, 33), dyadic(rng, 20)
    graphed = Parameters(W, b, c, *(torch.zeros_like(x) for x in (W, b, c)), torch.full_like(b, 0.5), torch.full_like(c, 0.5))
    plain = Parameters(*(x.clone() for x in graphed))
    chains, step = binary(rng, 40, 20), CDStep(plan)
    other, seeds, twin = chains.clone(), torch.Generator().manual_seed(1), torch.Generator().manual_seed(1)
    for number in range(10):
        v, rate = binary(rng, 30, 33), 0.1 / (1 + number)
        step(graphed, v, chains, rate, seeds)
        triton_cd_step.launches(plain, v, other, new_clock(twin, GPU), torch.tensor(rate, device=GPU), plan)
    assert all(replayed.graph is not None for replayed in step._captured.replayed.values())
    assert all(torch.equal(x, y) for x, y in zip(graphed, plain)) and torch.equal(chains, other)
