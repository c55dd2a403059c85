"""A crew: processes that each read their share of one log and answer once, beside the caller who reads one too.

Each is a child (`worker.py`, by `subprocess`, never fork). What it has to do comes as one line on its standard input,
which is then only held: at its end the caller is gone, and the worker ends too. It knows neither logs nor folds.
"""

from __future__ import annotations

import os
import select
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from types import TracebackType

from cmam.store.errors import StoreBroken

WORKERS_MAX = 8
"""More processes than this were never measured, and each takes memory."""
WORKER = "cmam.store.past.worker"
PROGRESS, ANSWER, FAILURE, DAMAGE = b"p", b"a", b"x", b"d"
"""What a message of a worker is: how many records it has read, what came out, why nothing did, or what of the log."""

_HEAD = struct.Struct(">cQ")
_READ_BYTES = 1 << 16

Progress = Callable[[int], None]
"""Told now and then how many records were read, by all together."""


class CrewFailed(Exception):
    """A worker could not be started, died, or has no answer; the caller reads everything alone then."""


def processors() -> int:
    """So many processes are worth having here: processors that this process may run on, up to a limit."""
    if hasattr(os, "process_cpu_count"):
        found = os.process_cpu_count()
    elif hasattr(os, "sched_getaffinity"):
        found = len(os.sched_getaffinity(0))
    else:
        found = os.cpu_count()
    return min(found or 1, WORKERS_MAX)


def message(kind: bytes, content: bytes) -> bytes:
    """One message of a worker, as it goes through its pipe."""
    return _HEAD.pack(kind, len(content)) + content


class _Worker:
    """One child, how many records it says it has read, and its answer once it is there."""

    def __init__(self, order: bytes) -> None:
        try:
            self.child = subprocess.Popen(
                [sys.executable, "-m", WORKER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                process_group=0,  # Ctrl-C is for the caller, who ends it
            )
        except OSError as error:
            raise CrewFailed(f"no process could be started ({error})") from error
        assert self.child.stdin is not None
        assert self.child.stdout is not None
        self.pipe = self.child.stdout.fileno()
        self.read = 0
        self.answer: bytes | None = None
        self._bytes = bytearray()
        try:
            self.child.stdin.write(order + b"\n")
            self.child.stdin.flush()
        except OSError as error:
            self.end()
            raise CrewFailed(f"a process ended before it was told its share ({error})") from error

    def hear(self) -> None:
        """Take what is in the pipe, or wait for it; raises CrewFailed, or StoreBroken where the log is."""
        found = os.read(self.pipe, _READ_BYTES)
        if not found:
            raise CrewFailed(f"a process ended without an answer (exit code {self.child.wait()})")
        self._bytes += found
        while len(self._bytes) >= _HEAD.size:
            kind, length = _HEAD.unpack_from(self._bytes)
            if len(self._bytes) < _HEAD.size + length:
                return
            content = bytes(self._bytes[_HEAD.size : _HEAD.size + length])
            del self._bytes[: _HEAD.size + length]
            if kind == FAILURE:
                raise CrewFailed(content.decode(errors="replace"))
            if kind == DAMAGE:
                raise StoreBroken(content.decode(errors="replace"))
            if kind == ANSWER:
                self.answer = content
                return
            self.read = int(content)

    def end(self) -> None:
        """End it, whatever it does, and leave nothing of it behind."""
        self.child.kill()
        for pipe in (self.child.stdin, self.child.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()
        self.child.wait()


class Crew(AbstractContextManager["Crew"]):
    """Some workers on the way. Leaving the block ends whoever is still at work."""

    def __init__(self, orders: Sequence[bytes], progress: Progress) -> None:
        self._progress = progress
        self._own = 0
        self._workers: list[_Worker] = []
        try:
            for order in orders:
                self._workers.append(_Worker(order))
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def __enter__(self) -> Crew:
        return self

    def tick(self, own: int) -> None:
        """What the caller does now and then while it reads: say how far it came, and hear how far the others are."""
        self._own = own
        self._hear(0)

    def answers(self) -> list[bytes]:
        """Wait for all answers, in the order of the shares."""
        while any(worker.answer is None for worker in self._workers):
            self._hear(None)
        return [worker.answer or b"" for worker in self._workers]

    def _hear(self, wait_s: float | None) -> None:
        waiting = [worker for worker in self._workers if worker.answer is None]
        poll = select.poll()  # has no limit of file numbers, as `select` does
        for worker in waiting:
            poll.register(worker.pipe, select.POLLIN)
        ready = {number for number, _ in poll.poll(None if wait_s is None else wait_s * 1_000)}
        for worker in waiting:
            if worker.pipe in ready:
                worker.hear()
        self._progress(self._own + sum(worker.read for worker in self._workers))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.end()
