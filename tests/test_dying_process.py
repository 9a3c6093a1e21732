"""Two processes under torchrun, of which one is killed in the middle of a write: the other ends with one clear sentence, and the next start goes on, bit for bit."""
import os
import sys
from pathlib import Path

import pytest
from torch import distributed

from tests import dying_process
from tests.killed_training import EVERY, KINDS, N_UPDATES
from tests.torchrun import torchrun as start

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))
import kills

pytestmark = pytest.mark.skipif(os.name != "posix" or not (distributed.is_available() and distributed.is_gloo_available()), reason="no such kill on this system, or no gloo")


NAMELESS = "Unable to resolve hostname to a (local) address"  # PyTorch's warning at the start, on a machine that cannot look up its own name


def torchrun(folder: Path, what: str) -> tuple[int, list[str]]:
    """Exit status, and what each process wrote to stderr, but for that warning."""
    ran = start(dying_process.__file__, folder, what, processes=2, options=("--redirects", "3", "--log-dir", str(folder / f"log_{what}")))
    said = sorted((folder / f"log_{what}").rglob("stderr.log"), key=lambda path: path.parent.name)
    return ran.returncode, ["".join(line for line in path.read_text().splitlines(keepends=True) if NAMELESS not in line) for path in said]


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dying")
    died = torchrun(folder, "die")
    left = {path.name: kills.updates_in(path) for path in folder.glob("nvae.*-of-2.safetensors*") if path.suffix != ".part"}
    return folder, died, left, torchrun(folder, "finish")


def test_the_others_end_with_one_sentence(story):
    _, (status, (first, second)), _, _ = story
    assert status != 0 and second == ""
    assert first.startswith("joined: of 2 processes, numbered from 0, this one was lost: process 1 on ") and first.endswith(
        " (it ended, or gave no answer for 100 s), expected all of them until the end; start the same command again: training goes on from the last checkpoint that every process has\n"), first
    assert first.count("\n") == 1


def test_one_had_written_what_the_other_had_not(story):
    assert story[2] == {"nvae.1-of-2.safetensors": 18, "nvae.1-of-2.safetensors.before": 16, "nvae.2-of-2.safetensors.before": 16}


@pytest.mark.parametrize("kind", KINDS)
def test_the_next_start_goes_on_bit_for_bit(story, kind):
    folder, _, _, (status, said) = story
    assert status == 0, said
    for rank in (0, 1):
        assert (folder / f"{kind}.{rank}.txt").read_text() == "16"
        here, peace = (folder / f"{name}.{rank + 1}-of-2.safetensors" for name in (kind, f"peace_{kind}"))
        assert kills.updates_in(here) == N_UPDATES and N_UPDATES > dying_process.STOP > 16 > EVERY and kills.different(peace, here) == []
    assert any(name.startswith("model.") for name in kills.different(*(folder / f"{other}.1-of-2.safetensors" for other in (kind, "vae" if kind != "vae" else "rbm"))))
