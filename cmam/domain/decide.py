"""Copy or skip, and why: what one follower makes of one change of its leader.

Pure and total: every change meets exactly one verdict, whose inputs stand in it. Rules for opens are small functions in
one visible order; closes, cancels and protective changes pass none of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction

from cmam.domain.account import AccountView, Copy, CopyState, IntentState
from cmam.domain.changes import Change, ChangeKind
from cmam.domain.commands import Command, CommandKind
from cmam.domain.events import Goal, Inputs, Standing, Step
from cmam.domain.levels import leader_levels, opening_distance
from cmam.domain.link import LinkSettings
from cmam.domain.quantities import Side, Volume, units_text
from cmam.domain.reasons import Reason, Verdict
from cmam.domain.sizing import fraction_text, size
from cmam.domain.symbols import SymbolSpec, TradingMode
from cmam.domain.trades import OrderType


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A verdict with what follows from it. `command` is what to ask of the broker to open or add; what an existing copy
    needs follows from its `goal`."""

    verdict: Verdict
    reason: Reason | None = None
    symbol: SymbolSpec | None = None
    side: Side | None = None
    volume: Volume = Volume(0)
    goal: Goal | None = None
    command: Command | None = None
    working: tuple[Step, ...] = ()
    not_after_us: int = 0


def decide(view: AccountView, change: Change, settings: LinkSettings, inputs: Inputs, now_us: int) -> Decision:
    """Say what this follower does about `change`."""
    copy = view.copy((settings.link, change.source))
    match change.kind:
        case ChangeKind.OPENED:
            return _decide_open(Draft(view=view, change=change, settings=settings, inputs=inputs, now_us=now_us), copy)
        case ChangeKind.GREW:
            return _decide_growth(
                Draft(view=view, change=change, settings=settings, inputs=inputs, now_us=now_us), copy
            )
        case ChangeKind.REDUCED:
            return _decide_reduction(change, copy)
        case ChangeKind.CLOSED:
            return _decide_close(view, copy)
        case ChangeKind.PROTECTED:
            return _decide_protection(change, settings, copy)
        case ChangeKind.REVERSED:
            return _decide_close(view, copy)
        case ChangeKind.ORDER_PLACED | ChangeKind.ORDER_AMENDED:
            return Decision(verdict=Verdict.SKIP, reason=Reason.ORDER_TYPE_EXCLUDED)
        case ChangeKind.ORDER_CANCELLED | ChangeKind.ORDER_EXPIRED:
            return Decision(verdict=Verdict.NONE, reason=Reason.NO_COPY)


# --- opens --------------------------------------------------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class Draft:
    """A decision about an open in the making: each rule reads it, adds its working, and may end it with a reason."""

    view: AccountView
    change: Change
    settings: LinkSettings
    inputs: Inputs
    now_us: int
    spec: SymbolSpec | None = None
    volume: Volume = Volume(0)
    working: list[Step] = field(default_factory=list)

    @property
    def side(self) -> Side:
        return self.change.side

    def note(self, name: str, value: object, note: str = "") -> None:
        """Add a line to the working."""
        self.working.append(Step(name=name, value=str(value), note=note))

    @property
    def not_after_us(self) -> int:
        """The moment, by our clock, after which this open is too late."""
        return (self.change.at_ms - self.inputs.clock_offset_ms + self.settings.policy.max_age_ms) * 1_000


Rule = Callable[[Draft], Reason | None]


def _standing(draft: Draft) -> Reason | None:
    if draft.inputs.standing is Standing.PAUSED:
        return Reason.PAUSED
    return Reason.MANAGE_ONLY if draft.inputs.standing is Standing.MANAGE_ONLY else None


def _still_there(draft: Draft) -> Reason | None:
    return Reason.SOURCE_GONE if draft.inputs.superseded else None


