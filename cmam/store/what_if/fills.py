"""Modelled fills: into a position of its own, into the one that is added to, into or against the net of a symbol."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from cmam.domain.belief.view import AccountView
from cmam.domain.events import Event, ExecutionSeen
from cmam.domain.values.ids import DealId, OrderId, PositionId
from cmam.domain.values.quantities import Price, Volume
from cmam.domain.values.trades import (
    CloseDetail,
    Deal,
    ExecutionKind,
    Order,
    OrderStatus,
    OrderType,
    Position,
    PositionStatus,
)
from cmam.store.what_if.answers import Answer
from cmam.store.what_if.money import Money

FIRST_ID = 7_000_000_000_000_000_000
"""Where the names of modelled positions, orders and deals begin: above all that a broker gives, within its int64."""


@dataclass(slots=True)
class Fills(Money):
    """What fills do to an account."""

    last_id: int = FIRST_ID

    def opened(
        self,
        view: AccountView,
        order: Order,
        volume: Volume,
        price: Price,
        like: Answer | None,
        now_us: int,
        *,
        name: str = "",
    ) -> tuple[Event, ...]:
        """An order filled: into a position of its own, into the one it adds to, or into the net of its symbol."""
        held = self._held_for(view, order, name)
        if held is not None and held.side is not order.side:
            turned = self.closed(view, held, volume, price, like, now_us, name=name, order=order)
            left = turned.position
            is_new = left is not None and left.volume > 0 and left.side is order.side
            return (turned, *self._protected(left, order, price, name)) if left is not None and is_new else (turned,)
        commission = self.commission_of(view, order.symbol, volume, price, like, now_us)
        if held is None:
            position = Position(
                position=self._position_for(view, like),
                symbol=order.symbol,
                side=order.side,
                volume=volume,
                price=price,
                commission=commission,
                used_margin=self.margin_of(view, order.symbol, volume, like, now_us),
                label=order.label,
                comment=order.comment,
                trigger=order.trigger,
                opened_ms=now_us // 1_000,
                updated_ms=now_us // 1_000,
            )
        else:
            whole = held.volume + volume
            paid = (held.price or price) * held.volume + price * volume
            position = replace(
                held,
                volume=Volume(whole),
                price=Price(round(Fraction(paid, whole))),
                commission=held.commission + commission,
                used_margin=held.used_margin + self.margin_of(view, order.symbol, volume, like, now_us),
                updated_ms=later_of(held, now_us),
            )
        deal = self._deal(order, position.position, volume, price, now_us, commission=commission)
        order = replace(order, position=position.position)
        filled = ExecutionSeen(
            kind=ExecutionKind.ORDER_FILLED, order=order, position=position, deal=deal, client_msg_id=name
        )
        return (filled,) if held is not None else (filled, *self._protected(position, order, price, name))

    def _protected(self, position: Position, order: Order, price: Price, name: str) -> Iterator[ExecutionSeen]:
        """The report of the levels that what an order has opened gets with it."""
        if order.relative_stop is None and order.relative_target is None:
            return
        sign = order.side.sign
        protected = replace(
            position,
            stop=Price(price - sign * order.relative_stop) if order.relative_stop is not None else None,
            target=Price(price + sign * order.relative_target) if order.relative_target is not None else None,
            trailing=order.trailing,
            guaranteed=order.guaranteed,
        )
        yield self.with_levels(protected, name, is_server_event=True)

    def closed(
        self,
        view: AccountView,
        held: Position,
        volume: Volume,
        price: Price,
        like: Answer | None,
        now_us: int,
        *,
        name: str = "",
        order: Order | None = None,
        kind: OrderType = OrderType.MARKET,
        stop_out: bool = False,
        told: Deal | None = None,
    ) -> ExecutionSeen:
        """A position was closed, whole or in part; what a netted order closes beyond it opens the other side. `told` is
        the recorded deal of a close that nobody here asked for."""
        closing = Volume(min(volume, held.volume))
        part = Fraction(closing, held.volume)
        then = (told,) if told is not None else like.deals if like is not None else ()
        gross, fee = self.realised(view, held, closing, price, then, now_us)
        swap, opening = round(held.swap * part), round(held.commission * part)
        own = self.commission_of(view, held.symbol, closing, price, like, now_us)
        commission = opening + own
        beyond, now_ms = volume - closing, later_of(held, now_us)
        left = replace(
            held,
            volume=Volume(held.volume - closing),
            swap=held.swap - swap,
            commission=held.commission - opening,
            used_margin=held.used_margin - round(held.used_margin * part),
            updated_ms=now_ms,
        )
        if beyond > 0:
            cost = self.commission_of(view, held.symbol, Volume(beyond), price, like, now_us)
            own += cost
            left = replace(
                left,
                side=held.side.opposite,
                volume=Volume(beyond),
                price=price,
                stop=None,
                target=None,
                commission=cost,
                used_margin=self.margin_of(view, held.symbol, Volume(beyond), like, now_us),
            )
        elif left.volume == 0:
            left = replace(left, status=PositionStatus.CREATED, closed_ms=now_ms)
        if order is None:
            order = Order(
                order=OrderId(self.next_id()),
                symbol=held.symbol,
                side=held.side.opposite,
                type=kind,
                volume=closing,
                status=OrderStatus.FILLED,
                executed_volume=closing,
                execution_price=price,
                position=held.position,
                closing=True,
                stop_out=stop_out,
                label=held.label,
                opened_ms=now_ms,
                updated_ms=now_ms,
            )
        detail = CloseDetail(
            entry_price=held.price or price,
            gross=gross,
            swap=swap,
            commission=commission,
            conversion_fee=fee,
            balance=view.balance + gross + swap + commission + fee,
            balance_version=view.balance_version,
            closed_volume=closing,
            money_digits=view.money_digits,
        )
        deal = self._deal(order, held.position, volume, price, now_us, commission=own)
        return ExecutionSeen(
            kind=ExecutionKind.ORDER_FILLED,
            order=order,
            position=left,
            deal=replace(deal, close=detail),
            client_msg_id=name,
            is_server_event=not name,
        )

    def _deal(
        self, order: Order, position: PositionId, volume: Volume, price: Price, now_us: int, *, commission: int
    ) -> Deal:
        return Deal(
            deal=DealId(self.next_id()),
            order=order.order,
            position=position,
            symbol=order.symbol,
            side=order.side,
            volume=volume,
            filled_volume=volume,
            price=price,
            executed_ms=now_us // 1_000,
            created_ms=now_us // 1_000,
            commission=commission,
        )

    def with_levels(self, position: Position, name: str, *, is_server_event: bool) -> ExecutionSeen:
        """The report that a position has these levels now."""
        order = Order(
            order=OrderId(self.next_id()),
            symbol=position.symbol,
            side=position.side.opposite,
            type=OrderType.PROTECTION,
            volume=position.volume,
            stop_price=position.stop,
            limit_price=position.target,
            position=position.position,
            closing=True,
            label=position.label,
            updated_ms=position.updated_ms,
        )
        return ExecutionSeen(
            kind=ExecutionKind.ORDER_ACCEPTED,
            order=order,
            position=position,
            client_msg_id=name,
            is_server_event=is_server_event,
        )

    def next_id(self) -> int:
        """A name for something that no broker made."""
        self.last_id += 1
        return self.last_id

    def _held_for(self, view: AccountView, order: Order, name: str) -> Position | None:
        """The position that an order's fill goes into."""
        if view.is_netted():
            return next((held for held in view.positions.values() if held.symbol == order.symbol), None)
        intent = next((one for one in view.intents.values() if one.intent == name), None)
        position = intent.command.position if intent is not None else None
        copy = view.copies.get(intent.key) if intent is not None else None
        if position is None and copy is not None:
            position = copy.position
        return view.positions.get(position) if position is not None else None

    def _position_for(self, view: AccountView, like: Answer | None) -> PositionId:
        """The recorded name of the position, so that what follows it is told of the same one."""
        for deal in like.deals if like is not None else ():
            if deal.close is None and deal.position not in view.positions and deal.position not in view.closed:
                return deal.position
        return PositionId(self.next_id())


def later_of(held: Position, now_us: int) -> int:
    """The broker's time of a change to a position: never before the last one."""
    return max(held.updated_ms, now_us // 1_000)
