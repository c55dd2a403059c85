"""Which stop and which target: the leader's levels carried to the follower's prices.

A copy keeps one shift for life, its own first fill minus the leader's; its levels are the leader's plus that shift, on
the follower's tick, rounded towards the market: a stop is never farther and a target never nearer to greed than asked.
"""

from __future__ import annotations

from dataclasses import dataclass

from cmam.domain.changes import Change
from cmam.domain.events import Goal
from cmam.domain.quantities import Distance, Price, Side, floor_to
from cmam.domain.symbols import SymbolSpec


@dataclass(frozen=True, slots=True)
class Levels:
    """A stop and a target, each a price or none."""

    stop: Price | None
    target: Price | None


def leader_levels(change: Change) -> Levels:
    """The leader's absolute levels: the position's where it has them, else its order's distances from the fill."""
    sign = change.side.sign
    stop, target = change.stop, change.target
    if stop is None and change.relative_stop is not None and change.price is not None:
        stop = Price(change.price - sign * change.relative_stop)
    if target is None and change.relative_target is not None and change.price is not None:
        target = Price(change.price + sign * change.relative_target)
    return Levels(stop, target)


def opening_distance(
    spec: SymbolSpec, side: Side, price: Price, level: Price | None, *, is_stop: bool
) -> Distance | None:
    """How far a level lies from the leader's fill, on the follower's tick; None where there is none or it is passed."""
    if level is None:
        return None
    away = (price - level) * side.sign * (1 if is_stop else -1)
    on_tick = floor_to(away, spec.tick)
    return Distance(on_tick) if on_tick > 0 else None


def wanted_levels(spec: SymbolSpec, side: Side, goal: Goal) -> Levels:
    """The absolute levels a copy should have by its goal, on the tick, rounded towards the market."""
    shift = goal.shift or 0
    stop, target = goal.leader_stop, goal.leader_target
    return Levels(
        None if stop is None else _towards_market(spec, stop + shift, from_below=side is Side.BUY),
        None if target is None else _towards_market(spec, target + shift, from_below=side is Side.SELL),
    )


def _towards_market(spec: SymbolSpec, price: int, *, from_below: bool) -> Price:
    return spec.tick_at_or_above(price) if from_below else spec.tick_at_or_below(price)


def is_off(wanted: Price | None, present: Price | None, tolerance: int) -> bool:
    """Whether a present level differs from the wanted one by more than `tolerance` (1e-8)."""
    if wanted is None or present is None:
        return wanted is not present
    return abs(wanted - present) > tolerance
