"""In Triton's interpreter: half a Gibbs step against its definition on the kernel's own uniforms."""
import pytest
import torch
from hypothesis import given, settings, strategies as st

from deepgen_lib.kernels import triton_gibbs
from deepgen_lib.kernels.counter import HIDDEN, VISIBLE, counter_uniforms, new_clock
from deepgen_lib.kernels.gibbs import gibbs_half_step_reference
from deepgen_lib.kernels.triton_counter import INTERPRETED, Tile

SHAPES = [(1, 1, 1), (3, 5, 7), (17, 33, 19), (1, 70, 130), (0, 3, 4), (5, 0, 3), (4, 3, 0)]


def dyadic(shape, rng, dtype=torch.float32):
    """Multiples of 1/64 below 1/4: sums of them are exact in float32 in any order."""
    return torch.randint(-16, 17, shape, generator=rng).to(dtype) / 64


def case(B, V, H, rng, dtype=torch.float32):
    v = torch.randint(0, 2, (B, V), generator=rng).to(dtype)
    return v, dyadic((V, H), rng, dtype), dyadic((H,), rng, dtype), new_clock(rng, torch.device("cpu"))


def expected(v, W, bias, clock, **where):
    u = counter_uniforms(clock, HIDDEN, len(v), W.shape[1], **where)
    return gibbs_half_step_reference(v.float(), W.float(), bias.float(), u).to(v.dtype)


def test_the_interpreter_is_on():
    assert INTERPRETED


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_samples_are_those_of_the_definition_bit_for_bit(shape, dtype, rng):
    v, W, bias, clock = case(*shape, rng, dtype)
    assert torch.equal(triton_gibbs.gibbs_half_step(v, W, bias, clock, HIDDEN, 3, 5), expected(v, W, bias, clock, step=3, first_row=5))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40), st.integers(0, 2**32 - 1))
def test_any_shape_and_seed(B, V, H, seed):
    v, W, bias, clock = case(B, V, H, torch.Generator().manual_seed(seed))
    assert torch.equal(triton_gibbs.gibbs_half_step(v, W, bias, clock, HIDDEN, 0, 0), expected(v, W, bias, clock))
