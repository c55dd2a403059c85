"""What rests of a copy ends with it, and what has filled of it is its own, whatever was lost, refused or left out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.belief.proofs import looks_due
from cmam.domain.events import ExecutionSeen, RequestRefused
from cmam.domain.turns import snapshots
from cmam.domain.turns.settling import SETTLE_US
from cmam.domain.values.changes import ChangeKind
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.ids import OrderId
from cmam.domain.values.rules.newest import RULES
from cmam.domain.values.rules.resting import ENDED_IN_PART, RESTS_OUTLIVE_COPIES
from cmam.domain.values.trades import OrderStatus
from tests.factories import LOT, Pair, a_view


def placed(rules: int = RULES) -> tuple[Pair, OrderId]:
    """A copy of the leader's buy limit of one lot rests at the follower's broker."""
    pair = Pair(view=replace(a_view(), rules=rules))
    pair.order()
    pair.answer()
    (number,) = pair.resting
    return pair, number


def test_a_cancel_that_comes_too_late_is_in_doubt_until_one_look_has_shown_the_position() -> None:
    """Our order fills while its cancel is on the way: one look is put on record, though it shows nothing new, and no
    other is asked for. There was one every five seconds, and an alert, for as long as the copy lived."""
    pair, number = placed()
    pair.order_fills()
    pair.passes(2_000_000)
    pair.hears(pair.order_triggers(number))
    pair.refuse("ORDER_NOT_FOUND", temporary=True)
    assert looks_due(pair.view, SETTLE_US).refresh is not None
    assert snapshots.differs(pair.view, pair.held.values(), ())
    pair.fact(pair.reconciled())
    assert looks_due(pair.view, SETTLE_US).refresh is None
    assert not snapshots.differs(pair.view, pair.held.values(), ())


@pytest.mark.parametrize(("rules", "cancels"), [(RESTS_OUTLIVE_COPIES - 1, 1), (RULES, 2)])
def test_what_rests_of_a_copy_that_is_over_is_cancelled_until_it_is_gone(rules: int, cancels: int) -> None:
    """Half of our order has filled as the leader cancels his: that is closed, and the cancel of the rest is refused.
    The copy is over; the rest would fill for nobody."""
    pair, number = placed(rules)
    pair.hears(pair.order_triggers(number, volume=LOT // 2))
    pair.order(ChangeKind.ORDER_CANCELLED)
    cancel, close = pair.waiting
    assert (cancel.command.kind, close.command.kind) == (CommandKind.CANCEL, CommandKind.CLOSE)
    pair.hears(pair.events_of(close))
    pair.lose()
    assert (len(pair.view.copies), len(pair.resting)) == (0, 1)
    pair.fact(RequestRefused(intent=cancel.intent, error_code="UNABLE_TO_CANCEL_ORDER", is_temporary=True))
    pair.passes(60_000_000)
    pair.answer()
    assert [command.kind for command in pair.commands].count(CommandKind.CANCEL) == cancels
    assert len(pair.resting) == 2 - cancels


@pytest.mark.parametrize(("rules", "left"), [(ENDED_IN_PART - 1, LOT // 2), (RULES, 0)])
def test_a_part_that_only_the_end_of_its_order_tells_of_is_the_copys(rules: int, left: int) -> None:
    """The fill of a half is not heard; the leader cancels his order, and the end of ours says that a half was executed,
    with its position and no deal. The half is closed; it stood for nobody."""
    pair, number = placed(rules)
    pair.order_triggers(number, volume=LOT // 2)
    (held,) = pair.held.values()
    pair.order(ChangeKind.ORDER_CANCELLED)
    (cancel,) = pair.waiting
    pair.lose()
    ends = pair.order_ends(number, OrderStatus.CANCELLED, name=cancel.intent)
    pair.hears([replace(event, position=held) for event in ends if isinstance(event, ExecutionSeen)])
    pair.answer()
    assert sum(position.volume for position in pair.held.values()) == left
