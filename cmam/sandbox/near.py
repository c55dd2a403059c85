"""A name that is none: the names most like it, and where all of them are to be found."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

NAMES_SHOWN = 3
"""Most names that are held out to somebody who mistyped one: dozens in one line are read by nobody."""

ALL_FAULTS = "`cmam sandbox fault list` shows all"
ALL_SWITCHES = "docs/sandbox.md has all, under Switches"


def no_such(kind: str, found: str, known: Iterable[str], everything: str) -> str:
    """What to say of a name that is not among those known: which was meant, most likely, and what shows all."""
    near = difflib.get_close_matches(found.lower(), list(known), n=NAMES_SHOWN, cutoff=0.5)
    like = f" such as {', '.join(near)}" if near else ""
    return f"expected a {kind}{like}; found {found!r}: {everything}"
