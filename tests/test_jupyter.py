"""Kernels that are interrupted, killed and run out of order: the next run gives what a peaceful one gives, and nothing is left behind. All lectures: benchmarks/jupyter_states.py."""
import os
import sys
import time
from types import SimpleNamespace

import nbformat
import pytest

from tests.live_kernel import LiveKernel, error_of
from tools.sources import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))
import jupyter_states

pytestmark = pytest.mark.skipif(os.name != "posix", reason="no such kill on this system")
TRAINING = """
import torch
from deepgen_lib import RBM, CDOptions, RBMTrainer, fit, fitting
fitting.CHECKPOINT_EVERY = 20
rng = torch.Generator().manual_seed(0)
data = torch.bernoulli(torch.full((60, 30), 0.5), generator=rng)
trainer = RBMTrainer(RBM(30, 20, rng=rng), CDOptions(persistent=True), data_mean=data.mean(0), rng=rng)
print("before", flush=True)
SLOW
result = fit(trainer, data, n_updates=200, batch_size=10, checkpoint="run.safetensors", rng=rng)
print(f"{result.n_updates} updates, {trainer.model.W.double().sum():.17g}")
"""
SLOWLY = "import time; update = trainer.update; trainer.update = lambda *given: (time.sleep(0.01), update(*given))"
SLIDER = """
import time
from deepgen_lib import explore, plots
def frame(power):
    if power in POWERS_THAT_TAKE_LONG:
        open("drawing", "w").close()
    time.sleep(POWERS_THAT_TAKE_LONG.get(power, 0))
    return plots.lines(range(4), {"y": [i ** power for i in range(4)]}, xlabel="x", ylabel="y")
POWERS_THAT_TAKE_LONG = {}
explorer = explore(frame, power=[1, 2, 3])
slider, image = explorer.widget().children
POWERS_THAT_TAKE_LONG[3] = 300
print(slider.model_id)
"""


def said(outputs) -> str:
    return "".join(output.get("text", "") for output in outputs)


@pytest.fixture
def peace(tmp_path) -> str:
    with LiveKernel(tmp_path / "peace") as kernel:
        return said(kernel.run(TRAINING.replace("SLOW", ""))).splitlines()[-1]


def test_a_training_that_is_interrupted_and_killed_ends_as_a_peaceful_one(peace, tmp_path):
    slow = TRAINING.replace("SLOW", SLOWLY)
    with LiveKernel(tmp_path / "troubled", TQDM_DISABLE="0") as kernel:  # with its progress bar
        kernel.run(TRAINING.split("fitting.")[0])  # what is imported is there
        checkpoint = kernel.folder / "run.safetensors"
        outputs = kernel.run(slow, interrupt_after=1.2)
        assert error_of(outputs) == "KeyboardInterrupt" and kernel.stale() in ([], [checkpoint.name])
        assert error_of(kernel.run("assert all(p.isfinite().all() for p in trainer.model.parameters())")) == ""
        while not checkpoint.exists():
            kernel.run(slow, interrupt_after=1.0)
        assert kernel.run(slow, kill_after=0.6) is None and set(kernel.stale()) <= {checkpoint.name, f"{checkpoint.name}.part"}
        kernel.restart()
        assert said(kernel.run(TRAINING.replace("SLOW", ""))).splitlines()[-1] == peace
        assert kernel.stale() == [checkpoint.name]


def test_a_slow_frame_is_interrupted_and_the_next_move_draws(tmp_path):
    with LiveKernel(tmp_path) as kernel:
        model = said(kernel.run(SLIDER)).strip()
        for index in (2, 1):
            state = {"method": "update", "state": {"index": index}, "buffer_paths": []}
            kernel.client.shell_channel.send(kernel.client.session.msg("comm_msg", {"comm_id": model, "data": state}))
            if index == 2:
                end = time.monotonic() + 120
                while not (tmp_path / "drawing").exists():
                    assert time.monotonic() < end
                    time.sleep(0.05)
                kernel.interrupt()
                assert said(kernel.run("print(image.value, slider.value)")).strip().endswith("interrupted: move the slider again.</pre> 3")
        assert said(kernel.run("print(explorer.values, explorer.picture is explorer.frame(power=2), image.value.startswith('<img'))")) == "{'power': 2} True True\n"


def test_the_start_page_keeps_its_numbers_whatever_is_done_to_its_kernel(tmp_path):
    found = jupyter_states.chapter(ROOT / "notebooks/00_start_here.ipynb", tmp_path, 1)
    assert found["stale"] == [] and set(found["same"]) >= {"killed", "twice", "back", "middle", "end"} and found["same"]["end"] >= found["cells"] - 1
    assert [event for event in found["events"] if event[2] == "silent" or event[2] == "said" and event[0] != "middle"] == []
    assert jupyter_states.faults({"00_start_here": found}) == []


