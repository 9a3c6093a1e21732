"""rbm_training.py: one update against its definition, and what outlives an update."""
import pytest
import torch
from torch.testing import assert_close

from deepgen_lib import CDOptions, RBMTrainer, all_states, base_rate, cd_gradient, exact_log_likelihood, fit, random_rbm, visible_log_prob
from deepgen_lib.kernels.cd_update import Phases, apply_phases, apply_phases_reference
from deepgen_lib.objectives import cd_phases, centred, continue_chain, gradient

EXACT = dict(rtol=0, atol=1e-12)
DATA = all_states(5)[[3, 3, 12, 17, 31, 0, 9]]


def twin(rng: torch.Generator) -> torch.Generator:
    """A generator that will draw the same numbers."""
    return torch.Generator().set_state(rng.get_state())


def parameters(rbm) -> list[torch.Tensor]:
    return [p.detach().clone() for p in (rbm.W, rbm.b, rbm.c)]


def phases_to_come(trainer: RBMTrainer, rng: torch.Generator) -> Phases:
    """What the next update on DATA will average over, computed from the definition with the numbers that rng is about to give."""
    if not trainer.options.persistent:
        return cd_phases(trainer.model, DATA, rng=twin(rng))
    with torch.no_grad():
        h_data = torch.sigmoid(trainer.model.hidden_logits(DATA))
        return Phases(DATA, h_data, *continue_chain(trainer.model, trainer.chains, 1, twin(rng))[:2])


@pytest.mark.parametrize("momentum, decay", [(0.0, 0.0), (0.9, 0.0), (0.5, 0.01)])
def test_the_fused_step_is_its_definition(momentum, decay, rng):
    shape = lambda n, m: torch.rand(n, m, generator=rng, dtype=torch.float64)
    W, velocity = shape(7, 4) - 0.5, shape(7, 4) - 0.5
    phases = Phases(shape(9, 7), shape(9, 4), shape(3, 7), shape(3, 4))
    wanted = apply_phases_reference(W.clone(), velocity.clone(), phases, 0.3, momentum, decay)
    apply_phases(W, velocity, phases, 0.3, momentum, decay)
    for got, want in zip((W, velocity), wanted):
        assert_close(got, want, **EXACT)


def test_a_plain_update_adds_rate_times_the_cd_gradient(rng):
    rbm = random_rbm(5, 3, rng=rng)
    trainer = RBMTrainer(rbm, CDOptions(n_gibbs_steps=2, learning_rate=0.3), rng=rng)
    before, g = parameters(rbm), cd_gradient(rbm, DATA, n_gibbs_steps=2, rng=twin(rng))
    trainer.update(DATA, 0.0, rng)
    for new, old, slope in zip(parameters(rbm), before, g):
        assert_close(new, old + 0.3 * slope, **EXACT)


def test_momentum_carries_every_parameter_and_decay_the_weights_alone(rng):
    rbm = random_rbm(5, 3, rng=rng)
    trainer = RBMTrainer(rbm, CDOptions(learning_rate=0.3, final_learning_rate=0.1, momentum=0.8, weight_decay=0.05), rng=rng)
    velocity, decay = [torch.zeros_like(p) for p in parameters(rbm)], (0.05, 0.0, 0.0)
    for fraction, rate in ((0.0, 0.3), (0.5, 0.2), (0.75, 0.15)):  # the rate falls linearly from the first to the final one
        before, g = parameters(rbm), cd_gradient(rbm, DATA, rng=twin(rng))
        velocity = [0.8 * speed + rate * (slope - d * old) for speed, slope, old, d in zip(velocity, g, before, decay)]
        trainer.update(DATA, fraction, rng)
        for new, old, speed in zip(parameters(rbm), before, velocity):
            assert_close(new, old + speed, **EXACT)


@pytest.mark.parametrize("persistent", [False, True])
def test_a_centred_update_is_the_centred_gradient(persistent, rng):
    rbm, mean = random_rbm(5, 3, rng=rng), base_rate(DATA)
    trainer = RBMTrainer(rbm, CDOptions(centred=True, persistent=persistent, n_chains=11, learning_rate=0.3), data_mean=mean, rng=rng)
    for _ in range(2):
        before, phases, old_lam = parameters(rbm), phases_to_come(trainer, rng), trainer.lam.clone()
        trainer.update(DATA, 0.0, rng)
        assert_close(trainer.mu, mean, **EXACT)
        assert_close(trainer.lam, old_lam + 0.01 * (phases.h_data.mean(0) - old_lam), **EXACT)
        for new, old, slope in zip(parameters(rbm), before, centred(gradient(phases), trainer.mu, trainer.lam)):
            assert_close(new, old + 0.3 * slope, **EXACT)


