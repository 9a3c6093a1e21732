"""One graded variant, and the text that a checks file holds of it.

A template writes its code with short names of its own (v, W, b); `named` gives function and arguments the names that the key draws.
"""
from __future__ import annotations

import io
import re
import textwrap
import tokenize
from typing import NamedTuple

from .draw import Draw

POOLS = {  # names for arguments, by the short name that the templates use
    "v": ("pixels", "seen", "shown", "below"), "h": ("causes", "above", "unseen", "top"), "W": ("links", "bonds", "pull", "ties"),
    "b": ("lean", "offset", "tilt", "bias_in"), "c": ("drive", "push", "urge", "bias_out"), "beta": ("beta_here", "given_beta", "this_beta"),
    "f": ("table", "scores", "joint"), "q": ("belief", "guess", "weights"), "r": ("other", "second", "partner"), "t": ("said", "raw", "number_in"),
    "m": ("centre", "place", "where_q"), "s": ("width", "spread", "size"), "n": ("centre_p", "place_p", "where_p"), "u": ("width_p", "spread_p", "size_p"),
    "d": ("shift", "step", "move"), "g": ("factor", "stretch", "gain"), "x": ("noise", "uniform", "chance"), "z": ("points", "encoded", "latent"),
    "e": ("codes", "book", "entries"), "a": ("mass", "importance", "shares"), "p": ("log_top", "log_above", "prior_table"),
}


class Variant(NamedTuple):
    chapter: str
    number: int                         # 1 -> exercise 2.101
    title: str
    minutes: int
    function: str
    arguments: dict[str, tuple[str, str]]  # short name -> (shape, what it is)
    gives: str                          # shape and meaning of the answer
    prompt: str                         # what is asked, with its formula
    inputs: str                         # body of a function of rng: name of the case -> arguments
    right: str                          # bodies of functions of the arguments ...
    again: str                          # ... written another way
    proof: str                          # ... from the definition: by enumeration, numeric integration or differences
    wrong: dict[str, tuple[str, str]]   # name -> (body, what to say); the first is the public exercise's answer
    hints: tuple[str, str, str]
    success: str
    taken: tuple[str, ...]              # library functions out of reach
    structure: dict[str, str]           # the key's choices
    given: str = ""                     # body of a function that is handed out, with mistakes planted in it
    names: dict[str, str] = {}          # short name -> drawn name

    @property
    def id(self) -> str:
        return f"{int(self.chapter[:2])}.{100 + self.number}"

    def head(self, name: str) -> str:
        return f"def {name}({', '.join(self.names[short] for short in self.arguments)}):"

    def code(self, body: str) -> str:
        return renamed(body, self.names)


def named(variant: Variant, draw: Draw, pool: tuple[str, ...]) -> Variant:
    """With names for the function (from `pool`) and its arguments (from POOLS)."""
    code = "\n".join([variant.right, variant.again, variant.proof, variant.given, *(body for body, _ in variant.wrong.values())])
    chosen, used = {}, set(re.findall(r"[A-Za-z_]\w*", code))  # a name that the code has for something else would change what it does
    for short in variant.arguments:
        chosen[short] = draw.name(short, POOLS[short], [*chosen.values(), *used])
    return variant._replace(function=draw.name("function", pool), names=chosen, structure=dict(draw.structure))


def renamed(code: str, names: dict[str, str]) -> str:
    """Python text with these names in the place of others; attributes and texts stay."""
    found, last = [], ""
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type == tokenize.NAME and last != "." and token.string in names:
            found.append((token.start, token.string))
        last = token.string
    lines = code.splitlines()
    for (row, column), name in reversed(found):
        lines[row - 1] = lines[row - 1][:column] + names[name] + lines[row - 1][column + len(name):]
    return "\n".join(lines)


def module_text(chapter: str, variants: list[Variant]) -> str:
    """The file checks/CHAPTER.py of a private course."""
    return HEAD.format(chapter=chapter) + "\n\n".join(_exercise_text(variant) for variant in variants) + "\n"


def _exercise_text(v: Variant) -> str:
    functions = {"right": v.right, "again": v.again, "proof": v.proof, **{f"wrong_{i}": body for i, (body, _) in enumerate(v.wrong.values(), 1)}}
    if v.given:
        functions["given"] = v.given
    lines = [f"# {v.id} {v.title}", *(f"{v.head(f'_{v.function}_{name}')}\n{_indented(v.code(body))}\n" for name, body in functions.items()),
             f"def _{v.function}_inputs(rng):\n{_indented(v.inputs)}\n"]
    lines += [f"{v.function} = Exercise(", f"    id={v.id!r}, name={v.function!r}, title={v.title!r}, level='core', minutes={v.minutes}, chapter=CHAPTER,",
              f"    success={v.success!r},", "    hints=(", *(f"        {hint!r}," for hint in v.hints), "    ),",
              f"    taken={v.taken!r},", f"    parts=(Part(right=_{v.function}_right, inputs=_{v.function}_inputs, misconceptions={{",
              *(f"        {name!r}: (_{v.function}_wrong_{i}, {message!r})," for i, (name, (_, message)) in enumerate(v.wrong.items(), 1)),
              "    }),))", f"PROOFS[{v.id!r}] = (_{v.function}_right, _{v.function}_again, _{v.function}_proof)"]
    return "\n".join(lines)


def _indented(body: str) -> str:
    return textwrap.indent(textwrap.dedent(body).strip("\n"), "    ")


HEAD = '''"""PRIVATE: answers of the graded exercises of chapter {chapter}. Keep this file where students cannot read it.

Of each exercise: the right answer twice, the proof (the definition, added up or integrated numerically), inputs, wrong answers with what to say.
Change what you like, then run `make private ARGS=--check`: it proves every answer again.
"""
import itertools
import math

import numpy
import torch

from deepgen_lib.checks.engine import Exercise, Part

CHAPTER = {chapter!r}
PROOFS = {{}}  # exercise -> right answer, right answer written another way, proof


def normal(rng, *shape, scale=1.0):
    return scale * torch.randn(*shape, generator=rng, dtype=torch.float64)


def uniform(rng, *shape, low=0.0, high=1.0):
    return low + (high - low) * torch.rand(*shape, generator=rng, dtype=torch.float64)


def among(rng, values, *shape):
    return torch.tensor(values, dtype=torch.float64)[torch.randint(len(values), shape, generator=rng)]


def states(values, n):
    """Every combination of n units with these values, the first unit slowest."""
    return torch.tensor(list(itertools.product(values, repeat=n)), dtype=torch.float64)


def slopes(score, *parameters, step=1e-3):
    """Of a number in every entry of each parameter, by five-point differences."""
    found = [torch.zeros_like(p) for p in parameters]
    for at, p in enumerate(parameters):
        for index in itertools.product(*map(range, p.shape)):
            def moved(k):
                changed = p.clone()
                changed[index] += k * step
                return float(score(*parameters[:at], changed, *parameters[at + 1:]))
            found[at][index] = (8 * (moved(1) - moved(-1)) - (moved(2) - moved(-2))) / (12 * step)
    return found


def integral(g, *breaks):
    """Of g from the first break to the last, by Gauss-Legendre between one and the next."""
    nodes, weights = (torch.from_numpy(x) for x in numpy.polynomial.legendre.leggauss(160))
    return sum(float((weights * g((b - a) / 2 * nodes + (a + b) / 2)).sum()) * (b - a) / 2 for a, b in zip(breaks, breaks[1:]))


'''
