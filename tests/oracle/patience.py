"""A leader's day before followers who have their time: they wait for a better price, and ranges bound what it may be.

The market jumps as he trades, before anybody has heard of it, and moves while opens wait; he adds, closes parts, moves
levels and closes meanwhile. Hours begin and end, and what is too old is not opened any more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo

from cmam.domain.events import ChangeDecided, RequestRefused
from cmam.domain.values.reasons import Reason
from cmam.openapi._pb import OpenApiMessages_pb2 as wire
from cmam.openapi._pb.OpenApiModelMessages_pb2 import LIMIT, MARKET, MARKET_RANGE, STOP
from tests.oracle import drawn
from tests.oracle.day import IDS, PRICE, STEP, Day, Theirs, as_copy, as_ordered, opened_by
from tests.oracle.gaps import source_of
from tests.oracle.orders import mixed
from tests.oracle.rules import (
    WAITS,
    Account,
    Copy,
    Decision,
    Growth,
    Late,
    Open,
    Outcome,
    Rest,
    Standing,
    is_within,
    reduced,
)
from tests.rulebook import BUY, FEEDS, LEAD, Case

LEFT_OUT = ("side", "symbols.include", "label", "require_stop")
"""Settings that are left out mostly: copies are wanted."""
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Tokyo")
BEGIN = datetime(2020, 1, 1, tzinfo=UTC)
"""When virtual time begins: a Wednesday, where it is not Tuesday yet."""
NEAR_S = 1.2
"""How near to each other two moments tell nothing of what came first."""
AGES = {"5s": 5, "11s": 11, "17s": 17, "45s": 45, "2m": 120}

LIVES = {"9s": 9, "25s": 25, "3m": 180}


@dataclass(slots=True)
class Patient:
    """An open that waits: when it is too late, and of how much of the leader's it shall be."""

    until_us: int
    units: Fraction
    kind: str
    leaders: list[Account]
    """The leader as he was at his open, by its quotes before and after."""


