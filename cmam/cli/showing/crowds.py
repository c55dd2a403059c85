"""Which rows of many a low window shows, and what the others come to: what needs eyes first, one of each kind before a
second of any.

From a document to rows by their places. Must not know how they are drawn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cmam.cli.face.talk import counted
from cmam.cli.showing.alike import ALIKE_MAX

FINE = frozenset({"reconciled", "running", "stopped"})
"""States of an account or a link that need nobody."""
NEEDS_EYES, COPIES_NOTHING, FIRST, LAST = range(4)
"""How soon a row is to be seen; `FIRST` is a leader, or the first row of a profile."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row as it is chosen by: how soon it is to be seen, what it is like, and its state."""

    rank: int
    kind: Hashable
    state: str
    copies: int = 0
    positions: int = 0
    idle: str = ""
    """Why a link that has copied nothing has skipped what it was told."""

    @property
    def needs_eyes(self) -> bool:
        """Whether a person should look."""
        return self.rank == NEEDS_EYES or bool(self.idle)


def chosen(rows: Sequence[Row], room: int) -> list[int]:
    """The places of the rows that a room has, by rank; of one rank the first of each kind come before a second.

    Of those that have copied nothing for the same reason a few are enough: the others come with the rest.
    """
    if len(rows) <= room:
        return list(range(len(rows)))
    before: Counter[Hashable] = Counter()
    order = []
    for place, row in enumerate(rows):
        is_enough = row.rank == COPIES_NOTHING and before[row.kind] >= ALIKE_MAX
        order.append((LAST if is_enough else row.rank, before[row.kind], place))
        before[row.kind] += 1
    return sorted(place for *_, place in sorted(order)[:room])


def shared(wanted: Sequence[int], needs: Sequence[int], room: int) -> list[int]:
    """A room among tables that want so many rows each: what needs eyes before the rest, no table more than it wants."""
    found = _evenly(needs, room)
    more = _evenly([want - has for want, has in zip(wanted, found, strict=True)], room - sum(found))
    return [has + another for has, another in zip(found, more, strict=True)]


def _evenly(wanted: Sequence[int], room: int) -> list[int]:
    """As much for each as for any other, and what one does not want for those that do."""
    found = [0] * len(wanted)
    for place in sorted(range(len(wanted)), key=lambda one: wanted[one]):
        left = len(wanted) - sum(found[one] > 0 or wanted[one] == 0 for one in range(len(wanted)))
        found[place] = min(wanted[place], max(0, room - sum(found)) // max(1, left))
    return found


def rows_of_accounts(document: Mapping[str, Any], silent: Sequence[bool]) -> list[Row]:
    """Each account in its place: who is not ready, paused or silent first, then who leads, then who holds something."""
    leaders = {profile["leader"] for profile in document.get("profiles", ())}
    rows = []
    for found, is_silent in zip(document["accounts"], silent, strict=True):
        health, paused = str(found["health"]), bool(found.get("paused"))
        holds = bool(found.get("copies") or found.get("positions"))
        if health not in FINE or paused or is_silent:
            rank = NEEDS_EYES
        else:
            rank = FIRST if found["ctid"] in leaders else LAST if holds else LAST + 1
        state = "paused" if paused and health in FINE else "silent" if is_silent and health in FINE else health
        kind = (state, str(found.get("reason") or ""))
        rows.append(Row(rank, kind, state, int(found.get("copies") or 0), int(found.get("positions") or 0)))
    return rows


def row_of_link(link: Mapping[str, Any], state: str, *, is_first: bool) -> Row:
    """One link: ranked first if it may open nothing, then if it has copied nothing, then if its profile has no other
    row before it."""
    opens = link.get("opens") or {}
    idle = str(opens["last_skip"]["reason"]) if opens.get("skipped") and not opens["copied"] else ""
    idle = idle if state == "running" else ""
    rank = NEEDS_EYES if state not in FINE else COPIES_NOTHING if idle else FIRST if is_first else LAST
    return Row(rank, (state, idle), state, int(link.get("copies") or 0), idle=idle)


def needing(rows: Sequence[Row]) -> int:
    """How many rows need eyes, those that are alike as one."""
    return len({row.kind for row in rows if row.needs_eyes})


def left_out(rows: Sequence[Row], places: Sequence[int]) -> list[Row]:
    """The rows at no place that is shown."""
    shown = set(places)
    return [row for place, row in enumerate(rows) if place not in shown]


def told(rows: Sequence[Row], noun: str) -> str:
    """What rows that are not shown come to, in one line, what is amiss with them first."""
    states = Counter(row.state for row in rows)
    more = f"… {counted(len(rows), f'more {noun}')}"
    if len(states) == 1:
        parts = [f"{more} {rows[0].state}"]
    else:
        ordered = sorted(states, key=lambda state: (state in FINE, -states[state]))
        parts = [f"{more}: {', '.join(f'{states[state]} {state}' for state in ordered)}"]
    idle = Counter(row.idle for row in rows if row.idle)
    if idle:
        parts.append(f"{idle.total()} copied nothing ({', '.join(reason for reason, _ in idle.most_common())})")
    if positions := sum(row.positions for row in rows):
        parts.append(counted(positions, "position"))
    if copies := sum(row.copies for row in rows):
        parts.append("1 copy" if copies == 1 else f"{copies} copies")
    return "; ".join(parts)
