"""Figures of chapter 08: what they draw is what the library says."""
import numpy as np
import pytest
import torch

from deepgen_lib import LinearGaussian, plots
from deepgen_lib.latents import NormalPosterior
from deepgen_lib.plots.describe import describe
from deepgen_lib.plots.vae import BASELINES, CLOUD, REACH, SIGMAS, TARGET


def model() -> LinearGaussian:
    return LinearGaussian(torch.tensor([[1.0, 0.9], [0.8, 1.0], [0.3, -0.4]]).double(), torch.zeros(3).double(), 0.5)


def cloud(picture, panel: int) -> np.ndarray:
    return picture.figure.axes[panel].collections[0].get_offsets()


@pytest.mark.parametrize("sigma", SIGMAS)
def test_both_clouds_lie_around_the_exact_gradient(sigma):
    """Within four standard errors of the mean, which the spread in the title gives."""
    picture = plots.vae.clouds(sigma=sigma, n_samples=100, baseline=BASELINES[1])
    for panel in (0, 1):
        points = cloud(picture, panel)
        assert points.shape == (CLOUD, 2)
        if "0 % outside" == picture.figure.axes[panel].texts[0].get_text():
            assert (np.abs(points.mean(0) - TARGET) < 4 * points.std(0, ddof=1) / CLOUD**0.5).all()


def test_the_pathwise_cloud_has_the_width_of_q_and_the_other_one_grows_when_q_narrows():
    wide, narrow = (plots.vae.clouds(sigma=s, n_samples=1) for s in (0.5, 0.05))
    assert cloud(wide, 0).std() == pytest.approx(0.5, rel=0.2)  # around two centres half a unit apart
    assert cloud(narrow, 0)[:, 0].std() == pytest.approx(0.05, rel=0.2)
    assert int(narrow.figure.axes[1].texts[0].get_text().split()[0]) > int(wide.figure.axes[1].texts[0].get_text().split()[0])


def test_what_lies_outside_is_put_on_the_frame_and_counted():
    picture = plots.vae.clouds(sigma=0.05, n_samples=1)
    points = cloud(picture, 1)
    outside = (np.abs(points) >= REACH).any(1).mean()
    assert 0.2 < outside <= 1 and picture.figure.axes[1].texts[0].get_text() == f"{round(100 * outside)} % outside"


def test_more_draws_and_a_baseline_narrow_the_cloud():
    plain, more, helped = (cloud(plots.vae.clouds(sigma=1.0, **kw), 1).std() for kw in (dict(n_samples=10), dict(n_samples=100), dict(n_samples=10, baseline=BASELINES[1])))
    assert more < 0.5 * plain and helped < plain


def test_ellipses_are_two_standard_deviations_of_the_posterior_and_of_each_q():
    x = torch.tensor([0.4, -0.2, 1.0]).double()
    q = NormalPosterior(torch.tensor([[0.5, -1.0]]).double(), torch.tensor([[0.0, -1.0]]).double())
    drawn = {line.get_label(): line.get_xydata() for line in plots.vae.ellipses(model(), x, {"mine": q}).figure.axes[0].lines}
    mean, covariance = model().posterior(x[None])
    off = drawn["posterior"] - mean.numpy()
    np.testing.assert_allclose(np.einsum("ni,ij,nj->n", off, np.linalg.inv(covariance.numpy()), off), 4, rtol=1e-9)
    off = (drawn["mine"] - [0.5, -1.0]) / np.exp([0.0, -1.0])
    np.testing.assert_allclose((off**2).sum(1), 4, rtol=1e-9)


@pytest.mark.parametrize("draw", [
    lambda: plots.vae.ellipses(model(), torch.zeros(3).double(), {"mine": NormalPosterior(torch.zeros(1, 2).double(), torch.zeros(1, 2).double())}),
    lambda: plots.scatter(np.array([[0.0, 0.0], [1.0, 3.0]]), xlabel="x", ylabel="y", square=True),
])
def test_axes_of_one_scale_reach_as_far_before_and_after_the_layout(draw):
    """Limits that the layout widens depend on fonts and on Matplotlib's version, and the description would with them."""
    figure = draw().figure
    before = describe(figure)
    figure.canvas.draw()
    axis, = figure.axes
    assert describe(figure) == before and axis.get_aspect() == 1 and np.diff(axis.get_xlim()) == pytest.approx(np.diff(axis.get_ylim()))


def test_searched_puts_the_encoder_across_and_the_best_up():
    picture = plots.vae.searched(torch.tensor([-100.0, -90.0]), torch.tensor([-95.0, -89.0]))
    axis, = picture.figure.axes
    assert axis.collections[0].get_offsets().tolist() == [[-100.0, -95.0], [-90.0, -89.0]]
    assert "3.00 nats" in axis.get_title(loc="left")


@pytest.mark.parametrize("call", [
    lambda: plots.vae.ellipses(LinearGaussian(torch.ones(3, 1).double(), torch.zeros(3).double(), 1.0), torch.zeros(3).double(), {}),
    lambda: plots.vae.searched(torch.tensor([float("nan")]), torch.tensor([0.0])),
    lambda: plots.vae.searched(torch.zeros(2, 2), torch.zeros(2, 2)),
], ids=["one latent", "nan", "a matrix"])
def test_what_cannot_be_drawn_is_refused(call):
    with pytest.raises(ValueError, match="expected"):
        call()
