"""What we decided, and what became of it: the folds of decisions, requests, outcomes and ends."""

from __future__ import annotations

from dataclasses import replace

from cmam.domain.changes import Change, ChangeKind
from cmam.domain.commands import CommandKind
from cmam.domain.copies import Copy, CopyState, Cursor, Intent, IntentState
from cmam.domain.events import (
    ChangeDecided,
    CopyFinished,
    CopyOverdue,
    IntentRecorded,
    IntentSettled,
    Outcome,
)
from cmam.domain.ids import (
    IntentId,
)
from cmam.domain.quantities import Volume
from cmam.domain.reasons import Reason, Verdict
from cmam.domain.view import AccountView, put

RETRY_FIRST_US = 1_000_000
"""Delay before a refused or absent reduction, cancel or amendment is asked for again; doubled each time."""
RETRY_LAST_US = 60_000_000


def take_decision(view: AccountView, event: ChangeDecided, at_us: int) -> AccountView:
    """Move the link's cursor past a decided change, and give the copy its goal."""
    cursor = Cursor(version=event.cause_version, index=event.cause_index)
    view = replace(view, cursors={**view.cursors, event.link: cursor})
    change, key = event.change, (event.link, event.change.source)
    known = view.copies.get(key)
    if event.goal is None:
        return view
    if known is not None:
        return put(view, replace(known, goal=event.goal, refusals=0, retry_at_us=0))
    if event.verdict is Verdict.COPY and event.symbol is not None and change.kind.adds_risk:
        return put(view, _new_copy(event, change, at_us))
    return view


def _new_copy(event: ChangeDecided, change: Change, at_us: int) -> Copy:
    assert event.goal is not None
    assert event.symbol is not None
    return Copy(
        link=event.link,
        profile=event.profile,
        source=change.source,
        state=CopyState.OPENING,
        leader=change.leader,
        leader_position=change.position,
        leader_order=change.order or change.origin,
        leader_symbol=change.symbol.name,
        leader_digits=change.symbol.digits,
        leader_opened=change.volume if change.kind is ChangeKind.ORDER_PLACED else change.after,
        symbol=event.symbol,
        side=event.side or change.side,
        goal=event.goal,
        decided_us=at_us,
        not_after_us=event.not_after_us,
        settings_version=event.settings_version,
    )


def take_intent(view: AccountView, event: IntentRecorded, at_us: int) -> AccountView:
    """Open the book of a request before it may leave."""
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
    )
    view = replace(view, intents={**view.intents, event.intent: intent})
    copy = view.copies.get(intent.key)
    if copy is None:
        return view
    copy = replace(copy, last_seq=max(copy.last_seq, event.seq))
    if event.command.kind is CommandKind.OPEN:
        has_levels = event.command.relative_stop is not None or event.command.relative_target is not None
        copy = replace(copy, awaits_protection=has_levels)
    if event.command.kind is CommandKind.CLOSE and event.command.whole:
        copy = replace(copy, state=CopyState.CLOSING)
    return put(view, copy)


def move_intent(
    view: AccountView, name: IntentId, *, state: IntentState, moved_us: int, only: IntentState | None = None
) -> AccountView:
    """Move a request to another state."""
    intent = view.intents.get(name)
    if intent is None or (only is not None and intent.state is not only):
        return view
    return replace(view, intents={**view.intents, name: replace(intent, state=state, moved_us=moved_us)})


def settle(view: AccountView, event: IntentSettled, at_us: int) -> AccountView:
    """Close the book of a request; what was refused waits before it is asked for again."""
    intent = view.intents.get(event.intent)
    if intent is None:
        return view
    view = replace(view, intents={name: value for name, value in view.intents.items() if name != event.intent})
    copy = view.copies.get(intent.key)
    if copy is None or intent.command.kind.adds_risk:
        return view
    if event.outcome is Outcome.CONFIRMED:
        if intent.command.kind is CommandKind.AMEND_PROTECTION:
            copy = replace(copy, protection_refused=None)
        return put(view, replace(copy, refusals=0, retry_at_us=0))
    if intent.command.kind is CommandKind.AMEND_PROTECTION and event.outcome is Outcome.REFUSED:
        copy = replace(copy, protection_refused=copy.goal)
    delay = min(RETRY_FIRST_US << min(copy.refusals, 10), RETRY_LAST_US)
    return put(view, replace(copy, refusals=copy.refusals + 1, retry_at_us=at_us + delay))


def finish(view: AccountView, event: CopyFinished, at_us: int) -> AccountView:
    """End a copy."""
    key = (event.link, event.source)
    copy = view.copies.get(key)
    if copy is None:
        return view
    copy = replace(copy, state=_end_state(event.reason), reason=event.reason, closed_us=at_us, volume=Volume(0))
    by_position = view.by_position
    if copy.position is not None:
        by_position = {key_: value for key_, value in by_position.items() if key_ != copy.position}
    return replace(
        view,
        copies={key_: value for key_, value in view.copies.items() if key_ != key},
        finished={**view.finished, key: copy},
        by_position=by_position,
    )


def _end_state(reason: Reason) -> CopyState:
    match reason:
        case Reason.REFUSED | Reason.UNKNOWN_OUTCOME:
            return CopyState.REFUSED
        case Reason.EXPIRED | Reason.TOO_OLD:
            return CopyState.EXPIRED
        case Reason.SOURCE_GONE:
            return CopyState.CANCELLED
        case _:
            return CopyState.CLOSED


def wake_copy(view: AccountView, event: CopyOverdue) -> AccountView:
    """Let a copy ask again for what it needs."""
    copy = view.copies.get((event.link, event.source))
    if copy is None:
        return view
    return put(view, replace(copy, awaits_protection=False, retry_at_us=0, protection_refused=None))
