"""Deep belief networks against random bad input, as test_bad_input.py does for the core: depth, sizes, states, labels, generators."""
import torch
from hypothesis import strategies as st

from deepgen_lib import DBN, AveragedParameters, CDOptions, LabelledRBM, RBM, RBMTrainer, UpDownOptions, UpDownTrainer, next_rbm, random_rbm, sleep_gradients, tied_rbm, wake_gradients
from deepgen_lib.dbn_enumeration import aggregated_posterior, dbn_joint_log_prob, dbn_posterior, recognition_distribution, sleep_kl, wake_kl
from deepgen_lib.stacking import greedy_dbn
from deepgen_lib.streams import AggregatedPosterior, SampledPixels
from tests import bad_values as bad
from tests.doors import Door, defined, given_at_all, require_all_tried, seeded, door_tests

SIZES, B, K = (4, 3, 5, 2), 4, 3


def doors() -> dict[str, Door]:
    """Made afresh for every example, as a bad call may not change what the next one sees."""
    g = seeded()
    dbn = DBN([random_rbm(a, b, rng=g) for a, b in zip(SIZES, SIZES[1:])]).requires_grad_(False)
    labelled = LabelledRBM(3, K, 2).double().requires_grad_(False)
    x, h1, h2 = ((torch.rand(B, n, generator=g) < 0.5).double() for n in SIZES[:3])
    rbm, y = random_rbm(4, 3, rng=g).requires_grad_(False), torch.tensor([0, 2, 1, 1])
    updown = UpDownTrainer(dbn, UpDownOptions())
    stream = AggregatedPosterior([rbm], RBMTrainer(random_rbm(3, 2, rng=g).requires_grad_(False), CDOptions(), rng=g))
    rng, states, level = {"rng": bad.rng()}, {"x": bad.tensors(x, binary=True)}, bad.count(1, 2)
    rates = {name: bad.number(0.0) for name in ("learning_rate", "top_learning_rate", "weight_decay")}
    return {
        "DBN": Door(DBN, dict(rbms=[rbm]), dict(rbms=stacks())),
        "DBN.generation_logits": Door(dbn.generation_logits, dict(t=1, upper=h1), dict(t=level, upper=bad.tensors(h1)), dbn),
        "DBN.recognition_logits": Door(dbn.recognition_logits, dict(t=1, lower=x), dict(t=level, lower=bad.tensors(x)), dbn),
        "DBN.recognise": Door(dbn.recognise, dict(x=x, rng=g), dict(**states, **rng), dbn),
        "DBN.features": Door(dbn.features, dict(x=x, level=3), dict(x=bad.tensors(x), level=bad.count(1, 3)), dbn),
        "DBN.descend": Door(dbn.descend, dict(h=h2, rng=g), dict(h=bad.tensors(h2, binary=True), **rng), dbn),
        "DBN.sample": Door(dbn.sample, dict(n=B, n_gibbs_steps=2, start=h2, rng=g), dict(
            n=bad.count(1), n_gibbs_steps=bad.count(0), start=(bad.tensors(h2, binary=True) | bad.rows(h2)).filter(given_at_all), **rng), dbn),
        "DBN.layer_log_prob": Door(dbn.layer_log_prob, dict(t=0), dict(t=bad.count(0, 2)), dbn),
        "DBN.log_likelihood": Door(dbn.log_likelihood, dict(x=x), states, dbn),
        "DBN.bound": Door(dbn.bound, dict(x=x, log_z=1.0, n_samples=2, rng=g), dict(
            **states, log_z=bad.number().filter(given_at_all), n_samples=bad.count(1), rng=bad.of(bad.NO_GENERATORS[1:])), dbn),
        "DBN.class_log_prob": Door(DBN([rbm, labelled]).class_log_prob, dict(x=x), dict(x=bad.tensors(x))),
        "sleep_kl": Door(sleep_kl, dict(dbn=dbn), dict(dbn=no_layers()), dbn),
        "AveragedParameters": Door(AveragedParameters, dict(trainer=updown, start=0.5), dict(trainer=bad.no_model(), start=bad.number(0.0, 1.0)), dbn),
        "AveragedParameters.check_data": Door(AveragedParameters(updown).check_data, dict(data=x), dict(data=bad.tensors(x, binary=True)), dbn),
        "AveragedParameters.load_state": Door(AveragedParameters(updown).load_state, dict(state=AveragedParameters(updown).state()), dict(state=st.just(({}, "nothing"))), dbn),
        "dbn_joint_log_prob": Door(dbn_joint_log_prob, dict(dbn=dbn), dict(dbn=st.just((None, "NoneType")) | st.integers(9, 12).map(lambda n: (DBN([RBM(n, n), RBM(n, n)]), str(3 * n))))),
        "dbn_posterior": Door(dbn_posterior, dict(dbn=dbn, x=x), dict(**states, dbn=no_layers()), dbn),
        "recognition_distribution": Door(recognition_distribution, dict(dbn=dbn, x=x), dict(**states, dbn=no_layers()), dbn),
        "wake_kl": Door(wake_kl, dict(dbn=dbn, x=x), dict(**states, dbn=no_layers()), dbn),
        "aggregated_posterior": Door(aggregated_posterior, dict(dbn=dbn, x=x, level=2), dict(**states, dbn=no_layers(), level=level), dbn),
        "tied_rbm": Door(tied_rbm, dict(rbm=rbm, n_hidden=5), dict(n_hidden=bad.count(4).filter(given_at_all)), rbm),
        "next_rbm": Door(next_rbm, dict(rbm=rbm, n_hidden=5, rng=g), dict(rbm=bad.no_model(), n_hidden=bad.count(1), **rng), rbm),
        "LabelledRBM": Door(LabelledRBM, dict(n_features=2, n_labels=3, n_hidden=2, rng=g), dict(n_features=bad.count(1), n_labels=bad.count(2), n_hidden=bad.count(1))),
        "LabelledRBM.class_logits": Door(labelled.class_logits, dict(features=h1), dict(features=bad.tensors(h1)), labelled),
        "LabelledRBM.label_logits": Door(labelled.label_logits, dict(h=h1[:, :2]), dict(h=bad.tensors(h1[:, :2])), labelled),
        "LabelledRBM.label_chain": Door(labelled.label_chain, dict(features=h1, labels=y, n_steps=1, rng=g), dict(
            features=bad.tensors(h1, binary=True) | bad.rows(h1), labels=labels(), n_steps=bad.count(0), **rng), labelled),
        "wake_gradients": Door(wake_gradients, dict(dbn=dbn, x=x, rng=g), dict(dbn=bad.no_model(), **states, **rng), dbn),
        "sleep_gradients": Door(sleep_gradients, dict(dbn=dbn, h=h2, rng=g), dict(dbn=bad.no_model(), h=bad.tensors(h2, binary=True), **rng), dbn),
        "UpDownOptions": Door(UpDownOptions, dict(n_gibbs_steps=2), dict(n_gibbs_steps=bad.count(1), final_gibbs_steps=bad.count(2).filter(given_at_all), **rates)),
        "UpDownTrainer.check_data": Door(updown.check_data, dict(data=x), dict(data=bad.tensors(x, binary=True)), dbn),
        "AggregatedPosterior.check_data": Door(stream.check_data, dict(data=x), dict(data=bad.tensors(x, binary=True)), rbm),
        "SampledPixels.check_data": Door(SampledPixels(updown).check_data, dict(data=0.5 * x), dict(data=bad.tensors(x))),
        "greedy_dbn": Door(greedy_dbn, dict(x=x, n_hidden=[3], options=CDOptions(n_chains=2), n_updates=1, batch_size=2, rng=g), dict(options=bad.no_model(),
            x=bad.tensors(x, binary=True, dtypes=False, any_columns=True), n_hidden=st.sampled_from([(3, "3"), ([], "[]"), ([0], "0"), ([2, -1], "-1"), ([2.5], "2.5")]),
            n_updates=bad.count(1), batch_size=bad.count(1, B), **rng)),
    }


