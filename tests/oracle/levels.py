"""A leader's day of stops that trail, before followers whose copies people touch: levels, parts, growth, whole closes.

A trailing stop's own way is the broker's affair: it is read from the books before each act, and may have gone a little
farther after it. Who moved what, and whose will holds then, is the oracle's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from cmam.domain.events import RequestRefused
from cmam.openapi._pb import OpenApiMessages_pb2 as wire
from tests.oracle import drawn
from tests.oracle.day import PRICE, STEPS, Day, Theirs
from tests.oracle.rules import (
    Copy,
    Open,
    Outcome,
    Standing,
    Symbol,
    amended_levels,
    carried_levels,
    has_room,
)
from tests.oracle.touched import Level, Levels, Touched, is_tighter
from tests.rulebook import BUY, LEAD, SELL, Case

LEFT_OUT = ("fixed_sl", "fixed_tp", "side", "symbols.include", "order_types", "label", "require_stop", "max_positions")
"""Settings that are left out: copies are wanted, and fixed distances are no leader's."""


@dataclass(slots=True)
class Kept:
    """What a copy's levels were when they were last looked at, and which of them are a person's."""

    levels: Levels
    pins: set[str] = field(default_factory=set)
    owed: Level = None
    """The target that it shall have once the broker takes it so near."""
    pinned: Level = None
    """Where a person has set the stop that is his, wherever it has trailed since."""
    told: dict[str, Level] = field(default_factory=dict)
    """The leader's levels, as the copy's, that it was last moved to: his next step counts from there."""


