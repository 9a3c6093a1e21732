"""Every public function of the library core against random bad input: one good argument is replaced by a bad one.

doors.py says what is asked of the answer. A function that is neither tested here nor excused below fails the last test.
"""
import pytest
import torch
from hypothesis import strategies as st

from deepgen_lib.fitting import fit
from deepgen_lib.enumeration import all_states, exact_log_likelihood, gibbs_transition_matrix, hidden_posterior, joint_log_prob, log_partition, state_numbers, visible_log_prob
from deepgen_lib.kernels import gibbs_half_step, sum_softplus
from deepgen_lib.likelihood import bernoulli_log_likelihood, bits_per_dim, normal_log_likelihood
from deepgen_lib.mixture import BernoulliMixture, e_step, fit_em, m_step, mixture_bound, random_mixture
from deepgen_lib.objectives import Gradient, cd_gradient, cd_phases, centred, exact_gradient, expected_cd_gradient
from deepgen_lib.partition import ais_log_partition, reverse_ais_log_partition
from deepgen_lib.rbm import RBM, base_rate, init_visible_bias, random_rbm
from deepgen_lib.rbm_training import CDOptions, RBMTrainer
from deepgen_lib.sampling import gibbs_chain, gibbs_step, parallel_tempering, sample_bernoulli, sample_h_from_v, sample_v_from_h
from deepgen_lib.variational import bound_terms, entropy, gap, gibbs_bound, importance_weighted_bound, kl_divergence, log_normaliser, posterior
from tests import bad_values as bad
from tests.doors import Door, defined, faults_of, given_at_all, require_all_tried, seeded, door_tests

V, H, B, K = 5, 3, 4, 3
F64 = torch.float64