class PatienceDay(Day):
    """One world from a seed, whose followers wait for their price and mind the hour."""

    def __init__(self, seed: int, followers: int = 30) -> None:
        super().__init__(seed, followers)
        self.patient: dict[int, dict[str, Patient]] = {}
        """By the leader's position and the follower's name."""
        self.between: dict[str, Fraction] = {}
        """Of how much of his an open that waits was to be after the first of two acts at once."""
        self._then: dict[str, Account] = {}
        self._then_us = 0

    def _draw(self, index: int) -> Case:
        chance, case = self.chance, super()._draw(index)
        settings = dict(case.settings)
        if chance.random() < 0.8:
            for name in LEFT_OUT:
                settings.pop(name, None)
        if chance.random() < 0.6:
            settings["wait_for_better"] = chance.choice(("0.55", "1.5", "2.6", "4.1"))
        if chance.random() < 0.6:
            settings["max_age"] = chance.choice(tuple(AGES))
        if chance.random() < 0.5:
            settings["max_slippage"] = chance.choice(("1", "7", "12", "25", "60"))
        if chance.random() < 0.25:
            settings["hours"] = self._hours()
        if chance.random() < 0.1:
            settings["days"] = chance.choice(("tue", "wed", "wed-fri", "thu-mon", "mon-tue"))
        if chance.random() < 0.15:
            settings["order_types"] = chance.choice(("market", "market_range", "market_range,limit"))
        if chance.random() < 0.2:
            settings["scale_in"] = "off"
        if chance.random() < 0.2:
            settings["copy_expiry"] = "off"
        if chance.random() < 0.2:
            settings["pending_max_life"] = chance.choice(tuple(LIVES))
        if chance.random() < 0.3:
            settings["pending_outside"] = "keep"
        return replace(case, settings=settings)

    def _hours(self) -> str:
        """Windows that begin or end some minutes after the world does."""
        chance, zone = self.chance, self.chance.choice(ZONES)
        edges = sorted(chance.sample(range(-1, 9), 4))
        texts = [(BEGIN + timedelta(minutes=edge)).astimezone(ZoneInfo(zone)).strftime("%H:%M") for edge in edges]
        windows = [f"{texts[0]}-{texts[1]}", f"{texts[2]}-{texts[3]}", f"{texts[1]}-{texts[0]}"]
        return ",".join(windows[: chance.choice((1, 2))] if chance.random() < 0.7 else windows[2:]) + f" {zone}"

    def _acts(self) -> list[Callable[[], None]]:
        acts: list[Callable[[], None]] = [*[self._open] * 3, self._place]
        if self.held:
            acts += [self._grow, self._reduce, self._swap, self._amend]
        if len(self.held) > 3:
            acts += [self._close]
        return acts

    def run(self, steps: int = 16) -> None:
        super().run(steps)

    # --- the market, and time

    def _move(self) -> None:
        for _ in range(self.chance.choice((1, 1, 2, 3))):
            self._steady()
            self._remember()
            super()._move()
            self._see_patient()

    def _steady(self) -> None:
        """No act in the last seconds of a minute: hours may end before it is heard."""
        seconds = self.book.now_us() / 1_000_000 % 60
        if seconds > 55:
            self._remember()
            self.book.go(61 - seconds)
            self._see_patient()

    def _remember(self) -> None:
        self.book.pulse()  # to look at thirty followers takes a while
        self.book.run(0.05)
        self._then = {case.name: drawn.account(self.book, self.book.ids[case.name]) for case in self.cases}
        self._then_us = self.book.now_us()

    def _jump(self, symbol: str) -> None:
        """Often the market is elsewhere before anybody hears of what he has done."""
        if self.chance.random() < 0.5:
            step = 10 * Decimal(FEEDS[symbol][1])
            self.book.price(symbol, str(self.book.bids[symbol] + self.chance.choice((-5, -3, -1, 1, 2, 4)) * step))

    def _accounts(self, case: Case) -> list[Account]:
        """The follower as it was, at the quotes of before and of now."""
        then = self._then[case.name]
        return [then, replace(then, quotes=drawn.account(self.book, self.book.ids[case.name]).quotes)]

    def _now_without(self, case: Case, theirs: Theirs) -> Account:
        """The follower as it is now, but for its copy of that: levels may have been hit meanwhile, others opened."""
        now, mine = (
            drawn.account(self.book, self.book.ids[case.name]),
            {h.position for h in self._held_of(case, theirs)},
        )
        books = self.book.broker.floor.accounts[self.book.ids[case.name]]
        numbers = [held.position_id for held in books.open_positions()]
        others = [one for number, one in zip(numbers, now.holdings, strict=True) if number not in mine]
        return replace(now, holdings=tuple(others))

    def _half_moved(self, case: Case, symbol: str) -> list[Account]:
        """The follower as it was, with that symbol's price and some others of now: feeds move one after the other."""
        then, names = self._then[case.name], self.names[case.name]
        now, found = drawn.account(self.book, self.book.ids[case.name]).quotes, []
        quotes = dict(then.quotes)
        for feed in FEEDS:
            if (name := names.get(feed, feed)) in now:
                quotes = {**quotes, name: now[name]}
            if feed == symbol or found:
                found.append(replace(then, quotes=quotes))
        return found

    # --- opens

    def _open(self) -> None:
        self._steady()
        symbol, side, units, wire_ = self._wish()
        self._remember()
        self._look()
        leaders = [drawn.account(self.book, LEAD)]
        kind = self.chance.choice((MARKET, MARKET, MARKET_RANGE))
        position = self._buy(kind, symbol, side, units, wire_)
        mine = self.book.broker.floor.accounts[LEAD].positions[position]
        if not mine.volume:
            return  # he had not the money
        opened_us = self.book.now_us()
        self._jump(symbol)
        leaders = [drawn.account(self.book, LEAD), replace(drawn.account(self.book, LEAD), quotes=leaders[0].quotes)]
        opened = opened_by(symbol, side, units, Fraction(mine.price, PRICE), wire_)
        stop, target = (None if not level else Fraction(level, PRICE) for level in (mine.sl, mine.tp))
        theirs = Theirs(position, opened, units, stop, target)
        self.held.append(theirs)
        self.patient[position] = {}
        self.book.go(4)
        word = "market" if kind == MARKET else "market_range"
        for case in self.cases:
            self._see_open(case, theirs, word, leaders, opened_us)
        self._see_patient(but=position)

    def _buy(self, kind: int, symbol: str, side: int, units: Fraction, more: dict[str, Any]) -> int:
        """Trade at the market, or in a range around it; answers the position's number."""
        request = wire.ProtoOANewOrderReq(
            ctidTraderAccountId=LEAD,
            symbolId=IDS[symbol],
            orderType=kind,
            tradeSide=side,
            volume=int(units * 100),
            **more,
        )
        if kind == MARKET_RANGE:
            bid, ask = drawn.account(self.book, LEAD).quotes[symbol]
            request.baseSlippagePrice = float(ask if side == BUY else bid)
            request.slippageInPoints = 300
        heard = self.book.person.say(LEAD, request)
        accepted = next(event for event in heard if isinstance(event, wire.ProtoOAExecutionEvent))
        return int(accepted.position.positionId)

    def _see_open(self, case: Case, theirs: Theirs, word: str, leaders: list[Account], opened_us: int) -> None:
        settings, names = drawn.settings_for(case, theirs.opened.symbol), self.names[case.name]
        wanted: set[Outcome] = set()
        for leader in leaders:
            for follower in (*self._accounts(case), self._now_without(case, theirs)):
                one = Decision(leader, follower, theirs.opened, settings, names, word, moment=self._moment)
                wanted |= self._ranged(case, one)
        seen = self._held_of(case, theirs)
        is_late = self._is_late(case, theirs)
        if WAITS in wanted:
            late = self._late(case, theirs, Patient(0, theirs.units, word, leaders), self._moment, self._now_utc())
            wanted = late | {WAITS} if is_late else wanted | late
        got: Outcome = self._fate(case, theirs) if not seen else as_copy(seen[0])
        until_us = opened_us + AGES.get(settings.get("max_age", ""), 30) * 1_000_000
        if WAITS in wanted and until_us < self.book.now_us() + NEAR_S * 1_000_000:
            wanted.add("not_better")
        self._compare(case, f"opened by {word}", theirs.opened, got, wanted | mixed(got, wanted))
        if len(seen) > 1:
            self._report(case, theirs.opened, f"{len(seen)} positions", "one")
        if got == WAITS:
            self.patient[theirs.position][case.name] = Patient(until_us, theirs.units, word, leaders)
        elif isinstance(got, Copy):
            self._take_up(case, theirs, seen[0], got, wanted, is_late=is_late)

    def _ranged(self, case: Case, one: Decision) -> set[Outcome]:
        """What comes of an open once the broker has looked whether the market is in its range."""
        found = one.outcomes()
        if any(isinstance(outcome, Copy) for outcome in found):
            now = drawn.account(self.book, self.book.ids[case.name])
            if not one.is_in_range(now):
                return {outcome for outcome in found if isinstance(outcome, str)} | {"slippage"}
        return found

    def _take_up(
        self, case: Case, theirs: Theirs, held: Any, got: Copy, wanted: set[Outcome], *, is_late: bool
    ) -> None:
        settings = drawn.settings_for(case, theirs.opened.symbol)
        standing = self._stands(case, settings, theirs.opened, held, got, wanted)
        if is_late and settings.get("levels") != "price":
            leader, follower = drawn.account(self.book, LEAD), self._accounts(case)[1]
            late = Late(leader, follower, theirs.opened, settings, self.names[case.name], theirs_now=leader.quotes)
            standing.shift = late.shift
        theirs.copies[case.name] = held.position, standing

    def _held_of(self, case: Case, theirs: Theirs) -> list[Any]:
        ending = source_of(theirs.position)
        return [held for held in self.book.held(case.name) if held.label.endswith(ending)]

    def _is_late(self, case: Case, theirs: Theirs) -> bool:
        """Whether the open has waited for its price."""
        decided = self.book.events(self.book.ids[case.name], ChangeDecided)
        return any(one.change.position == theirs.position and one.wait == "better" for one in decided)

    def _fate(self, case: Case, theirs: Theirs) -> str:
        """Why there is no copy: it waits, or the word of what has ended it."""
        view = self.book.view(self.book.ids[case.name])
        assert view is not None
        for copies in (view.copies, view.finished):
            for copy in copies.values():
                if copy.leader_position == theirs.position:
                    self._word(case, "opened", theirs.position)
                    if copy.reason is Reason.REFUSED:
                        refused = self.book.events(self.book.ids[case.name], RequestRefused)
                        return f"refused {refused[-1].error_code}"
                    return WAITS if copy.wait is not None else str(copy.reason.value if copy.reason else "none")
        return self._became(case, "opened", theirs.position)

    # --- what waits

    def _late(
        self, case: Case, theirs: Theirs, patient: Patient, *moments: datetime, halfway: bool = False
    ) -> set[Outcome]:
        """What may become of an open that waits, at the quotes of now, or while some of them have moved only."""
        settings, names = drawn.settings_for(case, theirs.opened.symbol), self.names[case.name]
        sign = 1 if theirs.opened.is_long else -1
        price = theirs.opened.price
        opened = replace(
            theirs.opened,
            units=patient.units,
            stop=None if theirs.stop is None else sign * (price - theirs.stop),
            target=None if theirs.target is None else sign * (theirs.target - price),
        )
        now = self._now_without(case, theirs)
        found: set[Outcome] = set()
        quotes = drawn.account(self.book, LEAD).quotes
        for leader in patient.leaders:
            then = (
                self._half_moved(case, theirs.opened.symbol)
                if halfway
                else [replace(self._then[case.name], quotes=now.quotes)]
            )
            for follower, moment in product((*then, now), moments):
                one = Late(leader, follower, opened, settings, names, patient.kind, moment=moment, theirs_now=quotes)
                found |= self._ranged(case, one)
        return found

    def _see_patient(self, but: int = 0) -> None:
        """What has become of what waited since the market last moved or he last did something."""
        for theirs in self.held:
            if theirs.position == but:
                continue
            for case in self.cases:
                if case.name in self.patient.get(theirs.position, {}):
                    self._see_waiting(case, theirs)

    def _see_waiting(self, case: Case, theirs: Theirs) -> None:
        patient, near_us = self.patient[theirs.position][case.name], NEAR_S * 1_000_000
        seen = self._held_of(case, theirs)
        got: Outcome = self._fate(case, theirs) if not seen else as_copy(seen[0])
        now_us, begun = self.book.now_us(), datetime.fromtimestamp(self._then_us / 1_000_000, UTC)
        wanted: set[Outcome] = set()
        if patient.until_us > self._then_us - near_us:
            wanted |= self._late(case, theirs, patient, begun, self._now_utc())
            if got not in wanted:
                wanted |= self._late(case, theirs, patient, begun, halfway=True)
            if any(isinstance(one, str) for one in wanted):
                wanted.add(WAITS)
        if (units := self.between.get(case.name)) is not None and got not in wanted:
            halfway = self._late(case, theirs, replace(patient, units=units), begun, self._now_utc())
            sizes = {one.units for one in halfway if isinstance(one, Copy)}
            # Looked at between the two: what it opened with has grown by now, or nothing has opened.
            if self._first_of(case, seen[0]) in sizes if seen else got in halfway:
                self.counts["waited: between two acts"] += 1
                del self.patient[theirs.position][case.name]
                return
        tick = drawn.BROKERS[case.broker][self.names[case.name][theirs.opened.symbol]].tick
        is_narrow = any(isinstance(one, Copy) and _is_within(one, 30 * tick) for one in wanted)
        if got == Reason.CLOSED_BY_LEVEL.value and is_narrow:
            self.counts["ended by its own level"] += 1
            del self.patient[theirs.position][case.name]
            return
        if patient.until_us < now_us + near_us:
            wanted |= {"not_better"}
            wanted |= (
                {"too_old"} if patient.until_us < self._then_us + near_us else set()
            )  # it came an instant too late
        if patient.until_us < now_us - near_us:
            wanted.discard(WAITS)
        opened = replace(theirs.opened, units=patient.units)
        self._compare(case, "waited", opened, got, wanted | mixed(got, wanted))
        if len(seen) > 1:
            self._report(case, theirs.opened, f"{len(seen)} positions", "one")
        if got != WAITS:
            del self.patient[theirs.position][case.name]
        if isinstance(got, Copy):
            self._take_up(case, theirs, seen[0], got, wanted, is_late=True)

    def _first_of(self, case: Case, held: Any) -> Fraction:
        """What a copy was opened with, before anything was added."""
        deals = self.book.broker.floor.accounts[self.book.ids[case.name]].deals.values()
        return Fraction(next(deal for deal in deals if deal.position_id == held.position).volume, 100)

    # --- what he does meanwhile

    def _grow(self) -> None:
        self._steady()
        theirs = self.chance.choice(self.held)
        self._add(theirs, self._units(theirs.opened.symbol), 0)

    def _add(self, theirs: Theirs, added: Fraction, closed: Fraction) -> None:
        """He closes a part and adds at once, or only adds; the market jumps, and then it is heard."""
        self._remember()
        self._look()
        symbol = theirs.opened.symbol
        books = self.book.broker.floor.accounts[LEAD]
        whole, had = theirs.units, {case.name: copy.units for case, _, copy in self._copies(theirs)}
        if closed:
            self.book.person.close(theirs.position, int(closed * 100))
            theirs.units -= closed
        known, leaders = set(books.deals), [drawn.account(self.book, LEAD)]
        side = BUY if theirs.opened.is_long else 3 - BUY
        self.book.person.buy(int(added * 100), symbol=IDS[symbol], side=side, positionId=theirs.position)
        deals = [deal for number, deal in books.deals.items() if number not in known]
        self._jump(symbol)
        leaders = [drawn.account(self.book, LEAD), replace(drawn.account(self.book, LEAD), quotes=leaders[0].quotes)]
        before = theirs.units
        theirs.units += added if deals else 0
        self.book.go(8 if closed else 4)
        there = self._positions()
        for case, position, copy in self._copies(theirs):
            if closed:
                up = case.settings.get("partial_rounding") == "up"
                of = drawn.BROKERS[case.broker][copy.symbol]
                copy.target, copy.units = reduced(copy, whole, before, of, up=up)
            units = Fraction(there[case.name][position].volume, 100) if position in there[case.name] else Fraction(0)
            if not units and self._is_hit(case, copy):
                self.counts["ended by its own level"] += 1
                del theirs.copies[case.name]
                continue
            if not copy.units or not deals:
                if units != copy.units:
                    self._report(case, f"{whole} less {closed}, {copy}", units, copy.units)
                if not units:
                    del theirs.copies[case.name]
                continue
            price = Fraction(deals[0].price, PRICE)
            more = Open(symbol, theirs.opened.is_long, added, price, label=theirs.opened.label)
            self._see_grown(case, theirs, copy, more, before, units, leaders, had[case.name])
        for name, patient in self.patient[theirs.position].items():
            patient.units *= before / whole
            if closed and deals:
                self.between[name] = patient.units
        for name, patient in self.patient[theirs.position].items():
            case = next(case for case in self.cases if case.name == name)
            if deals and case.settings.get("scale_in") != "off":
                patient.units *= (before + added) / before
        self._see_patient()
        self.between.clear()

    def _see_grown(
        self,
        case: Case,
        theirs: Theirs,
        copy: Standing,
        more: Open,
        before: Fraction,
        units: Fraction,
        leaders: list[Account],
        had: Fraction,
    ) -> None:
        settings, names = drawn.settings_for(case, more.symbol), self.names[case.name]
        wanted = set()
        now = drawn.account(self.book, self.book.ids[case.name])
        for leader, held in product(leaders, self._left_of(case, copy, had)):
            for follower in self._grown_from(case, copy, had, units):
                one = Growth(leader, follower, more, settings, names, moment=self._moment, copy=held, before=before)
                found = one.growths() if held is copy else self._closing(case, one, held)
                wanted |= {
                    ("slippage", copy.target, copy.units)
                    if word == "" and grown != copy.units and not one.is_in_range(now)
                    else (word, target, grown)
                    for word, target, grown in found
                }
        word = self._word(case, "grew", theirs.position)
        fitting = [one for one in wanted if (one[0] == word or (one[0] == "slippage" and not word)) and one[2] == units]
        self.counts[f"grew: {fitting[0][0] if fitting else word or 'added'}"] += 1
        if fitting:
            copy.target, copy.units = fitting[0][1:]
        else:
            wants = [(word, float(target), float(grown)) for word, target, grown in wanted]
            self._report(case, f"{before} grew by {more}, {copy}, had {had}", (word, float(units)), wants)
            del theirs.copies[case.name]

    def _left_of(self, case: Case, copy: Standing, had: Fraction) -> list[Standing]:
        """The copy when the add was looked at: of what is closed in several orders the last may not be needed any more,
        or be smaller."""
        of = drawn.BROKERS[case.broker][copy.symbol]
        left = [had - count * of.most for count in range(1, int((had - copy.units) / of.most) + 1)]
        return [copy, *(replace(copy, units=units) for units in left if units > copy.units)]

    @staticmethod
    def _closing(case: Case, one: Growth, held: Standing) -> set[tuple[str, Fraction, Fraction]]:
        """The outcomes of growth while a copy is being closed: what is above its new target goes all the same."""
        of, up = drawn.BROKERS[case.broker][held.symbol], case.settings.get("partial_rounding") == "up"
        return {
            (word, target, reduced(replace(held, target=target), Fraction(1), Fraction(1), of, up=up)[1])
            if word == "covered"
            else (word, target, grown)
            for word, target, grown in one.growths()
        }

    def _grown_from(self, case: Case, copy: Standing, had: Fraction, units: Fraction) -> list[Account]:
        """What the follower may have been as the add was looked at: a part of the copy may have been closed by then."""
        now = drawn.account(self.book, self.book.ids[case.name])
        found = [_with_less(one, copy, had) for one in self._accounts(case)]
        found += [_with_less(now, copy, units)] if units else []
        if had != copy.units:  # slices of margin are not in proportion
            found += [_with_less(one, copy, had, margin=Fraction(0)) for one in self._accounts(case)]
        return found

    def _is_hit(self, case: Case, copy: Standing) -> bool:
        """Whether the market has reached a level of a copy's."""
        bid, ask = drawn.account(self.book, self.book.ids[case.name]).quotes[copy.symbol]
        near = drawn.BROKERS[case.broker][copy.symbol].tick  # a pulse
        sign, market = (1, bid - near) if copy.is_long else (-1, ask + near)
        stop, target = copy.stop_level, copy.owed or copy.target_level
        return (stop is not None and sign * (market - stop) <= 0) or (
            target is not None and sign * (target - market) <= 2 * near
        )

    def _part(self, theirs: Theirs) -> Fraction:
        step = STEP.get(theirs.opened.symbol, Fraction(1_000))
        return self.chance.randrange(1, int(theirs.units / step)) * step if theirs.units > step else Fraction(0)

    def _reduce(self) -> None:
        self._steady()
        self._remember()
        units = {theirs.position: theirs.units for theirs in self.held}
        super()._reduce()
        for theirs in self.held:
            for patient in self.patient[theirs.position].values():
                patient.units *= theirs.units / units[theirs.position]
        self._see_patient()

    def _swap(self) -> None:
        """A part is closed, and something added before anybody has heard of it."""
        self._steady()
        theirs = self.chance.choice(self.held)
        if part := self._part(theirs):
            self._add(theirs, self._units(theirs.opened.symbol), part)

    def _amend(self) -> None:
        self._steady()
        self._remember()
        super()._amend()
        self._see_patient()

    def _place(self) -> None:
        """Let an order rest for a while, perhaps until it expires, and take it back."""
        self._steady()
        symbol, side, units, more = self._wish()
        kind = self.chance.choice((LIMIT, STOP))
        bid, ask = drawn.account(self.book, LEAD).quotes[symbol]
        away = self.chance.randrange(60, 500) * drawn.BROKERS["Lead"][symbol].tick
        price = ask + away if (kind == STOP) is (side == BUY) else bid - away
        placed_us = self.book.now_us()
        ends_ms = placed_us // 1_000 + self.chance.choice((20_500, 33_500, 200_000))
        if self.chance.random() < 0.5:
            ends_ms = 0
        self._remember()
        self._look()
        known = {case.name: {order.orderId for order in self._rests(case)} for case in self.cases}
        self._moment = self._now_utc()
        expiry = {"expirationTimestamp": ends_ms} if ends_ms else {}
        order = self.book.person.place(
            kind, int(units * 100), price=float(price), symbol=IDS[symbol], side=side, **more, **expiry
        )
        placed_us = self.book.now_us()
        leader = drawn.account(self.book, LEAD)
        opened, word = opened_by(symbol, side, units, price, more), "limit" if kind == LIMIT else "stop"
        self.book.go(4)
        resting: dict[str, int] = {}
        for case in self.cases:
            settings = drawn.settings_for(case, symbol)
            rest = Rest(leader, self._before[case.name], opened, settings, self.names[case.name], word)
            rest.moment = self._moment
            new = [one for one in self._rests(case) if one.orderId not in known[case.name]]
            got = self._became(case, "order_placed", order) if not new else as_ordered(new[0])
            self._compare(case, word, opened, got, rest.outcomes())
            if not new:
                continue
            resting[case.name] = new[0].orderId
            life = LIVES.get(settings.get("pending_max_life", ""))
            ends = ends_ms if settings.get("copy_expiry") != "off" else 0
            wanted = ends or (placed_us // 1_000 + life * 1_000 if life else 0)
            if abs(new[0].expirationTimestamp - wanted) > (0 if ends else 500):
                self._report(case, (word, opened), new[0].expirationTimestamp, wanted)
        self._see_patient()
        self._see_rest(order, resting, placed_us, ends_ms)

    def _see_rest(self, order: int, resting: dict[str, int], placed_us: int, ends_ms: int) -> None:
        """While the market stands still orders rest on, but for their own end, the leader's, and that of the hours."""
        self._remember()
        begun = self._moment
        self.book.go(self.chance.choice((2, 18, 40)))
        for case in self.cases:
            if case.name not in resting:
                continue
            rests = resting[case.name] in {one.orderId for one in self._rests(case)}
            now_us, wanted = self.book.now_us(), True
            life, settings = LIVES.get(case.settings.get("pending_max_life", ""), 0), case.settings
            own_us = (
                placed_us + life * 1_000_000 if life and not (ends_ms and settings.get("copy_expiry") != "off") else 0
            )
            ends = [us for us in (own_us, ends_ms * 1_000) if us]
            hours, days = settings.get("hours", "always"), settings.get("days", "all")
            if settings.get("pending_outside") != "keep":
                ends += [
                    int((begun + timedelta(seconds=after)).timestamp() * 1_000_000)
                    for after in range(120)
                    if not is_within(hours, days, begun + timedelta(seconds=after))
                ][:1]
            wanted = not any(us < now_us for us in ends)
            if any(abs(us - now_us) < 2_500_000 for us in ends):
                continue
            self.counts["rests on" if wanted else "rests no more"] += 1
            if rests is not wanted:
                self._report(case, f"rested from {placed_us} to {now_us}, his until {ends_ms}", rests, (wanted, ends))
        if order in self.book.broker.floor.accounts[LEAD].orders:
            self.book.person.cancel(order)
        self.book.go(4)
        for case in self.cases:
            if case.name in resting and resting[case.name] in {one.orderId for one in self._rests(case)}:
                self._report(case, order, "rests", "cancelled with his")
        self._see_patient()

    def _close(self) -> None:
        self._remember()
        super()._close()
        self._see_patient()

    def _see_closed(self, theirs: Theirs, why: str) -> None:
        """What waits for a better price of what he has closed is not opened any more."""
        super()._see_closed(theirs, why)
        for name in self.patient.pop(theirs.position, {}):
            case = next(case for case in self.cases if case.name == name)
            self.counts["waited: taken back"] += 1
            if self._held_of(case, theirs):
                self._report(case, why, "held", "taken back")


def _is_within(copy: Copy, near: Fraction) -> bool:
    """Whether the market reaches a level of that copy by its pulse."""
    return any(level is not None and level <= near for level in (copy.stop, copy.target))


def _with_less(account: Account, copy: Standing, had: Fraction, margin: Fraction = Fraction(1)) -> Account:
    """An account in which a copy that had so much is what it is now."""
    found = list(account.holdings)
    for index, held in enumerate(found):
        if (held.symbol, held.is_long, held.units) == (copy.symbol, copy.is_long, had) and had != copy.units:
            share = copy.units / had
            found[index] = replace(
                held, units=copy.units, margin=held.margin * share * margin, costs=held.costs * share
            )
            break
    return replace(account, holdings=tuple(found))
