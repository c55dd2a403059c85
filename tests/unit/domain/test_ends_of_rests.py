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
from cmam.domain.values.quantities import Volume
from cmam.domain.values.rules.nets import LAST_PARTS_OF_RESTS
from cmam.domain.values.rules.newest import RULES
from cmam.domain.values.rules.resting import ENDED_IN_PART, FILLED_BEFORE_AMENDED, RESTS_OUTLIVE_COPIES
from cmam.domain.values.rules.sight import PARTS_WITHOUT_DEALS
from cmam.domain.values.trades import AccountType, OrderStatus
from tests.factories import LOT, Pair, a_view, price


def placed(rules: int = RULES, kind: AccountType = AccountType.HEDGED) -> tuple[Pair, OrderId]:
    """A copy of the leader's buy limit of one lot rests at the follower's broker."""
    pair = Pair(view=replace(a_view(kind=kind), rules=rules))
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


@pytest.mark.parametrize("kind", [AccountType.HEDGED, AccountType.NETTED])
@pytest.mark.parametrize(("rules", "left"), [(ENDED_IN_PART - 1, LOT // 2), (RULES, 0)])
def test_a_part_that_only_the_end_of_its_order_tells_of_is_the_copys(rules: int, left: int, kind: AccountType) -> None:
    """The fill of a half is not heard; the leader cancels his order, and the end of ours says that a half was executed,
    with its position and no deal. The half is closed; it stood for nobody."""
    pair, number = placed(rules, kind)
    pair.order_triggers(number, volume=LOT // 2)
    (held,) = pair.held.values()
    pair.order(ChangeKind.ORDER_CANCELLED)
    (cancel,) = pair.waiting
    pair.lose()
    ends = pair.order_ends(number, OrderStatus.CANCELLED, name=cancel.intent)
    pair.hears([replace(event, position=held) for event in ends if isinstance(event, ExecutionSeen)])
    pair.answer()
    assert sum(position.volume for position in pair.held.values()) == left


def test_a_shares_part_that_the_end_of_its_order_told_is_not_booked_again_by_its_deal() -> None:
    """The deal comes behind the end of its order: a share of a net is told by deals, and would take it from another."""
    pair, number = placed(kind=AccountType.NETTED)
    pair.opens()
    pair.answer()
    (net,) = pair.held.values()
    pair.passes(60_000_000)
    fill, *_ = (event for event in pair.order_triggers(number, volume=LOT // 2) if isinstance(event, ExecutionSeen))
    assert fill.order is not None
    assert fill.deal is not None
    net = replace(net, volume=Volume(LOT + LOT // 2), updated_ms=pair.now_us // 1_000)
    order = pair.resting[number] = replace(fill.order, position=net.position)
    ends = pair.order_ends(number, OrderStatus.CANCELLED)
    pair.hears([replace(event, position=net) for event in ends if isinstance(event, ExecutionSeen)])
    pair.fact(replace(fill, order=order, deal=replace(fill.deal, position=net.position), position=net))
    assert sorted(copy.volume for copy in pair.view.copies.values()) == [LOT // 2, LOT]


@pytest.mark.parametrize("is_told_after", [False, True])
@pytest.mark.parametrize(("rules", "volume"), [(LAST_PARTS_OF_RESTS - 1, LOT // 4), (RULES, LOT // 2)])
def test_a_shares_last_part_that_only_the_end_of_its_order_tells_of_is_its_own(
    rules: int, volume: int, *, is_told_after: bool
) -> None:
    """A quarter has filled; the end of the order shows another one, with the net and no deal, which may come behind. It
    stood for nobody when the leader had closed."""
    pair, number = placed(rules, AccountType.NETTED)
    pair.hears(pair.order_triggers(number, volume=LOT // 4))
    pair.passes(20_000_000)
    fill, *_ = (event for event in pair.order_triggers(number, volume=LOT // 4) if isinstance(event, ExecutionSeen))
    ends = pair.order_ends(number, OrderStatus.CANCELLED)
    pair.hears([replace(event, position=fill.position) for event in ends if isinstance(event, ExecutionSeen)])
    if is_told_after:
        pair.fact(fill)
    assert pair.copy.volume == (LOT // 2 if is_told_after else volume)
    pair.fact(pair.reconciled())
    assert pair.copy.volume == (LOT // 2 if is_told_after else volume)


def test_a_shares_last_part_is_no_more_than_the_net_has_beyond_its_shares() -> None:
    """Half has filled, told with the order as it was before, so that its end shows the part anew: booked once more, the
    net lacked it, and another share had lost it to nobody."""
    pair, number = placed(kind=AccountType.NETTED)
    pair.opens()
    pair.answer()
    (net,) = pair.held.values()
    pair.passes(60_000_000)
    before = replace(pair.resting[number], position=net.position)
    fill, *_ = (event for event in pair.order_triggers(number, volume=LOT // 2) if isinstance(event, ExecutionSeen))
    assert fill.deal is not None
    net = replace(net, volume=Volume(LOT + LOT // 2), updated_ms=pair.now_us // 1_000)
    pair.fact(replace(fill, order=before, deal=replace(fill.deal, position=net.position), position=net))
    assert sorted(copy.volume for copy in pair.view.copies.values()) == [LOT // 2, LOT]
    pair.passes(60_000_000)
    ends = pair.order_ends(number, OrderStatus.CANCELLED)
    pair.hears([replace(event, position=net) for event in ends if isinstance(event, ExecutionSeen)])
    assert sorted(copy.volume for copy in pair.view.copies.values()) == [LOT // 2, LOT]


@pytest.mark.parametrize(("rules", "volume"), [(PARTS_WITHOUT_DEALS - 1, 0), (RULES, LOT // 2)])
def test_a_part_that_is_told_without_its_deal_is_the_copys(rules: int, volume: int) -> None:
    """Half of ours fills, and what tells of it has the order and the position alone: no look would find more."""
    pair, number = placed(rules)
    told = [event for event in pair.order_triggers(number, volume=LOT // 2) if isinstance(event, ExecutionSeen)]
    (order,) = (event.order for event in told if event.order is not None)
    pair.hears([replace(event, deal=None, order=replace(order, execution_price=None)) for event in told])
    assert (pair.copy.volume, pair.copy.open_price) == (volume, price("1.09") if volume else None)
    assert not snapshots.differs(pair.view, pair.held.values(), pair.resting.values())


@pytest.mark.parametrize(("rules", "asked"), [(FILLED_BEFORE_AMENDED - 1, "amend_order"), (RULES, "cancel")])
def test_what_rests_of_an_order_that_has_filled_what_it_is_amended_to_is_cancelled(rules: int, asked: str) -> None:
    """Half of ours fills while the leader's amendment to a half is on its way, and is refused for that."""
    pair, number = placed(rules)
    pair.order(ChangeKind.ORDER_AMENDED, volume=Volume(LOT // 2), limit_price=price("1.085"))
    (amend,) = pair.lose()
    pair.hears(pair.order_triggers(number, volume=LOT // 2))
    pair.fact(RequestRefused(intent=amend.intent, error_code="TRADING_BAD_VOLUME"))
    pair.passes(1_000_000)
    assert [intent.command.kind for intent in pair.waiting] == [asked]


@pytest.mark.parametrize("kind", [AccountType.HEDGED, AccountType.NETTED])
@pytest.mark.parametrize(
    ("rules", "is_heard", "volume"),
    [(ENDED_IN_PART - 1, True, 0), (ENDED_IN_PART - 1, False, LOT), (RULES, True, LOT // 2), (RULES, False, LOT // 2)],
)
def test_what_a_person_cancels_of_an_order_whose_part_nobody_told_is_not_made_up(
    rules: int, is_heard: bool, volume: int, kind: AccountType
) -> None:
    """The fill of a half is not heard, and a person cancels the rest; its end tells both, or a look. As the leader's
    order fills, the rest was bought at the market; or, by its end, nothing was held at all."""
    pair, number = placed(rules, kind)
    pair.order_triggers(number, volume=LOT // 2)
    (held,) = pair.held.values()
    ends = [event for event in pair.order_ends(number, OrderStatus.CANCELLED) if isinstance(event, ExecutionSeen)]
    if is_heard:
        pair.hears([replace(event, position=held) for event in ends])
    else:
        past = tuple(event.order for event in ends if event.order is not None)
        pair.fact(replace(pair.reconciled(past_orders=past), quiet=True))
    pair.passes(1_000_000)
    pair.order_fills()
    pair.passes(10_000_000)
    pair.answer()
    assert pair.copy.volume == volume


def test_what_a_person_closes_beside_what_he_cancels_of_an_order_counts_once() -> None:
    """Both happen in one gap: of the half that had filled a part is closed, and no more of it."""
    pair, number = placed()
    pair.order_triggers(number, volume=LOT // 2)
    (held,) = pair.held.values()
    events = [*pair.order_ends(number, OrderStatus.CANCELLED), *pair.close(held.position, LOT // 5, name="a person's")]
    past = {event.order.order: event.order for event in events if isinstance(event, ExecutionSeen) and event.order}
    pair.fact(replace(pair.reconciled(past_orders=tuple(past.values())), quiet=True))
    pair.passes(1_000_000)
    pair.order_fills()
    pair.answer()
    assert (pair.copy.volume, pair.copy.target) == (LOT // 2 - LOT // 5, LOT // 2 - LOT // 5)


@pytest.mark.parametrize("is_told_first", [True, False])
@pytest.mark.parametrize(("rules", "left"), [(RESTS_OUTLIVE_COPIES - 1, LOT // 2), (RULES, 0)])
def test_what_fills_of_a_copy_that_is_over_before_it_is_cancelled_is_taken_back(
    rules: int, left: int, is_told_first: bool
) -> None:
    """Half of our order has filled as the leader cancels his, and is closed; the rest fills while its cancel is on its
    way, which is refused for that. Its position stood for nobody."""
    pair, number = placed(rules)
    pair.hears(pair.order_triggers(number, volume=LOT // 2))
    pair.order(ChangeKind.ORDER_CANCELLED)
    cancel, close = pair.waiting
    pair.hears(pair.events_of(close))
    pair.lose()
    told = [*pair.order_triggers(number), RequestRefused(intent=cancel.intent, error_code="ORDER_NOT_FOUND")]
    pair.hears(told if is_told_first else told[::-1])
    pair.answer()
    assert sum(position.volume for position in pair.held.values()) == left


def test_an_order_of_nobodys_that_fills_is_left_alone() -> None:
    """A person's own order fills while a copy that is over is rid of its rest: only the rest is ours."""
    pair, number = placed()
    pair.hears(pair.order_triggers(number, volume=LOT // 2))
    order = replace(pair.resting[number], order=OrderId(99), client_order_id="", label="", executed_volume=Volume(0))
    pair.order(ChangeKind.ORDER_CANCELLED)
    _, close = pair.waiting
    pair.hears(pair.events_of(close))
    pair.lose()
    pair.resting[order.order] = order
    pair.fact(pair.reconciled())
    pair.hears(pair.order_triggers(order.order))
    pair.answer()
    assert [position.volume for position in pair.held.values()] == [LOT]
