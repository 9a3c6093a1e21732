"""Diagrams say in words what they draw, every edge ends at the nodes that it names, nothing is cut or covered, and the graphs are those of the models."""
import functools
import inspect
import itertools
import re

import numpy as np
import pytest
from matplotlib.patches import Circle

from deepgen_lib import plots
from deepgen_lib.plots import diagrams
from deepgen_lib.plots.diagram import FILLS, KINDS, UNIT, Diagram

NAMES = sorted(name for name, value in vars(diagrams).items() if inspect.isfunction(value) and value.__module__.startswith(diagrams.__name__) and not name.startswith("_"))
ARROWS, LINES, Q, FLOW, BACK = "arrows of the model", "lines without direction", "arrows of q", "arrows of computation", "gradients"


@functools.cache
def drawn(name: str) -> plots.Picture:
    picture = getattr(diagrams, name)()
    picture.figure.canvas.draw()
    return picture


def edges(picture: plots.Picture, kind: str) -> set[tuple[str, str]]:
    """{(tail, head)} of a kind, from the words alone."""
    line = next((line.strip() for line in picture.description.splitlines() if line.strip().startswith(f"{kind}: ")), f"{kind}: ")
    found = set()
    for group in filter(None, line.removeprefix(f"{kind}: ").split("; ")):
        tails, heads = re.sub(r" \([^()]*(\([^()]*\)[^()]*)*\)$", "", group).split(" → " if " → " in group else " – ")
        found |= set(itertools.product(tails.split(", "), heads.split(", ")))
    return found


def patches(picture: plots.Picture, kind: str) -> list:
    return [patch for patch in picture.figure.axes[0].patches if str(patch.get_gid()).split()[0] == kind]


def boxes(picture: plots.Picture) -> dict[str, object]:
    """Extents on the paper of every text that is drawn, in pixels."""
    return {f"{text.get_text()} #{i}": text.get_window_extent() for i, text in enumerate(picture.figure.axes[0].texts)}


def uncovered(picture: plots.Picture) -> list[str]:
    """Pairs of texts that overlap, and texts that leave the paper."""
    found, paper = boxes(picture), picture.figure.bbox
    legend = picture.figure.axes[0].get_legend()
    cut = [words for words, box in found.items() if box.x0 < paper.x0 or box.y0 < paper.y0 or box.x1 > paper.x1 or box.y1 > paper.y1]
    if legend is not None:
        found["the key"] = legend.get_window_extent()
        cut += ["the key"] * int(found["the key"].x0 < paper.x0 or found["the key"].y0 < paper.y0)
    return cut + [f"{a} over {b}" for (a, one), (b, two) in itertools.combinations(found.items(), 2) if one.overlaps(two)]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_cut_or_covered_and_the_letters_are_large(name):
    picture = drawn(name)
    assert not uncovered(picture)
    assert min(text.get_fontsize() for text in picture.figure.axes[0].texts) >= 11
    assert picture.width <= 800, "wider than a cell of JupyterLab"
    axis = picture.figure.axes[0]
    assert np.ptp(axis.get_xlim()) * UNIT == pytest.approx(picture.figure.get_figwidth())


def test_words_that_cover_each_other_are_found():
    d = Diagram()
    d.node("a", (0, 0), text="a long word")
    d.node("b", (0.8, 0), text="another")
    assert "a long word #0 over another #1" in uncovered(d.picture(says="two words"))


@pytest.mark.parametrize("name", NAMES)
def test_edges_end_at_the_nodes_they_name(name):
    picture = drawn(name)
    to_paper = picture.figure.axes[0].transData
    nodes = {re.sub(r" \((observed|computed|parameter|at rest)\)$", "", patch.get_label()): patch for patch in patches(picture, "node")}
    for line in patches(picture, "edge"):
        tail, head, _ = line.get_label().split("\t")
        ends = to_paper.inverted().transform(line.get_transform().transform_path(line.get_path()).vertices)
        assert away(nodes[tail], ends[0]) < 0.1, f"{tail} → {head} begins elsewhere"
        assert away(nodes[head], ends[-1]) < 0.4, f"{tail} → {head} ends elsewhere"


def away(node, point) -> float:
    """How far outside a node's border a point lies, in units."""
    box = node.get_path().get_extents(node.get_patch_transform())
    if isinstance(node, Circle):
        return float(np.hypot(*(point - np.array(node.center))) - node.radius)
    return max(box.x0 - point[0], point[0] - box.x1, box.y0 - point[1], point[1] - box.y1)


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_edge_node_or_plate_is_seen(name):
    picture = getattr(diagrams, name)()
    whole = plots.describe(picture.figure)
    for kind in ("node", "edge", "plate"):
        for patch in patches(picture, kind):
            patch.set_visible(False)
            assert plots.describe(picture.figure) != whole, f"{kind} {patch.get_label()} can go unnoticed"
            patch.set_visible(True)
    assert plots.describe(picture.figure) == whole and whole in picture.description


def test_every_head_has_its_line():
    for name in NAMES:
        heads = len(patches(drawn(name), "head"))
        assert heads == sum(KINDS[line.get_gid()[5:]].head for line in patches(drawn(name), "edge"))


