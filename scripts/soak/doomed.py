"""Run cmam so that somebody dies at a named gap of a copy: `python scripts/soak/doomed.py ORDERS -- start --plain`.

The gaps are those of the architecture page: a message between two actors is the moment between two steps, and the n-th
of its kind is the last thing that this process sees. `ORDERS` is a file that may come at any time and says which gap,
which message and whose end: this process's, the broker's, or both. Nothing of this is in cmam itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from cmam.actors import messages as m
from cmam.actors.threads.runtime import Directory
from cmam.cli.main import main
from cmam.domain.events import ExecutionSeen, IntentRecorded, IntentSettled
from cmam.domain.values.trades import ExecutionKind

ME = 0
"""Stands for this process among the victims; the others are named by their process id."""


def _is_seen(kind: ExecutionKind) -> Callable[[str, object], bool]:
    def matches(name: str, message: object) -> bool:
        fact = message.fact if isinstance(message, m.Reported) else None
        return name.startswith("account:") and isinstance(fact, ExecutionSeen) and fact.kind is kind

    return matches


def _appends(event: type) -> Callable[[str, object], bool]:
    def matches(_: str, message: object) -> bool:
        return isinstance(message, m.Append) and any(isinstance(fact.event, event) for fact in message.facts)

    return matches


def _is(kind: type) -> Callable[[str, object], bool]:
    return lambda _, message: isinstance(message, kind)


GAPS: Mapping[str, Callable[[str, object], bool]] = {
    "decoded": _is_seen(ExecutionKind.ORDER_FILLED),
    "told": _is(m.LeaderChanged),
    "decided": _appends(IntentRecorded),
    "committed": _is(m.Committed),
    "let-go": _is(m.Write),
    "written": _is(m.Written),
    "accepted": _is_seen(ExecutionKind.ORDER_ACCEPTED),
    "settled": _appends(IntentSettled),
}
"""Each gap and the message that is never delivered there: after the step before it, before the step it would begin."""


def give(orders: Path, gap: str, number: int, victims: Sequence[int]) -> None:
    """Have the victims die at the n-th message of a gap from now on."""
    fresh = orders.with_suffix(".new")
    fresh.write_text(json.dumps({"gap": gap, "number": number, "victims": list(victims)}))
    fresh.replace(orders)


class Doom:
    """What this process has been ordered to do, read again whenever the file is another one."""

    def __init__(self, orders: Path) -> None:
        self._orders = orders
        self._read: tuple[int, int] | None = None
        self._gap = ""
        self._left = 0
        self._victims: tuple[int, ...] = ()

    def strikes(self, name: str, message: object) -> bool:
        """Whether this message is the one that is never delivered."""
        try:
            stat = self._orders.stat()
        except FileNotFoundError:
            self._gap = ""
            return False
        if (stat.st_ino, stat.st_mtime_ns) != self._read:
            with contextlib.suppress(OSError):
                given = json.loads(self._orders.read_text())
                self._gap, self._left, self._victims = given["gap"], given["number"], tuple(given["victims"])
                self._read = (stat.st_ino, stat.st_mtime_ns)
        if not self._gap or not GAPS[self._gap](name, message):
            return False
        left = self._left = self._left - 1
        return left == 0

    def strike(self) -> None:
        """End the others, then ourselves."""
        for victim in sorted(self._victims, reverse=True):
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim if victim != ME else os.getpid(), signal.SIGKILL)


def arm(orders: Path) -> None:
    """Look at every message between actors; at the one that was named, somebody dies."""
    doom, tell = Doom(orders), Directory.tell

    def doomed(self: Directory, name: str, message: object) -> bool:
        if doom.strikes(name, message):
            doom.strike()
        return tell(self, name, message)

    Directory.tell = doomed  # type: ignore[method-assign]  # of this process, which dies of it


if __name__ == "__main__":
    arm(Path(sys.argv[1]))
    sys.argv = ["cmam", *sys.argv[sys.argv.index("--") + 1 :]]
    main()
