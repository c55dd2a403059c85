"""A leader's day before netted followers: what each holds of a symbol is the sum of its shares, to the step.

A share's size, levels and growth are those of a copy on a hedged account; only the net can be seen at the broker.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from tests.oracle import drawn
from tests.oracle.day import IDS, PRICE, STEP, Day, level_of, opened_by
from tests.oracle.rules import Copy, Decision, Open, Standing, Symbol, carried_levels, floored, reduced
from tests.rulebook import BUY, LEAD, SELL, Case

ZERO = Fraction(0)
LIMITS = (
    "max_positions",
    "max_lots_open",
    "max_lots_symbol",
    "margin_reserve",
    "sanity.max_leverage",
    "bad_stop",
    "fixed_sl",
    "fixed_tp",
)
"""Settings that are left out: caps and money of what takes from a net are the copier's own affair."""


@dataclass(slots=True)
class Led:
    """A position of the leader's, with his levels as prices, and the share of it on each follower."""

    position: int
    opened: Open
    units: Fraction
    stop: Fraction | None
    target: Fraction | None
    shares: dict[str, Standing] = field(default_factory=dict)
    has_grown: bool = False


class NetDay(Day):
    """One world from a seed, whose followers are netted; the leader has positions on both sides of a symbol."""

    def __init__(self, seed: int, followers: int = 30) -> None:
        super().__init__(seed, followers)
        self.led: list[Led] = []
        self.lost: set[tuple[str, str]] = set()
        """Followers and symbols whose net was stopped or refused something: not looked at again."""

    def _draw(self, index: int) -> Case:
        case = drawn.follower(self.chance, index, kind="netted")
        settings = {name: value for name, value in case.settings.items() if name not in LIMITS}
        return replace(case, settings=settings, balance=str(int(float(case.balance)) * 20))

    def _acts(self) -> list[Callable[[], None]]:
        acts: list[Callable[[], None]] = [self._open_one, self._open_one]
        if self.led:
            acts += [self._reduce_one, self._reduce_one, self._amend_one, self._close_one, self._grow_one]
        return acts

    def run(self, steps: int = 12) -> None:
        """Let the leader act so many times, then close everything."""
        self.book.begin()
        for _ in range(steps):
            self._step_market()
            self.chance.choice(self._acts())()
        while self.led:
            self._close_one()
        self.book.go(90)  # what a broker has refused is asked for again within the minute
        for case in self.cases:
            if held := self.book.held(case.name):
                self._report(case, "the leader holds nothing", held, "nothing")
        self.wrong += [f"seed {self.seed}: {failure!r}" for failure in self.book.stepper.failures]

    def _step_market(self) -> None:
        self._move()
        leads = self.book.broker.floor.accounts[LEAD].positions
        for led in [one for one in self.led if not (one.position in leads and leads[one.position].volume)]:
            self.led.remove(led)
            self.lost |= {(name, led.opened.symbol) for name in led.shares}  # whose stop came first, nobody knows
        for case in self.cases:
            for symbol in self.names[case.name]:
                if self._shares(case, symbol) and not self._net(case, symbol)[0] and self._sum(case, symbol):
                    self.lost.add((case.name, symbol))

    # --- acts

    def _open_one(self) -> None:
        symbol, side, units, wire = self._wish()
        symbol = self.chance.choice(("EURUSD", "EURUSD", "GBPUSD"))
        units = self.chance.randrange(1, 60) * Fraction(1_000)
        wire = {
            **{name: far + 1_500 for name, far in self._distances(symbol).items()},
            **{k: v for k, v in wire.items() if k == "label"},
        }
        self._look()
        nets = {case.name: self._net(case, symbol)[0] for case in self.cases}
        position = self.book.person.buy(int(units * 100), symbol=IDS[symbol], side=side, **wire)
        leader = drawn.account(self.book, LEAD)
        mine = self.book.broker.floor.accounts[LEAD].positions[position]
        if not mine.volume:
            return
        price = Fraction(mine.price, PRICE)
        opened = opened_by(symbol, side, units, price, wire)
        stop, target = (None if not level else Fraction(level, PRICE) for level in (mine.sl, mine.tp))
        led = Led(position, opened, units, stop, target)
        self.led.append(led)
        self.book.go(4)
        for case in self.cases:
            if symbol not in self.names[case.name] or (case.name, symbol) in self.lost:
                continue
            settings = drawn.settings_for(case, symbol)
            follower = self._before[case.name]
            decision = Decision(leader, follower, opened, settings, self.names[case.name])
            wanted = decision.outcomes()
            word = self._became(case, "opened", position)
            of = self._symbol(case, symbol)
            moved = (self._net(case, symbol)[0] - nets[case.name]) * (1 if decision.is_long else -1)
            copies = [one for one in wanted if isinstance(one, Copy)]
            units = [one.units for one in copies]
            near = of.step + of.least
            fitting = [one for one in copies if min(units) - near < moved < max(units) + near]
            self.counts[f"opened: {word if not moved else settings.get('volume.mode', 'multiplier')}"] += 1
            if not moved:
                if word not in wanted and not fitting:
                    self._report(case, opened, word, wanted)
                continue
            if not fitting:
                self._report(case, opened, float(moved), wanted)
                self.lost.add((case.name, symbol))
                continue
            one = min(fitting, key=lambda copy: abs(copy.units - moved))
            if min(copy.units for copy in copies) <= moved <= max(copy.units for copy in copies):
                one = replace(one, units=moved, whole=moved + one.whole - one.units)
            sign = 1 if decision.is_long else -1
            shift = ZERO if settings.get("levels") == "price" else decision.entry - price
            share = Standing(of.name, decision.is_long, one.units, one.whole, shift, None, None)
            share.stop_level = None if one.stop is None else decision.entry - sign * one.stop
            share.target_level = None if one.target is None else decision.entry + sign * one.target
            led.shares[case.name] = share
        self._see(symbol, f"opened {opened}")

    def _reduce_one(self) -> None:
        led = self.chance.choice(self.led)
        step = STEP.get(led.opened.symbol, Fraction(1_000))
        if led.units <= step:
            return
        closed = self.chance.randrange(1, int(led.units / step)) * step
        self.book.person.close(led.position, int(closed * 100))
        for name, share in led.shares.items():
            case = next(case for case in self.cases if case.name == name)
            up = drawn.settings_for(case, led.opened.symbol).get("partial_rounding") == "up"
            of = self._symbol(case, led.opened.symbol)
            target, units = reduced(share, led.units, led.units - closed, of, up=up)
            share.target = target if units or not up else ZERO  # never above its target: the part was the whole
            share.units = units
        led.units -= closed
        self.book.go(4)
        self._see(led.opened.symbol, f"reduced {led.opened} to {led.units}")

    def _grow_one(self) -> None:
        led = self.chance.choice(self.led)
        added, side = self.chance.randrange(1, 60) * Fraction(1_000), BUY if led.opened.is_long else SELL
        self.book.person.buy(int(added * 100), symbol=IDS[led.opened.symbol], side=side, positionId=led.position)
        if Fraction(self.book.broker.floor.accounts[LEAD].positions[led.position].volume, 100) == led.units:
            return
        self.book.go(4)
        for case in self.cases:
            if case.name in led.shares:
                word = self._word(case, "grew", led.position)
                self.counts[f"grew: {word}"] += 1
                if word in ("", "covered", "below_minimum"):  # what is no order yet is a part of the next
                    share = led.shares[case.name]
                    share.target = self._grown(case, led, share, (led.units + added) / led.units)
                    step = self._symbol(case, led.opened.symbol).step
                    share.units += max(ZERO, floored(share.target - share.units, step)) if not word else 0
        led.units, led.has_grown = led.units + added, True
        self._see(led.opened.symbol, f"grew {led.opened} to {led.units}")

    def _grown(self, case: Case, led: Led, share: Standing, times: Fraction) -> Fraction:
        """In proportion, within `volume.max` and what one order may have."""
        settings, of = drawn.settings_for(case, led.opened.symbol), self._symbol(case, led.opened.symbol)
        target = share.target * times
        if "volume.max" in settings:
            target = min(target, max(Fraction(settings["volume.max"]) * of.lot, share.target))
        if settings.get("volume.rounding", "cap").endswith("cap"):
            target = min(target, share.target + floored(of.most, of.step))
        return target

    def _amend_one(self) -> None:
        led = self.chance.choice(self.led)
        bid, ask = drawn.account(self.book, LEAD).quotes[led.opened.symbol]
        market, sign = (bid, 1) if led.opened.is_long else (ask, -1)
        tick = drawn.BROKERS["Lead"][led.opened.symbol].tick
        for name, way in (("stop", -sign), ("target", sign)):
            fate = self.chance.random()
            if fate < 0.6:
                setattr(led, name, market + way * self.chance.randrange(1_500, 5_000) * tick)
            elif fate < 0.7:
                setattr(led, name, None)
        stop, target = (None if level is None else float(level) for level in (led.stop, led.target))
        self.book.person.amend(led.position, stop=stop, target=target)
        for case in self.cases:
            if case.name in led.shares:
                share, settings = led.shares[case.name], drawn.settings_for(case, led.opened.symbol)
                of = self._symbol(case, led.opened.symbol)
                share.stop_level, share.target_level = carried_levels(share, led.stop, led.target, of, settings)
        self.book.go(4)
        self._see(led.opened.symbol, f"amended {led.opened} to {stop} {target}")

    def _close_one(self) -> None:
        led = self.led.pop(self.chance.randrange(len(self.led)))
        self.book.person.close(led.position, int(led.units * 100))
        self.book.go(4)
        self._see(led.opened.symbol, f"closed {led.opened}")

    # --- what is there and what should be

    def _symbol(self, case: Case, symbol: str) -> Symbol:
        return drawn.BROKERS[case.broker][self.names[case.name][symbol]]

    def _net(self, case: Case, symbol: str) -> tuple[Fraction, Any]:
        """Signed units of the follower's net, and the position."""
        books = self.book.broker.floor.accounts[self.book.ids[case.name]]
        name = self.names[case.name].get(symbol)
        for held in books.open_positions():
            if self.book.broker.floor.symbol(books, held.symbol_id).name == name:
                return Fraction(held.volume, 100) * (1 if held.side == BUY else -1), held
        return ZERO, None

    def _shares(self, case: Case, symbol: str) -> list[Standing]:
        mine = [led.shares[case.name] for led in self.led if led.opened.symbol == symbol and case.name in led.shares]
        return [share for share in mine if share.target]

    def _sum(self, case: Case, symbol: str) -> Fraction:
        return sum((share.target * (1 if share.is_long else -1) for share in self._shares(case, symbol)), ZERO)

    def _see(self, symbol: str, what: str) -> None:
        """The net is the sum to less than what an order may be; its levels are its shares'."""
        for case in self.cases:
            if symbol not in self.names[case.name] or (case.name, symbol) in self.lost:
                continue
            of, shares = self._symbol(case, symbol), self._shares(case, symbol)
            net, held = self._net(case, symbol)
            wanted = self._sum(case, symbol)
            self.counts["net"] += bool(shares)
            settings = drawn.settings_for(case, symbol)
            up = settings.get("partial_rounding") == "up"
            # None is closed for another's residue, and adds are rounded one by one.
            near = max(of.step, of.least)
            kept = near * sum(up or share.target < of.least for share in shares)
            grown = sum(led.has_grown for led in self.led if led.opened.symbol == symbol and case.name in led.shares)
            kept += sum(max(ZERO, share.target - share.units) for share in shares)  # what waits for the next add
            kept += grown * max(near, Fraction(settings.get("volume.min", "0")) * of.lot)
            if not shares and abs(net) < 2 * of.least:
                continue  # parts below the broker's minimum: closed once they are all there is
            if abs(net - wanted) >= near + kept:
                self._report(case, what, float(net), [(share.is_long, float(share.target)) for share in shares])
                self.lost.add((case.name, symbol))
                continue
            if not net:
                continue
            of_side = [share for share in shares if share.is_long is (net > 0)]
            stops = [share.stop_level for share in of_side]
            known = [stop for stop in stops if stop is not None]
            stop = None if len(known) < len(stops) or not known else min(known) if net > 0 else max(known)
            target = shares[0].target_level if len(shares) == 1 else None
            got = level_of(held.sl / PRICE if held.sl else 0), level_of(held.tp / PRICE if held.tp else 0)
            self.counts["levels of a net"] += 1
            if any(
                (a is None) is not (b is None) or (a is not None and b is not None and abs(a - b) > of.tick)
                for a, b in zip(got, (stop, target), strict=True)
            ):
                self._report(
                    case, what, got, [(s.is_long, float(s.target), s.stop_level, s.target_level) for s in shares]
                )
                self.lost.add((case.name, symbol))
