"""fitting.py: batches, and a resumed run that ends bit for bit where an unbroken one does. Its files: test_checkpoint.py."""
import math

import pytest
import torch

from deepgen_lib import RBM, CDOptions, RBMTrainer, all_states, base_rate, fit, fitting

DATA = all_states(5).float().repeat(3, 1)[:70]


class Recorder:
    """A trainer that only notes what it is given."""

    def __init__(self):
        self.model, self.batches, self.fractions = torch.nn.Linear(1, 1), [], []

    def update(self, batch, fraction, rng):
        self.batches.append(batch.clone())
        self.fractions.append(fraction)

    def check_data(self, data): pass
    def state(self): return {}
    def load_state(self, state): pass
    def describe(self): return {}


def trainer_for(seed: int, **options) -> tuple[RBMTrainer, torch.Generator]:
    rng = torch.Generator().manual_seed(seed)
    rbm = RBM(5, 3, rng=rng)
    return RBMTrainer(rbm, CDOptions(**options), data_mean=base_rate(DATA), rng=rng), rng


def test_every_epoch_sees_each_example_once_in_a_new_order(rng):
    recorder, data = Recorder(), torch.arange(23.0)[:, None]
    result = fit(recorder, data, n_updates=9, batch_size=5, rng=rng)
    epochs = [torch.cat(recorder.batches[i:i + 4]).flatten().tolist() for i in (0, 4)]
    assert all(len(set(epoch)) == 20 for epoch in epochs) and epochs[0] != epochs[1]  # 3 of 23 are dropped
    assert epochs[0] != sorted(epochs[0]) and all(batch.shape == (5, 1) for batch in recorder.batches)
    assert recorder.fractions == [i / 9 for i in range(9)]
    assert result == (9, 0, [])


def test_watch_sees_the_start_the_end_and_every_twentieth(rng):
    seen = fit(Recorder(), torch.zeros(10, 1), n_updates=40, batch_size=5, watch=lambda update, model: (update, type(model).__name__), rng=rng).history
    assert seen == [(update, "Linear") for update in range(0, 41, 2)]


OPTIONS = [dict(momentum=0.7, weight_decay=0.01), dict(persistent=True, centred=True, n_chains=9, momentum=0.5), dict(n_gibbs_steps=3, sparsity_target=0.1, sparsity_weight=1.0)]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("killed_at", [8, 13, 29])
def test_a_run_killed_in_the_middle_resumes_bit_for_bit(options, killed_at, tmp_path, monkeypatch):
    monkeypatch.setattr(fitting, "CHECKPOINT_EVERY", 4)
    unbroken, rng = trainer_for(0, **options)
    fit(unbroken, DATA, n_updates=30, batch_size=10, rng=rng)  # seven updates an epoch

    file = tmp_path / "run.safetensors"
    broken, rng = trainer_for(0, **options)
    update, count = broken.update, iter(range(1000))

    def killed(*arguments):
        if next(count) == killed_at:
            raise KeyboardInterrupt
        update(*arguments)
    broken.update = killed
    with pytest.raises(KeyboardInterrupt):
        fit(broken, DATA, n_updates=30, batch_size=10, checkpoint=file, rng=rng)

    resumed, rng = trainer_for(99, **options)  # another start and other numbers: all of it must come from the file
    result = fit(resumed, DATA, n_updates=30, batch_size=10, checkpoint=file, rng=rng)
    assert (result.n_updates, result.resumed_at) == (30, killed_at // 4 * 4)
    for a, b in ((unbroken.model.state_dict(), resumed.model.state_dict()), (unbroken.state(), resumed.state())):
        assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_finished_run_is_not_trained_again(tmp_path):
    trainer, rng = trainer_for(0)
    fit(trainer, DATA, n_updates=5, batch_size=10, checkpoint=tmp_path / "run.safetensors", rng=rng)
    W = trainer.model.W.detach().clone()
    again, rng = trainer_for(1)
    assert fit(again, DATA, n_updates=5, batch_size=10, checkpoint=tmp_path / "run.safetensors", rng=rng).resumed_at == 5
    assert torch.equal(again.model.W, W)


@pytest.mark.parametrize("value, silent", [(None, False), ("", False), ("0", False), ("1", True)])
def test_the_progress_bar_heeds_the_environment_in_notebooks_too(value, silent, monkeypatch, rng):
    seen = []
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    if value is not None:
        monkeypatch.setenv("TQDM_DISABLE", value)
    monkeypatch.setattr(fitting, "tqdm", lambda updates, *, disable, **_: (seen.append(disable), updates)[1])
    fit(Recorder(), torch.zeros(10, 1), n_updates=2, batch_size=5, rng=rng)
    assert seen == [silent]


def test_training_that_diverges_says_so(tmp_path):
    trainer, rng = trainer_for(0, learning_rate=1e38, final_learning_rate=1e38, momentum=0.999)
    with pytest.raises(ValueError, match="training diverged, .*not finite.*lower the learning rate"):
        fit(trainer, DATA, n_updates=20, batch_size=10, rng=rng)


@pytest.mark.parametrize("change, message", [
    (dict(data=torch.full((20, 5), math.nan)), "fit: data contains NaN"), (dict(data=torch.full((20, 5), 0.3)), "fit: data has values other than 0 and 1"),
    (dict(data=DATA[:, :4]), r"fit: data has shape \(70, 4\), expected \(B, 5\)"), (dict(data=DATA[:0]), "fit: data is empty"),
    (dict(n_updates=0), "n_updates is 0"), (dict(batch_size=71), "batch_size is 71, expected a whole number of at least 1 and at most 70"), (dict(rng=1), "rng is int"),
])
def test_bad_input_is_refused_before_anything_is_trained(change, message):
    trainer, rng = trainer_for(0)
    W = trainer.model.W.detach().clone()
    with pytest.raises(ValueError, match=message):
        fit(trainer, **(dict(data=DATA, n_updates=3, batch_size=10, rng=rng) | change))
    assert torch.equal(trainer.model.W, W)


def test_the_checkpoints_folder_is_made_before_the_training(tmp_path, rng):
    recorder, file, there = Recorder(), tmp_path / "shared/of all/run.safetensors", []
    recorder.update = lambda *given: there.append(file.parent.is_dir())
    fit(recorder, torch.zeros(10, 1), n_updates=2, batch_size=5, checkpoint=file, rng=rng)
    assert there == [True, True] and file.exists()


def test_a_folder_that_cannot_be_made_is_named_before_anything_is_trained(tmp_path, rng):
    (tmp_path / "shared").write_text("a file, no folder")
    recorder = Recorder()
    with pytest.raises(OSError, match=r"fit: .*shared, the checkpoint's folder, could not be made \(.+\), expected .*; choose another place"):
        fit(recorder, torch.zeros(10, 1), n_updates=2, batch_size=5, checkpoint=tmp_path / "shared/run.safetensors", rng=rng)
    assert recorder.batches == []
