"""Deep belief networks against the enumeration of everything: joint, conditionals, likelihood, bound, samples."""
import pytest
import torch
from torch.testing import assert_close

from deepgen_lib import DBN, LabelledRBM, RBM, all_states, dbn_joint_log_prob, dbn_posterior, exact_log_likelihood, joint_log_prob, random_rbm
from deepgen_lib import recognition_distribution, sleep_kl, state_numbers, tied_rbm, visible_log_prob, wake_kl
from deepgen_lib.dbn_bound import log_generation, log_recognition
from deepgen_lib.dbn_enumeration import aggregated_posterior

SIZES = [(4, 3), (4, 3, 5), (3, 4, 2, 5), (2, 4, 3, 2, 4)]  # all neighbours different: a transpose cannot pass


def network(sizes, rng, *, untied: float = 0.0) -> DBN:
    dbn = DBN([random_rbm(a, b, scale=0.8, rng=rng) for a, b in zip(sizes, sizes[1:])]).requires_grad_(False)
    for layer in dbn.recognition:
        layer.W += untied * torch.randn(layer.W.shape, dtype=layer.W.dtype, generator=rng)
        layer.c += untied * torch.randn(layer.c.shape, dtype=layer.c.dtype, generator=rng)
    return dbn


@pytest.fixture(params=SIZES, ids=str)
def dbn(request, rng):
    return network(request.param, rng, untied=0.5)


def test_the_joint_sums_to_one_and_its_marginals_are_the_layers(dbn):
    log_p = dbn_joint_log_prob(dbn)
    assert log_p.shape == tuple(2**n for n in dbn.n_units)
    assert_close(log_p.flatten().logsumexp(0), torch.zeros((), dtype=torch.float64), atol=1e-10, rtol=0)
    for t in range(len(dbn.n_units) - 1):
        others = tuple(s for s in range(log_p.ndim) if s != t)
        assert_close(dbn.layer_log_prob(t), log_p.logsumexp(others), atol=1e-10, rtol=0)


def test_the_top_pair_of_the_joint_is_the_top_rbm(dbn):
    log_p = dbn_joint_log_prob(dbn)
    lower = tuple(range(log_p.ndim - 2))
    assert_close(log_p.logsumexp(lower) if lower else log_p, joint_log_prob(dbn.top), atol=1e-10, rtol=0)


def test_lower_conditionals_of_the_joint_are_the_printed_sigmoids(dbn):
    p = dbn_joint_log_prob(dbn).exp()
    for t in range(1, len(dbn.directed) + 1):
        pair = p.sum(tuple(s for s in range(p.ndim) if s not in (t - 1, t)))               # (2**n_{t-1}, 2**n_t)
        on = all_states(dbn.n_units[t - 1]).T @ pair / pair.sum(0)                          # P(lower_i = 1 | upper)
        assert_close(on.T, torch.sigmoid(dbn.generation_logits(t, all_states(dbn.n_units[t]))), atol=1e-10, rtol=0)


def test_likelihood_and_posterior_are_the_joints(dbn):
    x, log_p = all_states(dbn.n_units[0]), dbn_joint_log_prob(dbn)
    assert_close(dbn.log_likelihood(x), log_p.flatten(1).logsumexp(1), atol=1e-10, rtol=0)
    if dbn.directed:
        hidden = log_p.logsumexp(-1)
        assert_close(dbn_posterior(dbn, x), torch.softmax(hidden.flatten(1), 1).reshape(hidden.shape), atol=1e-10, rtol=0)


def test_the_bound_is_its_definition_and_its_gap_the_divergence(dbn):
    """Summed over whole hidden configurations, without the layer by layer recursion."""
    x = all_states(dbn.n_units[0])
    bound = dbn.bound(x)
    if not dbn.directed:
        assert_close(bound.total, dbn.log_likelihood(x), atol=1e-10, rtol=0)
        return
    q, log_p = recognition_distribution(dbn, x).flatten(1), dbn_joint_log_prob(dbn).logsumexp(-1).flatten(1)
    assert_close(q.sum(1), torch.ones(len(x), dtype=torch.float64))
    assert_close(bound.total, (q * (log_p - q.log())).sum(1), atol=1e-10, rtol=0)
    assert_close(bound.entropy, -(q * q.log()).sum(1), atol=1e-10, rtol=0)
    level = dbn.layer_log_prob(len(dbn.directed))
    assert_close(bound.prior, recognition_distribution(dbn, x).flatten(1, -2).sum(1) @ level if q.ndim and len(dbn.directed) > 1 else q @ level, atol=1e-10, rtol=0)
    assert_close(dbn.log_likelihood(x) - bound.total, wake_kl(dbn, x), atol=1e-10, rtol=0)
    assert (wake_kl(dbn, x) > 0).all() and sleep_kl(dbn) > 0


