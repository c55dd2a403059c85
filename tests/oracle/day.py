"""A leader's day on the real system in virtual time, held against the oracle change by change.

What followers hold is read from the broker's own books, what they were told is what the leader did; of the record only
the word of each decision is read.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from itertools import product
from typing import Any

from cmam.domain.events import AttemptDecided, ChangeDecided, RequestRefused
from cmam.openapi._pb.OpenApiModelMessages_pb2 import LIMIT, STOP
from tests.oracle import drawn
from tests.oracle.rules import (
    Account,
    Copy,
    Decision,
    Growth,
    Open,
    Outcome,
    Rest,
    Standing,
    Symbol,
    amended_levels,
    carried_levels,
    filled_at,
    has_room,
    reduced,
)
from tests.rulebook import BUY, FEEDS, LEAD, SELL, Case, Rulebook

FOLLOWERS, STEPS = 30, 12
PRICE = 10**8
IDS = {name: number for number, name in enumerate(drawn.LEADERS, 1)}
POINT = Fraction(1, 100_000)
COARSE = {"USDJPY": 100, "XAUUSD": 1_000, "GER40": 10_000}
"""The smallest distance on the wire that a symbol's digits allow, in points, where that is not one."""
STEP = {"XAUUSD": Fraction(1), "GER40": Fraction(1, 100)}
"""The leader's step where it is not a thousand units."""


@dataclass(slots=True)
class Theirs:
    """A position of the leader's, with his levels as prices, and what became of it on each follower."""

    position: int
    opened: Open
    units: Fraction
    stop: Fraction | None
    target: Fraction | None
    copies: dict[str, tuple[int, Standing]] = field(default_factory=dict)
    """By the follower's name: the number of the copy's position, and what the copy shall be."""


