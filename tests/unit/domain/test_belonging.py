"""Which report belongs to which request, where the broker does not say so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.belief.asked import with_intent
from cmam.domain.belief.belonging import intent_of
from cmam.domain.belief.copies import Intent, IntentState
from cmam.domain.belief.view import AccountView
from cmam.domain.events import ExecutionSeen
from cmam.domain.values.commands import Command, CommandKind
from cmam.domain.values.ids import AccountId, DealId, IntentId, LinkId, OrderId, PositionId, SourceKey, SymbolId
from cmam.domain.values.quantities import Side, Volume
from cmam.domain.values.rules.newest import RULES
from cmam.domain.values.trades import AccountType, Deal, ExecutionKind, Order, OrderType
from tests.factories import a_view

CLOSE = Intent(
    intent=IntentId("cm1.aaaaa.bbbbbb.p1.2"),
    link=LinkId("bbbbbb"),
    source=SourceKey("p1"),
    seq=2,
    command=Command(
        kind=CommandKind.CLOSE,
        symbol=SymbolId(1),
        side=Side.SELL,
        volume=Volume(100),
        position=PositionId(9),
    ),
    volume_before=Volume(200),
    attempt=1,
    recorded_us=1,
    state=IntentState.SENT,
    after_ms=5_000,
)
ORDER = Order(
    order=OrderId(7),
    symbol=SymbolId(1),
    side=Side.SELL,
    type=OrderType.MARKET,
    volume=Volume(100),
    position=PositionId(9),
    closing=True,
    client_order_id="server-1",
    opened_ms=5_000,
)
TOLD = ExecutionSeen(kind=ExecutionKind.ORDER_FILLED, order=ORDER)


def _of(
    *intents: Intent, event: ExecutionSeen = TOLD, rules: int = RULES, deals: tuple[DealId, ...] = ()
) -> IntentId | None:
    view = AccountView(account=AccountId(1), rules=rules, deals=deals)
    for intent in intents:
        view = replace(view, intents=with_intent(view.intents, intent))
    found = intent_of(view, event)
    return None if found is None else found.intent


def test_a_close_that_nobody_names_is_the_one_that_asked_for_as_much() -> None:
    """The oldest of those alike, and afterwards the one that has the order's number."""
    later = replace(CLOSE, intent=IntentId("cm1.aaaaa.bbbbbb.p2.2"), source=SourceKey("p2"))
    assert _of(CLOSE, later) == CLOSE.intent
    assert _of(replace(CLOSE, order=OrderId(6)), later) == later.intent
    assert _of(CLOSE, replace(later, order=OrderId(7))) == later.intent
    assert _of(CLOSE, rules=11) is None


@pytest.mark.parametrize(
    "event",
    [
        replace(TOLD, client_msg_id="somebody's"),
        replace(TOLD, is_server_event=True),
        replace(TOLD, order=None),
        replace(TOLD, order=replace(ORDER, stop_out=True)),
        replace(TOLD, order=replace(ORDER, volume=Volume(99))),
        replace(TOLD, order=replace(ORDER, side=Side.BUY)),
        replace(TOLD, order=replace(ORDER, position=PositionId(8))),
        replace(TOLD, order=replace(ORDER, opened_ms=4_999)),
        replace(TOLD, order=replace(ORDER, opened_ms=0, updated_ms=4_999)),
        replace(TOLD, order=replace(ORDER, closing=False)),
        replace(TOLD, order=replace(ORDER, type=OrderType.PROTECTION)),
    ],
)
def test_what_another_asked_for_or_the_broker_did_is_no_close_of_ours(event: ExecutionSeen) -> None:
    """A request that is named as somebody else's, a stop-out, a level, an order of before, and one of another size."""
    assert _of(CLOSE, event=event) is None


@pytest.mark.parametrize("knows", [True, False])
def test_what_is_told_again_of_a_close_is_no_answer_to_the_next_one(knows: bool) -> None:
    """A leader closes two parts alike, and the broker tells the first one's deal again while the second is under way,
    of which it tells no times: it took the second's place, whose own event was nobody's until it was asked about."""
    order = replace(ORDER, opened_ms=0)
    deal = Deal(
        deal=DealId(70),
        order=order.order,
        position=PositionId(9),
        symbol=order.symbol,
        side=order.side,
        volume=order.volume,
        filled_volume=order.volume,
        price=None,
        executed_ms=0,
    )
    event = replace(TOLD, order=order, deal=deal)
    known = (deal.deal,) if knows else ()
    assert _of(CLOSE, event=event, deals=known) == (None if knows else CLOSE.intent)
    assert _of(replace(CLOSE, order=order.order), event=event, deals=known) == CLOSE.intent


def test_a_net_that_has_turned_is_closed_by_the_other_side() -> None:
    """The broker closes a position as it stands when the request arrives; a hedged one never turns."""
    turned = replace(TOLD, order=replace(ORDER, side=Side.BUY))
    for kind, found in ((AccountType.HEDGED, None), (AccountType.NETTED, CLOSE)):
        view = a_view(kind=kind)
        assert intent_of(replace(view, intents=with_intent(view.intents, CLOSE)), turned) == found


def test_what_has_not_left_yet_has_no_order() -> None:
    """A close that waits for its turn is not what somebody else has just closed."""
    assert _of(replace(CLOSE, state=IntentState.RECORDED)) is None
