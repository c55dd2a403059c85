"""What we have asked for: a request from its record to what became of it, and when it is asked for again."""

from __future__ import annotations

from typing import Any

from cmam.domain.belief.asked import with_intent, without_intent
from cmam.domain.belief.copies import Applied, Copy, CopyState, Intent, IntentState, LeftOut
from cmam.domain.belief.parts import may_be_done
from cmam.domain.belief.refused import order_surplus
from cmam.domain.belief.shares import rejoined, shares_of, told_by_net
from cmam.domain.belief.view import AccountView, InVain, put
from cmam.domain.events import (
    IntentOverdue,
    IntentRecorded,
    IntentSettled,
    Outcome,
    Terms,
    Wait,
)
from cmam.domain.folds import growth
from cmam.domain.folds.afterwards import noted, with_lost_close
from cmam.domain.folds.joining import PROTECTION_US
from cmam.domain.market.sessions import is_open, next_open
from cmam.domain.values.commands import Command, CommandKind
from cmam.domain.values.ids import SWEEPS, IntentId, SymbolId
from cmam.domain.values.quantities import Volume
from cmam.domain.values.replacing import replace, without
from cmam.domain.values.rules.closes import CLOSES_APART
from cmam.domain.values.rules.guards import REFUSED_PLACINGS
from cmam.domain.values.rules.levels import (
    MERGED_REFUSES_NOTHING,
    OWN_LEVELS,
    OWN_TRAILING,
    SIDES_ARE_KEPT,
    TARGETS_LEFT_OUT,
)
from cmam.domain.values.rules.nets import (
    APPLIED_TO_NETS,
    CLOSES_END_SHORT,
    LOSSES_ARE_TOLD,
    NETS_MOVE_FIRST,
    PARTS_OF_SHARES,
    REFUSED_OPENS,
    ROUNDED_AWAY,
)
from cmam.domain.values.rules.opens import ADDS_IN_VAIN, LATE_RESTS_ARE_TOLD, UNLISTED_CODES, UNREAD_WAIT
from cmam.domain.values.rules.resting import RESTS_OUTLIVE_COPIES
from cmam.domain.values.rules.sight import REFUSED_YET_DONE
from cmam.domain.wanted import targets
from cmam.domain.wanted.levels import wanted_levels
from cmam.domain.wanted.needs import excess_of

MERGED = "merged"
"""Why an amendment is given back unsent in whose place a newer one of the same target leaves."""
RETRY_FIRST_US = 1_000_000
"""Delay before a refused or absent reduction, cancel or amendment is asked for again; doubled each time."""
RETRY_LAST_US = 60_000_000

CLOSED_LAST_US = 900_000_000
"""How long a refused request waits at most while its symbol is out of session."""

CARRYING_LEVELS = (CommandKind.OPEN, CommandKind.PLACE, CommandKind.AMEND_ORDER)
"""Requests that carry levels as distances, to be set once their order fills."""

POSITION_GONE = "the position is gone"
"""Why a request is settled whose copy has ended: what came of it before is told by nobody."""

WORSE_GSL = "WORSE_GSL_NOT_ALLOWED"
"""A guaranteed stop may not be moved to more risk: the old one stays, and nothing is asked again."""

GONE_CODES = ("POSITION_NOT_FOUND", "POSITION_NOT_OPEN", "ORDER_NOT_FOUND", "ENTITY_NOT_FOUND")
"""Refusals that mean the thing may be gone: done once a reconcile agrees."""

UNLISTED_GONE = ("ALREADY_CLOSED", "POSITION_NOT_FOUND_OR_NOT_OPENED")
"""Those that no list of the API has, and servers have said."""

BAD_VOLUME = "TRADING_BAD_VOLUME"
"""The refusal of a close of more than is held, or than one order may have."""
FELL_SHORT = ("order_cancelled", "order_expired", "order_filled")
"""Why a close counts as refused that has closed less than it was to close."""


