"""pytest plugin for benchmarks/mutation.py: which test runs which line of deepgen_lib, and how long each test takes.

DEEPGEN_TRACE is the folder of the answer: coverage's data with one context a test, and one file of seconds a process.
"""
import json
import os
import time
from collections import Counter
from pathlib import Path

import coverage
import pytest


class Trace:
    def __init__(self):
        self.seconds, self.folder = Counter(), Path(os.environ["DEEPGEN_TRACE"])
        self.coverage = coverage.Coverage(data_file=str(self.folder / "lines"), data_suffix=True, source_pkgs=["deepgen_lib"], messages=False)
        self.coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        self.coverage.switch_context(item.nodeid)
        start = time.perf_counter()
        try:
            return (yield)
        finally:
            self.seconds[item.nodeid] += time.perf_counter() - start
            self.coverage.switch_context("")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self):
        self.coverage.stop()
        self.coverage.save()
        (self.folder / f"seconds-{os.getpid()}.json").write_text(json.dumps(self.seconds))


def pytest_configure(config):
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None):
        config.pluginmanager.register(Trace())
