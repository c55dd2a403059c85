"""Opens and adds: the rules passed, the goal a copy gets, and the request that goes out."""

from __future__ import annotations

from fractions import Fraction

from cmam.domain.choices import HumanLevels, PartialRounding
from cmam.domain.commands import Command, CommandKind
from cmam.domain.copies import Copy
from cmam.domain.decision import Decision, retarget, skip
from cmam.domain.events import Goal, Wait
from cmam.domain.needs import OPENING_KINDS
from cmam.domain.opening import Draft, first_reason
from cmam.domain.policy import Policy
from cmam.domain.quantities import Volume
from cmam.domain.reasons import Reason, Verdict
from cmam.domain.sizing import fraction_text
from cmam.domain.trades import OrderType
from cmam.domain.view import AccountView


def may_reopen(policy: Policy, ended: Copy) -> bool:
    """Once per source, after a person or a level closed its copy; an order that never filled leaves nothing behind."""
    if ended.position is None and ended.reason is not Reason.CLOSED_BY_HUMAN:
        return ended.source.startswith("o")
    by_others = ended.reason in (Reason.CLOSED_BY_HUMAN, Reason.CLOSED_BY_LEVEL)
    return policy.reopen and by_others and not ended.reopened and not ended.stopped_out


def open_now(draft: Draft) -> Decision:
    """Pass all the rules and open; or say why not, or what to wait for."""
    found = first_reason(draft)
    if isinstance(found, Reason):
        return skip(draft, found)
    change, policy = draft.change, draft.policy
    if isinstance(found, Wait):
        span_ms = policy.stop_wait_ms if found is Wait.STOP else draft.max_age_ms
        goal = Goal(target_numerator=1, leader_volume=change.after)
        until_us = draft.not_after_us - (draft.max_age_ms - span_ms) * 1_000
        return Decision(
            verdict=Verdict.COPY,
            symbol=draft.spec,
            side=draft.side,
            goal=goal,
            working=tuple(draft.working),
            not_after_us=draft.not_after_us,
            wait=found,
            wait_until_us=until_us,
        )
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
    return Decision(
        verdict=Verdict.COPY,
        symbol=draft.spec,
        side=draft.side,
        volume=draft.volume,
        goal=goal,
        command=command,
        working=tuple(draft.working),
        not_after_us=draft.not_after_us,
    )


def open_goal(draft: Draft) -> Goal:
    """What a copy shall be that passed all the rules."""
    change, policy, asked = draft.change, draft.policy, draft.plan
    assert asked is not None
    stop = asked.stop
    is_wide = draft.add_volume is not None and draft.stop is not None and stop is not None
    if is_wide and draft.stop is not None and change.price is not None and not draft.is_late:
        # A widened stop stays as wide as it was opened.
        stop = type(change.price)(change.price - draft.side.sign * draft.stop)
    is_limited = draft.view.trader is not None and draft.view.trader.limited_risk
    cap = policy.max_lots_symbol
    return Goal(
        target_numerator=draft.whole,
        leader_volume=change.after,
        has_levels=True,
        leader_stop=stop,
        leader_target=asked.target,
        trailing=(
            change.trailing and policy.copy_trailing and asked.has_stop and not policy.reverse and not is_limited
        ),
        shift=draft.shift,
        leader_price=change.price,
        fixed_stop=asked.fixed_stop,
        fixed_target=asked.fixed_target,
        guaranteed=is_limited or (policy.copy_guaranteed and change.guaranteed),
        round_up=policy.partial_rounding is PartialRounding.UP,
        pins=policy.human_levels is HumanLevels.PIN,
        priced=_is_priced(policy),
        close_only=False,
        net_cap=Volume(int(cap * draft.symbol.lot_size)) if cap is not None else Volume(0),
        base_price=draft.base_price,
    )


def _is_priced(policy: Policy) -> bool:
    return any((policy.max_price_distance, policy.max_spread, policy.wait_for_better, policy.max_slippage))


def in_flight_of(view: AccountView, copy: Copy) -> int:
    """What may still be added to a copy by requests without an outcome."""
    return sum(
        max(0, intent.command.volume - intent.filled)
        for intent in view.intents_of(copy.key)
        if intent.command.kind in OPENING_KINDS and intent.command.side is copy.side
    )


def add_now(draft: Draft, copy: Copy, grown: Fraction) -> Decision:
    """Let a copy grow to an exact target: an add is an open for every gate and guard."""
    draft.copy, draft.is_add = copy, True
    draft.note("target", fraction_text(grown / 100), f"units; {fraction_text(copy.target / 100)} before")
    draft.add_volume = grown - copy.volume - in_flight_of(draft.view, copy)
    found = first_reason(draft)
    if isinstance(found, Reason):
        return skip(draft, found)
    goal = retarget(copy.goal, grown, draft.change.after)
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
    return Decision(
        verdict=Verdict.COPY,
        symbol=draft.spec,
        side=copy.side,
        volume=draft.volume,
        goal=goal,
        command=command,
        working=tuple(draft.working),
        not_after_us=draft.not_after_us,
    )