def test_the_sampled_bound_is_unbiased_and_knows_its_error(dbn, rng):
    x = all_states(dbn.n_units[0])
    exact, sampled = dbn.bound(x), dbn.bound(x, n_samples=1000, rng=rng)
    assert (sampled.standard_error > 0).all() == bool(dbn.directed)
    deviation = (sampled.total - exact.total).abs()
    assert (deviation < 4.5 * sampled.standard_error + 1e-10).all()
    if dbn.directed:  # and the error is not overstated: deviations in units of it have the size of a normal's
        again = torch.stack([dbn.bound(x, n_samples=20, rng=rng).total for _ in range(40)])
        claimed = dbn.bound(x, n_samples=800, rng=rng).standard_error * 40**0.5  # of 20 samples
        assert (0.6 < again.std(0) / claimed).all() and (again.std(0) / claimed < 1.6).all()


def test_large_weights_cost_no_digits(rng):
    """Inputs of 20 to 30, where torch's softplus rounds log(1 + e^x) to x, an error of up to 2e-9 a unit."""
    dbn, x = network((4, 3, 5), rng), all_states(4)
    for layer in (dbn.directed[0], dbn.recognition[0]):
        layer.W.fill_(0.0)
        (layer.b if hasattr(layer, "b") else layer.c).fill_(20.5)
    for pairs in (log_generation(dbn, 1).T, log_recognition(dbn, 1)):
        assert_close(pairs.logsumexp(1), torch.zeros(len(pairs), dtype=torch.float64), atol=1e-12, rtol=0)
    sampled = dbn.bound(x[-1:], n_samples=400, rng=rng)  # x = 1111: every h is 111 and every P is sigma(20.5)
    assert_close(sampled.reconstruction, torch.full((1,), 4 * torch.nn.functional.logsigmoid(torch.tensor(20.5, dtype=torch.float64)).item(), dtype=torch.float64), atol=1e-12, rtol=0)


def test_log_z_given_by_hand_moves_the_bound_by_as_much(rng):
    dbn, x = network((4, 3, 5), rng), all_states(4)
    from deepgen_lib import log_partition
    shifted = dbn.bound(x, log_z=log_partition(dbn.top).item() + 0.5)
    assert_close(dbn.bound(x).total - shifted.total, torch.full((16,), 0.5, dtype=torch.float64))


@pytest.mark.parametrize("sizes", SIZES[1:3], ids=str)
def test_recognised_layers_are_draws_of_q(sizes, rng):
    dbn = network(sizes, rng, untied=0.5)
    x = torch.zeros(40_000, sizes[0], dtype=torch.float64)
    h = dbn.recognise(x, rng)[-1]
    q = recognition_distribution(dbn, x[:1]).flatten(1, -2).sum(1)[0] if len(dbn.directed) > 1 else recognition_distribution(dbn, x[:1])[0]
    assert chi_square(h, q) < limit(len(q))


@pytest.mark.parametrize("sizes, start", [((4, 3, 5), 0.0), ((4, 3, 5), 1.0), ((3, 4, 2, 5), 0.0), ((3, 4, 2, 5), 1.0)], ids=str)
def test_samples_from_any_start_pass_a_chi_square_test(sizes, start, rng):
    dbn = network(sizes, rng)
    begin = torch.full((20_000, sizes[-2]), start, dtype=torch.float64)
    x = dbn.sample(20_000, n_gibbs_steps=60, start=begin, rng=rng)
    p = dbn.layer_log_prob(0).exp()
    assert chi_square(x, p) < limit(len(p))


@pytest.mark.parametrize("n_gibbs_steps", [0, 1])
def test_samples_that_skip_the_top_chain_fail_it(n_gibbs_steps, rng):
    """The test above can fail: without enough top sweeps the start is still seen."""
    dbn = network((4, 3, 5), rng)
    x = dbn.sample(60_000, n_gibbs_steps=n_gibbs_steps, start=torch.zeros(60_000, 3, dtype=torch.float64), rng=rng)
    assert chi_square(x, dbn.layer_log_prob(0).exp()) > 2 * limit(16)


def test_features_are_the_deterministic_pass_and_means_are_probabilities(rng):
    dbn = network((4, 3, 5), rng)
    x = torch.rand(6, 4, dtype=torch.float64, generator=rng)
    h = torch.sigmoid(x @ dbn.recognition[0].W + dbn.recognition[0].c)
    assert_close(dbn.features(x, 1), h)
    assert_close(dbn.features(x, 2), torch.sigmoid(h @ dbn.top.W + dbn.top.c))
    ones = torch.ones(2, 3, dtype=torch.float64)
    assert_close(dbn.descend(ones, rng, means=True), torch.sigmoid(dbn.generation_logits(1, ones)))


def test_stacking_copies(rng):
    rbm = random_rbm(4, 3, rng=rng).requires_grad_(False)
    dbn = DBN.from_rbm(rbm, n_hidden=6).requires_grad_(False)
    before = dbn.log_likelihood(all_states(4))
    assert_close(before, exact_log_likelihood(rbm, all_states(4)), atol=1e-10, rtol=0)
    rbm.W.zero_()
    dbn.recognition[0].W.zero_()
    assert_close(dbn.log_likelihood(all_states(4)), before)


