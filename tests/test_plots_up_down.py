"""Figures of chapter 06: what they draw is what they were given, and the divergences are those of the enumeration."""
import math

import pytest
import torch

from deepgen_lib import DBN, dbn_posterior, plots, random_rbm, recognition_distribution, wake_kl


def toy(seed: int = 0) -> DBN:
    rng = torch.Generator().manual_seed(seed)
    dbn = DBN([random_rbm(4, 3, rng=rng), random_rbm(3, 2, scale=2.0, rng=rng)]).requires_grad_(False)
    return dbn


X = torch.tensor([[1.0, 0, 1, 0], [0, 0, 1, 1]], dtype=torch.float64)


def heights(picture, panel: int, label: str) -> torch.Tensor:
    """Of the bars with that label."""
    for container in picture.figure.axes[panel].containers:
        if container.get_label() == label:
            return torch.tensor([bar.get_height() for bar in container])
    raise AssertionError(f"no bars {label!r}")


def test_beside_draws_q_and_the_posterior_and_names_their_divergence():
    dbn = toy()
    picture = plots.up_down.beside(dbn, X[0])
    torch.testing.assert_close(heights(picture, 1, "q").double(), recognition_distribution(dbn, X[:1])[0])
    torch.testing.assert_close(heights(picture, 1, "posterior").double(), dbn_posterior(dbn, X[:1])[0])
    assert f"{wake_kl(dbn, X[:1]).item():.3f} nats" in picture.description


def test_repair_shows_the_network_of_that_phase_and_step_and_marks_the_place():
    paths = {"wake": {0: toy(0), 5: toy(1)}, "sleep": {0: toy(0), 5: toy(2)}}
    render = plots.up_down.repair(paths, X[1], X)
    for phase in paths:
        for step, dbn in paths[phase].items():
            picture = render(phase=phase, step=step)
            shown = [int(label.get_text(), 2) for label in picture.figure.axes[0].get_xticklabels()]
            torch.testing.assert_close(heights(picture, 0, "q").double(), recognition_distribution(dbn, X[1:])[0, shown])
            torch.testing.assert_close(heights(picture, 0, "posterior").double(), dbn_posterior(dbn, X[1:])[0, shown])
            drawn, place = {line.get_label(): line for line in picture.figure.axes[1].lines}, [0, 5].index(step)
            assert drawn["bound"].get_ydata()[place] == pytest.approx(dbn.bound(X).total.mean().item())
            assert drawn["likelihood"].get_ydata()[place] == pytest.approx(dbn.log_likelihood(X).mean().item())
            assert drawn["_bound now"].get_xdata()[0] == place


def test_repair_leaves_out_only_states_that_never_matter():
    paths = {"wake": {0: toy(0), 5: toy(1)}, "sleep": {0: toy(0), 5: toy(2)}}
    picture = plots.up_down.repair(paths, X[1], X)()
    shown = {int(label.get_text(), 2) for label in picture.figure.axes[0].get_xticklabels()}
    networks = [dbn for path in paths.values() for dbn in path.values()]
    most = torch.cat([f(dbn, X[1:]) for dbn in networks for f in (dbn_posterior, recognition_distribution)]).amax(0)
    assert shown == set((most >= 0.03).nonzero().flatten().tolist())


def test_repair_wants_the_same_steps_for_all_phases():
    with pytest.raises(ValueError, match=r"steps \[0, 2\], expected \[0, 1\]"):
        plots.up_down.repair({"wake": {0: toy(), 1: toy()}, "sleep": {0: toy(), 2: toy()}}, X[0], X)


def test_cat_and_dog_writes_the_tables_and_draws_the_lines():
    table = torch.tensor([[0.01, 0.5], [0.48, 0.01]])
    words = plots.up_down.cat_and_dog([0, 1, 2], {"asleep": [3.0, 2.0, 1.5], "awake": [0.5, 0.75, 1.0]}, {"posterior": table, "q": table.flip(0)}).description
    assert "0.48" in words and "posterior" in words and "3.0" in words and "asleep" in words


def test_estimates_draw_two_standard_errors_and_tell_ours_from_published():
    picture = plots.up_down.estimates({"ours": (-86.0, 0.5), "next": (-85.0, 0.0)}, published={"theirs": -86.2}, xlabel="nats")
    axis, = picture.figure.axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["ours", "next", "theirs"]
    (low, y), (high, _) = axis.containers[0].lines[2][0].get_segments()[0]
    assert (low, high, y) == (-87.0, -85.0, 0.0)
    assert axis.containers[2].lines[0].get_markerfacecolor() == "white" != axis.containers[0].lines[0].get_markerfacecolor()


def test_unit_views_show_a_column_for_each_unit():
    linear, maxima, tops = torch.randn(3, 16), torch.rand(3, 16), torch.rand(3, 2, 16)
    words = plots.up_down.unit_views(linear, maxima, tops).description
    assert "1 x 3 images" in words and "3 x 3 images" in words


def test_two_rankings_keep_each_measure_in_its_panel():
    picture = plots.up_down.two_rankings({"a": [-160.0, -161.0], "b": [-170.0, -171.0]}, {"a": [0.3, 0.31], "b": [0.2, 0.21]})
    left, right = picture.figure.axes
    assert left.lines[0].get_xdata().tolist() == [-160.0, -161.0] and right.lines[1].get_xdata().tolist() == [0.2, 0.21]


@pytest.mark.parametrize("call", [
    lambda: plots.up_down.estimates({"ours": (math.nan, 0.0)}, xlabel="nats"),
    lambda: plots.up_down.estimates({"ours": (1.0, -1.0)}, xlabel="nats"),
    lambda: plots.up_down.two_rankings({"a": [1.0]}, {"b": [1.0]}),
    lambda: plots.up_down.two_rankings({"a": [math.inf]}, {"a": [1.0]}),
    lambda: plots.up_down.beside(DBN([random_rbm(4, 3, rng=torch.Generator()), random_rbm(3, 2, rng=torch.Generator()), random_rbm(2, 2, rng=torch.Generator())]), X[0]),
], ids=["nan", "negative error", "other networks", "infinite", "three RBMs"])
def test_what_cannot_be_drawn_is_refused(call):
    with pytest.raises(ValueError, match="expected"):
        call()
