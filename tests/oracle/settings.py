"""Days on which the settings change under way: while copies are open, orders rest, requests are on their way, a line is
cut and no process runs.

No oracle of sizes: whatever is set, what stands is followed to its end, by laws that hold for any settings. A change of
settings alone trades nothing; what a leader closes is closed; no source is held twice; no stop is lost but with his.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from cmam.domain.profiles.policy import check_settings
from cmam.domain.values.ids import from_base36
from cmam.domain.values.naming import read_label
from cmam.office import StoreWriter
from cmam.openapi._pb.OpenApiModelMessages_pb2 import LIMIT, STOP
from tests.person import Held
from tests.rulebook import BUY, EURUSD, GBPUSD, LEAD, NETTED_LEAD, SELL, TABLE_HEAD, UNIT, Case, Rulebook
from tests.stepped import BEGINS_US

LOT = 10_000 * UNIT
ROWS = ("EURUSD,EURUSD,,,,,,,", "EURUSD,EURUSD,off,,fixed,0.2,,,", "EURUSD,GBPUSD,,,,,,,", "GBPUSD,GBPUSD,,off,,,,,")
CHANGED: Mapping[str, tuple[str, ...]] = {
    "volume.mode": ("multiplier", "fixed", "balance_ratio", "fixed_leverage"),
    "volume.amount": ("1", "0.37", "2.5", "0.01"),
    "volume.min": ("off", "0.05"),
    "volume.max": ("off", "0.03", "0.3"),
    "volume.rounding": ("skip,cap", "raise,split"),
    "side": ("both", "buy", "sell"),
    "reverse": ("off", "on"),
    "reverse_without_stop": ("off", "on"),
    "order_types": ("all", "market", "limit,stop"),
    "copy_on_fill": ("off", "on"),
    "ignore_new": ("off", "on"),
    "scale_in": ("on", "off"),
    "partial_rounding": ("carry", "up"),
    "label": ("any", "exact:nothing"),
    "symbols.include": ("all", "EURUSD", "GBPUSD"),
    "symbols.mapping": ("automatic", "file"),
    "symbols.table": ("", *("\n".join((TABLE_HEAD, row)) for row in ROWS)),
    "max_age": ("30s", "1s"),
    "max_price_distance": ("off", "0.1", "20"),
    "wait_for_better": ("off", "1"),
    "max_spread": ("off", "0.1"),
    "max_slippage": ("off", "5", "50"),
    "levels": ("shift", "price"),
    "copy_sl": ("on", "off"),
    "copy_tp": ("on", "off"),
    "copy_trailing": ("on", "off"),
    "sl_offset": ("off", "10", "-5"),
    "tp_offset": ("off", "10", "-5"),
    "fixed_sl": ("off", "150", "400"),
    "fixed_tp": ("off", "150", "400"),
    "require_stop": ("off", "on"),
    "bad_stop": ("skip", "widen"),
    "human_levels": ("pin", "leader"),
    "copy_expiry": ("on", "off"),
    "pending_max_life": ("off", "1h"),
    "pending_grace": ("2s", "0s", "10s"),
    "pending_ahead": ("60s", "5s"),
    "pending_outside": ("cancel", "keep"),
    "max_positions": ("off", "1"),
    "max_lots_open": ("off", "0.2"),
    "max_lots_symbol": ("off", "0.2"),
    "reopen": ("off", "on"),
    "sync_open": ("off", "on"),
    "sync_max_price_distance": ("10", "500"),
    "leader_blind": ("hold", "close_after 1h"),
    "max_rejections": ("off", "50"),
    "min_equity": ("off", "10"),
    "daily_loss": ("off", "90%"),
}
"""Settings with what they are set to, back and forth. Guards are watched, and none trips."""


LEVELLED = ("copy_sl", "copy_tp", "fixed_sl", "fixed_tp", "human_levels", "levels", "require_stop", "reverse")
"""Those that say which levels a copy has: drawn more often than others."""
STRICT = frozenset(
    {
        *("side", "order_types", "ignore_new", "label", "symbols.include", "symbols.mapping", "max_age", "max_spread"),
        *("max_price_distance", "wait_for_better", "require_stop", "max_positions", "max_lots_open", "max_lots_symbol"),
        *("volume.max", "volume.amount", "volume.mode"),
    }
)
"""Those that keep opens away, and are so most seldom."""


@dataclass(slots=True)
class Theirs:
    """What a leader holds or has placed, with whether he has ever taken a level of it away."""

    account: int
    number: int
    symbol: int
    side: int
    volume: int
    entry: Decimal
    is_order: bool = False
    levels: dict[str, float] = field(default_factory=dict)


class SettingsDay:
    """One world from a seed: followers of two leaders, one of them netted, and settings that change at any moment."""

    changed = CHANGED
    nets = frozenset({"net"})
    """The followers that are netted."""

    def __init__(self, seed: int) -> None:
        self.seed, self.chance = seed, random.Random(seed)
        self.book = Rulebook(self._cases(), seed=seed, begins_us=self._begins_us())
        self.followers = dict(self.book.ids)
        self.book.add_accounts(NETTED_LEAD)
        more = self._more()
        for name, (leader, follower) in more.items():
            self.book.add_profile(name, leader, (self.followers[follower],), self._begin_with())
        self.profiles = dict.fromkeys((*self.followers, *more), "running")
        self.held: list[Theirs] = []
        self.wrong: list[str] = []
        self.log: list[str] = []
        self.counts: Counter[str] = Counter()
        self.is_down = False
        self.forgiven: set[int] = set()
        """Leaders' positions of which a level was taken away: copies may lose theirs."""
        self.stopped: dict[int, float] = {}
        """Positions of followers that had a stop when they were looked at last."""

    def _begins_us(self) -> int:
        """When the day begins."""
        return BEGINS_US

    def _cases(self) -> list[Case]:
        """The followers, each with a profile of its own."""
        return [
            Case("same", "Same", self._begin_with()),
            Case("mini", "Mini", self._begin_with()),
            Case("odd", "Odd", self._begin_with(), currency="EUR"),
            Case("net", "Same", self._begin_with(), kind="netted"),
        ]

    def _more(self) -> dict[str, tuple[int, str]]:
        """The profiles beside: the leader of each, and the follower's name."""
        return {f"{name} too": (NETTED_LEAD, name) for name in ("same", "mini")}

    def _begin_with(self) -> dict[str, str]:
        settings = {"volume.basis": "units", "sanity.max_times_leader": "off", "sanity.max_leverage": "off"}
        settings["margin_reserve"] = "off"
        if self.chance.random() < 0.5:
            settings.update(self._drawn(settings, self.chance.randrange(1, 4)))
        return settings

    def _drawn(self, beside: Mapping[str, str], count: int) -> dict[str, str]:
        """Some settings otherwise, that may stand beside those there are."""
        while True:
            names = self.chance.sample(LEVELLED if self.chance.random() < 0.4 else sorted(self.changed), count)
            found = {name: self._value(name) for name in names}
            if not tuple(check_settings({**beside, **found})):
                return found

    def _value(self, name: str) -> str:
        """What a setting is set to: mostly what copies are opened under, since those are what is looked at."""
        values = self.changed[name]
        return values[0] if name in STRICT and self.chance.random() < 0.75 else self.chance.choice(values)

    # --- what happens ---------------------------------------------------------------------------------------------

    def run(self, steps: int = 40) -> None:
        """Let so many things happen, then all that leaders have end, and say what is against the laws."""
        self.book.begin()
        for _ in range(steps):
            act = self.chance.choice(self._acts())
            act()
            if self.chance.random() < 0.45:
                self._settle()
                self._look()
                if self.chance.random() < 0.6:
                    self._change_at_rest()
            else:
                self.book.run(self.chance.choice((0.0, 0.02, 0.05, 0.1, 0.3, 1.0)))
        self._end()
        self.wrong += [f"{failure!r}" for failure in self.book.stepper.failures]
        self.wrong = [f"seed {self.seed}: {line}" for line in self.wrong]

    def _acts(self) -> list[Callable[[], None]]:
        acts: list[Callable[[], None]] = [*[self._open] * 4, self._place, self._place, *[self._set] * 5, self._switch]
        acts += [self._move, self._kill, self._cut, self._touch]
        if self.chance.random() < 0.3:
            acts.append(self._make_anew)
        if self.held:
            acts += [self._grow, self._reduce, self._reduce, self._amend, self._amend, self._close]
        if len(self.held) > 5:
            acts += [self._close] * 3
        return acts

    def _say(self, what: str) -> None:
        self.counts[what.split()[0]] += 1
        self.log.append(f"{(self.book.now_us() // 1_000) % 10**8}: {what}")

    def _settle(self) -> None:
        if self.is_down:
            self._start()
        if self.chance.random() < 0.5:
            self._go_on()
        self.book.go(12)

    def _go_on(self) -> None:
        """Resume and enable whatever is not copied now."""
        for name, state in sorted(self.profiles.items()):
            if state != "running":
                self._do({"command": "resume" if state == "pause" else "profile.enable", "profile": name})
                self.profiles[name] = "running"
        self._say("all go on")

    def _price(self, symbol: int) -> Decimal:
        return self.book.bids["EURUSD" if symbol == EURUSD else "GBPUSD"]

    def _wish(self) -> tuple[int, int, int, int]:
        account = NETTED_LEAD if self.chance.random() < 0.25 else LEAD
        symbol = GBPUSD if account == NETTED_LEAD else self.chance.choice((EURUSD, EURUSD, GBPUSD))
        side = self.chance.choice((BUY, SELL))
        return account, symbol, side, self.chance.randrange(1, 6) * LOT

    def _distances(self) -> dict[str, int]:
        return {
            name: self.chance.randrange(1_500, 4_000)
            for name in ("relativeStopLoss", "relativeTakeProfit")
            if self.chance.random() < 0.55
        }

    def _open(self) -> None:
        account, symbol, side, volume = self._wish()
        if account == NETTED_LEAD and any(one.account == account and not one.is_order for one in self.held):
            return
        levels = self._distances()
        number = self.book.person.buy(volume, account=account, symbol=symbol, side=side, **levels)
        self.held.append(Theirs(account, number, symbol, side, volume, self._price(symbol)))
        self._say(f"opened {number} {symbol} {side} {volume} {levels} at {account}")

    def _place(self) -> None:
        _, symbol, side, volume = self._wish()
        away = Decimal(self.chance.randrange(10, 60)) / 10_000
        kind = self.chance.choice((LIMIT, STOP))
        below = (side == BUY) == (kind == LIMIT)
        price = self._price(symbol) + (-away if below else away)
        levels = self._distances()
        number = self.book.person.place(kind, volume, price=float(price), symbol=symbol, side=side, **levels)
        self.held.append(Theirs(LEAD, number, symbol, side, volume, price, is_order=True, levels=levels))
        self._say(f"placed {number} {symbol} {side} {volume} at {price} {levels}")

    def _one(self) -> Theirs:
        self._see()
        return self.chance.choice(self.held) if self.held else Theirs(0, 0, 0, 0, 0, Decimal(0))

    def _see(self) -> None:
        """What of theirs is still there: levels are reached, orders fill and become positions of another number."""
        floor = self.book.broker.floor
        for account in (LEAD, NETTED_LEAD):
            books = floor.accounts[account]
            there = {held.position_id: held for held in books.open_positions()}
            known = {one.number: one for one in self.held if one.account == account and not one.is_order}
            self.held = [
                one
                for one in self.held
                if one.account != account or (one.number in (books.orders if one.is_order else there))
            ]
            for number, held in there.items():
                if number in known:
                    known[number].volume, known[number].side = held.volume, held.side
                else:
                    price = self._price(held.symbol_id)
                    self.held.append(Theirs(account, number, held.symbol_id, held.side, held.volume, price))

    def _grow(self) -> None:
        one = self._one()
        if one.is_order or not one.account:
            return
        more = self.chance.randrange(1, 4) * LOT
        position = {"positionId": one.number} if one.account == LEAD else {}
        self.book.person.buy(more, account=one.account, symbol=one.symbol, side=one.side, **position)
        self._say(f"grew {one.number} by {more}")

    def _reduce(self) -> None:
        one = self._one()
        if one.is_order or one.volume <= LOT:
            return
        part = self.chance.randrange(1, one.volume // LOT) * LOT
        self.book.person.close(one.number, part, account=one.account)
        self._say(f"reduced {one.number} by {part}")

    def _close(self) -> None:
        one = self._one()
        if not one.account:
            return
        self._finish(one)

    def _finish(self, one: Theirs) -> None:
        if one.is_order:
            self.book.person.cancel(one.number, account=one.account)
        else:
            self.book.person.close(one.number, one.volume, account=one.account)
        self._say(f"ended {one.number}")

    def _amend(self) -> None:
        one = self._one()
        if not one.account:
            return
        if one.is_order:
            self._amend_order(one)
            return
        sign, price = (1 if one.side == BUY else -1), self._price(one.symbol)
        levels = {
            name: float(price - way * sign * Decimal(self.chance.randrange(15, 40)) / 1_000)
            for name, way in (("stop", 1), ("target", -1))
            if self.chance.random() < 0.7
        }
        books = self.book.broker.floor.accounts[one.account]
        held = books.positions[one.number]
        if (held.sl and "stop" not in levels) or (held.tp and "target" not in levels):
            self.forgiven.add(one.number)
        self.book.person.amend(one.number, account=one.account, **levels)
        self._say(f"amended {one.number} {levels}")

    def _amend_order(self, one: Theirs) -> None:
        away = 1 if one.entry > self._price(one.symbol) else -1
        one.entry += away * Decimal(self.chance.randrange(1, 9)) / 10_000
        order = self.book.broker.floor.accounts[LEAD].orders[one.number]
        price = {"limitPrice" if order.kind == LIMIT else "stopPrice": float(one.entry)}
        volume = max(LOT, one.volume + self.chance.choice((-LOT, 0, 0, LOT)))
        self.book.person.amend_order(one.number, volume=volume, **price, **one.levels)
        one.volume = volume
        self._say(f"amended {one.number} to {one.entry} {volume}")

    def _move(self) -> None:
        feed = self.chance.choice(("EURUSD", "GBPUSD"))
        self.book.price(feed, str(self.book.bids[feed] + Decimal(self.chance.randrange(-40, 41)) / 10_000))
        self._say(f"moved {feed} to {self.book.bids[feed]}")

    def _touch(self) -> None:
        """Somebody closes a copy or a part of it, or moves its stop."""
        name = self.chance.choice([name for name in sorted(self.followers) if name not in self.nets])
        account = self.followers[name]
        held = self.book.held(name)
        if not held:
            return
        one = self.chance.choice(held)
        match self.chance.choice(("close", "part", "stop")):
            case "close":
                self.book.person.close(one.position, one.volume, account=account)
            case "part" if one.volume > 2 * LOT:
                self.book.person.close(one.position, LOT // 10 * 21, account=account)
            case "stop":
                away = 1 if one.side == BUY else -1
                stop = float(self._price(one.symbol if name == "same" else EURUSD)) - away * 0.03
                levels = {"stop": round(stop, 4)} | ({"target": one.target} if one.target else {})
                self.book.person.amend(one.position, account=account, **levels)
        self._say(f"touched {one.position} of {name}")

    # --- settings -------------------------------------------------------------------------------------------------

    def _do(self, request: dict[str, Any]) -> dict[str, Any]:
        """Give a command to whoever holds the log: the running system, or nobody."""
        if not self.is_down:
            return self.book.command(request)
        self.book.log.refresh()
        return StoreWriter(self.book.log, self.book.stepper.clock, new_id=self.book._new_id).carry_out(request)

    def _request(self) -> dict[str, Any]:
        name = self.chance.choice(sorted(self.profiles))
        profile = next(p for p in self.book.folded().registry.live_profiles() if p.name == name)
        (link,) = profile.links.values()
        settings = {**profile.settings, **link.settings}
        return {
            "command": "profile.set",
            "profile": name,
            "settings": self._drawn(settings, self.chance.randrange(1, 4)),
        }

    def _set(self) -> None:
        request = self._request()
        if self.chance.random() < 0.3 and not self.is_down and self.book.system is not None:
            self.book.system.handle(request, lambda _: None)  # whatever else happens in this moment
        else:
            self._do(request)
        self._say(f"set {request['profile']} {request['settings']}")

    def _switch(self) -> None:
        name = self.chance.choice(sorted(self.profiles))
        if self.profiles[name] == "running":
            keep = self.chance.random() < 0.5
            copies = self.chance.choice(("leave", "leave", "close"))
            command = self.chance.choice(("pause", "profile.disable"))
            request = {"command": command, "profile": name, "copies": copies, "keep_pendings": keep}
            self.profiles[name] = command
        else:
            command = "resume" if self.profiles[name] == "pause" else "profile.enable"
            request = {"command": command, "profile": name}
            self.profiles[name] = "running"
        self._do(request)
        self._say(f"switched {request}")

    def _make_anew(self) -> None:
        """Delete a profile and create it again: what is left of it is nobody's, and is not bought a second time."""
        name = self.chance.choice(sorted(self.profiles))
        profile = next(p for p in self.book.folded().registry.live_profiles() if p.name == name)
        (link,) = profile.links.values()
        copies = "close" if self._is_net(int(link.follower)) else self.chance.choice(("leave", "close"))
        self._do({"command": "profile.delete", "profile": name, "copies": copies})
        settings = {**link.settings, "sync_open": self.chance.choice(("on", "off"))}
        request = {"name": name, "leader": str(profile.leader), "followers": [str(link.follower)], "settings": settings}
        self._do({"command": "profile.create", **request})
        self.profiles[name] = "running"
        self._say(f"made {name} anew, {copies}, sync_open={settings['sync_open']}")

    def _is_net(self, account: int) -> bool:
        return any(self.followers[name] == account for name in self.nets)

    def _kill(self) -> None:
        if self.is_down:
            self._start()
            return
        if self.chance.random() < 0.5:
            self.book.kill()
        else:
            self.book.stop()
        self.is_down = True
        self._say("killed")

    def _start(self) -> None:
        self.book.log.refresh()
        self.book.start()
        self.is_down = False
        for _ in range(30):
            self.book.pulse()
            self.book.run(1)
            if self.book.is_ready():
                break
        self._say("started")

    def _cut(self) -> None:
        if not self.is_down:
            self.book.stepper.network.cut_all()
            self._say("cut")

    # --- laws -----------------------------------------------------------------------------------------------------

    def _report(self, what: str) -> None:
        self.wrong.append(what)
        self.wrong.append("  " + "\n  ".join(self.log[-25:]))

    def _there(self) -> dict[str, tuple[tuple[Any, ...], ...]]:
        """What every follower really holds and has resting, as told by its broker's books."""
        found = {}
        for name in self.followers:
            held = [(h.position, h.volume, h.side, h.stop, h.target, h.trailing) for h in self.book.held(name)]
            rests = [
                (o.orderId, o.tradeData.volume, o.limitPrice, o.stopPrice, o.relativeStopLoss, o.relativeTakeProfit)
                for o in self.book.person.rests(self.followers[name])
                if o.orderType in (LIMIT, STOP)
            ]
            found[name] = (*held, *rests)
        return found

    def _change_at_rest(self) -> None:
        """A change of settings alone trades nothing."""
        self.book.go(20)
        before, waiting = self._there(), self._waiting()
        requests = [self._request()]
        self._do(requests[0])
        self._say(f"set {requests[0]['profile']} {requests[0]['settings']} at rest")
        self.book.go(18)
        after = self._there()
        for name in before:
            if before[name] != after[name] and name not in waiting:
                self._report(f"{name}: a change of settings has made of {before[name]} {after[name]}")

    def _waiting(self) -> set[str]:
        """Followers on whom something was under way, waited, or is held ahead for a while."""
        views = {name: self.book.view(account) for name, account in self.followers.items()}
        return {
            name
            for name, view in views.items()
            if view is None
            or view.intents
            or any(c.wait or c.trouble or c.left_out or c.ahead_since_us for c in view.copies.values())
        }

    def _links(self) -> dict[str, tuple[str, int]]:
        """The links that take part, with their profile and leader."""
        return {str(link.link): (link.profile_name, int(link.leader)) for link in self.book.folded().registry.links()}

    def _look(self) -> None:
        links = self._links()
        floor = self.book.broker.floor
        for name in self.followers:
            held, seen = self.book.held(name), Counter()
            for one in held:
                mark = read_label(one.label)
                if mark is None:
                    self._report(f"{name}: {one} is nobody's")
                    continue
                seen[(mark.link, mark.source)] += 1
                self._look_at_stop(name, one, mark)
                if name not in self.nets and str(mark.link) in links:
                    self._look_at(name, one, mark, links[str(mark.link)][1], floor)
            if name not in self.nets:
                for twice in [key for key, count in seen.items() if count > 1]:
                    self._report(f"{name}: {twice} is held twice: {held}")
            self._look_at_orders(name, links, floor)
            self._look_at_record(name, held)

    def _look_at_stop(self, name: str, one: Held, mark: Any) -> None:
        """A stop is lost only where the leader has taken a level away; on a net it is that of all its shares."""
        number = from_base36(mark.source[1:])
        if mark.source[0] == "o":
            books = self.book.broker.floor.accounts[LEAD]
            order = books.past_orders.get(number) or books.orders.get(number)
            number = order.position_id if order is not None else number
        had = self.stopped.pop(one.position, 0.0)
        if had and not one.stop and name not in self.nets and number not in self.forgiven:
            self._report(f"{name}: {one} had its stop at {had}")
        if one.stop:
            self.stopped[one.position] = one.stop

    def _look_at(self, name: str, one: Held, mark: Any, leader: int, floor: Any) -> None:
        books = floor.accounts[leader]
        number = from_base36(mark.source[1:])
        theirs = {held.position_id: held for held in books.open_positions()}
        is_there = number in theirs if mark.source[0] == "p" else self._is_of_order(books, number)
        if not is_there:
            view = self.book.view(self.followers[name])
            copy = next((c for c in view.copies.values() if c.position == one.position), None) if view else None
            if copy is not None and copy.ahead_since_us:
                return
            self._report(f"{name}: {one} has no source any more; {copy}")

    def _look_at_orders(self, name: str, links: Mapping[str, tuple[str, int]], floor: Any) -> None:
        """What rests has an order of the leader's, and rests where that does."""
        for order in self.book.person.rests(self.followers[name]):
            mark = read_label(order.tradeData.label)
            if order.orderType not in (LIMIT, STOP) or mark is None or str(mark.link) not in links:
                continue
            if order.relativeStopLoss:
                self.stopped[order.positionId] = order.relativeStopLoss
            theirs = floor.accounts[links[str(mark.link)][1]].orders.get(from_base36(mark.source[1:]))
            if theirs is None:
                self._report(f"{name}: {order} rests, and its leader's order does not")
                continue
            price = (theirs.limit_price or theirs.stop_price) / 100_000_000
            away = abs((order.limitPrice or order.stopPrice) - price)
            if 0.0005 < away < 0.05:  # farther away it is in another symbol, by a row of the table
                self._report(f"{name}: {order} rests away from {price}")

    def _is_of_order(self, books: Any, number: int) -> bool:
        if number in books.orders:
            return True
        order = books.past_orders.get(number)
        return order is not None and order.position_id in {held.position_id for held in books.open_positions()}

    def _look_at_record(self, name: str, held: list[Held]) -> None:
        view = self.book.view(self.followers[name])
        if view is None:
            return
        there = {one.position for one in held}
        recorded = {copy.position for copy in view.copies.values() if copy.position is not None}
        if there - recorded:
            self._report(f"{name}: {there - recorded} in no record")
        if view.latches:
            self._report(f"{name}: latched {view.latches}")

    def _end(self) -> None:
        """All profiles go on, and leaders end all they have: nothing is left of it."""
        self._settle()
        self._go_on()
        self._settle()
        self._look()
        self._see()
        for one in list(self.held):
            self._finish(one)
        self.book.go(80)
        for name in self.followers:
            held, rests = self.book.held(name), self.book.person.rests(self.followers[name])
            rests = [order for order in rests if order.orderType in (LIMIT, STOP)]
            links = self._links()
            held = [one for one in held if (mark := read_label(one.label)) is None or str(mark.link) in links]
            if held or rests:
                view = self.book.view(self.followers[name])
                self._report(
                    f"{name}: leaders hold nothing, left are {held} {rests}: {view and list(view.copies.values())}"
                )
