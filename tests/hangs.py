"""What a run of tests says while it runs: which has failed, and where one hangs, which is then ended.

Whoever cuts a run short, as continuous integration does in the end, would otherwise see dots and no name.
"""

from __future__ import annotations

import faulthandler
import os
from collections.abc import Generator
from typing import TextIO

import pytest

HANGS_S = float(os.environ.get("TEST_HANGS_S", "900"))
"""A test that takes so long hangs: all that it waits for has a limit of its own, and all of those together are less."""

TERMINAL = pytest.StashKey[TextIO]()


def pytest_configure(config: pytest.Config) -> None:
    """Keep a way to the terminal that no test's capture takes."""
    config.stash[TERMINAL] = os.fdopen(os.dup(2), "w")
    if "PYTEST_XDIST_WORKER" not in os.environ:
        config.pluginmanager.register(Names(config))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Let go of it."""
    config.stash[TERMINAL].close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Print where every thread is when a test hangs, and end its process: xdist then names it, and goes on without."""
    faulthandler.dump_traceback_later(HANGS_S, exit=True, file=item.config.stash[TERMINAL])
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


class Names:
    """Says what fails when it fails; the terminal says it at the end, to which a run may never come."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Name it, with the last line of why."""
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if report.failed and terminal is not None:
            why = report.longreprtext.strip().splitlines() or [""]
            terminal.write_line(f"\nnow failed: {report.nodeid} ({report.when}): {why[-1]}")
