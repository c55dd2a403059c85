"""The broker: lines, who may say what on them, answers to questions, quotes, and the time.

Pure: bytes of requests and the present moment go in, frames and deadlines come out. It is written from what
`docs/wire.md` tells and the schema alone, and imports nothing of `cmam.sandbox`, so that what the two assume alike is
what the facts say. Of the copier it takes the framing and the generated messages.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import DecodeError, Message

from cmam.openapi._pb import OpenApiMessages_pb2 as wire
from cmam.openapi._pb.OpenApiCommonMessages_pb2 import ProtoErrorRes, ProtoMessage
from cmam.openapi.framing import frame
from tests.stranger.books import Book, Deal, Order, Symbol
from tests.stranger.floor import Floor, No
from tests.stranger.habits import Habits
from tests.stranger.market import BROKERS, Market
from tests.stranger.noise import noisy

CLIENT_ID, CLIENT_SECRET = "stranger-application", "stranger-secret-of-the-application"
HEARTBEAT, COMMON_ERROR = 51, 50
TERMINALS = 900_000
"""Lines from this number on are people's own."""
BREATH_US = 2_000_000
IDLE_US = 30_000_000
SECOND_US = 1_000_000
QUOTA, QUOTA_US = 4, 12_000_000
"""So many questions of a kind about the past are answered within such a time, where more are put off."""
HISTORICAL = ("DealListReq", "OrderListReq", "GetTrendbarsReq", "GetTickDataReq", "CashFlowHistoryListReq")

TYPES = {
    getattr(wire, name).DESCRIPTOR.fields_by_name["payloadType"].default_value: getattr(wire, name)
    for name in wire.DESCRIPTOR.message_types_by_name
}


def type_of(message: Message) -> int:
    """The payload type of a message."""
    return int(message.DESCRIPTOR.fields_by_name["payloadType"].default_value)


@dataclass(slots=True)
class Line:
    """One connection: who is authorised on it, and what it is told of prices."""

    number: int
    heard_us: int
    said_us: int
    is_known: bool = False
    accounts: set[int] = field(default_factory=set)
    spots: set[tuple[int, int]] = field(default_factory=set)
    last: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)
    asked: deque[int] = field(default_factory=deque)
    asked_past: deque[int] = field(default_factory=deque)
    quotas: dict[str, deque[int]] = field(default_factory=dict)
    """When questions about the past were answered, by their kind."""


