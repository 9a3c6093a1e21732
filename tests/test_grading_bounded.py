"""Limits on the grader's own work: time over is said until it is heard and never afterwards, memory is given back, an endless answer costs its exercise alone."""
import gc
import sys
import time

import pytest
import torch

from grading import score
from grading.bounded import bounded
from tests.grading_class import cell_of, lost, mark, result_of, solved


class Late(BaseException):
    pass


def forever():
    while True:
        pass


def test_work_that_takes_too_long_is_left_and_what_comes_after_is_not():
    with pytest.raises(Late):
        bounded(forever, seconds=0.2, memory_mb=4096, late=Late)
    for _ in range(200):  # rings close to the end of the work: never afterwards
        try:
            bounded(lambda: sum(range(20_000)), seconds=0.001, memory_mb=4096, late=Late)
        except Late:
            pass
    time.sleep(0.05)


def test_a_ring_that_falls_on_deaf_ears_is_repeated_until_the_end_and_no_longer(monkeypatch):
    """Python drops what is raised in a callback of its garbage collector, for one."""
    monkeypatch.setattr("grading.bounded._AGAIN", 0.05)
    heard, end = [], time.monotonic() + 30

    def deaf():
        while len(heard) < 3 and time.monotonic() < end:
            try:
                while time.monotonic() < end:
                    pass
            except Late:
                heard.append(True)
        return "done"
    assert bounded(deaf, seconds=0.05, memory_mb=4096, late=Late) == "done" and len(heard) == 3
    end = time.monotonic() + 0.3
    while time.monotonic() < end:
        pass


def test_what_python_ignores_is_rung_again_without_a_report_and_other_reports_stay(monkeypatch):
    """In a callback of the garbage collector, which may be anybody's: Hypothesis has one."""
    monkeypatch.setattr("grading.bounded._AGAIN", 0.05)
    reported, asked, end = [], [], time.monotonic() + 30
    monkeypatch.setattr(sys, "unraisablehook", reported.append)

    def deaf(phase, info):
        if not asked:
            asked.append(phase)
            forever()

    class Careless:
        def __del__(self):
            raise ValueError("nobody hears this")

    def work():
        gc.collect()
        Careless()
        while time.monotonic() < end:
            pass
    gc.callbacks.append(deaf)
    try:
        with pytest.raises(Late):
            bounded(work, seconds=0.05, memory_mb=4096, late=Late)
    finally:
        gc.callbacks.remove(deaf)
    assert asked and [report.exc_type for report in reported] == [ValueError] and sys.unraisablehook == reported.append


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is limited on Linux alone")
def test_work_that_takes_too_much_memory_fails_and_the_limit_goes_with_it():
    import resource
    before = resource.getrlimit(resource.RLIMIT_AS)
    with pytest.raises((MemoryError, RuntimeError)):
        bounded(lambda: bounded(lambda: torch.zeros(10**9), seconds=60, memory_mb=10**6, late=Late), seconds=60, memory_mb=512, late=Late)
    assert resource.getrlimit(resource.RLIMIT_AS) == before


def test_an_answer_that_is_endless_to_compare_costs_its_exercise_alone(tmp_path, monkeypatch):
    """A design with ten million cells, which the grader would have to build."""
    monkeypatch.setattr(score, "_COMPARING", (0.0, 4096))  # no time beyond the answer's own
    notebook = solved("11_nvae_architecture")
    cell_of(notebook, "ex-11-7").source = 'design = {"groups": (4, 6, 10), "n_down": 1, "n_latent": 4, "width": 8, "cells": 10**7}'
    marked = mark("11_nvae_architecture", notebook, tmp_path)
    assert "too long to compare" in result_of(marked, "11.7").feedback and set(lost(marked)) <= {"11.7", "11.4"}
