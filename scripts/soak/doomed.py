"""Run cmam so that it kills itself at one named gap of a copy: `python scripts/soak/doomed.py GAP N -- start --plain`.

The gaps are those of the architecture page: a message between two actors is the moment between two steps, and the n-th
of its kind is the last thing that this process sees. Nothing of this is in cmam itself.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable

from cmam.actors import messages as m
from cmam.actors.runtime import Directory
from cmam.cli.main import main
from cmam.domain.events import ExecutionSeen, IntentRecorded, IntentSettled
from cmam.domain.trades import ExecutionKind


def _is_seen(kind: ExecutionKind) -> Callable[[str, object], bool]:
    def matches(name: str, message: object) -> bool:
        is_report = name.startswith("account:") and isinstance(message, m.Reported)
        return is_report and isinstance(message.fact, ExecutionSeen) and message.fact.kind is kind  # type: ignore[attr-defined]

    return matches


def _appends(event: type) -> Callable[[str, object], bool]:
    def matches(_: str, message: object) -> bool:
        return isinstance(message, m.Append) and any(isinstance(fact.event, event) for fact in message.facts)

    return matches


def _is(kind: type) -> Callable[[str, object], bool]:
    return lambda _, message: isinstance(message, kind)


GAPS: dict[str, Callable[[str, object], bool]] = {
    "decoded": _is_seen(ExecutionKind.ORDER_FILLED),
    "told": _is(m.LeaderChanged),
    "decided": _appends(IntentRecorded),
    "committed": _is(m.Submit),
    "let-go": _is(m.Write),
    "written": _is(m.Written),
    "accepted": _is_seen(ExecutionKind.ORDER_ACCEPTED),
    "settled": _appends(IntentSettled),
}
"""Each gap and the message that is never delivered there: after the step before it, before the step it would begin."""


def arm(gap: str, number: int) -> None:
    """End this process by SIGKILL instead of delivering the n-th message of a gap."""
    left, matches, tell = number, GAPS[gap], Directory.tell

    def doomed(self: Directory, name: str, message: object) -> bool:
        nonlocal left
        if matches(name, message):
            left -= 1
            if left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return tell(self, name, message)

    Directory.tell = doomed  # type: ignore[method-assign]


if __name__ == "__main__":
    arm(sys.argv[1], int(sys.argv[2]))
    sys.argv = ["cmam", *sys.argv[sys.argv.index("--") + 1 :]]
    main()
