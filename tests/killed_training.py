"""A training that test_nvae_runs.py kills: the tiny NVAE, a checkpoint every second update.

    python tests/killed_training.py CHECKPOINT
"""
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import torch

from deepgen_lib import fitting
from deepgen_lib.gradient_training import AdamOptions, GradientTrainer
from deepgen_lib.nvae import NVAE
from tests.nvae_models import pictures, tiny_config

N_UPDATES, EVERY, PAUSE = 30, 2, 0.1  # seconds between updates, so that the kill comes in time


def train(checkpoint: Path | None, *, pause: float = 0.0) -> NVAE:
    model = NVAE(tiny_config(), rng=torch.Generator().manual_seed(0))
    fitting.CHECKPOINT_EVERY = EVERY
    trainer = GradientTrainer(model, AdamOptions(kind="adamax", learning_rate=0.01))
    update = trainer.update
    trainer.update = lambda *given: (time.sleep(pause), update(*given))
    fitting.fit(trainer, pictures(model, 24), n_updates=N_UPDATES, batch_size=8, checkpoint=checkpoint, rng=torch.Generator().manual_seed(5))
    return model


if __name__ == "__main__":
    torch.set_num_threads(1)
    train(Path(sys.argv[1]), pause=PAUSE)
