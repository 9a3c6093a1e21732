"""Train the small classifier of digits that judges drawn pictures, and ship it.

    python3 tools/course.py bench digit_classifier

60,000 training pictures, grey; the 10,000 test pictures are read once, at the end, with the parameters as they ship (float16). One torch thread.
"""
import os
import time

os.environ["TQDM_DISABLE"] = "1"
import torch

from deepgen_lib import fit, load_mnist, save_model
from deepgen_lib.digit_classifier import DigitClassifier
from deepgen_lib.gradient_training import AdamOptions, GradientTrainer
from deepgen_lib.labels import labelled_rows
from deepgen_lib.shipped import CHECKPOINTS
from harness import machine, publish

SEED, N_UPDATES, OPTIONS = 0, 3600, AdamOptions(learning_rate=2e-3)
SHIPPED = CHECKPOINTS / "digit_classifier.safetensors"


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    train, test = load_mnist("train+valid", binarisation="grey"), load_mnist("test", binarisation="grey")
    model, start = DigitClassifier(), time.process_time()
    fit(GradientTrainer(model, OPTIONS), labelled_rows(train.images, train.labels, 10), n_updates=N_UPDATES, rng=torch.Generator().manual_seed(SEED))
    seconds = time.process_time() - start
    model.load_state_dict({name: value.half().float() for name, value in model.state_dict().items()})
    p, y = (torch.cat(parts) for parts in zip(*(model.sureness(x.view(-1, 1, 28, 28)) for x in test.images.split(1000))))
    right, sure = (y == test.labels).double().mean().item(), (p > 0.9).double().mean().item()
    notes = {"seed": str(SEED), "script": "benchmarks/digit_classifier.py", "test_right": f"{right:.4f}", "test_sure": f"{sure:.4f}"}
    save_model(SHIPPED, model.half(), notes=notes)
    size = sum(v.numel() for v in model.state_dict().values())
    publish("digit_classifier", "A small classifier of digits", ["parameters", "updates of 100", "processor seconds", "test pictures named right", "test pictures it is more than 90 % sure of"],
            [[f"{size:,}", f"{N_UPDATES:,}", f"{seconds:.0f}", f"{100 * right:.2f} %", f"{100 * sure:.1f} %"]], about=machine(),
            notes="Two convolutions 5 x 5 (16 and 32 maps), each followed by 2 x 2 maxima, 96 hidden units; Adam, learning rate falling from 0.002 to 0. One seed. Float16, as shipped.", raw=notes)


if __name__ == "__main__":
    main()
