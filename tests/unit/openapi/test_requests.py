"""Commands as requests: what each kind sends, and what it must not send."""

from __future__ import annotations

from typing import Any

import pytest

from cmam.domain.values.commands import Command, CommandKind
from cmam.domain.values.ids import AccountId, IntentId, OrderId, PositionId, SymbolId
from cmam.domain.values.quantities import Distance, Price, Side, Volume
from cmam.domain.values.trades import OrderType, TimeInForce, TriggerMethod
from cmam.openapi import catalogue, requests
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.openapi.errors import LocalError

INTENT = IntentId("cm1.aaaaa.bbbbbb.p1.1")


def request(kind: CommandKind, **fields: Any) -> Any:
    """The request of a command of this kind on account 5, symbol 1, buying."""
    command = Command(**{"kind": kind, "symbol": SymbolId(1), "side": Side.BUY, "volume": Volume(100_000), **fields})
    return requests.request(AccountId(5), INTENT, command)


def sent(message: Any) -> dict[str, Any]:
    """The fields that a message sends, by name."""
    return {field.name: value for field, value in message.ListFields()}


def test_an_open_carries_its_name_and_its_levels_as_distances() -> None:
    """A market order has relative levels only: absolute ones are refused by the server."""
    message = request(
        CommandKind.OPEN,
        relative_stop=Distance(500_000),
        relative_target=Distance(700_000),
        label="cm1.aaaaa.bbbbbb.p1",
    )
    assert sent(message) == {
        "ctidTraderAccountId": 5, "symbolId": 1, "orderType": model.MARKET, "tradeSide": model.BUY, "volume": 100_000,
        "clientOrderId": INTENT, "label": "cm1.aaaaa.bbbbbb.p1", "relativeStopLoss": 500, "relativeTakeProfit": 700,
    }  # fmt: skip


def test_an_open_never_sends_absolute_levels() -> None:
    """Even a command that has them does not put them on a market order."""
    message = request(CommandKind.OPEN, stop=Price(110_000_000), target=Price(130_000_000))
    assert not {"stopLoss", "takeProfit"} & set(sent(message))


def test_trailing_and_guaranteed_need_a_stop() -> None:
    """A trailing flag without a stop is refused by the server, so it is not sent without one."""
    assert "trailingStopLoss" not in sent(request(CommandKind.OPEN, trailing=True, guaranteed=True))
    with_stop = sent(request(CommandKind.OPEN, trailing=True, guaranteed=True, relative_stop=Distance(1_000)))
    assert with_stop["trailingStopLoss"] is True
    assert with_stop["guaranteedStopLoss"] is True


def test_an_add_names_its_position() -> None:
    """An add goes to the position that it enlarges, and to no other."""
    assert sent(request(CommandKind.ADD, position=PositionId(7)))["positionId"] == 7
    assert "positionId" not in sent(request(CommandKind.ADD, netted=True))
    with pytest.raises(LocalError, match="position"):
        request(CommandKind.ADD)


def test_a_market_range_needs_base_and_slippage() -> None:
    """Both must be there, else the order would be a market order at any price."""
    fields = sent(
        request(CommandKind.OPEN, order_type=OrderType.MARKET_RANGE, base_price=Price(112_345_000), slippage_points=15)
    )
    assert (fields["baseSlippagePrice"], fields["slippageInPoints"]) == (1.12345, 15)
    with pytest.raises(LocalError, match="slippage"):
        request(CommandKind.OPEN, order_type=OrderType.MARKET_RANGE, base_price=Price(1))


def test_a_pending_order() -> None:
    """A stop limit with expiry: prices, slippage, trigger and time in force."""
    fields = sent(
        request(
            CommandKind.PLACE,
            order_type=OrderType.STOP_LIMIT,
            stop_price=Price(110_000_000),
            slippage_points=3,
            expires_ms=9_000,
            stop=Price(109_000_000),
            target=Price(120_000_000),
            trigger=TriggerMethod.OPPOSITE,
        )
    )
    assert fields["orderType"] == model.STOP_LIMIT
    assert fields["timeInForce"] == model.GOOD_TILL_DATE
    assert (fields["stopPrice"], fields["slippageInPoints"], fields["expirationTimestamp"]) == (1.1, 3, 9_000)
    assert (fields["stopLoss"], fields["takeProfit"], fields["stopTriggerMethod"]) == (1.09, 1.2, model.OPPOSITE)


