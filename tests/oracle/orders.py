"""A leader's day of orders that rest: placed, amended, filled whole or in part, cancelled, beside trades at the market.

Who fills first is the brokers' affair and read from their books; what shall come of it is the oracle's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

from cmam.openapi._pb.OpenApiModelMessages_pb2 import LIMIT, ORDER_STATUS_REJECTED, STOP
from tests.oracle import drawn
from tests.oracle.day import IDS, PRICE, STEPS, Day, Theirs, as_copy, as_ordered, exact_price, level_of, opened_by
from tests.oracle.rules import (
    Account,
    Amend,
    Amended,
    Copy,
    Decision,
    Open,
    Outcome,
    Rest,
    Standing,
    carried_levels,
    floored,
    has_room,
    reduced,
)
from tests.rulebook import BUY, FEEDS, Case


@dataclass(slots=True)
class Ordered:
    """A leader's order that rests, and what became of it on each follower."""

    order: int
    side: int
    kind: int
    opened: Open
    wire: dict[str, Any]
    rests: dict[str, tuple[int, Copy, Fraction]]
    """By the follower's name: the number of the copied order, what it is, and its exact units."""
    words: dict[str, str]
    by_price: set[str] = field(default_factory=set)
    """Followers whose order was placed with `levels=price`: its levels are his for good."""

    @property
    def word(self) -> str:
        return "limit" if self.kind == LIMIT else "stop"


