"""A leader's day with gaps: the process ends or dies, a line is cut, profiles are disabled, paused and begin again.

What he does meanwhile is met afterwards: closes, parts and levels always, opens and adds through the gates, and what
he holds besides by `sync_open`. Between the gaps all is held against the rules as on any other day.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

from tests.oracle import drawn
from tests.oracle.day import IDS, PRICE, Day, Theirs, level_of, opened_by
from tests.oracle.rules import Copy, Decision, Standing, Symbol, carried_levels
from tests.rulebook import BUY, LEAD, SELL, Case

LEFT_OUT = (
    *("fixed_sl", "fixed_tp", "side", "symbols.include", "order_types", "label", "require_stop", "max_price_distance"),
    *("volume.formula", "symbols.table", "margin_reserve", "bad_stop", "sanity.max_leverage", "volume.without_stop"),
    *("risk_base", "risk_min_stop", "max_spread", "volume.currency"),
)
"""Settings that are left out: copies are wanted, of sizes that depend on his volume alone."""
UNITS = ({"volume.amount": "1"}, {"volume.amount": "0.37"}, {"volume.amount": "2.3"})
CAPS = ("max_positions", "max_lots_open", "max_lots_symbol")
NO_WORD = "nothing"


class GapDay(Day):
    """One world from a seed, whose leader does not wait for anybody."""

    def __init__(self, seed: int, followers: int = 30) -> None:
        super().__init__(seed, followers)
        self.late: set[int] = set()
        """Copies that were opened late: their shift is that of two quotes, a tick this way or that."""
        self.had: set[tuple[str, int]] = set()
        """Followers and positions of the leader's that they have, or had, a copy of."""
        self.is_live: dict[int, bool] = {}
        self.units: dict[int, Fraction] = {}
        self.told: dict[int, Fraction] = {}
        """How much of a position the followers last knew the leader to have."""
        self.since: dict[int, int] = {}
        self.did: dict[int, list[tuple[str, Fraction, Fraction]]] = {}
        self.count_before: dict[str, int] = {}
        self.behind: set[int] = set()
        """Copies whose levels he moved while their profile was off, with `sync_closed=off`."""

    def _draw(self, index: int) -> Case:
        chance = self.chance
        case = drawn.follower(chance, index)
        settings = {name: value for name, value in case.settings.items() if name not in LEFT_OUT}
        settings = {**settings, "volume.mode": "multiplier", "volume.basis": "units", **chance.choice(UNITS)}
        if chance.random() < 0.6:
            settings["sync_open"] = "on"
        if chance.random() < 0.3:
            settings["sync_closed"] = "off"
        if chance.random() < 0.3:
            settings["sync_max_age"] = "70s"
        if chance.random() < 0.5:
            settings["sync_max_price_distance"] = chance.choice(("0.4", "2.1", "300"))
        if chance.random() < 0.2:
            settings["scale_in"] = "off"
        return replace(case, settings=settings, balance=str(int(float(case.balance)) * 50))

    def _acts(self) -> list[Callable[[], None]]:
        acts: list[Callable[[], None]] = [self._open, *[self._gap] * 3]
        if self.held:
            acts += [self._grow, self._reduce, self._amend, self._take]
        if len(self.held) > 4:
            acts += [self._close]
        return acts

    def _units(self, symbol: str) -> Fraction:
        return self.chance.randrange(10, 90) * Fraction(1_000)

    def _wish(self) -> tuple[str, int, Fraction, dict[str, Any]]:
        symbol = self.chance.choice(("EURUSD", "EURUSD", "GBPUSD"))
        asked = {word: far + 1_500 for word, far in self._distances(symbol).items()}
        return symbol, self.chance.choice((BUY, SELL)), self._units(symbol), asked

    # --- live

    def _grow(self) -> None:
        super()._grow()
        self._look_live()

    def _reduce(self) -> None:
        super()._reduce()
        self._look_live()

    def _look_live(self) -> None:
        """What he does while followers look is told with how much he has by then."""
        for theirs in self.held:
            if theirs.units != self.units.get(theirs.position):
                self.is_live[theirs.position] = True
        self.units = {theirs.position: theirs.units for theirs in self.held}

    def _open(self) -> None:
        super()._open()
        if self.held:
            theirs = self.held[-1]
            self.since.setdefault(theirs.position, self.book.now_us())
            self.had |= {(case.name, theirs.position) for case, _, _ in self._copies(theirs)}

    def _amend(self) -> None:
        """Copies that came late are looked at elsewhere: their shift is known to a tick or two."""
        kept = {
            theirs.position: {name: one for name, one in theirs.copies.items() if one[0] in self.late}
            for theirs in self.held
        }
        for theirs in self.held:
            theirs.copies = {name: one for name, one in theirs.copies.items() if one[0] not in self.late}
        was = {theirs.position: (theirs.stop, theirs.target) for theirs in self.held}
        super()._amend()
        for theirs in self.held:
            theirs.copies |= kept[theirs.position]
            if (theirs.stop, theirs.target) != was[theirs.position]:
                self.behind -= {position for position, _ in kept[theirs.position].values()}  # told of it, they follow

    def _take(self) -> None:
        """People close some copies of a position: none of them is opened again."""
        theirs = self.chance.choice(self.held)
        for case, position, copy in self._copies(theirs):
            if self.chance.random() < 0.3:
                self.book.person.close(position, int(copy.units * 100), account=self.book.ids[case.name])
                if not self._held(case, position):
                    del theirs.copies[case.name]
                    self.counts["closed by a person"] += 1
        self.book.go(3)

    def _held(self, case: Case, position: int) -> Fraction:
        held = self.book.broker.floor.accounts[self.book.ids[case.name]].positions.get(position)
        return Fraction(held.volume, 100) if held is not None else Fraction(0)

    # --- gaps

    def _gap(self) -> None:
        for theirs in self.held:
            if theirs.position not in self.told or self.is_live.pop(theirs.position, False):
                self.told[theirs.position] = theirs.units
        chance, kind = self.chance, self.chance.choice(("killed", "stopped", "cut", "disabled", "paused"))
        is_long = kind != "cut" and chance.random() < 0.5
        known = self._positions()
        self._begin(kind)
        self.did = {}
        self._look()
        self.count_before = {case.name: len(self._before[case.name].holdings) for case in self.cases}
        for _ in range(chance.randrange(1, 5)):
            chance.choice([self._quiet_open, *([self._quiet_change] * 3 if self.held else [])])()
            if is_long:
                self.book.go(40)
            elif kind != "cut":
                self.book.go(1)
        if chance.random() < 0.3 and kind not in ("disabled", "paused"):
            self._take_quietly()
        self._end(kind)
        self.book.go(40)
        self._see(kind, is_long, known)
        self.units = {theirs.position: theirs.units for theirs in self.held}

    def _begin(self, kind: str) -> None:
        if kind == "killed":
            self.book.kill()
        elif kind == "stopped":
            self.book.stop()
        elif kind == "cut":
            self.book.stepper.network.cut_all()
        for case in self.cases if kind in ("disabled", "paused") else ():
            word = {"command": "profile.disable", "copies": "leave"} if kind == "disabled" else {"command": "pause"}
            assert self.book.command({**word, "profile": case.name})["ok"]

    def _end(self, kind: str) -> None:
        if kind in ("killed", "stopped"):
            self.book.start()
        for case in self.cases if kind in ("disabled", "paused") else ():
            word = "profile.enable" if kind == "disabled" else "resume"
            assert self.book.command({"command": word, "profile": case.name})["ok"]

    def _quiet_open(self) -> None:
        symbol, side, units, wire = self._wish()
        position = self.book.person.buy(int(units * 100), symbol=IDS[symbol], side=side, **wire)
        mine = self.book.broker.floor.accounts[LEAD].positions[position]
        if not mine.volume:
            return
        opened = opened_by(symbol, side, units, Fraction(mine.price, PRICE), wire)
        stop, target = (None if not level else Fraction(level, PRICE) for level in (mine.sl, mine.tp))
        self.held.append(Theirs(position, opened, units, stop, target))
        self.since[position] = self.book.now_us()
        self.did[position] = [("open", Fraction(0), units)]

    def _quiet_change(self) -> None:
        theirs = self.chance.choice(self.held)
        before = theirs.units
        if not before:
            return
        what = self.chance.choice(("grow", "reduce", "reduce", "close", "amend"))
        if what == "grow":
            side = BUY if theirs.opened.is_long else SELL
            added = self._units(theirs.opened.symbol)
            symbol = IDS[theirs.opened.symbol]
            self.book.person.buy(int(added * 100), symbol=symbol, side=side, positionId=theirs.position)
        elif what == "amend":
            self._quiet_amend(theirs)
            return
        else:
            steps = int(before / 1_000)
            part = before if what == "close" or steps < 2 else self.chance.randrange(1, steps) * 1_000
            self.book.person.close(theirs.position, int(part * 100))
        held = self.book.broker.floor.accounts[LEAD].positions.get(theirs.position)
        theirs.units = Fraction(held.volume, 100) if held is not None else Fraction(0)
        self.did.setdefault(theirs.position, []).append((what, before, theirs.units))

    def _quiet_amend(self, theirs: Theirs) -> None:
        had = theirs.stop, theirs.target
        bid, ask = drawn.account(self.book, LEAD).quotes[theirs.opened.symbol]
        market, sign = (bid, 1) if theirs.opened.is_long else (ask, -1)
        tick = drawn.BROKERS["Lead"][theirs.opened.symbol].tick
        for name, way in (("stop", -sign), ("target", sign)):
            fate = self.chance.random()
            if fate < 0.5:
                setattr(theirs, name, market + way * self.chance.randrange(1_500, 4_000) * tick)
            elif fate < 0.6:
                setattr(theirs, name, None)
        stop, target = (None if level is None else float(level) for level in (theirs.stop, theirs.target))
        self.book.person.amend(theirs.position, stop=stop, target=target)
        mine = self.book.broker.floor.accounts[LEAD].positions[theirs.position]
        theirs.stop, theirs.target = (None if not level else Fraction(level, PRICE) for level in (mine.sl, mine.tp))
        if (theirs.stop, theirs.target) != had:  # the same once more is no move of them, and nothing tells it
            self.did.setdefault(theirs.position, []).append(("amend", theirs.units, theirs.units))

    def _take_quietly(self) -> None:
        """People close copies, whole or in part, while nobody looks."""
        for theirs in self.held:
            for case, position, copy in self._copies(theirs):
                if self.chance.random() < 0.15:
                    of = self._of(case, theirs)
                    part = copy.units
                    if self.chance.random() < 0.5:
                        part = self.chance.randrange(1, int(copy.units / of.step) + 1) * of.step
                    if part < of.least or copy.units - part < of.least:
                        part = copy.units
                    self.book.person.close(position, int(part * 100), account=self.book.ids[case.name])
                    left = self._held(case, position)
                    if not left:
                        del theirs.copies[case.name]
                    else:
                        copy.target, copy.units = copy.target * left / copy.units, left
                    self.counts["taken in a gap"] += 1

    def _of(self, case: Case, theirs: Theirs) -> Symbol:
        return drawn.BROKERS[case.broker][self.names[case.name][theirs.opened.symbol]]

    # --- what came of it

    def _see(self, kind: str, is_long: bool, known: dict[str, dict[int, Any]]) -> None:
        there = self._positions()
        leader = drawn.account(self.book, LEAD)
        for theirs in list(self.held):
            for case in self.cases:
                if theirs.opened.symbol not in self.names[case.name]:
                    continue
                if case.name in theirs.copies:
                    self._see_copy(case, theirs, kind, is_long, there[case.name])
            if not theirs.units and kind == "disabled":
                self._leave_nothing(theirs)
        for case in self.cases:
            new = [held for number, held in there[case.name].items() if number not in known[case.name]]
            self._see_new(case, new, kind, is_long, leader)
        self.held = [theirs for theirs in self.held if theirs.units]
        for theirs in self.held:
            told = self.told.get(theirs.position, theirs.units)
            if kind == "disabled":
                self.told[theirs.position] = min(told, theirs.units)
            elif self.did.get(theirs.position):  # what he did while nobody followed is not told by a look that finds it
                self.told[theirs.position] = theirs.units

    def _leave_nothing(self, theirs: Theirs) -> None:
        """What nobody closes with `sync_closed=off` may have been a copy of which nothing could be told."""
        for case in self.cases:
            for held in self.book.held(case.name) if case.settings.get("sync_closed") == "off" else ():
                if held.label.endswith(source_of(theirs.position)):
                    self.book.person.close(held.position, held.volume, account=self.book.ids[case.name])

    def _see_copy(self, case: Case, theirs: Theirs, kind: str, is_long: bool, there: dict[int, Any]) -> None:
        position, copy = theirs.copies[case.name]
        settings = drawn.settings_for(case, theirs.opened.symbol)
        units = self._held(case, position)
        did = self.did.get(theirs.position, [])
        of = self._of(case, theirs)
        follows = kind != "disabled" or settings.get("sync_closed") != "off"
        self.counts[f"{kind}: {'closed' if not theirs.units else 'changed' if did else 'untouched'}"] += 1
        if not theirs.units:
            is_right = not units if follows else True
            if not is_right:
                self._report(case, f"{kind} long={is_long}: he closed, {copy}", float(units), "closed")
            if units:
                self.book.person.close(position, int(units * 100), account=self.book.ids[case.name])
            del theirs.copies[case.name]
            return
        targets = {copy.target}
        own_most = Fraction(settings.get("volume.max", "1000000")) * of.lot  # the most that a copy may have
        for what, before, after in did:
            if what == "reduce":
                targets = {target * after / before for target in targets} | (set() if follows else targets)
                if kind == "disabled":  # what he had when it ended, against what he has now
                    told = self.told.get(theirs.position, before)
                    targets |= {copy.target * min(Fraction(1), theirs.units / told)}
            elif what == "grow":
                most = of.most if settings.get("volume.rounding", "cap").endswith("cap") else after * 10
                held = {target: copy.units if target == copy.target else target for target in targets}
                grown = {min(target * after / before, held[target] + most) for target in targets}
                grown = {min(one, max(copy.target, own_most)) for one in grown}
                may = kind in ("killed", "stopped", "cut") and not is_long and settings.get("scale_in") != "off"
                targets = grown | targets if may else targets
        first, path = did[0][1] if did else Fraction(0), [one[2] for one in did]
        if 0 < first < theirs.units <= max(path) and "grow" in {one[0] for one in did} and not is_long:
            # Growth is told as one, and a part that he closed after it collapses with it.
            targets |= {min(copy.target * theirs.units / first, copy.units + of.most, max(copy.target, own_most))}
        if any(what == "grow" for what, _, _ in did):
            targets |= _collapsed(copy.target, [(before, after) for _, before, after in did if before])
        near = max(of.step, of.least) * (1 + (settings.get("partial_rounding") == "up"))
        near = max(near, Fraction(settings.get("volume.min", "0")) * of.lot)  # growth below that is kept for the next
        fitting = [target for target in targets if abs(units - target) < near * (1 + len(did))]
        if not fitting or (not did and units != copy.units):
            self._report(case, f"{kind} long={is_long}: {did}, {copy}", float(units), [float(one) for one in targets])
            del theirs.copies[case.name]
            return
        if not units:
            del theirs.copies[case.name]  # of what is left nothing can be held
            return
        copy.target = min(fitting, key=lambda one: abs(one - units)) if did else copy.target
        self._see_levels(case, theirs, kind, position, copy, there, follows=follows)
        copy.units = units
        if (len(did) > 1 and len(targets) > 1) or (did and len(fitting) > 1):
            del theirs.copies[case.name]  # which of them it was cannot be told

    def _see_levels(
        self,
        case: Case,
        theirs: Theirs,
        kind: str,
        position: int,
        copy: Standing,
        there: dict[int, Any],
        *,
        follows: bool,
    ) -> None:
        settings, of = drawn.settings_for(case, theirs.opened.symbol), self._of(case, theirs)
        got = level_of(there[position].stop), level_of(there[position].target)
        if follows:
            wanted = carried_levels(copy, theirs.stop, theirs.target, of, settings)
        else:
            wanted = got
        moved = any(what == "amend" for what, _, _ in self.did.get(theirs.position, []))
        if not follows and moved:
            self.behind.add(position)
        elif moved:
            self.behind.discard(position)
        elif position in self.behind:
            wanted = copy.stop_level, copy.target_level  # his next move of them is the next that is told
        near = of.tick * (8 if position in self.late else 1)
        for one, exact, old in zip(got, wanted, (copy.stop_level, copy.target_level), strict=True):
            is_same = one == exact or (one is not None and exact is not None and abs(one - exact) <= near)
            if not is_same and (one != old or not self._waits(case)):
                self._report(case, f"{kind}: {theirs.stop} {theirs.target} {copy}", got, wanted)
        copy.stop_level, copy.target_level = got

    def _waits(self, case: Case) -> bool:
        return bool(self._refusals(case))

    def _see_new(self, case: Case, new: list[Any], kind: str, is_long: bool, leader: Any) -> None:
        """Each position without a copy is opened, or not, by what the gap was and how long it was."""
        unclaimed = list(new)
        for theirs in self.held:
            if not theirs.units or (case.name, theirs.position) in self.had:
                continue
            settings = drawn.settings_for(case, theirs.opened.symbol)
            is_new = theirs.position in self.did and self.did[theirs.position][0][0] == "open"
            wanted = self._late(case, theirs, settings, kind, is_long, leader, is_new=is_new)
            if wanted is None:
                continue  # the symbol is not mapped
            wholes = {one.units: one.whole for one in wanted if isinstance(one, Copy)}
            path = [after for what, _, after in self.did.get(theirs.position, []) if what in ("open", "grow")]
            parts = [Fraction(1), *(after / theirs.units for after in path if after < theirs.units)]
            sizes = {size * part: whole * part for size, whole in wholes.items() for part in parts}
            side = theirs.opened.is_long is not (settings.get("reverse") == "on")
            of = self._of(case, theirs)
            fitting = [
                held
                for held in unclaimed
                if (held.side == BUY) is side
                and held.label.endswith(source_of(theirs.position))
                and any(abs(Fraction(held.volume, 100) - size) <= of.step for size in sizes)
            ]
            self.counts[f"{kind}: {'opened late' if fitting else 'not opened'}"] += 1
            if not fitting and any(isinstance(one, str) for one in wanted):
                continue
            if not fitting:
                word = self._word(case, "opened", theirs.position)
                if word == "unmapped_symbol":  # nothing is known of the symbol after two seconds (decision 0133)
                    self.counts[f"{kind}: {word}"] += 1
                    continue
                self._report(case, f"{kind} long={is_long}: {theirs}", (word, [h.volume for h in unclaimed]), wanted)
                continue
            held = fitting[0]
            unclaimed.remove(held)
            units = Fraction(held.volume, 100)
            nearest = min(sizes, key=lambda size: abs(size - units))
            self._take_up(case, theirs, held, settings, sizes[nearest])
        if unclaimed:
            self._report(case, f"{kind} long={is_long}: what he holds is {self.held}", unclaimed, "none of these")
            for held in unclaimed:
                self.book.person.close(held.position, held.volume, account=self.book.ids[case.name])

    def _take_up(self, case: Case, theirs: Theirs, held: Any, settings: dict[str, str], whole: Fraction) -> None:
        self.had.add((case.name, theirs.position))
        self.late.add(held.position)
        of = self._of(case, theirs)
        quotes = drawn.account(self.book, self.book.ids[case.name]).quotes[of.name]
        his = drawn.account(self.book, LEAD).quotes[theirs.opened.symbol]
        at = 1 if held.side == BUY else 0
        shift = Fraction(0) if settings.get("levels") == "price" else quotes[at] - his[at]
        units = Fraction(held.volume, 100)
        copy = Standing(of.name, held.side == BUY, units, whole, shift, level_of(held.stop), level_of(held.target))
        theirs.copies[case.name] = held.position, copy
        wanted = carried_levels(copy, theirs.stop, theirs.target, of, settings)
        for one, exact in zip((copy.stop_level, copy.target_level), wanted, strict=True):
            is_near = one is not None and exact is not None and abs(one - exact) <= 12 * of.tick
            if not is_near and one is not exact:
                self._report(case, f"late levels of {theirs}", (copy.stop_level, copy.target_level), wanted)

    def _late(
        self,
        case: Case,
        theirs: Theirs,
        settings: dict[str, str],
        kind: str,
        is_long: bool,
        leader: Any,
        *,
        is_new: bool,
    ) -> set[Any] | None:
        """What may have come of a position that had no copy when the gap was over."""
        if theirs.opened.symbol not in self.names[case.name]:
            return None
        fresh = is_new and not is_long and kind in ("killed", "stopped", "cut")
        is_start = kind in ("killed", "stopped", "disabled") and settings.get("sync_open") == "on"
        if not fresh and not is_start:
            return {NO_WORD}
        follower = drawn.account(self.book, self.book.ids[case.name])
        of = self._of(case, theirs)
        holdings = tuple(held for held in follower.holdings)
        sign = 1 if theirs.opened.is_long else -1
        price = Fraction(self.book.broker.floor.accounts[LEAD].positions[theirs.position].price, PRICE)
        opened = replace(
            theirs.opened,
            price=price,
            units=theirs.units,
            stop=None if theirs.stop is None else sign * (price - theirs.stop),
            target=None if theirs.target is None else sign * (theirs.target - price),
        )
        asked = dict(settings)
        for name in CAPS:
            asked.pop(name, None)
        decision = Decision(leader, replace(follower, holdings=holdings), opened, asked, self.names[case.name])
        found = set(decision.outcomes())
        decision.follower = replace(follower, holdings=holdings[: self.count_before[case.name]])
        found |= set(decision.outcomes())  # before all that it has opened since
        found -= {"level_passed", "level_wrong_side", "stop_too_close"}
        found |= {NO_WORD} if any(name in settings for name in CAPS) else set()
        if fresh:
            return found
        limit = 70 if settings.get("sync_max_age") == "70s" else 3_600
        age = (self.book.now_us() - self.since[theirs.position]) / 1_000_000
        if abs(age - 20 - limit) < 30:
            return found | {NO_WORD}
        if age > limit:
            return {NO_WORD}
        away = Fraction(settings.get("sync_max_price_distance", "10")) * of.pip
        worse = (decision.entry - opened.price) * (1 if decision.is_long else -1)
        if abs(worse - away) < 3 * of.tick:
            return found | {NO_WORD}
        return {NO_WORD} if worse > away else found


def _collapsed(target: Fraction, path: list[tuple[Fraction, Fraction]]) -> set[Fraction]:
    """What may be left of a target where what he did away from us collapses, any of it or all."""
    found = [{target}]
    for _, after in path:
        starts = [(before, kept) for (before, _), kept in zip(path, found, strict=False)]
        found.append({one * min(Fraction(1), after / before) for before, kept in starts for one in kept})
    return found[-1]


def source_of(position: int) -> str:
    """How the label of a copy ends: `p` and the leader's position in base36."""
    digits = ""
    while position:
        position, digit = divmod(position, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return f".p{digits}"
