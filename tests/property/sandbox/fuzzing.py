"""Throws mutated messages at the pure broker and looks whether it stands: no fault of its own, books in order.

Half of the messages are well-formed with fields drawn from a pool of telling values (ids that exist, prices near the
market, extremes), so that they get deep; the others have their bytes damaged. One seed repeats a run.
"""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from cmam.sandbox.faults import KINDS
from cmam.sandbox.service.requests import ROUTES
from tests.unit.sandbox.bench import Bench, message_types

FAULTS_IN_1000 = 2
CONNECTIONS = 4
CALM = ("delay", "duplicate", "reorder", "partial-fill", "reject", "silence", "error")
"""Faults that leave a run going; the others are switched on for one message only."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to."""

    frames: int
    answers: int
    deals: int
    internal_errors: int
    last_internal_error: str
    kib_after_half: int
    kib_at_end: int


class Fuzzer:
    """One run."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(f"{seed}:fuzz")
        self.bench = Bench(
            seed=seed,
            requests_per_second=10**6,
            historical_per_second=10**6,
            trading_limits=False,
            history_rows_max=200,
            history_days=2,
            tick_interval_ms=2000,
        )
        self.broker = self.bench.broker
        self.now_us = self.bench.now_us
        self.types = message_types()
        self.kinds = sorted(ROUTES)
        self.open: list[int] = []
        self.next_connection = 1
        self.answers = 0
        self.seen: list[int] = [0, -1, 1, 2**31 - 1, 2**63 - 1, -(2**63)]

    def run(self, frames: int) -> Outcome:
        """Send so many frames."""
        tracemalloc.start()
        kib_half = 0
        for number in range(frames):
            if number == frames // 2:
                kib_half = tracemalloc.get_traced_memory()[0] // 1024
            self.step()
            if number % 500 == 0:
                self.check_books()
        kib_end = tracemalloc.get_traced_memory()[0] // 1024
        tracemalloc.stop()
        self.check_books()
        stats: dict[str, Any] = self.broker.stats()
        deals = sum(len(account.deals) for account in self.broker.floor.accounts.values())
        return Outcome(
            frames, self.answers, deals, stats["internal_errors"], stats["last_internal_error"], kib_half, kib_end
        )

    def step(self) -> None:
        """Send one frame, now and then with something else happening around it."""
        chance = self.chance
        self.now_us += chance.choice((0, 0, 1_000, 20_000, 150_000, 400_000))
        if chance.randrange(1000) < FAULTS_IN_1000:
            self.trouble()
        while len(self.open) < CONNECTIONS:
            self.connect()
        if chance.randrange(400) == 0:
            self.broker.disconnect(self.open.pop(chance.randrange(len(self.open))), self.now_us)
            return
        connection = chance.choice(self.open)
        kind, payload = self.trade(connection) if chance.randrange(2) else self.message()
        self.broker.receive(connection, kind, payload, chance.choice((None, "a", "b", "")), self.now_us)
        if chance.randrange(5000) == 0:
            self.broker.receive_garbage(connection, "no message", self.now_us)
        self.drain()

    def drain(self) -> None:
        """Read what the broker says; learn the ids that it names."""
        for item in self.broker.take_output():
            payload = getattr(item, "payload", None)
            if payload is None:
                if item.connection in self.open:
                    self.open.remove(item.connection)
                continue
            self.answers += 1
            if item.payload_type == 2126:
                event: Any = self.types[2126].FromString(payload)
                self.seen[6:] = [*self.seen[-20:], event.order.orderId, event.position.positionId][-22:]

    def connect(self) -> None:
        """Open a connection; three of four get authorised, with some accounts."""
        connection, self.next_connection = self.next_connection, self.next_connection + 1
        self.broker.connect(connection, self.now_us, environment=self.chance.choice((None, None, "demo", "live")))
        self.open.append(connection)
        if self.chance.randrange(4) == 0:
            return
        application = self.bench.world.applications[0]
        login: Any = self.types[2100](clientId=application.client_id, clientSecret=application.client_secret)
        self.broker.receive(connection, 2100, login.SerializeToString(), None, self.now_us)
        for account in self.bench.world.accounts:
            grant = self.broker.grants.tokens_of(account.ctid) or self.consent(account)
            if self.chance.randrange(2):
                auth: Any = self.types[2102](ctidTraderAccountId=account.ctid, accessToken=grant.access_token)
                self.broker.receive(connection, 2102, auth.SerializeToString(), None, self.now_us)

    def consent(self, account: Any) -> Any:
        """Get new tokens for an account whose grants have all died."""
        application = self.bench.world.applications[0]
        who = {"client_id": application.client_id, "redirect_uri": application.redirect_uris[0]}
        code = self.broker.grants.authorise(
            user=account.owner, accounts=(account.ctid,), scope="trading", now_us=self.now_us, **who
        )
        return self.broker.grants.exchange(
            client_secret=application.client_secret, code=code, now_us=self.now_us, **who
        )

    def trouble(self) -> None:
        """Switch a fault on or everything off."""
        if self.chance.randrange(3) == 0:
            self.broker.clear_fault("all")
            return
        name = self.chance.choice(list(KINDS))
        arguments = {"ms": "40"} if name in ("clock-skew", "delay") else {}
        if name == "error":
            arguments["code"] = "NO_QUOTES"
        if name not in CALM:
            arguments["count"] = "1"
        self.broker.set_fault(name, arguments)

    def trade(self, connection: int) -> tuple[int, bytes]:
        """Make a trading request that may well succeed, for an account that the connection has open."""
        chance = self.chance
        accounts = [a for a in self.broker.floor.accounts.values() if connection in a.listeners]
        if not accounts:
            return self.message()
        account = chance.choice(accounts)
        venue = self.broker.floor.venue_of(account)
        kind = chance.choice((2106, 2106, 2106, 2111, 2111, 2110, 2108, 2109))
        message: Any = self.types[kind](ctidTraderAccountId=account.spec.ctid)
        if kind == 2106:
            self.draw_order(message, chance.choice(list(venue.quotes.values())), account)
        elif kind in (2110, 2111):
            positions = list(account.positions.values())
            if not positions:
                return self.message()
            position = chance.choice(positions)
            message.positionId = position.position_id
            if kind == 2111:
                step = venue.symbols[position.symbol_id].step_volume
                message.volume = chance.choice((position.volume, max(position.volume // 2 // step * step, step)))
            else:
                self.draw_levels(message, venue.quotes[position.symbol_id], position.side, ("stopLoss", "takeProfit"))
        else:
            message.orderId = chance.choice([*account.orders, 1])
            if kind == 2109 and message.orderId in account.orders:
                quote = venue.quotes[account.orders[message.orderId].symbol_id]
                message.limitPrice = message.stopPrice = self.near(quote)
                self.draw_levels(message, quote, 1, ("relativeStopLoss", "relativeTakeProfit"))
        payload = message.SerializePartialToString()
        return kind, payload if chance.randrange(8) else self.damaged(payload)

    def near(self, quote: Any) -> float:
        """Draw a price on the symbol's grid, not far from the market."""
        away = self.chance.randrange(-60, 61) * quote.tick
        return float(max(quote.bid + away, quote.tick)) / 10**8

    def draw_order(self, message: Any, quote: Any, account: Any) -> None:
        """Fill in a new order."""
        chance, symbol = self.chance, quote.symbol
        message.symbolId, message.orderType = symbol.id, chance.choice((1, 1, 1, 2, 3, 5, 6))
        message.tradeSide = chance.choice((1, 2))
        message.volume = symbol.min_volume + symbol.step_volume * chance.choice((0, 0, 1, 9))
        if message.orderType in (2, 3, 6):
            message.limitPrice = message.stopPrice = self.near(quote)
            message.timeInForce = chance.choice((2, 2, 1, 3, 4))
            message.stopTriggerMethod = chance.choice((1, 2, 3, 4))
            message.expirationTimestamp = self.now_us // 1000 + chance.choice((300, 5_000, 60_000))
        if message.orderType == 5:
            message.baseSlippagePrice = self.near(quote)
        message.slippageInPoints = chance.choice((0, 5, 50))
        self.draw_levels(message, quote, 1, ("relativeStopLoss", "relativeTakeProfit"))
        message.trailingStopLoss = chance.randrange(4) == 0
        message.guaranteedStopLoss = account.spec.limited_risk or chance.randrange(8) == 0
        if account.positions and chance.randrange(3) == 0:
            message.positionId = chance.choice(list(account.positions))

    def draw_levels(self, message: Any, quote: Any, side: int, names: tuple[str, str]) -> None:
        """Set none, one or both levels, mostly on the right side."""
        for name, way in zip(names, (-1, 1), strict=True):
            if self.chance.randrange(2):
                points = self.chance.choice((3, 20, 200))
                if name.startswith("relative"):
                    setattr(message, name, points * quote.tick // 1000)
                else:
                    away = way * points * quote.tick * (1 if side == 1 else -1)
                    setattr(message, name, float(max(quote.bid + away, quote.tick)) / 10**8)

    def message(self) -> tuple[int, bytes]:
        """Make one frame."""
        chance = self.chance
        kind = (
            chance.choice(self.kinds) if chance.randrange(10) else chance.choice((2106, 2106, 2111, 2110, 2109, 2108))
        )
        if chance.randrange(200) == 0:
            return chance.choice((0, 5, 50, 51, 2126, 2189, 9999, 2**31)), chance.randbytes(chance.randrange(12))
        message = self.types[kind]()
        self.fill(message)
        payload = message.SerializePartialToString()
        return kind, payload if chance.randrange(3) else self.damaged(payload)

    def fill(self, message: Message) -> None:
        """Set fields to telling values; required ones nearly always."""
        for field in message.DESCRIPTOR.fields:
            if field.name == "payloadType" or self.chance.randrange(10) >= (10 if _is_required(field) else 4):
                continue
            if field.message_type is not None:
                self.fill(getattr(message, field.name))
            elif _is_repeated(field):
                getattr(message, field.name).extend(self.value(field) for _ in range(self.chance.randrange(4)))
            else:
                setattr(message, field.name, self.value(field))

    def value(self, field: FieldDescriptor) -> Any:
        """Draw a value for a field."""
        chance, name = self.chance, field.name
        if field.enum_type is not None:
            return chance.choice(field.enum_type.values).number
        if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
            grants = self.broker.grants.grants()
            tokens = [grant.access_token for grant in grants[-2:]] + [grant.refresh_token for grant in grants[-1:]]
            return chance.choice(["", "x", "é" * 60, "y" * 600, *tokens])
        if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
            return chance.randrange(2) == 1
        if field.cpp_type == FieldDescriptor.CPPTYPE_DOUBLE:
            base = chance.choice((1.085, 1.0851, 1.08, 1.09, 150.0, 2350.0))
            return chance.choice(
                (base, base, round(base * chance.uniform(0.9, 1.1), 5), 0.0, -1.0, 1e300, float("nan"))
            )
        return self.whole(field, name)

    def whole(self, field: FieldDescriptor, name: str) -> int:
        """Draw a whole number that fits the field."""
        chance = self.chance
        now_ms = self.now_us // 1000
        pools = {
            "ctidTraderAccountId": [account.ctid for account in self.bench.world.accounts] + [1],
            "symbolId": [1, 2, 4, 9, 41, 101, 301, 7001, 7002, 12, 14, 999],
            "volume": [100_000, 1_000_000, 10_000_000, 100, 1, 10, 0, -1, 10**12, 300_000_000],
            "relativeStopLoss": [10, 100, 1000, 500, 0, -5, 7],
            "relativeTakeProfit": [10, 100, 1000, 500, 0, -5, 7],
            "fromTimestamp": [now_ms - 3_600_000, now_ms - 86_400_000, 0, now_ms, -1],
            "toTimestamp": [now_ms, now_ms + 1000, now_ms - 1000, 2**62],
            "expirationTimestamp": [now_ms + 500, now_ms + 60_000, now_ms - 1, 2**62],
            "count": [1, 10, 200],
            "maxRows": [1, 5, 0, -1],
        }
        value = chance.choice(pools.get(name, self.seen)) if chance.randrange(20) else chance.choice(self.seen)
        is_small = field.cpp_type in (FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_UINT32)
        is_unsigned = field.cpp_type in (FieldDescriptor.CPPTYPE_UINT32, FieldDescriptor.CPPTYPE_UINT64)
        value = value % 2**31 if is_small else value
        return abs(value) % 2**63 if is_unsigned else value

    def damaged(self, payload: bytes) -> bytes:
        """Damage some bytes: flip, drop, double, cut."""
        chance = self.chance
        data = bytearray(payload)
        for _ in range(chance.randrange(1, 4)):
            place = chance.randrange(len(data) + 1)
            match chance.randrange(4):
                case 0 if place < len(data):
                    data[place] ^= 1 << chance.randrange(8)
                case 1:
                    del data[place : place + chance.randrange(1, 4)]
                case 2:
                    data[place:place] = chance.randbytes(chance.randrange(1, 5))
                case _:
                    del data[place:]
        return bytes(data)

    def check_books(self) -> None:
        """Hold what must hold at every moment."""
        for account in self.broker.floor.accounts.values():
            for problem in book_problems(account):
                raise AssertionError(problem)


def _is_required(field: FieldDescriptor) -> bool:
    return field.is_required


def _is_repeated(field: FieldDescriptor) -> bool:
    return field.is_repeated


def book_problems(account: Any) -> Iterator[str]:
    """Say what is wrong with an account's books, apart from what old rows that were forgotten explain."""
    for position in account.positions.values():
        held = sum(volume for _, volume in position.lots)
        if held != position.volume:
            yield f"position {position.position_id} holds {position.volume}, its parts {held}"
        if not 0 <= position.closing <= max(position.volume, 0):
            yield f"position {position.position_id} of {position.volume} is closing {position.closing}"
        if position.commission > 0:
            yield f"position {position.position_id} earns a commission of {position.commission}"
        if not position.volume and not any(o.position_id == position.position_id for o in account.orders.values()):
            yield f"position {position.position_id} waits for an order that is gone"
        if position.protective_id is not None and position.protective_id not in account.orders:
            yield f"position {position.position_id} names a protective order that is gone"
    for order in account.orders.values():
        if order.position_id not in account.positions and not (order.is_closing and order.is_under_way):
            yield f"order {order.order_id} is for position {order.position_id}, which is gone"
        if not 0 <= order.executed < order.volume:
            yield f"live order {order.order_id} of {order.volume} executed {order.executed}"


def main(frames: int, seed: int) -> Outcome:
    """Run once; raises AssertionError when the broker or its books fall."""
    outcome = Fuzzer(seed).run(frames)
    assert outcome.internal_errors == 0, outcome.last_internal_error
    return outcome
