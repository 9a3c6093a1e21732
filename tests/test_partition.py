"""partition.py: AIS against enumeration, on averages with their standard errors and, where the answer is known path by path, exactly."""
import math

import pytest
import torch
from torch.testing import assert_close

from deepgen_lib import RBM, ais_log_partition, all_states, log_partition, random_rbm, reverse_ais_log_partition, visible_log_prob
from deepgen_lib.kernels import sum_softplus
from deepgen_lib.partition import AISResult, base_rate, salakhutdinov_murray_schedule

N_MODELS, N_REPEATS, N_CHAINS = 20, 100, 8
SIZES = [(3, 2), (4, 4), (5, 3), (6, 4)]


def model(number: int) -> tuple[RBM, torch.Tensor]:
    """The enumerable RBM of this number, and a base that is neither uniform nor the model's own means."""
    rng = torch.Generator().manual_seed(number)
    rbm = random_rbm(*SIZES[number % len(SIZES)], scale=0.6 + 0.1 * (number % 7), rng=rng)
    return rbm, 0.2 + 0.6 * torch.rand(rbm.n_visible, dtype=torch.float64, generator=rng)


def exact_samples(rbm: RBM, n: int, rng: torch.Generator) -> torch.Tensor:
    p = visible_log_prob(rbm).exp().detach()
    return all_states(rbm.n_visible)[torch.multinomial(p, n, replacement=True, generator=rng)]


def forward(rbm, base_mean, rng, *, n_temperatures=6):
    return ais_log_partition(rbm, base_mean=base_mean, n_chains=N_CHAINS, n_temperatures=n_temperatures, rng=rng)


def backward(rbm, base_mean, rng, *, n_temperatures=6):
    return reverse_ais_log_partition(rbm, exact_samples(rbm, N_CHAINS, rng), base_mean=base_mean, n_temperatures=n_temperatures, rng=rng)


def mean_and_error(values: list[float]) -> tuple[float, float]:
    values = torch.tensor(values, dtype=torch.float64)
    return values.mean().item(), values.std().item() / math.sqrt(len(values))


def bracket_faults(number: int, *, forward=forward, backward=backward) -> list[str]:
    """What is wrong with: mean AIS <= exact <= mean reverse AIS within three standard errors, and E[w] = Z / Z_0, E[1 / w] = Z_0 / Z."""
    rbm, base_mean = model(number)
    exact, rng = log_partition(rbm).item(), torch.Generator().manual_seed(1000 + number)
    runs = {name: [f(rbm, base_mean, rng) for _ in range(N_REPEATS)] for name, f in (("AIS", forward), ("reverse", backward))}
    found = []
    for name, sign in (("AIS", 1), ("reverse", -1)):
        mean, error = mean_and_error([run.estimate for run in runs[name]])
        if sign * (mean - exact) > 3 * error:
            found.append(f"model {number}: mean {name} misses its side of {exact:.3f}: {mean:.3f} +- {error:.3f}")
        mean, error = mean_and_error([math.exp(sign * (run.estimate - exact)) for run in runs[name]])  # exp(estimate) is the unbiased one
        if not abs(mean - 1) < 4 * error:
            found.append(f"model {number}: {name} is biased, mean weight {mean:.3f} +- {error:.3f} times the exact one")
    return found


@pytest.mark.parametrize("number", range(N_MODELS))
def test_the_mean_of_ais_is_below_and_of_reverse_ais_above_and_both_weigh_right(number):
    assert not (found := bracket_faults(number)), found


def shifted(result: AISResult, by: float) -> AISResult:
    return result._replace(estimate=result.estimate + by)


