"""Which stop and which target: the leader's levels carried to the follower's prices.

A copy keeps one shift for life, its own first fill minus the leader's; its levels are the leader's plus that shift, on
the follower's tick, rounded towards the market: a stop is never farther and a target never nearer to greed than asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from cmam.domain.events import Goal
from cmam.domain.profiles.policy import Policy
from cmam.domain.values.changes import Change
from cmam.domain.values.quantities import Distance, Price, Side, ceil_to, floor_to
from cmam.domain.values.replacing import replace
from cmam.domain.values.rules.levels import FIXED_STAY, FIXED_STOPS_TRAILED, OWN_TRAILING, UNCOPIED_LEVELS_STAY
from cmam.domain.values.symbols import DistanceIn, SymbolSpec


@dataclass(frozen=True, slots=True)
class Levels:
    """A stop and a target, each a price or none."""

    stop: Price | None
    target: Price | None


def leader_levels(change: Change) -> Levels:
    """The leader's absolute levels: the position's where it has them, else its order's distances from the fill."""
    sign = change.side.sign
    stop, target = change.stop, change.target
    price = change.price if change.price is not None else change.limit_price or change.stop_price
    if stop is None and change.relative_stop is not None and price is not None:
        stop = Price(price - sign * change.relative_stop)
    if target is None and change.relative_target is not None and price is not None:
        target = Price(price + sign * change.relative_target)
    return Levels(stop, target)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The levels a copy shall have, in its own sense: the leader's prices, or distances from its own entry."""

    side: Side
    stop: Price | None = None
    target: Price | None = None
    fixed_stop: Distance | None = None
    fixed_target: Distance | None = None

    @property
    def has_stop(self) -> bool:
        return self.stop is not None or self.fixed_stop is not None


@dataclass(frozen=True, slots=True)
class Uncopied:
    """Which of a copy's levels its leader has no say in: they stay what its position shows."""

    stop: bool = False
    target: bool = False


def pips(spec: SymbolSpec, count: Fraction) -> int:
    """Pips of a symbol as a distance in 1e-8, to the nearest."""
    return round(count * spec.pip)


def plan(change: Change, spec: SymbolSpec, policy: Policy, side: Side) -> Plan:
    """What of the leader's levels a copy of `side` takes: offsets first, then reversal, then what is fixed or not
    copied."""
    found, sign = leader_levels(change), change.side.sign
    stop, target = found.stop, found.target
    if stop is not None and policy.sl_offset is not None:
        stop = Price(stop - sign * pips(spec, policy.sl_offset))
    if target is not None and policy.tp_offset is not None:
        target = Price(target + sign * pips(spec, policy.tp_offset))
    if side is not change.side:
        stop, target = target, stop
    fixed_stop = None if policy.fixed_sl is None else Distance(pips(spec, policy.fixed_sl))
    fixed_target = None if policy.fixed_tp is None else Distance(pips(spec, policy.fixed_tp))
    return Plan(
        side=side,
        stop=stop if policy.copy_sl and fixed_stop is None else None,
        target=target if policy.copy_tp and fixed_target is None else None,
        fixed_stop=fixed_stop,
        fixed_target=fixed_target,
    )


def distance(spec: SymbolSpec, side: Side, price: int, level: int, *, is_stop: bool) -> int:
    """How far a level lies from a price on its own side, down to the follower's tick; 0 or less where it is passed."""
    return floor_to((price - level) * side.sign * (1 if is_stop else -1), spec.tick)


