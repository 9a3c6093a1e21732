"""Trainings of five models, killed while they run and while they write: gone on, each ends bit for bit where one ends that is left alone. A hundred kills: benchmarks/kills.py."""
import os
import random
import sys

import pytest

from deepgen_lib import fitting
from deepgen_lib.gradient_training import GradientTrainer
from tests import killed_training

sys.path.insert(0, str(killed_training.ROOT / "benchmarks"))
import kills

pytestmark = pytest.mark.skipif(os.name != "posix", reason="no such kill on this system")


@pytest.mark.parametrize("kind", list(killed_training.KINDS))
def test_a_training_survives_its_kills(kind, tmp_path):
    found = kills.trial(kind, tmp_path, 3, random.Random(kind))
    assert (found["kills"], found["in a write"]) == (3, 1) and found["compared"] >= 1 and not found["damaged"] and not found["different"], found


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