class OrderDay(Day):
    """One world from a seed, in which the leader likes orders that rest."""

    _now: dict[str, Account]
    """What followers are at the quotes after the market has moved; `_before` has those until then."""
    _is_unclear: bool
    _led: dict[str, tuple[Fraction, Fraction]]
    """The leader's quotes before he acts."""

    def _draw(self, index: int) -> Case:
        chance, case = self.chance, super()._draw(index)
        settings = dict(case.settings)
        if chance.random() < 0.2:
            settings["order_types"] = chance.choice(("market", "limit", "market,stop", "limit,stop"))
        if chance.random() < 0.3:
            settings["copy_on_fill"] = "on"
        if chance.random() < 0.8:  # more that is copied
            for name in ("side", "symbols.include", "label", "require_stop"):
                settings.pop(name, None)
        return replace(case, settings=settings)

    def _acts(self) -> list[Callable[[], None]]:
        acts: list[Callable[[], None]] = [self._order] * 3
        if self.held:
            acts += [self._grow, self._reduce, self._amend]
        if len(self.held) > 2:
            acts += [self._close, self._close]
        return acts

    def run(self, steps: int = STEPS // 2) -> None:
        super().run(steps)

    def _look(self) -> None:
        super()._look()
        self._led = dict(drawn.account(self.book, self.lead).quotes)

    # --- the life of an order

    def _order(self) -> None:
        ordered = self._rest()
        for _ in range(self.chance.randrange(3)):
            self._amend_order(ordered)
        self.chance.choice((self._cancel, self._fill, self._fill, self._fill, self._fill_in_part))(ordered)

    def _price(self, symbol: str, side: int, kind: int) -> Fraction:
        """A price at which an order may rest, often near the market."""
        bid, ask = drawn.account(self.book, self.lead).quotes[symbol]
        away = self.chance.choice((8, self.chance.randrange(40, 400))) * drawn.BROKERS["Lead"][symbol].tick
        return ask + away if (kind == STOP) is (side == BUY) else bid - away

    def _rest(self) -> Ordered:
        symbol, side, units, wire = self._wish()
        kind = self.chance.choice((LIMIT, STOP))
        price = self._price(symbol, side, kind)
        self._look()
        known = {case.name: {order.orderId for order in self._rests(case)} for case in self.cases}
        order = self.book.person.place(
            kind, int(units * 100), account=self.lead, price=float(price), symbol=IDS[symbol], side=side, **wire
        )
        leader = drawn.account(self.book, self.lead)
        ordered = Ordered(order, side, kind, opened_by(symbol, side, units, price, wire), wire, {}, {})
        self.book.go(4)
        for case in self.cases:
            settings = drawn.settings_for(case, symbol)
            rest = Rest(leader, self._before[case.name], ordered.opened, settings, self.names[case.name], ordered.word)
            new = [one for one in self._rests(case) if one.orderId not in known[case.name]]
            got = self._became(case, "order_placed", order) if not new else as_ordered(new[0])
            self._compare(case, ordered.word, ordered.opened, got, rest.outcomes())
            if isinstance(got, Copy):
                ordered.rests[case.name] = new[0].orderId, got, got.units
                ordered.by_price |= {case.name} if settings.get("levels") == "price" else set()
            else:
                ordered.words[case.name] = got
        return ordered

    def _amend_order(self, ordered: Ordered) -> None:
        """Another price, size or level, or several."""
        before, chance = ordered.opened, self.chance
        units = self._units(before.symbol) if chance.random() < 0.5 else before.units
        price = self._price(before.symbol, ordered.side, ordered.kind) if chance.random() < 0.6 else before.price
        wire = dict(ordered.wire)
        if chance.random() < 0.6:
            wire = {**self._distances(before.symbol), **{k: v for k, v in wire.items() if k == "label"}}
        self._look()
        word = "limitPrice" if ordered.kind == LIMIT else "stopPrice"
        terms: dict[str, Any] = {name: value for name, value in wire.items() if name != "label"}
        terms[word] = float(price)
        self.book.person.amend_order(ordered.order, account=self.lead, volume=int(units * 100), **terms)
        ordered.opened = opened_by(before.symbol, ordered.side, units, price, wire)
        ordered.wire = wire
        leader = drawn.account(self.book, self.lead)
        self.book.go(4)
        for case in self.cases:
            if case.name not in ordered.rests:
                continue
            number, had, whole = ordered.rests[case.name]
            settings = self._settings_of(case, before.symbol, had, before)
            follower = _without(self._before[case.name], self.names[case.name][before.symbol], had.units)
            amend = Amend(
                leader,
                follower,
                ordered.opened,
                settings,
                self.names[case.name],
                ordered.word,
                units=had.units,
                exact=whole,
                before=before.units,
                had=had,
            )
            is_same = ordered.opened == before
            wanted = {(amend.entry, had.units, had.stop, had.target, whole)} if is_same else amend.amends()
            found = [one for one in self._rests(case) if one.orderId == number]
            got: Any = self._word(case, "order_amended", ordered.order) or "gone"
            if found:
                shape = as_ordered(found[0])
                got = (exact_price(found[0].limitPrice or found[0].stopPrice), shape.units, shape.stop, shape.target)
            self.counts["order amended" if found else f"order amended: {got}"] += 1
            fitting = [one for one in wanted if _amends(got, one, wanted)]
            if not fitting:
                got = (got, self._word(case, "order_amended", ordered.order))
                self._report(case, f"amended {before} to {ordered.opened}, {had}", got, wanted)
            if not found:
                del ordered.rests[case.name]
                ordered.words[case.name] = str(got)
            else:
                exact = next((one[4] for one in fitting if one[1] == shape.units), shape.units)
                ordered.rests[case.name] = number, shape, exact

    def _cancel(self, ordered: Ordered) -> None:
        self.book.person.cancel(ordered.order, account=self.lead)
        self.book.go(4)
        self._see_nothing_rests(ordered)
        self.counts["order cancelled"] += 1

    def _reach(self, ordered: Ordered, through: int) -> None:
        """Move the market so that the leader's order is reached, by so many smallest steps."""
        symbol = ordered.opened.symbol
        feed, step = symbol, Decimal(FEEDS[symbol][1])
        bid, ask = drawn.account(self.book, self.lead).quotes[symbol]
        spread = Decimal(str(float(ask - bid)))
        price = Decimal(str(float(ordered.opened.price)))
        rises = (ordered.kind == STOP) is (ordered.side == BUY)
        at = price - spread if ordered.side == BUY else price
        at = at.quantize(step) + (through if rises else -through) * step
        self._look()
        self.book.price(feed, str(at))

    def _fill(self, ordered: Ordered) -> None:
        """Reach his order, often by a hair."""
        self._fills(ordered, None)

    def _fill_in_part(self, ordered: Ordered) -> None:
        """A part of his order fills, and the broker cancels its rest."""
        what = {"fraction": "0.4", "rest": "cancel", "account": str(self.lead)}
        self._fills(ordered, what)

    def _fills(self, ordered: Ordered, fault: dict[str, str] | None) -> None:
        there = self._positions()
        if fault:
            self.book.broker.set_fault("partial-fill", fault)
        leads = self.book.broker.floor.accounts[self.lead]
        known = {number for number, held in leads.positions.items() if held.volume}
        self._reach(ordered, self.chance.choice((-8, 0, 1, 1, 2, 5, 12, 60)))
        if ordered.order in leads.orders:  # perhaps somebody else's has filled
            self.book.go(5)
        if ordered.order in leads.orders and not self._comes_later(ordered, there):
            return
        self.book.broker.clear_fault("all")
        self.book.run(0.2)
        new = [held for number, held in leads.positions.items() if held.volume and number not in known]
        if new:
            self._see_fill(ordered, new[0], there, known)
        else:
            self.counts["his was rejected"] += 1
            self.book.go(5)
        self._settle()

    def _comes_later(self, ordered: Ordered, there: dict[str, dict[int, Any]]) -> bool:
        """What fate has for an order of his after others may have filled ahead: whether it fills, too."""
        self.counts["ahead"] += sum(self._is_filled(name, ordered) for name in ordered.rests)
        fate = self.chance.choice(("cancelled", "late", "filled"))
        if fate == "filled":
            self._reach(ordered, self.chance.choice((0, 3, 30)))
            if ordered.order not in self.book.broker.floor.accounts[self.lead].orders:
                return True
            fate = "never reached"
        if fate == "late":
            self.book.go(70)
            self._see_nothing_held(ordered, there, fate)
        self.book.person.cancel(ordered.order, account=self.lead)
        self.book.go(4)
        self._see_nothing_held(ordered, there, fate)
        self._see_nothing_rests(ordered)
        self.book.broker.clear_fault("all")
        self.counts[f"not filled: {fate}"] += 1
        self._settle()
        return False

    def _see_fill(self, ordered: Ordered, mine: Any, there: dict[str, dict[int, Any]], known: set[int]) -> None:
        leads = self.book.broker.floor.accounts[self.lead]
        leader = drawn.account(self.book, self.lead)
        self._now = {}
        for case in self.cases:
            now = drawn.account(self.book, self.book.ids[case.name])
            self._now[case.name] = replace(self._before[case.name], quotes=now.quotes)
        stop, target = (None if not level else Fraction(level, PRICE) for level in (mine.sl, mine.tp))
        price, sign = Fraction(mine.price, PRICE), 1 if ordered.opened.is_long else -1
        filled = Fraction(mine.volume, 100)
        opened = replace(
            ordered.opened,
            units=filled,
            price=price,
            stop=None if stop is None else sign * (price - stop),
            target=None if target is None else sign * (target - price),
        )
        theirs = Theirs(mine.position_id, opened, filled, stop, target)
        self.held.append(theirs)
        self.book.go(8)
        whole = ordered.opened.units
        is_hit = not mine.volume or any(
            not leads.positions.get(one) or not leads.positions[one].volume for one in known
        )
        for case in self.cases:
            self._is_unclear = is_hit or not there[case.name].keys() <= {h.position for h in self.book.held(case.name)}
            self._see_copy(case, ordered, theirs, there[case.name], leader, whole)

    def _see_copy(
        self, case: Case, ordered: Ordered, theirs: Theirs, there: dict[int, Any], leader: Account, whole: Fraction
    ) -> None:
        opened = theirs.opened
        settings = drawn.settings_for(case, opened.symbol)
        names = self.names[case.name]
        new = [held for held in self.book.held(case.name) if held.position not in there]
        if len(new) > 1:
            self._report(case, opened, f"{len(new)} positions", "one")
        got = self._became(case, "opened", theirs.position) if not new else as_copy(new[0])
        if case.name in ordered.rests and self._is_filled(case.name, ordered):
            settings = self._settings_of(case, opened.symbol, ordered.rests[case.name][1], opened)
            self._see_filled(case, ordered, theirs, new, whole, settings)
            return
        seen = [self._now[case.name]]
        if case.name in ordered.rests:
            account = self._before[case.name] if self._is_rejected(case.name, ordered) else seen[0]
            rests = names[opened.symbol], ordered.rests[case.name][1].units
            seen = [_without(seen[0], *rests), _without(account, *rests)]  # what is rejected is opened with no grace
        else:
            seen.append(self._before[case.name])  # the fill may be told before the quote
        word = ordered.words.get(case.name, "")
        if settings.get("copy_on_fill") == "on":
            settings.pop("order_types", None)
        wanted: set[Any] = set()
        for follower in seen:
            one = Decision(leader, follower, opened, settings, names, ordered.word)
            wanted |= self._with_fills(one, new)
        if settings.get("levels") == "price" and any(isinstance(one, Copy) for one in wanted):
            # His broker may tell of the jump first: levels count from where the follower's market usually is to his.
            told = self._led[opened.symbol], leader.quotes[opened.symbol]
            account = _moved(replace(seen[-1], quotes=self._before[case.name].quotes), names[opened.symbol], *told)
            gone = {**settings, "max_price_distance": "off"}  # that is told by the quotes of now
            wanted |= self._with_fills(Decision(leader, account, opened, gone, names, ordered.word), new)
        self.counts["filled: at the market" if case.name in ordered.rests else "filled: had none"] += 1
        if self._is_unclear or (case.broker == "Odd" and got == "stale_input"):
            self.counts["unclear"] += 1
        else:
            wanted |= mixed(got, wanted)
            self._compare(case, f"filled after {word or 'rest'}", opened, got, wanted)
        if new and isinstance(got, Copy):
            theirs.copies[case.name] = new[0].position, self._stands(case, settings, opened, new[0], got, wanted)

    def _see_filled(
        self, case: Case, ordered: Ordered, theirs: Theirs, new: list[Any], whole: Fraction, settings: dict[str, str]
    ) -> None:
        opened, (_, shape, exact) = theirs.opened, ordered.rests[case.name]
        name = self.names[case.name][opened.symbol]
        of = drawn.BROKERS[case.broker][name]
        entry = exact_price(new[0].price) if new else self._entered(case, ordered)
        shift = Fraction(0) if case.name in ordered.by_price else entry - opened.price
        copy = Standing(name, shape.is_long, shape.units, exact, shift, None, None, entry=self._entry(entry))
        wanted = shape.units
        if whole != theirs.units:
            copy.target, wanted = reduced(copy, whole, theirs.units, of, up=settings.get("partial_rounding") == "up")
        bid, ask = self._now[case.name].quotes[name]
        market, sign = (bid, 1) if copy.is_long else (ask, -1)
        copy.stop_level = None if shape.stop is None else entry - sign * shape.stop
        copy.target_level = None if shape.target is None else entry + sign * shape.target
        if shape.target is None and "fixed_tp" in settings:
            copy.owed = entry + sign * floored(Fraction(settings["fixed_tp"]) * of.pip, of.tick)
        exactly = carried_levels(copy, theirs.stop, theirs.target, of, settings)
        if exactly[0] not in (None, copy.stop_level) and sign * (market - exactly[0]) <= 0:
            wanted = Fraction(0)  # by the settings of now its stop has been passed: that closes a copy
            self.counts["filled: its stop of now was passed"] += 1
        units = Fraction(new[0].volume, 100) if new else Fraction(0)
        self.counts["filled: of its own" if whole == theirs.units else "filled: of its own, his in part"] += 1
        if units != wanted:
            self._report(case, f"filled {opened} of {whole}, {shape} {float(exact)}", units, wanted)
        if not new:
            return
        got = level_of(new[0].stop), level_of(new[0].target)
        if not has_room(of, copy.is_long, market, exactly[0], None):
            exactly = copy.stop_level, exactly[1]  # the stop that it has been set otherwise is refused
        if exactly[1] is not None and not has_room(of, copy.is_long, market, *exactly):
            is_left_out = got[1] is None or got[1] == copy.target_level
            self.counts["filled: target left out"] += is_left_out
            if is_left_out:
                exactly, copy.owed = (exactly[0], got[1]), exactly[1]
        had = (copy.stop_level, copy.target_level)
        for one, level, carried, distance in zip(got, exactly, had, (shape.stop, shape.target), strict=True):
            is_wide = settings.get("bad_stop") == "widen" and distance == max(of.stop_distance, of.tick)
            if is_wide and one == carried:
                continue
            if (one is None) is not (level is None) or (
                one is not None and level is not None and abs(one - level) > of.tick
            ):
                self._report(case, f"filled {opened} {theirs.stop} {theirs.target}, {copy}", got, exactly)
        copy.units, (copy.stop_level, copy.target_level) = units, got
        if copy.owed is not None and got[1] is not None and abs(copy.owed - got[1]) <= of.tick:
            copy.owed = None  # what the order has carried stays: it is off by no more than its rounding
        theirs.copies[case.name] = new[0].position, copy

    def _is_filled(self, name: str, ordered: Ordered) -> bool:
        one = self._book_of(name, ordered)
        return one is not None and bool(one.executed)

    def _is_rejected(self, name: str, ordered: Ordered) -> bool:
        """Whether a copy's order rested and its broker has rejected it."""
        one = self._book_of(name, ordered)
        return one is not None and bool(one.status == ORDER_STATUS_REJECTED)

    def _entered(self, case: Case, ordered: Ordered) -> Fraction:
        """Where an order filled of which nothing is held any more."""
        one = self._book_of(case.name, ordered)
        return Fraction(0) if one is None else exact_price(one.cost / one.executed / PRICE)

    def _book_of(self, name: str, ordered: Ordered) -> Any:
        books = self.book.broker.floor.accounts[self.book.ids[name]]
        number = ordered.rests[name][0]
        return books.orders.get(number) or books.past_orders.get(number)

    def _see_nothing_held(self, ordered: Ordered, there: dict[str, dict[int, Any]], why: str) -> None:
        """Whatever had filled ahead of him is closed."""
        for case in self.cases:
            if [held for held in self.book.held(case.name) if held.position not in there[case.name]]:
                self._report(case, (why, ordered.opened), "held", "closed with his")

    def _see_nothing_rests(self, ordered: Ordered) -> None:
        for case in self.cases:
            if case.name in ordered.rests and ordered.rests[case.name][0] in {o.orderId for o in self._rests(case)}:
                self._report(case, ordered.opened, "rests", "cancelled with his")

    def _settle(self) -> None:
        """Back to the coarsest tick, so that every broker's quotes are fresh; see who was hit."""
        for feed, (_, step) in FEEDS.items():
            coarse = 10 * Decimal(step)
            if self.book.bids[feed] % coarse:
                self.book.price(feed, str(round(self.book.bids[feed] / coarse) * coarse))
        self.book.go(3)
        self._see_hit()


def mixed(got: Outcome, wanted: set[Outcome]) -> set[Outcome]:
    """Units by one quote with levels by the other: his fill and the follower's quote are told one after another.

    A target that lies too near by the quote of the fill stays where the open by the other has carried it.
    """
    copies = [one for one in wanted if isinstance(one, Copy)]
    units = [one.units for one in copies]
    if isinstance(got, str) or not units or not min(units) <= got.units <= max(units):
        return set()
    carried = {one.target for one in copies if one.target is not None}
    kept = [replace(one, target=target) for one in copies if one.owed is not None for target in carried]
    return {replace(one, units=got.units, whole=got.units) for one in (*copies, *kept)}


def _amends(got: Any, one: Amended, wanted: set[Amended]) -> bool:
    """Whether an order is as that says, or between those that differ in units alone."""
    if isinstance(got, str) or isinstance(one, str):
        return bool(got == one)
    units = [other[1] for other in wanted if not isinstance(other, str)]
    return (got[0], *got[2:]) == (one[0], *one[2:4]) and min(units) <= got[1] <= max(units)


def _moved(account: Account, symbol: str, before: tuple[Fraction, Fraction], now: tuple[Fraction, Fraction]) -> Account:
    """The account where its market has moved as the leader's has."""
    away = (sum(now, Fraction(0)) - sum(before, Fraction(0))) / 2
    bid, ask = account.quotes[symbol]
    return replace(account, quotes={**account.quotes, symbol: (bid + away, ask + away)})


def _without(account: Account, symbol: str, units: Fraction) -> Account:
    """The account less one order that rests."""
    resting = list(account.resting)
    if (symbol, units) in resting:
        resting.remove((symbol, units))
    return replace(account, resting=tuple(resting))
