"""A copy joined to the position that its order opened, and with what that shows now."""

from __future__ import annotations

from cmam.domain.belief.copies import Copy, CopyState
from cmam.domain.belief.view import AccountView, put
from cmam.domain.events import Goal
from cmam.domain.values.ids import PositionId
from cmam.domain.values.quantities import Distance, Price, Side, Volume
from cmam.domain.values.replacing import replace
from cmam.domain.values.rules.levels import WIDE_FROM_FILLS
from cmam.domain.values.rules.opens import ADDS_FOLLOW_CLOSES
from cmam.domain.values.rules.resting import FILLED_WHOLE
from cmam.domain.wanted import targets

PROTECTION_US = 2_000_000
"""How long the broker may take to set the levels of an opening request before they are asked for again."""


def attach(view: AccountView, copy: Copy, position: PositionId, price: Price | None, at_us: int) -> AccountView:
    """Join a copy to the position that its order opened; the first fill fixes its shift for life."""
    return put(*joined(view, copy, position, price, at_us))


def joined(
    view: AccountView, copy: Copy, position: PositionId, price: Price | None, at_us: int
) -> tuple[AccountView, Copy]:
    """The same, for who changes more of the copy: the view knows whose the position is, the copy is not put yet."""
    held = view.positions.get(position)
    volume = copy.volume if copy.share else (held.volume if held is not None else Volume(0))
    first = copy.open_price if copy.open_price is not None else price
    goal = copy.goal
    if goal.shift is None and goal.leader_price is not None and first is not None:
        goal = replace(goal, shift=Distance(first - goal.leader_price))
    elif copy.open_price is None and first is not None and view.rules >= WIDE_FROM_FILLS:
        goal = _as_wide(goal, copy.side, first)
    is_part = view.rules >= ADDS_FOLLOW_CLOSES and goal.terms is not None and goal.leader_volume < goal.leader_whole
    if view.rules >= FILLED_WHOLE:
        is_part = goal.terms is not None and 0 < copy.leader_fills < goal.leader_whole
    is_ahead = copy.key[1].startswith("o") and (not copy.leader_filled or is_part)
    copy = replace(
        copy,
        state=copy.state if copy.state is CopyState.CLOSING else CopyState.OPEN,
        position=position,
        volume=volume,
        opened_volume=Volume(max(copy.opened_volume, volume)),
        open_price=first,
        opened_us=copy.opened_us or at_us,
        goal=goal,
        ahead_since_us=at_us if is_ahead else copy.ahead_since_us,
        seen_stop=held.stop if held is not None else None,
        seen_target=held.target if held is not None else None,
    )
    copy = targets.filled(view, copy)
    if not copy.share or position not in view.by_position:
        view = replace(view, by_position={**view.by_position, position: copy.key})
    return view, copy


def _as_wide(goal: Goal, side: Side, first: Price) -> Goal:
    """A goal whose widened stop is as wide from the first fill as it was opened; an order that rests is told at its
    leader's fill."""
    if not goal.wide or goal.wide_of is None or goal.shift is None or goal.terms is not None:
        return goal
    return replace(goal, leader_stop=Price(first - goal.shift - side.sign * goal.wide))


def as_held(view: AccountView, copy: Copy) -> Copy:
    """The copy with what its position shows now."""
    held = view.positions.get(copy.position) if copy.position is not None else None
    if held is None:
        return copy if copy.share else replace(copy, volume=Volume(0))
    volume = copy.volume if copy.share else held.volume
    if copy.volume == volume <= copy.opened_volume and (copy.seen_stop, copy.seen_target) == (held.stop, held.target):
        return copy
    return replace(
        copy,
        volume=volume,
        opened_volume=Volume(max(copy.opened_volume, volume)),
        seen_stop=held.stop,
        seen_target=held.target,
    )
