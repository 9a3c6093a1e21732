"""Figures of chapter 03: what they draw is what they were given, and the bracket's numbers are AIS's own."""
import math

import pytest
import torch

from deepgen_lib import ais_log_partition, log_partition, plots, random_rbm, reverse_ais_log_partition
from deepgen_lib.plots.log_z import N_REPEATS, TEMPERATURES


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_bracket_draws_twenty_estimates_from_either_side_and_their_means():
    rbm, n = random_rbm(4, 3, rng=generator()).requires_grad_(False), 60
    mean, v = torch.full((4,), 0.3, dtype=torch.float64), torch.zeros(n, 4, dtype=torch.float64)
    render = plots.log_z.bracket(rbm, base_means={"dark": mean}, starts={"off": v}, rng=generator(1))
    rng, exact = generator(1), log_partition(rbm).item()
    forward = ais_log_partition(rbm, base_mean=mean, n_chains=n, n_temperatures=TEMPERATURES[0], rng=rng).log_weights.reshape(N_REPEATS, -1)
    reverse = reverse_ais_log_partition(rbm, v, base_mean=mean, n_temperatures=TEMPERATURES[0], rng=rng).log_weights.reshape(N_REPEATS, -1)
    log_z_base = 3 * math.log(2) - 4 * math.log(0.7)
    up = log_z_base + forward.logsumexp(1) - math.log(3) - exact
    down = log_z_base - reverse.logsumexp(1) + math.log(3) - exact
    picture = render(temperatures=TEMPERATURES[0], base="dark", reverse_from="off")
    for name, errors in (("AIS", up), ("reverse AIS", down)):
        words = f"{name} {errors.mean():+.2f} ± {3 * errors.std() / N_REPEATS**0.5:.2f}".replace("-", "−")
        assert words in picture.description
    assert "20 points" in picture.description and "3 chains an estimate" in picture.description


def test_estimates_out_of_reach_stand_at_the_edge_of_their_side():
    rbm = random_rbm(4, 3, scale=6.0, rng=generator(3)).requires_grad_(False)
    mean = torch.full((4,), 0.001, dtype=torch.float64)
    picture = plots.log_z.bracket(rbm, base_means={"far": mean}, starts={"on": torch.ones(40, 4, dtype=torch.float64)}, rng=generator())(temperatures=3)
    assert "estimates out of reach" in picture.description
    axis, = picture.figure.axes
    drawn = torch.cat([torch.as_tensor(line.get_xdata(), dtype=torch.float64) for line in axis.lines if "estimates" in str(line.get_label())])
    assert len(drawn) == 2 * N_REPEATS and drawn.abs().max() <= 4.0


def test_mistakes_stand_in_order_with_their_sizes():
    errors = {"right": {"small": -0.25, "large": 0.5}, "H log 2 forgotten": {"small": -11.1, "large": -346.6}}
    words = plots.log_z.mistakes(errors).description
    assert "right, H log 2 forgotten" in words
    assert "length -0.25, -11.1" in words and "length 0.5, -346.6" in words and "symlog" in words


def test_two_scores_keeps_each_measure_in_its_panel():
    words = plots.log_z.two_scores([0, 10], {"CD-1": [9.0, 5.0]}, {"CD-1": [-200.0, -170.0]}).description
    first, second = words.split("Panel 2")
    assert "reconstruction error" in first and "9.0, 5.0" in first and "-200.0, -170.0" in second


def test_protocols_show_one_column_each_above_its_score():
    images = {"fixed": torch.zeros(2, 784), "grey": torch.full((2, 784), 0.5)}
    picture = plots.log_z.protocols(images, {"grey": -98.0, "fixed": -86.0})
    assert "2 x 2 images of 28 x 28" in picture.description and "length -86.0, -98.0" in picture.description
    assert "fixed, grey" in picture.description


def test_the_league_is_sorted_tells_ours_from_published_and_cuts_an_infinite_bar():
    words = plots.log_z.league({"long": (-86.0, -86.5, math.inf), "means": (-206.0, -206.0, -206.0)}, {"CD-25": -86.3}).description
    assert "means, CD-25, long" in words
    assert "8.5" in words  # from -86.5 to eight nats above the score


@pytest.mark.parametrize("call", [
    lambda: plots.log_z.mistakes({"right": {"small": math.nan}}),
    lambda: plots.log_z.two_scores([0, 1], {"CD-1": [1.0]}, {"CD-1": [1.0, 2.0]}),
    lambda: plots.log_z.league({"long": (math.nan, 0.0, 0.0)}, {}),
    lambda: plots.log_z.protocols({"fixed": torch.zeros(2, 784)}, {"fixed": math.inf}),
], ids=["mistakes", "two_scores", "league", "protocols"])
def test_what_is_not_a_number_is_refused(call):
    with pytest.raises(ValueError, match="expected"):
        call()