def take_intent(view: AccountView, event: IntentRecorded, at_us: int) -> AccountView:
    """Open the book of a request before it may leave."""
    held = view.positions.get(event.command.position) if event.command.position is not None else None
    intent = Intent(
        intent=event.intent,
        link=event.link,
        source=event.source,
        seq=event.seq,
        command=event.command,
        volume_before=event.volume_before,
        attempt=event.attempt,
        recorded_us=at_us,
        moved_us=at_us,
        not_after_us=event.not_after_us,
        after_ms=held.updated_ms if held is not None else 0,
    )
    copy = view.copies.get(intent.key)
    is_add = copy is not None and event.command.kind is CommandKind.ADD and event.command.side is copy.side
    if copy is not None and is_add and view.rules >= ADDS_IN_VAIN:
        copy, intent = growth.asked_for(copy, intent)
    view = replace(view, intents=with_intent(view.intents, intent))
    if copy is None:
        return view
    changed = _asked_for(view, copy, event)
    if event.command.kind in CARRYING_LEVELS and view.rules >= TARGETS_LEFT_OUT:
        changed["left_out"] = targets.opened_without(copy.goal, event.command)
    if event.command.kind is CommandKind.PLACE and view.rules >= SIDES_ARE_KEPT:
        changed["side"] = event.command.side
    if event.command.kind in (CommandKind.OPEN, CommandKind.PLACE) and view.rules >= UNREAD_WAIT:
        changed["symbol"] = event.command.symbol  # which it is may have been known only now
    return put(view, replace(copy, last_seq=max(copy.last_seq, event.seq), **changed))


def _asked_for(view: AccountView, copy: Copy, event: IntentRecorded) -> dict[str, Any]:
    """What of a copy changes because something is asked for it."""
    command = event.command
    match command.kind:
        case CommandKind.OPEN:
            return {
                "part_seq": event.seq,
                "part": max(event.part, 1),
                "carried": (command.relative_stop, command.relative_target),
                "awaits_protection": command.relative_stop is not None or command.relative_target is not None,
                "state": CopyState.OPENING,
                "side": command.side,
                "wait": None,
                "order": None,
                "ended_order": False,
                "grace_over": False,
            }
        case CommandKind.ADD if command.side is copy.side:
            return {"part_seq": event.seq, "part": max(event.part, 1)}
        case CommandKind.PLACE:
            return {"state": CopyState.OPENING, "ended_order": False}
        case CommandKind.CANCEL:
            return {"replacing": copy.goal.terms is not None and copy.is_wanted and not copy.grace_over}
        case CommandKind.CLOSE if command.whole and not _is_part_of_share(view, copy, command):
            return {"state": CopyState.CLOSING}
        case CommandKind.CLOSE | CommandKind.ADD if _is_rounded_away(view, copy):
            return {"goal": replace(copy.goal, target_numerator=0, target_denominator=1)}
        case _:
            return {}


def _is_rounded_away(view: AccountView, copy: Copy) -> bool:
    """Whether the part that a share gives up is rounded up to all that it has: nothing of it is wanted then."""
    spec = view.specs.get(copy.symbol)
    if not copy.share or spec is None or view.rules < ROUNDED_AWAY:
        return False
    return copy.is_wanted and 0 < copy.volume <= excess_of(spec, copy)


def _is_part_of_share(view: AccountView, copy: Copy, command: Command) -> bool:
    """Whether all of a net is closed, and that is a part of this share: shares of the other side make it small."""
    return copy.share and command.volume < copy.volume and view.rules >= PARTS_OF_SHARES


def terms_of(command: Command) -> Terms:
    """What a request made of a pending order."""
    return Terms(
        type=command.order_type,
        volume=command.volume,
        limit_price=command.limit_price,
        stop_price=command.stop_price,
        relative_stop=command.relative_stop,
        relative_target=command.relative_target,
        trailing=command.trailing,
        guaranteed=command.guaranteed,
        trigger=command.trigger,
        expires_ms=command.expires_ms,
        slippage_points=command.slippage_points,
    )