def test_an_rbm_joins_layers_and_never_a_layer_with_itself():
    picture = diagrams.rbm(3, 2)
    assert edges(picture, LINES) == set(itertools.product(["v₁", "v₂", "v₃"], ["h₁", "h₂"])) and not edges(picture, ARROWS)


def test_a_dbn_is_undirected_only_on_top():
    assert edges(diagrams.dbn(4), LINES) == {("h³", "h⁴")}
    assert edges(diagrams.dbn(4), ARROWS) == {("h³", "h²"), ("h²", "h¹"), ("h¹", "x")}
    assert edges(diagrams.dbn(4), Q) == {("x", "h¹"), ("h¹", "h²"), ("h²", "h³")}
    assert "x → h¹ (W₁)" in drawn("dbn").description and "x → h¹ (R₁)" in diagrams.dbn(untied=True).description
    both = drawn("dbn_and_dbm")
    assert all(tail.startswith("DBN") for tail, _ in edges(both, ARROWS)) and len(edges(both, LINES)) == 4


def test_unrolling_keeps_one_pair_without_direction_until_the_end():
    picture = diagrams.unrolled(3)
    assert edges(picture, LINES) == {("a: h¹", "a: x"), ("b: h²", "b: h¹")}
    assert ("c: without end", "c: h³") in edges(picture, ARROWS)
    assert "b: h² – b: h¹ (Wᵀ)" in picture.description and "b: h¹ → b: x (W)" in picture.description


def test_up_down_draws_up_when_awake_and_down_when_asleep():
    picture = drawn("up_down")
    assert edges(picture, Q) == {("wake: x", "wake: h¹"), ("wake: h¹", "wake: h²")}
    assert edges(picture, ARROWS) == {("sleep: h²", "sleep: h¹"), ("sleep: h¹", "sleep: x")}
    assert edges(picture, LINES) == {("top: h²", "top: h³")}


def test_the_gradient_stops_at_a_draw_and_passes_a_computed_z():
    found = edges(drawn("reparameterisation"), BACK)
    assert ("computed: μ", "computed: encoder") in found or any(head == "computed: encoder" for _, head in found)
    assert not any(head == "drawn: encoder" for _, head in found)


def test_no_gradient_passes_the_argmin():
    picture = drawn("vqvae")
    terms = {name: edges(picture, f"{name} gradients") for name in ("reconstruction", "quantization", "commitment")}
    assert all("argmin" not in pair for found in terms.values() for pair in found)
    assert terms["quantization"] == {("z_e", "codes")} and ("z_q", "z_e") in terms["reconstruction"]
    assert {head for _, head in terms["commitment"]} == {"z_e", "encoder"}


def test_the_towers_share_one_path_and_the_first_prior_is_fixed():
    picture = diagrams.towers(4)
    assert edges(picture, ARROWS) == {(f"path {n}", f"z{s}") for n, s in ((2, "₂"), (3, "₃"), (4, "₄"))}
    assert {tail for tail, head in edges(picture, Q) if head == "z₁"} == {"path 1", "tap 1"}
    assert ("tap 1", "path 1") not in edges(picture, FLOW)


def test_the_correction_never_reaches_the_prior():
    picture = drawn("relative_posterior")
    assert "Δμ, Δσ → p" not in picture.description and "tap → μ" not in picture.description
    assert "μ, σ, Δμ, Δσ → q" in picture.description


@pytest.mark.parametrize("name, argument, low, high", [("rbm", "n_visible", 1, 9), ("rbm", "n_hidden", 1, 9), ("gibbs_chain", "n_steps", 1, 4), ("annealing", "n_steps", 2, 5), ("dbn", "n_layers", 2, 5),
                                                       ("dbn_and_dbm", "n_layers", 2, 4), ("unrolled", "depth", 2, 5), ("up_down", "n_layers", 2, 4), ("towers", "n_groups", 2, 5)])
def test_only_sizes_that_make_a_diagram_are_drawn(name, argument, low, high):
    for bad in (low - 1, high + 1, 2.5, "3", None, True):
        with pytest.raises(ValueError, match=rf"^{name}: {argument} is .*, expected a whole number of at least {low} and at most {high}; "):
            getattr(diagrams, name)(**{argument: bad})
    for good in (low, high):
        assert not uncovered(getattr(diagrams, name)(**{argument: good})), f"{argument}={good}"


def test_unknown_names_are_refused():
    d = Diagram()
    d.node("a", (0, 0))
    for attempt in (lambda: d.node("a", (1, 0)), lambda: d.node("b", (1, 0), look="square"), lambda: d.edge("a", "c"), lambda: d.edge("a", "a", "magic"), lambda: d.plate(["c"], "N")):
        with pytest.raises(ValueError, match="expected"):
            attempt()


def test_kinds_of_edges_differ_without_their_colour():
    """Black and white, or colour-blind: what stands in one key differs by dash, head or width."""
    for name in NAMES:
        kinds = {line.get_gid()[5:] for line in patches(drawn(name), "edge")}
        shapes = [(str(KINDS[kind].dash), KINDS[kind].head, KINDS[kind].width) for kind in kinds]
        assert len(set(shapes)) == len(shapes), name
    assert set(FILLS) == {"hidden", "observed", "box", "parameter", "off"}
