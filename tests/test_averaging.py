"""Averaged parameters: the mean that the formula says, from when it says, and a resumed run that does not notice."""
import pytest
import torch
from torch.testing import assert_close

from deepgen_lib import AveragedParameters, CDOptions, RBM, RBMTrainer, fit
from deepgen_lib import fitting


def make(seed=0):
    rng = torch.Generator().manual_seed(seed)
    rbm = RBM(5, 3, rng=rng).requires_grad_(False)
    return AveragedParameters(RBMTrainer(rbm, CDOptions(persistent=True, n_chains=4, learning_rate=0.2), rng=rng), start=0.5), rng


def data():
    return torch.bernoulli(torch.full((20, 5), 0.5), generator=torch.Generator().manual_seed(9))


def test_the_model_is_the_mean_of_the_parameters_after_the_start():
    trainer, rng = make()
    seen = []
    for update in range(10):
        trainer.update(data(), update / 10, rng)
        seen.append({name: value.clone() for name, value in trainer.trainer.model.state_dict().items()})
        if update < 5:
            assert all(torch.equal(seen[-1][name], value) for name, value in trainer.model.state_dict().items())
    for name, value in trainer.model.state_dict().items():
        assert_close(value, torch.stack([s[name] for s in seen[5:]]).mean(0))
        assert not torch.equal(value, seen[-1][name])


def test_a_resumed_run_ends_the_same_bit_for_bit(tmp_path, monkeypatch):
    monkeypatch.setattr(fitting, "CHECKPOINT_EVERY", 7)
    whole, rng = make()
    fit(whole, data(), n_updates=20, batch_size=5, rng=rng)
    stopped, rng = make()
    real = stopped.trainer.update
    def stop(batch, fraction, rng):
        if fraction > 0.8:
            raise KeyboardInterrupt
        real(batch, fraction, rng)
    stopped.trainer.update = stop
    with pytest.raises(KeyboardInterrupt):
        fit(stopped, data(), n_updates=20, batch_size=5, checkpoint=tmp_path / "c.safetensors", rng=rng)
    resumed, rng = make(seed=3)
    assert fit(resumed, data(), n_updates=20, batch_size=5, checkpoint=tmp_path / "c.safetensors", rng=rng).resumed_at == 14
    assert all(torch.equal(a, b) for a, b in zip(whole.model.parameters(), resumed.model.parameters()))
    assert all(torch.equal(a, b) for a, b in zip(whole.trainer.model.parameters(), resumed.trainer.model.parameters()))


@pytest.mark.parametrize("call, words", [
    (lambda t: AveragedParameters(t.trainer, start=1.5), ("start is 1.5",)),
    (lambda t: t.load_state(t.trainer.state()), ("load_state", "without averaging")),
    (lambda t: t.check_data(torch.full((2, 5), 0.5)), ("0 and 1",)),
])
def test_bad_input_is_answered(call, words):
    with pytest.raises(ValueError) as raised:
        call(make()[0])
    assert all(word in str(raised.value) for word in (*words, "expected"))