def move_intent(
    view: AccountView, name: IntentId, *, state: IntentState, moved_us: int, only: IntentState | None = None
) -> AccountView:
    """Move a request to another state."""
    intent = view.intents.get(name)
    if intent is None or (only is not None and intent.state is not only):
        return view
    return replace(view, intents=with_intent(view.intents, replace(intent, state=state, moved_us=moved_us)))


def doubt_intent(view: AccountView, event: IntentOverdue, at_us: int) -> AccountView:
    """What became of a request is not known from now on."""
    intent = view.intents.get(event.intent)
    if intent is None:
        return view
    unknown = replace(intent, state=IntentState.UNKNOWN, moved_us=at_us, why=event.why, ask_us=event.ask_us)
    return replace(view, intents=with_intent(view.intents, unknown))


def settle(view: AccountView, event: IntentSettled, at_us: int) -> AccountView:
    """Close the book of a request; what was refused waits before it is asked for again."""
    intent = view.intents.get(event.intent)
    if intent is None:
        return view
    view = replace(view, intents=without_intent(view.intents, event.intent))
    copy = view.copies.get(intent.key)
    is_given_up = copy is not None and copy.share and intent.command.side is not copy.side
    is_open = intent.command.kind in (CommandKind.OPEN, CommandKind.ADD)
    is_placing = intent.command.kind is CommandKind.PLACE and view.rules >= REFUSED_PLACINGS
    if (is_open or is_placing) and not (is_given_up and view.rules >= REFUSED_OPENS):
        view = _count_refusals(view, intent, event.outcome)
    if copy is None:
        return _settle_alone(view, intent, event, at_us)
    if event.outcome is Outcome.CONFIRMED and event.reason == POSITION_GONE and intent.command.kind.adds_risk:
        view = noted(view, copy)
    if intent.command.kind.adds_risk:
        return _settle_open(view, copy, intent, event, at_us)
    if event.outcome is Outcome.CONFIRMED:
        return _settle_done(view, copy, intent)
    return _settle_undone(view, copy, intent, event, at_us)


def _settle_done(view: AccountView, copy: Copy, intent: Intent) -> AccountView:
    """After a close, a cancel or an amendment that the broker carried out."""
    kind = intent.command.kind
    if kind is CommandKind.AMEND_PROTECTION:
        command = intent.command
        applied = Applied(command.stop, command.target, command.trailing)
        copy = targets.taken(replace(copy, applied=applied), applied.target)
        view = _applied_to_net(view, copy, applied)
        if copy.goal.stop_set and view.rules >= OWN_TRAILING:
            copy = _with_stop_taken(view, copy)
    if kind is CommandKind.AMEND_ORDER:
        copy = replace(copy, amended_to=terms_of(intent.command))
    if kind is CommandKind.CLOSE and copy.share:
        # No deal told of it: the net did. Our ledger is what tells the shares apart, so it is booked here.
        if intent.command.volume > intent.filled:
            view = with_lost_close(view, intent)
        view = told_by_net(view, copy, intent)
        copy = view.copies[copy.key]
    view = put(view, _untroubled(view, copy, kind))
    return rejoined(view, copy.symbol) if copy.share else view