class LevelDay(Day):
    """One world from a seed, in which stops trail and people touch copies."""

    def __init__(self, seed: int, followers: int = 30) -> None:
        super().__init__(seed, followers)
        self.kept: dict[int, Kept] = {}
        self._trails = False
        self._did: dict[str, str] = {}

    def _draw(self, index: int) -> Case:
        chance = self.chance
        case = drawn.follower(chance, index)
        settings = {name: value for name, value in case.settings.items() if name not in LEFT_OUT}
        settings["volume.mode"], settings["volume.amount"] = "multiplier", chance.choice(("0.37", "1", "2.3"))
        settings["volume.basis"] = "units"
        settings.pop("volume.formula", None)
        settings.pop("symbols.table", None)
        if chance.random() < 0.6:
            settings.pop("reverse", None)
        if chance.random() < 0.5:
            settings["human_levels"] = "leader"
        if chance.random() < 0.4:
            settings["copy_trailing"] = "off"
        if chance.random() < 0.3:
            settings["trailing_step"] = chance.choice(("0.3", "4", "12"))
        if chance.random() < 0.2:
            settings["scale_in"] = "off"
        return replace(case, settings=settings, balance=str(int(float(case.balance)) * 20))

    def _acts(self) -> list[Callable[[], None]]:
        acts: list[Callable[[], None]] = [self._open]
        if self.held:
            acts += [self._grow, self._reduce, *[self._amend] * 4, *[self._touch] * 4]
        if len(self.held) > 3:
            acts += [self._close]
        return acts

    def run(self, steps: int = STEPS * 2) -> None:
        super().run(steps)

    # --- the broker's books

    def _levels(self, ctid: int, position: int) -> Levels | None:
        held = self.book.broker.floor.accounts[ctid].positions.get(position)
        if held is None or not held.volume:
            return None
        stop, target = (None if not level else Fraction(level, PRICE) for level in (held.sl, held.tp))
        return Levels(stop, target, bool(held.trailing))

    def _units(self, symbol: str) -> Fraction:
        return self.chance.randrange(10, 90) * Fraction(1_000)

    def _wish(self) -> tuple[str, int, Fraction, dict[str, Any]]:
        symbol = self.chance.choice(("EURUSD", "EURUSD", "GBPUSD", "USDJPY"))
        asked = self._distances(symbol)
        asked = {word: far + 900 * (100 if symbol == "USDJPY" else 1) for word, far in asked.items()}
        self._trails = "relativeStopLoss" in asked and self.chance.random() < 0.4
        if self._trails:
            asked["trailingStopLoss"] = True
        return symbol, self.chance.choice((BUY, SELL)), self._units(symbol), asked

    def _compare(self, case: Case, kind: str, opened: Open, got: Outcome, wanted: set[Outcome]) -> None:
        """A stop that trails may have gone a tick since."""
        if self._trails and isinstance(got, Copy):
            tick = drawn.BROKERS[case.broker][self.names[case.name][opened.symbol]].tick
            for one in wanted:
                if isinstance(one, Copy) and one.stop and got.stop and 0 <= one.stop - got.stop <= 2 * tick:
                    got = replace(got, stop=one.stop)
                    break
        super()._compare(case, kind, opened, got, wanted)

    # --- what the leader does

    def _open(self) -> None:
        super()._open()
        if not self.held:
            return
        theirs = self.held[-1]
        for case, position, _ in self._copies(theirs):
            levels = self._levels(self.book.ids[case.name], position)
            if position in self.kept or levels is None:
                continue
            self.kept[position] = Kept(levels)
            settings = drawn.settings_for(case, theirs.opened.symbol)
            does = self._trails and levels.stop is not None and Touched(settings).trails_itself
            if levels.trails is not does:
                self._report(case, f"opened {theirs.opened}, trailing {self._trails}", levels, does)

    def _grow(self) -> None:
        super()._grow()
        self._see_unmoved("grew")

    def _reduce(self) -> None:
        super()._reduce()
        self._see_unmoved("reduced")

    def _close(self) -> None:
        super()._close()
        self._see_unmoved("closed")

    def _see_hit(self) -> None:
        super()._see_hit()
        for theirs in self.held:
            his = self._levels(LEAD, theirs.position)
            assert his is not None
            theirs.stop, theirs.target = his.stop, his.target
            for case, position, copy in self._copies(theirs):
                self._see_followed(case, position, copy, theirs, his)

    def _has_trailed_into(self, case: Case, copy: Standing, kept: Kept) -> bool:
        """Whether the market stands at a trailing stop, which goes on by ticks while it does."""
        bid, ask = drawn.account(self.book, self.book.ids[case.name]).quotes[copy.symbol]
        market, stop = bid if copy.is_long else ask, kept.levels.stop
        near = 3 * drawn.BROKERS[case.broker][copy.symbol].tick
        return kept.levels.trails and stop is not None and abs(market - stop) <= near

    def _see_followed(self, case: Case, position: int, copy: Standing, theirs: Theirs, his: Levels) -> None:
        """After the market has moved: what trails has trailed, what follows has followed, all else is as it was."""
        kept, got = self.kept[position], self._levels(self.book.ids[case.name], position)
        if got is None:
            return
        settings = drawn.settings_for(case, theirs.opened.symbol)
        of = drawn.BROKERS[case.broker][copy.symbol]
        touched = Touched(settings)
        carried = carried_levels(copy, his.stop, his.target, of, settings)
        step = touched.number("trailing_step") * of.pip
        self.counts["market moved"] += 1
        waits = self._waits(case)
        for name, is_stop, one, had, new in (
            ("stop", True, got.stop, kept.levels.stop, carried[0]),
            ("target", False, got.target, kept.levels.target, carried[1]),
        ):
            if one == new and one != had:
                kept.told[name] = one
            if waits and one in (had, new):
                continue
            if not is_stop and one is not None and one == kept.owed:
                self.counts["a target too near is set later"] += 1
                kept.owed = None
                continue
            if not is_stop and one is None and got.stop != kept.levels.stop and self._is_short(case, copy, had):
                self.counts["a target too near is left out beside a stop"] += 1
                kept.owed = had
                continue
            if is_stop and kept.levels.trails:
                if one is None or (one != had and not is_tighter(one, had, copy, is_stop=True)):
                    self._report(case, f"market moved, {copy}, {kept}, his {his}", got, "not looser")
                continue
            follows = his.trails and (is_stop is not touched.is_reversed) and touched.copies(name)
            if is_stop and touched.trails_itself:
                follows = False
            if not follows or new is None or not is_tighter(new, had, copy, is_stop=is_stop):
                if one != had:
                    self._report(case, f"market moved, {name}, {copy}, {kept}, his {his}", got, kept.levels)
                continue
            self.counts["followed" if one != had else "followed not yet"] += 1
            if one != had:
                kept.pins.discard(name)
                kept.told[name] = one
            if one is None and had is None:
                self.counts["none is left none"] += 1  # a person has taken it away, or it has been too near
            elif (
                one is None
                or is_tighter(one, new, copy, is_stop=is_stop)
                or is_tighter(had, one, copy, is_stop=is_stop)
            ):
                self._report(case, f"followed too far, {name}, {copy}, {kept}, his {his}", got, new)
            elif waits or self._is_near(case, new, copy, of, is_stop=is_stop):
                self.counts["too near to follow"] += 1
            elif abs(new - one) >= step + of.tick and self._is_step(new, kept.told.get(name), step + of.tick):
                self._report(case, f"did not follow, {name}, {copy}, {kept}, his {his}", got, new)
        if got.trails != kept.levels.trails and not waits:
            self._report(case, f"market moved, {copy}, {kept}", got, kept.levels)
        kept.levels = got

    @staticmethod
    def _is_step(level: Fraction, told: Level, step: Fraction) -> bool:
        """Whether he has come a step since a copy was moved with him: a person's level waits for that."""
        return told is None or abs(level - told) >= step

    def _with_room(self, case: Case, copy: Standing, kept: Kept, wanted: list[Levels]) -> list[tuple[Levels, Level]]:
        """What a copy shows of levels that it shall have, and the target that it is owed."""
        of = drawn.BROKERS[case.broker][copy.symbol]
        bid, ask = drawn.account(self.book, self.book.ids[case.name]).quotes[copy.symbol]
        has = replace(copy, stop_level=kept.levels.stop, target_level=kept.levels.target)
        found = []
        for one in wanted:
            if one.target is None or has_room(of, copy.is_long, bid if copy.is_long else ask, None, one.target):
                found.append((one, None))
                continue
            stop, target = amended_levels(has, of, bid if copy.is_long else ask, one.stop, one.target)
            found.append((Levels(stop, target, one.trails and stop is not None), one.target))
        return found

    def _is_short(self, case: Case, copy: Standing, target: Level) -> bool:
        """Whether the broker takes no such target, or would not have a tick ago."""
        return target is not None and self._is_near(
            case, target, copy, drawn.BROKERS[case.broker][copy.symbol], is_stop=False
        )

    def _waits(self, case: Case) -> bool:
        """Whether a broker has refused something lately: that is asked for again within the minute."""
        since = self.book.now_us() - 70_000_000
        log = self.book.log.read_stream(f"account:{self.book.ids[case.name]}")
        return any(isinstance(one.event, RequestRefused) and one.at_us > since for one in log)

    def _is_near(self, case: Case, level: Fraction, copy: Standing, of: Symbol, *, is_stop: bool) -> bool:
        """Whether the broker takes no such level there, or would not have a tick ago."""
        bid, ask = drawn.account(self.book, self.book.ids[case.name]).quotes[copy.symbol]
        distance = of.stop_distance if is_stop else of.target_distance
        return abs((bid if copy.is_long else ask) - level) <= distance + 2 * of.tick

    def _see_unmoved(self, why: str) -> None:
        for theirs in self.held:
            for case, position, copy in self._copies(theirs):
                got = self._levels(self.book.ids[case.name], position)
                if got is not None and self._waits(case):
                    self.kept[position].levels = got
                elif got is not None:
                    self._hold(case, why, position, copy, got, [self.kept[position].levels])

    def _hold(
        self, case: Case, why: str, position: int, copy: Standing, got: Levels, wanted: list[Levels]
    ) -> Levels | None:
        """Compare what a copy's levels are; a stop that trails may have gone some ticks."""
        near = 3 * drawn.BROKERS[case.broker][copy.symbol].tick
        for one in wanted:
            gone = got.stop is not None and one.stop is not None and got.trails
            is_owed = got.target is not None and got.target == self.kept[position].owed
            is_stop = (
                (0 <= (got.stop - one.stop) * (1 if copy.is_long else -1) <= near) if gone else got.stop == one.stop
            )
            if is_stop and (got.target == one.target or is_owed) and got.trails == one.trails:
                self.kept[position].levels = got
                return one
        self._report(case, f"{why}, {copy}, {self.kept[position]}", got, wanted)
        self.kept[position].levels = got
        return None

    def _amend(self) -> None:
        """He moves or takes away levels, lets his stop trail or trail no more."""
        theirs, chance = self.chance.choice(self.held), self.chance
        was = self._levels(LEAD, theirs.position)
        assert was is not None
        stop, target = self._levels_anew(LEAD, theirs.opened.symbol, "Lead", theirs.opened.is_long, was)
        trails = was.trails if chance.random() < 0.7 else not was.trails
        trails = trails and stop is not None
        self._say(LEAD, theirs.position, stop, target, None if trails == was.trails else trails)
        his = self._levels(LEAD, theirs.position)
        if his is None:
            return
        theirs.stop, theirs.target = his.stop, his.target
        moved = {
            name
            for name, a, b in (
                ("stop", was.stop, his.stop),
                ("target", was.target, his.target),
                ("trails", was.trails, his.trails),
            )
            if a != b
        }
        self.book.go(4)
        for other, position, copy in [(c, p, s) for t in self.held if t is theirs for c, p, s in self._copies(t)]:
            got = self._levels(self.book.ids[other.name], position)
            if got is None and self._has_trailed_into(other, copy, self.kept[position]):
                self.counts["ended by its own level"] += 1
                del theirs.copies[other.name]
                continue
            if got is None and self._is_passed(other, copy, his, theirs):
                self.counts["amended: passed"] += 1
                del theirs.copies[other.name]
                continue
            if got is None:
                self._report(other, f"amended {was} to {his}, {copy}", "gone", self.kept[position])
                del theirs.copies[other.name]
                continue
            of = drawn.BROKERS[other.broker][copy.symbol]
            touched = Touched(drawn.settings_for(other, theirs.opened.symbol))
            kept = self.kept[position]
            shown = self._with_room(
                other, copy, kept, touched.amended(copy, kept.levels, kept.pins, was, his, moved, of)
            )
            wanted = [one for one, _ in shown]
            why = f"amended {was} to {his} {sorted(moved)}"
            self.counts["amended"] += 1
            had = kept.levels
            if self._waits(other):
                self.counts["amended: refused"] += 1
                kept.levels, found = got, None
            else:
                found = self._hold(other, why, position, copy, got, wanted)
            if "target" in touched.of(moved) or got.target == kept.owed:
                kept.owed = next((owed for one, owed in shown if one == found), None)
                self.counts["amended: a target too near"] += kept.owed is not None
            carried = touched.carried(copy, his, of)
            kept.told |= {name: carried[name] for name in touched.of(moved) if name in carried}
            kept.pins = touched.pins_left(copy, kept.pins, found or got, his, moved, of)
            has_passed = was.trails and is_tighter(carried["stop"], kept.pinned, copy, is_stop=True)
            if touched.copies("stop") and (has_passed or got.stop == carried["stop"] != had.stop):
                kept.pins.discard("stop")  # his has trailed past a person's, and is what holds from now on

    def _is_passed(self, case: Case, copy: Standing, his: Levels, theirs: Theirs) -> bool:
        """Whether the market is beyond what one of his levels is for the copy."""
        settings = drawn.settings_for(case, theirs.opened.symbol)
        of = drawn.BROKERS[case.broker][copy.symbol]
        stop, target = carried_levels(copy, his.stop, his.target, of, settings)
        bid, ask = drawn.account(self.book, self.book.ids[case.name]).quotes[copy.symbol]
        if stop is not None and (stop >= bid if copy.is_long else stop <= ask):
            return True
        return target is not None and (target <= bid if copy.is_long else target >= ask)

    def _levels_anew(self, ctid: int, symbol: str, broker: str, is_long: bool, was: Levels) -> tuple[Level, Level]:
        """New levels, old ones or none, on the right sides of the market."""
        chance, of = self.chance, drawn.BROKERS[broker][symbol]
        bid, ask = drawn.account(self.book, ctid).quotes[symbol]
        market, sign = (bid, 1) if is_long else (ask, -1)
        found = []
        for level, way in ((was.stop, -sign), (was.target, sign)):
            fate = chance.random()
            if fate < 0.45:
                level = market + way * chance.randrange(90, 400) * of.pip / 10
                level = round(level / of.tick) * of.tick
            elif fate < 0.55:
                level = None
            found.append(level)
        return found[0], found[1]

    def _say(self, ctid: int, position: int, stop: Level, target: Level, trails: bool | None) -> None:
        request = wire.ProtoOAAmendPositionSLTPReq(ctidTraderAccountId=ctid, positionId=position)
        if stop is not None:
            request.stopLoss = float(stop)
        if target is not None:
            request.takeProfit = float(target)
        if trails is not None:
            request.trailingStopLoss = trails
        self.book.person.say(ctid, request)

    # --- what people do

    def _touch(self) -> None:
        theirs = self.chance.choice(self.held)
        did: dict[str, tuple[Levels, Levels]] = {}
        for case, position, copy in self._copies(theirs):
            if self.chance.random() < 0.6:
                ctid = self.book.ids[case.name]
                had = self._levels(ctid, position)
                assert had is not None
                self.chance.choice((self._move_level, self._move_level, self._move_level, self._take_part, self._add))(
                    case, position, copy, theirs
                )
                now = self._levels(ctid, position)
                if now is None:
                    del theirs.copies[case.name]
                    continue
                did[case.name] = had, now
        self.book.go(4)
        his = self._levels(LEAD, theirs.position)
        assert his is not None
        for case, position, copy in self._copies(theirs):
            if case.name not in did:
                continue
            had, now = did[case.name]
            got = self._levels(self.book.ids[case.name], position)
            if got is None:
                self._report(case, f"touched {had} to {now}, {copy}", "gone", self.kept[position])
                del theirs.copies[case.name]
                continue
            of = drawn.BROKERS[case.broker][copy.symbol]
            touched = Touched(drawn.settings_for(case, theirs.opened.symbol))
            kept = self.kept[position]
            wanted = touched.touched(copy, had, now, kept.pins, his, of)
            wanted += [one for one, _ in self._with_room(case, copy, replace(kept, levels=now), wanted)]
            self.counts["touched" if had != now else "touched not its levels"] += 1
            if self._waits(case):
                self.counts["touched: refused"] += 1
                kept.levels = got
            else:
                self._hold(case, f"a person: {had} to {now}, his {his}", position, copy, got, wanted)
            pins = touched.pinned(had, now, his)
            kept.pins |= pins
            kept.pinned = now.stop if "stop" in pins else kept.pinned
            units = Fraction(self.book.broker.floor.accounts[self.book.ids[case.name]].positions[position].volume, 100)
            if units != copy.units:
                self._report(case, f"a person {self._did.get(case.name)}, {copy}", float(units), float(copy.units))
                del theirs.copies[case.name]

    def _move_level(self, case: Case, position: int, copy: Standing, theirs: Theirs) -> None:
        ctid = self.book.ids[case.name]
        had = self._levels(ctid, position)
        assert had is not None
        stop, target = self._levels_anew(ctid, copy.symbol, case.broker, copy.is_long, had)
        if self.chance.random() < 0.5:
            target = had.target
        elif self.chance.random() < 0.5:
            stop = had.stop
        trails = had.trails if self.chance.random() < 0.75 else not had.trails
        trails = trails and stop is not None
        self._say(ctid, position, stop, target, None if trails == had.trails else trails)

    def _take_part(self, case: Case, position: int, copy: Standing, theirs: Theirs) -> None:
        of = drawn.BROKERS[case.broker][copy.symbol]
        steps = int(copy.units / of.step)
        part = self.chance.randrange(1, steps + 1) * of.step if steps > 1 else copy.units
        if self.chance.random() < 0.2 or part < of.least or copy.units - part < of.least:
            part = copy.units
        ctid = self.book.ids[case.name]
        self.book.person.close(position, int(part * 100), account=ctid)
        left = self.book.broker.floor.accounts[ctid].positions.get(position)
        if left is not None and Fraction(left.volume, 100) == copy.units:
            return  # more than one order may have
        self._did[case.name] = f"closed {float(part)} of {copy.units} (shall be {float(copy.target)})"
        self.counts["closed by a person" if part == copy.units else "a part closed by a person"] += 1
        copy.target, copy.units = copy.target * (copy.units - part) / copy.units, copy.units - part

    def _add(self, case: Case, position: int, copy: Standing, theirs: Theirs) -> None:
        ctid, of = self.book.ids[case.name], drawn.BROKERS[case.broker][copy.symbol]
        books = self.book.broker.floor.accounts[ctid]
        symbol = books.positions[position].symbol_id
        added = max(of.least, self.chance.randrange(1, 20) * of.step)
        side = BUY if copy.is_long else SELL
        self.book.person.buy(int(added * 100), account=ctid, symbol=symbol, side=side, positionId=position)
        units = Fraction(books.positions[position].volume, 100)
        self.counts["added by a person"] += units != copy.units
        self._did[case.name] = f"added {float(added)} to {copy.units} (shall be {float(copy.target)})"
        copy.target, copy.units = copy.target + units - copy.units, units
