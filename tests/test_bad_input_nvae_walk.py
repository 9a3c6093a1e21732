"""The ladder of two groups and walks through an NVAE against random bad input, as test_bad_input.py does for the core."""
import torch
from hypothesis import strategies as st

from deepgen_lib.ladder import LadderQ, TwoGroupLadder
from deepgen_lib.nvae.tracing import hears, trace
from tests import bad_values as bad
from tests.doors import Door, defined, door_tests, given_at_all, require_all_tried, seeded
from tests.nvae_models import pictures, random_nvae
from tests.test_bad_input_nvae import NO_MODULES, images

F64 = torch.float64
INNER = {"covariance": "takes what the ladder returned", "modules_by_name": "asked by trace"}


def wrong_q(q: LadderQ):
    wrong = [(None, "NoneType"), (tuple(q), "tuple"), (q._replace(mu=q.mu[:1]), "(1,)"), (q._replace(offset=q.offset * float("nan")), "NaN"), (q._replace(sigma=0.0), "0.0"), (q._replace(sigma=1e300), "1e+300"), (q._replace(width=-1.0), "-1.0"), (q._replace(slope="1"), "'1'"), (q._replace(slope=-1e300), "-1e+300")]
    return st.sampled_from(range(len(wrong))).map(wrong.__getitem__)


def wrong_noise(noise: list):
    wrong = [(None, "NoneType"), (noise[0], "Tensor"), (noise[:-1], "list"), ([noise[0][:1], *noise[1:]], "(1,"), ([*noise[:2], noise[2][..., :-1]], "noise[2]"), ([*noise[:2], 0.5], "list")]
    return st.sampled_from(range(len(wrong))).map(wrong.__getitem__)


def doors() -> dict[str, Door]:
    """Made afresh for every example."""
    toy, x = TwoGroupLadder(2.0, 0.5, 1.0), torch.tensor([0.5, -1.0, 2.0], dtype=F64)
    q, numbers = toy.posterior(x), bad.tensors(x, any_rows=False, shapes=False) | st.sampled_from([(x[:, None], "(3, 1)"), (x[0], "()")])
    model = random_nvae(groups=(1, 2)).requires_grad_(False)
    picture, noise = pictures(model, 2), model.noise(2, seeded())
    shifts = st.sampled_from([({"tap 9": 1.0}, "tap 9"), ({"z 1": 1.0}, "z 1")])
    names = st.sampled_from(["tap 9", "", "h", "X", None, 3]).map(lambda name: (name, repr(name)))
    pictured = images(picture, binary=True, rows=False).filter(given_at_all)
    return {
        "TwoGroupLadder": Door(TwoGroupLadder, dict(a=1.0, s=1.0, r=1.0), dict(a=bad.number(-1e6, 1e6), s=bad.number(1e-6, 1e6), r=bad.number(1e-6, 1e6))),
        **{f"TwoGroupLadder.{f.__name__}": Door(f, dict(x=x), dict(x=numbers)) for f in (toy.log_likelihood, toy.posterior, toy.independent)},
        **{f"TwoGroupLadder.{f.__name__}": Door(f, dict(x=x, q=q), dict(x=numbers, q=wrong_q(q))) for f in (toy.bound, toy.gap)},
        "trace": Door(trace, dict(model=model, x=picture, noise=noise, shift={"tap 2": 1.0}), dict(model=bad.of(NO_MODULES), x=pictured, noise=wrong_noise(noise), shift=shifts), model),
        "hears": Door(hears, dict(model=model, x=picture, noise=noise, name="tap 1"), dict(model=bad.of(NO_MODULES), x=pictured, noise=wrong_noise(noise), name=names), model),
    }


MODULES = ["ladder", "nvae.tracing"]
NAMES = defined(MODULES) | {"trace"}
test_the_good_arguments_are_good, test_a_bad_argument_is_answered_with_got_expected_and_a_cure = door_tests(doors, NAMES, examples=4)


def test_every_public_function_is_tried():
    require_all_tried(doors(), MODULES, INNER)
