"""Trainings of five models, killed while they run and while they write: gone on, each ends bit for bit where one ends that is left alone. A hundred kills: benchmarks/kills.py."""
import os
import random
import sys

import pytest

from deepgen_lib import fitting
from deepgen_lib.gradient_training import GradientTrainer
from tests import faulty_training, killed_training

sys.path.insert(0, str(killed_training.ROOT / "benchmarks"))
import kills

pytestmark = pytest.mark.skipif(os.name != "posix", reason="no such kill on this system")


@pytest.mark.parametrize("kind", list(killed_training.KINDS))
def test_a_training_survives_its_kills(kind, tmp_path):
    found = kills.trial(kind, tmp_path, 3, random.Random(kind))
    assert (found["kills"], found["cut"]) == (3, 1) and found["compared"] >= 1, found
    assert not found["damaged"] and not found["lost"] and not found["different"], found


@pytest.mark.parametrize(("fault", "said"), [("forgetful", "went on from 0 with 4 in the file"), ("careless", "0 in the file after "), ("rare", "6 in the file after ")])
def test_lost_progress_is_seen(fault, said, tmp_path):
    path, target = tmp_path / "run.safetensors", getattr(faulty_training, fault)
    assert kills.lost(kills.live("rbm", path, in_write=("half", 3)), 0, kills.updates_in(path), 3) == "" and kills.updates_in(path) == 4
    assert kills.lost(kills.live("rbm", path, in_write=("half", 2), target=target), 4, kills.updates_in(path), 2).startswith(said)


def test_lost_progress_is_counted_and_fails_the_run(tmp_path, monkeypatch):
    found = kills.trial("rbm", tmp_path, 6, random.Random(1), target=faulty_training.forgetful)
    assert found["lost"] and not found["damaged"] and not found["different"], "it ends with the right bits: only what it went on from tells"
    notes = []
    monkeypatch.setattr(kills, "publish", lambda *given, **named: notes.append(named["notes"]))
    monkeypatch.setattr(kills, "trial", lambda kind, *given: found if kind == "vae" else found | {"lost": []})
    monkeypatch.setattr(sys, "argv", ["kills.py"])
    with pytest.raises(SystemExit) as end:
        kills.main()
    assert end.value.code == 1 and "FAILED: vae." in notes[0]


LOSSES = {
    "nothing": ("", False, [("update", 4), ("update", 5), ("write", 6), ("kept", 6)], 4, 6, None),
    "shot before its first update": ("", False, [], 4, 4, None),
    "shot in a write": ("", False, [("update", 4), ("update", 5), ("write", 6)], 4, 6, None),
    "shot in a write, before the new name": ("", False, [("update", 4), ("update", 5), ("write", 6)], 4, 4, None),
    "cut": ("", False, [("update", 4), ("write", 6), ("kept", 6), ("write", 8)], 4, 6, 2),
    "cut, one write too early": ("4 in the file", False, [("update", 4), ("write", 6)], 4, 4, 2),
    "cut, but it lived": ("30 in the file", True, [("update", 4), ("kept", 30)], 4, 30, 2),
    "a file gone": ("0 in the file", False, [("update", 4), ("write", 6)], 4, 0, 1),
    "an older file": ("4 in the file", False, [("update", 4), ("kept", 6), ("update", 6)], 4, 4, None),
    "begun again": ("went on from 0 with 4", False, [("update", 0), ("update", 1)], 4, 4, None),
    "ended early": ("28 in the file", True, [("update", 4), ("kept", 28)], 4, 28, None),
}


@pytest.mark.parametrize("case", LOSSES)
def test_the_rule_of_what_may_be_lost(case):
    said, ended, steps, before, done, write = LOSSES[case]
    found = kills.lost(kills.Life(ended, 0.1, steps), before, done, write)
    assert found.startswith(said) and bool(found) == bool(said), found


@pytest.mark.parametrize(("death", "asked"), [("aborted", {"kill_after": 60.0}), ("aborted", {"in_write": ("half", 1)}), ("shot_by_another", {})])
def test_a_death_that_was_not_asked_for_stops_the_run(death, asked, tmp_path):
    with pytest.raises(RuntimeError, match="ended by itself with exit status -"):
        kills.live("rbm", tmp_path / "run.safetensors", target=getattr(faulty_training, death), **asked)


def test_a_training_that_forgets_is_seen(tmp_path, monkeypatch):
    monkeypatch.setattr(fitting, "CHECKPOINT_EVERY", fitting.CHECKPOINT_EVERY)  # what train sets is undone afterwards
    whole, half = tmp_path / "whole.safetensors", tmp_path / "half.safetensors"
    killed_training.train("nvae", whole)
    monkeypatch.setattr(fitting, "save_run", stop_after(8))
    with pytest.raises(KeyboardInterrupt):
        killed_training.train("nvae", half)
    monkeypatch.undo()
    monkeypatch.setattr(fitting, "CHECKPOINT_EVERY", fitting.CHECKPOINT_EVERY)
    monkeypatch.setattr(GradientTrainer, "load_state", lambda self, state: None)
    killed_training.train("nvae", half)
    assert any(name.startswith("model.") for name in kills.different(whole, half)), "without its moments it ends elsewhere"


def stop_after(done: int):
    save = fitting.save_run

    def stopping(*given, **named):
        save(*given, **named)
        if named["done"] == done:
            raise KeyboardInterrupt
    return stopping


def test_half_a_checkpoint_is_seen(tmp_path):
    path = tmp_path / "run.safetensors"
    path.write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    with pytest.raises(kills.safetensors.SafetensorError):
        kills.updates_in(path)