def least_distance(spec: SymbolSpec, price: int, points: int) -> int:
    """A symbol's minimum distance in 1e-8, up to the tick."""
    if spec.distance_in is DistanceIn.PERCENTAGE:
        return ceil_to(-(-price * points // 10_000), spec.tick)
    return points * spec.tick


def wanted_levels(spec: SymbolSpec, side: Side, goal: Goal, entry: Price | None) -> Levels:
    """The absolute levels a copy should have by its goal, on the tick, rounded towards the market."""
    shift = goal.shift or 0
    stop = None if goal.leader_stop is None else goal.leader_stop + shift
    target = None if goal.leader_target is None else goal.leader_target + shift
    if entry is not None and goal.fixed_stop is not None:
        stop = entry - side.sign * goal.fixed_stop
    if entry is not None and goal.fixed_target is not None:
        target = entry + side.sign * goal.fixed_target
    return Levels(
        None if stop is None or stop <= 0 else towards_market(spec, stop, from_below=side is Side.BUY),
        None if target is None or target <= 0 else towards_market(spec, target, from_below=side is Side.SELL),
    )


def towards_market(spec: SymbolSpec, price: int, *, from_below: bool) -> Price:
    """A level on the tick: one that the market comes to from below goes up, so that it is no farther."""
    return spec.tick_at_or_above(price) if from_below else spec.tick_at_or_below(price)


def tighter(side: Side, first: Price | None, second: Price | None) -> Price | None:
    """The stop that risks less: the higher one of a buy, the lower one of a sell; any stop rather than none."""
    if first is None or second is None:
        return first if second is None else second
    return max(first, second) if side is Side.BUY else min(first, second)


def is_off(wanted: Price | None, present: Price | None, tolerance: int) -> bool:
    """Whether a present level differs from the wanted one by more than `tolerance` (1e-8)."""
    if wanted is None or present is None:
        return wanted is not present
    return abs(wanted - present) > tolerance


def fixed_at(goal: Goal, side: Side, stop: Price, entry: Price) -> Goal:
    """A goal whose fixed stop stays where a copy has trailed it to, if that is nearer; below zero beyond the entry."""
    own = Distance((entry - stop) * side.sign)
    if goal.fixed_stop is None or own >= goal.fixed_stop:
        return goal
    return replace(goal, fixed_stop=own, wide=goal.wide or goal.fixed_stop)


def uncopied(policy: Policy, rules: int) -> Uncopied:
    """Which levels of its copies a link leaves alone."""
    if rules < UNCOPIED_LEVELS_STAY:
        return Uncopied()
    return Uncopied(
        stop=not policy.copy_sl and policy.fixed_sl is None, target=not policy.copy_tp and policy.fixed_tp is None
    )


def still_fixed(asked: Plan, goal: Goal, left: Uncopied, rules: int) -> Plan:
    """A plan with what a copy was opened with and its link fixes no more, where its leader has nothing in its place."""
    if rules < FIXED_STAY:
        return asked
    stop, target = asked.fixed_stop, asked.fixed_target
    if not (asked.has_stop or left.stop):
        stop = goal.fixed_stop
    if asked.target is None and target is None and not left.target:
        target = goal.fixed_target
    return replace(asked, fixed_stop=stop, fixed_target=target)


def merged(goal: Goal, change: Change, spec: SymbolSpec, policy: Policy, side: Side, rules: int) -> Goal:
    """The goal of a copy of `side` with the leader's levels of now, but for those that are left alone.

    A widened stop stays until he moves the one that it stands for, and a fixed one that was widened or has trailed for
    as long as stops are fixed. A guaranteed stop does not trail.
    """
    left = uncopied(policy, rules)
    asked = still_fixed(plan(change, spec, policy, side), goal, left, rules)
    may_trail = policy.copy_trailing and side is change.side and not (rules >= OWN_TRAILING and goal.guaranteed)
    is_wide = goal.wide_of is not None and asked.stop == goal.wide_of
    is_own = goal.wide and asked.fixed_stop is not None
    if rules >= FIXED_STOPS_TRAILED:
        is_own = is_own and goal.fixed_stop is not None
    return replace(
        goal,
        has_levels=True,
        leader_stop=goal.leader_stop if is_wide else asked.stop,
        wide_of=goal.wide_of if is_wide else None,
        leader_target=asked.target,
        trailing=change.trailing and may_trail and asked.has_stop,
        fixed_stop=goal.fixed_stop if is_own else asked.fixed_stop,
        fixed_target=asked.fixed_target,
        is_exact=True,
        keeps_stop=left.stop,
        keeps_target=left.target,
    )
