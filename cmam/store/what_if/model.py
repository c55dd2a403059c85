"""The broker that a what-if asks: a model that answers each request by what was recorded, and by nothing else.

A request like a recorded one is answered as that was, at its price and after its time, for the volume that is asked
now; what was refused then is refused again. Any other fills whole, at the side of the newest recorded quote. Levels and
resting orders are reached when a recorded quote shows it, and are filled at their own price. Swap that was never
recorded is zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import ceil

from cmam.domain.account import AccountView
from cmam.domain.commands import Command, CommandKind
from cmam.domain.conversion import Rates, chain_symbols
from cmam.domain.copies import Intent
from cmam.domain.equity import expected_margin, symbols_for
from cmam.domain.events import Event, ExecutionSeen, IntentDropped
from cmam.domain.ids import DealId, OrderId, PositionId, SymbolId
from cmam.domain.quantities import PRICE_SCALE, VOLUME_SCALE, Price, Quote, Side, Volume
from cmam.domain.risk import commission_per_unit
from cmam.domain.sizing import Missing
from cmam.domain.trades import (
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
from cmam.store.what_if.answers import Answer, Answers

FIRST_ID = 7_000_000_000_000_000_000
"""Where the names of modelled positions, orders and deals begin: above all that a broker gives, within its int64."""
ABOUT_MONEY = ("NOT_ENOUGH_MONEY", "TRADING_BAD_VOLUME")
"""Refusals that a smaller volume may not meet."""
USD = "USD"
NO_QUOTE = "no quote is recorded for it"

QuoteOf = Callable[[str], Quote | None]


@dataclass(slots=True)
class Counted:
    """How much of a what-if is a model."""

    by_record: int = 0
    by_quote: int = 0
    by_leader: int = 0
    unpriced: int = 0

    @property
    def fills(self) -> int:
        """All fills that are not recorded ones."""
        return self.by_record + self.by_quote + self.by_leader


@dataclass(slots=True)
class Model:
    """One account's modelled broker. It holds names and counts only; what it knows of the account is the view."""

    answers: Answers
    quote_of: QuoteOf
    counted: Counted = field(default_factory=Counted)
    _last_id: int = FIRST_ID

    def answer_to(self, view: AccountView, intent: Intent) -> tuple[Answer | None, int]:
        """The recorded answer to the same request, if there was one, and how long this one takes."""
        like = self.answers.like(view.account, intent.key, intent.command.kind, intent.recorded_us)
        if like is None or not like.ended_us or like.recorded.command.kind is CommandKind.PLACE:
            return like, self.answers.span_us(view.account)
        return like, like.span_us

    # --- requests ---------------------------------------------------------------------------------------------------

    def report(self, view: AccountView, intent: Intent, like: Answer | None, now_us: int) -> tuple[Event, ...]:
        """What the broker says of a request when its time has come."""
        if like is not None and _holds_again(like, intent):
            return (_again(like, intent),)
        match intent.command.kind:
            case CommandKind.OPEN | CommandKind.ADD:
                return self._open(view, intent, like, now_us)
            case CommandKind.CLOSE:
                return self._close(view, intent, like, now_us)
            case CommandKind.AMEND_PROTECTION:
                return self._amend(view, intent, now_us)
            case _:
                return self._order(view, intent, now_us)

    def _open(self, view: AccountView, intent: Intent, like: Answer | None, now_us: int) -> tuple[Event, ...]:
        command = intent.command
        price = self._price(view, command.symbol, command.side, like, intent, opens=True)
        if price is None:
            return (IntentDropped(intent=intent.intent, reason=NO_QUOTE),)
        if _is_beyond(view, command, price) and (like is None or like.price is None):
            order = self._new_order(intent, OrderStatus.CANCELLED, now_us)
            return (ExecutionSeen(kind=ExecutionKind.ORDER_REJECTED, order=order, client_msg_id=intent.intent),)
        left = Volume(command.volume - intent.filled)
        return self._filled(view, intent, left, price, like, now_us)

    def _close(self, view: AccountView, intent: Intent, like: Answer | None, now_us: int) -> tuple[Event, ...]:
        command = intent.command
        held = view.positions.get(command.position) if command.position is not None else None
        if held is None:
            return (IntentDropped(intent=intent.intent, reason="the position is gone"),)
        price = self._price(view, command.symbol, held.side.opposite, like, intent, opens=False)
        volume = Volume(min(held.volume, held.volume if command.whole else command.volume))
        return (self.closed(view, held, volume, price or held.price or Price(0), like, now_us, name=intent.intent),)

    def _amend(self, view: AccountView, intent: Intent, now_us: int) -> tuple[Event, ...]:
        command = intent.command
        held = view.positions.get(command.position) if command.position is not None else None
        if held is None:
            return (IntentDropped(intent=intent.intent, reason="the position is gone"),)
        changed = replace(
            held,
            stop=command.stop,
            target=command.target,
            trailing=command.trailing,
            guaranteed=command.guaranteed,
            updated_ms=_later(held, now_us),
        )
        return (self._protected(changed, intent.intent, is_server_event=False),)

    def _order(self, view: AccountView, intent: Intent, now_us: int) -> tuple[Event, ...]:
        command = intent.command
        if command.kind is CommandKind.PLACE:
            order = self._new_order(intent, OrderStatus.ACCEPTED, now_us)
            kind = ExecutionKind.ORDER_ACCEPTED
        else:
            known = view.orders.get(command.order) if command.order is not None else None
            if known is None:
                return (IntentDropped(intent=intent.intent, reason="the order is gone"),)
            now_ms = max(known.updated_ms, now_us // 1_000)
            if command.kind is CommandKind.CANCEL:
                order = replace(known, status=OrderStatus.CANCELLED, updated_ms=now_ms)
                kind = ExecutionKind.ORDER_CANCELLED
            else:
                order = replace(
                    known,
                    volume=command.volume,
                    limit_price=command.limit_price,
                    stop_price=command.stop_price,
                    relative_stop=command.relative_stop,
                    relative_target=command.relative_target,
                    trailing=command.trailing,
                    guaranteed=command.guaranteed,
                    trigger=command.trigger,
                    expires_ms=command.expires_ms,
                    slippage_points=command.slippage_points,
                    updated_ms=now_ms,
                )
                kind = ExecutionKind.ORDER_REPLACED
        return (ExecutionSeen(kind=kind, order=order, client_msg_id=intent.intent),)

    def _new_order(self, intent: Intent, status: OrderStatus, now_us: int) -> Order:
        command = intent.command
        return Order(
            order=intent.order or OrderId(self._next()),
            symbol=command.symbol,
            side=command.side,
            type=command.order_type,
            volume=command.volume,
            status=status,
            limit_price=command.limit_price,
            stop_price=command.stop_price,
            relative_stop=command.relative_stop,
            relative_target=command.relative_target,
            trailing=command.trailing,
            guaranteed=command.guaranteed,
            trigger=command.trigger,
            time_in_force=command.time_in_force or TimeInForce.GTC,
            expires_ms=command.expires_ms,
            slippage_points=command.slippage_points,
            client_order_id=intent.intent,
            label=command.label,
            comment=command.comment,
            opened_ms=now_us // 1_000,
            updated_ms=now_us // 1_000,
        )

    # --- fills --------------------------------------------------------------------------------------------------------

    def _filled(
        self, view: AccountView, intent: Intent, volume: Volume, price: Price, like: Answer | None, now_us: int
    ) -> tuple[Event, ...]:
        order = replace(
            self._new_order(intent, OrderStatus.FILLED, now_us),
            executed_volume=intent.command.volume,
            execution_price=price,
        )
        return self.opened(view, order, volume, price, like, now_us, name=intent.intent)

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
            return (self.closed(view, held, volume, price, like, now_us, name=name, order=order),)
        commission = self._commission(view, order.symbol, volume, price, like, now_us)
        if held is None:
            position = Position(
                position=self._position_for(view, like),
                symbol=order.symbol,
                side=order.side,
                volume=volume,
                price=price,
                commission=commission,
                used_margin=self._margin(view, order.symbol, volume, like, now_us),
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
                used_margin=held.used_margin + self._margin(view, order.symbol, volume, like, now_us),
                updated_ms=_later(held, now_us),
            )
        deal = self._deal(order, position.position, volume, price, now_us, commission=commission)
        order = replace(order, position=position.position)
        filled = ExecutionSeen(
            kind=ExecutionKind.ORDER_FILLED, order=order, position=position, deal=deal, client_msg_id=name
        )
        if held is not None or (order.relative_stop is None and order.relative_target is None):
            return (filled,)
        sign = order.side.sign
        protected = replace(
            position,
            stop=Price(price - sign * order.relative_stop) if order.relative_stop is not None else None,
            target=Price(price + sign * order.relative_target) if order.relative_target is not None else None,
            trailing=order.trailing,
            guaranteed=order.guaranteed,
        )
        return (filled, self._protected(protected, name, is_server_event=True))

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
    ) -> ExecutionSeen:
        """A position was closed, whole or in part; what a netted order closes beyond it opens the other side."""
        closing = Volume(min(volume, held.volume))
        part = Fraction(closing, held.volume)
        gross, fee = self._gross(view, held, closing, price, now_us)
        swap, opening = round(held.swap * part), round(held.commission * part)
        commission = opening + self._commission(view, held.symbol, closing, price, like, now_us)
        beyond, now_ms = volume - closing, _later(held, now_us)
        left = replace(
            held,
            volume=Volume(held.volume - closing),
            swap=held.swap - swap,
            commission=held.commission - opening,
            used_margin=held.used_margin - round(held.used_margin * part),
            updated_ms=now_ms,
        )
        if beyond > 0:
            left = replace(left, side=held.side.opposite, volume=Volume(beyond), price=price, stop=None, target=None)
        elif left.volume == 0:
            left = replace(left, status=PositionStatus.CREATED, closed_ms=now_ms)
        if order is None:
            order = Order(
                order=OrderId(self._next()),
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
        deal = self._deal(order, held.position, volume, price, now_us, commission=commission - opening)
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
            deal=DealId(self._next()),
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

    def _protected(self, position: Position, name: str, *, is_server_event: bool) -> ExecutionSeen:
        order = Order(
            order=OrderId(self._next()),
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

    def _next(self) -> int:
        self._last_id += 1
        return self._last_id

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
        return PositionId(self._next())

    # --- prices and money ---------------------------------------------------------------------------------------------

    def _price(
        self, view: AccountView, symbol: SymbolId, side: Side, like: Answer | None, intent: Intent, *, opens: bool
    ) -> Price | None:
        if like is not None and like.price is not None and like.recorded.command.side is intent.command.side:
            self.counted.by_record += 1
            return Price(like.price)
        spec = view.specs.get(symbol)
        quote = self.quote_of(spec.name) if spec is not None else None
        if quote is not None:
            self.counted.by_quote += 1
            return quote.entry(side)
        copy = view.copies.get(intent.key)
        if opens and copy is not None and copy.goal.leader_price is not None:
            self.counted.by_leader += 1
            return copy.goal.leader_price
        self.counted.unpriced += 1
        return None

    def rates(self, view: AccountView, now_us: int, names: Iterable[str]) -> Rates:
        """The quotes of now by these names, however old: a model has no better ones."""
        quotes: Mapping[str, Quote] = {
            name: replace(quote, seen_us=now_us) for name in names if (quote := self.quote_of(name)) is not None
        }
        return Rates(view, quotes, now_us, 1)

    def _gross(self, view: AccountView, held: Position, volume: Volume, price: Price, now_us: int) -> tuple[int, int]:
        """What a close realises in minor units, and the broker's fee for converting it."""
        spec = view.specs.get(held.symbol)
        if spec is None or held.price is None:
            return 0, 0
        gain = Fraction((price - held.price) * held.side.sign * volume, PRICE_SCALE * VOLUME_SCALE)
        names = chain_symbols(view, spec.quote_name, view.currency)
        rate = self.rates(view, now_us, names).rate(spec.quote_name, view.currency, high=gain < 0)
        if spec.quote_name == view.currency:
            rate = Fraction(1)
        if rate is None:
            self.counted.unpriced += 1
            return 0, 0
        gross = gain * rate * 10**view.money_digits
        fee = abs(gross) * spec.conversion_fee_rate / 10_000 if spec.quote_name != view.currency else Fraction(0)
        return round(gross), -round(fee)

    def _commission(
        self, view: AccountView, symbol: SymbolId, volume: Volume, price: Price, like: Answer | None, now_us: int
    ) -> int:
        money = view.currency
        if like is not None and like.volume:
            return round(Fraction(sum(deal.commission for deal in like.deals) * volume, like.volume))
        known = self.answers.commission(view.account, symbol, volume)
        spec = view.specs.get(symbol)
        if known is not None or spec is None or not spec.commission_rate_e8:
            return known or 0
        names = (*symbols_for(view, spec), *chain_symbols(view, spec.base_name, USD), *chain_symbols(view, USD, money))
        rates = self.rates(view, now_us, names)
        to_deposit = Fraction(1) if spec.quote_name == money else rates.rate(spec.quote_name, money, high=True)
        if to_deposit is None:
            return 0
        try:
            unit = commission_per_unit(spec, rates, Fraction(price, PRICE_SCALE), to_deposit)
        except Missing:
            return 0
        return -ceil(Fraction(volume, VOLUME_SCALE) * unit * 10**view.money_digits)

    def _margin(self, view: AccountView, symbol: SymbolId, volume: Volume, like: Answer | None, now_us: int) -> int:
        if like is not None and like.margin:
            return round(like.margin * volume)
        known = self.answers.margin(view.account, symbol, volume)
        spec = view.specs.get(symbol)
        if known or spec is None:
            return known
        names = (*symbols_for(view, spec), *chain_symbols(view, spec.base_name, view.currency))
        worth = expected_margin(self.rates(view, now_us, names), spec, volume)
        return round(worth * 10**view.money_digits) if worth is not None else 0

    # --- what prices and time do --------------------------------------------------------------------------------------

    def level_hit(self, view: AccountView, held: Position, level: Price, now_us: int) -> ExecutionSeen:
        """The broker closes a position at one of its levels."""
        self.counted.by_quote += 1
        return self.closed(view, held, held.volume, level, None, now_us, kind=OrderType.PROTECTION)

    def order_filled(self, view: AccountView, order: Order, price: Price, now_us: int) -> tuple[Event, ...]:
        """A resting order fills whole."""
        self.counted.by_quote += 1
        volume = Volume(order.volume - order.executed_volume)
        filled = replace(
            order,
            status=OrderStatus.FILLED,
            executed_volume=order.volume,
            execution_price=price,
            updated_ms=max(order.updated_ms, now_us // 1_000),
        )
        return self.opened(view, filled, volume, price, None, now_us)

    def order_ended(self, order: Order, kind: ExecutionKind) -> ExecutionSeen:
        """A resting order ends unfilled, by nobody's request of ours."""
        return ExecutionSeen(kind=kind, order=order, is_server_event=True)

    def protected(self, position: Position) -> ExecutionSeen:
        """Somebody else set a position's levels."""
        return self._protected(position, "", is_server_event=True)

    def reached(self, view: AccountView, held: Position, known: Position | None) -> Price | None:
        """The level of a position that the newest quote has reached; the stop first. One that the recorded position has
        too is not looked at: the record says when it was reached."""
        spec = view.specs.get(held.symbol)
        quote = self.quote_of(spec.name) if spec is not None else None
        if quote is None:
            return None
        now, sign = quote.exit(held.side), held.side.sign
        stop = held.stop if known is None or known.stop != held.stop else None
        target = held.target if known is None or known.target != held.target else None
        if stop is not None and (now - stop) * sign <= 0:
            return stop
        if target is not None and (now - target) * sign >= 0:
            return target
        return None

    def triggered(self, view: AccountView, order: Order) -> Price | None:
        """The price of a resting order that the newest quote has reached."""
        spec = view.specs.get(order.symbol)
        quote = self.quote_of(spec.name) if spec is not None else None
        if quote is None:
            return None
        now, sign = quote.entry(order.side), order.side.sign
        if order.type is OrderType.LIMIT and order.limit_price is not None:
            return order.limit_price if (now - order.limit_price) * sign <= 0 else None
        if order.stop_price is not None:
            return order.stop_price if (now - order.stop_price) * sign >= 0 else None
        return None


def _later(held: Position, now_us: int) -> int:
    return max(held.updated_ms, now_us // 1_000)


def _holds_again(like: Answer, intent: Intent) -> bool:
    """Whether the request is refused, rejected or kept back as the recorded one was."""
    if like.deals or not (like.refusal or like.rejected or like.dropped):
        return False
    code = like.refusal.error_code if like.refusal is not None else ""
    code = like.rejected.error_code if like.rejected is not None else code
    return not (code in ABOUT_MONEY and intent.command.volume < like.recorded.command.volume)


def _again(like: Answer, intent: Intent) -> Event:
    if like.refusal is not None:
        return replace(like.refusal, intent=intent.intent)
    if like.rejected is not None:
        order = like.rejected.order
        order = replace(order, client_order_id=intent.intent) if order is not None else None
        return replace(like.rejected, order=order, client_msg_id=intent.intent)
    return IntentDropped(intent=intent.intent, reason=like.dropped)


def _is_beyond(view: AccountView, command: Command, price: Price) -> bool:
    """Whether the market has left the range that a market range order allows."""
    spec = view.specs.get(command.symbol)
    if command.base_price is None or command.slippage_points is None or spec is None:
        return False
    return (price - command.base_price) * command.side.sign > command.slippage_points * spec.tick
