"""processes.py where there is one process: nothing happens; and which checkpoint several processes go on from. With several: test_many_processes.py, test_dying_process.py."""
import threading
import time
from pathlib import Path

import pytest
import torch
from torch import distributed

import deepgen_lib.checkpoint as checkpoints
from deepgen_lib import CDOptions, RBM, RBMTrainer, fit, processes
from tests.test_fitting import DATA, trainer_for


def test_alone_nothing_happens(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    x = torch.arange(6.0)
    with processes.joined(seconds=0.1):
        processes.average_([x], rows=3)
        processes.share_(x)
        processes.agree("here", cure="none", rows=1)
        assert torch.equal(processes.add_up_(x), torch.arange(6.0)) and torch.equal(processes.own_share(x), x)
        assert (processes.rank(), processes.n_processes(), processes.gather([4])) == (0, 1, [[4]])
        assert processes.own_file(Path("run.safetensors")) == Path("run.safetensors")
    trainer = RBMTrainer(RBM(3, 2), CDOptions(persistent=True, n_chains=7), rng=torch.Generator())
    assert trainer.clock is None and "clock" not in trainer.state()


@pytest.mark.parametrize("local_rank, n_gpus, chosen", [(0, 2, [0]), (1, 2, [1]), (0, 0, [])], ids=str)
def test_each_process_takes_its_own_gpu(monkeypatch, local_rank, n_gpus, chosen):
    taken = []
    pretend_gpus(monkeypatch, local_rank, n_gpus, taken)
    assert processes._took_a_gpu() is bool(chosen) and taken == chosen


def test_more_processes_than_gpus_is_said_before_anything_is_waited_for(monkeypatch):
    pretend_gpus(monkeypatch, 2, 2, taken := [])
    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.setattr(distributed, "rendezvous", lambda *given, **named: pytest.fail("waits for the others"), raising=False)
    with pytest.raises(ValueError, match=r"joined: more processes than GPUs on this machine \(2\), expected a GPU for each; start 2 \(--nproc-per-node\), or .* CUDA_VISIBLE_DEVICES="):
        with processes.joined(seconds=0.1):
            pass
    assert taken == []


def pretend_gpus(monkeypatch, local_rank: int, n_gpus: int, taken: list[int]) -> None:
    for name, found in (("is_available", lambda: n_gpus > 0), ("device_count", lambda: n_gpus), ("set_device", taken.append)):
        monkeypatch.setattr(torch.cuda, name, found)
    monkeypatch.setattr(distributed, "is_nccl_available", lambda: True, raising=False)
    monkeypatch.setenv("LOCAL_RANK", str(local_rank))


@pytest.fixture
def two(monkeypatch):
    """This process is the second of four."""
    for module in (processes, checkpoints):
        monkeypatch.setattr(module, "n_processes", lambda: 4)
    monkeypatch.setattr(processes, "rank", lambda: 1)


def test_the_second_of_four_has_a_file_and_a_share_of_its_own(two):
    assert processes.own_file(Path("a/run.safetensors")) == Path("a/run.2-of-4.safetensors")
    assert processes.own_share(torch.arange(11)).tolist() == [1, 5]


@pytest.mark.skipif(not distributed.is_available(), reason="this PyTorch has no torch.distributed")
def test_a_restart_has_a_word_of_its_own():
    """Though the store still holds those of the processes before, which agree."""
    store, words = distributed.HashStore(), []
    for _ in range(2):
        threads = [threading.Thread(target=lambda own=own: words.append(processes._word(store, own, 3, 60.0))) for own in range(3)]
        for thread in threads:
            thread.start()
            time.sleep(0.1)  # the first one meets nothing but old words for a while
        for thread in threads:
            thread.join()
    assert len(words) == 6 and len(set(words[:3])) == len(set(words[3:])) == 1 and words[0] != words[5]


@pytest.mark.skipif(not distributed.is_available(), reason="this PyTorch has no torch.distributed")
def test_who_does_not_come_is_missed():
    store = distributed.HashStore()
    for own in (0, 1):
        store.set(f"token {own}", "a token")
        store.set(f"word {own}", "of a process before")
    with pytest.raises(SystemExit, match=r"joined: process 0 met not all 2 processes within 0\.1 s, expected all to start"):
        processes._word(store, 0, 2, 0.1)


def write(path: Path, done: int) -> None:
    """A training's checkpoint after so many updates, in words."""
    checkpoints._write(path, {"order": torch.zeros(1)}, {"done": str(done)})


def found(folder: Path) -> dict[str, int]:
    return {path.name: checkpoints._updates(path) for path in folder.iterdir()}


@pytest.mark.parametrize("last, before, others, goes_on, left", [
    (6, 4, [6, 4], True, {"run": 6, "run.before": 4}),
    (6, 4, [4, 2], True, {"run": 4}),                        # another was killed before it wrote what is here
    (4, 2, [6, 4], True, {"run": 4, "run.before": 2}),       # this one was
    (None, 4, [6, 4], True, {"run": 4}),                     # between its two names
    (2, None, [4, 2], True, {"run": 2}),
    (2, None, [0, 0], False, {}),                            # the other has none yet: all begin again
    (None, None, [0, 0], False, {}),
    (None, None, [2, 0], False, {}),
], ids=lambda value: "" if isinstance(value, dict) else str(value).replace(", ", "+"))
def test_all_go_on_from_the_last_checkpoint_that_everyone_has(two, monkeypatch, tmp_path, last, before, others, goes_on, left):
    monkeypatch.setattr(checkpoints, "gather", lambda own: [own, others])
    for name, done in (("run", last), ("run.before", before)):
        if done:
            write(tmp_path / name, done)
    assert checkpoints.has_run(tmp_path / "run") is goes_on and found(tmp_path) == left


@pytest.mark.parametrize("files, others", [({"run": 6, "run.before": 4}, [0, 0]), ({}, [6, 4]), ({"run": 2}, [6, 4])], ids=["theirs", "ours", "too old"])
def test_a_lost_file_is_named_and_nothing_is_deleted(two, monkeypatch, tmp_path, files, others):
    monkeypatch.setattr(checkpoints, "gather", lambda own: [own, others])
    for name, done in files.items():
        write(tmp_path / name, done)
    with pytest.raises(ValueError, match=r"fit: the processes have checkpoints after .*\[4, 6\].* updates, expected one that all have; bring back the missing files"):
        checkpoints.has_run(tmp_path / "run")
    assert found(tmp_path) == files


@pytest.mark.parametrize("content", [b"no checkpoint", None], ids=["damaged", "a model's"])
def test_what_is_no_checkpoint_is_named(two, tmp_path, content):
    checkpoints.save_model(tmp_path / "run", RBM(2, 2))
    if content:
        (tmp_path / "run").write_bytes(content)
    with pytest.raises(ValueError, match="fit: .*run is no checkpoint of a training .*expected one that fit wrote; delete those of all processes"):
        checkpoints.has_run(tmp_path / "run")


def test_a_training_alone_writes_one_file(tmp_path):
    trainer, rng = trainer_for(0)
    fit(trainer, DATA, n_updates=4, batch_size=10, checkpoint=tmp_path / "run.safetensors", rng=rng)
    assert [path.name for path in tmp_path.iterdir()] == ["run.safetensors"]
