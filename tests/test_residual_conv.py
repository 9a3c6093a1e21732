"""Small residual networks: sizes, their own generator, signals of order one at the start."""
import pytest
import torch

from deepgen_lib import conv_decoder, conv_encoder


@pytest.mark.parametrize("n_down", [1, 2, 3])
@pytest.mark.parametrize("n_blocks", [0, 2])
def test_networks_keep_sizes(n_down, n_blocks, rng):
    x, factor = torch.rand(2, 3, 16, 8, generator=rng), 2**n_down
    encoder, decoder = (make(3, 5, width=6, n_down=n_down, n_blocks=n_blocks, rng=rng) for make in (conv_encoder, conv_decoder))
    z = encoder(x)
    assert z.shape == (2, 5, 16 // factor, 8 // factor) and decoder(z).shape == x.shape


def test_networks_draw_from_their_generator_alone():
    state = torch.get_rng_state()
    first, second = (conv_encoder(1, 3, rng=torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters()))


def test_networks_start_with_signals_of_order_one(rng):
    """Neither do they vanish nor grow on the way: the first codes are of the size of the first pictures."""
    z = conv_encoder(1, 16, rng=rng)(torch.randn(20, 1, 28, 28, generator=rng))
    assert 0.01 < z.std() < 1
