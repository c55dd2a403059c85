"""A broker's books as values: what a request makes of them, and what is told of it; nothing is ever changed in place.

The sequences of events are those of `docs/wire.md` (wire.md#opens and what follows). More than is held is not closed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from cmam.domain.events import ExecutionSeen, IntentRecorded
from cmam.domain.values.commands import Command, CommandKind
from cmam.domain.values.ids import DealId, IntentId, OrderId, PositionId
from cmam.domain.values.quantities import Price, Side, Volume
from cmam.domain.values.trades import (
    CloseDetail,
    Deal,
    ExecutionKind,
    Order,
    OrderStatus,
    OrderType,
    Position,
    PositionStatus,
    TimeInForce,
)

PRICE = Price(110_000_000)


@dataclass(frozen=True)
class Books:
    """What a broker holds of one account, and what it remembers: all orders that have ended and all deals, the oldest
    first, and which requests it has carried out."""

    netted: bool = False
    positions: Mapping[PositionId, Position] = field(default_factory=dict)
    orders: tuple[Order, ...] = ()
    resting: Mapping[OrderId, Order] = field(default_factory=dict)
    deals: tuple[Deal, ...] = ()
    done: tuple[IntentId, ...] = ()
    changed_us: int = 0
    last: int = 7_000

    @property
    def history(self) -> tuple[Order, ...]:
        """All orders, those that rest last."""
        return (*self.orders, *self.resting.values())

    def carried_out(self, intent: IntentRecorded, now_us: int) -> tuple[Books, tuple[ExecutionSeen, ...] | str]:
        """The books after a request, and its events; or as they are, and the code with which it is refused."""
        command, position = intent.command, intent.command.position
        if position is not None and position not in self.positions:
            return self, "POSITION_NOT_FOUND"
        if intent.command.order is not None and intent.command.order not in self.resting:
            return self, "ORDER_NOT_FOUND"
        rests = self.resting[command.order] if command.order is not None else None
        if rests is not None and command.kind is CommandKind.AMEND_ORDER and command.volume <= rests.executed_volume:
            return self, "TRADING_BAD_VOLUME"
        is_close = command.kind is CommandKind.CLOSE
        if is_close and position is not None and command.volume > self.positions[position].volume:
            return self, "TRADING_BAD_VOLUME"
        books = replace(self, done=(*self.done, intent.intent), changed_us=now_us)
        if command.kind is CommandKind.AMEND_PROTECTION:
            assert position is not None
            return books._amended(intent, self.positions[position], now_us // 1_000)
        if command.kind is CommandKind.PLACE or command.order is not None:
            return books._rested(intent, now_us // 1_000)
        return books._dealt(intent, now_us // 1_000)

    def _rested(self, intent: IntentRecorded, now_ms: int) -> tuple[Books, tuple[ExecutionSeen, ...]]:
        """An order is placed, amended or cancelled."""
        command = intent.command
        if command.order is None:
            order = Order(
                order=OrderId(self.last + 2),
                symbol=command.symbol,
                side=command.side,
                type=command.order_type,
                volume=command.volume,
                position=PositionId(self.last + 1),
                client_order_id=intent.intent,
                label=command.label,
                opened_ms=now_ms,
            )
        else:
            order = self.resting[command.order]
        if command.kind is CommandKind.CANCEL:
            return self._ended(order, OrderStatus.CANCELLED, intent.intent, now_ms)
        order = replace(
            order,
            volume=command.volume,
            limit_price=command.limit_price,
            stop_price=command.stop_price,
            relative_stop=command.relative_stop,
            relative_target=command.relative_target,
            time_in_force=command.time_in_force or TimeInForce.GTC,
            expires_ms=command.expires_ms,
            trigger=command.trigger,
            updated_ms=now_ms,
        )
        kind = ExecutionKind.ORDER_ACCEPTED if command.order is None else ExecutionKind.ORDER_REPLACED
        books = replace(self, resting={**self.resting, order.order: order}, last=self.last + 3)
        shown = self.positions.get(order.position) if order.position is not None else None
        told = ExecutionSeen(kind=kind, order=order, position=shown or _named(order), client_msg_id=intent.intent)
        return books, (told,)

    def _ended(
        self, order: Order, status: OrderStatus, name: str, now_ms: int
    ) -> tuple[Books, tuple[ExecutionSeen, ...]]:
        order = replace(order, status=status, updated_ms=now_ms)
        resting = {key: other for key, other in self.resting.items() if key != order.order}
        is_cancel = status is OrderStatus.CANCELLED
        kind = ExecutionKind.ORDER_CANCELLED if is_cancel else ExecutionKind.ORDER_EXPIRED
        shown = self.positions.get(order.position) if order.position is not None else None
        gone = replace(_named(order), status=PositionStatus.CLOSED, closed_ms=now_ms)
        told = ExecutionSeen(
            kind=kind, order=order, position=shown or gone, client_msg_id=name, is_server_event=not is_cancel
        )
        return replace(self, resting=resting, orders=(*self.orders, order)), (told,)

    def filled(self, key: OrderId, volume: Volume, now_us: int) -> tuple[Books, tuple[ExecutionSeen, ...]]:
        """So much of an order that rests is filled by the market."""
        order, now_ms = self.resting[key], now_us // 1_000
        assert order.position is not None
        done = Volume(order.executed_volume + volume)
        is_whole = done == order.volume
        status = OrderStatus.FILLED if is_whole else OrderStatus.ACCEPTED
        order = replace(order, status=status, executed_volume=done, execution_price=PRICE, updated_ms=now_ms)
        held = self.positions.get(order.position) or replace(_named(order), price=PRICE, opened_ms=now_ms)
        held = replace(held, status=PositionStatus.OPEN, volume=Volume(held.volume + volume), updated_ms=now_ms)
        deal = Deal(
            deal=DealId(self.last + 1),
            order=key,
            position=order.position,
            symbol=order.symbol,
            side=order.side,
            volume=order.volume,
            filled_volume=volume,
            price=PRICE,
            executed_ms=now_ms,
            created_ms=now_ms,
        )
        resting = {other: rest for other, rest in self.resting.items() if other != key or not is_whole}
        if not is_whole:
            resting[key] = order
        books = replace(
            self,
            positions={**self.positions, held.position: held},
            orders=(*self.orders, order) if is_whole else self.orders,
            resting=resting,
            deals=(*self.deals, deal),
            changed_us=now_us,
            last=self.last + 1,
        )
        kind = ExecutionKind.ORDER_FILLED if is_whole else ExecutionKind.ORDER_PARTIAL_FILL
        return books, (ExecutionSeen(kind=kind, order=order, position=held, deal=deal),)

    def _amended(self, intent: IntentRecorded, held: Position, now_ms: int) -> tuple[Books, tuple[ExecutionSeen, ...]]:
        command = intent.command
        had = held.stop is not None or held.target is not None
        held = replace(held, stop=command.stop, target=command.target, trailing=command.trailing, updated_ms=now_ms)
        kind = ExecutionKind.ORDER_REPLACED if had else ExecutionKind.ORDER_ACCEPTED
        told = _protective(held, kind, now_ms, intent.intent, is_server=False)
        return replace(self, positions={**self.positions, held.position: held}), (told,)

    def _dealt(self, intent: IntentRecorded, now_ms: int) -> tuple[Books, tuple[ExecutionSeen, ...]]:
        command, is_close = intent.command, intent.command.kind is CommandKind.CLOSE
        known = self._meant(command)
        position = known or Position(
            position=PositionId(self.last + 1),
            symbol=command.symbol,
            side=command.side,
            volume=Volume(0),
            price=PRICE,
            label=command.label,
            opened_ms=now_ms,
        )
        signed = position.volume * position.side.sign + command.volume * command.side.sign
        is_less = command.side is not position.side
        side = Side.BUY if signed > 0 else Side.SELL if signed < 0 else position.side
        status = PositionStatus.OPEN if signed else PositionStatus.CREATED
        after = replace(position, side=side, volume=Volume(abs(signed)), status=status, updated_ms=now_ms)
        order = Order(
            order=OrderId(self.last + 2),
            symbol=command.symbol,
            side=command.side,
            type=OrderType.MARKET,
            volume=command.volume,
            position=position.position,
            client_order_id=f"server-{self.last}" if is_close else intent.intent,
            label=position.label if is_close else command.label,
            closing=is_close,
            time_in_force=TimeInForce.IOC,
            relative_stop=command.relative_stop,
            opened_ms=now_ms,
            updated_ms=now_ms,
        )
        executed = replace(order, status=OrderStatus.FILLED, executed_volume=command.volume, execution_price=PRICE)
        closing = CloseDetail(
            entry_price=PRICE, gross=0, swap=0, commission=0, balance=1_000_000, closed_volume=command.volume
        )
        deal = Deal(
            deal=DealId(self.last + 3),
            order=order.order,
            position=position.position,
            symbol=command.symbol,
            side=command.side,
            volume=command.volume,
            filled_volume=command.volume,
            price=PRICE,
            executed_ms=now_ms,
            created_ms=now_ms,
            close=closing if is_less else None,
        )
        name = intent.intent
        before = position if known else replace(position, status=PositionStatus.CREATED)
        told = [
            ExecutionSeen(kind=ExecutionKind.ORDER_ACCEPTED, order=order, position=before, client_msg_id=name),
            ExecutionSeen(
                kind=ExecutionKind.ORDER_FILLED, order=executed, position=after, deal=deal, client_msg_id=name
            ),
        ]
        if known is None and command.relative_stop is not None:
            after = replace(after, stop=Price(PRICE - command.side.sign * command.relative_stop))
            told.append(_protective(after, ExecutionKind.ORDER_ACCEPTED, now_ms, "", is_server=True))
        elif after.stop is not None:
            kind = ExecutionKind.ORDER_REPLACED if signed else ExecutionKind.ORDER_CANCELLED
            ended = after if signed else replace(after, status=PositionStatus.CLOSED, closed_ms=now_ms)
            told.append(_protective(ended, kind, now_ms, name if signed else "", is_server=True))
        positions = {key: held for key, held in self.positions.items() if key != position.position}
        if signed:
            positions[position.position] = after
        books = replace(
            self,
            positions=positions,
            orders=(*self.orders, executed),
            deals=(*self.deals, deal),
            last=self.last + 3,
        )
        return books, tuple(told)

    def _meant(self, command: Command) -> Position | None:
        if command.position is not None:
            return self.positions[command.position]
        nets = (held for held in self.positions.values() if held.symbol == command.symbol)
        return next(nets, None) if self.netted else None


def _named(order: Order) -> Position:
    """The position of an order of which nothing has filled."""
    assert order.position is not None
    return Position(
        position=order.position,
        symbol=order.symbol,
        side=order.side,
        volume=Volume(0),
        label=order.label,
        status=PositionStatus.CREATED,
    )


def _protective(held: Position, kind: ExecutionKind, now_ms: int, name: str, *, is_server: bool) -> ExecutionSeen:
    order = Order(
        order=OrderId(held.position + 100_000),
        symbol=held.symbol,
        side=held.side.opposite,
        type=OrderType.PROTECTION,
        volume=held.volume,
        status=OrderStatus.CANCELLED if kind is ExecutionKind.ORDER_CANCELLED else OrderStatus.ACCEPTED,
        closing=True,
        position=held.position,
        updated_ms=now_ms,
    )
    return ExecutionSeen(kind=kind, order=order, position=held, is_server_event=is_server, client_msg_id=name)
