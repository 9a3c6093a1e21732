"""In Triton's interpreter: annealed importance sampling over all temperatures in one launch, against its definition and exact log Z."""
import math

import pytest
import torch
from torch.testing import assert_close

from deepgen_lib.enumeration import log_partition
from deepgen_lib.kernels import triton_anneal
from deepgen_lib.kernels.anneal import Route, anneal, anneal_reference
from deepgen_lib.kernels.counter import new_clock
from deepgen_lib.kernels.triton_counter import Tile
from deepgen_lib.kernels.softplus import sum_softplus_reference
from deepgen_lib.partition import ais_log_partition
from deepgen_lib.rbm import RBM


def dyadic(shape, rng):
    return torch.randint(-16, 17, shape, generator=rng) / 16


def case(N, V, H, T, rng):
    """Dyadic weights and temperatures: every sum of the states' logits is exact."""
    beta = torch.linspace(0, 1, T, dtype=torch.float64)
    return torch.randint(0, 2, (N, V), generator=rng).float(), Route(dyadic((V, H), rng), dyadic((V,), rng), dyadic((H,), rng), dyadic((V,), rng), beta), new_clock(rng, torch.device("cpu"))


def definition(v, route, clock):
    """In float64: the kernel's states are the same, because its logits are exact but for the temperatures' rounding."""
    return anneal_reference(v.double(), Route(*(x.double() for x in route)), clock)


def run(v, route, clock, **options):
    return triton_anneal.launch(v, *route, clock, **options)


@pytest.mark.parametrize("shape", [(1, 1, 1, 2), (3, 5, 7, 5), (17, 19, 33, 9), (2, 3, 130, 3), (0, 3, 4, 3)], ids=str)
@pytest.mark.parametrize("back", [False, True], ids=["forwards", "backwards"])
def test_log_weights_are_those_of_the_definition(shape, back, rng):
    v, route, clock = case(*shape, rng)
    route = route._replace(beta=route.beta.flip(0)) if back else route
    before = v.clone()
    assert_close(run(v, route, clock), definition(v, route, clock), rtol=1e-5, atol=1e-5)
    assert torch.equal(v, before)


def test_weights_on_their_side_give_the_same(rng):
    v, route, clock = case(3, 5, 7, 5, rng)
    assert torch.equal(run(v, route, clock), run(v, route._replace(W=route.W.T.contiguous().T), clock))


def test_tiles_do_not_matter(rng):
    """The states are equal bit for bit, so log w differs only by the order of its sums; one wrong state would move it by 0.01 and more."""
    arguments = case(19, 21, 35, 5, rng)
    results = [run(*arguments, tile=tile) for tile in (Tile(16, 16, 16), Tile(32, 64, 16), Tile(64, 16, 64))]
    for other in results[1:]:
        assert_close(other, results[0], rtol=1e-6, atol=1e-6)


def test_chains_of_two_devices_are_those_of_one(rng):
    v, route, clock = case(9, 6, 7, 5, rng)
    halves = [run(part, route, clock, first_row=first) for first, part in ((0, v[:4]), (4, v[4:]))]
    assert_close(torch.cat(halves), run(v, route, clock), rtol=1e-6, atol=1e-6)
    assert (halves[1] - run(v[4:], route, clock)).abs().max() > 1e-3, "without its number a chain draws those of another"


def test_extreme_weights_neither_overflow_nor_lose_the_sum(rng):
    v, route, clock = case(4, 3, 5, 3, rng)
    route = route._replace(W=400 * route.W, c=400 * route.c)
    assert_close(run(v, route, clock), definition(v, route, clock), rtol=1e-5, atol=1e-5)


def test_the_mean_weight_is_the_ratio_of_normalisers(rng):
    """E[w] = Z / Z_0, Z by enumeration: within five standard errors of 1,024 chains."""
    rbm, n, a = RBM(6, 4), 1024, torch.full((6,), -0.4)
    with torch.no_grad():
        for parameter in rbm.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=rng))
        v = torch.bernoulli(torch.sigmoid(a).expand(n, -1), generator=rng)
        route = Route(rbm.W, rbm.b, rbm.c, a, torch.linspace(0, 1, 8, dtype=torch.float64))
        log_z_base = sum_softplus_reference(a.double()) + 4 * math.log(2)
        w = (run(v, route, new_clock(rng, v.device), tile=Tile(n, 16, 16)) + log_z_base - log_partition(rbm.double())).exp()
    error = w.std() / n**0.5
    assert error < 0.05 and (w.mean() - 1).abs() < 5 * error


def test_the_public_function_takes_the_kernel(rng):
    v, route, _ = case(3, 5, 7, 5, rng)
    state = rng.get_state()
    got = anneal(v, route, rng)
    rng.set_state(state)
    assert torch.equal(got, run(v, route, new_clock(rng, v.device)))


def test_log_z_of_the_library_goes_through_the_kernel(rng):
    rbm = RBM(5, 3, rng=rng)
    result = ais_log_partition(rbm, base_mean=torch.full((5,), 0.4), n_chains=9, n_temperatures=4, rng=rng)
    assert abs(result.estimate - log_partition(rbm.double()).item()) < 0.05  # weights of size 0.01: every chain is nearly exact


def test_opcheck(rng):
    v, route, clock = case(3, 5, 7, 3, rng)
    torch.library.opcheck(triton_anneal.anneal, (v, route.W.requires_grad_(), *route[1:], clock))


def test_every_number_of_the_result_is_written(rng, monkeypatch):
    empty, arguments = torch.empty, case(17, 5, 18, 4, rng)
    want = definition(*arguments)
    def poisoned(*size, **options):
        x = empty(*size, **options)
        return x.fill_(float("nan")) if x.is_floating_point() else x.fill_(200)
    monkeypatch.setattr(torch, "empty", poisoned)
    assert_close(run(*arguments), want, rtol=1e-5, atol=1e-5)
