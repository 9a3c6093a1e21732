"""VQ-VAE: its loss term by term, where each gradient goes, the order of use and update, maps that round-trip; each known slip is seen."""
import math

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from deepgen_lib import VQVAE, AdamOptions, Codebook, GradientTrainer, conv_decoder, conv_encoder, fit, load_model, save_model
from deepgen_lib.vqvae import VQTerms

UPDATES = pytest.mark.parametrize("update", ["ema", "gradient"])


def tiny(*, update: str = "ema", kind: type = VQVAE, **options) -> VQVAE:
    g = torch.Generator().manual_seed(0)
    return kind(conv_encoder(1, 3, width=4, rng=g), conv_decoder(1, 3, width=4, rng=g), Codebook(8, 3, update=update, rng=g), **options)


@pytest.fixture
def x(rng):
    return torch.rand(6, 1, 12, 8, generator=rng)


def pieces(model: VQVAE, x):
    """z_e (B, h, w, D), ids and codes by the definition."""
    z_e = model.encoder(x).movedim(1, -1)
    ids = (z_e[..., None, :] - model.codebook.codes).square().sum(-1).argmin(-1)
    return z_e, ids, model.codebook.codes[ids]


@pytest.mark.parametrize("sigma", [None, 0.3, 0.5**0.5])
@UPDATES
def test_the_terms_are_their_definitions(update, sigma, x):
    model = tiny(update=update, sigma=sigma, commitment=0.4)
    z_e, ids, z_q = pieces(model, x)
    output = model.decoder(z_q.movedim(-1, 1))
    if sigma is None:
        log_p = torch.distributions.Bernoulli(logits=output, validate_args=False).log_prob(x)
    else:
        log_p = torch.distributions.Normal(output, sigma).log_prob(x)
    squares = (z_e - z_q).square().sum((1, 2, 3))
    terms = model.terms(x)
    assert_close(terms.reconstruction, -log_p.sum((1, 2, 3)), rtol=1e-5, atol=1e-4)
    assert_close(terms.quantization, squares)
    assert_close(terms.commitment, squares)
    assert_close(terms.total, -log_p.sum((1, 2, 3)) + (1.4 if update == "gradient" else 0.4) * squares, rtol=1e-5, atol=1e-4)


class Weighted(VQVAE):
    """The commitment's weight on the wrong term."""

    def terms(self, x):
        right = super().terms(x)
        return VQTerms(right.reconstruction, right.commitment, right.quantization, right.weight, right.trained)


class NotCopied(VQVAE):
    """No straight-through: the decoder's gradient goes to the codes."""

    def _terms(self, x, quantised):
        right = super()._terms(x, quantised)
        return right._replace(reconstruction=self._reconstruction(x, self.decoder(quantised.z_q.movedim(-1, 1))))


class BothSides(VQVAE):
    """q + (z - z.detach()): the decoder's gradient goes to encoder and codes."""

    def _terms(self, x, quantised):
        z = quantised.z_q + (quantised.z_e - quantised.z_e.detach())
        return super()._terms(x, quantised)._replace(reconstruction=self._reconstruction(x, self.decoder(z.movedim(-1, 1))))


class NoCommitment(VQVAE):
    def terms(self, x):
        return super().terms(x)._replace(weight=0.0)


def gradients_are_right(kind):
    """The gradient of the loss with respect to encoder output and codes, against the three rules of the paper."""
    model, x = tiny(update="gradient", kind=kind, commitment=0.3), torch.rand(6, 1, 12, 8, generator=torch.Generator().manual_seed(2))
    seen = []
    model.encoder.register_forward_hook(lambda module, given, out: seen.append(out))
    loss = model.terms(x).total.sum()
    to_output, to_codes = torch.autograd.grad(loss, (seen[0], model.codebook.codes))
    z_e, ids, z_q = (part.detach() for part in pieces(model, x))
    z_q.requires_grad_()
    from_decoder = torch.autograd.grad((x - model.decoder(z_q.movedim(-1, 1))).square().sum(), z_q)[0]
    difference = (z_e - z_q).detach()
    assert_close(to_output.movedim(1, -1), from_decoder + 0.3 * 2 * difference, rtol=1e-4, atol=1e-5)
    assert_close(to_codes, torch.stack([-2 * difference[ids == k].sum(0) for k in range(8)]), rtol=1e-4, atol=1e-4)


def test_every_gradient_goes_where_it_belongs():
    gradients_are_right(VQVAE)


@pytest.mark.parametrize("wrong", [Weighted, NotCopied, BothSides, NoCommitment])
def test_a_gradient_that_goes_astray_is_seen(wrong):
    with pytest.raises(AssertionError):
        gradients_are_right(wrong)


def test_with_ema_no_gradient_reaches_the_codes(x):
    model = tiny()
    model.terms(x).total.sum().backward()
    assert not model.codebook.codes.requires_grad and all(p.grad is not None for p in model.parameters())


class UpdatedBeforeUse(VQVAE):
    """The codes move before they quantise."""

    def training_loss(self, batch, fraction, rng):
        quantised = self._quantise(batch)
        self.codebook.update_statistics(quantised.z_e.detach().flatten(0, 2), quantised.ids.flatten())
        return self.terms(batch).total.mean()


def loss_is_of_the_codes_before(kind):
    x = torch.rand(6, 1, 12, 8, generator=torch.Generator().manual_seed(2))
    model, rng = tiny(kind=kind), torch.Generator()
    z_e, ids, _ = (part.detach() for part in pieces(model, x))
    twin = tiny().codebook
    twin.update_statistics(z_e.flatten(0, 2), ids.flatten())
    before = model.terms(x).total.mean()
    assert torch.equal(model.training_loss(x, 0.0, rng), before)
    assert torch.equal(model.codebook.codes, twin.codes)


