"""checkpoint.py: files that are whole or refused, whatever is in them; none of them runs code."""
import os
import pickle

import pytest
import safetensors.torch
import torch

import deepgen_lib.checkpoint as checkpoints
from deepgen_lib import RBM, CDOptions, RBMTrainer, fit, load_model, load_notes, save_model
from tests.test_fitting import DATA, trainer_for


@pytest.fixture
def checkpoint(tmp_path):
    trainer, rng = trainer_for(0, persistent=True)
    fit(trainer, DATA, n_updates=4, batch_size=10, checkpoint=tmp_path / "run.safetensors", rng=rng)
    return tmp_path / "run.safetensors"


@pytest.mark.parametrize("change, message", [
    (dict(learning_rate=0.01), "learning_rate was 0.05, is 0.01"), (dict(persistent=False), "persistent was True, is False"),
    (dict(n_chains=7), "n_chains was 100, is 7"),
])
def test_a_checkpoint_of_other_options_is_refused(change, message, checkpoint):
    trainer, rng = trainer_for(0, **(dict(persistent=True) | change))
    with pytest.raises(ValueError, match=f"checkpoint of another run \\({message}\\), expected the same options; use another file name, or delete it"):
        fit(trainer, DATA, n_updates=4, batch_size=10, checkpoint=checkpoint, rng=rng)


@pytest.mark.parametrize("run, message", [
    (dict(n_updates=8), "n_updates was 4, is 8"), (dict(batch_size=5), "batch_size was 10, is 5"), (dict(data=DATA[:60]), "examples was 70, is 60"),
])
def test_a_checkpoint_of_another_run_is_refused(run, message, checkpoint):
    trainer, rng = trainer_for(0, persistent=True)
    with pytest.raises(ValueError, match=message):
        fit(trainer, **(dict(data=DATA, n_updates=4, batch_size=10, checkpoint=checkpoint, rng=rng) | run))


def test_a_checkpoint_of_another_size_is_refused(checkpoint, rng):
    trainer = RBMTrainer(RBM(5, 4, rng=rng), CDOptions(persistent=True), rng=rng)
    with pytest.raises(ValueError, match=r"W was \(5, 3\), is \(5, 4\)"):
        fit(trainer, DATA, n_updates=4, batch_size=10, checkpoint=checkpoint, rng=rng)


