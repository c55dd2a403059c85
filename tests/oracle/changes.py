"""A leader's day before followers whose settings are changed while copies are open, orders rest and requests are out.

What is opened or added meets the settings of then; what stands keeps its side, and follows by what is set now.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

from tests.oracle import drawn
from tests.oracle.day import FOLLOWERS, Theirs
from tests.oracle.orders import OrderDay, Ordered
from tests.oracle.rules import Open, Standing, carried_levels
from tests.rulebook import Case

SHARE = 0.5
"""Of the followers, whose settings are changed at a time."""
CROSSING = 0.5
"""Of the opens, that cross a change of settings."""


class ChangeDay(OrderDay):
    """One world from a seed, whose owners change their minds."""

    def __init__(self, seed: int, followers: int = FOLLOWERS) -> None:
        super().__init__(seed, followers)
        self._may_cross = False
        self._former: dict[str, Case] = {}
        """What followers had set when an open went out that crosses a change."""

    def _draw(self, index: int) -> Case:
        case = super()._draw(index)
        return replace(case, settings={**case.settings, **_more(self.chance)})

    def _acts(self) -> list[Callable[[], None]]:
        return [*super()._acts(), self._open, self._open]

    def _move(self) -> None:
        super()._move()
        self._change()

    def _amend_order(self, ordered: Ordered) -> None:
        self._change(keeps_levels=True)
        super()._amend_order(ordered)

    def _fills(self, ordered: Ordered, fault: dict[str, str] | None) -> None:
        self._change(keeps_levels=True)
        super()._fills(ordered, fault)

    def _open(self) -> None:
        self._may_cross = self.chance.random() < CROSSING
        super()._open()
        self._may_cross = False
        self._former.clear()

    def _takes(self, position: int, opened: Open) -> Theirs:
        """He holds another position, and before anybody has heard of it settings are changed."""
        theirs = super()._takes(position, opened)
        if self._may_cross:
            self._former = {case.name: case for case in self.cases}
            self._set(keeps_levels=True)
        return theirs

    def _settings_then(self, case: Case, symbol: str) -> list[dict[str, str]]:
        cases = {id(one): one for one in (case, self._former.get(case.name, case))}
        return [drawn.settings_for(one, symbol) for one in cases.values()]

    def _entry(self, entry: Fraction) -> Fraction | None:
        return entry

    def _see_amended(self, theirs: Theirs, was: tuple[Any, Any], refused: dict[str, int]) -> None:
        there = self._positions()
        for case, position, copy in self._copies(theirs):
            if position not in there[case.name] and self._is_passed(case, theirs, copy):
                self.counts["ended by a fixed level of now"] += 1
                del theirs.copies[case.name]
        super()._see_amended(theirs, was, refused)

    def _is_passed(self, case: Case, theirs: Theirs, copy: Standing) -> bool:
        """Whether the market has passed a level that is fixed by now: that closes a copy."""
        settings = self._settings_of(case, theirs.opened.symbol, copy, theirs.opened)
        of = drawn.BROKERS[case.broker][copy.symbol]
        stop, target = carried_levels(copy, theirs.stop, theirs.target, of, settings)
        bid, ask = drawn.account(self.book, self.book.ids[case.name]).quotes[copy.symbol]
        sign, market = (1, bid) if copy.is_long else (-1, ask)
        is_under = "fixed_sl" in settings and stop is not None and sign * (market - stop) <= 0
        return is_under or ("fixed_tp" in settings and target is not None and sign * (target - market) <= 0)

    def _change(self, *, keeps_levels: bool = False) -> None:
        self._set(keeps_levels=keeps_levels)
        self.book.go()

    def _set(self, *, keeps_levels: bool = False) -> None:
        """Some owners set their links otherwise, rows of symbol tables apart."""
        for index, case in enumerate(self.cases):
            if self.chance.random() > SHARE:
                continue
            settings = _fixed_on({**drawn.policy(self.chance), **_more(self.chance)}, case.settings)
            if table := case.settings.get("symbols.table"):
                settings["symbols.table"] = table
            if keeps_levels:  # whether a copy was opened by price or by shift while that changes is nobody's rule
                settings = {**settings, "levels": case.settings.get("levels", "shift")}
            unset = [name for name in case.settings if name not in settings]
            command = {"command": "profile.set", "profile": case.name, "settings": settings, "unset": unset}
            answer = self.book.command(command)
            assert answer["ok"], answer
            self.cases[index] = replace(case, settings=settings)
            self.counts["set"] += 1


def _fixed_on(settings: dict[str, str], before: Mapping[str, str]) -> dict[str, str]:
    """Levels that were fixed stay so, were it elsewhere: what is fixed no more is held by tests of its own."""
    for fixed, offset in (("fixed_sl", "sl_offset"), ("fixed_tp", "tp_offset")):
        if fixed in before and fixed not in settings:
            settings = {**settings, fixed: before[fixed]}
            settings.pop(offset, None)
    return settings


def _more(chance: random.Random) -> dict[str, str]:
    """Settings that other days hardly draw."""
    drawn_too = {"ignore_new": "on", "copy_on_fill": "on", "scale_in": "off", "human_levels": "leader"}
    return {name: value for name, value in drawn_too.items() if chance.random() < 0.1}
