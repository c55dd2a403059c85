"""The small worlds by name: a few things that a leader does, before a hedged follower and before netted ones.

Volumes are such that what is added, closed and left is alike: only then can one be taken for the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cmam.domain.values.changes import ChangeKind
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.quantities import Side
from tests.small.books import PRICE
from tests.small.world import MINI, Act, Setting

OTHER = 600
"""The leader's second position."""


REFUSED_AND_DONE = (CommandKind.CLOSE, CommandKind.AMEND_PROTECTION)
"""What may be refused in a hedged world and be done all the same. Adds are so where a test says it. Opens are not: what
is done of one while its copy is over, or beside its next try, is taken in or told by its label, outside these worlds.
"""


def _opens(minis: int, **more: Any) -> Act:
    return Act(ChangeKind.OPENED, minis * MINI, **more)


def _adds(minis: int) -> Act:
    return Act(ChangeKind.GREW, minis * MINI)


def _closes_part(minis: int, position: int = 500) -> Act:
    return Act(ChangeKind.REDUCED, minis * MINI, position)


def _closes(position: int = 500) -> Act:
    return Act(ChangeKind.CLOSED, 0, position)


def _stops(pips: int) -> Act:
    return Act(ChangeKind.PROTECTED, stop=PRICE - pips * 10_000)


HEDGED: Mapping[str, tuple[Act, ...]] = {
    "open": (_opens(10),),
    "open, close": (_opens(10), _closes()),
    "open, part": (_opens(10), _closes_part(4)),
    "open, add": (_opens(10), _adds(4)),
    "open, stop, stop": (_opens(10), _stops(50), _stops(40)),
    "open, add, part of the old": (_opens(8), _adds(4), _closes_part(8)),
    "open, add, part of both": (_opens(8), _adds(4), _closes_part(6)),
    "open, add, stop": (_opens(8), _adds(4), _stops(50)),
    "open, part, stop": (_opens(8), _closes_part(4), _stops(50)),
    "open, part, part": (_opens(8), _closes_part(4), _closes_part(2)),
    "open, part, add": (_opens(8), _closes_part(4), _adds(4)),
    "open, part, close": (_opens(8), _closes_part(4), _closes()),
    "open, add, close": (_opens(8), _adds(4), _closes()),
    "open, add, add, part": (_opens(4), _adds(4), _adds(4), _closes_part(6)),
    "open, part, add, part": (_opens(8), _closes_part(4), _adds(4), _closes_part(4)),
    "open, add, part, add": (_opens(8), _adds(4), _closes_part(6), _adds(6)),
    "open, add, part, part": (_opens(8), _adds(4), _closes_part(6), _closes_part(3)),
}
ORDER = 450


def _rests(minis: int, pips: int = 100, what: ChangeKind = ChangeKind.ORDER_PLACED) -> Act:
    return Act(what, minis * MINI, order=ORDER, limit=PRICE - pips * 10_000)


def _fills(minis: int) -> Act:
    return Act(ChangeKind.OPENED, minis * MINI, order=ORDER)


def _fills_more(minis: int) -> Act:
    return Act(ChangeKind.GREW, minis * MINI, order=ORDER)


def _ends(what: ChangeKind = ChangeKind.ORDER_CANCELLED) -> Act:
    return Act(what, 0, order=ORDER)


RESTING: Mapping[str, tuple[Act, ...]] = {
    "order": (_rests(8),),
    "order, cancel": (_rests(8), _ends()),
    "order, fill": (_rests(8), _fills(8)),
    "order, amend": (_rests(8), _rests(4, 90, ChangeKind.ORDER_AMENDED)),
    "order, amend, cancel": (_rests(8), _rests(4, 90, ChangeKind.ORDER_AMENDED), _ends()),
    "order, amend, fill": (_rests(8), _rests(4, 90, ChangeKind.ORDER_AMENDED), _fills(4)),
    "order, part, rest": (_rests(8), _fills(4), _fills_more(4)),
    "order, part, amend, rest": (_rests(8), _fills(4), _rests(12, 90, ChangeKind.ORDER_AMENDED), _fills_more(8)),
    "order, part, cancel": (_rests(8), _fills(4), _ends()),
    "order, fill, close": (_rests(8), _fills(8), _closes()),
    "order, fill, part": (_rests(8), _fills(8), _closes_part(4)),
}
"""A limit order of the leader's, before a follower whose own the market fills or does not."""
NETTED: Mapping[str, tuple[Act, ...]] = {
    "two": (_opens(10), _opens(6, position=OTHER)),
    "two, one closes": (_opens(10), _opens(6, position=OTHER), _closes()),
    "two, both close": (_opens(4), _opens(4, position=OTHER), _closes(), _closes(OTHER)),
    "two sides, one closes": (_opens(4), _opens(6, position=OTHER, side=Side.SELL), _closes()),
    "two, parts of both": (_opens(4), _opens(4, position=OTHER), _closes_part(2), _closes_part(2, OTHER)),
    "open, part": HEDGED["open, part, close"][:2],
    "open, close": HEDGED["open, close"],
    "open, add, part": (_opens(8), _adds(4), _closes_part(4)),
    "open, part, close": HEDGED["open, part, close"],
    "open, stop, stop": HEDGED["open, stop, stop"],
}
_BESIDE = (_opens(6, position=OTHER), _rests(8), _fills(8))
_AGAINST = (_opens(6, position=OTHER, side=Side.SELL), _rests(8), _fills(8))
RESTING_BESIDE: Mapping[str, tuple[Act, ...]] = {
    "beside one, fill": _BESIDE,
    "beside one, fill, close": (*_BESIDE, _closes()),
    "beside one that closes, fill": (*_BESIDE[:2], _closes(OTHER), _fills(8)),
    "beside one, cancel": (*_BESIDE[:2], _ends()),
    "against one, fill": _AGAINST,
    "against one, fill, close": (*_AGAINST, _closes()),
    "against one, fill, that closes": (*_AGAINST, _closes(OTHER)),
    "against one, part, cancel": (*_AGAINST[:2], _fills(4), _ends()),
    "against as much, fill": (_opens(8, position=OTHER, side=Side.SELL), *_AGAINST[1:]),
}
"""The same into a net that another position's share has made."""
PROFILES = ("1", "1")
"""The amounts of two profiles that follow the same leader on one account."""


def hedged(name: str, *, faults: int = 1, **more: Any) -> Setting:
    """A world of a hedged follower. What is refused there and done are closes, and levels where there is one fault."""
    more = {"lies": REFUSED_AND_DONE if faults == 1 else (CommandKind.CLOSE,), **more}
    return Setting(HEDGED[name], faults=faults, **more)


def netted(name: str, *, faults: int = 1, amounts: tuple[str, ...] = ("1",), **more: Any) -> Setting:
    """A world of a netted follower, of one profile or of more. What is refused there and done is left out."""
    return Setting(NETTED[name], True, amounts, faults, lies=(), **more)


def resting(name: str, *, faults: int = 1, fills: tuple[int, ...] = (1,), **more: Any) -> Setting:
    """A world of a leader's order that rests, before a hedged follower or a netted one."""
    return Setting({**RESTING, **RESTING_BESIDE}[name], faults=faults, fills=fills, **more)