def _settle_undone(view: AccountView, copy: Copy, intent: Intent, event: IntentSettled, at_us: int) -> AccountView:
    """After a close, a cancel or an amendment that came to nothing: what its refusal tells of the copy, and how long
    it waits before it is asked for again."""
    kind = intent.command.kind
    if kind is CommandKind.AMEND_PROTECTION and event.reason == WORSE_GSL:
        command = intent.command
        return put(view, replace(copy, applied=Applied(command.stop, command.target, command.trailing)))
    if event.outcome is Outcome.REFUSED and _has_moved_first(view, copy, intent, event.reason):
        return view
    if event.outcome is Outcome.REFUSED and event.reason in targets.TOO_NEAR:
        without_target = targets.refused(view, copy, intent.command, at_us)
        if without_target is not None:
            return put(view, without_target)
        copy = targets.cleared(view, copy, intent.command)
    may_be_gone = event.reason in gone_codes(view.rules)
    if event.outcome is Outcome.REFUSED and may_be_gone and not _is_gone_net(view, copy, intent):
        copy = replace(copy, doubt=True)
    is_flat = copy.share and kind is CommandKind.AMEND_PROTECTION and may_be_gone
    is_trouble = event.outcome is Outcome.REFUSED and not (is_flat and view.rules >= PARTS_OF_SHARES)
    if event.outcome is Outcome.REFUSED and may_be_done(view, copy, intent, event.reason):
        copy = replace(copy, refused_part=Volume(copy.refused_part + intent.command.volume))
    trouble = f"{kind.value}: {event.reason}" if is_trouble else copy.trouble
    since_us = copy.trouble_us if copy.trouble else at_us
    return put(view, _held_back(view, replace(copy, trouble=trouble, trouble_us=since_us), kind, event, at_us))


def gone_codes(rules: int) -> tuple[str, ...]:
    """The codes by which a refusal says that what was asked about may be gone."""
    return (*GONE_CODES, *UNLISTED_GONE) if rules >= UNLISTED_CODES else GONE_CODES


def _is_gone_net(view: AccountView, copy: Copy, intent: Intent) -> bool:
    """Whether a refusal says of a net what its events have told already: that it is gone."""
    position = intent.command.position
    is_told = copy.share and position is not None and position not in view.positions
    return is_told and view.rules >= LOSSES_ARE_TOLD


def _has_moved_first(view: AccountView, copy: Copy, intent: Intent, reason: str) -> bool:
    """Whether a close is refused for what events have told already: orders of other shares had left less of the net
    than it was to take. What of it is left is asked for at once."""
    command = intent.command
    if not copy.share or command.kind is not CommandKind.CLOSE or view.rules < NETS_MOVE_FIRST:
        return False
    held = view.positions.get(command.position) if command.position is not None else None
    is_short = reason in FELL_SHORT and view.rules >= CLOSES_END_SHORT
    if is_short and (held is None or held.side is command.side):
        return True
    if held is None:
        return reason in (*gone_codes(view.rules), BAD_VOLUME)
    return reason == BAD_VOLUME and held.volume < command.volume


def _settle_alone(view: AccountView, intent: Intent, event: IntentSettled, at_us: int) -> AccountView:
    """What is no copy, or none any more, was asked for something. What rests of one that is over, and was not cancelled
    by that, stands besides copies from then on, and is taken back as such."""
    order = intent.command.order
    if intent.source[0] in SWEEPS:
        return _swept(view, intent, event, at_us)
    is_cancelled = event.outcome is Outcome.CONFIRMED or intent.command.kind is not CommandKind.CANCEL
    if is_cancelled or order is None or order not in view.orders or view.rules < RESTS_OUTLIVE_COPIES:
        return view
    source = order_surplus(order)
    view = replace(view, surplus={**view.surplus, source: intent.link})
    return _swept(view, replace(intent, source=source), event, at_us)


def _swept(view: AccountView, intent: Intent, event: IntentSettled, at_us: int) -> AccountView:
    """What is no copy was asked to end: where that came to nothing it is asked for again, as of a copy."""
    if event.outcome is Outcome.CONFIRMED:
        left = without(view.in_vain, intent.source) if intent.source in view.in_vain else view.in_vain
        return replace(view, in_vain=left)
    known = view.in_vain.get(intent.source, InVain(intent.link, 0, at_us))
    delay, refusals = _asked_again(view, intent.command.symbol, event, at_us, known.refusals)
    why = f"{intent.command.kind.value}: {event.reason}" if event.outcome is Outcome.REFUSED else known.why
    again = InVain(intent.link, at_us + delay, known.since_us, refusals, why)
    return replace(view, in_vain={**view.in_vain, intent.source: again})


