"""In Triton's interpreter: the update of contrastive divergence against its definition."""
import pytest
import torch
from torch.testing import assert_close

from deepgen_lib.kernels import triton_cd_update
from deepgen_lib.kernels.cd_update import Parameters, Phases, Rates, update, update_reference
from deepgen_lib.kernels.triton_counter import Tile

PLAIN, ALL = Rates(), Rates(0.7, 0.1, 0.03, 0.5, 0.2)


def case(V, H, B, N, rng):
    def normal(*shape):
        return torch.randn(shape, generator=rng)
    parameters = Parameters(normal(V, H), normal(V), normal(H), normal(V, H), normal(V), normal(H), torch.rand(V, generator=rng), torch.rand(H, generator=rng))
    return parameters, Phases(torch.rand(B, V, generator=rng).round(), torch.rand(B, H, generator=rng), torch.rand(N, V, generator=rng).round(), torch.rand(N, H, generator=rng))


def copies(parameters):
    return Parameters(*(x.clone() for x in parameters))


def close(got, want):
    for name, a, b in zip(Parameters._fields, got, want):
        assert_close(a, b, rtol=2e-6, atol=2e-6, msg=lambda text: f"{name}: {text}")


@pytest.mark.parametrize("rates", [PLAIN, ALL, ALL._replace(offset=None), PLAIN._replace(offset=0.01)], ids=["plain", "all", "not centred", "centred alone"])
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (5, 3, 4, 7), (33, 130, 1, 9)], ids=str)
def test_the_update_is_its_definition(shape, rates, rng):
    old, phases = case(*shape, rng)
    new = copies(old)
    update(new, phases, 0.2, rates)
    close(new, update_reference(old, phases, 0.2, rates))


def test_states_may_be_bytes_and_rows_may_lie_apart(rng):
    old, phases = case(5, 3, 4, 7, rng)
    new, wide = copies(old), torch.full((4, 9), float("nan"))
    wide[:, :5] = phases.v_data
    update(new, Phases(wide[:, :5], phases.h_data.T.contiguous().T, phases.v_model.byte(), phases.h_model), 0.2, ALL)
    close(new, update_reference(old, phases, 0.2, ALL))


def test_tiles_do_not_matter_beyond_rounding(rng):
    old, phases = case(35, 21, 19, 50, rng)
    for tile in (Tile(16, 16, 16), Tile(64, 16, 32), Tile(16, 64, 64)):
        new = copies(old)
        triton_cd_update.launch(new, phases, torch.tensor(0.2), ALL, tile=tile)
        close(new, update_reference(old, phases, 0.2, ALL))


def test_a_machine_that_lies_on_its_side_is_refused(rng):
    old, phases = case(5, 3, 4, 7, rng)
    with pytest.raises(ValueError, match="not contiguous"):
        update(old._replace(W=old.W.T.contiguous().T), phases, 0.2, PLAIN)


def test_opcheck(rng):
    parameters, phases = case(5, 3, 4, 7, rng)
    torch.library.opcheck(triton_cd_update.cd_update, (*parameters, *phases, torch.tensor(0.2), *ALL))