def sample_before_weighing(rbm, base_mean, rng, *, n_temperatures=6):
    a, beta = torch.logit(base_mean), torch.linspace(0, 1, n_temperatures).tolist()
    v, log_weights = torch.bernoulli(base_mean.expand(N_CHAINS, -1), generator=rng), torch.zeros(N_CHAINS, dtype=torch.float64)
    log_f = lambda t, v: (1 - t) * (v @ a) + t * (v @ rbm.b) + sum_softplus(t * (v @ rbm.W + rbm.c))
    with torch.no_grad():
        for old, new in zip(beta, beta[1:]):
            h = torch.bernoulli(torch.sigmoid(new * (v @ rbm.W + rbm.c)), generator=rng)
            v = torch.bernoulli(torch.sigmoid((1 - new) * a + new * (h @ rbm.W.T + rbm.b)), generator=rng)
            log_weights += log_f(new, v) - log_f(old, v)
    log_mean = log_weights.logsumexp(0).item() - math.log(N_CHAINS)
    return AISResult(sum_softplus(a).item() + rbm.n_hidden * math.log(2) + log_mean, 0, 0, log_weights, 0)


MISTAKES = {  # what people do: (forward, backward)
    "mean of log-weights": (lambda *args: (lambda r: shifted(r, r.log_weights.mean().item() - r.log_weights.logsumexp(0).item() + math.log(N_CHAINS)))(forward(*args)), backward),
    "sum instead of mean": (lambda *args: shifted(forward(*args), math.log(N_CHAINS)), backward),
    "H log 2 forgotten": (lambda rbm, *args: shifted(forward(rbm, *args), -rbm.n_hidden * math.log(2)), backward),
    "V log 2 for every base": (lambda rbm, m, rng: shifted(forward(rbm, m, rng), rbm.n_visible * math.log(2) + (1 - m).log().sum().item()), backward),
    "sampling before weighing": (sample_before_weighing, backward),
    "reverse sign": (forward, lambda *args: (lambda r: shifted(r, 2 * (r.log_weights.logsumexp(0).item() - math.log(N_CHAINS))))(backward(*args))),
    "reverse from the base": (forward, lambda rbm, m, rng: reverse_ais_log_partition(rbm, torch.bernoulli(m.expand(N_CHAINS, -1), generator=rng), base_mean=m, n_temperatures=6, rng=rng)),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_bracket_sees_every_mistake_of_the_bank(mistake):
    forward, backward = MISTAKES[mistake]
    caught = [number for number in range(6) if bracket_faults(number, forward=forward, backward=backward)]
    assert len(caught) >= 4, f"{mistake}: seen on the models {caught} of 6 only"


def test_the_bracket_is_tight_with_many_temperatures_and_open_with_two():
    widths = {}
    for n_temperatures in (2, 300):
        rbm, base_mean = model(6)
        exact, rng = log_partition(rbm).item(), torch.Generator().manual_seed(0)
        low, high = (mean_and_error([f(rbm, base_mean, rng, n_temperatures=n_temperatures).estimate for _ in range(30)]) for f in (forward, backward))
        widths[n_temperatures] = (exact - low[0], high[0] - exact)
    assert min(widths[2]) > 0.1 and max(map(abs, widths[300])) < 0.05, widths


def test_without_a_move_the_weight_is_one_ratio(rng):
    """Two temperatures: log w = log f_1(v) - log f_0(v) at the base's own draw, forwards; its state given, backwards."""
    rbm, m = model(3)
    result = ais_log_partition(rbm, base_mean=m, n_chains=50, n_temperatures=2, rng=rng)
    states = all_states(rbm.n_visible)
    ratios = (-rbm.free_energy(states) - states @ torch.logit(m) - rbm.n_hidden * math.log(2)).detach()
    nearest = (result.log_weights[:, None] - ratios).abs().min(1)
    assert nearest.values.max() < 1e-12 and len(nearest.indices.unique()) > 10
    reverse = reverse_ais_log_partition(rbm, states, base_mean=m, n_temperatures=2, rng=rng)
    assert_close(reverse.log_weights, -ratios, rtol=0, atol=1e-12)


def test_the_estimate_is_log_z_base_plus_the_log_of_the_mean_weight(rng):
    rbm, m = model(2)
    log_z_base = -(1 - m).log().sum() + rbm.n_hidden * math.log(2)  # Σ softplus(logit m) = -Σ log(1 - m)
    for result, sign in ((forward(rbm, m, rng), 1), (backward(rbm, m, rng), -1)):
        w = result.log_weights.exp()
        error = w.std() / math.sqrt(len(w))
        ends = sorted((log_z_base + sign * (w.mean() + k * error).clamp_min(0).log()).item() for k in (-3, 3))
        assert_close([result.estimate, result.low, result.high], [(log_z_base + sign * w.mean().log()).item(), *ends], rtol=0, atol=1e-10)
        assert result.effective_chains == pytest.approx((w.sum() ** 2 / (w**2).sum()).item())
        assert result.low < result.estimate < result.high


def test_the_error_bar_covers_the_truth():
    """Three standard errors of 200 well-annealed chains: 998 times in 1000 for a normal mean, here at least 97 in 100 on both sides."""
    rbm, m = model(4)
    exact, rng, covered = log_partition(rbm).item(), torch.Generator().manual_seed(1), {"AIS": 0, "reverse": 0}
    for _ in range(100):
        results = {"AIS": ais_log_partition(rbm, base_mean=m, n_chains=200, n_temperatures=20, rng=rng),
                   "reverse": reverse_ais_log_partition(rbm, exact_samples(rbm, 200, rng), base_mean=m, n_temperatures=20, rng=rng)}
        for name, result in results.items():
            covered[name] += result.low <= exact <= result.high
            assert result.high - result.low < 0.6
    assert min(covered.values()) >= 97, covered


def test_one_chain_has_no_error_bar_and_one_rules_all_is_seen():
    rbm, m = model(0)
    one = ais_log_partition(rbm, base_mean=m, n_chains=1, n_temperatures=5, rng=torch.Generator())
    assert one.low == -math.inf and one.high == math.inf and one.effective_chains == pytest.approx(1)


def test_where_the_base_is_the_model_every_weight_is_exact(rng):
    """W = 0 and base means sigma(b): no chain has anything to learn, and log Z = Σ softplus(b) + Σ softplus(c) for every schedule."""
    rbm = random_rbm(4, 3, rng=rng).requires_grad_(False)
    rbm.W.zero_()
    exact = (sum_softplus(rbm.b) + sum_softplus(rbm.c)).item()
    for n_temperatures in (2, 7):
        result = ais_log_partition(rbm, base_mean=torch.sigmoid(rbm.b), n_chains=5, n_temperatures=n_temperatures, rng=rng)
        assert_close([result.estimate, result.low, result.high, result.effective_chains], [exact] * 3 + [5.0], rtol=0, atol=1e-10)


def test_a_float32_model_is_weighed_right_too_and_its_chains_differ(rng):
    """float32 takes another path to its random numbers."""
    rbm, m = model(4)
    exact, rbm = log_partition(rbm).item(), rbm.float()
    result = ais_log_partition(rbm, base_mean=m.float(), n_chains=4000, n_temperatures=12, rng=rng)
    assert len(result.log_weights.unique()) > 100
    assert result.low <= exact <= result.high and result.high - result.low < 0.15
    rbm, half = RBM(40, 2, rng=rng), torch.full((40,), 0.5)
    assert len(ais_log_partition(rbm, base_mean=half, n_chains=50, n_temperatures=2, rng=rng).log_weights.unique()) > 45  # float32 may give two chains one number


def test_log_weights_of_a_float32_model_are_summed_in_float64(rng):
    """At W = 0 the ratios telescope to Σ softplus(c) - H log 2: summed in float32, 5,000 roundings would show."""
    rbm = RBM(3, 400, weight_std=0.0).requires_grad_(False)
    rbm.c += 3 * torch.randn(400, generator=rng)
    ends = (sum_softplus(rbm.c).double() - sum_softplus(torch.zeros(400)).double()).item()
    result = ais_log_partition(rbm, base_mean=torch.full((3,), 0.5), n_chains=2, n_temperatures=5000, rng=rng)
    assert result.log_weights.dtype == torch.float64
    assert (result.log_weights - ends).abs().max() < 1e-8


def test_large_log_weights_do_not_overflow(rng):
    rbm = RBM(4, 3, weight_std=0.0).double().requires_grad_(False)
    rbm.c += 2000.0
    result = ais_log_partition(rbm, base_mean=torch.full((4,), 0.5, dtype=torch.float64), n_chains=10, n_temperatures=10, rng=rng)
    assert result.estimate == pytest.approx(6000 + 4 * math.log(2), abs=1e-8)


def test_n_temperatures_is_the_evenly_spaced_schedule_and_a_seed_repeats():
    rbm, m = model(1)
    G = lambda: torch.Generator().manual_seed(3)
    a = ais_log_partition(rbm, base_mean=m, n_chains=4, n_temperatures=11, rng=G())
    b = ais_log_partition(rbm, base_mean=m, n_chains=4, schedule=[k / 10 for k in range(11)], rng=G())
    c = ais_log_partition(rbm, base_mean=m, n_chains=4, schedule=torch.linspace(0, 1, 11) ** 2, rng=G())
    assert_close(a.log_weights, b.log_weights, rtol=0, atol=1e-12)
    assert (a.log_weights - c.log_weights).abs().max() > 1e-3


def test_the_model_and_the_given_states_are_left_alone(rng):
    rbm, m = model(5)
    before, v = {k: p.clone() for k, p in rbm.state_dict().items()}, exact_samples(rbm, 6, rng)
    kept = v.clone()
    forward(rbm, m, rng)
    reverse_ais_log_partition(rbm, v, base_mean=m, n_temperatures=9, rng=rng)
    assert torch.equal(v, kept) and all(torch.equal(p, before[k]) for k, p in rbm.state_dict().items())


def test_the_salakhutdinov_murray_schedule_has_its_counts():
    beta = salakhutdinov_murray_schedule()
    assert beta.dtype == torch.float64 and beta[0] == 0 and beta[-1] == 1 and len(beta) == 14_501
    steps = beta.diff()
    for low, high, step, count in ((0, 0.5, 1e-3, 500), (0.5, 0.9, 1e-4, 4000), (0.9, 1.0, 1e-5, 10_000)):
        part = steps[(beta[:-1] > low - step / 2) & (beta[:-1] < high - step / 2)]
        assert len(part) == count and (part - step).abs().max() < 1e-12


def test_the_base_rate_is_the_clamped_mean_of_what_it_is_given():
    x = torch.tensor([[0.0, 1.0, 1.0], [0.0, 0.0, 1.0]])
    assert_close(base_rate(x), torch.tensor([0.001, 0.5, 0.999]))
    assert_close(base_rate(x, clamp=0.1), torch.tensor([0.1, 0.5, 0.9]))


@pytest.mark.parametrize("options, message", [
    (dict(), "n_temperatures is None and schedule is missing, expected exactly one"),
    (dict(n_temperatures=5, schedule=[0, 1]), "n_temperatures is 5 and schedule is given"),
    (dict(n_temperatures=1), "n_temperatures is 1, expected a whole number of at least 2"),
    (dict(schedule=[0, 0.5]), "start at 0, end at 1"),
    (dict(schedule=[0, 0.6, 0.4, 1]), "strictly increase"),
    (dict(schedule=[1, 0]), "start at 0"),
    (dict(n_temperatures=5, base_mean=torch.zeros(3).double()), "a pixel that is never on has an infinite logit"),
    (dict(n_temperatures=5, base_mean=torch.full((4,), 0.5)), "base_mean has shape \\(4,\\), expected \\(3,\\)"),
    (dict(n_temperatures=5, rng=0), "rng is int, expected a torch.Generator"),
], ids=str)
def test_what_cannot_be_annealed_is_refused(options, message, rng):
    rbm, m = model(0)
    for name, call in (("ais_log_partition", lambda **k: ais_log_partition(rbm, n_chains=2, **k)),
                       ("reverse_ais_log_partition", lambda **k: reverse_ais_log_partition(rbm, all_states(3), **k))):
        with pytest.raises(ValueError, match=f"{name}: .*{message}"):
            call(**({"base_mean": m, "rng": rng} | options))
