"""Feature views, the linear probe and the MLP against random bad input, as test_bad_input.py does for the core."""
import torch
from hypothesis import strategies as st

from deepgen_lib import DBN, AdamOptions, GradientTrainer, fit, random_rbm
from deepgen_lib.features import first_layer_filters, linear_combination, maximise_activation, top_images, top_rows
from deepgen_lib.labels import labelled_rows
from deepgen_lib.mlp import MLP
from deepgen_lib.probe import ProbeResult, linear_probe
from tests import bad_values as bad
from tests.doors import Door, defined, require_all_tried, door_tests

F64, K, B = torch.float64, 3, 6
NO_DBN = [None, 3, "dbn", random_rbm(4, 3, rng=torch.Generator().manual_seed(0)), torch.zeros(2, 2)]


def units(n: int):
    """No list of unit numbers below n."""
    wrong = [None, 2, 0.5, "units", [], [-1], [n], [0, n + 3], [0.0], [True], ["0"], torch.tensor([n]), torch.tensor([0.5]), torch.tensor([[0]]), torch.tensor(1)]
    return st.sampled_from(wrong).map(lambda value: (value, str(value)[:20]))


def labels(good: torch.Tensor, n_classes: int | None = None):
    """No class numbers (N,)."""
    wrong = [(None, "NoneType"), ([0, 1], "list"), (good.float(), "torch.float32"), (good.int(), "torch.int32"), (good.bool(), "torch.bool"),
             (good[:-1], f"({len(good) - 1},)"), (good[:0], "(0,)"), (good[None], f"(1, {len(good)})"), (good - 5, "-5")]
    return st.sampled_from(wrong + ([] if n_classes is None else [(good + n_classes, f"to {good.max() + n_classes}")]))


def not_one_hot(good: torch.Tensor):
    """Rows whose labels are none, several, or shares; besides all that is wrong with any matrix."""
    def spoilt(row):
        rows = good.clone()
        rows[0, -K:] = torch.tensor(row).to(good)
        return rows, "no one-hot"
    return bad.tensors(good) | st.sampled_from([[0, 0, 0], [1, 1, 0], [0.5, 0.5, 0], [2, -1, 0], [0.0, 0.0, 3.0]]).map(spoilt)


def doors() -> dict[str, Door]:
    """Made afresh for every example."""
    g = torch.Generator().manual_seed(0)
    dbn = DBN([random_rbm(4, 3, rng=g), random_rbm(3, 2, rng=g)]).requires_grad_(False)
    x, y = torch.rand(B, 4, dtype=F64, generator=g), torch.tensor([0, 1, 2, 2, 1, 0])
    mlp = MLP((4, 3), K, rng=g).double()
    trainer = GradientTrainer(mlp, AdamOptions())
    view = dict(dbn=bad.of(NO_DBN), level=bad.count(1, 2), units=units(2))
    seen = dict(dbn=dbn, level=2, units=[0, 1])
    probe = dict(features=x, labels=y, test_features=x, test_labels=y, weight_decay=0.1, n_steps=3)
    rates = ("learning_rate", "final_learning_rate", "weight_decay")
    return {
        "first_layer_filters": Door(first_layer_filters, dict(dbn=dbn, units=[0, 2]), dict(dbn=view["dbn"], units=units(3)), dbn),
        "linear_combination": Door(linear_combination, seen, view, dbn),
        "maximise_activation": Door(maximise_activation, seen | dict(norm=1.0, n_steps=2, rng=g), view | dict(
            norm=bad.number(1e-3).filter(lambda drawn: drawn[0] is not None), n_steps=bad.count(1), rng=bad.rng()), dbn),
        "top_images": Door(top_images, seen | dict(images=x, n_images=2), view | dict(images=bad.tensors(x), n_images=bad.count(1, B)), dbn),
        "top_rows": Door(top_rows, seen | dict(images=x, n_images=2), view | dict(images=bad.tensors(x), n_images=bad.count(1, B)), dbn),
        "linear_probe": Door(linear_probe, probe, dict(
            features=bad.tensors(x, any_columns=True, dtypes=False), labels=labels(y), test_features=bad.tensors(x), test_labels=labels(y), weight_decay=bad.number(0.0), n_steps=bad.count(1))),
        "linear_probe in half precision": Door(linear_probe, probe, dict(features=st.just((x.half(), "torch.float16")))),
        "ProbeResult.predict": Door(linear_probe(**probe).predict, dict(features=x), dict(features=bad.tensors(x))),
        "MLP": Door(MLP, dict(n_units=(4, 3), n_classes=K, rng=g), dict(
            n_units=st.sampled_from([(None, "None"), (4, "4"), ((4,), "(4,)"), ((), "()"), ("784", "784"), ((4, 0), "0"), ((4, 2.0), "2.0"), ((True, 3), "True")]), n_classes=bad.count(2), rng=bad.rng())),
        "MLP.from_dbn": Door(MLP.from_dbn, dict(dbn=dbn, n_classes=K, rng=g), dict(dbn=bad.of(NO_DBN), n_classes=bad.count(2), rng=bad.rng()), dbn),
        "MLP.logits": Door(mlp.logits, dict(x=x), dict(x=bad.tensors(x)), mlp),
        "MLP.error": Door(mlp.error, dict(x=x, labels=y), dict(x=bad.tensors(x), labels=labels(y, K)), mlp),
        "labelled_rows": Door(labelled_rows, dict(x=x, labels=y, n_classes=K), dict(x=bad.tensors(x, any_columns=True, dtypes=False), labels=labels(y, K), n_classes=bad.count(2))),
        "AdamOptions": Door(AdamOptions, dict(kind="adam"), dict(kind=bad.choice("adam", "adamax"), schedule=bad.choice("linear", "cosine"), warm_up=bad.number(0.0, 0.9), **{r: bad.number(0.0) for r in rates})),
        "GradientTrainer": Door(GradientTrainer, dict(model=mlp, options=AdamOptions()), dict(model=bad.of([None, dbn, "mlp"]), options=bad.of([None, {"learning_rate": 0.1}, AdamOptions, "adam"])), mlp),
        "GradientTrainer.load_state": Door(trainer.load_state, dict(state=trainer.state()), dict(state=st.sampled_from([({}, "nothing"), (trainer.state() | {"exp_avg.c.0": torch.zeros(2, 2)}, "(2, 2)")])), mlp),
        "MLP.check_data": Door(mlp.check_data, dict(data=labelled_rows(x, y, K)), dict(data=not_one_hot(labelled_rows(x, y, K))), mlp),
        "fit": Door(fit, dict(trainer=trainer, data=labelled_rows(x, y, K), n_updates=1, batch_size=2, rng=g), dict(data=not_one_hot(labelled_rows(x, y, K))), None),
    }


MODULES = ["labels", "features", "probe", "mlp", "gradient_training"]
NAMES = defined(MODULES) | {"fit", "ProbeResult"}
test_the_good_arguments_are_good, test_a_bad_argument_is_answered_with_got_expected_and_a_cure = door_tests(doors, NAMES, examples=15)


def test_every_public_function_is_tested():
    require_all_tried(doors(), MODULES, {"running_statistics": "inner part of GradientTrainer"})
