"""Ten thousand blind calls: every public function of the tables of tests/test_bad_input*.py with one argument drawn from a pool that knows nothing of it.

    python3 tools/course.py bench fuzz

The pool: numbers (whole, broken, negative, huge, NaN, infinite, truth values), words, None, containers, arrays, generators, networks, functions; tensors of zero to four axes,
seven number types, and entries that are binary, normal, huge or NaN; and a good tensor itself in another dress (strided, expanded, part of a graph). No whole number
above seven: a count of a billion is a fair wish that takes a year. What may happen:
  refused   a ValueError of the house's form: function (one of the table's), got, expected, cure; nothing has changed, neither arguments nor the model;
  accepted  a result without NaN; nothing has changed but what the call is for (CHANGES); of a dressed argument the result of the plain one.
An answer to an exercise is refused by one sentence that begins with the exercise and the part, unless it equals the right one. A function that is handed over may itself raise
what it likes: nothing callable is tried in the place of one. tests/leaves.py says where changes and NaN are looked for.
Everything else is unexplained and listed: another exception, a warning, NaN, a change, a wrong answer that passes, more than 60 seconds, a process that dies.
"""
import argparse
import contextlib
import importlib
import inspect
import io
import multiprocessing
import pkgutil
import random
import re
import signal
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import torch
from harness import machine, publish

import deepgen_lib
from deepgen_lib.checks.engine import NotYet, find, registered
from tests.blind import answers, drawn, is_right
from tests.doors import Door, defined, faults_of
from tests.leaves import changed, nan_in, numbers_in, snapshot

TABLES = ["bad_input", "bad_input_conv", "bad_input_conv_networks", "bad_input_dbn", "bad_input_features", "bad_input_nvae", "bad_input_nvae_small", "bad_input_nvae_walk", "bad_input_vae",
          "bad_input_vq", "bad_input_vq_images", "bridge", "side_by_side", "checks"]
CHANGES = {"fit": ("trainer",), "init_visible_bias": ("rbm", "its model")} | dict.fromkeys(("Codebook.init_from", "Codebook.update_statistics", "Codebook.revive"), ("its object",)) \
    | {"VQVAE.init_codes": ("its object", "its model"), "PixelCNN.start_from": ("its object", "its model")}
SECONDS = 60
NOTES = ("Refused: a ValueError that names a function, got, expected and cure; by a check, its exercise and the part that is wrong; nothing that was given is changed, generators aside. Accepted: no NaN that was not given, and nothing "
         f"is changed but what the call is for ({', '.join(CHANGES)}); by a check, the right answer alone.")
COLUMNS = ("table", "functions", "calls", "refused", "accepted", "unexplained")


class Hang(BaseException):
    pass


class Outcome(NamedTuple):
    kind: str     # "refused", "accepted" or what went wrong
    detail: str = ""


class Rules(NamedTuple):
    """What is asked of one place: how it refuses, and what it may accept."""
    error: type[Exception]
    faults: Callable[[str], list[str]]                       # what is missing in a refusal
    may_pass: Callable[[object], bool] = lambda value: True  # asked of an accepted value
    changes: tuple[str, ...] = ()                            # what an accepted call is there to change


def call(door: Door, argument: str, value, plain: torch.Tensor | None, rules: Rules) -> Outcome:
    """The outcome of one call with this value in the place of the argument; plain: the same value without its dress."""
    given = door.good | {argument: value}
    watched = given | {"its object": getattr(door.function, "__self__", None), "its model": door.model}
    before = snapshot(watched)
    outcome, result = attempt(door, given, rules)
    if outcome.kind not in ("refused", "accepted"):
        return outcome
    spared = rules.changes if outcome.kind == "accepted" else ()
    if places := [place for place in changed(before, snapshot(watched)) if place.split(".")[0] not in spared]:
        return Outcome("changed", f"{outcome.kind}, but changed {', '.join(places[:3])}")
    if outcome.kind == "accepted" and not rules.may_pass(value):
        return Outcome("passed", "accepted, and not the right answer")
    if outcome.kind == "accepted" and nan_in([result, watched]) and not nan_in(before):
        return Outcome("NaN")
    if plain is not None:
        other, again = attempt(door, given | {argument: plain}, rules)
        if other != outcome or not alike(result, again):
            return Outcome("dress", f"{outcome.kind}; of the plain tensor: {other.kind}")
    return outcome


def attempt(door: Door, given: dict, rules: Rules) -> tuple[Outcome, object]:
    try:
        return Outcome("accepted"), answer(door, given)
    except rules.error as error:
        faults = rules.faults(str(error))
        return (Outcome("message", f"{error} ({'; '.join(faults)})") if faults else Outcome("refused", str(error))), None
    except Hang:
        return Outcome("hang"), None
    except Exception as error:
        return Outcome(type(error).__name__, " ".join(str(error).split())[:160]), None


