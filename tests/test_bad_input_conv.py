"""Convolutional networks, whitening and selectivity against random bad input, as test_bad_input.py does for the core: axes, channels, blocks, sizes, generators."""
import torch
from hypothesis import strategies as st

from deepgen_lib import CDOptions
from deepgen_lib.conv_dbn import ConvDBN
from deepgen_lib.conv_enumeration import all_pictures, all_pooled_states, block_states, conv_hidden_log_prob, conv_log_likelihood, conv_log_partition
from deepgen_lib.conv_inference import block_logits, hierarchical_energy, hierarchical_sweep, infer
from deepgen_lib.conv_rbm import ConvRBM, random_conv_rbm
from deepgen_lib.conv_stacking import PooledSamples, greedy_conv_dbn
from deepgen_lib.conv_training import ConvRBMTrainer, conv_cd_gradient
from deepgen_lib.max_pool import log_block_sums, probabilistic_max_pool, sample_max_pool, unpool
from deepgen_lib.selectivity import average_precision, conditional_entropy, strongest
from deepgen_lib.whitening import whiten
from tests import bad_values as bad
from tests.doors import Door, defined, require_all_tried, seeded, door_tests

INNER = {"spread": "shapes are its caller's", "conv_statistics": "phases are made by the trainer", "sample_pooled": "inner loop"}


def images(good, *, binary=False, channels=False, dtypes=True, **flags):
    """Spoilt pictures: as spoilt tensors, and where it matters one channel too many."""
    kinds = bad.tensors(good, binary=binary, any_columns=True, dtypes=dtypes, **flags)
    more = torch.cat([good, good[:, :1]], 1)
    return kinds | st.just((more, str(tuple(more.shape)))) if channels else kinds


def sizes():
    """No (height, width)."""
    return st.sampled_from([(8, "8"), ((8,), "(8,)"), ((8, 0), "0"), ((8.0, 8), "8.0"), (None, "None"), ("88", "88"), ((4, 4, 4), "(4, 4, 4)")])


