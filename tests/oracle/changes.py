"""A leader's day before followers whose settings are changed while copies are open, orders rest and requests are out.

What is opened or added meets the settings of then; what stands keeps its side, and follows by what is set now.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

from tests.oracle import drawn
from tests.oracle.orders import OrderDay, Ordered
from tests.rulebook import Case

SHARE = 0.5
"""Of the followers, whose settings are changed at a time."""


class ChangeDay(OrderDay):
    """One world from a seed, whose owners change their minds."""

    def _draw(self, index: int) -> Case:
        case = super()._draw(index)
        return replace(case, settings={**case.settings, **_more(self.chance)})

    def _acts(self) -> list[Callable[[], None]]:
        return [*super()._acts(), self._open, self._open]

    def _move(self) -> None:
        super()._move()
        self._change()

    def _amend_order(self, ordered: Ordered) -> None:
        self._change()
        super()._amend_order(ordered)

    def _fills(self, ordered: Ordered, fault: dict[str, str] | None) -> None:
        self._change()
        super()._fills(ordered, fault)

    def _entry(self, entry: Fraction) -> Fraction | None:
        return entry

    def _change(self) -> None:
        """Some owners set their links otherwise, rows of symbol tables apart."""
        for index, case in enumerate(self.cases):
            if self.chance.random() > SHARE:
                continue
            settings = {**drawn.policy(self.chance), **_more(self.chance)}
            if table := case.settings.get("symbols.table"):
                settings["symbols.table"] = table
            unset = [name for name in case.settings if name not in settings]
            command = {"command": "profile.set", "profile": case.name, "settings": settings, "unset": unset}
            answer = self.book.command(command)
            assert answer["ok"], answer
            self.cases[index] = replace(case, settings=settings)
            self.counts["set"] += 1
        self.book.go()


def _more(chance: random.Random) -> dict[str, str]:
    """Settings that other days hardly draw."""
    drawn_too = {"ignore_new": "on", "copy_on_fill": "on", "scale_in": "off", "human_levels": "leader"}
    return {name: value for name, value in drawn_too.items() if chance.random() < 0.1}
