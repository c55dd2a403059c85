"""A file of faults with their times, so that a bad day can be repeated: read and checked before anything listens.

    # seconds since the start, the fault, its arguments
    10    reject code=NO_QUOTES count=3
    25    maintenance seconds=30
    60    restart down_s=5
    90    delay ms=500
    120   delay --off

Times of 0 are in force before the first client. Knows which faults there are, not what they do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

from cmam.sandbox.faults import INCIDENTS, KINDS, Faults
from cmam.sandbox.near import ALL_FAULTS, no_such
from cmam.sandbox.serving.options import SetUpFault
from cmam.sandbox.serving.setup import read_text
from cmam.sandbox.wire.line_faults import LINE_FAULTS, LineFaults

OFF = "--off"


@dataclass(frozen=True, slots=True)
class Scheduled:
    """One line of the file; without arguments the fault is switched off."""

    at_s: float
    name: str
    arguments: Mapping[str, str] | None


def read_schedule(path: Path) -> list[Scheduled]:
    """Read a file of faults, in the order of their times; raises SetUpFault naming the line."""
    scheduled = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        words = line.split("#", 1)[0].split()
        if not words:
            continue
        try:
            scheduled.append(_read(words))
        except ValueError as fault:
            raise SetUpFault(f"{path}, line {number}: {fault}") from None
    if not scheduled:
        raise SetUpFault(f"{path}: expected at least one fault, SECONDS NAME KEY=VALUE… on a line, found none")
    return sorted(scheduled, key=lambda one: one.at_s)


def _read(words: list[str]) -> Scheduled:
    try:
        at_s = Decimal(words[0])
        if not at_s.is_finite() or at_s < 0:
            raise InvalidOperation
    except InvalidOperation:
        raise ValueError(f"expected seconds since the start, found {words[0]!r}") from None
    known = (*KINDS, *INCIDENTS, *LINE_FAULTS)
    if len(words) < 2 or words[1] not in known:
        raise ValueError(no_such("fault", "".join(words[1:2]), known, ALL_FAULTS))
    name, rest = words[1], words[2:]
    if rest == [OFF]:
        return Scheduled(float(at_s), name, None)
    arguments = {}
    for word in rest:
        key, equals, value = word.partition("=")
        if not equals:
            raise ValueError(f"expected KEY=VALUE or {OFF}, found {word!r}")
        arguments[key] = value
    _check(name, arguments)
    return Scheduled(float(at_s), name, arguments)


def _check(name: str, arguments: Mapping[str, str]) -> None:
    """Try the arguments where they change nothing; raises ValueError."""
    if name in KINDS:
        Faults().set(name, arguments)
    elif name in LINE_FAULTS:
        LineFaults().set(name, arguments)
    else:
        allowed = INCIDENTS[name].arguments
        unknown = [key for key in arguments if key not in allowed]
        missing = [key for key, default in allowed.items() if default == "" and key not in arguments]
        if unknown or missing:
            raise ValueError(
                f"expected {name} to be given {', '.join(allowed)}; found {', '.join(arguments) or 'nothing'}"
            )
