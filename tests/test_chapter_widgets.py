"""Every widget of the chapters: all its frames are drawn, every control matters, a move is quick, and none escapes these tests."""
import itertools
import math
import re
import time
from statistics import median

import numpy as np
import pytest
import torch

from deepgen_lib import DBN, BernoulliMixture, ConvDBN, plots, random_rbm
from deepgen_lib.conv_rbm import random_conv_rbm
from deepgen_lib.plots import explorable, explorables
from deepgen_lib.widgets import FRAME_DPI, explore, sweep
from tools.sources import ROOT

LIMIT, PLAIN = 0.1, 0.045  # processor seconds: of a move, and of a plain frame on the machine where the limit was set
EXPLORED = re.compile(r"explore\(\s*plots\.(\w+\.\w+)")


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def weigher():
    pictures = torch.eye(3, dtype=torch.float64)
    toy = BernoulliMixture(weights=torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64), means=0.2 + 0.6 * pictures)
    return plots.gibbs_bound.weigher(toy, pictures[1], names=["a", "b", "c"])


def short_chains():
    patterns = torch.tensor([[0.0, 0, 0, 0], [1, 1, 1, 1]], dtype=torch.float64)
    paths = {k: [random_rbm(4, 2, scale=0.2 + 0.3 * i + 0.1 * (k == 1), rng=generator()) for i in range(5)] for k in (1, "exact")}
    return plots.rbm.short_chains(paths, patterns, every=10)


def bracket():
    rbm, starts = random_rbm(5, 3, scale=1.0, rng=generator()), torch.zeros(40, 5, dtype=torch.float64)
    means = {name: torch.full((5,), mean, dtype=torch.float64) for name, mean in (("uniform", 0.5), ("rare", 0.1))}
    return plots.log_z.bracket(rbm, base_means=means, starts={"all off": starts, "all on": 1 - starts}, rng=generator())


def untying():
    rng, x = generator(), torch.eye(3, dtype=torch.float64)
    low, middle = random_rbm(3, 2, rng=rng), random_rbm(2, 3, rng=rng)
    two = [DBN([low, random_rbm(2, 3, scale=s, rng=rng)]).requires_grad_(False) for s in (0.5, 1.0, 2.0)]
    three = [DBN([low, middle, random_rbm(3, 2, scale=s, rng=rng)]).requires_grad_(False) for s in (0.5, 1.0, 2.0)]
    return plots.tied.untying({"second": (two, x, -2.0), "third": (three, x, -2.5)}, steps=[0, 5, 20])


def repair():
    x = torch.tensor([[1.0, 0, 1, 0], [0, 1, 1, 0]], dtype=torch.float64)
    paths = {phase: {step: DBN([random_rbm(4, 3, rng=generator()), random_rbm(3, 2, scale=0.3 + step + k, rng=generator())]) for step in (0, 3)} for k, phase in enumerate(("wake", "sleep"))}
    return plots.up_down.repair(paths, x[0], x)


def sampling():
    p = torch.tensor([0.5, 0.25, 0.125, 0.125], dtype=torch.float64)
    counts = {"right": {0: 1000 * p.flip(0), 10: 1000 * p}, "wrong": {0: 1000 * p.flip(0), 10: 250 * torch.ones(4)}}
    return plots.dbn.sampling(counts, p, allowed=20)


def occlusion():
    stack = [random_conv_rbm(1, 2, 2, sigma=0.5, scale=0.7, rng=generator()), random_conv_rbm(2, 2, 2, block=1, rng=generator())]
    return plots.conv.occlusion(ConvDBN(stack).requires_grad_(False), torch.randn(3, 1, 7, 7, dtype=torch.float64, generator=generator()))


def collapse():
    frames = {(k, cure): {step: plots.vq_images.Run(1 + (torch.arange(k) * (step + 1 + (cure == "on")) % 7).double(), torch.rand(6, 784, generator=generator())) for step in (0, 20)} for k in (8, 32) for cure in ("off", "on")}
    return plots.vq_images.collapse(frames, torch.rand(6, 784, generator=generator()))


def care():
    sizes = {n: [1.0 + 0.1 * i for i in range(n)] for n in (4, 12)}
    return plots.nvae.care({(n, built): plots.nvae.Depth(spread, [factor**i for i in range(n)]) for n, spread in sizes.items() for built, factor in (("with care", 1.1), ("without", 0.01))})


