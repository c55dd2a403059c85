"""The one timer: a heap of moments, each with a message for an actor. Its only output is `tell`.

Times are monotonic microseconds, so that a clock that is set cannot stop a heartbeat.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from typing import Protocol

from cmam.actors.threads.runtime import Directory
from cmam.clock import Clock


class Timer(Protocol):
    """Who reminds actors."""

    def after(self, span_us: int, name: str, message: object) -> None:
        """Tell `message` to the actor `name` once `span_us` microseconds have passed."""
        ...


class ThreadTimer:
    """A timer with a thread of its own."""

    def __init__(self, clock: Clock, directory: Directory) -> None:
        self._clock = clock
        self._directory = directory
        self._heap: list[tuple[int, int, str, object]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="timer", daemon=True)

    def start(self) -> None:
        """Begin to keep time."""
        self._thread.start()

    def stop(self) -> None:
        """Keep no more time; what was not due is forgotten."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        if self._thread.ident is not None:  # else it never began: a start may fail before
            self._thread.join()

    def after(self, span_us: int, name: str, message: object) -> None:
        moment = self._clock.monotonic() + max(0, span_us)
        with self._changed:
            heapq.heappush(self._heap, (moment, next(self._numbers), name, message))
            if self._heap[0][0] == moment:
                self._changed.notify()

    def _run(self) -> None:
        """Runs in the timer's thread."""
        while True:
            with self._changed:
                while not self._stopped:
                    wait_us = self._heap[0][0] - self._clock.monotonic() if self._heap else None
                    if wait_us is not None and wait_us <= 0:
                        break
                    self._changed.wait(None if wait_us is None else wait_us / 1e6)
                if self._stopped:
                    return
                _, _, name, message = heapq.heappop(self._heap)
            self._directory.tell(name, message)