def doors() -> dict[str, Door]:
    """Made afresh for every example, as a bad call may not change what the next one sees."""
    g = seeded()
    normal = lambda *shape: torch.randn(*shape, dtype=F64, generator=g)
    v, h = ((torch.rand(B, n, generator=g) < 0.5).double() for n in (V, H))
    q = torch.softmax(normal(B, K), 1)
    m, mean = BernoulliMixture(q[0], torch.sigmoid(normal(K, V))), torch.sigmoid(normal(V))
    rbm = random_rbm(V, H, rng=g).requires_grad_(False)
    trainer = lambda: RBMTrainer(rbm, CDOptions(), rng=seeded())
    states, logs, rng = {"v": bad.tensors(v, binary=True)}, {"minus_infinity": True, "dtypes": False}, {"rng": bad.rng()}
    schedules = dict(n_temperatures=bad.count(2), base_mean=bad.means(mean), rng=bad.rng())
    rates = ("learning_rate", "final_learning_rate", "weight_decay", "sparsity_weight")
    return {
        "sum_softplus": Door(sum_softplus, dict(x=normal(B, H)), dict(x=bad.of(bad.NO_TENSORS))),
        "gibbs_half_step": Door(gibbs_half_step, dict(v=v, W=rbm.W, bias=rbm.c, rng=g), dict(
            v=bad.tensors(v), W=bad.tensors(rbm.W.data), bias=bad.tensors(rbm.c.data), **rng)),
        "bernoulli_log_likelihood": Door(bernoulli_log_likelihood, dict(x=v, logits=normal(B, V)), dict(
            x=bad.tensors(v, binary=True, any_rows=True) | bad.rows(v), logits=bad.tensors(normal(B, V), any_rows=True))),
        "normal_log_likelihood": Door(normal_log_likelihood, dict(x=normal(B, V), mu=normal(B, V), log_sigma=normal(B, V)), dict(
            x=bad.tensors(normal(B, V), any_rows=True), mu=bad.tensors(normal(B, V), any_rows=True), log_sigma=bad.tensors(normal(B, V), any_rows=True))),
        "bits_per_dim": Door(bits_per_dim, dict(nats=normal(B), n_dims=V), dict(nats=bad.tensors(normal(B), shapes=False, dtypes=False), n_dims=bad.count(1))),
        "entropy": Door(entropy, dict(q=q), dict(q=bad.distributions(q))),
        "log_normaliser": Door(log_normaliser, dict(log_joint=normal(B, K)), dict(log_joint=bad.tensors(normal(B, K), shapes=False, **logs))),
        "posterior": Door(posterior, dict(log_joint=normal(B, K)), dict(log_joint=bad.tensors(normal(B, K), shapes=False, **logs))),
        "importance_weighted_bound": Door(importance_weighted_bound, dict(log_joint=normal(B, K), q=q, n_draws=2), dict(log_joint=bad.tensors(normal(B, K), any_rows=True, **logs), q=bad.distributions(q), n_draws=bad.count(1))),
        "gibbs_bound": Door(gibbs_bound, dict(log_joint=normal(B, K), q=q), dict(log_joint=bad.tensors(normal(B, K), any_rows=True, **logs), q=bad.distributions(q))),
        "gap": Door(gap, dict(log_joint=normal(B, K), q=q), dict(log_joint=bad.tensors(normal(B, K), any_rows=True, **logs), q=bad.distributions(q))),
        "kl_divergence": Door(kl_divergence, dict(q=q, p=q.roll(1, 0)), dict(q=bad.distributions(q), p=bad.distributions(q))),
        "bound_terms": Door(bound_terms, dict(log_likelihood=normal(B, K), log_prior=normal(B, K), q=q), dict(
            log_likelihood=bad.tensors(normal(B, K), any_rows=True, **logs), log_prior=bad.tensors(normal(B, K), any_rows=True, **logs), q=bad.distributions(q))),
        "BernoulliMixture": Door(BernoulliMixture, dict(weights=q[0], means=m.means), dict(
            weights=bad.distributions(q[0]), means=bad.tensors(m.means, dtypes=False, any_columns=True))),
        "BernoulliMixture.log_joint": Door(m.log_joint, dict(x=v), dict(x=bad.tensors(v, binary=True))),
        "BernoulliMixture.log_likelihood": Door(m.log_likelihood, dict(x=v), dict(x=bad.tensors(v, binary=True))),
        "BernoulliMixture.posterior": Door(m.posterior, dict(x=v), dict(x=bad.tensors(v, binary=True))),
        "BernoulliMixture.conditional_log_likelihood": Door(m.conditional_log_likelihood, dict(x=v), dict(x=bad.tensors(v, binary=True))),
        "BernoulliMixture.sample": Door(m.sample, dict(n=2, rng=g), dict(n=bad.count(1), **rng)),
        "e_step": Door(e_step, dict(mixture=m, x=v), dict(mixture=bad.no_model(), x=bad.tensors(v, binary=True))),
        "mixture_bound": Door(mixture_bound, dict(mixture=m, x=v, q=q), dict(mixture=bad.no_model(), x=bad.tensors(v, binary=True), q=bad.distributions(q))),
        "m_step": Door(m_step, dict(x=v, q=q, smoothing=0.5), dict(
            x=bad.tensors(v, binary=True, dtypes=False, any_columns=True), q=bad.distributions(q) | bad.rows(q), smoothing=bad.number(0.0))),
        "random_mixture": Door(random_mixture, dict(x=v, n_components=2, rng=g), dict(x=bad.tensors(v, binary=True, dtypes=False, any_columns=True), n_components=bad.count(1, B), **rng)),
        "fit_em": Door(fit_em, dict(x=v, n_components=2, n_steps=2, smoothing=0.1, rng=g), dict(
            x=bad.tensors(v, binary=True, dtypes=False, any_columns=True), n_components=bad.count(1, B), n_steps=bad.count(1), smoothing=bad.number(0.0), **rng)),
        "RBM": Door(RBM, dict(n_visible=V, n_hidden=H, weight_std=0.1, rng=g), dict(n_visible=bad.count(1), n_hidden=bad.count(1), weight_std=bad.number(0.0), rng=bad.of(bad.NO_GENERATORS[1:]))),
        "random_rbm": Door(random_rbm, dict(n_visible=V, n_hidden=H, scale=1.0, rng=g), dict(n_visible=bad.count(1), n_hidden=bad.count(1), scale=bad.number(0.0), **rng)),
        "RBM.energy": Door(rbm.energy, dict(v=v, h=h), dict(v=bad.tensors(v, binary=True) | bad.rows(v), h=bad.tensors(h, binary=True)), rbm),
        "RBM.free_energy": Door(rbm.free_energy, dict(v=v), states, rbm),
        "RBM.hidden_logits": Door(rbm.hidden_logits, dict(v=v), dict(v=bad.tensors(v)), rbm),
        "RBM.visible_logits": Door(rbm.visible_logits, dict(h=h), dict(h=bad.tensors(h)), rbm),
        "base_rate": Door(base_rate, dict(x=v, clamp=0.01), dict(x=bad.tensors(v, binary=True, dtypes=False, any_columns=True), clamp=bad.number(1e-12, 0.49))),
        "init_visible_bias": Door(init_visible_bias, dict(rbm=rbm, mean=mean), dict(rbm=bad.no_model(), mean=bad.means(mean)), rbm),
        "all_states": Door(all_states, dict(n=4), dict(n=bad.count(1, 24))),
        "state_numbers": Door(state_numbers, dict(states=v), dict(states=bad.tensors(v, binary=True, dtypes=False, any_columns=True) | st.just((torch.zeros(2, 25), "25")))),
        "log_partition": Door(log_partition, dict(rbm=rbm, side="hidden"), dict(rbm=too_large(), side=bad.choice("smaller", "visible", "hidden")), rbm),
        "visible_log_prob": Door(visible_log_prob, dict(rbm=rbm), dict(rbm=too_large()), rbm),
        "joint_log_prob": Door(joint_log_prob, dict(rbm=rbm), dict(rbm=too_large()), rbm),
        "gibbs_transition_matrix": Door(gibbs_transition_matrix, dict(rbm=rbm), dict(rbm=too_large()), rbm),
        "hidden_posterior": Door(hidden_posterior, dict(rbm=rbm, v=v), states | dict(rbm=bad.no_model()), rbm),
        "exact_log_likelihood": Door(exact_log_likelihood, dict(rbm=rbm, v=v), states | dict(rbm=bad.no_model()), rbm),
        "sample_bernoulli": Door(sample_bernoulli, dict(logits=normal(B, V), rng=g), dict(
            logits=bad.tensors(normal(B, V), shapes=False, dtypes=False, minus_infinity=True, plus_infinity=True), **rng)),
        "sample_h_from_v": Door(sample_h_from_v, dict(rbm=rbm, v=v, rng=g), dict(rbm=bad.no_model(), v=bad.tensors(v), **rng), rbm),
        "sample_v_from_h": Door(sample_v_from_h, dict(rbm=rbm, h=h, rng=g), dict(h=bad.tensors(h), **rng), rbm),
        "gibbs_step": Door(gibbs_step, dict(rbm=rbm, v=v, rng=g), dict(rbm=bad.no_model(), **states, **rng), rbm),
        "gibbs_chain": Door(gibbs_chain, dict(rbm=rbm, v=v, n_steps=2, rng=g), dict(rbm=bad.no_model(), **states, n_steps=bad.count(0), **rng), rbm),
        "parallel_tempering": Door(parallel_tempering, dict(rbm=rbm, n_chains=2, inverse_temperatures=[0.0, 0.5, 1.0], n_steps=2, base_mean=mean, rng=g), dict(
            n_chains=bad.count(1), inverse_temperatures=bad.schedule(), n_steps=bad.count(1), base_mean=bad.means(mean).filter(given_at_all), **rng), rbm),
        "ais_log_partition": Door(ais_log_partition, dict(rbm=rbm, base_mean=mean, n_chains=3, n_temperatures=4, rng=g), dict(n_chains=bad.count(1), **schedules), rbm),
        "ais_log_partition with a schedule": Door(ais_log_partition, dict(rbm=rbm, base_mean=mean, n_chains=3, schedule=[0, 1], rng=g), dict(schedule=bad.schedule()), rbm),
        "reverse_ais_log_partition": Door(reverse_ais_log_partition, dict(rbm=rbm, v=v, base_mean=mean, n_temperatures=4, rng=g), dict(**states, **schedules), rbm),
        "reverse_ais_log_partition with a schedule": Door(reverse_ais_log_partition, dict(rbm=rbm, v=v, base_mean=mean, schedule=[0, 1], rng=g), dict(schedule=bad.schedule()), rbm),
        "exact_gradient": Door(exact_gradient, dict(rbm=rbm, v=v), states | dict(rbm=bad.no_model()), rbm),
        "cd_gradient": Door(cd_gradient, dict(rbm=rbm, v=v, n_gibbs_steps=1, rng=g), dict(rbm=bad.no_model(), **states, n_gibbs_steps=bad.count(1), **rng), rbm),
        "cd_phases": Door(cd_phases, dict(rbm=rbm, v=v, n_gibbs_steps=1, rng=g), dict(rbm=bad.no_model(), **states, n_gibbs_steps=bad.count(1), **rng), rbm),
        "expected_cd_gradient": Door(expected_cd_gradient, dict(rbm=rbm, v=v, n_gibbs_steps=1), dict(rbm=bad.no_model(), **states, n_gibbs_steps=bad.count(1)), rbm),
        "centred": Door(centred, dict(g=Gradient(normal(V, H), normal(V), normal(H)), mu=mean, lam=normal(H)), dict(g=bad.no_model(),
            mu=bad.tensors(mean), lam=bad.tensors(normal(H)))),
        "CDOptions": Door(CDOptions, dict(n_gibbs_steps=1), {
            "n_gibbs_steps": bad.count(1), "n_chains": bad.count(1), "momentum": bad.number(0.0, 0.999), "persistent": bad.flag(),
            "centred": bad.flag(), "sparsity_target": bad.number(0.0, 1.0).filter(given_at_all), **{r: bad.number(0.0) for r in rates}}),
        "RBMTrainer": Door(RBMTrainer, dict(rbm=rbm, options=CDOptions(centred=True), data_mean=mean, rng=g), dict(options=bad.no_model(), rbm=bad.no_model(), data_mean=bad.means(mean).filter(given_at_all), **rng), rbm),
        "RBMTrainer.check_data": Door(trainer().check_data, dict(data=v), dict(data=bad.tensors(v, binary=True)), rbm),
        "RBMTrainer.load_state": Door(trainer().load_state, dict(state=trainer().state()), dict(state=st.sampled_from([({}, "nothing"), ({"velocity_W": torch.zeros(2, 2)}, "(2, 2)")])), rbm),
        "fit": Door(fit, dict(trainer=trainer(), data=v, n_updates=1, batch_size=2, rng=g), dict(trainer=bad.no_model(),
            data=bad.tensors(v, binary=True), n_updates=bad.count(1), batch_size=bad.count(1, B), **rng), None),
    }


