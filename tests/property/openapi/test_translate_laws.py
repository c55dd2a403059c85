"""Laws of translation: what the wire can say and the domain keeps is the same on both sides of it."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from cmam.domain.values.commands import Command, CommandKind
from cmam.domain.values.ids import AccountId, IntentId, OrderId, PositionId, SymbolId
from cmam.domain.values.quantities import PRICE_SCALE, RELATIVE_SCALE, Distance, Price, Side, Volume
from cmam.domain.values.trades import (
    Order,
    OrderStatus,
    OrderType,
    Position,
    PositionStatus,
    TimeInForce,
    TriggerMethod,
)
from cmam.openapi import fields, requests, translate
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model

DIGITS_MAX = 8
PRICE_EXACT = 10**15
"""Integers of so many digits are exact in a double; at eight decimals that is a price of ten million."""

ids = st.integers(1, 2**63 - 1)
volumes = st.integers(0, 10**15)
moments = st.integers(0, 2**40)
texts = st.text(max_size=30)


@st.composite
def prices_on_a_grid(draw: st.DrawFn) -> Price:
    """A price on the tick grid of a symbol with 0 to 8 digits."""
    tick = 10 ** (DIGITS_MAX - draw(st.integers(0, DIGITS_MAX)))
    return Price(draw(st.integers(1, PRICE_EXACT // tick)) * tick)


levels = st.none() | prices_on_a_grid()
distances = st.none() | st.integers(1, 10**9).map(lambda number: Distance(number * RELATIVE_SCALE))


def number_of(table: dict[int, object], word: object) -> int:
    """The wire's number of one of the domain's words."""
    return next(number for number, known in table.items() if known is word)


@given(prices_on_a_grid())
def test_a_price_of_any_tick_grid_is_exact_both_ways(price: Price) -> None:
    """From 0 to 8 digits each price is the double that the broker would have sent, and comes back as itself."""
    there = requests.real(price)
    assert fields.price(there) == price
    assert there == price / PRICE_SCALE


@given(
    st.integers(0, 5).flatmap(lambda digits: st.tuples(st.just(digits), st.integers(1, 10**9))),
)
def test_a_distance_on_the_tick_grid_stays_on_it(given_digits: tuple[int, int]) -> None:
    """A distance of whole ticks goes out as a multiple of 10^(5-digits), which the server demands, and exactly."""
    digits, ticks = given_digits
    tick = PRICE_SCALE // 10**digits
    sent = requests.relative(ticks * tick)
    assert sent % 10 ** (5 - digits) == 0
    assert sent * RELATIVE_SCALE == ticks * tick


positions = st.builds(
    Position,
    position=ids.map(PositionId),
    symbol=ids.map(SymbolId),
    side=st.sampled_from(Side),
    volume=volumes.map(Volume),
    status=st.sampled_from(PositionStatus),
    price=levels,
    stop=levels,
    target=levels,
    trailing=st.booleans(),
    guaranteed=st.booleans(),
    trigger=st.sampled_from(TriggerMethod),
    swap=st.integers(-(10**12), 10**12),
    commission=st.integers(-(10**12), 10**12),
    used_margin=st.integers(0, 10**12),
    label=texts,
    comment=texts,
    opened_ms=moments,
    updated_ms=moments,
    closed_ms=moments,
)


def wire_position(found: Position) -> model.ProtoOAPosition:
    """A position as a broker would send it, by the schema's own names."""
    wire = model.ProtoOAPosition(
        positionId=found.position,
        tradeData=model.ProtoOATradeData(
            symbolId=found.symbol,
            volume=found.volume,
            tradeSide=model.BUY if found.side is Side.BUY else model.SELL,
            openTimestamp=found.opened_ms,
            closeTimestamp=found.closed_ms,
            label=found.label,
            comment=found.comment,
        ),
        positionStatus=number_of(translate.POSITION_STATUSES, found.status),
        swap=found.swap,
        commission=found.commission,
        usedMargin=found.used_margin,
        trailingStopLoss=found.trailing,
        guaranteedStopLoss=found.guaranteed,
        stopLossTriggerMethod=number_of(translate.TRIGGERS, found.trigger),
        utcLastUpdateTimestamp=found.updated_ms,
    )
    for name, level in (("price", found.price), ("stopLoss", found.stop), ("takeProfit", found.target)):
        if level is not None:
            setattr(wire, name, requests.real(level))
    return wire


@given(positions)
def test_a_position_survives_the_wire(position: Position) -> None:
    """Every field of a position arrives as it was sent, through bytes."""
    wire = model.ProtoOAPosition.FromString(wire_position(position).SerializeToString())
    assert translate.position(wire) == position


orders = st.builds(
    Order,
    order=ids.map(OrderId),
    symbol=ids.map(SymbolId),
    side=st.sampled_from(Side),
    type=st.sampled_from(OrderType),
    volume=volumes.map(Volume),
    status=st.sampled_from(OrderStatus),
    executed_volume=volumes.map(Volume),
    execution_price=levels,
    limit_price=levels,
    stop_price=levels,
    stop=levels,
    target=levels,
    relative_stop=distances,
    relative_target=distances,
    trailing=st.booleans(),
    guaranteed=st.booleans(),
    trigger=st.sampled_from(TriggerMethod),
    time_in_force=st.sampled_from(TimeInForce),
    expires_ms=st.none() | moments,
    base_slippage_price=levels,
    slippage_points=st.none() | st.integers(0, 2**31 - 1),
    position=st.none() | ids.map(PositionId),
    client_order_id=texts,
    label=texts,
    comment=texts,
    closing=st.booleans(),
    stop_out=st.booleans(),
    opened_ms=moments,
    updated_ms=moments,
)


