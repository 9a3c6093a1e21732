"""Vector quantisation against random bad input, as test_bad_input.py does for the core: vectors, ids, codebooks, pictures, sizes, generators."""
import torch
from hypothesis import strategies as st

from deepgen_lib.codebook import Codebook
from deepgen_lib.kernels.counter import new_clock
from deepgen_lib.kernels.nearest_code import nearest_code
from deepgen_lib.kernels.residual_normal_sample import residual_normal_sample
from deepgen_lib.residual_conv import conv_decoder, conv_encoder
from deepgen_lib.vector_quantisation import perplexity, straight_through, vq_losses
from deepgen_lib.vqvae import VQVAE
from tests import bad_values as bad
from tests.doors import Door, defined, door_tests, given_at_all, require_all_tried, seeded


def ids_of(good):
    """No ids of 5 codes in this shape."""
    return st.sampled_from([(good.float(), "float32"), (good.int(), "int32"), (good + 5, "5 to"), (good - 5, "-5 to"), (good[:0], "(0,"), (None, "NoneType"), (good.tolist(), "list")])


def other_rows(good):
    return st.just((torch.cat([good, good[:1]]), str((len(good) + 1, *good.shape[1:])))) | st.just((good[None], str((1, *good.shape))))


def pictures(good):
    return bad.tensors(good, any_columns=True)


def doors() -> dict[str, Door]:
    """Made afresh for every example, as a bad call may not change what the next one sees."""
    g = seeded()
    z, codes = torch.randn(9, 3, generator=g), torch.randn(5, 3, generator=g)
    ids, book, rng = torch.randint(5, (9,), generator=g), Codebook(5, 3, rng=g), {"rng": bad.rng()}
    encoder, decoder = (make(1, 3, width=4, rng=g) for make in (conv_encoder, conv_decoder))
    model, x, rows = VQVAE(encoder, decoder, book), torch.rand(2, 1, 8, 8, generator=g), bad.tensors(z, any_rows=True)
    network = dict(n_channels=1, dim=2, width=3, n_down=1, n_blocks=0)
    counts = {name: bad.count(0 if name == "n_blocks" else 1) for name in network} | {"rng": bad.of(bad.NO_GENERATORS[1:])}
    maps = ids[:8].view(2, 2, 2)
    four = dict(mu=z, log_sigma=z, delta_mu=z, delta_log_sigma=z)
    not_alike = st.sampled_from([(None, "NoneType"), (ids, "int64"), (z.double(), "float64"), (z.tolist(), "list")])
    no_clock = st.sampled_from([(None, "NoneType"), (z[0], "float32"), (ids, "(9,)"), (7, "int")])
    return {
        "nearest_code": Door(nearest_code, dict(z=z, codes=codes), dict(z=rows, codes=bad.tensors(codes, any_rows=True))),
        "straight_through": Door(straight_through, dict(z_e=z, z_q=z), dict(z_e=st.sampled_from([(None, "NoneType"), (ids, "int64")]), z_q=st.sampled_from([(z[0], "(3,)"), (z.double(), "float64"), (z.T, "(3, 9)"), ([0.0], "list")]))),
        "vq_losses": Door(vq_losses, dict(z_e=z, codes=codes, ids=ids), dict(z_e=bad.tensors(z, any_rows=True).filter(lambda drawn: getattr(drawn[0], "ndim", 2) == 2), codes=bad.tensors(codes, any_rows=True, dtypes=False), ids=ids_of(ids) | other_rows(ids))),
        "perplexity": Door(perplexity, dict(counts=codes[:, 0].abs()), dict(counts=bad.tensors(codes[:, 0].abs(), dtypes=False, any_columns=True).filter(lambda drawn: "int" not in drawn[1])
            | st.sampled_from([(torch.zeros(3), "sum 0"), (torch.tensor([2.0, -1.0]), "sum 1"), (torch.tensor([True]), "bool")]))),
        "Codebook": Door(Codebook, dict(n_codes=2, dim=2, rng=g), dict(n_codes=bad.count(1), dim=bad.count(1), update=bad.choice("ema", "gradient"), decay=bad.number(0.0, 1.0), rng=bad.of(bad.NO_GENERATORS[1:]))),
        "Codebook.nearest": Door(book.nearest, dict(z=z), dict(z=rows)),
        "Codebook.init_from": Door(book.init_from, dict(z=z, rng=g), dict(z=rows | st.just((z[:4], "4 rows")), how=bad.choice("data", "kmeans"), **rng)),
        "Codebook.update_statistics": Door(book.update_statistics, dict(z=z, ids=ids), dict(z=rows, ids=ids_of(ids) | other_rows(ids))),
        "Codebook.revive": Door(book.revive, dict(z=z, below=0.1, rng=g), dict(z=rows, below=bad.number(0.0), **rng)),
        "VQVAE": Door(VQVAE, dict(encoder=encoder, decoder=decoder, codebook=book), dict(encoder=bad.of([None, 3, "conv"]), decoder=bad.of([None, 3, "conv"]), codebook=bad.of([None, 3, codes]),
            commitment=bad.number(0.0), sigma=bad.number(1e-3).filter(given_at_all), revive_below=bad.number(0.0))),
        "VQVAE.encode": Door(model.encode, dict(x=x), dict(x=pictures(x)), model), "VQVAE.reconstruct": Door(model.reconstruct, dict(x=x), dict(x=pictures(x)), model),
        "VQVAE.terms": Door(model.terms, dict(x=x), dict(x=pictures(x)), model), "VQVAE.check_data": Door(model.check_data, dict(data=x), dict(data=pictures(x)), model),
        "VQVAE.decode": Door(model.decode, dict(ids=maps), dict(ids=ids_of(maps) | st.just((maps[0], "(2, 2)"))), model),
        "VQVAE.init_codes": Door(model.init_codes, dict(x=x, rng=g), dict(x=pictures(x) | st.just((x[:1], "4 rows")), how=bad.choice("data", "kmeans"), **rng), model),
        "residual_normal_sample": Door(residual_normal_sample, dict(**four, clock=new_clock(g, "cpu")), dict(dict.fromkeys(four, st.just((z[:, :2], "(9, 2)")) | not_alike) | {"mu": not_alike}, clock=no_clock)),
        "conv_encoder": Door(conv_encoder, network, counts), "conv_decoder": Door(conv_decoder, network, counts),
    }


MODULES = ["vector_quantisation", "codebook", "vqvae", "residual_conv", "kernels.nearest_code", "kernels.code_totals", "kernels.residual_normal_sample", "kernels.counter_normal"]
EXCUSED = {
    "look_up": "leaves checks out, for inner loops", "losses": "leaves checks out, for inner loops", "nearest": "leaves checks out, for inner loops", "nearest_code_reference": "the definition, for tests",
    "residual_normal_sample_reference": "the definition, for tests", "code_totals_reference": "the definition, for tests", "code_totals": "inner loop of Codebook", "counter_normal_reference": "the definition, for tests",
    "all_reduced": "inner loop of Codebook", "conv": "a layer of the networks", "ResidualBlock": "a layer of the networks",
}
NAMES = defined(MODULES) | {"fit"}
test_the_good_arguments_are_good, test_a_bad_argument_is_answered_with_got_expected_and_a_cure = door_tests(doors, NAMES, examples=12)


def test_every_public_function_is_tried():
    require_all_tried(doors(), MODULES, EXCUSED)
