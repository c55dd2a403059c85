"""The broker that a what-if asks: a model that answers each request by what was recorded, and by nothing else.

A request like a recorded one is answered as that was, at its price and after its time, for the volume that is asked
now; what was refused then is refused again. Any other fills whole, at the side of the newest recorded quote; levels
that were not asked for then are refused where that quote is too near to them, or past. Levels and resting orders are
reached when a recorded quote shows it, and are filled at their own price. Swap that was never recorded is zero.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from cmam.domain.belief.copies import Intent
from cmam.domain.belief.view import AccountView
from cmam.domain.events import Event, ExecutionSeen, IntentDropped, RequestRefused
from cmam.domain.folds.intents import MERGED
from cmam.domain.turns.settling import NOTHING_TO_AMEND
from cmam.domain.values.commands import Command, CommandKind
from cmam.domain.values.ids import OrderId
from cmam.domain.values.quantities import Price, Volume
from cmam.domain.values.trades import ExecutionKind, Order, OrderStatus, OrderType, Position, TimeInForce
from cmam.domain.wanted.levels import least_distance
from cmam.store.what_if.answers import Answer
from cmam.store.what_if.fills import Fills, later_of

ABOUT_MONEY = ("NOT_ENOUGH_MONEY", "TRADING_BAD_VOLUME")
"""Refusals that a smaller volume may not meet."""
NO_QUOTE = "no quote is recorded for it"


@dataclass(slots=True)
class Model(Fills):
    """One account's modelled broker. It holds names and counts only; what it knows of the account is the view."""

    def answer_to(self, view: AccountView, intent: Intent) -> tuple[Answer | None, int]:
        """The recorded answer to the same request, if there was one, and how long this one takes."""
        like = self.answers.like(view.account, intent.key, intent.command.kind, intent.recorded_us)
        if like is not None and like.recorded.command.symbol != intent.command.symbol:
            like = None  # a table has led to another symbol since
        if like is not None and _was_needless(like):
            like = None
        usual_us = self.answers.span_us(view.account)
        if like is None or not like.ended_us:
            return like, usual_us
        if like.recorded.command.kind is CommandKind.PLACE and not _is_in_vain(like):
            return like, usual_us + max(0, like.again_us - like.at_us)  # its end is that of the order
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
                return self._amend(view, intent, like, now_us)
            case _:
                return self._order(view, intent, now_us)

    def _open(self, view: AccountView, intent: Intent, like: Answer | None, now_us: int) -> tuple[Event, ...]:
        command = intent.command
        price = self.price_of(view, command.symbol, command.side, like, intent, opens=True)
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
        price = self.price_of(view, command.symbol, held.side.opposite, like, intent, opens=False)
        volume = Volume(min(held.volume, held.volume if command.whole else command.volume))
        return (self.closed(view, held, volume, price or held.price or Price(0), like, now_us, name=intent.intent),)

    def _amend(self, view: AccountView, intent: Intent, like: Answer | None, now_us: int) -> tuple[Event, ...]:
        command = intent.command
        held = view.positions.get(command.position) if command.position is not None else None
        if held is None:
            return (IntentDropped(intent=intent.intent, reason="the position is gone"),)
        was_taken = like is not None and _levels(like.recorded.command) == _levels(command)
        code = "" if was_taken else self._bad(view, held, command)
        if code:
            return (RequestRefused(intent=intent.intent, error_code=code, position=held.position),)
        changed = replace(
            held,
            stop=command.stop,
            target=command.target,
            trailing=command.trailing,
            guaranteed=command.guaranteed,
            updated_ms=later_of(held, now_us),
        )
        return (self.with_levels(changed, intent.intent, is_server_event=False),)

    def _bad(self, view: AccountView, held: Position, command: Command) -> str:
        """Why the levels of a request are refused as the market is; empty where they are not, or no quote is known."""
        spec, sign = view.specs.get(held.symbol), held.side.sign
        quote = self.quote_of(spec.name) if spec is not None else None
        if spec is None or quote is None:
            return ""
        now = quote.exit(held.side)
        for level, below, points in (
            (command.stop, sign, spec.gsl_distance if command.guaranteed else spec.sl_distance),
            (command.target, -sign, spec.tp_distance),
        ):
            away = 0 if level is None else (now - level) * below
            if away < 0:
                return "TRADING_BAD_STOPS"
            if level is not None and away < least_distance(spec, now, points):
                return "PROTECTION_IS_TOO_CLOSE_TO_MARKET"
        return ""

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
            order=intent.order or OrderId(self.next_id()),
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

    def _filled(
        self, view: AccountView, intent: Intent, volume: Volume, price: Price, like: Answer | None, now_us: int
    ) -> tuple[Event, ...]:
        order = replace(
            self._new_order(intent, OrderStatus.FILLED, now_us),
            executed_volume=intent.command.volume,
            execution_price=price,
        )
        return self.opened(view, order, volume, price, like, now_us, name=intent.intent)

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
        return self.with_levels(position, "", is_server_event=True)

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


def _was_needless(like: Answer) -> bool:
    """Whether a request changed nothing as another one did, or had done, what it asked for: here there may be none."""
    said = like.refusal.description.casefold() if like.refusal is not None else ""
    return not like.deals and (like.dropped == MERGED or NOTHING_TO_AMEND in said)


def _is_in_vain(like: Answer) -> bool:
    """Whether a request was refused, rejected or kept back, or proved absent."""
    return not like.deals and bool(like.refusal or like.rejected or like.dropped)


def _holds_again(like: Answer, intent: Intent) -> bool:
    """Whether the request is refused, rejected or kept back as the recorded one was."""
    if not _is_in_vain(like):
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


def _levels(command: Command) -> tuple[Price | None, Price | None]:
    return command.stop, command.target


def _is_beyond(view: AccountView, command: Command, price: Price) -> bool:
    """Whether the market has left the range that a market range order allows."""
    spec = view.specs.get(command.symbol)
    if command.base_price is None or command.slippage_points is None or spec is None:
        return False
    return (price - command.base_price) * command.side.sign > command.slippage_points * spec.tick