def test_a_pending_order_without_expiry_is_good_till_cancelled() -> None:
    """The time in force follows from the expiry unless the command names one."""
    limit = {"order_type": OrderType.LIMIT, "limit_price": Price(110_000_000)}
    assert sent(request(CommandKind.PLACE, **limit))["timeInForce"] == model.GOOD_TILL_CANCEL
    named = sent(request(CommandKind.PLACE, **limit, time_in_force=TimeInForce.FOK))
    assert named["timeInForce"] == model.FILL_OR_KILL


def test_a_close_sends_position_and_volume_and_nothing_else() -> None:
    """The close request has no room for a client order id."""
    message = request(CommandKind.CLOSE, position=PositionId(7))
    assert sent(message) == {"ctidTraderAccountId": 5, "positionId": 7, "volume": 100_000}
    assert catalogue.type_of(message) == catalogue.CLOSE_POSITION
    with pytest.raises(LocalError, match="position"):
        request(CommandKind.CLOSE)


def test_an_amend_of_a_position_always_says_both_levels_and_the_trailing_flag() -> None:
    """A level left out is removed by the server and a flag left out is kept, so leaving out is always on purpose."""
    both = sent(
        request(
            CommandKind.AMEND_PROTECTION, position=PositionId(7), stop=Price(110_000_000), target=Price(120_000_000)
        )
    )
    assert (both["stopLoss"], both["takeProfit"], both["trailingStopLoss"]) == (1.1, 1.2, False)
    only_target = sent(request(CommandKind.AMEND_PROTECTION, position=PositionId(7), target=Price(120_000_000)))
    assert "stopLoss" not in only_target
    assert only_target["trailingStopLoss"] is False


def test_an_amend_of_an_order_sends_all_that_shall_stay() -> None:
    """Amending an order replaces every optional value."""
    fields = sent(
        request(
            CommandKind.AMEND_ORDER,
            order=OrderId(8),
            limit_price=Price(110_000_000),
            stop=Price(109_000_000),
            target=Price(120_000_000),
            expires_ms=5,
        )
    )
    assert fields == {
        "ctidTraderAccountId": 5, "orderId": 8, "volume": 100_000, "limitPrice": 1.1, "stopLoss": 1.09,
        "takeProfit": 1.2, "expirationTimestamp": 5,
    }  # fmt: skip


def test_a_cancel_names_its_order() -> None:
    """A cancel without an order is our mistake, found before it leaves."""
    assert sent(request(CommandKind.CANCEL, order=OrderId(8))) == {"ctidTraderAccountId": 5, "orderId": 8}
    with pytest.raises(LocalError, match="order"):
        request(CommandKind.CANCEL)


@pytest.mark.parametrize(("distance", "expected"), [(1_000, 1), (1_999, 1), (2_000, 2), (999, 1), (1, 1)])
def test_a_distance_is_rounded_down_but_never_away(distance: int, expected: int) -> None:
    """A stop that should exist keeps at least the smallest distance that the wire can say."""
    assert requests.relative(distance) == expected


@pytest.mark.parametrize("distance", [0, -1_000])
def test_a_distance_of_nothing_is_our_mistake(distance: int) -> None:
    """The server would take 0 for no stop at all."""
    with pytest.raises(LocalError, match="distance"):
        requests.relative(distance)


def test_questions_name_their_account() -> None:
    """Each question is a message of the account that asks, and the two lists are historical."""
    account = AccountId(5)
    asked = [
        requests.ask_trader(account), requests.ask_assets(account), requests.ask_symbols(account),
        requests.ask_specs(account, [1, 2]), requests.ask_state(account), requests.ask_deals(account, 1, 2),
        requests.ask_orders(account, 1, 2), requests.subscribe_spots(account, [1]),
        requests.unsubscribe_spots(account, [1]),
    ]  # fmt: skip
    assert all(catalogue.account_of(message) == 5 for message in asked)
    assert [catalogue.type_of(message) in catalogue.HISTORICAL for message in asked] == [False] * 5 + [
        True,
        True,
        False,
        False,
    ]
    assert all(message.IsInitialized() for message in asked)


def test_what_no_message_can_carry_is_refused_here_and_ends_no_connection() -> None:
    """The wire counts points in 32 bits and distances in 64; a connection that failed over one would hold up all."""
    range_ = {"order_type": OrderType.MARKET_RANGE, "base_price": Price(1)}
    for fields in ({**range_, "slippage_points": 2**31}, {"relative_stop": Distance(10**23)}):
        with pytest.raises(LocalError, match="cannot ask for open"):
            request(CommandKind.OPEN, **fields)