def blind():
    return plots.side_by_side.blind({name: torch.rand(40, 784, generator=generator()) * k for k, name in ((0.5, "a"), (1.0, "b"))}, ["b", "a"])


def best_by():
    measure = plots.side_by_side.Measure
    return plots.side_by_side.best_by({"score": measure({f"m{i}": -80.0 - i for i in range(7)}, "nats"), "error": measure({f"m{i}": 0.1 * (i % 3) for i in range(7)}, "share", False)}, [f"m{i}" for i in range(7)])


MADE = {"conv.occlusion": occlusion, "dbn.sampling": sampling, "gibbs_bound.weigher": weigher, "rbm.short_chains": short_chains, "log_z.bracket": bracket, "tied.untying": untying, "up_down.repair": repair, "vq_images.collapse": collapse, "nvae.care": care, "side_by_side.blind": blind, "side_by_side.best_by": best_by}  # widgets that a function makes of a model, here of a toy
RENDERS = {name: (lambda render=render: render) for name, render in explorables().items()} | MADE


def relative_time(render, n_moves: int = 8) -> float:
    """Processor time of a move over that of a plain frame: medians of moves made in turn, so that what slows the machine slows both."""
    plain_move, slow_move = moves(plain_widget()), moves(render)
    pairs = [(next(plain_move), next(slow_move)) for _ in range(n_moves + 1)][1:]  # the first of each warms up
    return median(slow for _, slow in pairs) / median(plain for plain, _ in pairs)


def moves(render):
    """Processor seconds of one move after another, each to values not drawn before."""
    first = explore(render)
    names, values = list(first.options), list(first.combinations())
    for before, after in zip(itertools.cycle(values), itertools.cycle(values[1:] + values[:1])):
        explorer = explore(render, start=dict(zip(names, before)))
        explorer.widget()
        start = time.process_time()
        explorer.move(**dict(zip(explorer.options, after)))
        explorer.picture.png(FRAME_DPI), explorer.picture.alt
        yield time.process_time() - start


def plain_widget():
    x = np.linspace(0, 1, 30)
    return explorable(k=list(range(12)))(lambda *, k: plots.lines(x, {"model": np.sin(k * x)}, xlabel="x", ylabel="y"))


@pytest.mark.parametrize("name", RENDERS)
def test_every_frame_is_drawn_and_every_control_matters(name):
    frames = list(sweep(RENDERS[name]()).values())
    assert frames[0].png(60) != frames[-1].png(60)


@pytest.mark.parametrize("name", RENDERS)
def test_a_move_takes_less_than_a_tenth_of_a_second(name):
    found = []
    while len(found) < 3 and min(found, default=math.inf) >= LIMIT / PLAIN:  # once more where a bad moment was met
        found.append(relative_time(RENDERS[name]()))
    assert min(found) < LIMIT / PLAIN, f"{name}: {min(found):.2f} times a plain frame, allowed {LIMIT / PLAIN:.2f}, which is {1000 * LIMIT:.0f} ms where a plain frame takes {1000 * PLAIN:.0f}"


def test_the_limit_notices_a_slow_move():
    def slow(*, k):
        plots.lines([0, 1], {"model": [0, k]}, xlabel="x", ylabel="y").png(FRAME_DPI)
        plots.lines([0, 1], {"model": [0, k]}, xlabel="x", ylabel="y").png(FRAME_DPI)
        return plots.lines([0, 1], {"model": [0, k]}, xlabel="x", ylabel="y")

    assert relative_time(explorable(k=[1, 2, 3])(slow)) >= LIMIT / PLAIN


@pytest.mark.parametrize("source", sorted((ROOT / "source" / "lectures").glob("*.py")), ids=lambda path: path.stem)
def test_every_widget_of_a_chapter_is_tested_here(source):
    text = source.read_text(encoding="utf-8")
    assert len(EXPLORED.findall(text)) == text.count("explore("), "write explore(plots.FILE.FUNCTION...), so that the widget can be found"
    assert set(EXPLORED.findall(text)) <= set(RENDERS), "add the widget to MADE, on a toy"
    assert EXPLORED.search(text), "a chapter has at least one widget"
