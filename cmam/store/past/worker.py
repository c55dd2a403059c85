"""One of a crew (`crew.py`): reads its share of a log in a process of its own, says how far it came, answers, and ends.

It opens the log for reading, up to the record that its caller fixed, and never writes. When its standard input ends its
caller is gone: nobody waits for the answer, and it ends in the middle of a page.
"""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Sequence

from cmam.store.errors import StoreError
from cmam.store.past.crew import ANSWER, DAMAGE, FAILURE, PROGRESS, message
from cmam.store.past.jobs import NoAnswer, Order, answer_to


class _CallerGone(Exception):
    """Nobody holds our standard input any more."""


def main(_arguments: Sequence[str] | None = None) -> int:
    """Do what the first line of standard input says; what comes out goes to standard output, in messages."""
    out = os.dup(1)
    os.dup2(2, 1)  # whatever else is printed must not stand between messages
    order = Order.read(sys.stdin.buffer.readline())

    def tick(read: int) -> None:
        if select.select([0], [], [], 0)[0]:
            raise _CallerGone
        _write(out, message(PROGRESS, str(read).encode()))

    try:
        _write(out, message(ANSWER, answer_to(order, tick)))
    except (_CallerGone, BrokenPipeError):
        return 1
    except StoreError as error:
        _write(out, message(DAMAGE, str(error).encode()))
        return 1
    except (NoAnswer, MemoryError) as error:
        _write(out, message(FAILURE, (str(error) or "memory ran out").encode()))
        return 1
    return 0


def _write(out: int, content: bytes) -> None:
    while content:
        content = content[os.write(out, content) :]


if __name__ == "__main__":
    sys.exit(main())
