"""bridge.py and the importance-weighted bound, where everything can be enumerated; and the committed trial of the estimators of log Z against each other."""
import json
from pathlib import Path

import pytest
import torch

from deepgen_lib import ais_log_partition, all_states, gibbs_bound, joint_log_prob, log_partition, parallel_tempering, random_rbm, reverse_ais_log_partition, visible_log_prob
from deepgen_lib.bridge import bennett_log_partition
from deepgen_lib.enumeration import hidden_posterior
from deepgen_lib.variational import importance_weighted_bound
from tests import bad_values as bad
from tests.doors import Door, door_tests, defined, require_all_tried

ROOT = Path(__file__).resolve().parents[1]
TEN = torch.linspace(0, 1, 10, dtype=torch.float64)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def coins(n: int) -> torch.Tensor:
    return torch.full((n,), 0.5, dtype=torch.float64)


def tempered(rbm, *, n_chains: int = 200, seed: int = 0):
    return parallel_tempering(rbm, n_chains=n_chains, inverse_temperatures=TEN, n_steps=60, base_mean=coins(rbm.n_visible), rng=seeded(seed))


def test_the_bound_lies_below_the_importance_weighted_bound_below_the_exact_value():
    rbm = random_rbm(6, 3, scale=1.5, rng=seeded(1)).requires_grad_(False)
    log_joint = joint_log_prob(rbm)[:20]
    q = 0.5 * hidden_posterior(rbm, all_states(6)[:20]) + 0.5 / 8  # not the posterior, or all of them are equal
    values = [gibbs_bound(log_joint, q), *(importance_weighted_bound(log_joint, q, n_draws=n) for n in (1, 2, 3, 4)), torch.logsumexp(log_joint, 1)]
    assert torch.allclose(values[0], values[1])
    assert all((above - below).min() > 1e-3 for below, above in zip(values[1:], values[2:]))
    exact = visible_log_prob(rbm)[:20]
    assert torch.allclose(values[-1], exact)
    wrong = (importance_weighted_bound(log_joint - 0.5 * q.log(), q, n_draws=4) - exact).max()  # weighed by the square root of q, it is no bound
    assert wrong > 0


def test_the_importance_weighted_bound_is_the_mean_of_its_draws():
    log_joint, q = torch.tensor([-1.0, -2.0, -4.0], dtype=torch.float64), torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
    k = torch.multinomial(q.expand(4000, 3), 3, replacement=True, generator=seeded())
    draws = (log_joint - q.log())[k].logsumexp(1) - torch.tensor(3.0).log()
    assert abs(draws.mean() - importance_weighted_bound(log_joint, q, n_draws=3)) < 4 * draws.std() / 4000**0.5
    assert importance_weighted_bound(log_joint, torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64), n_draws=2) == -1


@pytest.mark.parametrize("seed", range(4))
def test_bridges_find_log_z(seed):
    rbm = random_rbm(10, 6, scale=1.0, rng=seeded(seed)).requires_grad_(False)
    exact, found = log_partition(rbm).item(), bennett_log_partition(rbm, tempered(rbm, seed=seed), inverse_temperatures=TEN, base_mean=coins(10))
    assert found.low < exact < found.high and found.high - found.low < 1 and found.overlap.min() > 0.5
    assert found.rungs.shape == found.overlap.shape == (9,) and found.overlap.max() < 1.05


def test_bridges_over_the_ladder_of_another_model_are_off_and_show_it():
    rbm, other = (random_rbm(10, 6, scale=2.0, rng=seeded(seed)).requires_grad_(False) for seed in (0, 5))
    right, wrong = (bennett_log_partition(rbm, tempered(of), inverse_temperatures=TEN, base_mean=coins(10)) for of in (rbm, other))
    exact = log_partition(rbm).item()
    assert abs(right.estimate - exact) < 0.7 < abs(wrong.estimate - exact)


def test_forward_below_bridges_and_exact_below_reverse_where_temperatures_are_few():
    """On average; the reverse chains start at exact samples. Planted: one-sided by more than the bridges are off."""
    rbm = random_rbm(8, 5, scale=1.5, rng=seeded(3)).requires_grad_(False)
    exact, p = log_partition(rbm).item(), visible_log_prob(rbm).exp()
    forward = [ais_log_partition(rbm, base_mean=coins(8), n_chains=1, n_temperatures=6, rng=seeded(seed)).estimate for seed in range(200)]
    v = all_states(8)[torch.multinomial(p, 200, replacement=True, generator=seeded())]
    backward = [reverse_ais_log_partition(rbm, one[None], base_mean=coins(8), n_temperatures=6, rng=seeded(seed)).estimate for seed, one in enumerate(v)]
    below, above = (torch.tensor(values).mean().item() for values in (forward, backward))
    bridges = bennett_log_partition(rbm, tempered(rbm, n_chains=400), inverse_temperatures=TEN, base_mean=coins(8)).estimate
    assert below < exact - 0.1 and exact + 0.1 < above
    assert abs(bridges - exact) < min(exact - below, above - exact)


def results() -> list[dict]:
    return json.loads((ROOT / "benchmarks" / "results" / "estimators.json").read_text())["raw"]


def misses(models: list[dict]) -> list[str]:
    """Estimates that should be good and are not: off enumeration by more than 0.5 nats, or no more than their bars apart from each other where nothing can be enumerated."""
    wrong = []
    for model in models:
        for run in model["runs"]:
            ais, bridges = run["AIS, 14,500 temperatures"], run["bridges over tempered chains"]
            if model["exact"] is not None:
                wrong += [f"{model['name']}: {r['estimate']:.2f}" for r in (ais, bridges) if abs(r["estimate"] - model["exact"]) > 0.5]
            elif ais["low"] > bridges["high"] or bridges["low"] > ais["high"]:
                wrong.append(f"{model['name']}: {ais['estimate']:.2f} and {bridges['estimate']:.2f}")
    return wrong


def test_the_committed_trial_holds_together():
    """The long AIS and the bridges agree with enumeration, or with each other; planted: one of them shifted."""
    models = results()
    assert sum(model["exact"] is not None for model in models) >= 2 and not misses(models)
    for model in models:
        model["runs"][0]["AIS, 14,500 temperatures"] = {"estimate": 0.0, "low": -1.0, "high": 1.0}
    assert len(misses(models)) == len(models)


CHAINS = tempered(random_rbm(4, 3, rng=seeded()).requires_grad_(False), n_chains=10)


def doors() -> dict[str, Door]:
    rbm = random_rbm(4, 3, rng=seeded()).requires_grad_(False)
    cold, flat = CHAINS._replace(ladder=CHAINS.ladder[1:]), CHAINS._replace(ladder=CHAINS.ladder[0])
    chains = bad.of([None, CHAINS.v]) | bad.of([cold]).map(lambda drawn: (drawn[0], "(9, 10, 4)")) | bad.of([flat]).map(lambda drawn: (drawn[0], "(10, 4)"))
    return {"bennett_log_partition": Door(bennett_log_partition, dict(rbm=rbm, chains=CHAINS, inverse_temperatures=TEN, base_mean=coins(4)),
                                          dict(chains=chains, inverse_temperatures=bad.of([None, "0 to 1"]), base_mean=bad.of([None, 0.5])), rbm)}


MODULES = ["bridge"]
NAMES = defined(MODULES)
test_the_good_arguments_are_good, test_a_bad_argument_is_answered = door_tests(doors, NAMES, examples=12)


def test_every_public_function_is_tried():
    require_all_tried(doors(), MODULES, {})