def _applied_to_net(view: AccountView, copy: Copy, applied: Applied) -> AccountView:
    """A net's levels are those of all its shares: what was applied for any of them before says nothing any more."""
    if not copy.share or view.rules < APPLIED_TO_NETS:
        return view
    for share in shares_of(view, copy.symbol):
        if share.key != copy.key and share.position == copy.position:
            view = put(view, targets.taken(replace(share, applied=applied), applied.target))
    return view


def _untroubled(view: AccountView, copy: Copy, kind: CommandKind) -> Copy:
    """A copy of which a request was confirmed: what of its kind was refused before is done.

    Where nothing was, what it waits for may be the next place of a trailing stop, which is not taken any sooner.
    """
    if view.rules < CLOSES_APART:
        is_calm = not (copy.refusals or copy.retry_at_us or copy.trouble)
        return copy if is_calm else replace(copy, refusals=0, retry_at_us=0, trouble="")
    is_of_close = copy.is_close_refused
    if kind is CommandKind.CLOSE:
        copy = replace(copy, close_refusals=0, close_at_us=0)
        return replace(copy, trouble="") if is_of_close else copy
    if not copy.refusals and (not copy.trouble or is_of_close):
        return copy
    return replace(copy, refusals=0, retry_at_us=0, trouble=copy.trouble if is_of_close else "")


def _held_back(view: AccountView, copy: Copy, kind: CommandKind, event: IntentSettled, at_us: int) -> Copy:
    """A copy of which a request came to nothing: when such a one is asked for again."""
    if view.rules >= CLOSES_APART and kind is CommandKind.CLOSE:
        delay, refusals = _asked_again(view, copy.symbol, event, at_us, copy.close_refusals)
        return replace(copy, close_refusals=refusals, close_at_us=at_us + delay)
    delay, refusals = _asked_again(view, copy.symbol, event, at_us, copy.refusals)
    return replace(copy, refusals=refusals, retry_at_us=at_us + delay)


def _with_stop_taken(view: AccountView, copy: Copy) -> Copy:
    """A copy whose broker has the stop that the leader set: from there on it trails by itself, and is not set again."""
    spec = view.specs.get(copy.symbol)
    if spec is None or copy.applied is None:
        return copy
    is_taken = wanted_levels(spec, copy.side, copy.goal, copy.open_price).stop == copy.applied.stop
    return replace(copy, goal=replace(copy.goal, stop_set=False)) if is_taken else copy


def _asked_again(
    view: AccountView, symbol: SymbolId, event: IntentSettled, at_us: int, refused: int
) -> tuple[int, int]:
    """After which delay what lowers risk is asked for again, and how many refusals the next delay is doubled by.

    Out of session that is the opening, at once and then as after a first refusal; a schedule may be wrong, so that
    nobody relies on it for longer than a quarter of an hour.
    """
    delay = min(RETRY_FIRST_US << min(refused, 10), RETRY_LAST_US)
    spec = view.specs.get(symbol)
    if spec is not None and event.outcome is Outcome.REFUSED and not is_open(spec, at_us):
        opening = next_open(spec, at_us, rules=view.rules)
        wait = CLOSED_LAST_US if opening is None else min(opening - at_us, CLOSED_LAST_US)
        return max(wait, event.retry_in_us, RETRY_FIRST_US), 0
    is_merged = event.outcome is Outcome.DROPPED and event.reason == MERGED and view.rules >= MERGED_REFUSES_NOTHING
    return max(delay, event.retry_in_us), refused + (not is_merged)


def _count_refusals(view: AccountView, intent: Intent, outcome: Outcome) -> AccountView:
    count = view.refused_opens.get(intent.link, 0)
    match outcome:
        case Outcome.CONFIRMED if count:
            return replace(view, refused_opens={**view.refused_opens, intent.link: 0})
        case Outcome.REFUSED:
            return replace(view, refused_opens={**view.refused_opens, intent.link: count + 1})
        case _:
            return view