def test_the_tied_start_needs_its_biases_swapped_and_its_weights_transposed(rng):
    """T1 over random RBMs, and what breaks it."""
    for _ in range(20):
        rbm = random_rbm(4, 4, rng=rng).requires_grad_(False)  # square: a forgotten transpose has the right shape
        p, tied = visible_log_prob(rbm), tied_rbm(rbm, n_hidden=6)
        assert_close(DBN([rbm, tied]).log_likelihood(all_states(4)).detach(), p, atol=1e-10, rtol=0)
        for wrong in (dict(b=rbm.b, c=torch.cat([rbm.c, rbm.c[:2]])), dict(b=torch.zeros(4)), dict(c=torch.zeros(6)), dict(W=torch.nn.functional.pad(rbm.W, (0, 2)))):
            broken = tied_rbm(rbm, n_hidden=6).requires_grad_(False)
            for name, value in wrong.items():
                getattr(broken, name).copy_(value)
            assert (DBN([rbm, broken]).log_likelihood(all_states(4)).detach() - p).abs().max() > 1e-3, wrong.keys()


def test_aggregated_posterior_is_the_mean_of_q(rng):
    dbn, x = network((3, 4, 2, 5), rng, untied=0.3), all_states(3)[[0, 3, 3, 6]]
    q = recognition_distribution(dbn, x).mean(0)
    assert_close(aggregated_posterior(dbn, x), q.sum(1))
    assert_close(aggregated_posterior(dbn, x, level=2), q.sum(0))


@pytest.mark.parametrize("call, words", [
    (lambda d, x, g: DBN([]), ("DBN", "at least one RBM")),
    (lambda d, x, g: DBN(RBM(3, 2)), ("DBN", "list")),
    (lambda d, x, g: DBN([RBM(3, 2), RBM(4, 2)]), ("RBM 1 has 2 hidden", "RBM 2 has 4 visible")),
    (lambda d, x, g: DBN([RBM(3, 2), RBM(2, 2).double()]), ("float32", "float64")),
    (lambda d, x, g: DBN([LabelledRBM(3, 2, 2), RBM(2, 2)]), ("label units", "last RBM")),
    (lambda d, x, g: tied_rbm(RBM(4, 3), n_hidden=3), ("tied_rbm", "at least 4")),
    (lambda d, x, g: d.bound(x[:, :3]), ("bound", "(B, 4)")),
    (lambda d, x, g: d.bound(x + 0.5), ("bound", "0 and 1")),
    (lambda d, x, g: d.bound(x[:0]), ("bound", "empty")),
    (lambda d, x, g: d.bound(x, n_samples=3), ("n_samples", "both or neither")),
    (lambda d, x, g: d.bound(x, n_samples=0, rng=g), ("n_samples", "at least 1")),
    (lambda d, x, g: d.bound(x, log_z=float("nan")), ("log_z", "nan")),
    (lambda d, x, g: d.log_likelihood(x.float()), ("float32", "float64")),
    (lambda d, x, g: d.generation_logits(2, x), ("generation_logits", "at most 1")),
    (lambda d, x, g: d.recognition_logits(0, x), ("recognition_logits", "at least 1")),
    (lambda d, x, g: d.features(x, 3), ("features", "at most 2")),
    (lambda d, x, g: d.sample(0, n_gibbs_steps=1, rng=g), ("sample", "n is 0")),
    (lambda d, x, g: d.sample(2, n_gibbs_steps=-1, rng=g), ("sample", "n_gibbs_steps is -1")),
    (lambda d, x, g: d.sample(2, n_gibbs_steps=1, start=torch.ones(3, 3).double(), rng=g), ("start has 3 rows", "n is 2")),
    (lambda d, x, g: d.sample(2, n_gibbs_steps=1, labels=torch.tensor([0, 1]), rng=g), ("labels", "LabelledRBM")),
    (lambda d, x, g: d.sample(2, n_gibbs_steps=1, rng=0), ("rng is int",)),
    (lambda d, x, g: d.class_log_prob(x), ("class_log_prob", "no labels")),
    (lambda d, x, g: d.layer_log_prob(2), ("layer_log_prob", "at most 1")),
    (lambda d, x, g: DBN([RBM(20, 20), RBM(20, 20)]).log_likelihood(torch.zeros(1, 20)), ("too many to enumerate", "ais_log_partition")),
    (lambda d, x, g: dbn_posterior(DBN([RBM(3, 2)]), torch.zeros(1, 3)), ("dbn_posterior", "at least two RBMs")),
])
def test_bad_input_is_answered(call, words, rng):
    dbn = network((4, 3, 5), rng)
    with pytest.raises(ValueError) as raised:
        call(dbn, all_states(4), rng)
    for word in (*words, "expected"):
        assert word in str(raised.value)


def chi_square(states: torch.Tensor, p: torch.Tensor) -> float:
    """Σ (observed - expected)² / expected over all states."""
    counts = torch.bincount(state_numbers(states), minlength=len(p))
    expected = len(states) * p
    return ((counts - expected) ** 2 / expected).sum().item()


def limit(n_states: int) -> float:
    """Mean plus 4.5 standard deviations of chi-square with n_states - 1 degrees of freedom."""
    return n_states - 1 + 4.5 * (2 * (n_states - 1)) ** 0.5
