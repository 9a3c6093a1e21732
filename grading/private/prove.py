"""Is a variant right? Its answers against its proof, in float64; its wrong answers refused and told apart."""
from __future__ import annotations

from pathlib import Path

import torch

from deepgen_lib.checks.compare import agree, plain
from deepgen_lib.checks.engine import Exercise
from grading.score import fair

from .variant import Variant, module_text

SEEDS = (0, 1, 1000)  # of inputs
FAIR = (0, 1, 11, 12)
FEWEST = 3     # wrong answers of a variant
RTOL = 1e-7    # between a closed form and its proof


def load(text: str, name: str) -> dict:
    """What a checks file defines."""
    space: dict = {"__name__": name}
    exec(compile(text, name, "exec"), space)
    return space


def exercises_of(space: dict) -> list[Exercise]:
    return [value for value in space.values() if isinstance(value, Exercise)]


def pruned(variant: Variant) -> Variant:
    """Without the wrong answers that are right in this variant after all, the same as an earlier one, or no answers at all.

    Raises ValueError when fewer than three are left, or the public exercise's answer is not among them.
    """
    space = load(module_text(variant.chapter, [variant]), "a variant")
    exercise, = exercises_of(space)
    part, seen, kept = exercise.parts[0], [], {}
    public = next(iter(variant.wrong))
    for name, wrong in part.bank.items():
        outputs = [_output(part, wrong.wrong, seed) for seed in SEEDS[:2]]
        if None in outputs or any(_same(outputs[i], _output(part, part.right, seed)) for i, seed in enumerate(SEEDS[:2])) or any(_same(outputs, other) for other in seen):
            continue
        seen.append(outputs)
        kept[name] = variant.wrong[name]
    if public not in kept or len(kept) < FEWEST:
        raise ValueError(f"pruned: exercise {variant.id} has {len(kept)} wrong answers that are wrong, expected {FEWEST} or more, and the public one among them; draw it again")
    return variant._replace(wrong=kept)


def faults(space: dict, *, seeds: tuple[int, ...] = SEEDS) -> list[str]:
    """What is wrong with a checks file, exercise by exercise, without a word of its answers."""
    found = []
    for exercise in exercises_of(space):
        if exercise.id not in space.get("PROOFS", {}):
            found.append(f"exercise {exercise.id} has no proof in PROOFS")
            continue
        part, (*answers, proof) = exercise.parts[0], space["PROOFS"][exercise.id]
        for seed in seeds:
            wanted = _output(part, proof, seed)
            for place, answer in enumerate([part.right, *answers]):
                if wanted is None or not _same(_output(part, answer, seed), wanted):
                    found.append(f"exercise {exercise.id}: right answer {max(place, 1)} is not what its proof says (seed {seed})")
        if sum(fair(exercise, seed) for seed in FAIR) < len(FAIR) / 2:  # grading looks for a fair seed; by chance a wrong answer may be right on one
            found.append(f"exercise {exercise.id}: a wrong answer passes, or the right one does not")
        if len(part.bank) < FEWEST:
            found.append(f"exercise {exercise.id} has {len(part.bank)} wrong answers, expected {FEWEST} or more")
    return list(dict.fromkeys(found))


def faults_of_file(file: Path) -> list[str]:
    """The same for a file; one that does not run is a fault too."""
    try:
        return [f"checks/{file.name}: {fault}" for fault in faults(load(file.read_text(encoding="utf-8"), file.name))]
    except Exception as error:
        return [f"checks/{file.name}: it does not run ({type(error).__name__})"]


def _output(part, answer, seed: int):
    """What an answer gives on every case; None where it fails."""
    found = []
    for arguments in part.inputs(torch.Generator().manual_seed(seed)).values():
        try:
            output = answer(*(a.clone() if isinstance(a, torch.Tensor) else a for a in arguments))
            found.append(plain(output))
        except Exception:  # whatever an answer does is its own affair
            return None
    return found


def _same(a, b) -> bool:
    return a is not None and b is not None and agree(a, b, rtol=RTOL, atol=1e-8)