def alike(a, b) -> bool:
    """The same numbers, within rounding."""
    a, b = list(numbers_in(a)), list(numbers_in(b))
    return len(a) == len(b) and all(x.shape == y.shape and torch.allclose(x.double(), y.double(), rtol=1e-4, atol=1e-6, equal_nan=True) for x, y in zip(a, b))


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


def rules_of(table, door: str, argument: str) -> Rules:
    """A table's own, by the names that its messages may begin with; without a table those of a check."""
    if table:
        return Rules(ValueError, lambda message: faults_of(message, "", table.NAMES), changes=CHANGES.get(door, ()))
    return rules_of_check(door, argument)


def rules_of_check(door: str, argument: str) -> Rules:
    """One sentence that begins with the exercise's id and, of several parts, the one that is wrong; nothing but the right answer passes."""
    exercise = find(door)
    part = exercise.parts[0] if len(exercise.parts) == 1 else next(part for part in exercise.parts if part.name == argument)
    start = re.compile(rf"{re.escape(door)} not yet" + (rf" \({re.escape(part.name)}[;)]" if len(exercise.parts) > 1 else ": "))

    def faults(message: str) -> list[str]:
        return ["it does not begin with the exercise, 'not yet' and the part"] * (not start.match(message)) + ["it is too long"] * (len(message) >= 2000)
    return Rules(NotYet, faults, lambda value: is_right(part, value))


def table_of(name: str, calls: int, seed: int, told) -> None:
    """All calls of one table, told one by one: (function, argument, value in words, outcome)."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGALRM, ring)
    warnings.simplefilter("error")
    table, chance = None if name == "checks" else importlib.import_module(f"tests.test_{name}"), random.Random(f"{seed} {name}")
    make = table.doors if table else exercises
    doors = make()
    places = [(door, argument) for door, entry in doors.items() for argument in entry.good | entry.spoil]
    for i in range(calls):
        door, argument = places[i % len(places)]
        if i and i % (10 * len(places)) == 0:
            doors = make()  # some keep what they were given
        entry = doors[door]
        good = entry.good.get(argument)
        value, plain = drawn(good, chance) if table else answers(good, chance)
        words = f"{type(value).__name__} {tuple(value.shape)} {value.dtype}" if isinstance(value, torch.Tensor) else repr(value)[:60]
        told.send((door, argument, words, None))
        told.send((door, argument, words, call(entry, argument, value, plain, rules_of(table, door, argument))))
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


def covered() -> dict:
    """Which of the library's public functions and classes the tables call, module by module, and how many arguments they take there."""
    own = {}
    for module in pkgutil.walk_packages(deepgen_lib.__path__, "deepgen_lib."):
        with contextlib.suppress(ImportError):  # kernels for a GPU
            own[module.name] = {name for name in defined([module.name.partition(".")[2]]) if not name.startswith("require_")}
    called, arguments = {module: set() for module in own}, 0
    for table in (importlib.import_module(f"tests.test_{name}") for name in TABLES if name != "checks"):
        for name, door in table.doors().items():
            home = getattr(door.function, "__self__", None) or door.function
            home = home if inspect.isroutine(home) or inspect.isclass(home) else type(home)
            head = re.split(r"[. ]", name)[0]
            module = home.__module__ if home.__module__ in own else next(f"deepgen_lib.{m}" for m in table.MODULES if head in own[f"deepgen_lib.{m}"])
            called[module] |= {home.__name__ if module == home.__module__ else head} & own[module]
            arguments += len(door.good | door.spoil)
    return {"called": {m: sorted(names) for m, names in called.items() if names}, "not called": {m: sorted(names - called[m]) for m, names in own.items() if names - called[m]},
            "arguments": arguments}


def in_words(cover: dict) -> str:
    called, rest = cover["called"], {m: names for m, names in cover["not called"].items() if m not in cover["called"]}
    left = sum(len(names) for m, names in cover["not called"].items() if m in called)
    short = lambda module: module.partition(".")[2]
    packages = Counter(short(m).split(".")[0] for m in rest)
    return (f"The tables call {sum(map(len, called.values()))} public functions and classes of {len(called)} modules, themselves or by their methods ({', '.join(map(short, called))}), "
            f"with {cover['arguments']} arguments in all, each of which is replaced in turn; {left} more of these modules are not called (each table says why). The table checks calls every exercise. "
            f"Not called themselves: {', '.join(name if n == 1 else f'{name} ({n} modules)' for name, n in packages.items())}.")


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
        cover = covered()
        publish("fuzz", "Blind calls of the public functions that the tables of bad input cover", COLUMNS, rows, about=machine(), raw=found | {"seed": given.seed, "covered": cover}, notes=f"{NOTES} {in_words(cover)}")
    sys.exit(rows[-1][-1] > 0)


if __name__ == "__main__":
    main()
