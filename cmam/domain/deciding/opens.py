"""Opens and adds: the rules passed, the goal a copy gets, and the request that goes out."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from cmam.domain.belief.copies import Copy
from cmam.domain.belief.view import AccountView
from cmam.domain.deciding.arithmetic import fraction_text
from cmam.domain.deciding.carrying import entry_price
from cmam.domain.deciding.decision import Decision, asked_for, retarget, skip
from cmam.domain.deciding.draft import Draft
from cmam.domain.deciding.inputs import WARM_US
from cmam.domain.deciding.opening import first_reason
from cmam.domain.events import Goal, Wait
from cmam.domain.profiles.choices import HumanLevels, PartialRounding
from cmam.domain.profiles.policy import Policy
from cmam.domain.values.commands import Command, CommandKind
from cmam.domain.values.quantities import Price, Volume, units_text
from cmam.domain.values.reasons import Reason, Verdict
from cmam.domain.values.rules.nets import GIVEN_UP_FIRST
from cmam.domain.values.rules.opens import (
    ADDS_BY_THEIR_PRICE,
    ADDS_CAPPED,
    ADDS_CARRIED,
    ADDS_FOLLOW_CLOSES,
    GROWTH_BOUNDED,
    QUOTES_ON_THEIR_WAY,
    RESULTS_STAND_IN,
)
from cmam.domain.values.rules.resting import LOCKED_OUT_ORDERS
from cmam.domain.values.rules.sight import SHOWN_IS_THERE
from cmam.domain.values.trades import OrderType
from cmam.domain.wanted.levels import uncopied
from cmam.domain.wanted.needs import OPENING_KINDS

_BY_LOCKS = (Reason.CLOSED_BY_GUARD, Reason.CLOSED_BY_FLATTEN)
"""Why a latch ends what rests as it closes."""


def may_reopen(draft: Draft, ended: Copy) -> bool:
    """Once per source, after a person or a level closed its copy; an order that never filled leaves nothing behind, but
    where a person, a guard, a stop-out or a flatten has taken it away."""
    policy = draft.settings.policy
    if ended.position is None and ended.reason is not Reason.CLOSED_BY_HUMAN:
        is_locked_out = ended.ending in _BY_LOCKS and draft.view.rules >= LOCKED_OUT_ORDERS
        return ended.source.startswith("o") and not is_locked_out
    by_others = ended.reason in (Reason.CLOSED_BY_HUMAN, Reason.CLOSED_BY_LEVEL)
    return policy.reopen and by_others and not ended.reopened and not ended.stopped_out


def open_now(draft: Draft) -> Decision:
    """Pass all the rules and open; or say why not, or what to wait for."""
    found = patient(draft, first_reason(draft))
    if isinstance(found, Reason):
        return skip(draft, found)
    if isinstance(found, Wait):
        return stand_back(draft, found)
    policy = draft.policy
    goal = open_goal(draft)
    command = Command(
        kind=CommandKind.OPEN,
        symbol=draft.symbol.symbol,
        side=draft.side,
        volume=draft.volume,
        order_type=OrderType.MARKET if draft.base_price is None else OrderType.MARKET_RANGE,
        relative_stop=draft.stop,
        relative_target=draft.target,
        trailing=goal.trailing,
        guaranteed=goal.guaranteed,
        base_price=draft.base_price,
        slippage_points=policy.max_slippage if draft.base_price is not None else None,
    )
    return asked_for(draft, draft.side, goal, command)


def patient(draft: Draft, found: Reason | Wait | None) -> Reason | Wait | None:
    """What the rules say; what is told by quotes that are on their way is waited for: the first ones of a feed, and
    those of a jump of the market where an order would fill at once by the quotes of before."""
    return Wait.QUOTES if is_to_come(draft, found) or (found is Reason.WOULD_FILL and draft.may_lag) else found


def is_to_come(draft: Draft, found: Reason | Wait | None) -> bool:
    """Whether what a size, or a guard that must know equity, lacks is on its way."""
    if not draft.inputs.warming:
        return False
    is_dark = found is Reason.EQUITY_UNKNOWN and draft.is_dark
    return found is Reason.STALE_INPUT or (is_dark and draft.view.rules >= RESULTS_STAND_IN)


def stand_back(draft: Draft, wait: Wait) -> Decision:
    """A copy that does not open yet: for a price, a stop, or what is on its way: quotes, or what the symbol allows."""
    match wait:
        case Wait.QUOTES:
            is_long = draft.inputs.reading or draft.view.rules >= QUOTES_ON_THEIR_WAY  # it ends as the feed is warm
            soon_us = draft.not_after_us if is_long else draft.now_us + WARM_US
            until_us = min(soon_us, draft.not_after_us)
        case Wait.STOP:
            until_us = draft.not_after_us - (draft.max_age_ms - draft.policy.stop_wait_ms) * 1_000
        case _:
            until_us = draft.not_after_us
    return Decision(
        verdict=Verdict.COPY,
        symbol=draft.spec,
        unread=draft.unread,
        side=draft.side,
        goal=Goal(target_numerator=1, leader_volume=draft.change.after),
        working=tuple(draft.working),
        not_after_us=draft.not_after_us,
        wait=wait,
        wait_until_us=until_us,
    )


def open_goal(draft: Draft) -> Goal:
    """What a copy shall be that passed all the rules."""
    change, policy, asked = draft.change, draft.policy, draft.plan
    assert asked is not None
    stop, entry = asked.stop, entry_price(draft)
    wide = draft.stop if draft.add_volume is not None else None
    if wide and stop is not None and entry is not None:
        # A widened stop stays as wide as it was opened.
        stop = Price(entry - (draft.shift or 0) - draft.side.sign * wide)
    is_guaranteed, left = draft.is_guaranteed, uncopied(policy, draft.view.rules)
    return Goal(
        target_numerator=draft.whole,
        leader_volume=change.after,
        has_levels=True,
        leader_stop=stop,
        leader_target=asked.target,
        trailing=(
            change.trailing and policy.copy_trailing and asked.has_stop and not draft.is_turned and not is_guaranteed
        ),
        shift=draft.shift,
        leader_price=change.price,
        fixed_stop=wide if wide and asked.fixed_stop is not None else asked.fixed_stop,
        fixed_target=asked.fixed_target,
        guaranteed=is_guaranteed,
        round_up=policy.partial_rounding is PartialRounding.UP,
        pins=policy.human_levels is HumanLevels.PIN,
        priced=_is_priced(policy),
        close_only=False,
        net_cap=policy.net_cap(draft.symbol.lot_size),
        base_price=draft.base_price,
        wide=wide,
        wide_of=asked.stop if wide else None,
        keeps_stop=left.stop,
        keeps_target=left.target,
    )


def _is_priced(policy: Policy) -> bool:
    return any((policy.max_price_distance, policy.max_spread, policy.wait_for_better, policy.max_slippage))


def in_flight_of(view: AccountView, copy: Copy) -> int:
    """What may still be added to a copy by requests without an outcome: not what its position shows of them already."""
    asked = sum(
        max(0, intent.command.volume - intent.filled)
        for intent in view.intents_of(copy.key)
        if intent.command.kind in OPENING_KINDS and intent.command.side is copy.side
    )
    if not asked or view.rules < SHOWN_IS_THERE:
        return asked
    return max(0, asked - view.shown_ahead(copy))


def closing_of(view: AccountView, copy: Copy) -> int:
    """What closes on their way will take off a copy, as far as they have not yet, and what a share gives up as an order
    of the other side."""
    gives_up = copy.share and view.rules >= GIVEN_UP_FIRST
    closes = (
        intent
        for intent in view.intents_of(copy.key)
        if intent.command.kind is CommandKind.CLOSE
        or (gives_up and intent.command.kind is CommandKind.ADD and intent.command.side is not copy.side)
    )
    return sum(max(0, intent.command.volume - intent.filled) for intent in closes)


def _after_the_close(draft: Draft, copy: Copy, goal: Goal) -> Decision:
    """A part of the copy is being closed: what the add lacks is known once that is done."""
    return Decision(
        verdict=Verdict.COPY,
        symbol=draft.view.specs.get(copy.symbol),
        side=copy.side,
        goal=goal,
        working=tuple(draft.working),
        not_after_us=draft.not_after_us,
        wait=Wait.REMAINDER,
        wait_until_us=draft.not_after_us,
    )


def _unpriced(draft: Draft, goal: Goal) -> Goal:
    """The goal of an add that has not been asked for yet: its range is found around its own price when it goes."""
    is_new = draft.wait is None and draft.view.rules >= ADDS_BY_THEIR_PRICE
    return replace(goal, base_price=None) if is_new else goal


def _most(draft: Draft, copy: Copy) -> Fraction | None:
    """What a copy may grow to by `volume.max`; a remainder of what it has opened with has passed that."""
    spec, most = draft.view.specs.get(copy.symbol), draft.policy.volume_max
    if spec is None or most is None or draft.wait is not None or draft.view.rules < GROWTH_BOUNDED:
        return None
    return most * spec.lot_size


def _most_added(draft: Draft, copy: Copy) -> Volume | None:
    """What one order may add to a copy where what is to be added is cut off at that; None where it is not."""
    spec, policy = draft.view.specs.get(copy.symbol), draft.policy
    if spec is None or draft.add_volume is None or policy.volume_rounding.splits or draft.view.rules < ADDS_CAPPED:
        return None
    most = spec.floor_volume(spec.max_volume)
    return most if spec.floor_volume(int(draft.add_volume)) > most else None


def add_now(draft: Draft, copy: Copy, grown: Fraction) -> Decision:
    """Let a copy grow to an exact target: an add is an open for every gate and guard."""
    draft.copy, draft.is_add = copy, True
    draft.note("target", fraction_text(grown / 100), f"units; {fraction_text(copy.target / 100)} before")
    most = _most(draft, copy)
    if most is not None and grown > most:
        draft.note("volume.max", fraction_text(most / 100), "units: the most a copy may have")
        grown, draft.is_full = max(most, copy.target), most <= copy.target
    is_closing = copy.position is not None and closing_of(draft.view, copy) > 0
    if draft.view.rules >= ADDS_FOLLOW_CLOSES and is_closing and not (draft.is_full or draft.is_old):
        return _after_the_close(draft, copy, _unpriced(draft, retarget(copy.goal, grown, draft.change.after)))
    draft.add_volume = grown - copy.volume - draft.view.unshown(copy) - in_flight_of(draft.view, copy)
    in_one = _most_added(draft, copy)
    if in_one is not None:
        draft.note("capped", units_text(in_one), "the most of one order, by volume.rounding")
        grown, draft.add_volume = grown - (draft.add_volume - in_one), Fraction(in_one)
    draft.note("missing", fraction_text(draft.add_volume / 100), "units, without what is held and in flight")
    found = patient(draft, first_reason(draft))
    goal = retarget(copy.goal, grown, draft.change.after)
    if found is Reason.COVERED:
        working = tuple(draft.working)
        return Decision(verdict=Verdict.NONE, reason=found, symbol=draft.spec, goal=goal, working=working)
    if found is Reason.BELOW_MINIMUM and draft.view.rules >= ADDS_CARRIED:
        draft.note("carried", fraction_text(draft.add_volume / 100), "units: they go out with what is added next")
        return replace(skip(draft, found), goal=goal)
    if isinstance(found, Reason):
        return skip(draft, found)
    if found is Wait.QUOTES:
        waiting = stand_back(draft, Wait.QUOTES)
        return replace(waiting, side=copy.side, goal=_unpriced(draft, goal), wait=Wait.REMAINDER)
    if draft.base_price is not None:
        goal = replace(goal, base_price=draft.base_price)
    if copy.position is None:
        # The open is still in flight: what is missing is added once it has filled.
        command = None
    else:
        command = Command(
            kind=CommandKind.ADD,
            symbol=draft.symbol.symbol,
            side=copy.side,
            volume=draft.volume,
            order_type=OrderType.MARKET if draft.base_price is None else OrderType.MARKET_RANGE,
            position=None if copy.share else copy.position,
            netted=copy.share,
            base_price=draft.base_price,
            slippage_points=draft.policy.max_slippage if draft.base_price is not None else None,
        )
    return asked_for(draft, copy.side, goal, command)
