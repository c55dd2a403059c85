"""What a leader, people on followers' terminals, the market and an operator may do, by seed.

Every act answers with a word for the protocol of its run. Nothing here judges; that is `checks.py`.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable

from cmam.openapi._pb import OpenApiMessages_pb2 as wire
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from tests.person import EURUSD
from tests.whole import NETTED, Whole

LOT = 10_000_000
PIP = 10_000  # in 1/100_000_000 of price
SYMBOLS = {EURUSD: "EURUSD", 2: "GBPUSD"}
NETTED_SYMBOLS = {7001: "EURUSD", 7002: "GBPUSD"}
Settings = dict[str, str]


class Trader:
    """Somebody who trades on one account, in whatever way comes to mind."""

    def __init__(
        self,
        whole: Whole,
        account: int,
        chance: random.Random,
        *,
        symbols: dict[int, str],
        pendings: bool,
        holds: bool = False,
        varied: bool = False,
    ) -> None:
        self._whole = whole
        self._account = account
        self._chance = chance
        self._symbols = symbols
        self._pendings = pendings
        self._holds = holds
        self._varied = varied

    def act(self) -> str:
        """Do one thing; who holds on to what he has moves its levels instead of closing it, who trades in varied ways
        also adds, opens within a range, and amends the levels and the expiry of his orders."""
        acts: list[Callable[[], str]] = [self._open, self._open, self._part, self._close, self._move, self._wait]
        if self._holds:
            acts[3] = self._move
        if self._pendings:
            acts += [self._place, self._place, self._amend, self._move if self._holds else self._cancel]
        if self._varied:
            acts += [self._add, self._range, self._amend_terms if self._pendings else self._open]
        return self._chance.choice(acts)()

    def _wait(self) -> str:
        return "wait"

    def _open(self) -> str:
        symbol = self._chance.choice(sorted(self._symbols))
        levels = {}
        if self._chance.random() < 0.6:
            levels["relativeStopLoss"] = self._chance.choice((300, 1_000, 5_000))
        if self._chance.random() < 0.4:
            levels["relativeTakeProfit"] = self._chance.choice((400, 2_000))
        if levels.get("relativeStopLoss") and self._chance.random() < 0.2:
            levels["trailingStopLoss"] = True
        side = self._chance.choice((model.BUY, model.SELL))
        volume = self._chance.randrange(1, 4) * LOT // 10
        try:
            position = self._whole.person.buy(volume, account=self._account, symbol=symbol, side=side, **levels)
        except StopIteration:
            return "open refused"
        return f"open {position}"

    def _position(self):
        held = self._whole.person.holds(self._account)
        return self._chance.choice(held) if held else None

    def _part(self) -> str:
        held = self._position()
        if held is None:
            return self._open()
        part = held.volume * self._chance.choice((1, 2, 3)) // 4 // 100_000 * 100_000
        if part:
            self._whole.person.close(held.position, part, account=self._account)
        return f"part {held.position} {part}"

    def _close(self) -> str:
        held = self._position()
        if held is None:
            return self._open()
        self._whole.person.close(held.position, held.volume, account=self._account)
        return f"close {held.position}"

    def _move(self) -> str:
        held = self._position()
        if held is None:
            return self._open()
        sign = 1 if held.side == model.BUY else -1
        stop = round(held.price - sign * self._chance.randrange(50, 600) / 10_000, 4)
        target = round(held.price + sign * self._chance.randrange(50, 600) / 10_000, 4)
        self._whole.person.amend(
            held.position,
            account=self._account,
            stop=self._chance.choice((stop, stop, None)),
            target=self._chance.choice((target, None)),
        )
        return f"move {held.position}"

    def _price(self, symbol: int) -> float:
        return self._whole.broker.floor.market.streams[self._symbols[symbol]].bid / 1e8

    def _place(self) -> str:
        symbol = self._chance.choice(sorted(self._symbols))
        side = self._chance.choice((model.BUY, model.SELL))
        kind = self._chance.choice((model.LIMIT, model.STOP, model.STOP_LIMIT))
        away = self._chance.randrange(8, 40) / 10_000
        below = (side == model.BUY) == (kind == model.LIMIT)
        price = round(self._price(symbol) + (-away if below else away), 4)
        more: dict[str, object] = {}
        if kind == model.STOP_LIMIT:
            more["slippageInPoints"] = 50
        if self._chance.random() < 0.5:
            more["relativeStopLoss"] = self._chance.choice((500, 2_000))
        if self._chance.random() < 0.3:
            more["expirationTimestamp"] = self._whole.stepper.clock.now() // 1_000 + self._chance.choice(
                (8_000, 30_000)
            )
            more["timeInForce"] = model.GOOD_TILL_DATE
        volume = self._chance.randrange(1, 4) * LOT // 10
        try:
            order = self._whole.person.place(
                kind, volume, price=price, account=self._account, symbol=symbol, side=side, **more
            )
        except StopIteration:
            return "place refused"
        return f"place {order}"

    def _order(self):
        rests = self._whole.person.rests(self._account)
        return self._chance.choice(rests) if rests else None

    def _amend(self) -> str:
        order = self._order()
        if order is None:
            return self._place()
        moved = self._chance.choice((-5, 5, 12)) / 10_000
        price = {}
        if order.HasField("limitPrice"):
            price["limitPrice"] = round(order.limitPrice + moved, 4)
        if order.HasField("stopPrice"):
            price["stopPrice"] = round(order.stopPrice + moved, 4)
        if order.HasField("slippageInPoints"):
            price["slippageInPoints"] = order.slippageInPoints
        volume = self._chance.choice((order.tradeData.volume, LOT // 10, LOT // 5))
        self._whole.person.amend_order(order.orderId, account=self._account, volume=volume, **price)
        return f"amend {order.orderId}"

    def _add(self) -> str:
        held = self._position()
        if held is None:
            return self._open()
        volume = self._chance.choice((held.volume, LOT // 10))
        more = {} if self._account == NETTED else {"positionId": held.position}
        with contextlib.suppress(StopIteration):
            self._whole.person.buy(volume, account=self._account, symbol=held.symbol, side=held.side, **more)
        return f"add {volume} to {held.position}"

    def _range(self) -> str:
        symbol = self._chance.choice(sorted(self._symbols))
        points = self._chance.choice((10, 300))
        request = wire.ProtoOANewOrderReq(
            ctidTraderAccountId=self._account,
            symbolId=symbol,
            orderType=model.MARKET_RANGE,
            tradeSide=model.BUY,
            volume=LOT // 10,
            baseSlippagePrice=round(self._price(symbol), 5),
            slippageInPoints=points,
        )
        self._whole.person.say(self._account, request)
        return f"open within {points} points"

    def _amend_terms(self) -> str:
        order = self._order()
        if order is None:
            return self._place()
        more: dict[str, object] = {"volume": order.tradeData.volume}
        for name in ("limitPrice", "stopPrice", "slippageInPoints"):
            if order.HasField(name):
                more[name] = getattr(order, name)
        if self._chance.random() < 0.7:
            more["relativeStopLoss"] = self._chance.choice((500, 1_500))
        if self._chance.random() < 0.5:
            more["relativeTakeProfit"] = self._chance.choice((600, 2_500))
        if self._chance.random() < 0.4:
            more["expirationTimestamp"] = self._whole.stepper.clock.now() // 1_000 + self._chance.choice(
                (30_000, 3_600_000)
            )
        self._whole.person.amend_order(order.orderId, account=self._account, **more)
        return f"amend the terms of {order.orderId}"

    def _cancel(self) -> str:
        order = self._order()
        if order is None:
            return self._place()
        self._whole.person.cancel(order.orderId, account=self._account)
        return f"cancel {order.orderId}"


class Market:
    """Prices that jump: levels are hit, pendings fill."""

    def __init__(self, whole: Whole, chance: random.Random) -> None:
        self._whole = whole
        self._chance = chance

    def act(self) -> str:
        """Move one price."""
        feed = self._chance.choice(("EURUSD", "GBPUSD"))
        stream = self._whole.broker.floor.market.streams[feed]
        bid = stream.bid + self._chance.choice((-30, -12, -4, 4, 12, 30)) * PIP
        self._whole.broker.set_fault("price", {"symbol": feed, "bid": f"{bid / 1e8:.5f}"})
        self._whole.stepper.network.collect()
        return f"{feed} at {bid / 1e8:.5f}"


class Meddler:
    """People with terminals of their own on the followers."""

    def __init__(self, whole: Whole, chance: random.Random, *, accounts: tuple[int, ...]) -> None:
        self._whole = whole
        self._chance = chance
        self._accounts = accounts

    def act(self) -> str:
        """Do to a follower what a human would."""
        account = self._chance.choice(self._accounts)
        person = self._whole.person
        held, rests = person.holds(account), person.rests(account)
        what = self._chance.choice(("close", "part", "open", "levels", "cancel"))
        if what == "open" or not held:
            try:
                person.buy(LOT // 10, account=account, symbol=7001 if account == 41_000_005 else 1)
            except StopIteration:
                return "human refused"
            return f"human opens on {account}"
        chosen = self._chance.choice(held)
        if what == "cancel" and rests:
            person.cancel(self._chance.choice(rests).orderId, account=account)
        elif what == "close":
            person.close(chosen.position, chosen.volume, account=account)
        elif what == "part":
            person.close(chosen.position, chosen.volume // 2 // 100_000 * 100_000, account=account)
        else:
            sign = 1 if chosen.side == model.BUY else -1
            person.amend(chosen.position, account=account, stop=round(chosen.price - sign * 0.03, 4))
        return f"human {what} on {account} {chosen.position}"


def another_age(chance: random.Random) -> Settings:
    """A setting that changes nothing of what is copied in time."""
    return {"max_age": chance.choice(("20", "30", "40"))}


class Operator:
    """A person with a second terminal of cmam."""

    def __init__(
        self, whole: Whole, chance: random.Random, *, ends_links: bool, settings: Callable[[random.Random], Settings]
    ) -> None:
        self._whole = whole
        self._chance = chance
        self._ends_links = ends_links
        self._settings = settings

    def act(self) -> str:
        """Give one order, and do not wait for its answer."""
        commands = ["pause", "resume", "profile.set"]
        if self._settings is not another_age:
            commands += ["resume", "profile.set", "profile.set", "profile.set"]
        if self._ends_links:
            commands += ["profile.disable", "profile.enable"]
        name = self._chance.choice(commands)
        request: dict[str, object] = {"command": name, "profile": "whole"}
        if name == "profile.set":
            request["settings"] = self._settings(self._chance)
        if name == "profile.disable":
            request["copies"] = self._chance.choice(("leave", "close"))
        if self._whole.system is not None and self._whole.stepper._actors:
            self._whole.system.handle(request, lambda _: None)
        return f"{name} {request.get('settings', '')}".rstrip()
