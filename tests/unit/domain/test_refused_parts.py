"""Parts whose close was refused: a look tells how much is left before another is asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.actors.accounts.lookups import PART_US, Lookups
from cmam.actors.asking.preparation import Kind
from cmam.domain.events import CopyTouched, Reconciled
from cmam.domain.turns import snapshots
from cmam.domain.turns.settling import SETTLE_US
from cmam.domain.values.codes import UNTOUCHED
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.rules.closes import REFUSED_PARTS_ARE_READ
from cmam.domain.values.rules.newest import RULES
from tests.factories import LOT, Pair, a_view, lookup_due

MINI = LOT // 10
SECOND_US = 1_000_000


def _reduced(rules: int = RULES) -> Pair:
    """Ten are held, four of them are to be closed, and that is asked for."""
    pair = Pair(view=replace(a_view(), rules=rules))
    pair.opens(10 * MINI)
    pair.answer()
    pair.passes(60 * SECOND_US)
    pair.reduces(10 * MINI, 6 * MINI)
    pair.send()
    return pair


def _closes(pair: Pair) -> list[int]:
    return [int(one.volume) for one in pair.commands if one.kind is CommandKind.CLOSE]


def _look(pair: Pair) -> None:
    """The look that is due, if one is."""
    due_us = lookup_due(pair.view)
    if due_us is not None and due_us <= pair.now_us:
        pair.fact(pair.reconciled())


@pytest.mark.parametrize(("rules", "left"), [(RULES, 6 * MINI), (REFUSED_PARTS_ARE_READ - 1, 2 * MINI)])
def test_what_was_refused_and_done_unheard_is_not_done_again(rules: int, left: int) -> None:
    """The position holds six when it is read: no more is asked for, and nobody but us has closed anything."""
    pair = _reduced(rules)
    pair.events_of(pair.waiting[0])
    pair.refuse("CONCURRENT_MODIFICATION", temporary=True)
    for _ in range(3):
        pair.passes(SECOND_US)
        _look(pair)
        pair.answer()
    assert [position.volume for position in pair.held.values()] == [left]
    is_touched = any(isinstance(event, CopyTouched) for event, _ in pair.said)
    assert is_touched == (rules < REFUSED_PARTS_ARE_READ)


@pytest.mark.parametrize(("rules", "target"), [(RULES, 6 * MINI), (REFUSED_PARTS_ARE_READ - 1, 3_600_000)])
def test_what_is_told_behind_its_refusal_is_nobody_elses(rules: int, target: int) -> None:
    """The execution comes after the refusal: the part is the one that was asked for, and none that a person took."""
    pair = _reduced(rules)
    told = pair.events_of(pair.waiting[0])
    pair.refuse("CONCURRENT_MODIFICATION", temporary=True)
    for event in told:
        pair.fact(event)
    pair.passes(SECOND_US)
    _look(pair)
    assert (pair.copy.target, pair.copy.refused_part) == (target, 0)


def test_what_was_refused_indeed_is_asked_for_again_by_the_look() -> None:
    """Nothing has gone: after the refusal's delay a look is due, is put on record though it shows nothing new, and the
    same part is asked for at once. Of a person's part the copy loses as much as ever."""
    pair = _reduced()
    pair.refuse("POSITION_LOCKED")
    assert lookup_due(pair.view) == pair.now_us + SECOND_US
    pair.passes(SECOND_US)
    assert (_closes(pair), lookup_due(pair.view)) == ([4 * MINI], pair.now_us)
    assert snapshots.differs(pair.view, pair.held.values(), ())
    _look(pair)
    assert (_closes(pair), lookup_due(pair.view)) == ([4 * MINI, 4 * MINI], None)
    pair.answer()
    assert not snapshots.differs(pair.view, pair.held.values(), ())


def test_a_whole_waits_for_no_look() -> None:
    """The leader closes the rest before any look: all that is there goes at once."""
    pair = _reduced()
    pair.refuse("POSITION_LOCKED")
    pair.closes(6 * MINI)
    assert pair.commands[-1].whole
    assert _closes(pair) == [4 * MINI, 10 * MINI]


def test_a_refused_part_outlives_no_look_of_any_kind() -> None:
    """A look that was due for something else tells of it as well."""
    pair = _reduced()
    pair.refuse("POSITION_LOCKED")
    pair.fact(Reconciled(positions=tuple(pair.held.values()), orders=(), looked_up=True, settle_us=SETTLE_US))
    assert _closes(pair) == [4 * MINI, 4 * MINI]


@pytest.mark.parametrize("code", sorted(UNTOUCHED))
def test_what_nobody_has_set_about_waits_for_no_look(code: str) -> None:
    """The market is shut, nothing quotes it, requests are too many: the part is asked for again as soon as its delay is
    over, and no look stands before it."""
    pair = _reduced()
    pair.refuse(code, temporary=True)
    assert (pair.copy.refused_part, lookup_due(pair.view)) == (0, None)
    pair.passes(SECOND_US)
    assert _closes(pair) == [4 * MINI, 4 * MINI]


def test_the_look_for_a_close_comes_as_soon_as_its_delay_is_over() -> None:
    """Another look of the kind was begun just before, for another copy: the close waits for no throttle of those that
    nobody waits for."""
    pair, lookups = _reduced(), Lookups(SETTLE_US)
    pair.refuse("POSITION_LOCKED")
    lookups.begun(Kind.REFRESH, pair.now_us - SECOND_US // 2)
    assert list(lookups.due(pair.view)) == [(pair.now_us + SECOND_US, Kind.REFRESH)]
    lookups.begun(Kind.REFRESH, pair.now_us + SECOND_US // 2)
    assert list(lookups.due(pair.view)) == [(pair.now_us + SECOND_US // 2 + PART_US, Kind.REFRESH)]
