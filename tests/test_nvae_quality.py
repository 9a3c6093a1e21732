"""The committed record of benchmarks/nvae_quality.py keeps what was asked of it, and a record that does not is seen."""
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def broken_promises(runs: list[dict]) -> list[str]:
    """What the record of nvae_quality does not keep."""
    of = lambda recipe: {r["seed"]: r for r in runs if r["recipe"] == recipe}
    balanced, unbalanced = of("balanced"), of("unbalanced")
    mean = lambda found: sum(r["bound"] for r in found.values()) / len(found)
    checks = {
        "five seeds": len(balanced) >= 5 and balanced.keys() == unbalanced.keys(),
        "no NaN": all(r["n_broken"] == 0 and r["bound"] == r["bound"] for r in runs),
        "90 seconds": all(r["seconds"] < 90 for r in runs),
        "no silent group": all(min(r["kl"]) >= 0.3 for r in balanced.values()),
        "balancing costs nothing": mean(balanced) >= mean(unbalanced),
        "importance-weighted above the bound": all(r["weighted_few"] > r["bound_few"] for r in runs),
        "bfloat16": all(abs(r["bfloat16_moves"]) < 0.5 for r in runs),
    }
    return [name for name, kept in checks.items() if not kept]


def committed() -> list[dict]:
    return json.loads((ROOT / "benchmarks" / "results" / "nvae_quality.json").read_text())["raw"]


def test_the_committed_table_keeps_what_was_asked():
    assert broken_promises(committed()) == []


@pytest.mark.parametrize("change, promise", [({"kl": [3.0, 0.29, 3.0, 3.0]}, "no silent group"), ({"n_broken": 1}, "no NaN"), ({"bound": float("nan")}, "no NaN"), ({"seconds": 91.0}, "90 seconds"),
                                             ({"bound": -60.0}, "balancing costs nothing"), ({"recipe": "other"}, "five seeds"), ({"weighted_few": -99.0}, "importance-weighted above the bound"),
                                             ({"bfloat16_moves": -0.6}, "bfloat16")], ids=lambda value: value if isinstance(value, str) else "")
def test_a_planted_record_is_seen(change, promise):
    runs = committed()
    first = next(n for n, r in enumerate(runs) if r["recipe"] == "balanced")
    assert promise in broken_promises([{**r, **change} if n == first else r for n, r in enumerate(runs)])
