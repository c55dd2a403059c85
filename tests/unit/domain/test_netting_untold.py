"""A net that moved while nobody looked: nothing is laid to a person while requests of ours may have moved it."""

from __future__ import annotations

from cmam.domain.belief.copies import CopyState
from cmam.domain.events import CopyFinished, IntentOverdue, IntentRecorded
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.ids import OrderId, PositionId
from cmam.domain.values.quantities import Side, Volume
from cmam.domain.values.reasons import Reason
from cmam.domain.values.replacing import replace
from cmam.domain.values.trades import ExecutionKind, Order, OrderStatus, OrderType
from tests.factories import LOT
from tests.unit.domain.test_netting import Netted, key, netted


def _opened(pair: Netted, number: int, volume: int = LOT, side: Side = Side.BUY) -> None:
    pair.opens_at(number, volume, side)
    pair.answer()
    pair.passes(1_000)


def _unseen(pair: Netted) -> tuple[Order, ...]:
    """The broker does all that was asked while cmam is down: the orders as its history will show them."""
    done: list[Order] = []
    for intent in pair.lose():
        pair.events_of(intent)
        done.append(_in_history(pair, intent))
    for name in tuple(pair.view.intents):
        pair.fact(IntentOverdue(intent=name, why="cmam was started again"))
    return tuple(done)


def _in_history(pair: Netted, intent: IntentRecorded) -> Order:
    return Order(
        order=OrderId(9_000 + intent.seq),
        symbol=intent.command.symbol,
        side=intent.command.side,
        type=OrderType.MARKET,
        volume=intent.command.volume,
        status=OrderStatus.FILLED,
        executed_volume=intent.command.volume,
        execution_price=pair.copy_of(intent.source).open_price,
        position=intent.command.position or next(iter(pair.held), PositionId(9_999)),
        client_order_id=intent.intent if intent.command.kind is not CommandKind.CLOSE else "srv-1",
        label=intent.command.label,
        closing=intent.command.kind is CommandKind.CLOSE,
        opened_ms=pair.now_us // 1_000 + 1,
    )


def test_a_net_that_our_own_order_took_to_nothing_ends_no_share() -> None:
    """Long one lot; a sell of one lot fills unseen; the broker shows nothing: both shares live, nobody was at it."""
    pair = netted(max_age="10m")
    _opened(pair, 1)
    pair.opens_at(2, LOT, Side.SELL)
    past = _unseen(pair)
    assert pair.net == 0
    pair.fact(pair.reconciled())
    assert pair.copy_of(key(1)).state is CopyState.OPEN
    pair.now_us += 10_000_000
    pair.fact(pair.reconciled(looked_up=True, past_orders=past))
    assert [copy.volume for copy in pair.view.copies.values()] == [LOT, LOT]
    assert not [event for event, _ in pair.said if isinstance(event, CopyFinished)]


def test_a_net_under_another_number_is_still_ours() -> None:
    """A sell of three lots turns a long lot around unseen, under a new position: the old share goes on in it."""
    pair = netted(max_age="10m")
    _opened(pair, 1)
    pair.opens_at(2, 3 * LOT, Side.SELL)
    past = _unseen(pair)
    (old,) = pair.held
    pair.held = {PositionId(8_888): replace(pair.held[old], position=PositionId(8_888))}
    past = tuple(replace(order, position=PositionId(8_888)) for order in past)
    pair.fact(pair.reconciled())
    pair.now_us += 10_000_000
    pair.fact(pair.reconciled(looked_up=True, past_orders=past))
    assert {copy.position for copy in pair.view.copies.values()} == {PositionId(8_888)}
    pair.ends(1, LOT)
    pair.answer()
    assert pair.net == -3 * LOT
    pair.ends(2, 3 * LOT)
    pair.answer()
    assert (pair.net, pair.view.copies) == (0, {})