def _closing_later(view: AccountView, copy: Copy, intent: Intent, event: IntentSettled, at_us: int) -> Copy:
    """A copy of which what a share gives up came to nothing, or an order that it should not have any more."""
    if view.rules >= CLOSES_APART:
        if event.outcome is Outcome.REFUSED and copy.share and intent.command.side is not copy.side:
            trouble, since_us = f"{CommandKind.ADD.value}: {event.reason}", copy.trouble_us if copy.trouble else at_us
            copy = replace(copy, trouble=trouble, trouble_us=since_us)
        return _held_back(view, copy, CommandKind.CLOSE, event, at_us)
    delay = min(RETRY_FIRST_US << min(copy.refusals, 10), RETRY_LAST_US)
    return replace(copy, refusals=copy.refusals + 1, retry_at_us=at_us + delay)


def _settle_open(view: AccountView, copy: Copy, intent: Intent, event: IntentSettled, at_us: int) -> AccountView:
    """After an open or an add: a rest that did not fill is wanted until it is too late, then given up."""
    is_refused_open = event.outcome is Outcome.REFUSED and intent.command.kind is not CommandKind.ADD
    if is_refused_open and view.rules >= REFUSED_YET_DONE:
        copy = replace(copy, refused=(*copy.refused, event.intent))
    is_too_near = is_refused_open and event.reason in targets.TOO_NEAR and view.rules >= TARGETS_LEFT_OUT
    if is_too_near and intent.command.relative_target is not None:
        copy = replace(copy, left_out=LeftOut(refusals=1))
    if event.retry_in_us and copy.position is None:
        waiting = replace(
            copy,
            state=CopyState.WAITING,
            wait=Wait.RETRY,
            wait_until_us=copy.not_after_us,
            retry_at_us=at_us + event.retry_in_us,
            refusals=copy.refusals + 1,
        )
        return put(view, waiting)
    if event.retry_in_us and intent.command.kind is CommandKind.ADD and copy.is_wanted:
        again_us, refusals = at_us + event.retry_in_us, copy.refusals + 1
        waiting = growth.waits_again(copy, growth.of_request(intent), intent.not_after_us)
        return put(view, replace(waiting, again_us=again_us, refusals=refusals))
    if event.outcome is Outcome.CONFIRMED and copy.refusals:
        copy = replace(copy, refusals=0)
    is_carrying = intent.command.relative_stop is not None or intent.command.relative_target is not None
    if is_carrying and event.outcome is Outcome.CONFIRMED and view.rules >= OWN_LEVELS:
        # A reconcile may have settled it ahead of the events of its levels.
        copy = replace(copy, levels_until_us=at_us + PROTECTION_US)
    if intent.command.kind is CommandKind.PLACE:
        return put(view, replace(copy, amended_to=terms_of(intent.command), replacing=False))
    if copy.position is None:
        return put(view, copy)
    if not copy.is_wanted or (copy.share and intent.command.side is not copy.side):
        if event.outcome is Outcome.CONFIRMED:
            return put(view, _untroubled(view, copy, CommandKind.CLOSE) if view.rules >= CLOSES_APART else copy)
        return put(view, _closing_later(view, copy, intent, event, at_us))
    spec = view.specs.get(copy.symbol)
    if spec is None:
        return put(view, copy)
    if view.rules >= ADDS_IN_VAIN:
        is_in_time = at_us <= copy.not_after_us
        late_us = at_us if view.rules >= LATE_RESTS_ARE_TOLD else None  # a look at it says that it is too late
        waits_until_us = copy.not_after_us if is_in_time else late_us
        has_filled = event.outcome is Outcome.CONFIRMED
        return growth.settled(view, copy, intent, has_filled=has_filled, waits_until_us=waits_until_us)
    target = copy.goal.target_numerator // (copy.goal.target_denominator or 1)
    short = spec.floor_volume(target - copy.volume - view.unshown(copy))
    if short < max(spec.step, spec.min_volume):
        return put(view, copy)
    if at_us <= copy.not_after_us and event.outcome is Outcome.CONFIRMED:
        return put(view, replace(copy, wait=Wait.REMAINDER, wait_until_us=copy.not_after_us))
    return put(view, growth.as_held(copy))
