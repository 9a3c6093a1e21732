"""pytest plugin: with DEEPGEN_STRICT_SKIPS set, a skip that is not in tests/allowed_skips.txt fails the run.

A line of that file is `NODE | REASON`: the test's id without parameters (or the id of a file that skips as a whole), and words that the
reason given by the skip must contain. So a test that may skip for want of a GPU may not skip because an import fails.
"""
from __future__ import annotations

import os
from pathlib import Path

import pytest

ALLOWED = Path(__file__).resolve().parents[1] / "tests" / "allowed_skips.txt"


def pytest_configure(config: pytest.Config) -> None:
    if os.environ.get("DEEPGEN_STRICT_SKIPS") and not hasattr(config, "workerinput"):  # xdist's workers report to the controller
        config.pluginmanager.register(SkipGuard(read_allowed(ALLOWED.read_text(encoding="utf-8"))), "deepgen-skip-guard")


class SkipGuard:
    def __init__(self, allowed: list[tuple[str, str]]):
        self.allowed = allowed
        self.unexpected: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.see(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self.see(report)

    def see(self, report) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            if not is_allowed(report.nodeid, reason, self.allowed):
                self.unexpected[report.nodeid] = reason

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.unexpected and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter) -> None:
        if self.unexpected:
            terminalreporter.section("skips that tests/allowed_skips.txt does not allow", red=True)
            for node, reason in self.unexpected.items():
                terminalreporter.line(f"{node} | {reason}")


def read_allowed(text: str) -> list[tuple[str, str]]:
    """The lines of allowed_skips.txt, without comments."""
    allowed = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not line.startswith("#"):
            node, bar, reason = (part.strip() for part in line.partition("|"))
            if not (node and reason):
                raise ValueError(f"allowed_skips.txt, line {number}: {line!r} is not NODE | REASON")
            allowed.append((node, reason))
    return allowed


def is_allowed(nodeid: str, reason: str, allowed: list[tuple[str, str]]) -> bool:
    return any(nodeid.partition("[")[0] == node and words in reason for node, words in allowed)
