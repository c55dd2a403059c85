"""A day of accounts that follow and lead at once: what a follower's copies do is what its own followers copy.

By the copy rules (§1) an account may lead in one profile and follow in another. Its followers know nothing of the first
leader: each open, add, part, level and close of a copy is a trade of the account that holds it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from tests.oracle import drawn
from tests.oracle.day import Day, as_copy, level_of
from tests.oracle.day import exact_price as exact
from tests.oracle.rules import Account, Copy, Decision, Growth, Open, Standing, carried_levels, reduced
from tests.rulebook import FIRST, Case

LEFT_OUT = ("volume.rounding", "symbols.table", "bad_stop", "label", "margin_reserve", "max_spread")
"""Settings that are left out: parts of an open, and levels and names that two brokers have otherwise."""


@dataclass(slots=True)
class Between:
    """A copy of the account in between: what it is, and the copy of it."""

    held: Any
    opened: Open
    copy: tuple[int, Standing] | None = None


@dataclass(slots=True)
class Chain:
    """An account that follows and leads, its one follower, and what is held between them."""

    leads: Case
    follows: Case
    held: dict[int, Between] = field(default_factory=dict)


class ChainDay(Day):
    """One world from a seed: one leader, accounts that follow him, and one follower of each."""

    def __init__(self, seed: int, chains: int = 10) -> None:
        self._count = chains
        super().__init__(seed, 2 * chains)
        everyone = self.cases
        self.cases = everyone[:chains]
        self.chains = [Chain(*pair) for pair in zip(self.cases, everyone[chains:], strict=True)]
        self._then: dict[str, Account] = {}

    def _draw(self, index: int) -> Case:
        case = drawn.follower(self.chance, index)
        settings = {name: value for name, value in case.settings.items() if name not in LEFT_OUT}
        settings["volume.lots_confirmed"] = ",".join(drawn.LEADERS)
        is_last = index >= self._count
        broker = self.chance.choice(("Same", "Mini", "Dear"))
        leader = FIRST + index - self._count if is_last else case.leader
        money = str(int(float(case.balance)) * 8)
        return replace(case, broker=broker, settings=settings, balance=money, leader=leader)

    def _acts(self) -> list[Callable[[], None]]:
        acts: list[Callable[[], None]] = [self._open]
        if self.held:
            acts += [self._grow, self._reduce, self._reduce, self._amend]
        if len(self.held) > 2:
            acts += [self._close]
        return [self._then_see(act) for act in acts]

    def _then_see(self, act: Callable[[], None]) -> Callable[[], None]:
        def acting() -> None:
            self._see_chains(moves=False)
            self._then = {c.follows.name: drawn.account(self.book, self.book.ids[c.follows.name]) for c in self.chains}
            act()
            self._see_chains(moves=True)

        return acting

    def _wish(self) -> tuple[str, int, Fraction, dict[str, Any]]:
        _, side, _, wire = super()._wish()
        symbol = self.chance.choice(("EURUSD", "EURUSD", "GBPUSD", "USDJPY"))
        return symbol, side, self._units(symbol), {"label": wire.get("label", ""), **self._distances(symbol)}

    def run(self, steps: int = 12) -> None:
        super().run(steps)
        self._see_chains(moves=True)
        for chain in self.chains:
            if held := self.book.held(chain.follows.name):
                self._report(chain.follows, "nobody holds anything", held, "nothing")

    # --- what the last ones hold

    def _see_chains(self, *, moves: bool) -> None:
        for chain in self.chains:
            theirs = {held.position: held for held in self.book.held(chain.leads.name)}
            ours = {held.position: held for held in self.book.held(chain.follows.name)}
            for position in [one for one in chain.held if one not in theirs]:
                between = chain.held.pop(position)
                self.counts["chain: closed"] += 1
                if between.copy is not None and between.copy[0] in ours:
                    self._report(chain.follows, f"closed {between.opened}", "held", "closed")
            for position, held in theirs.items():
                if position not in chain.held:
                    self._see_new(chain, held, ours)
                else:
                    self._see_changed(chain, chain.held[position], held, ours, moves=moves)

    def _see_new(self, chain: Chain, held: Any, ours: dict[int, Any]) -> None:
        case, shape = chain.follows, as_copy(held)
        name = self._named(chain.leads, held)
        opened = Open(name, shape.is_long, shape.units, exact(held.price), shape.stop, shape.target, held.label)
        between = chain.held[held.position] = Between(held, opened)
        leader = drawn.account(self.book, self.book.ids[chain.leads.name])
        names = {name: name} if name in drawn.BROKERS[case.broker] else {}
        wanted = Decision(leader, self._then[case.name], opened, case.settings, names).outcomes()
        known = {one.copy[0] for one in chain.held.values() if one.copy is not None}
        new = [one for number, one in ours.items() if number not in known]
        got = as_copy(new[0]) if new else self._became(case, "opened", held.position)
        self._compare(case, "chain: opened", opened, got, wanted)
        if new and isinstance(got, Copy):
            whole = next((one.whole for one in wanted if isinstance(one, Copy) and one == got), got.units)
            entry = exact(new[0].price)
            shift = Fraction(0) if case.settings.get("levels") == "price" else entry - opened.price
            stands = Standing(name, got.is_long, got.units, whole, shift, level_of(new[0].stop), None)
            stands.target_level = level_of(new[0].target)
            between.copy = new[0].position, stands

    def _see_changed(self, chain: Chain, between: Between, held: Any, ours: dict[int, Any], *, moves: bool) -> None:
        case, was = chain.follows, between.held
        between.held = held
        if between.copy is None:
            return
        position, copy = between.copy
        if position not in ours and not moves:
            between.copy = None
            self.counts["chain: ended by its own level"] += 1
            return
        mine, of = ours.get(position), drawn.BROKERS[case.broker][copy.symbol]
        units = Fraction(mine.volume, 100) if mine is not None else Fraction(0)
        before, after = Fraction(was.volume, 100), Fraction(held.volume, 100)
        fitting = [(copy.target, copy.units)]
        word = ""
        if after < before:
            up = case.settings.get("partial_rounding") == "up"
            fitting = [reduced(copy, before, after, of, up=up)]
        elif after > before:
            fitting, word = self._grown(chain, between, copy, before, after), self._word(case, "grew", held.position)
        self.counts[f"chain: {'reduced' if after < before else 'grew' if after > before else 'same'}"] += 1
        right = [target for target, wanted in fitting if wanted == units]
        if not right:
            self._report(case, f"from {before} to {after}, {copy}", (word, float(units)), fitting)
        if not right or mine is None:
            between.copy = None
            return
        copy.target, copy.units = right[0], units
        if (was.stop, was.target) != (held.stop, held.target) and after == before:
            self._see_moved(case, copy, was, held, mine)
        copy.stop_level, copy.target_level = level_of(mine.stop), level_of(mine.target)

    def _grown(
        self, chain: Chain, between: Between, copy: Standing, before: Fraction, after: Fraction
    ) -> list[tuple[Fraction, Fraction]]:
        case, name = chain.follows, between.opened.symbol
        leads = self.book.broker.floor.accounts[self.book.ids[chain.leads.name]]
        deal = max((one for one in leads.deals.values()), key=lambda one: one.deal_id)
        more = replace(between.opened, units=after - before, price=Fraction(deal.price, 10**8), stop=None, target=None)
        leader, follower = drawn.account(self.book, self.book.ids[chain.leads.name]), self._then[case.name]
        growth = Growth(leader, follower, more, case.settings, {name: name}, copy=copy, before=before)
        return [(target, units) for _, target, units in growth.growths()]

    def _see_moved(self, case: Case, copy: Standing, was: Any, held: Any, mine: Any) -> None:
        of, settings = drawn.BROKERS[case.broker][copy.symbol], case.settings
        wanted = carried_levels(copy, level_of(held.stop), level_of(held.target), of, settings)
        got = level_of(mine.stop), level_of(mine.target)
        self.counts["chain: amended"] += 1
        for one, level, had in zip(got, wanted, (copy.stop_level, copy.target_level), strict=True):
            if one != level and not (one == had and self._refusals(case)):
                self._report(case, f"{was} is {held}, {copy}", got, wanted)

    def _named(self, case: Case, held: Any) -> str:
        floor = self.book.broker.floor
        return str(floor.symbol(floor.accounts[self.book.ids[case.name]], held.symbol).name)