def _symbol(draft: Draft) -> Reason | None:
    name = draft.change.symbol.name
    entry = draft.view.names.get(name)
    spec = draft.view.specs.get(entry.symbol) if entry is not None else None
    if spec is None:
        draft.note("symbol", name, "no symbol of this name at the follower's broker")
        return Reason.UNMAPPED_SYMBOL
    draft.spec = spec
    draft.note("symbol", spec.name, f"follower's symbol {spec.symbol}")
    is_open = spec.enabled and spec.trading_mode is TradingMode.ENABLED
    return None if is_open else Reason.SYMBOL_DISABLED


def _age(draft: Draft) -> Reason | None:
    age_ms = draft.now_us // 1_000 + draft.inputs.clock_offset_ms - draft.change.at_ms
    limit = draft.settings.policy.max_age_ms
    draft.note("age_ms", age_ms, f"max_age is {limit} ms")
    return Reason.TOO_OLD if age_ms > limit else None


def _size(draft: Draft) -> Reason | None:
    assert draft.spec is not None
    sized = size(draft.change.volume, draft.change.symbol, draft.spec, draft.settings.policy)
    draft.working.extend(sized.working)
    draft.volume = sized.volume
    return sized.reason


OPEN_RULES: tuple[Rule, ...] = (_standing, _still_there, _symbol, _age, _size)
"""What an open or an add passes, in this order: state, symbol, age, size."""


def _first_reason(draft: Draft) -> Reason | None:
    for rule in OPEN_RULES:
        reason = rule(draft)
        if reason is not None:
            return reason
    return None


def _skip(draft: Draft, reason: Reason) -> Decision:
    verdict = Verdict.NONE if reason is Reason.SOURCE_GONE else Verdict.SKIP
    return Decision(verdict=verdict, reason=reason, symbol=draft.spec, working=tuple(draft.working))


def _decide_open(draft: Draft, copy: Copy | None) -> Decision:
    if copy is not None:
        return Decision(verdict=Verdict.NONE, reason=Reason.DUPLICATE)
    reason = _first_reason(draft)
    if reason is not None:
        return _skip(draft, reason)
    spec, change, policy = draft.spec, draft.change, draft.settings.policy
    assert spec is not None
    levels = leader_levels(change)
    stop = levels.stop if policy.copy_sl else None
    target = levels.target if policy.copy_tp else None
    goal = Goal(
        target_numerator=draft.volume,
        leader_volume=change.after,
        has_levels=True,
        leader_stop=stop,
        leader_target=target,
        trailing=change.trailing and stop is not None,
        leader_price=change.price,
    )
    distance = distance_target = None
    if change.price is not None:
        distance = opening_distance(spec, draft.side, change.price, stop, is_stop=True)
        distance_target = opening_distance(spec, draft.side, change.price, target, is_stop=False)
    if stop is not None and distance is None:
        return _skip(draft, Reason.LEVEL_PASSED)
    command = Command(
        kind=CommandKind.OPEN,
        symbol=spec.symbol,
        side=draft.side,
        volume=draft.volume,
        order_type=OrderType.MARKET,
        relative_stop=distance,
        relative_target=distance_target,
        trailing=goal.trailing,
    )
    return Decision(
        verdict=Verdict.COPY,
        symbol=spec,
        side=draft.side,
        volume=draft.volume,
        goal=goal,
        command=command,
        working=tuple(draft.working),
        not_after_us=draft.not_after_us,
    )