def test_an_unseen_sell_is_not_taken_for_the_close_of_a_share() -> None:
    """A close of one lot never arrives, a sell of one lot does: the net is smaller, but the close is not done."""
    pair = netted(max_age="10m")
    _opened(pair, 1)
    _opened(pair, 3)
    pair.ends(1, LOT)
    lost = pair.lose()
    assert [intent.command.kind for intent in lost] == [CommandKind.CLOSE]
    pair.opens_at(2, LOT, Side.SELL)
    past = _unseen(pair)
    pair.fact(pair.reconciled())
    assert len(pair.view.intents) == 2
    pair.now_us += 10_000_000
    pair.fact(pair.reconciled(looked_up=True, past_orders=past))
    pair.passes(2_000_000)
    pair.answer()
    volumes = {copy.source: copy.volume for copy in pair.view.copies.values()}
    assert volumes == {key(3): LOT, key(2): LOT}
    assert pair.net == 0


def test_what_somebody_closed_is_told_once_our_own_requests_are() -> None:
    """A person closes the net while an order of ours is lost on its way: the share ends as closed by a person."""
    pair = netted(max_age="10s")
    _opened(pair, 1)
    pair.opens_at(2, LOT // 2)
    pair.lose()
    for name in tuple(pair.view.intents):
        pair.fact(IntentOverdue(intent=name, why="cmam was started again"))
    pair.held.clear()
    pair.fact(pair.reconciled())
    assert key(1) in {copy.source for copy in pair.view.copies.values()}
    pair.now_us += 20_000_000
    pair.fact(pair.reconciled(looked_up=True))
    pair.fact(pair.reconciled())
    assert pair.copy_of(key(1)).reason is Reason.CLOSED_BY_HUMAN


def test_opposite_shares_that_end_together_cost_no_order() -> None:
    """Flat, and no money for margin: the close of one share is refused; when the other ends too, both are over."""
    pair = netted()
    _opened(pair, 1)
    _opened(pair, 2, LOT, Side.SELL)
    assert pair.net == 0
    pair.ends(1, LOT)
    pair.refuse("NOT_ENOUGH_MONEY")
    asked = len(pair.sent)
    pair.ends(2, LOT)
    pair.passes(60_000_000)
    assert (len(pair.sent), pair.net, pair.view.copies) == (asked, 0, {})
    ended = [event.reason for event, _ in pair.said if isinstance(event, CopyFinished)]
    assert ended == [Reason.CLOSED_BY_LEADER, Reason.CLOSED_BY_LEADER]


def test_shares_that_end_together_but_leave_something_are_traded() -> None:
    """Long 1.0 and short 0.4 end together: what is left of the net is closed."""
    pair = netted()
    _opened(pair, 1)
    _opened(pair, 2, 4_000_000, Side.SELL)
    pair.ends(1, LOT)
    pair.ends(2, 4_000_000)
    pair.answer()
    pair.passes(1_000_000)
    pair.answer()
    assert (pair.net, pair.view.copies) == (0, {})
    assert Volume(0) == sum(position.volume for position in pair.held.values())


def test_what_a_share_gives_up_is_asked_for_once_though_the_net_turns_meanwhile() -> None:
    """Flat with shares of both sides: one ends by a sell under way; the net turns long: no close is asked besides."""
    pair = netted()
    _opened(pair, 1)
    _opened(pair, 2, LOT, Side.SELL)
    _opened(pair, 3)
    _opened(pair, 4, LOT, Side.SELL)
    assert pair.net == 0
    pair.ends(1, LOT)
    (sell,) = pair.lose()
    assert (sell.command.kind, sell.command.side) == (CommandKind.ADD, Side.SELL)
    pair.ends(2, LOT)
    pair.answer()
    assert pair.net == LOT
    assert [intent for intent in pair.sent if intent.source == key(1)][1:] == [sell]
    pair.hears(pair.events_of(sell))
    pair.passes(1_000_000)
    pair.answer()
    assert (pair.net, len(pair.view.copies)) == (0, 2)


def test_a_share_that_ends_leaves_what_an_untold_order_may_have_brought() -> None:
    """The last share known ends while the net holds what a lost order filled: no more than the share is closed."""
    pair = netted(max_age="10m")
    _opened(pair, 1, LOT // 2)
    pair.opens_at(2, LOT)
    past = _unseen(pair)
    pair.fact(pair.reconciled())
    pair.ends(1, LOT // 2)
    pair.answer()
    assert pair.net == LOT
    pair.now_us += 10_000_000
    pair.fact(pair.reconciled(looked_up=True, past_orders=past))
    pair.passes(1_000_000)
    assert [(copy.source, copy.volume) for copy in pair.view.copies.values()] == [(key(2), LOT)]
    assert not [event for event, _ in pair.said if isinstance(event, CopyFinished) and event.source == key(2)]


def test_two_unseen_closes_that_make_up_for_each_other_are_told_by_the_history() -> None:
    """A long share and a short one are closed unseen: the net says that nothing happened, the orders say what did."""
    pair = netted(max_age="10m")
    _opened(pair, 1)
    pair.ends(1, LOT)
    past = _unseen(pair)
    _opened(pair, 2, LOT, Side.SELL)
    pair.ends(2, LOT)
    past += _unseen(pair)
    assert pair.net == 0
    asked = len(pair.sent)
    pair.fact(pair.reconciled())
    assert len(pair.view.intents) == 2
    pair.now_us += 10_000_000
    pair.fact(pair.reconciled(looked_up=True, past_orders=past))
    pair.passes(60_000_000)
    assert (len(pair.sent), pair.view.copies, pair.view.intents) == (asked, {}, {})


def test_a_close_of_before_is_not_taken_for_one_that_was_lost() -> None:
    """The history has an older close of as much of the same position: the lost one is asked for again."""
    pair = netted(max_age="10m")
    _opened(pair, 1)
    _opened(pair, 2)
    _opened(pair, 3)
    pair.ends(1, LOT)
    older = _in_history(pair, pair.waiting[0])
    pair.answer()
    pair.passes(5_000_000)
    pair.ends(2, LOT)
    (lost,) = pair.lose()
    pair.fact(IntentOverdue(intent=lost.intent, why="no answer"))
    pair.now_us += 10_000_000
    pair.fact(pair.reconciled(looked_up=True, past_orders=(replace(older, opened_ms=older.opened_ms - 1),)))
    pair.passes(2_000_000)
    pair.answer()
    assert (pair.net, len(pair.view.copies)) == (LOT, 1)


def test_a_close_under_way_is_told_by_its_own_deal_though_the_net_has_shrunk() -> None:
    """A lost sell has taken the net down; the close of a share is accepted, not done: it is asked once, booked once."""
    pair = netted(max_age="10m")
    _opened(pair, 1, 3 * LOT)
    _opened(pair, 3, LOT)
    pair.opens_at(2, LOT, Side.SELL)
    past = _unseen(pair)
    pair.fact(pair.reconciled())
    pair.ends(3, LOT)
    (close,) = pair.waiting
    said = pair.events_of(close)
    accepted = replace(said[0], kind=ExecutionKind.ORDER_ACCEPTED, deal=None)
    pair.lose()
    pair.hears([accepted])
    assert close.intent in pair.view.intents
    pair.hears(said)
    pair.now_us += 10_000_000
    pair.fact(pair.reconciled(looked_up=True, past_orders=past))
    pair.passes(2_000_000)
    assert pair.waiting == []
    assert {copy.source: copy.volume for copy in pair.view.copies.values()} == {key(1): 3 * LOT, key(2): LOT}
    assert pair.net == 2 * LOT


def test_what_somebody_took_off_leaves_no_share_more_than_it_had() -> None:
    """Shares of 4, 1, 1 and 1 steps lose one step: rounding leaves the largest its four, and one of the others none."""
    pair = netted()
    for number, volume in ((1, 400_000), (2, 100_000), (3, 100_000), (4, 100_000)):
        _opened(pair, number, volume)
    (position,) = pair.held
    pair.hears(pair.close(position, Volume(100_000)))
    assert sorted(copy.volume for copy in pair.view.copies.values()) == [100_000, 100_000, 400_000]
