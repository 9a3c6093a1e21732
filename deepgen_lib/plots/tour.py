"""The two-minute tour: noise becomes structure.

landscape: 3,000 draws from p(x) ∝ exp(-β E(x)) on a plane, E a pinwheel of five valleys. At β = 0 the energy counts for nothing and the
draws are noise; at β = 1 they are the model's. All frames share their random numbers, so that one sees each draw travel.
readiness: the check of the machine as a table.
dreams: an RBM before, while and after it learns MNIST; the frames are a recording of one real run, made by tools/record_tour.py.
"""
from __future__ import annotations

import functools
from importlib import resources
from typing import NamedTuple

import numpy as np

from ..machine import Machine, chapter_seconds, check_machine, reference
from .controls import explorable
from .images import image_grid
from .picture import Picture
from .style import BLACK, BLUE, GREEN, ORANGE, PAPER, PURPLE, VERMILLION, drawing
from .table import Table, table

N_ARMS, N_POINTS, N_CELLS, RADIUS = 5, 3000, 240, 3.2
INVERSE_TEMPERATURES = (0.0, 0.01, 0.02, 0.04, 0.07, 0.12, 0.2, 0.35, 0.6, 1.0)
LEVELS, VALLEYS = (1, 3, 6, 10, 15, 21), ("#d3dbe6", "#dde3ec", "#e6ebf1", "#eef1f5", "#f4f6f8", "#f9fafa", PAPER)  # deeper is darker
UPDATES, GIBBS_STEPS, N_DREAMS = (0, 10, 100, 300, 1000, 3000, 10000, 40000), (0, 1, 2, 4, 8, 32, 128, 512, 2048), 5


@explorable(inverse_temperature=INVERSE_TEMPERATURES)
def landscape(*, inverse_temperature: float = 0.12) -> Picture:
    """Draws from exp(-β E) over the contours of E, coloured by the sector of the plane from which they set out at β = 0."""
    grid, energies = _energy()
    start, points = _draws(0.0), _draws(inverse_temperature)
    sector = np.floor((np.arctan2(start[:, 1], start[:, 0]) / (2 * np.pi) % 1) * N_ARMS).astype(int)
    with drawing(width=5.6, height=5.8) as (figure, axis):
        axis.contourf(grid, grid, energies, levels=LEVELS, colors=VALLEYS, extend="both")
        for arm, colour in enumerate((BLUE, VERMILLION, GREEN, PURPLE, ORANGE)):
            axis.scatter(*points[sector == arm].T, s=7, color=colour, alpha=0.8, linewidths=0, label=f"_draws that set out in sector {arm + 1}")
        axis.set(xlim=(-RADIUS, RADIUS), ylim=(-RADIUS, RADIUS), xticks=[], yticks=[], aspect="equal")
        axis.set_title(rf"draws from $e^{{-\beta E(x)}}$ at $\beta$ = {inverse_temperature:g}", color=BLACK)
        axis.set_frame_on(False)
    what = "noise, spread evenly" if inverse_temperature == 0 else "the model: every draw has found a valley" if inverse_temperature == 1 else "half-way: the draws feel the valleys"
    return Picture(figure, says=f"Inverse temperature {float(inverse_temperature)!r}: {what}.")


class Recording(NamedTuple):
    updates: tuple[int, ...]      # snapshots of training
    gibbs_steps: tuple[int, ...]  # columns of the picture
    frames: np.ndarray            # (snapshots, chains, columns, 784) in [0, 1]: noise in column 0, then p(v_i = 1 | h)


@functools.cache
def recording() -> Recording:
    """The run that ships with the course."""
    with resources.files("deepgen_lib").joinpath("embedded/tour.npz").open("rb") as file, np.load(file) as stored:
        return Recording(tuple(stored["updates"].tolist()), tuple(stored["gibbs_steps"].tolist()), stored["frames"] / np.float32(255))


@explorable(learning=[(f"{n:,} updates", n) for n in UPDATES])
def dreams(*, learning: int = UPDATES[-1]) -> Picture:
    """Chains of Gibbs sampling from noise, one a row, in the model as it was after so many updates of its weights."""
    run = recording()
    frames = run.frames[run.updates.index(learning)]
    return image_grid(frames.reshape(-1, frames.shape[-1]), columns=len(run.gibbs_steps), column_labels=[f"{k:,}" for k in run.gibbs_steps],
                      row_labels=[f"dream {i + 1}" for i in range(len(frames))], title=f"after {learning:,} updates: five dreams, by number of Gibbs steps",
                      says=f"Each row starts from noise and follows the model as it was after {learning:,} updates.")


def readiness(machine: Machine, gflops: float) -> Table:
    """What check_machine found, the speed beside that of the reference machine, and the guessed time of every lecture notebook."""
    measured = reference()
    rows = {finding.what: (finding.found, " · ".join(filter(None, ["ready" if finding.fine else "NOT READY", finding.advice]))) for finding in check_machine(machine)}
    rows["speed"] = (f"{gflops:.0f} GFLOP/s", f"{gflops / measured.gflops:.1f} times the reference: {measured.hardware}, {measured.date}")
    seconds = {stem: max(5, 5 * round(found / 5)) for stem, found in chapter_seconds(gflops).items()}
    rows["lectures"] = (_about(sum(seconds.values())), "seconds for each: " + ", ".join(f"{stem[:2]}: {s}" for stem, s in seconds.items()))
    return table(rows, columns=("here", "so"), corner="what")


def _about(seconds: int) -> str:
    return f"about {seconds} s" if seconds < 120 else f"about {round(seconds / 60)} min"


@functools.cache
def _energy() -> tuple[np.ndarray, np.ndarray]:
    """The grid of one axis (N,) and the pinwheel's energy (N, N) over it, rows from low to high y."""
    grid = np.linspace(-RADIUS, RADIUS, N_CELLS)
    x, y = np.meshgrid(grid, grid)
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    bend = np.sin(N_ARMS / 2 * (angle - 0.55 * radius)) ** 2  # zero along five bent arms
    return grid, 14.0 * bend * np.minimum(radius, 1.0) + 6.0 * (radius - 1.7) ** 2 + 6.0 * np.exp(-4 * radius**2)


@functools.cache
def _draws(inverse_temperature: float) -> np.ndarray:
    """Exact draws (N_POINTS, 2) from the gridded density, by inverting its distribution functions at uniforms that no frame changes."""
    grid, energies = _energy()
    density = np.exp(-inverse_temperature * (energies - energies.min()))
    u = np.random.default_rng(13).random((2, N_POINTS))
    y = _invert(grid, density.sum(1)[None].repeat(N_POINTS, 0), u[0])
    row = np.clip(np.round((y + RADIUS) / (2 * RADIUS) * (N_CELLS - 1)).astype(int), 0, N_CELLS - 1)
    return np.stack([_invert(grid, density[row], u[1]), y], 1)


def _invert(grid: np.ndarray, weights: np.ndarray, u: np.ndarray) -> np.ndarray:
    """The points (N,) where distribution functions with these weights (N, cells) reach u (N,), linear within a cell."""
    cumulative = np.cumsum(weights, 1) / weights.sum(1, keepdims=True)
    cell = (cumulative < u[:, None]).sum(1).clip(1, len(grid) - 1)
    low, high = (np.take_along_axis(cumulative, c[:, None], 1)[:, 0] for c in (cell - 1, cell))
    return grid[cell - 1] + (grid[1] - grid[0]) * np.clip((u - low) / np.maximum(high - low, 1e-12), 0, 1)
