"""Ten thousand blind calls: every public function of the tables of tests/test_bad_input*.py with one argument drawn from a pool that knows nothing of it.

    python3 tools/course.py bench fuzz

The pool: numbers (whole, broken, negative, huge, NaN, infinite, truth values), words, None, containers, arrays, generators, networks, functions; tensors of zero to four axes,
seven number types, and entries that are binary, normal, huge or NaN; and the good argument itself in another dress (strided, expanded, part of a graph). No whole number
above seven: a count of a billion is a fair wish that takes a year. What may happen:
  refused   a ValueError of the house's form: function, got, expected, cure;
  accepted  a result without NaN; of a dressed argument the result of the plain one.
An answer to an exercise is refused by one sentence that names the exercise. A function that is handed over may itself raise what it likes: it is not tried in the place of one.
Everything else is unexplained and listed: another exception, a warning, NaN out of finite input, an argument that was changed, more than 60 seconds, a process that dies.
"""
import argparse
import contextlib
import importlib
import io
import multiprocessing
import random
import signal
import sys
import warnings
from collections import Counter
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import torch
from harness import machine, publish

from deepgen_lib.checks.engine import NotYet, registered
from tests.blind import answers, blind, dressed, tensors_in
from tests.doors import Door, faults_of

TABLES = ["bad_input", "bad_input_conv", "bad_input_conv_networks", "bad_input_dbn", "bad_input_features", "bad_input_nvae", "bad_input_nvae_small", "bad_input_nvae_walk", "bad_input_vae",
          "bad_input_vq", "bad_input_vq_images", "bridge", "side_by_side", "checks"]
SECONDS = 60
COLUMNS = ("table", "functions", "calls", "refused", "accepted", "unexplained")


class Hang(BaseException):
    pass


class Outcome(NamedTuple):
    kind: str     # "refused", "accepted" or what went wrong
    detail: str = ""


def call(door: Door, argument: str, value, plain: torch.Tensor | None) -> Outcome:
    """The outcome of one call with this value in the place of the argument; plain: the same value without its dress."""
    given = door.good | {argument: value}
    before = [(t, t.detach().clone()) for t in tensors_in(given)]
    try:
        result = answer(door, given)
    except NotYet as error:
        return Outcome("refused") if " not yet" in str(error) and len(str(error)) < 2000 else Outcome("message", str(error))
    except ValueError as error:
        faults = [f for f in faults_of(str(error), "", ANY) if "public function" not in f]
        return Outcome("refused") if not faults else Outcome("message", f"{error} ({'; '.join(faults)})")
    except Hang:
        return Outcome("hang")
    except Exception as error:
        return Outcome(type(error).__name__, " ".join(str(error).split())[:160])
    if any(not torch.equal(t.detach().nan_to_num(), old.nan_to_num()) for t, old in before):
        return Outcome("changed")
    finite = all(old.isfinite().all() for _, old in before)
    if finite and any(t.is_floating_point() and t.isnan().any() for t in tensors_in(result)):
        return Outcome("NaN")
    if plain is not None:
        again = answer(door, given | {argument: plain})
        if not all(torch.allclose(a.double(), b.double(), rtol=1e-4, atol=1e-6, equal_nan=True) for a, b in zip(tensors_in(result), tensors_in(again))):
            return Outcome("dress", "another result than for the plain tensor")
    return Outcome("accepted")


ANY = type("Any", (), {"__contains__": lambda self, name: True})()


def answer(door: Door, given: dict):
    for value in given.values():
        if isinstance(value, torch.Generator):
            value.manual_seed(0)
    signal.alarm(SECONDS)
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # checks say what is right
            return door.function(**given)
    finally:
        signal.alarm(0)


def ring(*_):
    raise Hang


def exercises() -> dict[str, Door]:
    """Every check as a door: its parts are the arguments, right answers the good ones."""
    def door(exercise) -> Door:
        right = {part.name or "answer": part.right for part in exercise.parts}
        return Door(lambda **given: exercise(*given.values()), right, dict.fromkeys(right))
    return {exercise.id: door(exercise) for exercise in registered()}


def table_of(name: str, calls: int, seed: int, told) -> None:
    """All calls of one table, told one by one: (function, argument, value in words, outcome)."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGALRM, ring)
    warnings.simplefilter("error")
    make, chance = exercises if name == "checks" else importlib.import_module(f"tests.test_{name}").doors, random.Random(f"{seed} {name}")
    doors = make()
    places = [(door, argument) for door, entry in doors.items() for argument in entry.spoil]
    for i in range(calls):
        door, argument = places[i % len(places)]
        if i and i % (10 * len(places)) == 0:
            doors = make()  # some keep what they were given
        entry = doors[door]
        good = entry.good.get(argument)
        value, plain = answers(good, chance) if name == "checks" else chance.choice((blind, blind, blind, dressed))(good, chance)
        if name != "checks" and callable(good) and callable(value):
            continue
        words = f"{type(value).__name__} {tuple(value.shape)} {value.dtype}" if isinstance(value, torch.Tensor) else repr(value)[:60]
        told.send((door, argument, words, None))
        told.send((door, argument, words, call(entry, argument, value, plain)))
    told.send(len(doors))


def listen(name: str, calls: int, seed: int) -> dict:
    """A table in a process of its own; where that dies, the call that killed it is known."""
    here, there = multiprocessing.get_context("spawn").Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=table_of, args=(name, calls, seed, there))
    process.start()
    there.close()
    kinds, odd, last, functions = Counter(), [], None, 0
    try:
        while isinstance(message := here.recv(), tuple):
            last, outcome = message[:3], message[3]
            if outcome:
                kinds[outcome.kind if outcome.kind in ("refused", "accepted") else "unexplained"] += 1
                if outcome.kind not in ("refused", "accepted"):
                    odd.append([*last, *outcome])
        functions = message
    except EOFError:
        odd.append([*last, "died", f"exit status {process.exitcode}"])
        kinds["unexplained"] += 1
    process.join()
    return {"functions": functions, "calls": sum(kinds.values()), **{kind: kinds[kind] for kind in ("refused", "accepted", "unexplained")}, "odd": odd}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=900, help="of each table")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("tables", nargs="*", default=TABLES)
    given = parser.parse_args()
    found = {}
    for name in given.tables:
        found[name] = listen(name, given.calls, given.seed)
        print(name, {k: v for k, v in found[name].items() if k != "odd"}, *found[name]["odd"], sep="\n  ", flush=True)
    rows = [(name, *(r[c] for c in COLUMNS[1:])) for name, r in found.items()]
    rows.append(("all", *(sum(row[i] for row in rows) for i in range(1, len(COLUMNS)))))
    if given.tables == TABLES:
        publish("fuzz", "Blind calls of the public functions", COLUMNS, rows, about=machine(), raw=found | {"seed": given.seed},
                notes="Refused: a ValueError that names function, got, expected and cure. Accepted: a result without NaN, the arguments as they were.")
    sys.exit(rows[-1][-1] > 0)


if __name__ == "__main__":
    main()