def test_persistent_chains_go_on_and_never_see_the_batch(rng):
    rbm = random_rbm(5, 3, rng=rng)
    trainer = RBMTrainer(rbm, CDOptions(persistent=True, n_chains=50, learning_rate=0.0), rng=rng)
    assert trainer.chains.shape == (50, 3) and 0.3 < trainer.chains.mean() < 0.7
    start, state = trainer.chains.clone(), rng.get_state()
    trainer.update(DATA, 0.0, rng)
    first, here = trainer.chains.clone(), rng.get_state()
    trainer.update(1 - DATA, 0.0, rng)
    second = trainer.chains.clone()
    assert not torch.equal(first, start) and not torch.equal(first, second) and set(first.unique().tolist()) <= {0.0, 1.0}
    trainer.chains = start
    trainer.update(torch.zeros(3, 5).double(), 0.0, rng.set_state(state))   # other data, same chains
    assert torch.equal(trainer.chains, first) and torch.equal(rng.get_state(), here)


def test_cd_chains_start_at_the_data(rng):
    rbm = random_rbm(5, 3, scale=0.1, rng=rng).requires_grad_(False)
    rbm.W.mul_(0).add_(torch.eye(5)[:, :3] * 60)
    rbm.b.fill_(-30.0)
    rbm.c.fill_(-30.0)  # h copies v[:3] and v copies h: one sweep returns the data
    trainer = RBMTrainer(rbm, CDOptions(), rng=rng)
    v = all_states(5)[[4, 8, 12, 28]]
    phases, _ = trainer._step.phases(trainer._parameters(), v, trainer.chains, rng)
    assert torch.equal(phases.v_model[:, :3], v[:, :3])
    assert len(trainer.chains) == 0


def test_the_sparsity_target_moves_hidden_biases_alone_and_is_met(rng):
    rbm = random_rbm(5, 3, scale=0.1, rng=rng)
    plain, sparse = (parameters(_one_update(rbm, options)) for options in (CDOptions(), CDOptions(sparsity_target=0.2, sparsity_weight=2.0)))
    h_mean = torch.sigmoid(rbm.hidden_logits(DATA)).mean(0).detach()
    assert_close(sparse[0], plain[0], **EXACT)
    assert_close(sparse[1], plain[1], **EXACT)
    assert_close(sparse[2], plain[2] + 0.05 * 2.0 * (0.2 - h_mean), **EXACT)
    trainer = RBMTrainer(rbm, CDOptions(sparsity_target=0.2, sparsity_weight=20.0, learning_rate=0.05, final_learning_rate=0.05), rng=rng)
    for _ in range(400):
        trainer.update(DATA, 0.0, rng)
    assert (torch.sigmoid(rbm.hidden_logits(DATA)).mean(0) - 0.2).abs().max() < 0.05


def _one_update(rbm, options):
    copy = random_rbm(5, 3, rng=torch.Generator().manual_seed(1))
    copy.load_state_dict(rbm.state_dict())
    rng = torch.Generator().manual_seed(2)
    RBMTrainer(copy, options, rng=rng).update(DATA, 0.0, rng)
    return copy


@pytest.mark.parametrize("options", [dict(n_gibbs_steps=20), dict(persistent=True), dict(persistent=True, centred=True, momentum=0.5)], ids=str)
def test_training_learns_a_toy(options, rng):
    data = all_states(4)[[0, 15]].repeat(50, 1)
    rbm = random_rbm(4, 3, scale=0.1, rng=rng)
    trainer = RBMTrainer(rbm, CDOptions(learning_rate=0.3, **options), data_mean=base_rate(data), rng=rng)
    before = exact_log_likelihood(rbm, data).mean().item()
    fit(trainer, data, n_updates=600, batch_size=50, rng=rng)
    after = exact_log_likelihood(rbm, data).mean().item()
    assert before < -2.5 and after > -1.2, (before, after)  # the best there is: -log 2
    assert visible_log_prob(rbm)[[0, 15]].exp().sum() > 0.7


@pytest.mark.parametrize("call, message", [
    (lambda r, g: CDOptions(n_gibbs_steps=0), "n_gibbs_steps is 0"), (lambda r, g: CDOptions(n_chains=1.5), "n_chains is 1.5"),
    (lambda r, g: CDOptions(learning_rate=-0.1), "learning_rate is -0.1"), (lambda r, g: CDOptions(momentum=1.0), "momentum is 1.0"),
    (lambda r, g: CDOptions(persistent="yes"), "persistent is 'yes'"), (lambda r, g: CDOptions(sparsity_target=2.0), "sparsity_target is 2.0"),
    (lambda r, g: RBMTrainer(r, CDOptions(centred=True), rng=g), "data_mean is missing"),
    (lambda r, g: RBMTrainer(r, CDOptions(centred=True), data_mean=torch.zeros(5).double(), rng=g), "strictly between 0 and 1"),
    (lambda r, g: RBMTrainer(r, CDOptions(), rng=3), "rng is int"),
    (lambda r, g: RBMTrainer(r, CDOptions(), rng=g).check_data(DATA.float()), "data is torch.float32"),
    (lambda r, g: RBMTrainer(r, CDOptions(), rng=g).load_state({}), "velocity_W is nothing, expected"),
    (lambda r, g: RBMTrainer(r, CDOptions(), rng=g).load_state(RBMTrainer(r, CDOptions(persistent=True), rng=g).state()), r"chains is \(100, 3\), expected \(0, 3\)"),
])
def test_bad_options_are_refused_with_a_cure(call, message, rng):
    with pytest.raises(ValueError, match=message):
        call(random_rbm(5, 3, rng=rng), rng)