@pytest.mark.parametrize("damage", [lambda b: b[:len(b) // 2], lambda b: b"", lambda b: b[:40], lambda b: b"not a checkpoint at all, sorry"], ids=["half", "empty", "header", "text"])
def test_a_damaged_checkpoint_says_what_to_do(damage, checkpoint):
    checkpoint.write_bytes(damage(checkpoint.read_bytes()))
    trainer, rng = trainer_for(0, persistent=True)
    with pytest.raises(ValueError, match="run.safetensors is damaged .*delete it and train again"):
        fit(trainer, DATA, n_updates=4, batch_size=10, checkpoint=checkpoint, rng=rng)


def test_a_model_file_is_no_checkpoint(tmp_path):
    trainer, rng = trainer_for(0)
    save_model(tmp_path / "model.safetensors", trainer.model)
    with pytest.raises(ValueError, match="checkpoint of another run"):
        fit(trainer, DATA, n_updates=4, batch_size=10, checkpoint=tmp_path / "model.safetensors", rng=rng)


@pytest.mark.parametrize("name", ["fsync", "replace"])
def test_a_write_that_dies_leaves_the_old_checkpoint_whole_and_nothing_else(name, checkpoint, monkeypatch):
    old = checkpoint.read_bytes()

    def dies(*_):
        raise KeyboardInterrupt
    monkeypatch.setattr(checkpoints.os, name, dies)
    with pytest.raises(KeyboardInterrupt):
        save_model(checkpoint, RBM(5, 3))
    assert checkpoint.read_bytes() == old and list(checkpoint.parent.iterdir()) == [checkpoint]


def test_a_model_saved_is_loaded_bit_for_bit_and_other_sizes_are_refused(tmp_path, rng):
    rbm = RBM(5, 3, weight_std=1.0, rng=rng)
    save_model(tmp_path / "rbm.safetensors", rbm, notes={"made by": "a test"})
    assert load_notes(tmp_path / "rbm.safetensors") == {"made by": "a test"}
    loaded = load_model(tmp_path / "rbm.safetensors", RBM(5, 3))
    assert all(torch.equal(a, b) for a, b in zip(rbm.parameters(), loaded.parameters()))
    with pytest.raises(ValueError, match=r"W.*\(5, 3\).*expected.*\(3, 5\)"):
        load_model(tmp_path / "rbm.safetensors", RBM(3, 5))
    for read in (lambda path: load_model(path, RBM(5, 3)), load_notes):
        with pytest.raises(ValueError, match="does not exist"):
            read(tmp_path / "other.safetensors")


def retold(path, *, notes=(), **tensors):
    """The checkpoint at path with other notes and tensors; None takes one away."""
    with safetensors.safe_open(path, framework="pt") as file:
        said, held = file.metadata() | dict(notes), {name: file.get_tensor(name) for name in file.keys()} | tensors
    safetensors.torch.save_file({name: value.contiguous() for name, value in held.items() if value is not None}, path, metadata=said)


def resume(path, **changed):
    trainer, rng = trainer_for(0, persistent=True)
    return fit(trainer, **(dict(data=DATA, n_updates=4, batch_size=10, checkpoint=path, rng=rng) | changed))


@pytest.mark.parametrize("notes, tensors", [
    ({"done": "9"}, {}), ({"done": "-1"}, {}), ({"done": "four"}, {}), ({}, {"rng": None}), ({}, {"rng": torch.zeros(3, dtype=torch.uint8)}), ({}, {"rng": torch.zeros(5056)}),
    ({}, {"order": None}), ({}, {"order": torch.arange(69)}), ({}, {"order": torch.zeros(70, dtype=torch.int64)}), ({}, {"order": torch.tensor(3)}),
    ({}, {"model.W": None}), ({}, {"model.W": torch.zeros(3, 5)}), ({}, {"trainer.chains": None}), ({}, {"trainer.velocity_W": None}), ({}, {"model.more": torch.zeros(1)}),
], ids=["too many updates", "updates below zero", "updates in words", "no random state", "a short random state", "a random state of floats", "no order", "a short order", "an order with repeats", "an order that is a number",
        "no W", "W turned", "no chains", "no velocity", "a tensor too many"])
def test_a_foreign_file_with_the_right_words_is_refused(notes, tensors, checkpoint):
    retold(checkpoint)
    assert resume(checkpoint).resumed_at == 4, "told again as it is, it is taken"
    retold(checkpoint, notes=notes, **tensors)
    with pytest.raises(ValueError, match="run.safetensors is no whole checkpoint .*expected one that fit wrote; delete it and train again"):
        resume(checkpoint)


def test_a_checkpoint_of_other_data_or_of_an_older_form_is_refused(checkpoint):
    other = DATA.clone()
    other[3, 2] = 1 - other[3, 2]
    with pytest.raises(ValueError, match="another run .data was .*70, 5.* torch.float32 .*, is "):
        resume(checkpoint, data=other)
    assert resume(checkpoint, data=DATA.clone()).resumed_at == 4
    retold(checkpoint, notes={"format": "1"})
    with pytest.raises(ValueError, match="format was 1, is 2"):
        resume(checkpoint)


@pytest.mark.parametrize("data", [torch.arange(6.0), torch.zeros(2, 3, dtype=torch.bool), torch.zeros(4, dtype=torch.bfloat16), torch.zeros(0, 3)], ids=["floats", "truths", "halves", "nothing"])
def test_a_fingerprint_sees_shape_type_and_every_byte(data):
    prints = {checkpoints.fingerprint(x) for x in (data, data[None], data.double())}
    assert len(prints) == 3 and checkpoints.fingerprint(data.clone()) in prints
    if data.numel():
        other = data.clone()
        other.view(-1)[-1] = 7
        assert checkpoints.fingerprint(other) not in prints
    assert checkpoints.fingerprint(torch.arange(6.0).view(2, 3).T) != checkpoints.fingerprint(torch.arange(6.0).view(3, 2))


class Trap:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("write", [lambda trap, path: path.write_bytes(pickle.dumps(trap)), lambda trap, path: torch.save({"model.W": trap}, path)], ids=["pickle", "torch.save"])
def test_a_file_with_code_in_it_runs_nothing(write, tmp_path):
    marker, path = tmp_path / "ran", tmp_path / "run.safetensors"
    write(Trap(marker), path)
    for read in (lambda: load_model(path, RBM(5, 3)), lambda: load_notes(path), lambda: resume(path)):
        with pytest.raises(ValueError, match="damaged"):
            read()
    assert not marker.exists()
    pickle.loads(pickle.dumps(Trap(marker)))
    assert marker.exists(), "the trap works"


def test_the_bytes_are_on_the_disk_before_the_name_is(checkpoint, monkeypatch):
    done, sync, rename = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: (done.append("sync"), sync(file))[1])
    monkeypatch.setattr(os, "replace", lambda *names: (done.append("rename"), rename(*names))[1])
    save_model(checkpoint, RBM(5, 3))
    assert done[:2] == ["sync", "rename"]


def test_a_folder_in_the_place_of_the_file_is_named(tmp_path):
    with pytest.raises(ValueError, match="damaged"):
        load_notes(tmp_path)