def doors() -> dict[str, Door]:
    """Made afresh for every example, as a bad call may not change what the next one sees."""
    g = seeded()
    lower, upper = random_conv_rbm(1, 2, 2, scale=0.3, rng=g).requires_grad_(False), random_conv_rbm(2, 2, 2, block=1, scale=0.3, rng=g).requires_grad_(False)
    dbn, rng, x = ConvDBN([lower, upper]), {"rng": bad.rng()}, (torch.rand(3, 1, 5, 5, dtype=torch.float64, generator=g) < 0.5).double()
    h, deep = lower.sample_hidden(x, g).h, dbn.recognise(x, g)
    I, pool, known = torch.randn(2, 2, 4, 6, dtype=torch.float64, generator=g), (torch.rand(3, 2, 2, 2, generator=g) < 0.5).double(), torch.ones(1, 1, 5, 5, dtype=torch.float64)
    labels = torch.tensor([0, 1, 1])
    trainer, block = ConvRBMTrainer(lower, CDOptions(), image_size=(5, 5), rng=g), bad.count(1) | st.just((4, "4")) | st.just((3, "3"))
    stream = PooledSamples([lower], ConvRBMTrainer(upper, CDOptions(), image_size=(2, 2), rng=g))
    pictures, binary = images(x, channels=True), images(x, binary=True, channels=True)
    levels, hidden = bad.count(1, 2), st.sampled_from([(None, "NoneType"), ([h], "(3, 2, 4, 4)"), ([h, h], "(3, 2, 4, 4)"), ([h, None], "NoneType"), ([deep[0] / 2, deep[1]], "other than 0 and 1"), (h, "Tensor")])
    return {
        "probabilistic_max_pool": Door(probabilistic_max_pool, dict(logits=I, block=2), dict(logits=images(I, dtypes=False), block=block)),
        "log_block_sums": Door(log_block_sums, dict(logits=I, block=2), dict(logits=images(I, dtypes=False), block=block)),
        "sample_max_pool": Door(sample_max_pool, dict(logits=I, block=2, rng=g), dict(logits=images(I, dtypes=False), block=block, **rng)),
        "unpool": Door(unpool, dict(pool=pool, block=2, rng=g), dict(pool=images(pool, binary=True, dtypes=False), block=bad.count(1), **rng)),
        "ConvRBM": Door(ConvRBM, dict(n_channels=1, n_filters=2, filter_size=2, sigma=0.5, rng=g), dict(n_channels=bad.count(1), n_filters=bad.count(1), filter_size=bad.count(1), block=bad.count(1),
            sigma=bad.number(1e-3).filter(lambda drawn: drawn[0] is not None), weight_std=bad.number(0.0), rng=bad.of(bad.NO_GENERATORS[1:]))),
        "ConvRBM.hidden_logits": Door(lower.hidden_logits, dict(v=x), dict(v=pictures), lower), "ConvRBM.max_pool": Door(lower.max_pool, dict(v=x), dict(v=pictures), lower),
        "ConvRBM.visible_input": Door(lower.visible_input, dict(h=h), dict(h=images(h, channels=True)), lower), "ConvRBM.visible_mean": Door(lower.visible_mean, dict(h=h), dict(h=images(h, channels=True)), lower),
        "ConvRBM.sample_hidden": Door(lower.sample_hidden, dict(v=x, rng=g), dict(v=pictures, **rng), lower), "ConvRBM.sample_visible": Door(lower.sample_visible, dict(h=h, rng=g), dict(h=images(h, channels=True), **rng), lower),
        "ConvRBM.energy": Door(lower.energy, dict(v=x, h=h), dict(v=binary, h=images(h, binary=True, channels=True) | bad.rows(h)), lower), "ConvRBM.free_energy": Door(lower.free_energy, dict(v=x), dict(v=binary), lower),
        "random_conv_rbm": Door(random_conv_rbm, dict(n_channels=1, n_filters=1, filter_size=2, rng=g), dict(n_channels=bad.count(1), scale=bad.number(0.0), **rng)),
        "block_states": Door(block_states, dict(block=2), dict(block=bad.count(1))),
        "all_pooled_states": Door(all_pooled_states, dict(n_filters=1, height=2, width=4, block=2), dict(n_filters=bad.count(1) | st.just((9, "states")), height=bad.count(1) | st.just((3, "3")), width=bad.count(1), block=bad.count(1))),
        "all_pictures": Door(all_pictures, dict(n_channels=1, height=2, width=2), dict(n_channels=bad.count(1), height=bad.count(1), width=bad.count(1))),
        "conv_log_partition": Door(conv_log_partition, dict(rbm=lower, height=3, width=3), dict(rbm=bad.no_model(), height=bad.count(1) | st.just((4, "4")), width=bad.count(1)), lower),
        "conv_hidden_log_prob": Door(conv_hidden_log_prob, dict(rbm=lower, height=3, width=3), dict(rbm=bad.no_model(), height=bad.count(1) | st.just((4, "4")), width=bad.count(1)), lower),
        "conv_log_likelihood": Door(conv_log_likelihood, dict(rbm=lower, v=x[..., :3, :3]), dict(rbm=bad.no_model(), v=images(x[..., :3, :3], binary=True, channels=True)), lower),
        "conv_cd_gradient": Door(conv_cd_gradient, dict(rbm=lower, v=x, n_gibbs_steps=1, rng=g), dict(rbm=bad.no_model(), v=binary, n_gibbs_steps=bad.count(1), **rng), lower),
        "ConvRBMTrainer": Door(lambda **given: ConvRBMTrainer(lower, **given), dict(options=CDOptions(), image_size=(5, 5), rng=g), dict(options=st.just((CDOptions(centred=True), "True")), image_size=sizes(), **rng), lower),
        "ConvRBMTrainer.check_data": Door(trainer.check_data, dict(data=x), dict(data=binary | st.just((x[..., :3, :3], "(3, 3)"))), lower),
        "ConvDBN": Door(ConvDBN, dict(rbms=[lower, upper]), dict(rbms=stacks())),
        "ConvDBN.features": Door(dbn.features, dict(v=x, level=2), dict(v=pictures, level=levels), dbn), "ConvDBN.recognise": Door(dbn.recognise, dict(v=x, rng=g), dict(v=pictures, **rng), dbn),
        "ConvDBN.descend": Door(dbn.descend, dict(pool=pool, rng=g), dict(pool=images(pool, binary=True, channels=True), **rng), dbn), "ConvDBN.bases": Door(dbn.bases, dict(level=1), dict(level=levels), dbn),
        "ConvDBN.sample": Door(dbn.sample, dict(n=3, image_size=(5, 5), n_gibbs_steps=1, start=pool, rng=g), dict(n=bad.count(1), image_size=sizes(), n_gibbs_steps=bad.count(0),
            start=(images(pool, binary=True, channels=True) | bad.rows(pool)).filter(lambda drawn: drawn[0] is not None), **rng), dbn),
        "hierarchical_energy": Door(hierarchical_energy, dict(dbn=dbn, v=x, hidden=deep), dict(dbn=bad.no_model(), v=binary, hidden=hidden), dbn),
        "block_logits": Door(block_logits, dict(dbn=dbn, v=x, hidden=deep, level=1), dict(dbn=bad.no_model(), v=binary, hidden=hidden, level=levels), dbn),
        "hierarchical_sweep": Door(hierarchical_sweep, dict(dbn=dbn, v=x, hidden=deep, known=known, rng=g), dict(dbn=bad.no_model(), v=binary, hidden=hidden, known=masks(known), **rng), dbn),
        "infer": Door(infer, dict(dbn=dbn, v=x, n_sweeps=2, known=known, burn_in=1, rng=g), dict(dbn=bad.no_model(), v=binary, n_sweeps=bad.count(2), known=masks(known), burn_in=bad.count(0, 1).filter(lambda drawn: drawn[0] is not None),
            top_down=bad.flag(), **rng), dbn),
        "PooledSamples.check_data": Door(stream.check_data, dict(data=x), dict(data=binary), lower),
        "greedy_conv_dbn": Door(greedy_conv_dbn, dict(x=x, rbms=[lower, upper], options=CDOptions(), n_updates=1, batch_size=2, rng=g), dict(
            x=binary, rbms=stacks(), options=st.just(([CDOptions()], "1 options")), n_updates=bad.count(1), batch_size=bad.count(1, 3), **rng), lower),
        "whiten": Door(whiten, dict(images=I, cutoff=0.4), dict(images=images(I, dtypes=False) | st.sampled_from([(torch.ones(2, 1, 4, 4), "picture 0"), (I.half(), "float16"), (I.bfloat16(), "bfloat16")]), cutoff=bad.number(1e-3, 0.71))),
        "average_precision": Door(average_precision, dict(scores=I[0, 0, :3], positive=labels > 0), dict(scores=bad.tensors(I[0, 0, :3], dtypes=False, any_columns=True), positive=st.sampled_from(
            [(labels, "int64"), (labels > 1, "0 true"), (labels[:2] > 0, "(2,)"), (None, "NoneType")]))),
        "conditional_entropy": Door(conditional_entropy, dict(active=pool[:, 0, 0], labels=labels, n_classes=2), dict(active=bad.tensors(pool[:, 0, 0], dtypes=False, any_columns=True), n_classes=bad.count(2),
            labels=st.sampled_from([(labels + 1, "1 to 2"), (labels - 1, "-1 to 0"), (labels[:2], "(2,)"), (labels.float(), "float32"), (None, "NoneType"), (0 * labels, "class 1")]))),
        "strongest": Door(strongest, dict(scores=I[0, 0, :3], share=0.5), dict(scores=bad.tensors(I[0, 0, :3], dtypes=False, any_columns=True), share=bad.number(0.0, 1.0))),
    }


