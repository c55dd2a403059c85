"""Where orders are taken, filled, amended and refused, and what is told of it in which order.

The sequences of `docs/wire.md` (wire.md#opens and what follows), in the broker's habits. It knows books and the market,
not connections: `say` takes what is told of an account, with the id of the request that caused it.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

from google.protobuf.message import Message

from cmam.openapi._pb import OpenApiMessages_pb2 as wire
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from tests.stranger.books import (
    BUY,
    CANCELLED,
    CREATED,
    EXPIRED,
    FILLED,
    LIMIT,
    MARKET,
    OPEN,
    RANGE,
    REJECTED,
    STOP_LIMIT,
    Book,
    Deal,
    Order,
    Position,
    Symbol,
    fee,
)
from tests.stranger.habits import Habits
from tests.stranger.market import BROKERS, Market
from tests.stranger.words import Words, away, mirrored, protective_of

TOLD_ACCEPTED, TOLD_FILLED, TOLD_REPLACED, TOLD_CANCELLED, TOLD_EXPIRED = 2, 3, 4, 5, 6
TOLD_REJECTED, TOLD_SWAP, TOLD_MONEY, TOLD_PART, TOLD_BONUS = 7, 9, 10, 11, 12
LATE_US = 800_000
FIRST_NUMBER = 70_001
THIN, GRAIN = 0.3, 12
"""How often a thin account's order is not filled whole, and what in steps its halves are multiples of."""


class No(Exception):
    """A refusal of the broker."""

    def __init__(self, code: str, text: str, *, order: int = 0, position: int = 0, retry_s: int = 0) -> None:
        super().__init__(text)
        self.code, self.text, self.order, self.position = code, text, order, position
        self.retry_s = retry_s


class Numbers:
    """Orders, positions and deals are counted apart, each broker from the same first number on."""

    def __init__(self, habits: Habits) -> None:
        self._next: dict[tuple[str, str], int] = {}
        self._chance = random.Random("numbers") if habits.numbers != "next" else None
        self._first = 2**62 if habits.noise else 2**48

    def new(self, broker: str, kind: str) -> int:
        step, first = 1, FIRST_NUMBER
        if self._chance is not None:
            step, first = self._chance.randrange(1, 2**30), self._first
        self._next[broker, kind] = found = self._next.get((broker, kind), first) + step
        return found - step


