"""Priors over codes, two-level models, bounds and the classifier against random bad input, as test_bad_input.py does for the core: maps, codes, conditions, sizes, generators."""
import torch
from hypothesis import strategies as st

from deepgen_lib import load_digit_classifier
from deepgen_lib.autoregressive import PixelCNN, training_rows
from deepgen_lib.code_likelihood import code_bound, fit_log_scales, log_scale_at
from deepgen_lib.digit_classifier import DigitClassifier
from deepgen_lib.likelihood import discretised_logistic_log_likelihood
from deepgen_lib.swap_codes import SwapCodes
from deepgen_lib.vqvae2 import VQVAE2, TwoMaps, error_by_scale
from tests import bad_values as bad
from tests.doors import Door, defined, door_tests, given_at_all, require_all_tried, seeded
from tests.test_bad_input_conv import images

INNER = {"load_digit_classifier": "no arguments"}


def maps(good: torch.Tensor, n_codes: int | None = None):
    """No maps of codes: another type or number type, an axis too few or too many, a row too many, none at all, a code too small or too large."""
    kinds = [(good.float(), "float32"), (None, "NoneType"), ([[0]], "list"), (good[0], str(tuple(good.shape[1:]))), (good[:, None], str(tuple(good[:, None].shape))), (good[:0], str(tuple(good[:0].shape)))]
    if n_codes is not None:
        kinds += [(torch.cat([good, good[:, :1]], 1), str(good.shape[1] + 1)), (good - 1 - good.min(), "-1"), (good.clamp(min=n_codes), str(n_codes))]
    return st.sampled_from(kinds)


