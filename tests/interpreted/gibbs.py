"""In Triton's interpreter: half a Gibbs step against its definition on the kernel's own uniforms."""
import pytest
import torch
from hypothesis import given, settings, strategies as st

from deepgen_lib import gibbs_half_step
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


def test_states_may_be_bytes_and_any_strides(rng):
    v, W, bias, clock = case(5, 6, 7, rng)
    wide = torch.full((5, 12), 9, dtype=torch.uint8)
    wide[:, ::2] = v.byte()
    out = triton_gibbs.launch(wide[:, ::2], W.T.contiguous().T, torch.stack([bias, bias], 1)[:, 0], clock, stream=HIDDEN)
    assert out.dtype == torch.uint8 and torch.equal(out.float(), expected(v, W, bias, clock))


def test_tiles_do_not_matter(rng):
    arguments = case(37, 21, 50, rng)
    results = [triton_gibbs.launch(*arguments, stream=VISIBLE, tile=tile) for tile in (Tile(16, 16, 16), Tile(64, 16, 32), Tile(16, 64, 64))]
    assert all(torch.equal(results[0], other) for other in results[1:])


def test_rows_of_two_devices_are_those_of_one(rng):
    v, W, bias, clock = case(9, 6, 7, rng)
    halves = [triton_gibbs.launch(part, W, bias, clock, stream=HIDDEN, first_row=first) for first, part in ((0, v[:4]), (4, v[4:]))]
    assert torch.equal(torch.cat(halves), triton_gibbs.launch(v, W, bias, clock, stream=HIDDEN))


def test_every_number_of_the_results_is_written_and_nothing_beside_them(rng):
    v, W, bias, clock = case(17, 5, 19, rng)
    room = torch.full((18, 19), float("nan"))
    p = room.clone()
    triton_gibbs.launch(v, W, bias, clock, stream=HIDDEN, out=room[:17], p=p[:17])
    assert torch.equal(room[:17], expected(v, W, bias, clock)) and room[17:].isnan().all() and p[17:].isnan().all()
    torch.testing.assert_close(p[:17], torch.sigmoid(v @ W + bias), rtol=1e-6, atol=1e-7)


def test_zero_never_fires_and_one_always_does(rng):
    v, W, _, clock = case(64, 3, 64, rng)
    for bias, state in ((-200.0, 0.0), (200.0, 1.0)):
        assert (triton_gibbs.launch(v, W, torch.full((64,), bias), clock, stream=HIDDEN) == state).all()


def test_units_fire_as_often_as_their_probabilities_say(rng):
    """Chi-square of 40 units over 2,048 chains at once: 40 degrees of freedom."""
    n, logits = 2048, torch.linspace(-4, 4, 40)
    fired = triton_gibbs.launch(torch.zeros(n, 1), torch.zeros(1, 40), logits, new_clock(rng, logits.device), stream=HIDDEN, tile=Tile(n, 64, 16)).sum(0)
    p = torch.sigmoid(logits)
    assert ((fired - n * p) ** 2 / (n * p * (1 - p))).sum() < 40 + 5 * 80**0.5


def test_the_public_function_takes_the_kernel(rng):
    v, W, bias, _ = case(5, 6, 7, rng)
    state = rng.get_state()
    got = gibbs_half_step(v, W, bias, rng)
    rng.set_state(state)
    assert torch.equal(got, expected(v, W, bias, new_clock(rng, v.device)))


def test_opcheck(rng):
    v, W, bias, clock = case(3, 5, 7, rng)
    torch.library.opcheck(triton_gibbs.gibbs_half_step, (v, W.requires_grad_(), bias, clock, HIDDEN, 1, 2))


def test_torch_compile_takes_the_operation_whole(rng):
    arguments = case(3, 5, 7, rng)
    compiled = torch.compile(lambda *x: triton_gibbs.gibbs_half_step(*x, HIDDEN, 0, 0) * 2, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(*arguments), 2 * expected(*arguments))