def masks(known):
    """No mask of the pictures: other sizes, two channels, grey, three rows for two pictures."""
    return images(known, binary=True, channels=True, dtypes=False).filter(lambda drawn: drawn[0] is not None) | st.just((known[..., :4], "(1, 1, 5, 4)")) | st.just((known.repeat(2, 1, 1, 1), "(2, 1, 5, 5)"))


def stacks():
    """No stack: nothing, something else, filters that do not meet channels, Gaussian units above, two number types."""
    r = lambda below, above, **options: ConvRBM(below, above, 2, weight_std=0.0, **options)
    return st.sampled_from([([], "[]"), (r(1, 2), "ConvRBM"), (None, "NoneType"), ([r(1, 2), None], "NoneType"), ([r(1, 2), r(3, 2)], "2 filters"),
                            ([r(1, 2), r(2, 2, sigma=0.5)], "sigma=0.5"), ([r(1, 2), r(2, 2).double()], "float64")])


MODULES = ["conv_dbn", "conv_enumeration", "conv_inference", "conv_rbm", "conv_stacking", "conv_training", "max_pool", "selectivity", "whitening"]
NAMES = defined(MODULES) | {"fit", "all_states"}
test_the_good_arguments_are_good, test_a_bad_argument_is_answered_with_got_expected_and_a_cure = door_tests(doors, NAMES, examples=6)


def test_every_public_function_is_tried():
    require_all_tried(doors(), MODULES, INNER)
