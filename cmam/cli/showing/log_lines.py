"""The log lines of a running system and what it says to a person, on their way out: never in the way of trading.

One thread writes them, to a terminal, a pipe or a file that may be slow, full, or read by nobody. Until it comes round
they wait, so many at most; what comes then is counted instead, and the count is said in its place. A pipe that nobody
reads holds up neither trading nor the end of the process.
"""

from __future__ import annotations

import logging
import logging.handlers
import queue
from contextlib import suppress
from typing import Any

from cmam.cli.face.talk import counted, say

LINES_MAX = 10_000
"""So many lines wait at most, some 10 MB: a start with thousands of accounts says less, an unread pipe any number."""
END_S = 2.0
"""How long the end waits for lines to be written, once nothing trades any more. After half of it what was logged gives
way to what is said to a person: a reader who is only slow learns what is left open."""


def _record(text: str) -> logging.LogRecord:
    return logging.LogRecord("cmam", logging.WARNING, __file__, 0, text, None, None)


class _Gap(logging.LogRecord):
    """The line that stands where so many are missing."""

    def __init__(self, count: int) -> None:
        text = f"! {counted(count, 'log line')} dropped here: nobody read them in time"
        super().__init__("cmam", logging.WARNING, __file__, 0, text, None, None)
        self.count = count


class _Source(logging.handlers.QueueHandler):
    """Takes lines from whoever logs, who never waits. Called under the handler's lock, in the caller's thread."""

    def __init__(self, lines: queue.SimpleQueue[Any]) -> None:
        super().__init__(lines)
        self._lines = lines
        self._dropped = 0

    def enqueue(self, record: Any) -> None:
        if self._lines.qsize() >= LINES_MAX:
            self._dropped += 1
        else:
            self.put(record)

    def put(self, *what: Any) -> None:
        """Let something be written whatever waits, and before it in its place how much is missing."""
        count, self._dropped = self._dropped, 0
        if count:
            self._lines.put(_Gap(count))
        for one in what:
            self._lines.put(one)


class _Writer(logging.handlers.QueueListener):
    """Writes what waits, in its own thread."""

    def __init__(self, lines: queue.SimpleQueue[Any], handler: logging.Handler) -> None:
        super().__init__(lines, handler)
        self._lines = lines
        self._lost = 0
        # Else each goes to stderr with its stack, over the live screen.
        handler.handleError = self._lose  # type: ignore[assignment, method-assign]  # logging's own hook, of any handler

    def handle(self, record: Any) -> None:
        if isinstance(record, str):
            say(record)
            return
        lost, self._lost = self._lost, 0
        if lost:
            super().handle(_record(f"! {counted(lost, 'log line')} could not be written"))
        super().handle(record)
        if lost and self._lost:
            self._lost += lost - 1  # the line that tells of them was lost itself

    def _lose(self, _record: logging.LogRecord) -> None:
        """The file's disk is full, or whoever read the pipe has gone: told once a line goes through again."""
        self._lost += 1

    def end(self, timeout_s: float) -> bool:
        """Let what waits be written, for so long at most, and the last half of it only what is said; whether it was."""
        thread = self._thread
        if thread is None:
            return True
        self.enqueue_sentinel()
        thread.join(timeout_s / 2)
        if thread.is_alive():
            self._skip_to_what_is_said()
            self.enqueue_sentinel()
            thread.join(timeout_s / 2)
        return not thread.is_alive()

    def _skip_to_what_is_said(self) -> None:
        waiting: list[Any] = []
        with suppress(queue.Empty):
            while True:
                waiting.append(self._lines.get_nowait())
        if count := sum(one.count if isinstance(one, _Gap) else isinstance(one, logging.LogRecord) for one in waiting):
            self._lines.put(_Gap(count))
        for text in waiting:
            if isinstance(text, str):
                self._lines.put(text)


class LogLines:
    """The lines of one run, from its start to its end."""

    def __init__(self, handler: logging.Handler, level: int) -> None:
        self._handler = handler
        self._root = logging.getLogger("cmam")
        self._root.setLevel(level)
        lines: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._source = _Source(lines)
        self._writer = _Writer(lines, handler)
        self._root.addHandler(self._source)
        self._writer.start()

    def say(self, text: str) -> None:
        """Talk to the person, behind the lines that came before."""
        self._source.acquire()
        try:
            self._source.put(text)
        finally:
            self._source.release()

    def end(self) -> bool:
        """Write what still waits, as far as somebody takes it; whether all of it went.

        Where it did not, the thread that writes holds what the end of a Python process waits for.
        """
        self._root.removeHandler(self._source)
        self._source.put()
        is_through = self._writer.end(END_S)
        if is_through:
            with suppress(OSError):
                self._handler.close()
        return is_through
