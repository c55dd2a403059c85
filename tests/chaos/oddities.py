"""What a run of the kind `odd` has that the plain ones have not, by seed: worlds, instruments, habits and refusals.

Chains of three, nets that follow nets, two leaders on one net, deposits in yen, limited risk; gold, indices, crypto and
yen; somebody who opens and closes at once many times, or closes everything at once while the broker refuses; refusals
with every code of the schema, and with some of none, at every kind of request; answers that take half a minute; rights,
leverage and money that come and go.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.sandbox.faults import CODES
from cmam.sandbox.serving.world_file import default_world
from cmam.sandbox.switches import Switches
from cmam.sandbox.world import Symbol, World
from tests.chaos.workload import Market, Trader
from tests.person import Held
from tests.whole import ALPHA_TOO, NETTED, OTHER_BROKER, SAME_BROKER, YEN, Whole

if TYPE_CHECKING:
    from tests.chaos.options import Options

FEEDS = ("USDJPY", "XAUUSD", "US500", "BTCUSD", "AUDUSD", "EURUSD")
"""What is traded: yen, gold, an index, crypto, a book of several levels, and what everybody has."""
TABLE = (
    "leader_symbol,follower_symbol\nEURUSD,EURUSD.b\nUSDJPY,USDJPY.b\nAUDUSD,AUDUSD.b\nXAUUSD,GOLD.b\nUS500,US500.b\n"
)
STRANGE = ("A_CODE_NOBODY_KNOWS", "POSITION_NOT_FOUND_OR_NOT_OPENED", "ALREADY_CLOSED")
TRADES = ("2106", "2108", "2109", "2110", "2111")
READS = ("2112", "2114", "2116", "2121", "2124", "2127", "2133", "2175")
"""Assets, symbols, one symbol, the trader, the reconcile, spots, deals, orders."""
HALF_A_MINUTE_MS = "31000"
PERMILLE = (2, 5, 10, 30)
"""How far from the price a level or an order may lie."""


def with_netted(*accounts: int) -> World:
    """The built-in world with some of its accounts netted."""
    world = default_world()
    kinds = {account: int(model.NETTED) for account in accounts}
    rows = tuple(replace(row, kind=kinds.get(row.ctid, row.kind)) for row in world.accounts)
    return replace(world, accounts=rows)


def _plain(options: Options, switches: Switches) -> Whole:
    return Whole(options.seed, followers=(SAME_BROKER, NETTED), settings=options.settings, switches=switches)


def _net_of_a_net(options: Options, switches: Switches) -> Whole:
    return Whole(
        options.seed,
        leader=ALPHA_TOO,
        followers=(SAME_BROKER,),
        settings=options.settings,
        switches=switches,
        world=with_netted(ALPHA_TOO, SAME_BROKER),
    )


def _chain_by_a_net(options: Options, switches: Switches) -> Whole:
    world = with_netted(ALPHA_TOO)
    whole = Whole(options.seed, followers=(ALPHA_TOO,), settings=options.settings, switches=switches, world=world)
    whole.add_accounts(SAME_BROKER)
    whole.add_profile("second", ALPHA_TOO, (SAME_BROKER,), {"volume.amount": "0.5"})
    return whole


def _long_chain(options: Options, switches: Switches) -> Whole:
    whole = Whole(options.seed, followers=(ALPHA_TOO,), settings=options.settings, switches=switches)
    whole.add_accounts(SAME_BROKER, OTHER_BROKER)
    whole.add_profile("second", ALPHA_TOO, (SAME_BROKER,), {})
    whole.add_profile("third", SAME_BROKER, (OTHER_BROKER,), {"symbols.table": TABLE})
    return whole


def _two_ways(options: Options, switches: Switches) -> Whole:
    whole = Whole(options.seed, followers=(ALPHA_TOO, SAME_BROKER), settings=options.settings, switches=switches)
    whole.add_profile("second", ALPHA_TOO, (SAME_BROKER,), {})
    return whole


def _two_on_a_net(options: Options, switches: Switches) -> Whole:
    world = with_netted(SAME_BROKER)
    whole = Whole(options.seed, followers=(SAME_BROKER,), settings=options.settings, switches=switches, world=world)
    whole.add_accounts(ALPHA_TOO)
    whole.add_profile("second", ALPHA_TOO, (SAME_BROKER,), {})
    return whole


def _yen(options: Options, switches: Switches) -> Whole:
    settings = {**options.settings, "symbols.table": TABLE}
    return Whole(options.seed, followers=(YEN,), settings=settings, switches=switches)


WORLDS: dict[str, Callable[[Options, Switches], Whole]] = {
    "odd symbols": _plain,
    "a net of a net": _net_of_a_net,
    "a chain by a net": _chain_by_a_net,
    "a long chain": _long_chain,
    "two ways": _two_ways,
    "two on a net": _two_on_a_net,
    "yen": _yen,
}


class OddTrader(Trader):
    """Somebody who trades anything, in whatever size it comes in, and sometimes in great haste."""

    def act(self) -> str:
        """Do one thing."""
        acts: list[Callable[[], str]] = [self._open, self._open, self._open, self._part, self._close, self._move]
        acts += [self._add, self._add, self._scalp, self._turn_about]
        acts += [self._panic] if self._chance.random() < 0.5 else [self._move]
        if self._pendings:
            acts += [self._place, self._place, self._amend, self._cancel]
        return self._chance.choice(acts)()

    def _spec(self, symbol: int) -> Symbol:
        floor = self._whole.broker.floor
        return floor.symbol(floor.accounts[self._account], symbol)

    def _grain(self, symbol: int) -> int:
        """A handy size: some steps, worth about as much in one instrument as in another."""
        spec = self._spec(symbol)
        return max(spec.step_volume, spec.lot_size // 10 // spec.step_volume * spec.step_volume)

    def _rounded(self, symbol: int, price: float) -> float:
        return round(price, self._spec(symbol).digits)

    def _away(self, price: float) -> float:
        return price * self._chance.choice(PERMILLE) / 1_000

    def _relative(self, symbol: int) -> int:
        tick = 10 ** (5 - self._spec(symbol).digits)
        return max(tick, int(self._away(self._price(symbol)) * 100_000) // tick * tick)

    def _open(self) -> str:
        symbol = self._chance.choice(sorted(self._symbols))
        levels: dict[str, object] = {}
        if self._chance.random() < 0.6:
            levels["relativeStopLoss"] = self._relative(symbol)
            levels["trailingStopLoss"] = self._chance.random() < 0.2
        if self._chance.random() < 0.4:
            levels["relativeTakeProfit"] = self._relative(symbol)
        side = self._chance.choice((model.BUY, model.SELL))
        volume = self._chance.randrange(1, 4) * self._grain(symbol)
        try:
            position = self._whole.person.buy(volume, account=self._account, symbol=symbol, side=side, **levels)
        except StopIteration:
            return "open refused"
        return f"open {position}"

    def _part(self) -> str:
        held = self._position()
        if held is None:
            return self._open()
        step = self._spec(held.symbol).step_volume
        part = held.volume * self._chance.choice((1, 2, 3)) // 4 // step * step
        if part:
            self._whole.person.close(held.position, part, account=self._account)
        return f"part {held.position} {part}"

    def _move(self) -> str:
        held = self._position()
        if held is None:
            return self._open()
        sign = 1 if held.side == model.BUY else -1
        stop = self._rounded(held.symbol, held.price - sign * self._away(held.price))
        target = self._rounded(held.symbol, held.price + sign * self._away(held.price))
        self._whole.person.amend(
            held.position,
            account=self._account,
            stop=self._chance.choice((stop, stop, None)),
            target=self._chance.choice((target, None)),
        )
        return f"move {held.position}"

    def _add(self) -> str:
        held = self._position()
        if held is None:
            return self._open()
        is_netted = self._whole.broker.floor.accounts[self._account].spec.kind == model.NETTED
        more = {} if is_netted else {"positionId": held.position}
        volume = self._chance.choice((held.volume, self._grain(held.symbol), self._spec(held.symbol).step_volume))
        with contextlib.suppress(StopIteration):
            self._whole.person.buy(volume, account=self._account, symbol=held.symbol, side=held.side, **more)
        return f"add {volume} to {held.position}"

    def _scalp(self) -> str:
        """Open and close within a moment, again and again."""
        symbol, times = self._chance.choice(sorted(self._symbols)), self._chance.choice((1, 3, 12))
        for _ in range(times):
            with contextlib.suppress(StopIteration):
                position = self._whole.person.buy(self._grain(symbol), account=self._account, symbol=symbol)
                self._whole.run(self._chance.choice((0.001, 0.01, 0.05, 0.14, 0.2)))
                self._whole.person.close(position, self._grain(symbol), account=self._account)
        return f"scalp {times} times"

    def _turn_about(self) -> str:
        """Close, and open the other way at once."""
        held = self._position()
        if held is None:
            return self._open()
        other = model.SELL if held.side == model.BUY else model.BUY
        self._whole.person.close(held.position, held.volume, account=self._account)
        with contextlib.suppress(StopIteration):
            self._whole.person.buy(held.volume, account=self._account, symbol=held.symbol, side=other)
        return f"turn {held.position}"

    def _panic(self) -> str:
        """Close everything and take every order back, at once; often the broker refuses just then."""
        if self._chance.random() < 0.5:
            kind, code = self._chance.choice((("2111", "BLOCKED_PAYLOAD_TYPE"), ("2106", "REQUEST_FREQUENCY_EXCEEDED")))
            where = str(max(self._whole.stepper.network.lines, default=1))
            arguments = {"code": code, "type": kind, "retry_after": "1", "count": "3", "connection": where}
            self._whole.broker.set_fault("error", arguments)
        held: Sequence[Held] = self._whole.person.holds(self._account)
        for one in held:
            self._whole.person.close(one.position, one.volume, account=self._account)
        for order in self._whole.person.rests(self._account):
            self._whole.person.cancel(order.orderId, account=self._account)
        return f"panic of {len(held)}"

    def _place(self) -> str:
        symbol = self._chance.choice(sorted(self._symbols))
        side = self._chance.choice((model.BUY, model.SELL))
        kind = self._chance.choice((model.LIMIT, model.STOP, model.STOP_LIMIT))
        away = self._away(self._price(symbol))
        below = (side == model.BUY) == (kind == model.LIMIT)
        price = self._rounded(symbol, self._price(symbol) + (-away if below else away))
        more: dict[str, object] = {}
        if kind == model.STOP_LIMIT:
            more["slippageInPoints"] = 50
        if self._chance.random() < 0.5:
            more["relativeStopLoss"] = self._relative(symbol)
        if self._chance.random() < 0.4:
            lives_ms = self._chance.choice((3_000, 8_000, 30_000))
            more["expirationTimestamp"] = self._whole.stepper.clock.now() // 1_000 + lives_ms
            more["timeInForce"] = model.GOOD_TILL_DATE
        volume = self._chance.randrange(1, 4) * self._grain(symbol)
        try:
            order = self._whole.person.place(
                kind, volume, price=price, account=self._account, symbol=symbol, side=side, **more
            )
        except StopIteration:
            return "place refused"
        return f"place {order}"

    def _amend(self) -> str:
        order = self._order()
        if order is None:
            return self._place()
        symbol, more = order.tradeData.symbolId, {}
        for name in ("limitPrice", "stopPrice"):
            if order.HasField(name):
                moved = getattr(order, name) * (1 + self._chance.choice((-1, 1, 2)) / 2_000)
                more[name] = self._rounded(symbol, moved)
        if order.HasField("slippageInPoints"):
            more["slippageInPoints"] = order.slippageInPoints
        volume = self._chance.choice((order.tradeData.volume, self._grain(symbol), 2 * self._grain(symbol)))
        self._whole.person.amend_order(order.orderId, account=self._account, volume=volume, **more)
        return f"amend {order.orderId}"


class OddMarket(Market):
    """Prices that jump, of every instrument."""

    def act(self) -> str:
        """Move one price by some thousandths."""
        feed = self._chance.choice(FEEDS)
        stream = self._whole.broker.floor.market.streams[feed]
        moved = stream.bid * (1_000 + self._chance.choice((-8, -3, -1, 1, 3, 8))) // 1_000
        bid = round(moved / 1e8, stream.feed.digits)
        self._whole.broker.set_fault("price", {"symbol": feed, "bid": f"{bid:.{stream.feed.digits}f}"})
        self._whole.stepper.network.collect()
        return f"{feed} at {bid}"


class Refuser:
    """A broker that refuses in every way that the schema knows, is slow, and changes what an account may do."""

    def __init__(self, whole: Whole, chance: random.Random, *, followers: tuple[int, ...]) -> None:
        self._whole = whole
        self._chance = chance
        self._followers = followers

    def act(self) -> str:
        """Do one such thing."""
        return self._chance.choice((self._refuse, self._refuse, self._refuse_reads, self._late, self._terms))()

    def _set(self, name: str, arguments: dict[str, str]) -> str:
        self._whole.broker.set_fault(name, arguments)
        self._whole.stepper.network.collect()
        return f"{name} {arguments}"

    def _where(self) -> dict[str, str]:
        line = str(max(self._whole.stepper.network.lines, default=1))
        return {"connection": line, "count": str(self._chance.randrange(1, 4))}

    def _refuse(self) -> str:
        code = self._chance.choice((*CODES, *(f"any:{code}" for code in STRANGE)))
        retry = self._chance.choice(("0", "0", "1"))
        kind = self._chance.choice((*TRADES, "2111"))
        return self._set("error", {"code": code, "type": kind, "retry_after": retry, **self._where()})

    def _refuse_reads(self) -> str:
        code = self._chance.choice(CODES)
        return self._set(
            "error", {"code": code, "type": self._chance.choice(READS), "retry_after": "1", **self._where()}
        )

    def _late(self) -> str:
        account = str(self._chance.choice(self._whole.accounts))
        return self._set("delay", {"ms": HALF_A_MINUTE_MS, "account": account, **self._where()})

    def _terms(self) -> str:
        account = str(self._chance.choice(self._followers))
        name, arguments = self._chance.choice(
            (
                ("access", {"rights": "CLOSE_ONLY"}),
                ("access", {"rights": "NO_TRADING"}),
                ("leverage", {"leverage": "5"}),
                ("leverage", {"leverage": "400"}),
                ("bonus", {"amount": "50"}),
                ("withdraw", {"amount": "20"}),
            )
        )
        return self._set(name, {"account": account, **arguments})

    def relent(self) -> None:
        """Everybody may do everything again."""
        for account in self._whole.accounts:
            self._set("access", {"account": str(account), "rights": "FULL_ACCESS"})
            self._set("leverage", {"account": str(account), "leverage": "100"})


def symbols_of(whole: Whole, account: int) -> dict[int, str]:
    """What an odd trader trades on an account: the broker's number of each instrument, and the feed of its prices."""
    floor = whole.broker.floor
    symbols = floor.venue_of(floor.accounts[account]).symbols.values()
    return {symbol.id: symbol.feed for symbol in symbols if symbol.feed in FEEDS and symbol.enabled}
