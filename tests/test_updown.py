"""The up-down algorithm: its gradients against exact ones, who moves whom, and what each phase lowers."""
import pytest
import torch
from torch.testing import assert_close

from deepgen_lib import DBN, CDOptions, LabelledRBM, RBM, RBMTrainer, UpDownOptions, UpDownTrainer, aggregated_posterior, all_states, exact_gradient, fit
from deepgen_lib import greedy_dbn, next_rbm, random_rbm, sleep_gradients, sleep_kl, state_numbers, visible_log_prob, wake_gradients, wake_kl
from deepgen_lib.stacking import AggregatedPosterior, SampledPixels, sample_upwards

N = 40_000


@pytest.fixture
def dbn(rng):
    """Three hidden layers, recognition weights pushed away from the generative ones."""
    dbn = DBN([random_rbm(a, b, scale=0.8, rng=rng) for a, b in ((4, 3), (3, 5), (5, 2))])
    with torch.no_grad():
        for layer in dbn.recognition:
            layer.W += 0.5 * torch.randn(layer.W.shape, dtype=layer.W.dtype, generator=rng)
    return dbn


def batches(x, rng, n=20):
    """x in n parts of N rows altogether, for a standard error from the spread between parts."""
    return x[torch.randint(len(x), (N,), generator=rng)].split(N // n)


def compare(draws: list, exact: list[torch.Tensor], scale: float = 1.0) -> float:
    """Largest deviation of the mean of the drawn gradients from the exact ones, in standard errors of that mean."""
    stacked = torch.stack([torch.cat([t.flatten() for g in one for t in g]) for one in draws])
    exact = scale * torch.cat([t.flatten() for t in exact])
    return ((stacked.mean(0) - exact).abs() / (stacked.std(0) / len(draws) ** 0.5)).max().item()


def grads(layers, bias: str) -> list[torch.Tensor]:
    return [t.grad for layer in layers for t in (layer.W, getattr(layer, bias))]


def test_the_wake_gradient_is_the_bounds(dbn, rng):
    x = all_states(4)
    dbn.bound(x).total.mean().backward()
    draws = [wake_gradients(dbn, part, rng) for part in batches(x, rng)]
    assert compare(draws, grads(dbn.directed, "b")) < 5.5
    assert compare(draws, grads(dbn.directed, "b"), scale=-1) > 10, "the check sees a wrong sign"


def test_the_sleep_gradient_is_that_of_the_reversed_divergence(dbn, rng):
    sleep_kl(dbn).backward()
    p = visible_log_prob(dbn.top).exp().detach()
    h = all_states(5)[torch.multinomial(p, N, replacement=True, generator=rng)]
    draws = [sleep_gradients(dbn, part, rng) for part in h.split(N // 20)]
    assert compare(draws, grads(dbn.recognition, "c"), scale=-1) < 5.5


def test_the_sleep_gradient_is_not_that_of_the_bounds_own_divergence(dbn, rng):
    """The test above can fail: KL(q ‖ p) has another gradient."""
    wake_kl(dbn, all_states(4)).mean().backward()
    p = visible_log_prob(dbn.top).exp().detach()
    h = all_states(5)[torch.multinomial(p, N, replacement=True, generator=rng)]
    draws = [sleep_gradients(dbn, part, rng) for part in h.split(N // 20)]
    assert compare(draws, grads(dbn.recognition, "c"), scale=-1) > 20


def test_an_update_moves_every_layer_in_its_own_direction(dbn, rng):
    """Generative parameters by the wake phase, recognition parameters by the sleep phase, the top by contrastive divergence; no phase moves another's."""
    before = {name: value.clone() for name, value in dbn.state_dict().items()}
    trainer = UpDownTrainer(dbn, UpDownOptions(learning_rate=0.0, top_learning_rate=0.1))
    trainer.update(all_states(4), 0.0, rng)
    moved = {name for name, value in dbn.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {"top.W", "top.b", "top.c"}
    trainer = UpDownTrainer(dbn, UpDownOptions(learning_rate=0.1, top_learning_rate=0.0))
    trainer.update(all_states(4), 0.0, rng)
    assert {name for name, value in dbn.state_dict().items() if not torch.equal(value, before[name])} == set(before)


def test_training_on_a_toy_raises_the_bound(rng):
    x = all_states(4)[[0, 3, 12, 15]].repeat(25, 1)
    dbn = DBN([random_rbm(4, 5, scale=0.1, rng=rng), random_rbm(5, 4, scale=0.1, rng=rng)]).requires_grad_(False)
    before = dbn.bound(x).total.mean()
    fit(UpDownTrainer(dbn, UpDownOptions(learning_rate=0.2, top_learning_rate=0.1)), x, n_updates=1500, rng=rng)
    assert dbn.bound(x).total.mean() > before + 0.25
    assert dbn.log_likelihood(x).mean() > dbn.bound(x).total.mean()


def test_gibbs_steps_grow_in_equal_stages():
    trainer = UpDownTrainer(DBN([RBM(3, 2), RBM(2, 2)]), UpDownOptions(n_gibbs_steps=3, final_gibbs_steps=5))
    assert [trainer._gibbs_steps(f) for f in (0.0, 0.3, 0.34, 0.6, 0.67, 0.999)] == [3, 3, 4, 4, 5, 5]


def test_labels_are_trained_and_a_stopped_run_resumes_bit_for_bit(rng, tmp_path):
    x = torch.bernoulli(torch.full((60, 4), 0.5), generator=rng)
    data = torch.cat([x, torch.eye(2)[x[:, 0].long()]], 1)

    def run(updates, path):
        g = torch.Generator().manual_seed(1)
        dbn = DBN([RBM(4, 6, rng=g), LabelledRBM(6, 2, 8, rng=g)]).requires_grad_(False)
        trainer = UpDownTrainer(dbn, UpDownOptions(learning_rate=0.2, top_learning_rate=0.2))
        if updates < 40:
            real = trainer.update
            def stop(batch, fraction, rng):
                if fraction >= updates / 40:
                    raise KeyboardInterrupt
                real(batch, fraction, rng)
            trainer.update = stop
        fit(trainer, data, n_updates=40, batch_size=20, checkpoint=path, rng=g)
        return dbn.state_dict()
    whole = run(40, None)
    import deepgen_lib.fitting as fitting
    every, fitting.CHECKPOINT_EVERY = fitting.CHECKPOINT_EVERY, 10
    try:
        with pytest.raises(KeyboardInterrupt):
            run(25, tmp_path / "c.safetensors")
        resumed = run(40, tmp_path / "c.safetensors")
    finally:
        fitting.CHECKPOINT_EVERY = every
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_the_stream_draws_the_aggregated_posterior(rng):
    """What the inner trainer receives, in distribution; probabilities instead of samples would not be binary."""
    rbm, seen = random_rbm(4, 3, rng=rng).requires_grad_(False), []
    class Inner:
        model = random_rbm(3, 2, rng=rng)
        def update(self, batch, fraction, rng): seen.append(batch)
    x = all_states(4)[[1, 6, 6, 15]]
    stream = AggregatedPosterior([rbm], Inner())
    for _ in range(40):
        stream.update(x.repeat(250, 1), 0.0, rng)
    h = torch.cat(seen)
    assert ((h == 0) | (h == 1)).all()
    p = aggregated_posterior(DBN([rbm, Inner.model]), x)
    counts = torch.bincount(state_numbers(h), minlength=8)
    assert ((counts - len(h) * p) ** 2 / (len(h) * p)).sum() < 7 + 4.5 * 14**0.5


def test_maximum_likelihood_on_the_stream_is_the_bounds_gradient(rng):
    """D8: exact gradient of the top RBM on the aggregated posterior = gradient of the bound; with probabilities as data it is not."""
    lower, top, x = random_rbm(4, 3, rng=rng), random_rbm(3, 5, rng=rng), all_states(4)[[1, 6, 6, 15]]
    dbn = DBN([lower, top])
    dbn.bound(x).total.mean().backward()
    p, h = aggregated_posterior(dbn, x).detach(), all_states(3)
    weighted = torch.stack([exact_gradient(top, s[None]).W.flatten() for s in h])
    assert_close(p @ weighted, dbn.top.W.grad.flatten(), atol=1e-10, rtol=0)
    means = torch.sigmoid(lower.hidden_logits(x)).detach()
    slope = means.T @ torch.sigmoid(means @ top.W + top.c) / len(x) - (visible_log_prob(top).exp()[:, None] * h).T @ torch.sigmoid(top.hidden_logits(h))
    assert (slope - dbn.top.W.grad).abs().max() > 1e-3


def test_greedy_training_raises_the_bound_layer_by_layer(rng):
    x = all_states(4)[[0, 3, 12, 15]].repeat(25, 1)
    options = CDOptions(learning_rate=0.2, n_gibbs_steps=5)
    dbn = greedy_dbn(x.float(), [3, 8], options=options, n_updates=1000, rng=rng).double()
    rbm = RBM(4, 3).double()
    rbm.load_state_dict({"W": dbn.directed[0].W, "b": dbn.directed[0].b, "c": dbn.recognition[0].c})
    one = DBN([rbm]).log_likelihood(x).mean()
    assert dbn.bound(x).total.mean() > one + 0.005 and one > -2.6


def test_next_layers_start_tied_where_they_fit(rng):
    rbm = random_rbm(4, 3, rng=rng).requires_grad_(False)
    tied, free = next_rbm(rbm, 6, rng=rng), next_rbm(rbm, 3, rng=rng)
    assert torch.equal(tied.W[:, :4], rbm.W.T) and torch.equal(tied.b, rbm.c) and torch.equal(tied.c[:4], rbm.b) and 0 < tied.W[:, 4:].abs().max() < 0.01
    assert free.W.shape == (3, 3) and free.W.abs().max() < 0.1 and torch.equal(free.b, rbm.c)


def test_grey_pixels_are_sampled_and_labels_kept(rng):
    seen = []
    class Inner:
        model = RBM(3, 2)
        def update(self, batch, fraction, rng): seen.append(batch)
        def check_data(self, data): assert ((data == 0) | (data == 1)).all()
    stream = SampledPixels(Inner())
    grey = torch.tensor([[0.3, 0.0, 1.0]]).expand(20_000, 3)
    stream.check_data(grey)
    stream.update(grey, 0.0, rng)
    assert abs(seen[0][:, 0].mean() - 0.3) < 0.015 and (seen[0][:, 1] == 0).all() and (seen[0][:, 2] == 1).all()


@pytest.mark.parametrize("call, words", [
    (lambda g: UpDownTrainer(DBN([RBM(3, 2)]), UpDownOptions()), ("UpDownTrainer", "at least two RBMs")),
    (lambda g: UpDownOptions(n_gibbs_steps=0), ("n_gibbs_steps is 0",)),
    (lambda g: UpDownOptions(n_gibbs_steps=3, final_gibbs_steps=2), ("final_gibbs_steps is 2",)),
    (lambda g: UpDownOptions(learning_rate=-1), ("learning_rate is -1",)),
    (lambda g: wake_gradients(DBN([RBM(3, 2), RBM(2, 2)]), torch.zeros(1, 2), g), ("wake_gradients", "(B, 3)")),
    (lambda g: sleep_gradients(DBN([RBM(3, 2), RBM(2, 2)]), torch.zeros(1, 3), g), ("sleep_gradients", "(B, 2)")),
    (lambda g: UpDownTrainer(DBN([RBM(3, 2), LabelledRBM(2, 2, 2)]), UpDownOptions()).check_data(torch.ones(2, 5)), ("one-hot labels", "labelled_rows")),
    (lambda g: AggregatedPosterior([], None), ("AggregatedPosterior", "at least one RBM")),
    (lambda g: AggregatedPosterior([RBM(3, 2)], RBMTrainer(RBM(3, 2), CDOptions(), rng=g)), ("3 visible units", "expected 2")),
    (lambda g: AggregatedPosterior([RBM(3, 2), RBM(3, 2)], RBMTrainer(RBM(2, 2), CDOptions(), rng=g)), ("2 hidden units", "3 visible units")),
    (lambda g: SampledPixels(RBMTrainer(RBM(3, 2), CDOptions(), rng=g)).check_data(torch.full((2, 3), 255.0)), ("255", "divide pixels")),
    (lambda g: greedy_dbn(torch.zeros(9, 3), 4, options=CDOptions(), n_updates=1, rng=g), ("greedy_dbn", "[500, 500]")),
    (lambda g: greedy_dbn(torch.zeros(9, 3), [0], options=CDOptions(), n_updates=1, rng=g), ("n_hidden is 0",)),
    (lambda g: greedy_dbn(torch.full((9, 3), 0.5), [2], options=CDOptions(), n_updates=1, rng=g), ("0 and 1",)),
    (lambda g: next_rbm(RBM(3, 2), -1, rng=g), ("next_rbm", "-1")),
])
def test_bad_input_is_answered(call, words, rng):
    with pytest.raises(ValueError) as raised:
        call(rng)
    for word in (*words, "expected"):
        assert word in str(raised.value)


def test_sampling_upwards_goes_through_every_layer(rng):
    lower = [random_rbm(4, 3, rng=rng).requires_grad_(False), random_rbm(3, 5, rng=rng).requires_grad_(False)]
    x = torch.zeros(30_000, 4, dtype=torch.float64)
    h = sample_upwards(lower, x, rng)
    q = aggregated_posterior(DBN([*lower, random_rbm(5, 2, rng=rng)]), x[:1], level=2).detach()
    assert (h.mean(0) - all_states(5).T @ q).abs().max() < 0.015
