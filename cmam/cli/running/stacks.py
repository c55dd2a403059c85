"""Where every thread is, for whoever asks a process that seems to hang; asking it does nothing else to it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from types import FrameType


def write_stacks(descriptor: int) -> None:
    """Write the stack of every thread; to be called by a handler of a signal, which Python runs in the main thread.

    It runs between two steps of Python, so no other thread moves while the stacks are looked at: what looks at them at
    any moment, as faulthandler does by itself, reads memory that another thread has just given back, and the process
    dies of it. Nothing of the file's own is used either: the main thread may be in the middle of writing to it. Where
    nothing can be written, as into a pipe that nobody reads or on a full disk, whoever asked has nothing: an error
    would come out of what the main thread does at that moment, and end the process.
    """
    rest = "".join(f"{line}\n" for line in _lines()).encode(errors="backslashreplace")
    with suppress(OSError):
        while rest:
            rest = rest[os.write(descriptor, rest) :]


def _lines() -> Iterator[str]:
    for number, frame in sys._current_frames().items():  # there is no other way to ask
        yield f"Thread {number:#018x} (most recent call first):"
        yield from map(_line, _up(frame))
        yield ""


def _up(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _line(frame: FrameType) -> str:
    return f'  File "{frame.f_code.co_filename}", line {frame.f_lineno or 0} in {frame.f_code.co_name}'
