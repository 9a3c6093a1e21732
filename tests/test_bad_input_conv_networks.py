"""Shipped convolutional networks and the measures of their filters against random bad input, as test_bad_input.py does for the core."""
import torch
from hypothesis import strategies as st

from deepgen_lib.caltech import Caltech
from deepgen_lib.conv_completion import complete_from_above, recentre
from deepgen_lib.conv_dbn import ConvDBN
from deepgen_lib.conv_networks import blank_conv_dbn, complete, half_known, load_conv_dbn, white_pictures
from deepgen_lib.conv_rbm import random_conv_rbm
from deepgen_lib.orientation import edge_measure, filter_correlation, oriented_edges
from tests import bad_values as bad
from tests.doors import Door, defined, door_tests, require_all_tried, seeded

INNER = {"feature_scores": "features and average_precision look at its arguments", "completion_error": "its arguments come from complete"}


def filters(good):
    """Spoilt filters, and some all zero."""
    return bad.tensors(good, any_columns=True, dtypes=False) | st.just((torch.cat([good, 0 * good[:1]]), str(len(good))))


def doors() -> dict[str, Door]:
    """Made afresh for every example, as a bad call may not change what the next one sees."""
    g = seeded()
    W, wide = torch.randn(2, 1, 5, 5, dtype=torch.float64, generator=g), st.sampled_from([(torch.ones(1, 2, 5, 5), "(1, 2, 5, 5)"), (torch.ones(1, 1, 5, 6), "5 x 6"), (torch.ones(1, 1, 3, 3), "3 x 3")])
    data = Caltech(torch.rand(2, 1, 64, 64, generator=g), torch.zeros(2).long(), torch.zeros(2).long(), torch.tensor([[0, 64, 0, 64]] * 2))
    dbn, x, known = ConvDBN([random_conv_rbm(1, 2, 2, sigma=1.0, scale=0.3, rng=g)]).requires_grad_(False), torch.randn(2, 1, 5, 5, dtype=torch.float64, generator=g), torch.ones(1, 1, 5, 5)
    masks = st.sampled_from([(known[..., :4], "(1, 1, 5, 4)"), (known / 2, "other than 0 and 1"), (known.repeat(3, 1, 1, 1), "(3, 1, 5, 5)"), (None, "NoneType")])
    names = bad.choice("faces", "cars", "elephants", "chairs", "four")
    return {
        "edge_measure": Door(edge_measure, dict(filters=W), dict(filters=filters(W) | wide)),
        "oriented_edges": Door(oriented_edges, dict(filters=W, fit=0.5, selectivity=0.5), dict(filters=filters(W) | wide, fit=bad.number(0.0, 1.0), selectivity=bad.number(0.0, 1.0))),
        "filter_correlation": Door(filter_correlation, dict(filters=W, shifts=1), dict(filters=filters(W), shifts=bad.count(0, 4))),
        "white_pictures": Door(white_pictures, dict(data=data), dict(data=st.sampled_from([(data.images, "Tensor"), (None, "NoneType"), (tuple(data), "tuple")]))),
        "blank_conv_dbn": Door(blank_conv_dbn, dict(name="cars"), dict(name=names)), "load_conv_dbn": Door(load_conv_dbn, dict(name="cars"), dict(name=names)),
        "half_known": Door(half_known, dict(side="top"), dict(side=bad.choice("left", "right", "top", "bottom"))),
        "complete": Door(complete, dict(dbn=dbn, x=x, known=known, n_sweeps=2, rng=g), dict(dbn=bad.no_model(), x=bad.tensors(x, any_columns=True), known=masks, n_sweeps=bad.count(1), upper=bad.number(1e-3, 1.0), rng=bad.rng()), dbn),
        "complete_from_above": Door(complete_from_above, dict(dbn=dbn, x=x, known=known, n_samples=1, n_gibbs_steps=1, n_sweeps=2, rng=g), dict(dbn=bad.no_model(),
            x=bad.tensors(x, any_columns=True), known=masks, n_samples=bad.count(1), n_gibbs_steps=bad.count(1), n_sweeps=bad.count(2), rng=bad.rng()), dbn),
        "recentre": Door(recentre, dict(completed=x, known=known, mean=x[:1], examples=x, completed_examples=x), dict(
            known=masks, mean=st.sampled_from([(x, "(2, 1, 5, 5)"), (x[0], "(1, 5, 5)")]), examples=st.sampled_from([(x[..., :4], "(2, 1, 5, 4)"), (None, "NoneType")]), completed_examples=st.sampled_from([(x[:1], "(1, 1, 5, 5)"), (x.float(), "float32")]))),
    }


MODULES = ["conv_completion", "conv_networks", "orientation"]
NAMES = defined(MODULES) | {"infer"}
test_the_good_arguments_are_good, test_a_bad_argument_is_answered_with_got_expected_and_a_cure = door_tests(doors, NAMES, examples=6)


def test_every_public_function_is_tried():
    require_all_tried(doors(), MODULES, INNER)
