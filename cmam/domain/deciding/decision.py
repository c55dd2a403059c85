"""What a decision is: a verdict with all that follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from cmam.domain.deciding.draft import Draft
from cmam.domain.events import Goal, Step, Wait
from cmam.domain.values.commands import Command
from cmam.domain.values.ids import SymbolId
from cmam.domain.values.quantities import Side, Volume
from cmam.domain.values.reasons import Reason, Verdict
from cmam.domain.values.replacing import replace
from cmam.domain.values.symbols import SymbolSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A verdict with what follows from it. `command` is what to ask of the broker to open or add; what an existing copy
    needs follows from its `goal`. With `wait`, the open stands back until `wait_until_us`, be it for a symbol that is
    `unread`: which one it is, what that allows, or both."""

    verdict: Verdict
    reason: Reason | None = None
    symbol: SymbolSpec | None = None
    unread: SymbolId | None = None
    side: Side | None = None
    volume: Volume = Volume(0)
    goal: Goal | None = None
    command: Command | None = None
    working: tuple[Step, ...] = ()
    not_after_us: int = 0
    wait: Wait | None = None
    wait_until_us: int = 0


NO_COPY = Decision(verdict=Verdict.NONE, reason=Reason.NO_COPY)
COPY_FINISHED = Decision(verdict=Verdict.NONE, reason=Reason.COPY_FINISHED)
DUPLICATE = Decision(verdict=Verdict.NONE, reason=Reason.DUPLICATE)


def skip(draft: Draft, reason: Reason) -> Decision:
    """No copy, with the working so far."""
    verdict = Verdict.NONE if reason is Reason.SOURCE_GONE else Verdict.SKIP
    return Decision(verdict=verdict, reason=reason, symbol=draft.spec, working=tuple(draft.working))


def asked_for(draft: Draft, side: Side, goal: Goal, command: Command | None) -> Decision:
    """A copy of the draft's volume, and what is to be asked of the broker for it, if that can be asked now."""
    return Decision(
        verdict=Verdict.COPY,
        symbol=draft.spec,
        side=side,
        volume=draft.volume,
        goal=goal,
        command=command,
        working=tuple(draft.working),
        not_after_us=draft.not_after_us,
    )


def retarget(goal: Goal, target: Fraction, leader_volume: Volume) -> Goal:
    """A goal with another target."""
    return replace(
        goal, target_numerator=target.numerator, target_denominator=target.denominator, leader_volume=leader_volume
    )