def too_large():
    """An RBM whose smaller side is beyond enumeration."""
    return st.integers(25, 60).map(lambda n: (RBM(n, n + 1, weight_std=0.0), "at most 24"))


@pytest.mark.parametrize("message, fault", [
    ("gibbs_chain: n_steps is -1, expected a whole number of at least 0; pass for example n_steps=0", None),
    ("n_steps is -1, expected a whole number; pass 1 or more", "names no public function"),
    ("gibbs_chain: expected a whole number; pass 1 or more", "what it got"),
    ("gibbs_chain: n_steps is -1; pass 1 or more", "what it expected"),
    ("gibbs_chain: n_steps is -1, expected a whole number", "no cure"),
], ids=["good", "function", "got", "expected", "cure"])
def test_an_incomplete_message_is_seen(message, fault):
    for mentioned in ("-1", ""):  # with "", something must be said all the same
        found = faults_of(message, mentioned, NAMES)
        assert not found if fault is None else any(fault in f for f in found), found


CORE = ["kernels", "kernels.gibbs", "kernels.softplus", "kernels.noise", "kernels.cd_update", "likelihood", "enumeration", "variational", "mixture", "rbm", "sampling", "partition", "objectives", "rbm_training", "checkpoint", "fitting"]
EXCUSED = {
    "salakhutdinov_murray_schedule": "takes no argument",
    "gibbs_half_step_reference": "a definition, for tests", "sum_softplus_reference": "a definition, for tests", "apply_phases_reference": "a definition, for tests",
    "layers_above": "says that it leaves checks out, for inner loops", "half_step": "says that it leaves checks out, for inner loops", "probabilities": "the same", "draw": "the same", "continue_chain": "the same", "apply_phases": "the same", "update": "the same", "update_jointly": "the same", "divided": "tests/test_many_processes.py", "update_reference": "a definition, for tests", "compare": "the same", "scaled_noise": "the same",
    "gradient": "takes what cd_phases returned", "load_model": "tests/test_checkpoint.py damages its files", "save_model": "tests/test_checkpoint.py", "load_notes": "tests/test_checkpoint.py", "save_run": "used by fit, tests/test_checkpoint.py", "load_run": "the same", "fingerprint": "the same", "has_run": "tests/test_processes.py", "make_folder": "used by fit, tests/test_fitting.py",
    "discretised_logistic_log_likelihood": "tests/test_bad_input_vq_images.py",
    "normal_log_prob": "used inside the loops by functions that check", "log_level_mass": "the same",
}

NAMES = defined(CORE, foreign=True) | {"load"}
test_the_good_arguments_are_good, test_a_bad_argument_is_answered_with_got_expected_and_a_cure = door_tests(doors, NAMES, examples=15)


def test_every_public_function_of_the_core_is_tested_or_excused():
    require_all_tried(doors(), CORE, EXCUSED)
