"""How a command ends: its exit codes, and the one sentence of a failure."""

from __future__ import annotations

from enum import IntEnum
from typing import NoReturn


class Exit(IntEnum):
    """What a script learns from a command."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    UNREACHABLE = 3
    HELD = 4


class Last(int):
    """The exit code of a command that leaves nothing to be done: the console script ends with it at once.

    A Python process takes apart all it has before it is gone: whoever starts the next one would wait for that.
    """


class Failure(Exception):
    """A command that did not do what it was asked: one sentence, and which of the exit codes it is."""

    def __init__(self, sentence: str, code: int = Exit.REFUSED) -> None:
        super().__init__(sentence)
        self.code = int(code)


def fail(sentence: str, code: int = Exit.REFUSED) -> NoReturn:
    """End the command with a sentence and an exit code."""
    raise Failure(sentence, code)