def _decide_growth(draft: Draft, copy: Copy | None) -> Decision:
    """A copy grows with its source: target × (1 + added / before); what the step keeps back stays as residue."""
    change = draft.change
    if copy is None:
        return Decision(verdict=Verdict.NONE, reason=Reason.NO_COPY)
    if copy.state.is_end or copy.state is CopyState.CLOSING:
        return Decision(verdict=Verdict.NONE, reason=Reason.COPY_FINISHED)
    reason = _first_reason(draft)
    if reason not in (None, Reason.BELOW_MINIMUM):
        assert reason is not None
        return _skip(draft, reason)
    assert draft.spec is not None
    grown = copy.target * Fraction(change.after, change.before) if change.before > 0 else copy.target
    draft.note("target", fraction_text(grown / 100), f"units: {fraction_text(copy.target / 100)} × after / before")
    volume = draft.spec.floor_volume(int(grown) - copy.volume)
    if copy.position is None or volume < draft.spec.min_volume:
        return _skip(draft, Reason.BELOW_MINIMUM)
    goal = _retarget(copy.goal, grown, change.after)
    command = Command(
        kind=CommandKind.ADD, symbol=draft.spec.symbol, side=copy.side, volume=volume, position=copy.position
    )
    return Decision(
        verdict=Verdict.COPY,
        symbol=draft.spec,
        side=copy.side,
        volume=volume,
        goal=goal,
        command=command,
        working=tuple(draft.working),
        not_after_us=draft.not_after_us,
    )


# --- what lowers risk or moves a level: no gates --------------------------------------------------------------------


def _retarget(goal: Goal, target: Fraction, leader_volume: Volume) -> Goal:
    return replace(
        goal, target_numerator=target.numerator, target_denominator=target.denominator, leader_volume=leader_volume
    )


def _no_copy(copy: Copy | None) -> Decision | None:
    if copy is None:
        return Decision(verdict=Verdict.NONE, reason=Reason.NO_COPY)
    if copy.state.is_end:
        return Decision(verdict=Verdict.NONE, reason=Reason.COPY_FINISHED)
    return None


def _decide_reduction(change: Change, copy: Copy | None) -> Decision:
    """The target becomes the same fraction of itself as the leader's position has become of its own."""
    nothing = _no_copy(copy)
    if nothing is not None or copy is None:
        return nothing or Decision(verdict=Verdict.NONE, reason=Reason.NO_COPY)
    before, after = change.before or copy.goal.leader_volume, change.after
    target = copy.target * Fraction(after, before) if before > 0 else Fraction(0)
    working = (
        Step(name="before", value=units_text(before), note="leader's units"),
        Step(name="after", value=units_text(after), note="leader's units"),
        Step(
            name="target",
            value=fraction_text(target / 100),
            note=f"units: {fraction_text(copy.target / 100)} × after / before",
        ),
        Step(name="held", value=units_text(copy.volume), note="units of the copy now"),
    )
    excess = max(Fraction(0), copy.volume - target)
    goal = _retarget(copy.goal, target, after)
    return Decision(verdict=Verdict.COPY, volume=Volume(int(excess)), goal=goal, working=working)


def _decide_close(view: AccountView, copy: Copy | None) -> Decision:
    nothing = _no_copy(copy)
    if nothing is not None or copy is None:
        return nothing or Decision(verdict=Verdict.NONE, reason=Reason.NO_COPY)
    goal = _retarget(copy.goal, Fraction(0), Volume(0))
    is_unsent = any(intent.state is IntentState.RECORDED for intent in view.intents_of(copy.key))
    if copy.state is CopyState.OPENING and is_unsent:
        return Decision(verdict=Verdict.NONE, reason=Reason.SOURCE_GONE, goal=goal)
    return Decision(verdict=Verdict.COPY, volume=copy.volume, goal=goal)


def _decide_protection(change: Change, settings: LinkSettings, copy: Copy | None) -> Decision:
    nothing = _no_copy(copy)
    if nothing is not None or copy is None:
        return nothing or Decision(verdict=Verdict.NONE, reason=Reason.NO_COPY)
    policy = settings.policy
    stop = change.stop if policy.copy_sl else None
    target = change.target if policy.copy_tp else None
    is_same = (stop, target) == (copy.goal.leader_stop, copy.goal.leader_target)
    trailing = change.trailing and stop is not None
    if is_same and trailing == copy.goal.trailing:
        return Decision(verdict=Verdict.NONE, reason=Reason.ALREADY_THERE)
    goal = replace(copy.goal, has_levels=True, leader_stop=stop, leader_target=target, trailing=trailing, is_exact=True)
    return Decision(verdict=Verdict.COPY, goal=goal)