class Broker:
    """Every account of both brokers behind one server."""

    def __init__(self, habits: Habits, seed: int, now_us: int) -> None:
        self.habits = habits
        self._chance = random.Random(f"{seed}:broker")
        self._noise = random.Random(f"{seed}:noise")
        self._now = now_us
        self._numbers = itertools.count()
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._out: list[tuple[int, bytes | None]] = []
        self.lines: dict[int, Line] = {}
        self.market = Market(self._chance)
        self.floor = Floor(habits, self.market, self._chance, self.now_ms, self._later, self._tell)
        self.words = self.floor.words
        self._names: dict[str, int] = {}
        self.busiest = self.busiest_past = 0
        """The most requests in any one second, as this server counts them."""
        self.refused: list[tuple[str, str]] = []
        self._past_asked = 0
        self._states: dict[int, list[tuple[int, bytes]]] = {}
        """Of each account what a reconcile showed when, as far back as one may still show it."""
        self._breathe()
        if habits.symbols_change_us:
            self._later(habits.symbols_change_us, self._change_again)
        if habits.storms_us:
            self._later(habits.storms_us, self._storm)
        if habits.nights_us:
            self._later(habits.nights_us, self._night)

    def open_book(self, account: int, broker: str, *, netted: bool = False) -> Book:
        """Give a person an account."""
        book = self.floor.books[account] = Book(account, broker, netted)
        return book

    def now_ms(self) -> int:
        """The time by this server's own clock."""
        found = self._now // 1_000 + self.habits.skew_ms
        return found // self.habits.coarse_ms * self.habits.coarse_ms

    # --- time -----------------------------------------------------------------------------------------------------

    def _later(self, span_us: int, do: Callable[[], None]) -> None:
        if span_us <= 0:
            do()
            return
        heapq.heappush(self._due, (self._now + span_us, next(self._numbers), do))

    def next_deadline(self) -> int | None:
        """When something happens by itself next."""
        return self._due[0][0] if self._due else None

    def on_time(self, now_us: int) -> None:
        """Let happen what is due."""
        while self._due and self._due[0][0] <= now_us:
            at_us, _, do = heapq.heappop(self._due)
            self._now = max(self._now, at_us)
            do()
        self._now = max(self._now, now_us)

    def _breathe(self) -> None:
        """Prices move a little, orders expire, and silent lines get a heartbeat or are closed."""
        for name in self.market.bids:
            self.move(name)
        for line in list(self.lines.values()):
            if self._now - line.heard_us > IDLE_US:
                self._close(line)
            elif self._now - line.said_us >= self.habits.beats_us:
                self._put(line, HEARTBEAT, b"", "")
        for book in self.floor.books.values():
            self._keep_state(book)
        self._later(BREATH_US, self._breathe)

    def _change_again(self) -> None:
        self.change_symbols()
        self._later(self.habits.symbols_change_us, self._change_again)

    def _storm(self) -> None:
        """Tell every account's particulars, with nothing new in them."""
        for book in self.floor.books.values():
            self.floor.tell_money(book)
        self._later(self.habits.storms_us, self._storm)

    def _night(self) -> None:
        """Charge swaps, let a bonus come or go, and correct balances."""
        for book in self.floor.books.values():
            self.floor.charge(book, self._chance.choice((-3, 0, 5)))
            self.floor.give(book, self._chance.choice((-700, 900)))
            self.floor.pay(book, self._chance.choice((-40, 40)))
        self._later(self.habits.nights_us, self._night)

    def change_symbols(self) -> None:
        """Say that all symbols have changed, though nothing that anybody reads has."""
        for book in self.floor.books.values():
            numbers = [symbol.number for symbol in BROKERS[book.broker].values()]
            told = wire.ProtoOASymbolChangedEvent(ctidTraderAccountId=book.account, symbolId=numbers)
            self._tell(book.account, told, "")

    def move(self, name: str, bid: int | None = None) -> None:
        """Let a price breathe, or put it somewhere."""
        if bid is None:
            self.market.breathe(name)
        else:
            self.market.bids[name] = bid
        self.floor.look(name)
        for line in self.lines.values():
            for account, number in line.spots:
                symbol = self._symbol(account, number)
                if symbol is not None and symbol.name == name:
                    self._quote(line, account, symbol)

    # --- lines ----------------------------------------------------------------------------------------------------

    def connect(self, number: int, now_us: int) -> None:
        self.on_time(now_us)
        self.lines[number] = Line(number, now_us, now_us)

    def disconnect(self, number: int, now_us: int) -> None:
        self.on_time(now_us)
        self.lines.pop(number, None)

    def _close(self, line: Line) -> None:
        self.lines.pop(line.number, None)
        self._out.append((line.number, None))

    def take_output(self) -> list[tuple[int, bytes | None]]:
        """The frames that left since the last time, by line; None where the line was closed."""
        found, self._out = self._out, []
        return found

    def _put(self, line: Line, payload_type: int, payload: bytes, name: str) -> None:
        if line.number not in self.lines:
            return
        line.said_us = self._now
        envelope = ProtoMessage(payloadType=payload_type, payload=payload)
        if name:
            envelope.clientMsgId = name
        self._out.append((line.number, frame(envelope.SerializeToString())))

    def _say(self, line: Line, message: Message, name: str) -> None:
        self._put(line, type_of(message), message.SerializePartialToString(), name)

    def _tell(self, account: int, message: Message, name: str) -> None:
        """Tell every line that has the account; whose request it was hears its id, others as the habit has it."""
        self._keep_state(self.floor.books[account])
        for line in list(self.lines.values()):
            if account not in line.accounts and not (self.habits.tells_strangers and line.is_known):
                continue
            hears = self.habits.echoes == "all" or self._names.get(name) == line.number
            hears = hears and self.habits.names != "orders"
            said = message
            if self.habits.noise and line.number < TERMINALS:
                said = noisy(message, self._noise, self.habits.noise)
            self._say(line, said, name if hears else "")
            if self.habits.adds_unknown and self._chance.random() < 0.1:
                self._put(line, 2190, b"\x10" + b"\x01", "")

    # --- requests -------------------------------------------------------------------------------------------------

    def receive(self, number: int, body: bytes, now_us: int) -> None:
        """Take the body of one frame."""
        self.on_time(now_us)
        line = self.lines.get(number)
        if line is None:
            return
        line.heard_us = now_us
        envelope = ProtoMessage.FromString(body)
        name = envelope.clientMsgId
        self._count(line, envelope.payloadType)
        if envelope.payloadType == HEARTBEAT:
            return
        asked_class = TYPES.get(envelope.payloadType)
        try:
            if asked_class is None:
                raise No("UNSUPPORTED_MESSAGE", f"{envelope.payloadType}")
            asked = asked_class.FromString(envelope.payload)
            self._refuse_oddly(line, asked)
            self._take(line, asked, name)
        except DecodeError as error:
            self._refuse(line, 0, No("INVALID_REQUEST", str(error)), name, is_trade=False)
        except No as no:
            account = getattr(asked, "ctidTraderAccountId", 0)
            self._refuse(line, account, no, name, is_trade=type(asked) in TRADES)

    def _refuse_oddly(self, line: Line, asked: Any) -> None:
        """Now and then refuse what opens nothing, with a code of no schema."""
        if not self.habits.noise or line.number >= TERMINALS or isinstance(asked, ALWAYS_TAKEN):
            return
        if self._noise.random() < self.habits.noise:
            raise No("SOMETHING_NEW", "A code that nobody has met")

    def end_sessions(self, accounts: Iterable[int], *, by_token: bool, are_over: bool) -> None:
        """Say that accounts are authorised no longer, by an event for each or one for all, whether or not they are."""
        for line in list(self.lines.values()):
            theirs = [account for account in accounts if account in line.accounts]
            if line.number >= TERMINALS or not theirs:
                continue
            if by_token:
                told = wire.ProtoOAAccountsTokenInvalidatedEvent(ctidTraderAccountIds=theirs, reason="refreshed")
                self._say(line, told, "")
            for account in theirs:
                if not by_token:
                    self._say(line, wire.ProtoOAAccountDisconnectEvent(ctidTraderAccountId=account), "")
                if are_over:
                    line.accounts.discard(account)
                    line.spots = {spot for spot in line.spots if spot[0] != account}

    def _count(self, line: Line, payload_type: int) -> None:
        kinds = [line.asked]
        asked_class = TYPES.get(payload_type)
        if asked_class is not None and asked_class.DESCRIPTOR.name.removeprefix("ProtoOA") in HISTORICAL:
            kinds.append(line.asked_past)
        for times in kinds:
            times.append(self._now)
            while times[0] <= self._now - SECOND_US:
                times.popleft()
        self.busiest = max(self.busiest, len(line.asked))
        self.busiest_past = max(self.busiest_past, len(line.asked_past))

    def _refuse(self, line: Line, account: int, no: No, name: str, *, is_trade: bool) -> None:
        self.refused.append((no.code, no.text))
        if is_trade and line.number < TERMINALS and self.habits.errors_name != "own":
            name = "" if self.habits.errors_name == "none" else f"other-{self._chance.randrange(10**6)}"
        answer: Any
        if is_trade and self.habits.common_errors:
            common = ProtoErrorRes(errorCode=no.code, description=no.text)
            self._put(line, COMMON_ERROR, common.SerializeToString(), name)
            return
        if is_trade and self.habits.refuses_in == "order" and no.code != "ACCOUNT_NOT_AUTHORIZED":
            answer = wire.ProtoOAOrderErrorEvent(ctidTraderAccountId=account, errorCode=no.code, description=no.text)
            answer.orderId = no.order
            if not no.order:
                answer.positionId = no.position
        else:
            answer = wire.ProtoOAErrorRes(errorCode=no.code, description=no.text)
            if no.retry_s:
                answer.retryAfter = no.retry_s
            if account:
                answer.ctidTraderAccountId = account
        self._say(line, answer, name)

    def _take(self, line: Line, asked: Any, name: str) -> None:
        if isinstance(asked, wire.ProtoOAApplicationAuthReq):
            if (asked.clientId, asked.clientSecret) != (CLIENT_ID, CLIENT_SECRET):
                raise No("CH_CLIENT_AUTH_FAILURE", "clientId or clientSecret is incorrect")
            line.is_known = True
            self._say(line, wire.ProtoOAApplicationAuthRes(), name)
            return
        if not line.is_known:
            raise No("CH_CLIENT_NOT_AUTHENTICATED", "Authenticate the application first")
        if isinstance(asked, wire.ProtoOAAccountAuthReq):
            if asked.ctidTraderAccountId in line.accounts:
                raise No("ALREADY_LOGGED_IN", "Trading account is already authorized in this channel")
            line.accounts.add(asked.ctidTraderAccountId)
            self._say(line, wire.ProtoOAAccountAuthRes(ctidTraderAccountId=asked.ctidTraderAccountId), name)
            return
        if asked.ctidTraderAccountId not in line.accounts:
            raise No("INVALID_REQUEST", "Trading account is not authorized")
        book = self.floor.books[asked.ctidTraderAccountId]
        if type(asked) in TRADES:
            if name:
                self._names[name] = line.number
            TRADES[type(asked)](self.floor, book, asked, name)
            return
        if type(asked) not in ANSWERS:
            raise No("UNSUPPORTED_MESSAGE", type(asked).DESCRIPTOR.name)
        if line.number < TERMINALS and type(asked) in OF_THE_PAST and self._forgets(line, asked):
            return
        answer = ANSWERS[type(asked)](self, line, book, asked)
        delay_us = self._chance.randrange(self.habits.answer_us) if self.habits.answer_us else 0
        self._later(delay_us, lambda: self._answer(line, answer, name))

    def _forgets(self, line: Line, asked: Any) -> bool:
        """Whether a question about the past is never answered; raises No where it is refused."""
        kind = type(asked).DESCRIPTOR.name.removeprefix("ProtoOA")
        if kind == self.habits.cannot_tell:
            raise No("UNSUPPORTED_MESSAGE", kind)
        if self.habits.past == "put off":
            times = line.quotas.setdefault(kind, deque())
            while times and times[0] <= self._now - QUOTA_US:
                times.popleft()
            if len(times) >= QUOTA:
                raise No("BLOCKED_PAYLOAD_TYPE", "Too much history", retry_s=1)
            times.append(self._now)
            return False
        self._past_asked += 1
        is_third = self._past_asked % 3 == 0
        if self.habits.past == "refused" and is_third:
            raise No(("UNKNOWN_ERROR", "TIMEOUT_ERROR")[self._past_asked // 3 % 2], "Es ist ein Fehler aufgetreten")
        return self.habits.past == "silent" and is_third

    def _answer(self, line: Line, answer: Message, name: str) -> None:
        self._say(line, answer, name)
        if isinstance(answer, wire.ProtoOASubscribeSpotsRes):
            self._later(self.habits.first_spot_us, lambda: self._first_spots(line, answer.ctidTraderAccountId))

    # --- answers --------------------------------------------------------------------------------------------------

    def _trader(self, _line: Line, book: Book, _asked: Any) -> Message:
        answer = wire.ProtoOATraderRes(ctidTraderAccountId=book.account)
        answer.trader.CopyFrom(self.words.trader(book))
        return answer

    def _assets(self, _line: Line, book: Book, _asked: Any) -> Message:
        return wire.ProtoOAAssetListRes(ctidTraderAccountId=book.account, asset=self.words.assets())

    def _symbols(self, _line: Line, book: Book, _asked: Any) -> Message:
        return wire.ProtoOASymbolsListRes(
            ctidTraderAccountId=book.account, symbol=self.words.light_symbols(book.broker)
        )

    def _specs(self, _line: Line, book: Book, asked: Any) -> Message:
        found = [self._symbol(book.account, number) for number in asked.symbolId]
        wanted = [self.words.symbol(symbol) for symbol in found if symbol is not None]
        return wire.ProtoOASymbolByIdRes(ctidTraderAccountId=book.account, symbol=wanted)

    def _state(self, _line: Line, book: Book, asked: Any) -> Message:
        """What stands now, or stood a while ago."""
        self._keep_state(book)
        states = self._states.get(book.account)
        if states:
            return wire.ProtoOAReconcileRes.FromString(states[0][1])
        return self._state_now(book, asked)

    def _keep_state(self, book: Book) -> None:
        """Keep what stands now for those who ask later, and nothing that is older than they may be told."""
        if not self.habits.states_behind_us:
            return
        states = self._states.setdefault(book.account, [])
        shown = self._state_now(book, wire.ProtoOAReconcileReq()).SerializePartialToString()
        if not states or states[-1][1] != shown:
            states.append((self._now, shown))
        while len(states) > 1 and states[1][0] <= self._now - self.habits.states_behind_us:
            del states[0]

    def _state_now(self, book: Book, asked: Any) -> Message:
        answer = wire.ProtoOAReconcileRes(ctidTraderAccountId=book.account)
        for held in book.positions.values():
            answer.position.append(self.words.position(held))
            if held.protective is not None and (asked.returnProtectionOrders or self.habits.lists_protective):
                answer.order.append(self.words.order(held.protective))
        resting = [order for order in book.orders.values() if order.kind not in (1, 5)]
        answer.order.extend(self.words.order(order) for order in resting)
        if self.habits.lists_empty:
            answer.position.extend(self.words.position(held) for held in self.floor.empty(book))
        if self.habits.lists_twice:
            answer.position.extend(list(answer.position))
            answer.order.extend(list(answer.order))
        return answer

    def _deals(self, _line: Line, book: Book, asked: Any) -> Message:
        page, has_more = self._page(self._within([*book.deals, *book.missed], asked), asked.maxRows)
        wanted = [self.words.deal(deal) for deal in page]
        return wire.ProtoOADealListRes(ctidTraderAccountId=book.account, deal=wanted, hasMore=has_more)

    def _deals_of(self, _line: Line, book: Book, asked: Any) -> Message:
        mine = [deal for deal in self._within([*book.deals, *book.missed], asked) if deal.position == asked.positionId]
        page, has_more = self._page(mine, 0)
        wanted = [self.words.deal(deal) for deal in page]
        return wire.ProtoOADealListByPositionIdRes(ctidTraderAccountId=book.account, deal=wanted, hasMore=has_more)

    def _orders(self, _line: Line, book: Book, asked: Any) -> Message:
        page, has_more = self._page(self._within(self._all_orders(book), asked), 0)
        wanted = [self.words.order(order) for order in page]
        return wire.ProtoOAOrderListRes(ctidTraderAccountId=book.account, order=wanted, hasMore=has_more)

    def _orders_of(self, _line: Line, book: Book, asked: Any) -> Message:
        mine = [order for order in self._within(self._all_orders(book), asked) if order.position == asked.positionId]
        page, has_more = self._page(mine, 0)
        wanted = [self.words.order(order) for order in page]
        return wire.ProtoOAOrderListByPositionIdRes(ctidTraderAccountId=book.account, order=wanted, hasMore=has_more)

    def _order(self, _line: Line, book: Book, asked: Any) -> Message:
        order = book.orders.get(asked.orderId) or book.past.get(asked.orderId)
        if order is None:
            raise No("ORDER_NOT_FOUND", f"Order {asked.orderId} not found or not belong to trader {book.account}")
        deals = [self.words.deal(deal) for deal in book.deals if deal.order is order]
        return wire.ProtoOAOrderDetailsRes(ctidTraderAccountId=book.account, order=self.words.order(order), deal=deals)

    def _all_orders(self, book: Book) -> list[Order]:
        hidden = () if self.habits.lists_protective else (4,)
        return [order for order in (*book.past.values(), *book.orders.values()) if order.kind not in hidden]

    def _within(self, found: Iterable[Any], asked: Any) -> list[Any]:
        """What lies within the span that was asked for, newest first."""
        from_ms = asked.fromTimestamp if asked.HasField("fromTimestamp") else 0
        to_ms = asked.toTimestamp if asked.HasField("toTimestamp") else 2**62
        if asked.HasField("fromTimestamp") and to_ms - from_ms > 604_800_000:
            raise No("INCORRECT_BOUNDARIES", "The span is longer than a week")
        there = [one for one in found if from_ms <= _moment(one) <= to_ms]
        return sorted(there, key=lambda one: (_moment(one), one.number), reverse=True)

    def _page(self, found: list[Any], rows: int) -> tuple[list[Any], bool]:
        """The first page; a moment that several share is never cut in two, else nobody could ask for the rest."""
        most = min(rows or self.habits.page, self.habits.page)
        while most < len(found) and _moment(found[most]) == _moment(found[most - 1]):
            most += 1
        page = found[:most]
        return page if self.habits.lists == "newest first" else page[::-1], most < len(found)

    def _margin(self, _line: Line, book: Book, asked: Any) -> Message:
        answer = wire.ProtoOAExpectedMarginRes(ctidTraderAccountId=book.account)
        for volume in asked.volume:
            answer.margin.add(volume=volume, buyMargin=volume // 100, sellMargin=volume // 100)
        answer.moneyDigits = 2
        return answer

    # --- quotes ---------------------------------------------------------------------------------------------------

    def _symbol(self, account: int, number: int) -> Symbol | None:
        there = BROKERS[self.floor.books[account].broker].values()
        return next((symbol for symbol in there if symbol.number == number), None)

    def _subscribe(self, line: Line, book: Book, asked: Any) -> Message:
        wanted = {(book.account, number) for number in asked.symbolId}
        if wanted <= line.spots:
            raise No("ALREADY_SUBSCRIBED", "Subscription exists")
        line.spots |= wanted
        return wire.ProtoOASubscribeSpotsRes(ctidTraderAccountId=book.account)

    def _first_spots(self, line: Line, account: int) -> None:
        for owner, number in sorted(line.spots):
            symbol = self._symbol(owner, number)
            if owner == account and symbol is not None:
                self._quote(line, account, symbol, is_first=True)

    def _quote(self, line: Line, account: int, symbol: Symbol, *, is_first: bool = False) -> None:
        key = (account, symbol.number)
        if key not in line.last and not is_first:
            return
        now = (self.market.bid(symbol), self.market.ask(symbol))
        was = line.last.get(key, (0, 0))
        spot = wire.ProtoOASpotEvent(ctidTraderAccountId=account, symbolId=symbol.number)
        if self.habits.spots == "both" or is_first:
            spot.bid, spot.ask = now
        elif now == was:
            return
        elif self._chance.random() < 0.5:  # the other side in a frame of its own
            spot.bid = now[0]
            other = wire.ProtoOASpotEvent(ctidTraderAccountId=account, symbolId=symbol.number, ask=now[1])
            if self.habits.spot_times:
                other.timestamp = self.now_ms()
            self._later(self.habits.spot_delay_us, lambda: self._say(line, other, ""))
        else:
            spot.bid, spot.ask = now
        line.last[key] = now
        if self.habits.spot_gaps and not is_first:
            spot.bid, spot.ask = (side if side != before else 0 for side, before in zip(now, was, strict=True))
        if self.habits.spot_times:
            spot.timestamp = self.now_ms()
        self._later(self.habits.spot_delay_us, lambda: self._say(line, spot, ""))


def _moment(found: Deal | Order) -> int:
    """What lists are sorted and bounded by."""
    return found.at_ms if isinstance(found, Deal) else found.updated_ms or found.at_ms


TRADES: dict[type, Callable[[Floor, Book, Any, str], None]] = {
    wire.ProtoOANewOrderReq: Floor.take,
    wire.ProtoOAClosePositionReq: Floor.close,
    wire.ProtoOAAmendPositionSLTPReq: Floor.protect,
    wire.ProtoOAAmendOrderReq: Floor.amend,
    wire.ProtoOACancelOrderReq: Floor.cancel,
}
ANSWERS: dict[type, Callable[[Broker, Line, Book, Any], Message]] = {
    wire.ProtoOATraderReq: Broker._trader,
    wire.ProtoOAAssetListReq: Broker._assets,
    wire.ProtoOASymbolsListReq: Broker._symbols,
    wire.ProtoOASymbolByIdReq: Broker._specs,
    wire.ProtoOAReconcileReq: Broker._state,
    wire.ProtoOADealListReq: Broker._deals,
    wire.ProtoOADealListByPositionIdReq: Broker._deals_of,
    wire.ProtoOAOrderListReq: Broker._orders,
    wire.ProtoOAOrderListByPositionIdReq: Broker._orders_of,
    wire.ProtoOAOrderDetailsReq: Broker._order,
    wire.ProtoOAExpectedMarginReq: Broker._margin,
    wire.ProtoOASubscribeSpotsReq: Broker._subscribe,
}
OF_THE_PAST = (
    wire.ProtoOADealListReq,
    wire.ProtoOADealListByPositionIdReq,
    wire.ProtoOAOrderListReq,
    wire.ProtoOAOrderListByPositionIdReq,
    wire.ProtoOAOrderDetailsReq,
)
ALWAYS_TAKEN = (wire.ProtoOAApplicationAuthReq, wire.ProtoOAAccountAuthReq, wire.ProtoOANewOrderReq)