class Floor:
    """The trading of all accounts."""

    def __init__(
        self,
        habits: Habits,
        market: Market,
        chance: random.Random,
        now_ms: Callable[[], int],
        later: Callable[[int, Callable[[], None]], None],
        say: Callable[[int, Message, str], None],
    ) -> None:
        self.habits = habits
        self.market = market
        self.words = Words(habits)
        self.books: dict[int, Book] = {}
        self._chance = chance
        self._now = now_ms
        self._later = later
        self._say = say
        self._numbers = Numbers(habits)
        self.keeps = 0
        """So much of the next market order never fills: a test's hand on the liquidity."""

    # --- what is told ---------------------------------------------------------------------------------------------

    def _tell(
        self,
        book: Book,
        kind: int,
        order: Order | None,
        held: Position | None,
        deal: Deal | None = None,
        *,
        name: str = "",
        status: int = 0,
        is_server: bool = False,
        error: str = "",
    ) -> None:
        told = self.words.execution(book, kind, order, held, deal, status=status, is_server=is_server)
        if error:
            told.errorCode = error
        if deal is not None and held is not None and self.habits.fills_show != "after":
            self._show_before(told, held, deal)
        if deal is not None and not self.habits.fill_shows_position and not book.netted:
            told.ClearField("position")
        if not self.habits.accepted_shows_position and held is not None and not held.volume and kind == TOLD_ACCEPTED:
            told.ClearField("position")
        for _ in range(2 if self.habits.repeats else 1):
            self._say(book.account, told, name)
        if self.habits.again_us:
            self._later(self.habits.again_us, lambda: self._tell_again(book, told, name))
        if self.habits.values == "new":
            self._say(book.account, self.words.of_no_schema(told), name)
        if self.habits.margin_is_told and deal is not None and held is not None:
            margin = wire.ProtoOAMarginChangedEvent(ctidTraderAccountId=book.account, positionId=held.number)
            margin.usedMargin, margin.moneyDigits = round(held.volume * held.price / 10_000_000), 2
            self._say(book.account, margin, "")

    def _show_before(self, told: wire.ProtoOAExecutionEvent, held: Position, deal: Deal) -> None:
        """Let a fill show its position as it was before it, with the time of then where it was there already."""
        was = held.volume - deal.volume if deal.side == held.side else held.volume + deal.volume
        earlier = [one.at_ms for one in self.books[told.ctidTraderAccountId].deals[:-1] if one.position == held.number]
        told.position.tradeData.volume = max(was, 0)
        told.position.positionStatus = OPEN if was > 0 else CREATED
        if self.habits.fills_show == "before" and earlier and told.position.HasField("utcLastUpdateTimestamp"):
            told.position.utcLastUpdateTimestamp = earlier[-1]

    def _tell_again(self, book: Book, told: wire.ProtoOAExecutionEvent, name: str) -> None:
        """Say it once more, unless the same millisecond has left the position otherwise: nobody could tell which of the
        two was later. Of a fill the deal tells it, as long as the volume is the same."""
        held, then = book.positions.get(told.position.positionId), told.position
        if held is not None and held.updated_ms == then.utcLastUpdateTimestamp:
            now = self.words.position(held)
            is_alike = (now.stopLoss, now.takeProfit) == (then.stopLoss, then.takeProfit) or told.HasField("deal")
            if now.tradeData.volume != then.tradeData.volume or not is_alike:
                return
        self._say(book.account, told, name)

    def tell_money(self, book: Book) -> None:
        """A change of the balance is told by the account's particulars, where the broker does so."""
        if self.habits.money_is_told == "never":
            return
        told = wire.ProtoOATraderUpdatedEvent(ctidTraderAccountId=book.account)
        told.trader.CopyFrom(self.words.trader(book))
        self._later(LATE_US if self.habits.money_is_told == "late" else 0, lambda: self._say(book.account, told, ""))

    # --- new orders -----------------------------------------------------------------------------------------------

    def take(self, book: Book, asked: Any, name: str) -> None:
        """Take a new order; raises No."""
        symbol = self._symbol(book, asked.symbolId)
        self._check_open(book, symbol)
        self._check_volume(symbol, asked.volume)
        is_market = asked.orderType in (MARKET, RANGE)
        if is_market and (asked.HasField("stopLoss") or asked.HasField("takeProfit")):
            raise No(
                "INVALID_REQUEST",
                "SL/TP in absolute values are allowed only for order types: [LIMIT, STOP, STOP_LIMIT]",
            )
        for word in ("relativeStopLoss", "relativeTakeProfit"):
            if getattr(asked, word) % symbol.tick:
                raise No("INVALID_REQUEST", "Relative level has invalid precision")
        if asked.trailingStopLoss and not (asked.stopLoss or asked.relativeStopLoss):
            raise No("INVALID_REQUEST", "Can't set Trailing Stop Loss parameter without specified Stop Loss")
        if asked.positionId and asked.positionId not in book.positions:
            raise No("POSITION_NOT_FOUND", f"Position not found with id {asked.positionId}")
        self._lock(book, asked.positionId)
        order = self._order_of(book, symbol, asked)
        for price in (order.limit, order.stop, order.sl, order.tp):
            if price % symbol.tick:
                raise No("TRADING_BAD_PRICES", "Price has more digits than symbol allows")
        if order.expires_ms and order.expires_ms <= self._now():
            raise No("TRADING_BAD_EXPIRATION_DATE", "Expiration is in the past")
        book.orders[order.number] = order
        if not is_market:
            self._tell_rests(book, order, name)
            self._look_at(book, order)
            return
        if book.closes_only and self._needs_money(book, order):
            book.orders.pop(order.number)
            raise No("TRADING_NOT_ALLOWED", "Account is in close only mode")
        if book.is_broke and self._needs_money(book, order):
            self._turn_away(book, order, name)
            return
        order.keeps, self.keeps = self.keeps, 0
        if book.is_thin and self.habits.remainders != "none" and self._chance.random() < THIN:
            order.keeps = order.volume // 2 // (GRAIN * symbol.step) * GRAIN * symbol.step
        if self.habits.accepted == "before":
            self._tell(book, TOLD_ACCEPTED, order, self._pictured(book, order), name=name)
        self._later(self.habits.fill_us, lambda: self._execute(book, order, name))

    def _tell_rests(self, book: Book, order: Order, name: str) -> None:
        """An order rests: that is told at once, or as it was then, however late."""
        self._let_expire(book, order)
        told = self.words.execution(book, TOLD_ACCEPTED, order, self._pictured(book, order), None)
        if self.habits.rests_told_us:
            self._later(self.habits.rests_told_us, lambda: self._say(book.account, told, name))
        else:
            self._tell(book, TOLD_ACCEPTED, order, self._pictured(book, order), name=name)

    def _let_expire(self, book: Book, order: Order) -> None:
        """End an order at its hour, if it rests until then and the hour is the same still."""
        hour_ms = order.expires_ms

        def expire() -> None:
            if book.orders.get(order.number) is order and order.expires_ms == hour_ms:
                self._finish(book, order, EXPIRED, TOLD_EXPIRED)

        if hour_ms:
            self._later((hour_ms - self._now()) * 1_000, expire)

    def _check_open(self, book: Book, symbol: Symbol) -> None:
        if symbol.name == book.shut:
            raise No(self.habits.shut_says, "Nothing is taken in this symbol now")

    def _needs_money(self, book: Book, order: Order) -> bool:
        """Whether it opens or grows something: what reduces is always afforded."""
        held = book.positions.get(order.position) or (book.net(order.symbol) if book.netted else None)
        return held is None or held.side == order.side or order.volume > held.volume

    def _turn_away(self, book: Book, order: Order, name: str) -> None:
        """Refuse what cannot be afforded, at once or only once it was accepted."""
        if self.habits.short_of_money == "refused":
            book.orders.pop(order.number)
            raise No("NOT_ENOUGH_MONEY", "Not enough funds to open the position")
        self._tell(book, TOLD_ACCEPTED, order, self._pictured(book, order), name=name)
        order.status, order.updated_ms = REJECTED, self._now()
        self._end(book, order)
        held = self._pictured(book, order)
        self._tell(book, TOLD_REJECTED, order, held, name=name, error="NOT_ENOUGH_MONEY")

    def _order_of(self, book: Book, symbol: Symbol, asked: Any) -> Order:
        number = self._numbers.new(book.broker, "order")
        is_market = asked.orderType in (MARKET, RANGE)
        order = Order(
            number,
            asked.orderType,
            symbol,
            asked.tradeSide,
            asked.volume,
            asked.positionId,
            self._now(),
            sent_for=asked.positionId,
            limit=round(asked.limitPrice * 100_000),
            stop=round(asked.stopPrice * 100_000),
            sl=round(asked.stopLoss * 100_000),
            tp=round(asked.takeProfit * 100_000),
            sl_away=asked.relativeStopLoss,
            tp_away=asked.relativeTakeProfit,
            base_price=round(asked.baseSlippagePrice * 100_000),
            slippage=asked.slippageInPoints,
            expires_ms=asked.expirationTimestamp,
            in_force=3 if is_market else (1 if asked.expirationTimestamp else 2),
            trailing=asked.trailingStopLoss,
            trigger=asked.stopTriggerMethod,
            label=asked.label,
            comment=asked.comment,
            name=asked.clientOrderId,
        )
        net = book.net(symbol) if book.netted else None
        if net is not None:
            order.position = net.number
            if self.habits.net_orders != "net":
                order.shown = self._new_position(book)
        elif not order.position:
            order.position = number if self.habits.shares_numbers else self._numbers.new(book.broker, "position")
        return order

    def _pictured(self, book: Book, order: Order) -> Position:
        """The position of an order: the one there is, or the one that its fill will make."""
        held = book.positions.get(order.shown or order.position)
        if held is None and order.shown:
            return Position(order.shown, order.symbol, order.side, label=order.label, comment=order.comment)
        return held or Position(order.position, order.symbol, order.side, label=order.label, comment=order.comment)

    # --- executions -----------------------------------------------------------------------------------------------

    def _execute(self, book: Book, order: Order, name: str, *, is_server: bool = False) -> None:
        """Fill a market order, or one that was triggered: in parts, as the habit has it."""
        if order.number not in book.orders or order.is_filling:
            return
        order.is_filling = True
        price = self.market.price(order.symbol, order.side)
        if order.kind == RANGE and abs(price - order.base_price) > order.slippage * order.symbol.tick:
            order.keeps = order.volume
        wanted = order.volume - order.keeps
        if order.closing:
            held = book.positions.get(order.position)
            wanted = min(wanted, held.volume if held is not None else 0)
            self._fall_short(order, order.volume - wanted, left=wanted)
        step = order.symbol.step
        count = max(1, min(self.habits.parts, wanted // step)) if wanted else 0
        cut = [wanted * part // count // step * step for part in range(1, count)] if count else []
        bounds = [0, *cut, wanted] if wanted else [0]
        parts = [end - start for start, end in itertools.pairwise(bounds)]

        def fill_next() -> None:
            if parts and order.number in book.orders:
                volume = parts.pop(0)
                if order.closing:  # what others have closed of it meanwhile is not closed again
                    there = book.positions.get(order.position)
                    left = there.volume if there is not None and there.side != order.side else 0
                    missing = max(volume + sum(parts) - left, 0)
                    if missing:
                        self._fall_short(order, missing, left=left)
                        volume = min(volume, left)
                        parts[:] = [left - volume] if left > volume else []
                    if not volume:
                        fill_next()
                        return
                is_last = not parts
                dies = is_last and order.keeps > 0 and self.habits.remainders in ("with", "alone")
                is_whole = is_last and not order.keeps
                self._fill(book, order, volume, name, is_last=is_whole, is_server=is_server, dies=dies)
                if parts and self.habits.part_us:
                    self._later(self.habits.part_us, fill_next)
                    return
                fill_next()
                return
            if order.keeps and order.number in book.orders:
                expires = self.habits.ends_say == "expired"
                order.status, order.updated_ms = EXPIRED if expires else CANCELLED, self._now()
                self._end(book, order)
                held = self._pictured(book, order)
                if not held.volume:
                    held.closed_ms = self._now()
                kind = TOLD_EXPIRED if expires else TOLD_CANCELLED
                self._tell(book, kind, order, held, name=name, is_server=is_server)
                self._protect_by(book, order, name)

        fill_next()

    def _fall_short(self, order: Order, missing: int, *, left: int) -> None:
        """A closing order of which so much is there no more: that dies at its end, or never was a part of it."""
        if self.habits.short_closes == "smaller" and left:
            order.volume -= missing
        else:
            order.keeps += missing

    def _fill(
        self, book: Book, order: Order, volume: int, name: str, *, is_last: bool, is_server: bool, dies: bool = False
    ) -> None:
        """Execute so much of an order; where the rest of it dies, its end is told in the place of the fill."""
        price = self._dealt(order)
        told = self._booked(book, order, volume, price)
        if self.habits.counts == "ahead":
            self._count(book, order, volume, price, is_last=is_last)
        for index, (held, deal) in enumerate(told):
            is_end = is_last and index == len(told) - 1
            if self.habits.counts != "ahead":
                self._count(book, order, deal.volume, price, is_last=is_end)
            kind = TOLD_FILLED if is_end or self.habits.part_word == "filled" else TOLD_PART
            if dies and index == len(told) - 1:
                kind, order.status = TOLD_CANCELLED, CANCELLED
                self._end(book, order)
            if is_end and self.habits.protective == "with":
                self._set_levels(book, order)
            if deal.closed is not None and self.habits.deal_precedes:
                self.tell_money(book)
            status = self._status_after(held, order)
            precedes = self.habits.cancel_precedes_nets if book.netted else self.habits.cancel_precedes
            if deal.closed is not None and precedes:
                self._after_close(book, held, name)
            told_deal = None if kind == TOLD_CANCELLED and self.habits.remainders == "alone" else deal
            self._tell(book, kind, order, held, told_deal, name=name, status=status, is_server=is_server)
            if deal.closed is not None:
                self._after_close(book, held, name)
                if not self.habits.deal_precedes:
                    self.tell_money(book)
        if is_last or dies:
            if self.habits.accepted == "after" and order.kind in (MARKET, RANGE) and not is_server:
                was, order.status = order.status, 1
                self._tell(book, TOLD_ACCEPTED, order, None, name=name)
                order.status = was
            self._protect_by(book, order, name)

    def _dealt(self, order: Order) -> Any:
        """What an order deals at now, with as many digits as the habit has it."""
        price = self.market.price(order.symbol, order.side)
        if self.habits.price_digits == "as the symbol's":
            return price
        return price + Fraction(self._chance.randrange(10), 10) * order.symbol.tick

    def _count(self, book: Book, order: Order, volume: int, price: int, *, is_last: bool) -> None:
        """Let an order know what of it has been executed."""
        order.executed += volume
        order.value += volume * price
        order.updated_ms = self._now()
        if is_last:
            order.status = FILLED
            self._end(book, order)

    def _status_after(self, held: Position, order: Order) -> int:
        """A protected position that a request closed was seen with another status than CLOSED."""
        if held.volume or held.protective is None or order.kind == 4:
            return 0
        return {"created": CREATED, "open": OPEN}.get(self.habits.closed_shows, 0)

    def _booked(self, book: Book, order: Order, volume: int, price: int) -> list[tuple[Position, Deal]]:
        """Book one execution: what is open of the other side is closed first, on a netted account the rest turns it."""
        held = book.positions.get(order.position) or (book.net(order.symbol) if book.netted else None)
        now = self._now()
        order.position = held.number if held is not None else order.position
        order.shown = order.shown if self.habits.net_orders == "own to the end" else 0
        if held is None and any(d.position == order.position for d in book.deals):
            order.position = self._new_position(book)  # what it was meant for is gone
        if held is None or held.side == order.side:
            held = held or self._pictured(book, order)
            book.grow(held, order, volume, price, now)
            self._follow(held)
            return [(held, self._deal(book, order, held.number, volume, price))]
        closing = min(volume, held.volume)
        closed = book.shrink(held, closing, price, now)
        rest = volume - closing
        if not rest:
            return [(held, self._deal(book, order, held.number, closing, price, closed))]
        if self.habits.turns == "one":
            turned = Position(held.number, held.symbol, order.side, label=order.label, comment=order.comment)
            turned.protective = None
            book.grow(turned, order, rest, price, now)
            self._drop_protective(book, held)
            return [(turned, self._deal(book, order, held.number, volume, price, closed))]
        first = (held, self._deal(book, order, held.number, closing, price, closed))
        number = held.number
        if self.habits.turns != "same":
            number = self._new_position(book)
        order.position = number
        turned = Position(number, held.symbol, order.side)
        book.grow(turned, order, rest, price, now)
        return [first, (turned, self._deal(book, order, number, rest, price))]

    def _new_position(self, book: Book) -> int:
        return self._numbers.new(book.broker, "order" if self.habits.shares_numbers else "position")

    def _deal(self, book: Book, order: Order, position: int, volume: int, price: int, closed: Any = None) -> Deal:
        number = self._numbers.new(book.broker, "deal")
        left = order.volume - sum(deal.volume for deal in book.deals if deal.order is order)
        found = Deal(number, order, position, order.side, volume, price, self._now(), -fee(volume), closed, left)
        if self.habits.misses:
            missed = self._numbers.new(book.broker, "deal")
            book.missed.append(replace(found, number=missed, closed=None, is_missed=True, commission=0))
        book.deals.append(found)
        return found

    def _end(self, book: Book, order: Order) -> None:
        book.orders.pop(order.number, None)
        book.past[order.number] = order

    # --- protection -----------------------------------------------------------------------------------------------

    def _protect_by(self, book: Book, order: Order, name: str) -> None:
        """The levels that an order carried are set once it has filled, and told in an event of their own."""
        held = book.positions.get(order.position)
        if held is None or not (order.sl_away or order.tp_away or order.sl or order.tp) or order.closing:
            return
        if self.habits.protective == "with":
            if held.protective is None:
                self._set_levels(book, order)  # the rest of it has died
            if held.protective is not None:
                self._tell(book, TOLD_ACCEPTED, held.protective, held, name=name, is_server=True)
            return

        def tell() -> None:
            if book.positions.get(held.number) is held:  # and not a net that has turned under its number since
                self._set_levels(book, order)
                if held.protective is not None:
                    self._tell(book, TOLD_ACCEPTED, held.protective, held, name=name, is_server=True)

        self._later(LATE_US if self.habits.protective == "late" else 0, tell)

    def _set_levels(self, book: Book, order: Order) -> None:
        held = book.positions.get(order.position)
        if held is None or order.closing or not (order.sl_away or order.tp_away or order.sl or order.tp):
            return
        tick: Any = held.symbol.tick
        if self.habits.price_digits == "levels too":
            tick = Fraction(tick, 10)
        held.sl = away(order.average, held.side, order.sl_away, tick, is_stop=True) if order.sl_away else order.sl
        held.tp = away(order.average, held.side, order.tp_away, tick, is_stop=False) if order.tp_away else order.tp
        held.trailing = order.trailing
        held.trail = abs(self._closing_price(held) - held.sl)
        self._keep_protective(book, held)

    def _closing_price(self, held: Position) -> int:
        """What a position would close at now: what its levels are held against."""
        return self.market.bid(held.symbol) if held.is_long else self.market.ask(held.symbol)

    def _keep_protective(self, book: Book, held: Position) -> None:
        """Let the protective order have what its position has."""
        if held.protective is None:
            held.protective = protective_of(held, self._numbers.new(book.broker, "order"), self._now())
        self._follow(held)
        held.updated_ms = self._now()

    def _follow(self, held: Position) -> None:
        order = held.protective
        if order is not None:
            order.stop, order.limit, order.volume = held.sl, held.tp, held.volume or order.volume
            order.trailing, order.trigger, order.updated_ms = held.trailing, held.trigger, self._now()

    def _after_close(self, book: Book, held: Position, name: str) -> None:
        """What becomes of a protective order when its position shrinks or closes."""
        if held.protective is None:
            return
        if held.volume:
            self._follow(held)
            if self.habits.replace_is_told:
                self._tell(book, TOLD_REPLACED, held.protective, held, name=name, is_server=True)
            return
        protective = self._drop_protective(book, held)
        if protective is not None and protective.status == CANCELLED and self.habits.cancel_is_told:
            self._tell(book, TOLD_CANCELLED, protective, held, name=name, is_server=True)

    def _drop_protective(self, book: Book, held: Position) -> Order | None:
        protective, held.protective = held.protective, None
        if protective is not None and protective.status == 1:
            protective.status, protective.updated_ms = CANCELLED, self._now()
            book.past[protective.number] = protective
        return protective

    def protect(self, book: Book, asked: Any, name: str) -> None:
        """Amend both levels of a position: what is left out is removed, the trailing flag left out is kept."""
        held = book.positions.get(asked.positionId)
        if held is None:
            raise No("POSITION_NOT_FOUND", f"Position not found with id {asked.positionId}")
        self._check_open(book, held.symbol)
        sl, tp = (self._on_grid(held, round(level * 100_000)) for level in (asked.stopLoss, asked.takeProfit))
        trailing = asked.trailingStopLoss if asked.HasField("trailingStopLoss") else held.trailing
        if sl % held.symbol.tick or tp % held.symbol.tick:
            raise No("TRADING_BAD_PRICES", "Price has more digits than symbol allows")
        if trailing and not sl:
            raise No("INVALID_REQUEST", "Can't set Trailing Stop Loss parameter without specified Stop Loss")
        if (sl, tp, trailing, asked.stopLossTriggerMethod) == (held.sl, held.tp, held.trailing, held.trigger):
            raise No("INVALID_REQUEST", "Nothing to amend.")
        market = self._closing_price(held)
        if sl and (sl >= market if held.is_long else sl <= market):
            raise No("TRADING_BAD_STOPS", f"New SL should be on the other side of {market}")
        if tp and (tp <= market if held.is_long else tp >= market):
            raise No("TRADING_BAD_STOPS", f"New TP should be on the other side of {market}")
        had = held.protective is not None
        if self.habits.amends == "one by one" and sl != held.sl and tp != held.tp and had and sl:
            held.sl, held.trailing, held.trigger = sl, trailing, asked.stopLossTriggerMethod
            held.trail = abs(market - sl)
            self._keep_protective(book, held)
            self._tell(book, TOLD_REPLACED, held.protective, held, name=name)
        held.sl, held.tp, held.trailing = sl, tp, trailing
        held.trail, held.trigger = abs(market - sl), asked.stopLossTriggerMethod
        if not sl and not tp:
            held.updated_ms = self._now()
            gone = self._drop_protective(book, held)
            self._tell(book, TOLD_CANCELLED, gone, held, name=name)
            return
        self._keep_protective(book, held)
        self._tell(book, TOLD_REPLACED if had else TOLD_ACCEPTED, held.protective, held, name=name)

    def _on_grid(self, held: Position, level: int) -> int:
        """The level that is kept where such a one was asked for."""
        grid = self.habits.level_grid * held.symbol.tick
        return level if level % held.symbol.tick else round(level / grid) * grid

    # --- closing, amending, cancelling ----------------------------------------------------------------------------

    def close(self, book: Book, asked: Any, name: str, *, stop_out: bool = False) -> None:
        """Close a position, or a part of it, by an order of the broker's own."""
        held = book.positions.get(asked.positionId)
        if held is None:
            raise No("POSITION_NOT_FOUND", f"Position not found with id {asked.positionId}")
        self._check_open(book, held.symbol)
        self._check_volume(held.symbol, asked.volume)
        if asked.volume > held.volume:
            raise No("TRADING_BAD_VOLUME", "Volume is larger than the position's")
        self._lock(book, held.number)
        order = Order(
            self._numbers.new(book.broker, "order"),
            MARKET,
            held.symbol,
            mirrored(held.side),
            asked.volume,
            held.number,
            self._now(),
            sent_for=held.number,
            closing=True,
            stop_out=stop_out,
            in_force=3,
            label=held.label,
            comment=held.comment,
            name=f"server-{self._chance.randrange(10**9)}",
        )
        book.orders[order.number] = order
        if self.habits.accepted == "before" and not (stop_out and self.habits.stop_out_told == "fill"):
            self._tell(book, TOLD_ACCEPTED, order, held, name=name, is_server=stop_out)
        self._later(self.habits.fill_us, lambda: self._execute(book, order, name, is_server=stop_out))

    def amend(self, book: Book, asked: Any, name: str) -> None:
        """Amend a resting order: what is left out is cleared."""
        order = self._resting(book, asked.orderId)
        self._check_volume(order.symbol, asked.volume or order.volume)
        order.volume = asked.volume or order.volume
        order.limit = round(asked.limitPrice * 100_000) or order.limit
        order.stop = round(asked.stopPrice * 100_000) or order.stop
        order.sl, order.tp = round(asked.stopLoss * 100_000), round(asked.takeProfit * 100_000)
        order.sl_away, order.tp_away = asked.relativeStopLoss, asked.relativeTakeProfit
        order.expires_ms = asked.expirationTimestamp
        order.in_force = 1 if order.expires_ms else 2
        order.slippage = asked.slippageInPoints or order.slippage
        order.trailing, order.trigger = asked.trailingStopLoss, asked.stopTriggerMethod
        order.updated_ms = self._now()
        self._tell(book, TOLD_REPLACED, order, self._pictured(book, order), name=name)
        self._let_expire(book, order)
        self._look_at(book, order)

    def cancel(self, book: Book, asked: Any, name: str) -> None:
        """Cancel a resting order."""
        self._finish(book, self._resting(book, asked.orderId), CANCELLED, TOLD_CANCELLED, name)

    def _finish(self, book: Book, order: Order, status: int, told: int, name: str = "") -> None:
        order.status, order.updated_ms = status, self._now()
        self._end(book, order)
        held = self._pictured(book, order)
        if not held.volume:
            held.closed_ms = self._now()
        self._tell(book, told, order, held, name=name, is_server=not name)

    def _resting(self, book: Book, number: int) -> Order:
        order = book.orders.get(number)
        if order is None or order.kind in (MARKET, RANGE):
            raise No("ORDER_NOT_FOUND", f"Order not found with id {number}", order=number)
        self._check_open(book, order.symbol)
        return order

    def _symbol(self, book: Book, number: int) -> Symbol:
        for symbol in BROKERS[book.broker].values():
            if symbol.number == number:
                return symbol
        raise No("SYMBOL_NOT_FOUND", f"Symbol {number} not found")

    def _check_volume(self, symbol: Symbol, volume: int) -> None:
        if volume < symbol.step or volume % symbol.step:
            raise No(
                "TRADING_BAD_VOLUME", f"Order volume {volume / 100:.2f} is not a multiple of {symbol.step / 100:.2f}"
            )

    def is_busy(self, book: Book, position: int) -> bool:
        """Whether an order that was sent for a position is being executed."""
        return any(order.sent_for == position for order in book.orders.values() if order.kind in (MARKET, RANGE))

    def _lock(self, book: Book, position: int) -> None:
        if self.habits.locks and position and self.is_busy(book, position):
            raise No("PENDING_EXECUTION", "An order of this position is being executed")

    # --- what the market and the clock do -------------------------------------------------------------------------

    def look(self, name: str = "") -> None:
        """Let everything happen that prices and times ask for now."""
        for book in self.books.values():
            for order in list(book.orders.values()):
                self._look_at(book, order)
            for held in list(book.positions.values()):
                if not name or held.symbol.name == name:
                    self._trail(book, held)
                    self._hit(book, held)

    def _look_at(self, book: Book, order: Order) -> None:
        if order.kind in (MARKET, RANGE) or order.number not in book.orders:
            return
        if order.expires_ms and order.expires_ms <= self._now():
            self._finish(book, order, EXPIRED, TOLD_EXPIRED)
            return
        price = self.market.price(order.symbol, order.side)
        is_buy = order.side == BUY
        if order.kind == LIMIT:
            is_due = price <= order.limit if is_buy else price >= order.limit
        else:
            is_due = price >= order.stop if is_buy else price <= order.stop
        if is_due:
            if order.kind == STOP_LIMIT and abs(price - order.stop) > order.slippage * order.symbol.tick:
                return
            self._execute(book, order, "")

    def _trail(self, book: Book, held: Position) -> None:
        if not held.trailing or not held.sl:
            return
        market = self._closing_price(held)
        stop = market - held.trail if held.is_long else market + held.trail
        stop = stop // held.symbol.tick * held.symbol.tick
        least = self.habits.trail_ticks * held.symbol.tick
        if (stop >= held.sl + least) if held.is_long else (stop <= held.sl - least):
            held.sl = stop
            self._follow(held)
            assert held.protective is not None
            told = wire.ProtoOATrailingSLChangedEvent(
                ctidTraderAccountId=book.account,
                positionId=held.number,
                orderId=held.protective.number,
                stopPrice=stop / 100_000,
                utcLastUpdateTimestamp=self._now(),
            )
            if self.habits.trail_told != "never":
                late_us = LATE_US if self.habits.trail_told == "late" else 0
                self._later(late_us, lambda: self._say(book.account, told, ""))

    def stop_out(self, book: Book, held: Position, volume: int) -> None:
        """The margin no longer carries it: the broker closes it, or a part of it."""
        if self.habits.margin_is_told:
            call = wire.ProtoOAMarginCallTriggerEvent(ctidTraderAccountId=book.account)
            call.marginCall.marginCallType, call.marginCall.marginLevelThreshold = model.MARGIN_LEVEL_THRESHOLD_1, 50.0
            self._say(book.account, call, "")
        asked = wire.ProtoOAClosePositionReq(positionId=held.number, volume=volume)
        self.close(book, asked, "", stop_out=True)

    def empty(self, book: Book) -> list[Position]:
        """Positions of volume 0: those of what rests, and of what has been closed."""
        resting = [order for order in book.orders.values() if order.position not in book.positions]
        closed = {deal.position: deal for deal in book.deals if deal.position not in book.positions}
        gone = [
            Position(number, deal.order.symbol, mirrored(deal.side), closed_ms=deal.at_ms, updated_ms=deal.at_ms)
            for number, deal in closed.items()
        ]
        return [self._pictured(book, order) for order in resting] + gone

    def roll(self, book: Book, held: Position) -> None:
        """Close a position and open it anew by orders of the broker's own, as for a dividend or a split."""
        asked = wire.ProtoOAClosePositionReq(positionId=held.number, volume=held.volume)
        anew = wire.ProtoOANewOrderReq(symbolId=held.symbol.number, tradeSide=held.side, volume=held.volume)
        anew.orderType = MARKET
        if self.habits.rolls == "at once":
            usual, self.habits = self.habits, replace(self.habits, accepted="never", fill_us=0)
            self.close(book, asked, "")
            self.take(book, anew, "")
            self.habits = usual
            return
        self.close(book, asked, "")
        self.take(book, anew, "")

    def _hit(self, book: Book, held: Position) -> None:
        order = held.protective
        if order is None:
            return
        market = self._closing_price(held)
        below, above = (held.sl, held.tp) if held.is_long else (held.tp, held.sl)
        if (not below or market > below) and (not above or market < above):
            return
        order.executed, order.value, order.status = held.volume, held.volume * market, FILLED
        order.updated_ms = self._now()
        volume = held.volume
        closed = book.shrink(held, volume, market, self._now())
        held.protective = None
        book.past[order.number] = order
        deal = self._deal(book, order, held.number, volume, market, closed)
        self._tell(book, TOLD_FILLED, order, held, deal, is_server=True)
        self.tell_money(book)

    def charge(self, book: Book, cents: int) -> None:
        """Charge every position of an account a swap."""
        for held in list(book.positions.values()):
            held.swap -= cents
            held.updated_ms = self._now()
            self._tell(book, TOLD_SWAP, None, held, is_server=True)

    def give(self, book: Book, cents: int) -> None:
        """Let a bonus come, or go."""
        told = wire.ProtoOAExecutionEvent(ctidTraderAccountId=book.account, executionType=TOLD_BONUS)
        flow = told.bonusDepositWithdraw
        flow.operationType = model.BONUS_DEPOSIT if cents > 0 else model.BONUS_WITHDRAW
        flow.bonusHistoryId = self._numbers.new(book.broker, "flow")
        flow.managerBonus = flow.managerDelta = cents
        flow.ibBonus = flow.ibDelta = 0
        flow.changeBonusTimestamp, flow.moneyDigits = self._now(), 2
        self._say(book.account, told, "")

    def pay(self, book: Book, cents: int) -> None:
        """Let money come, or go."""
        book.balance += cents
        book.version += 1
        told = wire.ProtoOAExecutionEvent(ctidTraderAccountId=book.account, executionType=TOLD_MONEY)
        flow = told.depositWithdraw
        flow.operationType = model.BALANCE_DEPOSIT if cents > 0 else model.BALANCE_WITHDRAW
        flow.balanceHistoryId, flow.balance, flow.delta = (
            self._numbers.new(book.broker, "flow"),
            book.balance,
            abs(cents),
        )
        flow.changeBalanceTimestamp, flow.balanceVersion, flow.moneyDigits = self._now(), book.version, 2
        flow.delta = cents
        self._say(book.account, told, "")
        self.tell_money(book)
