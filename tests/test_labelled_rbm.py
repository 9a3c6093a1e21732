"""The RBM with a softmax label group against the enumeration of features and one-hot labels."""
import pytest
import torch
from torch.testing import assert_close

from deepgen_lib import CDOptions, DBN, LabelledRBM, RBMTrainer, ais_log_partition, all_states, log_partition, random_rbm, visible_log_prob
from deepgen_lib.labels import labelled_rows
from deepgen_lib.sampling import gibbs_chain, parallel_tempering, sample_v_from_h

F, K, H = 3, 4, 2


@pytest.fixture
def rbm(rng):
    rbm = LabelledRBM(F, K, H).double().requires_grad_(False)
    for p in rbm.parameters():
        p.copy_(torch.randn(p.shape, dtype=p.dtype, generator=rng))
    return rbm


def visible_states() -> torch.Tensor:
    """Every [features, one-hot label].  -> (2**F * K, F + K)."""
    x, y = all_states(F), torch.eye(K, dtype=torch.float64)
    return torch.cat([x.repeat_interleave(K, 0), y.repeat(len(x), 1)], 1)


def joint(rbm) -> torch.Tensor:
    """log p(v, h) over one-hot labels alone.  -> (2**F * K, 2**H)."""
    v, h = visible_states(), all_states(H)
    minus_energy = v @ rbm.W @ h.T + (v @ rbm.b)[:, None] + h @ rbm.c
    return minus_energy - minus_energy.flatten().logsumexp(0)


def test_log_partition_counts_one_hot_labels_alone(rbm):
    assert_close(rbm.log_partition(), (-rbm.free_energy(visible_states())).logsumexp(0), atol=1e-10, rtol=0)


def test_large_weights_cost_no_digits(rbm):
    """Inputs above 20, where torch's softplus is off by up to 2e-9 a unit."""
    rbm.W.fill_(0.0)
    rbm.b.fill_(20.5)
    rbm.c.fill_(20.5)
    one = torch.logaddexp(torch.tensor(20.5, dtype=torch.float64), torch.zeros((), dtype=torch.float64))
    assert_close(rbm.log_partition(), (F + H) * one + 20.5 + torch.tensor(K, dtype=torch.float64).log(), atol=1e-12, rtol=1e-15)
    assert_close(rbm.class_logits(all_states(F)), (20.5 + H * one).expand(2**F, K), atol=1e-12, rtol=1e-15)


def test_class_logits_are_the_posterior_of_the_label(rbm):
    log_p = joint(rbm).logsumexp(1).reshape(2**F, K)
    assert_close(rbm.class_logits(all_states(F)).log_softmax(1), log_p.log_softmax(1), atol=1e-10, rtol=0)


def test_label_logits_are_the_conditional_given_h(rbm):
    log_p = joint(rbm).reshape(2**F, K, 2**H).logsumexp(0)
    assert_close(rbm.label_logits(all_states(H)).log_softmax(1), log_p.T.log_softmax(1), atol=1e-10, rtol=0)


def test_gibbs_leaves_the_joint_invariant_and_labels_one_hot(rbm, rng):
    p, v, n = joint(rbm).logsumexp(1).exp(), visible_states(), 40_000
    start = v[torch.multinomial(p, n, replacement=True, generator=rng)]
    after = gibbs_chain(rbm, start, n_steps=1, rng=rng)
    assert (after[:, F:].sum(1) == 1).all()
    assert chi_square(after, v, p) < len(p) - 1 + 4.5 * (2 * (len(p) - 1)) ** 0.5


def test_a_clamped_chain_samples_features_given_the_label(rbm, rng):
    n, k = 20_000, 2
    given = joint(rbm).logsumexp(1).reshape(2**F, K)[:, k].softmax(0)
    x = rbm.label_chain(torch.zeros(n, F, dtype=torch.float64), torch.full((n,), k), n_steps=60, rng=rng)
    assert chi_square(x, all_states(F), given) < 7 + 4.5 * 14**0.5


