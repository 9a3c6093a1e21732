"""A small simulated class, graded behind walls and under limits alone: right gets everything, wrong less, attacks nothing for their own exercise, nothing else happens."""
import ctypes
import subprocess
import sys

import pytest

from grading import landlock
from grading.sandbox import bubblewrap_refusal
from tests.class_attacks import ATTACKS, written
from tests.class_surroundings import Surroundings, fingerprints, times
from tests.grading_class import SOLUTIONS, grader, lost, mark, released, solved
from tests.simulated_class import CHAPTERS, make_class, small_class, tasks_of
from tools.sources import ROOT, built_path

LINUX = sys.platform.startswith("linux")
LANDLOCK = landlock.version(ctypes.CDLL(None) if LINUX else None)
WALLS = pytest.param(True, id="walls", marks=pytest.mark.skipif(bool(bubblewrap_refusal()), reason=f"bubblewrap does not work here: {bubblewrap_refusal()}"))
LIMITS = pytest.param(False, id="limits")
ALWAYS = {"right", "wrong", "the library's own answer", "start", "blank", "syntax error", "damaged file", "cells: deleted", "cells: split", "cells: all in one", "cells: 70,000 outputs",
          *(f"attack: {name}" for name in ("stops: loop at the top of the cell", "stops: fork bomb by another door", "stops: memory bit by bit", "reads: read the key", "reads: import the key",
                                           "fools: equals everything", "fools: patch torch", "fools: keys that collide", "leaves: threads that outlive", "leaves: kill a bystander"))}
BY_LANDLOCK = {f"attack: {name}" for name in ("reads: read the key without Python's open", "leaves: write outside without Python's open", "leaves: change the library")}


@pytest.mark.parametrize("walls", [WALLS, LIMITS])
def test_a_small_class(walls, tmp_path):
    kinds = ALWAYS | (BY_LANDLOCK if walls or LANDLOCK else set())
    with Surroundings() as around:
        hand_ins = small_class(around.facts, kinds.__contains__)
        assert {hand_in.kind for hand_in in hand_ins} == kinds
        for hand_in in hand_ins:
            path = tmp_path / f"{hand_in.student}.ipynb"
            path.write_bytes(hand_in.content)
            marked = grader(hand_in.chapter, walls).mark(path)
            assert set(lost(marked)) == set(hand_in.zeros) and bool(marked.trouble) == hand_in.damaged, (hand_in.kind, marked.results)
            named = {result.exercise: result.misconception for result in marked.results}
            assert all(named[exercise] == mistake for exercise, mistake in hand_in.zeros.items() if mistake), hand_in.kind
            assert around.traces() == [], hand_in.kind


def test_the_class_holds_what_it_should():
    facts = dict.fromkeys(("ROOT_FOLDER", "PLACE", "TOKEN", "PORT", "BYSTANDER"), "7")
    made = make_class(facts)
    assert len(made) == 200 and len({hand_in.student for hand_in in made}) == 200 and {hand_in.chapter for hand_in in made} == set(CHAPTERS)
    assert [hand_in.kind for hand_in in make_class(facts)] == [hand_in.kind for hand_in in made]
    wrong = {(hand_in.chapter, exercise, mistake) for hand_in in made for exercise, mistake in hand_in.zeros.items() if hand_in.kind == "wrong"}
    assert wrong == {(chapter, task.exercise.id, name) for chapter in CHAPTERS for task in tasks_of(chapter) for part in task.exercise.parts for name in part.bank} and len(wrong) > 200
    assert {hand_in.kind for hand_in in made} >= {f"attack: {name}" for name in ATTACKS}
    assert sum(hand_in.kind == "right" for hand_in in made) > 15 and max(len(hand_in.content) for hand_in in made) > 50 * 2**20


ALL_AT_ONCE = """
import os, sys, torch
for name, code in {codes!r}.items():
    if os.fork() == 0:
        space = {{"torch": torch}}
        exec(code, space)
        right = torch.equal(space["kl"](torch.ones(2, 3), torch.zeros(2, 3)), torch.tensor([1.5, 1.5]))
        print(name, "right" * right, flush=True)
        os._exit(0)
    os.wait()
"""


@pytest.mark.skipif(not LINUX, reason="written for Linux")
def test_where_nothing_holds_attacks_do_what_they_say():
    """Run as they are, without a sandbox: they leave their traces, or find the right answer."""
    kinds = [f"leaves: {name}" for name in ("write outside", "write outside without Python's open", "network", "kill a bystander", "change the course")]
    kinds += [f"reads: {name}" for name in ("read the key", "read the key without Python's open", "read the key in a race", "read the key with another program")]
    with Surroundings() as around:
        facts = around.facts | {"KEY": str(around.course / "deepgen_lib/checks/vae.py")}
        kinds.sort(key="leaves: change the course".__eq__)  # last: it spoils the key
        codes = {kind: written(ATTACKS[kind], name="kl", check="kl_by_hand", exercise="8.2", facts=facts) for kind in kinds}
        done = subprocess.run([sys.executable, "-c", ALL_AT_ONCE.format(codes=codes)], capture_output=True, text=True, cwd=around.folder, timeout=120)
        traces = around.traces()
        for trace in (f"a mark: {around.token}-1", f"a mark: {around.token}-4", "a call arrived", "the other process is gone", "changed: deepgen_lib/checks/vae.py"):
            assert trace in traces, (traces, done.stderr)
    assert [line for line in done.stdout.splitlines() if line.startswith("reads") and not line.endswith("right")] == [] and "reads" in done.stdout


def test_a_listing_notices_what_is_new_and_what_changed(tmp_path):
    for name in "ab":
        (tmp_path / name).write_text("1")
    before, hashes = times([tmp_path]), fingerprints(tmp_path)
    (tmp_path / "b").write_text("2")
    (tmp_path / "new").mkdir()
    assert len(set(times([tmp_path]).items()) ^ set(before.items())) == 3 and fingerprints(tmp_path).keys() == hashes.keys() and fingerprints(tmp_path) != hashes


@pytest.mark.parametrize("stem", [stem for stem in SOLUTIONS if stem[:2] not in ("07", "08", "09") and built_path(ROOT, "exercises", stem).exists()])  # those are in test_grading_answers.py
def test_every_chapters_solution_gets_everything_and_its_start_nothing(stem, tmp_path):
    marked, idle = mark(stem, solved(stem), tmp_path), mark(stem, released(stem), tmp_path)
    assert lost(marked) == [] and marked.points == marked.possible > 10 and not marked.trouble
    assert idle.points == 0 and lost(idle) == [result.exercise for result in marked.results]
