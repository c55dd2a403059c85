"""Log lines never wait for whoever reads them, and never without bound; the end of a process does not either."""

from __future__ import annotations

import io
import logging
import os
import queue
import subprocess
import sys
from collections.abc import Iterator

import pytest

from cmam.cli.showing import log_lines
from cmam.cli.showing.log_lines import LogLines
from tests.waiting import PATIENCE_S

log = logging.getLogger("cmam.test")


class Gate(logging.StreamHandler[io.StringIO]):
    """Writes into memory, once it may; tells when it has begun."""

    def __init__(self) -> None:
        super().__init__(io.StringIO())
        self.begun: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.opened: queue.SimpleQueue[None] = queue.SimpleQueue()

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage() == "stuck":
            self.begun.put(None)
            self.opened.get(timeout=PATIENCE_S)
        super().emit(record)

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """Room for three lines."""
    monkeypatch.setattr(log_lines, "LINES_MAX", 3)
    level = logging.getLogger("cmam").level
    yield Gate()
    logging.getLogger("cmam").setLevel(level)


def test_lines_that_nobody_reads_are_counted_and_the_count_stands_in_their_place(gate: Gate) -> None:
    """The oldest tell how it began, so they stay; what comes after the gap follows it."""
    lines = LogLines(gate, logging.INFO)
    log.warning("stuck")
    gate.begun.get(timeout=PATIENCE_S)
    for number in range(10):
        log.warning("%d", number)
    gate.opened.put(None)
    while len(gate.lines) < 4:
        os.sched_yield()
    log.warning("after")
    assert lines.end()
    assert gate.lines == ["stuck", "0", "1", "2", "! 7 log lines dropped here: nobody read them in time", "after"]


def test_lines_dropped_last_are_told_at_the_end(gate: Gate) -> None:
    """Nothing has to be logged any more for it."""
    lines = LogLines(gate, logging.INFO)
    log.warning("stuck")
    gate.begun.get(timeout=PATIENCE_S)
    for number in range(5):
        log.warning("%d", number)
    gate.opened.put(None)
    assert lines.end()
    assert gate.lines[-1] == "! 2 log lines dropped here: nobody read them in time"


def test_an_end_does_not_wait_for_a_reader_that_never_comes(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so instead: whoever ends the process has to end it without its help."""
    monkeypatch.setattr(log_lines, "END_S", 0.0)
    lines = LogLines(gate, logging.INFO)
    log.warning("stuck")
    gate.begun.get(timeout=PATIENCE_S)
    assert not lines.end()
    gate.opened.put(None)


def test_a_slow_reader_is_told_at_the_end_what_is_left_open(
    gate: Gate, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was logged gives way to it, and is counted, with what had been dropped before."""
    monkeypatch.setattr(log_lines, "END_S", 60.0)
    lines = LogLines(gate, logging.INFO)
    log.warning("stuck")
    gate.begun.get(timeout=PATIENCE_S)
    for number in range(5):
        log.warning("%d", number)
    lines.say("Left open: 1 position.")
    thread = lines._writer._thread
    assert thread is not None
    join, waits = thread.join, list[float | None]()

    def joined(timeout: float | None = None) -> None:
        waits.append(timeout)
        if len(waits) == 2:  # so long the reader took nothing; then he goes on
            gate.opened.put(None)
            join(timeout)

    monkeypatch.setattr(thread, "join", joined)
    assert lines.end()
    assert waits == [30.0, 30.0]
    assert gate.lines == ["stuck", "! 5 log lines dropped here: nobody read them in time"]
    assert capfd.readouterr().err == "Left open: 1 position.\n"


def test_a_line_that_cannot_be_written_is_counted(gate: Gate, capfd: pytest.CaptureFixture[str]) -> None:
    """As with a full disk under `start.log`: its stack would be drawn over the live screen, line by line."""
    full = True

    def write(text: str) -> int:
        if full:
            raise OSError(28, "No space left on device")
        return io.StringIO.write(gate.stream, text)

    gate.stream.write = write
    lines = LogLines(gate, logging.INFO)
    log.warning("a")
    log.warning("b")
    log.warning("stuck")
    gate.begun.get(timeout=PATIENCE_S)
    full = False
    gate.opened.put(None)
    log.warning("c")
    assert lines.end()
    assert gate.lines == ["stuck", "! 2 log lines could not be written", "c"]
    assert capfd.readouterr().err == ""


_TALKER = """
import logging, os, sys
from cmam.cli.showing.log_lines import LogLines
from tests.waiting import PATIENCE_S
lines = LogLines(logging.StreamHandler(sys.stderr), logging.INFO)
for number in range(40_000):
    logging.getLogger("cmam.x").warning("%d %s", number, "x" * 200)
print("through", flush=True)
lines.say("Ended in order.")
sys.stdin.readline()
if not lines.end():
    os._exit(7)
"""


def test_a_process_with_a_pipe_that_nobody_reads_goes_on_and_ends() -> None:
    """Eight megabytes into a pipe of 64 kB: neither the one who logs nor the end of the process waits for it."""
    words = [sys.executable, "-c", _TALKER]
    read, write = os.pipe()
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=write, text=True) as child:
        os.close(write)
        assert child.stdout is not None
        assert child.stdout.readline() == "through\n"
        child.communicate("\n", timeout=PATIENCE_S)
        assert child.returncode == 7
    os.close(read)
