"""The page on clusters shows the committed measurement and nothing else, its program and options exist, and the program that is measured trains."""
import importlib
import json
import re
import shlex
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import distributed

from deepgen_lib import RBM, load_model, load_notes, save_model
from deepgen_lib.vae import mlp_vae

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "reference" / "cluster.md"


@pytest.fixture
def scripts(monkeypatch):
    """The two scripts, and their folder."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import scaling
    import train_together
    yield scaling, train_together
    for name in ("scaling", "train_together", "harness"):
        sys.modules.pop(name, None)


def test_the_page_shows_the_committed_measurement(scripts):
    text = PAGE.read_text(encoding="utf-8")
    assert scripts[0].with_table(text) == text, "run  python3 benchmarks/scaling.py --page"


@pytest.mark.parametrize("there", [True, False])
def test_another_number_is_seen(scripts, monkeypatch, tmp_path, there):
    scaling, _ = scripts
    monkeypatch.setattr(scaling, "RESULTS", tmp_path)
    if there:
        rounds = [{"ms": ms, "bytes": 400.0, "share": 0.25, "parameters": 100, "batch": 8, "alone": ms - 0.5} for ms in (4.0, 2.0, 3.0)]
        table = scaling.rows({"vae": {"1": [found | {"ms": 6.0} for found in rounds], "2": rounds}})
        assert table[1] == (scaling.WORDS["vae"], "100", 8, "2", "3", "2.00", "2.5", "0.4", "25%")
        (tmp_path / "scaling.json").write_text(json.dumps({"columns": scaling.COLUMNS, "rows": table, "notes": "So many.", "machine": {"cores": "2"}}))
    text = scaling.with_table(PAGE.read_text(encoding="utf-8"))
    assert text.startswith("# Training in several processes") and text.count(scaling.MARK) == 1 and scaling.with_table(text) == text
    assert ("| 2 | 3 | 2.00 | 2.5 | 0.4 | 25% |" in text) is there and ("Not measured yet" in text) is not there


def test_the_spread_is_that_of_the_widest_row(scripts):
    rounds = [{"ms": ms, "alone": ms - 0.5} for ms in (4.0, 2.0, 3.0)]
    assert scripts[0].largest_spread({"vae": {"1": [{"ms": 6.0}], "2": rounds}}) == 3.5 / 1.5


def unknown(text: str, source: str) -> set[str]:
    """Options and files that the page's commands name and that are not there."""
    calls = re.findall(r"train_together\.py (\w+)((?: --[\w-]+ \S+)*)", text)
    assert len(calls) >= 3
    options = {option for _, rest in calls for option in re.findall(r"--[\w-]+", rest)} | {f'"{model}"' for model, _ in calls}
    return {name for name in options if f'"{name}"' not in source and f"{name}: Plan" not in source} | {path for path in re.findall(r"benchmarks/\w+\.py", text) if not (ROOT / path).exists()}


def test_what_the_page_tells_to_type_exists(scripts):
    text, source = PAGE.read_text(encoding="utf-8"), Path(scripts[1].__file__).read_text(encoding="utf-8")
    assert unknown(text, source) == set()
    assert unknown(text.replace("--model-file", "--model-fill"), source) == {"--model-fill"}
    assert unknown(text.replace("--updates", "--steps").replace("py vae", "py gan"), source) == {"--steps", '"gan"'}
    assert unknown(text + "benchmarks/train_apart.py", source) == {"benchmarks/train_apart.py"}


def shell(text: str) -> list[str]:
    """The page's blocks of commands."""
    return [block.replace("\\\n", " ") for kind, block in re.findall(r"^```(\w*)\n(.*?)^```", text, flags=re.M | re.S) if not kind]


def launches(text: str) -> list[list[str]]:
    """What the page's commands give to torchrun, the shell's variables filled in."""
    variables = {"SLURM_NNODES": "2", "SLURM_JOB_ID": "7", "head": "node1"}
    lines = [line for block in shell(text) for line in block.splitlines() if "torchrun " in line and not line.startswith("#")]
    return [[re.sub(r"\$(\w+)", lambda found: variables[found[1]], word) for word in shlex.split(line.split("torchrun ", 1)[1])] for line in lines]