def wire_order(found: Order) -> model.ProtoOAOrder:
    """An order as a broker would send it, by the schema's own names."""
    wire = model.ProtoOAOrder(
        orderId=found.order,
        tradeData=model.ProtoOATradeData(
            symbolId=found.symbol,
            volume=found.volume,
            tradeSide=model.BUY if found.side is Side.BUY else model.SELL,
            openTimestamp=found.opened_ms,
            guaranteedStopLoss=found.guaranteed,
            label=found.label,
            comment=found.comment,
        ),
        orderType=number_of(translate.ORDER_TYPES, found.type),
        orderStatus=number_of(translate.ORDER_STATUSES, found.status),
        executedVolume=found.executed_volume,
        trailingStopLoss=found.trailing,
        stopTriggerMethod=number_of(translate.TRIGGERS, found.trigger),
        timeInForce=number_of(translate.TIMES_IN_FORCE, found.time_in_force),
        clientOrderId=found.client_order_id,
        closingOrder=found.closing,
        isStopOut=found.stop_out,
        utcLastUpdateTimestamp=found.updated_ms,
    )
    prices = {
        "executionPrice": found.execution_price,
        "limitPrice": found.limit_price,
        "stopPrice": found.stop_price,
        "stopLoss": found.stop,
        "takeProfit": found.target,
        "baseSlippagePrice": found.base_slippage_price,
    }
    for name, level in prices.items():
        if level is not None:
            setattr(wire, name, requests.real(level))
    for name, distance in (("relativeStopLoss", found.relative_stop), ("relativeTakeProfit", found.relative_target)):
        if distance is not None:
            setattr(wire, name, requests.relative(distance))
    for name, number in (
        ("expirationTimestamp", found.expires_ms),
        ("slippageInPoints", found.slippage_points),
        ("positionId", found.position),
    ):
        if number is not None:
            setattr(wire, name, number)
    return wire


@given(orders)
def test_an_order_survives_the_wire(order: Order) -> None:
    """Every field of an order arrives as it was sent, through bytes; distances keep their 1/100000."""
    wire = model.ProtoOAOrder.FromString(wire_order(order).SerializeToString())
    assert translate.order(wire) == order


commands = st.builds(
    Command,
    kind=st.sampled_from(CommandKind),
    symbol=ids.map(SymbolId),
    side=st.sampled_from(Side),
    volume=volumes.map(Volume),
    position=ids.map(PositionId),
    order=ids.map(OrderId),
    order_type=st.sampled_from([kind for kind in OrderType if kind is not OrderType.PROTECTION]),
    limit_price=levels,
    stop_price=levels,
    stop=levels,
    target=levels,
    relative_stop=distances,
    relative_target=distances,
    trailing=st.booleans(),
    guaranteed=st.booleans(),
    trigger=st.sampled_from(TriggerMethod),
    time_in_force=st.none() | st.sampled_from(TimeInForce),
    expires_ms=st.none() | moments,
    base_price=prices_on_a_grid(),
    slippage_points=st.integers(0, 2**31 - 1),
    label=texts,
    comment=texts,
)
INTENT = IntentId("cm1.aaaaa.bbbbbb.p1.1")


@given(commands)
def test_each_command_is_a_complete_request_of_its_account(command: Command) -> None:
    """Every required field is there, and the account is the one that asked."""
    message = requests.request(AccountId(5), INTENT, command)
    assert message.IsInitialized()
    assert message.ctidTraderAccountId == 5


@given(commands)
def test_an_amendment_of_levels_says_all_of_them(command: Command) -> None:
    """A level is on the wire exactly if the command has it, and the trailing flag always: nothing is left to chance."""
    message = requests.request(AccountId(5), INTENT, replace(command, kind=CommandKind.AMEND_PROTECTION))
    assert message.HasField("stopLoss") == (command.stop is not None)
    assert message.HasField("takeProfit") == (command.target is not None)
    assert message.HasField("trailingStopLoss")
    if command.stop is not None:
        assert fields.price(message.stopLoss) == command.stop


@given(commands)
def test_a_market_order_never_carries_absolute_levels(command: Command) -> None:
    """The server refuses them, so no command can put them there."""
    kinds = (OrderType.MARKET, OrderType.MARKET_RANGE)
    for kind in kinds:
        opened = replace(command, kind=CommandKind.OPEN, order_type=kind)
        message = requests.request(AccountId(5), INTENT, opened)
        assert not message.HasField("stopLoss")
        assert not message.HasField("takeProfit")
        assert not message.HasField("expirationTimestamp")


@given(commands)
def test_no_request_has_a_level_both_ways(command: Command) -> None:
    """A level goes out as a distance or as a price, never as both."""
    for kind in (CommandKind.PLACE, CommandKind.AMEND_ORDER):
        message = requests.request(AccountId(5), INTENT, replace(command, kind=kind))
        assert not (message.HasField("stopLoss") and message.HasField("relativeStopLoss"))
        assert not (message.HasField("takeProfit") and message.HasField("relativeTakeProfit"))
        if message.HasField("trailingStopLoss"):
            assert message.HasField("stopLoss") or message.HasField("relativeStopLoss")
