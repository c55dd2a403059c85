"""Partial and full closes: the exact target, and what of it can be closed. No gate stands here."""

from __future__ import annotations

from fractions import Fraction

from cmam.domain.belief import restored
from cmam.domain.belief.copies import Copy, CopyState, IntentState
from cmam.domain.belief.shares import pooled_excess
from cmam.domain.belief.view import AccountView, put
from cmam.domain.deciding.arithmetic import fraction_text
from cmam.domain.deciding.decision import Decision, retarget
from cmam.domain.events import Goal, Step, Wait
from cmam.domain.values.changes import Change
from cmam.domain.values.quantities import Volume, units_text
from cmam.domain.values.reasons import Reason, Verdict
from cmam.domain.values.replacing import replace
from cmam.domain.values.rules.sight import REFUSED_FOLLOW
from cmam.domain.wanted.needs import enforced_target, excess_of


def decide_reduced(view: AccountView, change: Change, copy: Copy) -> Decision:
    """The target becomes the same fraction of itself as the leader's position has become of its own."""
    if copy.state is CopyState.WAITING or copy.wait is Wait.TURN:
        return Decision(verdict=Verdict.COPY, goal=_waiting(view, change, copy))
    before, after = change.before or copy.goal.leader_volume, change.after
    target = restored.wanted_after(view, copy, change, before) if before > 0 else Fraction(0)
    target = target if change.restored else min(target, copy.target)
    goal = retarget(copy.goal, target, after)
    if change.restored:
        view = restored.settled_among(view, copy.key, change, target)
        copy = view.copies[copy.key]
    spec = view.specs.get(copy.symbol)
    changed = replace(copy, goal=goal)
    excess = Volume(0) if spec is None else excess_of(spec, changed)
    if spec is not None and not excess and copy.share:
        pooled = pooled_excess(put(view, changed), spec, copy.symbol)
        excess = pooled[1] if pooled is not None else excess
    working = (
        Step(name="before", value=units_text(before), note="leader's units"),
        Step(name="after", value=units_text(after), note="leader's units"),
        Step(
            name="target",
            value=fraction_text(target / 100),
            note=_by_now(copy) if change.restored else f"units: {fraction_text(copy.target / 100)} × after / before",
        ),
        Step(name="held", value=units_text(copy.volume), note="units of the copy now"),
        Step(name="close", value=units_text(excess), note="down to the step; the rest is carried"),
    )
    is_carried = spec is not None and excess == 0 and copy.volume > enforced_target(changed)
    return Decision(
        verdict=Verdict.NONE if is_carried else Verdict.COPY,
        reason=Reason.CARRIED if is_carried else None,
        volume=excess,
        goal=goal,
        working=working,
    )


def _waiting(view: AccountView, change: Change, copy: Copy) -> Goal:
    """The goal of an open that waits, and is sized anew as it goes out; of one that was refused, also what is kept of
    it should it be there all the same."""
    before = change.before or copy.goal.leader_volume
    if not copy.refused or before <= 0 or view.rules < REFUSED_FOLLOW:
        return replace(copy.goal, leader_volume=change.after)
    return retarget(copy.goal, copy.target * change.after / before, change.after)


def _by_now(copy: Copy) -> str:
    """How a target came about towards which a life that the restored log does not know may have done something."""
    return f"units: what the restored log had × after / before, at most the {fraction_text(copy.target / 100)} of now"


def decide_closed(view: AccountView, copy: Copy, change: Change | None = None) -> Decision:
    """The target becomes nothing; an open that has not left is withdrawn."""
    if change is not None and change.restored:
        copy = restored.settled_among(view, copy.key, change, Fraction(0)).copies[copy.key]
    goal = replace(retarget(copy.goal, Fraction(0), Volume(0)), terms=None)
    is_unsent = any(intent.state is IntentState.RECORDED for intent in view.intents_of(copy.key))
    if copy.state is CopyState.WAITING or (copy.state is CopyState.OPENING and is_unsent):
        return Decision(verdict=Verdict.NONE, reason=Reason.SOURCE_GONE, goal=goal)
    return Decision(verdict=Verdict.COPY, volume=copy.volume, goal=goal)