def test_the_codebook_moves_once_and_after_use():
    loss_is_of_the_codes_before(VQVAE)


def test_an_update_before_use_is_seen():
    with pytest.raises(AssertionError):
        loss_is_of_the_codes_before(UpdatedBeforeUse)


@UPDATES
def test_terms_change_nothing(update, x):
    model = tiny(update=update, revive_below=100.0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.terms(x), model.reconstruct(x)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@UPDATES
def test_a_backward_pass_survives_the_codes_moving_under_it(update, x):
    """The loss is made, then codes move in place, then the gradient is taken: it is the gradient at the codes that were used."""
    still, moved, rng = tiny(update=update), tiny(update=update, revive_below=100.0), torch.Generator().manual_seed(0)
    still.terms(x).total.mean().backward()
    moved.training_loss(x, 0.0, rng).backward()
    assert not torch.equal(still.codebook.codes, moved.codebook.codes)
    for (name, a), b in zip(still.named_parameters(), moved.parameters()):
        assert torch.equal(a.grad, b.grad), name


def test_maps_go_round(x):
    model = tiny(sigma=None)
    ids = model.encode(x)
    assert ids.shape == (6, 3, 2) and ids.dtype == torch.int64
    assert torch.equal(ids, pieces(model, x)[1])
    pictures = model.decode(ids)
    assert torch.equal(pictures, model.reconstruct(x)) and pictures.shape == x.shape and 0 <= pictures.min() and pictures.max() <= 1
    assert torch.equal(tiny().reconstruct(x), model.decoder(pieces(model, x)[2].movedim(-1, 1)))


def test_the_constant_makes_it_a_density():
    """The perfect reconstruction of P pixels costs P (log sigma + ½ log 2π) nats."""
    model = VQVAE(nn.Identity(), nn.Identity(), Codebook(1, 1), sigma=0.5)
    model.codebook.codes.fill_(0.5)
    assert_close(model.terms(torch.full((2, 1, 3, 3), 0.5)).reconstruction, torch.full((2,), 9 * (math.log(0.5) + 0.5 * math.log(2 * math.pi))))


def blocks(n, rng):
    """Pictures of a bright quarter on a dark ground."""
    pictures = torch.zeros(n, 1, 8, 8)
    for i, corner in enumerate(torch.randint(4, (n,), generator=rng).tolist()):
        pictures[i, 0, 4 * (corner // 2):4 * (corner // 2) + 4, 4 * (corner % 2):4 * (corner % 2) + 4] = 1
    return pictures


@UPDATES
def test_training_learns_and_the_model_can_be_saved(update, rng, tmp_path):
    data, model = blocks(60, rng), tiny(update=update, revive_below=0.05)
    model.init_codes(data, rng=rng)
    before = model.terms(data).total.mean().item()
    fit(GradientTrainer(model, AdamOptions(learning_rate=0.01)), data, n_updates=40, batch_size=10, rng=rng)
    assert model.terms(data).total.mean().item() < before - 2
    save_model(tmp_path / "saved.safetensors", model)
    again = load_model(tmp_path / "saved.safetensors", tiny(update=update))
    assert torch.equal(again.encode(data), model.encode(data)) and torch.equal(again.codebook.counts, model.codebook.counts)


def stopped_and_gone_on(data, checkpoint, stop_at):
    """A run of 30 updates that breaks off after stop_at, and goes on in a new process's place."""
    class Stop(Exception):
        pass

    def watch(update, model):
        if update >= stop_at:
            raise Stop

    for watcher in (watch, None):
        model, g = tiny(revive_below=0.05), torch.Generator().manual_seed(3)
        model.init_codes(data, rng=g)
        try:
            fit(GradientTrainer(model, AdamOptions(learning_rate=0.01)), data, n_updates=30, batch_size=10, checkpoint=checkpoint, watch=watcher, rng=g)
        except Stop:
            pass
    return model


def test_a_resumed_run_ends_the_same_bit_for_bit(rng, tmp_path, monkeypatch):
    monkeypatch.setattr("deepgen_lib.fitting.CHECKPOINT_EVERY", 5)
    data = blocks(60, rng)
    ends = [stopped_and_gone_on(data, tmp_path / f"{stop_at}.safetensors", stop_at).state_dict() for stop_at in (31, 14)]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


@pytest.mark.parametrize("shape, message", [((2, 3, 8, 8), "the encoder refuses x of shape \\(1, 3, 8, 8\\)"), ((2, 1, 10, 10), "the decoder gives \\(1, 1, 8, 8\\), expected \\(1, 1, 10, 10\\)")], ids=["channels", "sides"])
def test_pictures_that_do_not_fit_are_named_before_training(shape, message, rng):
    with pytest.raises(ValueError, match=message):
        fit(GradientTrainer(tiny(), AdamOptions()), torch.rand(shape, generator=rng), n_updates=1, batch_size=1, rng=rng)


def test_an_encoder_of_another_width_is_named(x, rng):
    model = VQVAE(conv_encoder(1, 4, width=4, rng=rng), conv_decoder(1, 4, width=4, rng=rng), Codebook(8, 3, rng=rng))
    with pytest.raises(ValueError, match="the encoder gives \\(6, 4, 3, 2\\), expected \\(B, 3, h, w\\)"):
        model.encode(x)
