"""benchmarks/nvae_gpu.py: its plans, every line of it from end to end at toy size on a CPU, and an exact resume."""
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from deepgen_lib.fitting import fit
from deepgen_lib.nvae import NVAE, NVAE_TABLE

ROOT = Path(__file__).resolve().parents[1]
CPU = torch.device("cpu")


@pytest.fixture
def gpu(monkeypatch):
    """The script as a module, with few pictures."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.setenv("TQDM_DISABLE", "1")
    import nvae_gpu
    monkeypatch.setattr(nvae_gpu, "grey", lambda split: torch.rand(64, 1, 28, 28, generator=torch.Generator().manual_seed(len(split))))
    yield nvae_gpu
    del sys.modules["nvae_gpu"]
    torch.set_float32_matmul_precision("highest")


def tiny(gpu, name: str, **changes):
    cut = replace(NVAE_TABLE["MNIST"], groups=(1, 1), width=2, n_latent=2, cells=1, outer_cells=1, expansion=1)
    return gpu.SMALL[name]._replace(config=cut, batch_size=8, n_pace=1, n_test=20, n_importance=3, **changes)


def test_the_plans_are_the_tables_row_and_ten_minutes(gpu):
    assert gpu.FULL.config == NVAE_TABLE["MNIST"] and gpu.FULL.n_updates * gpu.FULL.batch_size == 400 * 60_000
    assert gpu.BUDGET.seconds == 600 and gpu.BUDGET.config.groups == (5, 10) and gpu.BUDGET.n_updates is None
    assert gpu.FULL.n_importance == gpu.BUDGET.n_importance == 1000 and gpu.FULL.n_test == 10_000


@pytest.mark.parametrize("name, changes, compiled", [("full", {"n_updates": 6}, "none"), ("budget", {"seconds": 2.0}, "none")])
def test_the_script_runs_from_end_to_end(gpu, tmp_path, monkeypatch, name, changes, compiled):
    monkeypatch.setattr(gpu, "FOLDER", tmp_path)
    monkeypatch.setattr(gpu, "RESULTS", tmp_path)
    monkeypatch.setattr("harness.RESULTS", tmp_path)
    found = gpu.run(f"small {name}", tiny(gpu, name, **changes), CPU, compiled)
    assert found["device"] == "CPU" and found["n_updates"] >= 6 and found["images_per_second"] > 0
    assert found["weighted"] > found["bound"] - 1 and 0 < abs(found["bfloat16_moves"]) < 0.5
    gpu.write(f"small {name}", found)
    table = (tmp_path / "nvae_gpu.md").read_text().splitlines()
    rows = {line.split("|")[1].strip(): line for line in table if line.startswith("|")}
    assert "not measured" in rows["full"] and "not measured" in rows["budget"] and f"{-found['bound']:.2f}" in rows[f"small {name}"]


def test_a_stopped_run_resumes_with_the_devices_own_draws(gpu, tmp_path, monkeypatch):
    monkeypatch.setattr("deepgen_lib.fitting.CHECKPOINT_EVERY", 2)
    plan, data = tiny(gpu, "full"), gpu.grey("train")

    def train(path=None, stop=None, forget=False):
        trainer, calls = gpu.OnDevice(NVAE(plan.config, rng=torch.Generator().manual_seed(0)), plan.options, CPU), iter(range(stop or 99))
        update, load = trainer.update, trainer.load_state
        trainer.update = lambda *given: update(*given) if next(calls, None) is not None else (_ for _ in ()).throw(KeyboardInterrupt)
        trainer.load_state = lambda state: load({**state, "device_rng": trainer.rng.get_state()} if forget else state)
        fit(trainer, data, n_updates=6, batch_size=8, checkpoint=path, rng=torch.Generator().manual_seed(1))
        return trainer.model.state_dict()
    whole = train()
    for forget in (False, True):
        path = tmp_path / f"{forget}.safetensors"
        with pytest.raises(KeyboardInterrupt):
            train(path, stop=5)
        resumed = train(path, forget=forget)
        assert all(torch.equal(value, resumed[name]) for name, value in whole.items()) != forget