@pytest.mark.skipif(not distributed.is_available(), reason="this PyTorch has no torch.distributed")
def test_torchrun_takes_the_pages_commands():
    run, text = importlib.import_module("torch.distributed.run"), PAGE.read_text(encoding="utf-8")
    taken = [run.get_args_parser().parse_args(words) for words in launches(text)]
    assert [(found.training_script, found.training_script_args[0], run.parse_min_max_nnodes(found.nnodes), int(found.nproc_per_node), found.standalone) for found in taken] == [
        ("benchmarks/train_together.py", "vae", (1, 1), 2, True), *[("benchmarks/train_together.py", "vae", (2, 2), 4, False)] * 2]
    assert [(found.rdzv_id, found.rdzv_backend, found.rdzv_endpoint) for found in taken[1:]] == [("7", "c10d", "node1:29500")] * 2
    for right, wrong in (("--rdzv-backend", "--rdzv-back-end"), ("--max-restarts 3", "--max-restarts often"), ("--standalone", "--stand-alone")):
        with pytest.raises(SystemExit):
            [run.get_args_parser().parse_args(words) for words in launches(text.replace(right, wrong))]


def test_the_cluster_gets_the_environments_torchrun_and_all_cores():
    text = PAGE.read_text(encoding="utf-8")
    script, = (block for block in shell(text) if block.startswith("#!/bin/bash"))
    cores, processes, threads = (int(re.search(pattern, script)[1]) for pattern in (r"--cpus-per-task=(\d+)", r"--nproc-per-node (\d+)", r"OMP_NUM_THREADS=(\d+)"))
    assert cores == processes * threads and f"--gpus-per-node={processes}" in script
    assert 'srun --cpus-per-task="$SLURM_CPUS_PER_TASK" .venv/bin/torchrun ' in script
    assert all(len(re.findall(rf"^(?:srun .*)?{program} ", "\n".join(shell(text)), flags=re.M)) == 3 for program in (r"\.venv/bin/torchrun", r"\S*torchrun"))


@pytest.mark.parametrize("model", ["rbm_small", "ais"])
def test_the_program_is_measured_in_one_process(scripts, model):
    found = scripts[1].measured(model, 2, 4, 0)
    assert found["ms"] > 0 and found["parameters"] > 1000 and found["batch"] == 4 and found["share"] < 0.5


def test_a_batch_that_cannot_be_divided_is_named(scripts, monkeypatch):
    monkeypatch.setattr(scripts[1].processes, "n_processes", lambda: 3)
    with pytest.raises(ValueError, match="batch is 100 for 3 processes, expected a number that they divide; pass --batch 99"):
        scripts[1].part_of(100)


def test_the_pages_program_of_its_own_runs(monkeypatch, tmp_path):
    """The few lines for a program of one's own, with fewer updates."""
    code, = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.S)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    exec(code.replace("n_updates=10_000", "n_updates=3"), names := {})
    assert (tmp_path / "rbm.safetensors").exists()
    assert torch.equal(load_model("rbm_model.safetensors", RBM(784, 500)).W, names["trainer"].model.W)


@pytest.mark.parametrize("rank", [0, 1])
def test_the_first_process_keeps_the_trained_model(scripts, monkeypatch, tmp_path, rank):
    found, program = tmp_path / "shared/trained.safetensors", scripts[1]
    monkeypatch.setattr(program.processes, "rank", lambda: rank)
    monkeypatch.setenv("OMP_NUM_THREADS", str(torch.get_num_threads()))
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.setattr(sys, "argv", ["train_together.py", "rbm_small", "--updates", "2", "--checkpoint", str(tmp_path / "run.safetensors"), "--model-file", str(found)])
    program.main()
    assert found.exists() is (rank == 0)
    if rank == 0:
        run = load_file(tmp_path / "run.safetensors")
        assert all(torch.equal(value, run[f"model.{name}"]) for name, value in load_model(found, RBM(784, 50)).state_dict().items())
        assert load_notes(found) == {"model": "rbm_small", "updates": "2"}


def test_the_trained_model_is_read_as_the_page_says(scripts, monkeypatch, tmp_path, rng):
    monkeypatch.chdir(tmp_path)
    trained = scripts[1].PLANS["vae"].trainer(torch.zeros(1, 784), rng).model
    save_model("vae_model.safetensors", trained)
    read = eval(re.search(r"`(load_model\(.*?)`", PAGE.read_text(encoding="utf-8"))[1], {"load_model": load_model, "mlp_vae": mlp_vae, "torch": torch})
    assert all(torch.equal(value, read.state_dict()[name]) for name, value in trained.state_dict().items())


def test_git_ignores_what_the_page_trains():
    files = re.findall(r"[\w/]+\.safetensors", PAGE.read_text(encoding="utf-8"))
    assert {str(Path(file).parent) for file in files} == {".", "shared"}
    assert {"/*.safetensors*", "/shared/"} <= set((ROOT / ".gitignore").read_text(encoding="utf-8").splitlines())
