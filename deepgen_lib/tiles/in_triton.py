"""The same launches once more, in Triton's own interpreter, where Triton is installed (it has wheels for Linux alone).

Triton looks for TRITON_INTERPRET=1 when it is imported, so a fresh process runs them: nothing is set here, and no stray write can reach this one.
"""
from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from .machine import Call

CHILD = Path(__file__).with_name("triton_child.py")
HEAD = "import triton\nimport triton.language as tl\nfrom triton import jit\n\n"
PATIENCE = 300  # seconds


class Verdict(NamedTuple):
    """What Triton's interpreter says about one launch."""
    kernel: str
    largest_difference: float  # between its tensors and ours, 0 where no number differs
    error: str                 # what stopped it, or ""


class Verdicts(list):
    """A list of Verdict, one for each launch; empty where there is no Triton."""
    version = ""

    def __repr__(self) -> str:
        if not self.version:
            return "Triton is not installed here (it has wheels for Linux only): this cell is skipped. Everything else in the chapter runs without it."
        lines = [f"{v.kernel}: {v.error or f'largest difference {v.largest_difference:.2g}'}" for v in self]
        return "\n".join([f"Triton {self.version}, its own interpreter, the same source:", *lines])


def has_triton() -> bool:
    return importlib.util.find_spec("triton") is not None


def in_triton(calls: Sequence[Call]) -> Verdicts:
    """Run recorded launches in Triton's interpreter and compare every tensor; an empty list, which says why, where Triton is not installed."""
    verdicts = Verdicts()
    if not has_triton():
        return verdicts
    with tempfile.TemporaryDirectory() as folder:
        for number, call in enumerate(calls):
            Path(folder, f"kernel_{number}.py").write_text(HEAD + _for_triton(call.kernel.source), encoding="utf-8")
        torch.save([{"kernel": call.kernel.__name__, "grid": list(call.grid), "arguments": call.before} for call in calls], Path(folder, "calls.pt"))
        done = subprocess.run([sys.executable, str(CHILD), folder], env=os.environ | {"TRITON_INTERPRET": "1"}, capture_output=True, text=True, timeout=PATIENCE, check=False)
        if done.returncode:
            raise RuntimeError(f"in_triton: the process that runs Triton's interpreter stopped: {done.stderr.strip()[-500:]}")
        answer = torch.load(Path(folder, "answer.pt"), weights_only=True)
    verdicts.version = answer["version"]
    verdicts += [Verdict(call.kernel.__name__, _largest_difference(call.after, found["tensors"]), found["error"]) for call, found in zip(calls, answer["found"])]
    return verdicts


def _for_triton(source: str) -> str:
    """The kernel's text as Triton wants it: decorated by its jit, whatever the decorator was called here."""
    return re.sub(r"^@.*\bjit\b.*$", "@jit", source, flags=re.MULTILINE)


def _largest_difference(ours: dict, theirs: dict) -> float:
    if not theirs:
        return float("nan")
    differences = [(ours[name].double() - theirs[name].double()).nan_to_num(nan=float("inf")).abs() for name in ours if ours[name].numel()]
    same_nan = [ours[name].isnan() & theirs[name].isnan() for name in ours if ours[name].numel()]
    return max((d[~same].max().item() if (~same).any() else 0.0 for d, same in zip(differences, same_nan)), default=0.0)