def stacks():
    """No stack of RBMs: nothing, something else, sizes that do not meet, labels below the top, two number types."""
    r = lambda a, b: RBM(a, b, weight_std=0.0)
    return st.sampled_from([([], "[]"), (r(2, 2), "RBM"), (None, "NoneType"), ([r(2, 2), None], "NoneType"), ([r(3, 2), r(3, 2)], "2 hidden units"),
                            ([LabelledRBM(2, 2, 3), r(3, 2)], "label units"), ([r(3, 2), r(2, 2).double()], "float64")])


def no_layers():
    """No DBN, or one without a directed layer."""
    return st.sampled_from([(None, "NoneType"), (random_rbm(4, 3, rng=seeded()), "RBM"), (DBN([random_rbm(4, 3, rng=seeded())]), "(4, 3)")])


def labels():
    """No labels 0 ... K-1 for B rows."""
    return st.sampled_from([(torch.tensor([0, 1, 2, 3]), "3"), (torch.tensor([0, -1, 2, 1]), "-1"), (torch.tensor([0.0, 1, 2, 1]), "float32"), (torch.zeros(0, dtype=torch.int64), "(0,)"),
                            (torch.zeros(4, 1, dtype=torch.int64), "(4, 1)"), ([0, 1, 2, 1], "list"), (None, "NoneType")])


MODULES = ["dbn", "dbn_bound", "dbn_enumeration", "labelled_rbm", "tied", "streams", "stacking", "averaging", "updown"]
EXCUSED = {
    **dict.fromkeys(["layer_log_prob", "dbn_log_likelihood", "exact_bound", "sampled_bound", "log_generation", "log_recognition"], "DBN's methods check for it"),
    "sample_upwards": "says that it leaves checks out, for inner loops", "Directed": "made by DBN alone", "Recognition": "made by DBN alone",
}
NAMES = defined(MODULES) | {"RBM", "fit", "sample_bernoulli"}
test_the_good_arguments_are_good, test_a_bad_argument_is_answered_with_got_expected_and_a_cure = door_tests(doors, NAMES, examples=12)


def test_every_public_function_is_tried():
    require_all_tried(doors(), MODULES, EXCUSED)