class Day:
    """One world from a seed: followers with policies of their own, and one leader."""

    lead = LEAD

    def __init__(self, seed: int, followers: int = FOLLOWERS) -> None:
        self.seed, self.chance = seed, random.Random(seed)
        self.cases = [self._draw(index) for index in range(followers)]
        self.names = {case.name: drawn.mapped(case) for case in self.cases}
        self.book = Rulebook(self.cases, seed=seed, **self._switches())
        self.held: list[Theirs] = []
        self.wrong: list[str] = []
        self.counts: Counter[str] = Counter()
        self._before: dict[str, Account] = {}
        self._seen: Counter[str] = Counter()
        self._working: tuple[Any, ...] = ()
        self._moment = self._now_utc()

    def _now_utc(self) -> datetime:
        return datetime.fromtimestamp(self.book.now_us() / 1_000_000, UTC)

    def _draw(self, index: int) -> Case:
        return drawn.follower(self.chance, index)

    def _switches(self) -> dict[str, Any]:
        """What the broker does otherwise than by default."""
        return {}

    def _acts(self) -> list[Callable[[], None]]:
        """What the leader may do now, the likelier more than once."""
        acts: list[Callable[[], None]] = [self._open, self._place]
        if self.held:
            acts += [self._grow, self._reduce, self._reduce, self._amend]
        if len(self.held) > 3:
            acts += [self._close, self._close]
        return acts

    def run(self, steps: int = STEPS) -> None:
        """Let the leader act so many times, each time after the market has moved; then he closes everything."""
        self.book.begin()
        for _ in range(steps):
            self._move()
            self.chance.choice(self._acts())()
        while self.held:
            self._close()
        for case in self.cases:
            if held := self.book.held(case.name):
                self._report(case, "the leader holds nothing", held, "nothing")
        self.wrong += [f"seed {self.seed}: {failure!r}" for failure in self.book.stepper.failures]

    # --- the market

    def _move(self) -> None:
        """Move some prices, always on the coarsest tick, so that every broker's quotes stay fresh; see who was hit."""
        for feed, (_, step) in FEEDS.items():
            if self.chance.random() < 0.4:
                self.book.price(feed, str(self.book.bids[feed] + self.chance.randrange(-20, 21) * 10 * Decimal(step)))
        self._see_prices()
        self.book.go(3)
        self._see_hit()

    def _see_prices(self) -> None:
        """Look at prices that have moved, before anything follows from them."""

    def _see_hit(self) -> None:
        """See whose levels the market has reached."""
        there = self._positions()
        leads = self.book.broker.floor.accounts[self.lead].positions
        for theirs in list(self.held):
            if theirs.position not in leads or not leads[theirs.position].volume:
                self.held.remove(theirs)
                self._see_closed(theirs, "his level was hit")
            for name, (position, _) in list(theirs.copies.items()):
                if position not in there[name]:
                    del theirs.copies[name]
                    self.counts["ended by its own level"] += 1
            for case, position, copy in self._copies(theirs):
                self._see_owed(case, copy, there[case.name][position])

    def _see_owed(self, case: Case, copy: Standing, held: Any) -> None:
        """See who has the room by now for a target that was left out; one that the broker has refused waits longer."""
        of, target = drawn.BROKERS[case.broker][copy.symbol], level_of(held.target)
        refused, self._seen[case.name] = self._seen[case.name], self._refusals(case)
        if copy.owed is None:
            return
        bid, ask = drawn.account(self.book, self.book.ids[case.name]).quotes[copy.symbol]
        if target == copy.owed:
            self.counts["target: set later"] += 1
            copy.target_level, copy.owed = target, None
            return
        self.counts["target: left out"] += 1
        is_due = has_room(of, copy.is_long, bid if copy.is_long else ask, level_of(held.stop), copy.owed)
        if target != copy.target_level or (is_due and refused == self._seen[case.name]):
            self._report(case, f"the market moves, {copy}", target, copy.owed)
            copy.owed = None

    def _positions(self) -> dict[str, dict[int, Any]]:
        return {case.name: {held.position: held for held in self.book.held(case.name)} for case in self.cases}

    def _look(self) -> None:
        """Remember what every follower is, and when it is, before the leader acts."""
        self._moment = self._now_utc()
        self._before = {case.name: drawn.account(self.book, self.book.ids[case.name]) for case in self.cases}

    def _seen_as(self, case: Case) -> list[Account]:
        """What a follower may have been when it decided."""
        return [self._before[case.name]]

    # --- opens and orders that rest

    def _wish(self) -> tuple[str, int, Fraction, dict[str, Any]]:
        """A symbol, a side, units, and the levels and label of an order as the wire wants them."""
        chance = self.chance
        symbol = chance.choice(("EURUSD",) * 4 + drawn.LEADERS)
        wire = self._distances(symbol)
        if label := chance.choice(("", "abc", "abd")):
            wire["label"] = label
        return symbol, chance.choice((BUY, SELL)), self._units(symbol), wire

    def _distances(self, symbol: str) -> dict[str, Any]:
        return {
            word: self.chance.randrange(150, 3_000) * COARSE.get(symbol, 1)
            for word in ("relativeStopLoss", "relativeTakeProfit")
            if self.chance.random() < 0.75
        }

    def _units(self, symbol: str) -> Fraction:
        most = {"XAUUSD": 40, "GER40": 60}.get(symbol, 150)
        return self.chance.randrange(1, most) * STEP.get(symbol, Fraction(1_000))

    def _open(self) -> None:
        self._open_by(*self._wish())

    def _open_by(self, symbol: str, side: int, units: Fraction, wire: dict[str, Any]) -> None:
        self._look()
        there = self._positions()
        position = self.book.person.buy(int(units * 100), account=self.lead, symbol=IDS[symbol], side=side, **wire)
        leader = drawn.account(self.book, self.lead)
        mine = self.book.broker.floor.accounts[self.lead].positions[position]
        if not mine.volume:
            return  # he had not the money
        opened = opened_by(symbol, side, units, Fraction(mine.price, PRICE), wire)
        theirs = self._takes(position, opened)
        self.book.go(4)
        for case in self.cases:
            self._see_opened(case, theirs, there[case.name], leader, self._seen_as(case))

    def _takes(self, position: int, opened: Open) -> Theirs:
        """He holds another position."""
        mine = self.book.broker.floor.accounts[self.lead].positions[position]
        stop, target = (None if not level else Fraction(level, PRICE) for level in (mine.sl, mine.tp))
        theirs = Theirs(position, opened, opened.units, stop, target)
        self.held.append(theirs)
        return theirs

    def _see_opened(
        self,
        case: Case,
        theirs: Theirs,
        there: dict[int, Any],
        leader: Account,
        followers: list[Account],
        kind: str = "market",
    ) -> None:
        """Hold what a follower has that it had not before against the rules of an open."""
        opened = theirs.opened
        settings, names = drawn.settings_for(case, opened.symbol), self.names[case.name]
        wanted: set[Outcome] = set()
        new = [held for held in self.book.held(case.name) if held.position not in there]
        for follower, then in product(followers, self._settings_then(case, opened.symbol)):
            one = Decision(leader, follower, opened, then, names, kind)
            wanted |= self._with_fills(one, new)
        got = self._became(case, "opened", theirs.position) if not new else as_copy(new[0])
        self._compare(case, "opened", opened, got, wanted)
        if len(new) > 1:
            self._report(case, opened, f"{len(new)} positions", "one")
        if new and isinstance(got, Copy):
            theirs.copies[case.name] = (new[0].position, self._stands(case, settings, opened, new[0], got, wanted))

    def _settings_then(self, case: Case, symbol: str) -> list[dict[str, str]]:
        """The settings that may have held when an open was looked at."""
        return [drawn.settings_for(case, symbol)]

    @staticmethod
    def _with_fills(decision: Decision, new: list[Any]) -> set[Outcome]:
        """What the rules allow, and where that has filled: the market may have moved since it was decided."""
        found = decision.outcomes()
        if not new:
            return found
        words: set[Outcome] = {one for one in found if isinstance(one, str)}
        price = exact_price(new[0].price)
        return words.union(*(filled_at(price, decision, one) for one in found if isinstance(one, Copy)))

    def _stands(
        self, case: Case, settings: dict[str, str], opened: Open, held: Any, got: Copy, wanted: set[Outcome]
    ) -> Standing:
        entry = exact_price(held.price)
        alike = [one for one in wanted if isinstance(one, Copy) and one == got]
        whole = max((one.whole for one in alike), default=got.units)
        owed = next((one.owed for one in alike), None)
        shift = Fraction(0) if settings.get("levels") == "price" else entry - opened.price
        name = self.names[case.name][opened.symbol]
        later = None if owed is None else entry + (owed if got.is_long else -owed)
        levels = level_of(held.stop), level_of(held.target)
        return Standing(name, got.is_long, got.units, whole, shift, *levels, later, self._entry(entry))

    def _entry(self, entry: Fraction) -> Fraction | None:
        """Where a copy was opened, if fixed levels are ever set anew and count from there."""
        return None

    def _place(self) -> None:
        """Let an order rest, look at what rests of it, and take it back."""
        symbol, side, units, wire = self._wish()
        kind = self.chance.choice((LIMIT, STOP))
        bid, ask = drawn.account(self.book, self.lead).quotes[symbol]
        away = self.chance.choice((2, self.chance.randrange(60, 500))) * drawn.BROKERS["Lead"][symbol].tick
        price = ask + away if (kind == STOP) is (side == BUY) else bid - away
        self._look()
        rested = {case.name: {order.orderId for order in self._rests(case)} for case in self.cases}
        order = self.book.person.place(
            kind, int(units * 100), account=self.lead, price=float(price), symbol=IDS[symbol], side=side, **wire
        )
        leader = drawn.account(self.book, self.lead)
        opened, word = opened_by(symbol, side, units, price, wire), "limit" if kind == LIMIT else "stop"
        self.book.go(4)
        for case in self.cases:
            settings = drawn.settings_for(case, symbol)
            rest = Rest(leader, self._before[case.name], opened, settings, self.names[case.name], word)
            rest.moment = self._moment
            new = [one for one in self._rests(case) if one.orderId not in rested[case.name]]
            got = self._became(case, "order_placed", order) if not new else as_ordered(new[0])
            self._compare(case, word, opened, got, rest.outcomes())
            for one in new:
                found = (exact_price(one.limitPrice or one.stopPrice), one.orderType == LIMIT)
                if found != (rest.entry, rest.is_limit) or len(new) > 1:
                    self._report(case, (word, opened), found, (rest.entry, rest.is_limit))
        self.book.person.cancel(order, account=self.lead)
        self.book.go(4)
        for case in self.cases:
            if [one for one in self._rests(case) if one.orderId not in rested[case.name]]:
                self._report(case, (word, opened), "rests", "cancelled with his")

    def _rests(self, case: Case) -> list[Any]:
        books = self.book.broker.floor.accounts[self.book.ids[case.name]]
        if not any(order.kind in (LIMIT, STOP) for order in books.orders.values()):
            return []
        self.book.run(0.06)
        return [one for one in self.book.person.rests(self.book.ids[case.name]) if one.orderType in (LIMIT, STOP)]

    # --- what becomes of them

    def _grow(self) -> None:
        theirs = self.chance.choice(self.held)
        self._grow_by(theirs, self._units(theirs.opened.symbol), {"positionId": theirs.position})

    def _grow_by(self, theirs: Theirs, added: Fraction, wire: dict[str, Any]) -> None:
        symbol = IDS[theirs.opened.symbol]
        self._look()
        books = self.book.broker.floor.accounts[self.lead]
        known = set(books.deals)
        side = BUY if theirs.opened.is_long else SELL
        self.book.person.buy(int(added * 100), account=self.lead, symbol=symbol, side=side, **wire)
        deals = [deal for number, deal in books.deals.items() if number not in known]
        if not deals:
            return
        leader = drawn.account(self.book, self.lead)
        more = replace(theirs.opened, units=added, price=Fraction(deals[0].price, PRICE), stop=None, target=None)
        self.book.go(4)
        self._see_grown(theirs, more, leader)

    def _see_grown(self, theirs: Theirs, more: Open, leader: Account, kind: str = "market") -> None:
        """Hold each copy of what has grown by that trade against the rules of growth."""
        before, theirs.units = theirs.units, theirs.units + more.units
        there = self._positions()
        for case, position, copy in self._copies(theirs):
            settings = self._settings_of(case, more.symbol, copy, theirs.opened)
            wanted = set()
            for follower in self._seen_as(case):
                names = self.names[case.name]
                wanted |= Growth(leader, follower, more, settings, names, kind, copy=copy, before=before).growths()
            units, word = _units_of(there[case.name].get(position)), self._word(case, "grew", theirs.position)
            self.counts[f"grew: {word or 'added'}"] += 1
            fitting = [one for one in wanted if (one[0], one[2]) == (word, units)]
            if not fitting and units == copy.units and any(one[0] == "margin" for one in wanted):
                fitting = [("margin", copy.target, units)] if self._last_refusal(case) == "NOT_ENOUGH_MONEY" else []
            if fitting:
                copy.target, copy.units = fitting[0][1:]
            else:
                self._report(case, f"{before} grew by {more}, {copy}", (word, float(units)), _floats(wanted))
                del theirs.copies[case.name]

    def _reduce(self) -> None:
        theirs = self.chance.choice(self.held)
        step = STEP.get(theirs.opened.symbol, Fraction(1_000))
        if theirs.units <= step:
            return
        steps = self.chance.randrange(1, int(theirs.units / step))
        closed = (steps if self.chance.random() < 0.5 else max(1, steps // 10)) * step
        self.book.person.close(theirs.position, int(closed * 100), account=self.lead)
        self.book.go(4)
        self._see_reduced(theirs, closed)

    def _see_reduced(self, theirs: Theirs, closed: Fraction) -> None:
        before, theirs.units = theirs.units, theirs.units - closed
        there = self._positions()
        for case, position, copy in self._copies(theirs):
            of = drawn.BROKERS[case.broker][copy.symbol]
            up = case.settings.get("partial_rounding") == "up"
            target, wanted = reduced(copy, before, theirs.units, of, up=up)
            units = _units_of(there[case.name].get(position))
            self.counts["reduced"] += 1
            if units != wanted:
                self._report(case, f"reduced from {before} to {theirs.units}, {copy}", units, (wanted, float(target)))
            if units != wanted or not units:
                del theirs.copies[case.name]
            copy.target, copy.units = target, units

    def _amend(self) -> None:
        """Move or take away one level or both; what the broker refused on a follower stays as it was."""
        theirs = self.chance.choice(self.held)
        symbol = theirs.opened.symbol
        bid, ask = drawn.account(self.book, self.lead).quotes[symbol]
        market, sign = (bid, 1) if theirs.opened.is_long else (ask, -1)
        was = theirs.stop, theirs.target
        for name, way in (("stop", -sign), ("target", sign)):
            fate = self.chance.random()
            if fate < 0.5:
                away = self.chance.randrange(1_000, 4_000) * drawn.BROKERS["Lead"][symbol].tick
                setattr(theirs, name, market + way * away * (2 if symbol in STEP else 1))
            elif fate < 0.6:
                setattr(theirs, name, None)
        refused = {case.name: self._refusals(case) for case in self.cases}
        stop, target = (None if level is None else float(level) for level in (theirs.stop, theirs.target))
        self.book.person.amend(theirs.position, account=self.lead, stop=stop, target=target)
        self.book.go(4)
        self._see_amended(theirs, was, refused)

    def _see_amended(self, theirs: Theirs, was: tuple[Any, Any], refused: dict[str, int]) -> None:
        """Hold the levels of all copies against those that he has now, and had."""
        symbol = theirs.opened.symbol
        mine = self.book.broker.floor.accounts[self.lead].positions[theirs.position]
        theirs.stop, theirs.target = (None if not level else Fraction(level, PRICE) for level in (mine.sl, mine.tp))
        moves = (theirs.stop != was[0], theirs.target != was[1])
        there = self._positions()
        for case, position, copy in self._copies(theirs):
            if position not in there[case.name]:
                self._report(case, f"amended {was} to {theirs.stop} {theirs.target}", "gone", copy)
                del theirs.copies[case.name]
                continue
            settings = self._settings_of(case, symbol, copy, theirs.opened)
            of = drawn.BROKERS[case.broker][copy.symbol]
            wanted = carried_levels(copy, theirs.stop, theirs.target, of, settings)
            bid, ask = drawn.account(self.book, self.book.ids[case.name]).quotes[copy.symbol]
            got = level_of(there[case.name][position].stop), level_of(there[case.name][position].target)
            is_refused = self._refusals(case) > refused[case.name]
            self.counts["amended: refused" if is_refused else "amended"] += 1
            moved = moves[:: -1 if settings.get("reverse") == "on" else 1]
            stops = [wanted[0], *(() if moved[0] or not _stays(copy, wanted[0], of, settings) else (copy.stop_level,))]
            allowed = [amended_levels(copy, of, bid if copy.is_long else ask, stop, wanted[1]) for stop in stops]
            is_near = any(target != wanted[1] for _, target in allowed)
            self.counts["amended: a target too near"] += is_near
            had = (copy.stop_level, copy.target_level)
            for one, exact, old, is_moved in zip(got, zip(*allowed, strict=True), had, moved, strict=True):
                if one not in exact and (one != old or is_moved or is_near):
                    self._report(
                        case, f"amended {was} to {theirs.stop} {theirs.target}, {copy}", got, (allowed, wanted)
                    )
            copy.stop_level, copy.target_level = got
            copy.owed = wanted[1] if is_near and got[1] != wanted[1] and got[0] in stops else None

    def _close(self) -> None:
        theirs = self.held.pop(self.chance.randrange(len(self.held)))
        self.book.person.close(theirs.position, int(theirs.units * 100), account=self.lead)
        self.book.go(4)
        self._see_closed(theirs, "he closed")

    def _see_closed(self, theirs: Theirs, why: str) -> None:
        there = self._positions()
        for case, position, _ in self._copies(theirs):
            self.counts["closed"] += 1
            if position in there[case.name]:
                self._report(case, why, "held", "closed")

    def _copies(self, theirs: Theirs) -> list[tuple[Case, int, Standing]]:
        return [(case, *theirs.copies[case.name]) for case in self.cases if case.name in theirs.copies]

    def _settings_of(self, case: Case, symbol: str, copy: Standing | Copy, opened: Open) -> dict[str, str]:
        """The settings that hold for a copy that stands: it is as it was opened, reversed or not."""
        return {**drawn.settings_for(case, symbol), "reverse": "off" if copy.is_long is opened.is_long else "on"}

    # --- what was said and what differs

    def _word(self, case: Case, kind: str, source: int) -> str:
        """The last word about the last such change of a position or order; empty where it was copied."""
        account = self.book.ids[case.name]
        decided = [
            event
            for event in self.book.events(account, ChangeDecided)
            if event.change.kind.value == kind and source in (event.change.position, event.change.order)
        ]
        if not decided:
            return "nothing was decided"
        last: Any = decided[-1]
        for attempt in self.book.events(account, AttemptDecided):
            last = attempt if attempt.change == decided[-1].change.key else last
        self._working = last.working
        return str(last.reason.value) if last.reason else ""

    def _became(self, case: Case, kind: str, source: int) -> str:
        """Why nothing came of a change: the word of the decision, or the broker's."""
        word = self._word(case, kind, source)
        refused = self.book.events(self.book.ids[case.name], RequestRefused)
        return word or (f"refused {refused[-1].error_code}" if refused else "copied, and nothing is there")

    def _last_refusal(self, case: Case) -> str:
        """Why the broker has refused something last."""
        refused = self.book.events(self.book.ids[case.name], RequestRefused)
        return refused[-1].error_code if refused else ""

    def _refusals(self, case: Case) -> int:
        return len(self.book.events(self.book.ids[case.name], RequestRefused))

    def _compare(self, case: Case, kind: str, opened: Open, got: Outcome, wanted: set[Outcome]) -> None:
        mode = drawn.settings_for(case, opened.symbol).get("volume.mode", "multiplier")
        self.counts[f"{kind}: {got if isinstance(got, str) else mode}"] += 1
        if not _fits(got, wanted):
            self._report(case, (kind, opened), got, wanted)

    def _report(self, case: Case, what: Any, got: Any, wanted: Any) -> None:
        rows = " ".join(f"{step.name}={step.value} ({step.note})" for step in self._working)
        self.wrong.append(
            f"seed {self.seed} {case.name} {case.broker} {case.currency} {case.balance} 1:{case.leverage}"
            f" {dict(case.settings)}\n   {what}\n   got {got}\n   wanted {wanted}\n   {rows}"
        )


def _stays(copy: Standing, stop: Fraction | None, of: Symbol, settings: Mapping[str, str]) -> bool:
    """Whether a copy's stop stays where it is when he moves his target alone: it was widened, or is a tick off."""
    is_near = copy.stop_level is not None and stop is not None and abs(copy.stop_level - stop) <= of.tick
    return settings.get("bad_stop") == "widen" or is_near


def exact_price(price: float) -> Fraction:
    """A price of the wire."""
    return Fraction(round(price * PRICE), PRICE)


def level_of(price: float) -> Fraction | None:
    """A level of the wire, whose 0 is none."""
    return exact_price(price) if price else None


def _units_of(held: Any) -> Fraction:
    return Fraction(held.volume, 100) if held is not None else Fraction(0)


def _floats(wanted: set[tuple[str, Fraction, Fraction]]) -> list[tuple[str, float, float]]:
    return [(word, float(target), float(units)) for word, target, units in wanted]


def opened_by(symbol: str, side: int, units: Fraction, price: Fraction, wire: dict[str, Any]) -> Open:
    """What an order asks for, with the distances that it carries on the wire."""
    stop, target = (wire[word] * POINT if word in wire else None for word in ("relativeStopLoss", "relativeTakeProfit"))
    return Open(symbol, side == BUY, units, price, stop, target, wire.get("label", ""))


def as_copy(held: Any) -> Copy:
    """A position as the oracle speaks of copies."""
    entry, is_long = exact_price(held.price), held.side == BUY
    sign = 1 if is_long else -1
    stop = sign * (entry - exact_price(held.stop)) if held.stop else None
    target = sign * (exact_price(held.target) - entry) if held.target else None
    return Copy(Fraction(held.volume, 100), is_long, stop, target)


def as_ordered(order: Any) -> Copy:
    """An order that rests as the oracle speaks of copies."""
    stop, target = order.relativeStopLoss * POINT or None, order.relativeTakeProfit * POINT or None
    return Copy(Fraction(order.tradeData.volume, 100), order.tradeData.tradeSide == BUY, stop, target)


def _fits(got: Outcome, wanted: set[Outcome]) -> bool:
    """Whether an outcome is one of those, or lies between those that differ in units alone."""
    if got in wanted or isinstance(got, str):
        return got in wanted
    alike = [
        one.units
        for one in wanted
        if isinstance(one, Copy) and (one.is_long, one.stop, one.target) == (got.is_long, got.stop, got.target)
    ]
    return bool(alike) and min(alike) <= got.units <= max(alike)
