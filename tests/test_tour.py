"""The pictures of the start page: the recording is what its words say, and the tool that made it makes such frames."""
import numpy as np
import pytest
import torch

from deepgen_lib import plots, random_rbm
from deepgen_lib.machine import Machine, Reference
from deepgen_lib.plots import tour

GOOD = Machine(python=(3, 12, 4), torch=(2, 13, 0), system="Linux x86_64", n_cores=4, n_threads=1, memory=16.0, free_disk=50.0, gpu="")


def last_dreams(updates: int) -> np.ndarray:
    run = tour.recording()
    return run.frames[run.updates.index(updates), :, -1]


def apart(frames: np.ndarray) -> float:
    """Mean difference of a pixel between two rows."""
    n = len(frames)
    return float(sum(np.abs(a - b).mean() for a in frames for b in frames) / (n * (n - 1)))


def test_the_recording_has_what_the_slider_and_the_columns_say():
    run = tour.recording()
    assert run.updates == tour.UPDATES and run.gibbs_steps == tour.GIBBS_STEPS
    assert run.frames.shape == (len(tour.UPDATES), tour.N_DREAMS, len(tour.GIBBS_STEPS), 784)
    assert 0 <= run.frames.min() and run.frames.max() <= 1


def test_every_snapshot_starts_from_the_same_noise():
    start = tour.recording().frames[:, :, 0]
    assert (start == start[0]).all() and set(np.unique(start)) == {0.0, 1.0} and abs(start.mean() - 0.5) < 0.03


def test_the_page_s_words_about_the_dreams_are_true():
    """A grey cloud before learning; after 1,000 updates four of five alike; in the end apart, and crisper at each step named."""
    cloud, alike, end = (last_dreams(n) for n in (0, 1000, 40000))
    assert apart(cloud) < 0.02 and cloud.max() < 0.75
    assert min(apart(np.delete(alike, i, 0)) for i in range(5)) < 0.06 < 0.2 < min(apart(np.delete(end, i, 0)) for i in range(5))
    crisp = [(np.minimum(frames, 1 - frames) < 0.1).mean() for frames in (cloud, alike, end)]
    assert crisp[0] < 0.7 < crisp[1] < 0.85 < 0.9 < crisp[2]


def test_the_tool_s_frames_are_noise_then_probabilities_in_sixteen_greys():
    from tools.record_tour import dream
    frames = dream(random_rbm(784, 3, scale=0.01, rng=torch.Generator().manual_seed(0)).float())
    assert frames.shape == (tour.N_DREAMS, len(tour.GIBBS_STEPS), 784) and frames.dtype == np.uint8
    assert set(np.unique(frames[:, 0])) == {0, 255} and set(np.unique(frames)) <= set(range(0, 256, 17))
    assert (np.abs(frames[:, 1:].astype(int) - 127) < 20).all()  # an RBM that knows nothing expects one half


@pytest.mark.parametrize("gflops, ratio, seconds", [(40.0, "1.0 times", "about 60 s"), (10.0, "0.2 times", "about 4 min"), (4000.0, "100.0 times", "about 5 s")])
def test_readiness_shows_each_finding_the_speed_and_each_lecture(monkeypatch, gflops, ratio, seconds):
    measured = Reference("2030-01-01", "a machine", 40.0, {"01_a": 60.0})
    monkeypatch.setattr(tour, "reference", lambda: measured)
    monkeypatch.setattr(tour, "chapter_seconds", lambda speed: {"01_a": 60.0 * 40.0 / speed})
    text = repr(plots.tour.readiness(GOOD._replace(memory=1.0), gflops))
    assert all(words in text for words in (ratio, seconds, "a machine, 2030-01-01", "NOT READY · needs 3 GiB", "3.12.4", "seconds for each: 01: "))
    assert "NOT READY" not in repr(plots.tour.readiness(GOOD, gflops))
    assert plots.tour.readiness(GOOD, gflops)._repr_markdown_().splitlines()[1] == "| :-- | :-- | :-- |"