def test_independent_label_coins_would_be_another_model(rbm, rng):
    """The chi-square above can fail: coins in place of the softmax leave the joint at once."""
    p, v, n = joint(rbm).logsumexp(1).exp(), visible_states(), 20_000
    start = v[torch.multinomial(p, n, replacement=True, generator=rng)]
    h = torch.bernoulli(torch.sigmoid(rbm.hidden_logits(start)), generator=rng)
    coins = torch.bernoulli(torch.sigmoid(h @ rbm.W.T + rbm.b), generator=rng)
    assert (coins[:, F:].sum(1) != 1).double().mean() > 0.2


def test_the_trainer_learns_labels(rng):
    """CD on [x, y] with y = the first feature: the label is then read off from x."""
    x = torch.bernoulli(torch.full((200, F), 0.5), generator=rng)
    data = labelled_rows(x, x[:, 0].long(), 2)
    rbm = LabelledRBM(F, 2, 8, rng=rng).requires_grad_(False)
    trainer = RBMTrainer(rbm, CDOptions(learning_rate=0.5, final_learning_rate=0.5), rng=rng)
    trainer.check_data(data)
    for _ in range(600):
        trainer.update(data, 0.0, rng)
    assert (rbm.class_logits(x).argmax(1) == x[:, 0].long()).all()


def test_a_labelled_dbn_samples_and_classifies(rng):
    dbn = DBN([random_rbm(5, F, rng=rng), LabelledRBM(F, K, H).double()]).requires_grad_(False)
    assert dbn.n_units == (5, F, H)
    assert dbn.sample(6, n_gibbs_steps=2, labels=torch.tensor([0, 1, 2, 3, 0, 1]), rng=rng).shape == (6, 5)
    assert dbn.sample(6, n_gibbs_steps=2, rng=rng).shape == (6, 5)
    assert_close(dbn.class_log_prob(all_states(5)).exp().sum(1), torch.ones(32, dtype=torch.float64))


@pytest.mark.parametrize("call, words", [
    (lambda r, g: log_partition(r), ("log_partition", "4 label units")),
    (lambda r, g: visible_log_prob(r), ("visible_log_prob", "label")),
    (lambda r, g: ais_log_partition(r, base_mean=torch.full((7,), 0.5), n_temperatures=10, rng=g), ("ais_log_partition", "label")),
    (lambda r, g: parallel_tempering(r, n_chains=2, inverse_temperatures=torch.linspace(0, 1, 3), n_steps=1, rng=g), ("parallel_tempering", "label")),
    (lambda r, g: sample_v_from_h(r, torch.ones(1, H).double(), g), ("sample_v_from_h", "label")),
    (lambda r, g: LabelledRBM(3, 1, 2), ("n_labels", "at least 2")),
    (lambda r, g: r.class_logits(torch.zeros(2, 7).double()), ("class_logits", "(B, 3)")),
    (lambda r, g: r.label_chain(torch.zeros(2, 3).double(), torch.tensor([0, 4]), n_steps=1, rng=g), ("labels runs from 0 to 4", "0 to 3")),
    (lambda r, g: r.label_chain(torch.zeros(2, 3).double(), torch.tensor([0]), n_steps=1, rng=g), ("labels has shape (1,)", "(2,)")),
    (lambda r, g: r.label_chain(torch.zeros(1, 3).double(), torch.tensor([0.0]), n_steps=1, rng=g), ("label_chain", "torch.int64")),
    (lambda r, g: DBN([random_rbm(5, F, rng=g), r]).bound(torch.zeros(1, 5).double()), ("DBN.bound", "label units")),
])
def test_bad_input_is_answered(call, words, rbm, rng):
    with pytest.raises(ValueError) as raised:
        call(rbm, rng)
    for word in (*words, "expected"):
        assert word in str(raised.value)


def chi_square(states, all_of_them, p) -> float:
    counts = torch.tensor([(states == row).all(1).sum() for row in all_of_them])
    return ((counts - len(states) * p) ** 2 / (len(states) * p)).sum().item()