CELLS = {"start": ("x = 1.0", ""), "shown": ("print(x)", "1.0\n"), "later": ("x = 2.0; print(x)", "2.0\n"), "more": ("total = globals().get('total', 0) + 1; print(total)", "1\n"),
         "file": ("open('left', 'w').close()", ""), "needs": ("print(y)", "3.0\n")}
STOPPED = {"start": ("import time; begun = 0", ""), "slow": ("begun += 1; time.sleep(1)", ""), "count": ("print(begun)", "1\n"), **{name: ("print(2)", "2\n") for name in ("a", "b", "c")}}


def planted(folder, cells) -> dict:
    """All laps of a notebook of these cells: name -> (source, what it prints)."""
    found = [nbformat.v4.new_code_cell(source, id=name, outputs=[nbformat.v4.new_output("stream", text=text)] if text else []) for name, (source, text) in cells.items()]
    nbformat.write(nbformat.v4.new_notebook(cells=found), folder / "planted.ipynb")
    return jupyter_states.chapter(folder / "planted.ipynb", folder / "folder", 1)


def test_what_stays_wrong_without_a_word_is_seen(tmp_path):
    found = planted(tmp_path, CELLS)
    odd = {(lap, cell, outcome) for lap, cell, outcome, _ in found["events"] if lap in ("twice", "back")}
    assert odd == {("twice", "more", "silent"), ("back", "more", "silent"), ("back", "shown", "silent"), ("twice", "needs", "said"), ("back", "needs", "said")}
    assert found["stale"] == ["left"]
    wrong = jupyter_states.faults({"planted": found})
    assert {line.split(":")[0] for line in wrong if ", cell needs" not in line} == {"planted, cell more (twice)", "planted, cell more (back)", "planted, cell shown (back)", "planted leaves left"}
    assert any(line.startswith("planted, cell needs (end)") for line in wrong), "restart and run all does not give what is committed"


def test_a_cell_that_goes_wrong_after_an_interrupt_is_seen(tmp_path, monkeypatch):
    monkeypatch.setattr(jupyter_states, "moment", lambda chance: 0.4)
    found = planted(tmp_path, STOPPED)
    assert [event[:3] for event in found["events"] if event[0] in ("interrupted", "beside")] == [["beside", "count", "silent"]]
    row = dict(zip(jupyter_states.COLUMNS, jupyter_states.row("planted", found)))
    assert row["interrupted and run again"] == "1 same" and row["the others of that lap"] == "4 same, 1 silent"
    assert any(line.startswith("planted, cell count (beside): ") for line in jupyter_states.faults({"planted": found}))
    assert "- planted, cell count (beside" in jupyter_states.notes({"planted": found})


@pytest.mark.parametrize(("number", "outcome"), [("1\n", "said"), ("2\n", "silent")])
def test_a_warning_is_a_word_where_the_rest_is_the_same(number, outcome):
    cell = nbformat.v4.new_code_cell("print(1)", id="one", outputs=[nbformat.v4.new_output("stream", text="1\n")])
    warning = nbformat.v4.new_output("stream", name="stderr", text="/a/place/site-packages/torch/library.py:505: UserWarning: only once")
    event = jupyter_states.judge("interrupted", cell, [nbformat.v4.new_output("stream", text=number), warning])
    assert event.outcome == outcome and "/a/place" not in event.detail


KNOWN = ("01_gibbs_bound", "guessing")  # has a reason


@pytest.mark.parametrize(("event", "stale", "status"), [
    (["twice", KNOWN[1], "silent", ""], [], 0), (["back", "start", "silent", ""], [], 1), (["after", "start", "silent", ""], [], 1), (["back", "start", "said", "NameError"], [], 0),
    (["end", KNOWN[1], "silent", ""], [], 1), (["killed", "start", "said", "NameError"], [], 1), (["end", "start", "meant", ""], [], 0),
    (["end", "start", "meant", ""], ["tmp/left"], 0), (["end", "start", "meant", ""], ["left"], 1)], ids=str)
def test_the_exit_status_is_one_where_something_is_wrong(event, stale, status, monkeypatch):
    found = {"cells": 1, "killed in": "none", "stale": stale, "same": {"end": 1}, "events": [event]}
    source = SimpleNamespace(stem=KNOWN[0], built=None)
    published = []
    for name, value in {"chapter": lambda *given: found, "find_sources": lambda kinds: [source], "publish": lambda *given, **named: published.append(named["notes"])}.items():
        monkeypatch.setattr(jupyter_states, name, value)
    monkeypatch.setattr(sys, "argv", ["jupyter_states.py"])
    with pytest.raises(SystemExit) as end:
        jupyter_states.main()
    assert end.value.code == status and ("FAILED" in published[0]) == bool(status)