def doors() -> dict[str, Door]:
    g = seeded()
    prior = PixelCNN(3, (2, 2), width=4, n_layers=1).requires_grad_(False)
    above = PixelCNN(3, (2, 4), condition=(4, 1, 2), width=4, n_layers=1).requires_grad_(False)
    model, x = VQVAE2(1, width=4, dim=2, n_codes=(3, 4), rng=g).requires_grad_(False), torch.rand(2, 1, 8, 8, generator=g)
    z, wide, c = torch.randint(3, (2, 2, 2), generator=g), torch.randint(3, (2, 2, 4), generator=g), torch.randint(4, (2, 1, 2), generator=g)
    levels, mean, two = torch.randint(256, (2, 1, 4, 4), generator=g) / 255, torch.rand(2, 1, 4, 4, generator=g), model.encode(x)
    rows, judge, digits = training_rows(wide, c), load_digit_classifier(), torch.rand(2, 1, 28, 28, generator=g)
    rng, sizes = {"rng": bad.rng()}, st.sampled_from([(7, "7"), ((7,), "(7,)"), ((7, 0), "0"), ((2.0, 2), "2.0"), (None, "None")])
    conditions = maps(c, 4).filter(given_at_all) | st.sampled_from([(c[:1], "1 maps")])
    pictures = images(x, channels=True) | st.just((x[..., :6], "(8, 6)"))
    flat, level_kinds = levels.flatten(1), st.sampled_from([(levels.flatten(1) + 0.001, "not all on a level"), (levels.flatten(1) * 255, "not all on a level"), (-levels.flatten(1) - 1, "-")])
    return {
        "PixelCNN": Door(PixelCNN, dict(n_codes=3, map_size=(4, 4), condition=(2, 2, 2), width=4, n_layers=1, reach=1), dict(n_codes=bad.count(1), map_size=sizes, width=bad.count(1), n_layers=bad.count(1), reach=bad.count(1),
            condition=st.sampled_from([((2, 2), "(2, 2)"), ((2, 3, 2), "(3, 2)"), (2, "2"), ((0, 2, 2), "0")]))),
        "PixelCNN.logits": Door(above.logits, dict(z=wide, condition=c), dict(z=maps(wide, 3), condition=conditions | st.just((None, "nothing"))), above),
        "PixelCNN.log_likelihood": Door(above.log_likelihood, dict(z=wide, condition=c), dict(z=maps(wide, 3), condition=conditions | st.just((None, "nothing"))), above),
        "PixelCNN.log_likelihood alone": Door(prior.log_likelihood, dict(z=z, condition=None), dict(z=maps(z, 3), condition=st.just((c, "a map"))), prior),
        "PixelCNN.sample": Door(above.sample, dict(n=2, condition=c, rng=g), dict(n=bad.count(1), condition=conditions | st.just((None, "nothing")), **rng), above),
        "PixelCNN.start_from": Door(prior.start_from, dict(codes=torch.rand(3, 2, generator=g), z=z, rng=g), dict(codes=bad.tensors(torch.rand(3, 2), any_columns=True) | st.sampled_from([(torch.rand(4, 2), "(4, 2)"), (torch.rand(3, 5), "(3, 5)")]), z=maps(z, 3), **rng), prior),
        "PixelCNN.check_data": Door(prior.check_data, dict(data=z), dict(data=maps(z, 3)), prior),
        "PixelCNN.check_data with condition": Door(above.check_data, dict(data=rows), dict(data=st.sampled_from([(rows[:, 1:], "9"), (wide, "(2, 2, 4)"), (None, "NoneType"), (rows + 3, "expected 0 to 2"), (rows.float(), "float32")])), above),
        "training_rows": Door(training_rows, dict(z=wide, condition=c), dict(z=maps(wide) | st.just((wide[:1], "1 maps")), condition=maps(c))),
        "VQVAE2": Door(VQVAE2, dict(n_channels=1, width=4, dim=2, n_codes=(3, 4), without_bottom=0.3, rng=g), dict(n_channels=bad.count(1), width=bad.count(1), dim=bad.count(1), without_bottom=bad.number(0, 1),
            n_codes=st.sampled_from([(3, "3"), ((3,), "(3,)"), ((3, 0), "0"), (None, "None")]), **rng)),
        "VQVAE2.encode": Door(model.encode, dict(x=x), dict(x=pictures), model), "VQVAE2.terms": Door(model.terms, dict(x=x), dict(x=pictures), model), "VQVAE2.check_data": Door(model.check_data, dict(data=x), dict(data=pictures), model),
        "VQVAE2.decode": Door(model.decode, dict(maps=two, without="top"), dict(without=bad.choice("none", "top", "bottom").filter(bad_level), maps=st.sampled_from([
            (two.top, "Tensor"), (None, "NoneType"), (TwoMaps(two.top, two.top), "(2, 2, 2)"), (TwoMaps(two.top.clamp(min=3), two.bottom), "to 3"), (TwoMaps(two.top, two.bottom.float()), "float32"), (TwoMaps(two.top[0], two.bottom), "(2, 2)")])), model),
        "VQVAE2.mean_code": Door(model.mean_code, dict(level="top"), dict(level=bad.choice("top", "bottom")), model),
        "error_by_scale": Door(error_by_scale, dict(x=x, y=x, block=4), dict(x=images(x, channels=True), y=images(x, channels=True), block=bad.count(1) | st.just((3, "3")))),
        "SwapCodes": Door(SwapCodes, dict(share=0.1, rng=g), dict(share=bad.number(0, 1), **rng)),
        "code_bound": Door(code_bound, dict(x=levels, mean=mean, log_prior=torch.rand(2), log_scales=torch.zeros(3)), dict(x=images(levels), mean=images(mean) | st.just((mean[..., :2], "(2, 1, 4, 2)")),
            log_prior=bad.tensors(torch.rand(2)), log_scales=bad.tensors(torch.zeros(3), any_columns=True))),
        "log_scale_at": Door(log_scale_at, dict(mean=mean, log_scales=torch.zeros(3)), dict(mean=bad.of(bad.NO_TENSORS), log_scales=bad.tensors(torch.zeros(3), any_columns=True))),
        "fit_log_scales": Door(fit_log_scales, dict(x=levels, mean=mean, n_bands=2), dict(x=images(levels) | st.just((levels + 0.001, "not all on a level")), mean=images(mean) | st.just((mean[..., :2], "(2, 1, 4, 2)")), n_bands=bad.count(1, 256))),
        "discretised_logistic_log_likelihood": Door(discretised_logistic_log_likelihood, dict(x=flat, mu=flat, log_scale=0 * flat), dict(x=bad.tensors(flat, any_rows=True) | level_kinds, mu=bad.tensors(flat, any_rows=True), log_scale=bad.tensors(flat, any_rows=True))),
        "DigitClassifier.log_prob": Door(judge.log_prob, dict(x=digits), dict(x=images(digits, channels=True) | st.just((digits[..., :27], "(28, 27)"))), judge),
        "DigitClassifier.sureness": Door(judge.sureness, dict(x=digits), dict(x=images(digits, channels=True)), judge),
        "DigitClassifier.check_data": Door(judge.check_data, dict(data=torch.eye(794)[784:]), dict(data=bad.tensors(torch.eye(794)[784:], any_rows=True) | st.just((torch.zeros(2, 794), "one-hot"))), judge),
        "DigitClassifier": Door(DigitClassifier, dict(width=2, n_hidden=3), dict(width=bad.count(1), n_hidden=bad.count(1))),
    }


def bad_level(drawn) -> bool:
    return drawn[0] is not None and drawn[0] != "none"


MODULES = ["autoregressive", "code_likelihood", "digit_classifier", "swap_codes", "vqvae2"]
NAMES = defined(MODULES) | {"fit", "load", "Codebook", "discretised_logistic_log_likelihood"}
test_the_good_arguments_are_good, test_a_bad_argument_is_answered_with_got_expected_and_a_cure = door_tests(doors, NAMES, examples=6)


def test_every_public_function_is_tried():
    require_all_tried(doors(), MODULES, INNER)
