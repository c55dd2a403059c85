"""One turn of an account: an input is folded, and what follows from it is derived.

Everything derived here can be derived again from the record: `step` takes a fact of the stream, `decide_change` a
change of the leader with its recorded inputs. Neither reads a clock. What a copy needs (a reduction, an amendment, its
end) is level-triggered: it is asked for whenever goal and truth differ and no request of that kind is under way, so a
lost, refused or late answer only delays it.
"""

from __future__ import annotations

from cmam.domain.belief.belonging import copy_asked, copy_of, intent_of
from cmam.domain.belief.copies import Copy, CopyKey, Intent
from cmam.domain.belief.restless import ending
from cmam.domain.belief.shares import with_its_net_first
from cmam.domain.belief.view import AccountView, resolve
from cmam.domain.deciding.attempts import attempt, settings_of
from cmam.domain.deciding.decide import decide
from cmam.domain.deciding.decision import Decision
from cmam.domain.events import (
    AttemptDecided,
    ChangeDecided,
    CopiesReleased,
    CopyFinished,
    CopyOverdue,
    CopyRebuilt,
    CopyWoken,
    Event,
    ExecutionSeen,
    FlattenRequested,
    GuardTripped,
    Health,
    HealthChanged,
    Inputs,
    IntentDropped,
    Reconciled,
    RequestRefused,
    StopOutSeen,
    Wait,
)
from cmam.domain.folds.account import evolve
from cmam.domain.profiles.link import LinkSettings
from cmam.domain.turns.another_life import booked
from cmam.domain.turns.ends import finish_cancelling, finish_idle, finish_if_gone, finish_order
from cmam.domain.turns.making import Turn, TurnInTheMaking
from cmam.domain.turns.settling import settlements
from cmam.domain.turns.sweeping import end_what_is_no_copy
from cmam.domain.turns.touching import touches, touches_of_nets
from cmam.domain.values.changes import Change
from cmam.domain.values.ids import IntentId, LinkId, StoreId
from cmam.domain.values.reasons import Reason, Verdict
from cmam.domain.values.rules.guards import STOP_OUTS_LATCH
from cmam.domain.values.rules.nets import ADDS_OUTLIVE_NETS
from cmam.domain.values.rules.resting import WAITS_END
from cmam.domain.wanted.needs import needed


def withdrawn(view: AccountView) -> tuple[IntentId, ...]:
    """The opens whose copy shall not be any more: to be taken back where they have not left yet."""
    over = ending(view.copies) if view.intents else ()
    if not over:
        return ()
    return tuple(
        intent.intent
        for copy in over
        for intent in view.intents_of(copy.key)
        if intent.command.kind.adds_risk and not (copy.share and intent.command.side is not copy.side)
    )


# --- a change of the leader -----------------------------------------------------------------------------------------


def decide_change(
    view: AccountView,
    settings: LinkSettings,
    change: Change,
    cause: tuple[int, int],
    inputs: Inputs,
    now_us: int,
) -> Turn:
    """Give a leader's change its one decision for a link; a change decided before gives nothing.

    `cause` is the version in the leader's stream and the index among that event's changes; a synced change has no
    place there and moves no cursor.
    """
    cursor = view.cursors.get(settings.link)
    if cursor is not None and not cursor.is_before(*cause) and not change.synced:
        return Turn(view, ())
    decision = decide(view, change, settings, inputs, now_us)
    decided = ChangeDecided(
        link=settings.link,
        profile=settings.profile,
        change=change,
        cause_version=cause[0],
        cause_index=cause[1],
        settings_version=settings.version,
        verdict=decision.verdict,
        reason=decision.reason,
        volume=decision.volume,
        symbol=decision.symbol.symbol if decision.symbol is not None else decision.unread,
        side=decision.side,
        goal=decision.goal,
        working=decision.working,
        inputs=inputs,
        not_after_us=decision.not_after_us,
        wait=decision.wait,
        wait_until_us=decision.wait_until_us,
    )
    turn = TurnInTheMaking(view, now_us, settings.store)
    turn.add(decided)
    if inputs.set_aside:
        return turn.turn()  # whatever else would be derived is what this account fails on
    key = resolve(turn.view, settings.link, change)
    if decision.command is not None:
        turn.intend(key, decision.command, change=change.key, not_after_us=decision.not_after_us)
    if turn.view.rules >= WAITS_END:
        finish_order(turn, key, decided)
    finish_idle(turn, key)
    if change.restored:
        finish_if_gone(turn, key, decided)  # a share of which everything had gone before
    _enforce(turn, key)
    for other in _with_shares(turn.view, (key,))[1:]:
        _enforce(turn, other)
    return turn.turn()


# --- a fact of the account's own --------------------------------------------------------------------------------------


def step(view: AccountView, fact: Event, store: StoreId, now_us: int) -> Turn:
    """Fold one input of the account's stream and derive what follows from it."""
    after = evolve(view, fact, now_us)
    turn = TurnInTheMaking(after, now_us, store)
    asked = intent_of(view, fact) if view.intents and isinstance(fact, ExecutionSeen) else None
    stopped_out: set[LinkId] = set()
    for touch in touches(view, after, fact, asked):
        turn.add(touch)
        if isinstance(touch, StopOutSeen) and view.rules >= STOP_OUTS_LATCH:
            stopped_out.add(touch.link)
    for settlement in settlements(turn.view, fact, now_us):
        turn.add(settlement)
    if view.restored_us and isinstance(fact, Reconciled):
        for touch in booked(view, turn.view, fact, store):
            turn.add(touch)
    for touch in touches_of_nets(view, turn.view, fact):
        turn.add(touch)
    if isinstance(fact, CopyWoken):
        _try_again(turn, fact)
    moved = _set_in_motion(view, turn.view, fact, asked)
    others = [key for key in turn.view.copies if key[0] in stopped_out and key not in moved] if stopped_out else ()
    for key in with_its_net_first(turn.view, (*moved, *sorted(others))):
        finish_order(turn, key, fact)
        finish_if_gone(turn, key, fact)
        finish_idle(turn, key)
        _enforce(turn, key)
    end_what_is_no_copy(turn, fact)
    return turn.turn(after)


def _set_in_motion(before: AccountView, view: AccountView, fact: Event, asked: Intent | None) -> tuple[CopyKey, ...]:
    """The copies that a fact may have set in motion."""
    match fact:
        case ExecutionSeen():
            if not view.copies:
                return ()
            keys = {copy_of(view, fact), copy_asked(before, asked, fact), asked.key if asked is not None else None}
            return _with_shares(view, tuple(sorted([key for key in keys if key is not None])))
        case RequestRefused() | IntentDropped():
            known = before.intents.get(fact.intent)
            return _with_left_behind(view, known.key) if known is not None else ()
        case CopyOverdue() | CopyWoken() | CopyRebuilt():
            return ((fact.link, fact.source),)
        case Reconciled() | FlattenRequested() | GuardTripped() | CopiesReleased():
            return tuple(view.copies)
        case HealthChanged():
            return tuple(view.copies) if fact.health is Health.RECONCILED else ()
        case _:
            return ()


def _with_shares(view: AccountView, keys: tuple[CopyKey, ...]) -> tuple[CopyKey, ...]:
    """On a netted account what moves one share may free the next."""
    positions = {copy.position for key in keys if (copy := view.copies.get(key)) is not None and copy.share}
    if not positions - {None}:
        return keys
    others = [key for key, copy in view.copies.items() if copy.position in positions and key not in keys]
    return (*keys, *sorted(others))


def _with_left_behind(view: AccountView, key: CopyKey) -> tuple[CopyKey, ...]:
    """A copy, and the other shares of its net where that is gone: they may have stayed for its request alone."""
    copy = view.copies.get(key)
    is_gone = copy is not None and copy.share and copy.position not in view.positions
    return _with_shares(view, (key,)) if is_gone and view.rules >= ADDS_OUTLIVE_NETS else (key,)


def _try_again(turn: TurnInTheMaking, woken: CopyWoken) -> None:
    """Look at a waiting open again."""
    key = (woken.link, woken.source)
    copy = turn.view.copies.get(key)
    if copy is None or copy.wait is None or copy.change is None or turn.view.health is not Health.RECONCILED:
        return
    decision = attempt(turn.view, copy, woken, settings_of(turn.view, copy, woken, turn.store), turn.now_us)
    if decision is None:
        return
    turn.add(_attempted(copy, woken, decision))
    if decision.verdict is Verdict.COPY and decision.command is not None:
        turn.intend(
            key,
            decision.command,
            change=copy.change.key,
            not_after_us=decision.not_after_us,
            is_rest=copy.wait is Wait.REMAINDER,
        )
    elif copy.position is None and not copy.awaits_amend:
        turn.add(CopyFinished(link=copy.link, source=copy.source, reason=decision.reason or Reason.SOURCE_GONE))


def _enforce(turn: TurnInTheMaking, key: CopyKey) -> None:
    """Ask for what the copy's goal wants and the broker does not show yet."""
    copy = turn.view.copies.get(key)
    if copy is not None and copy.share and not copy.is_wanted and turn.view.health is Health.RECONCILED:
        finish_cancelling(turn, copy.symbol)
    for command in needed(turn.view, key, turn.now_us, turn.nets):
        turn.intend(key, command)


def _attempted(copy: Copy, woken: CopyWoken, decision: Decision) -> AttemptDecided:
    assert copy.wait is not None
    assert copy.change is not None
    return AttemptDecided(
        link=copy.link,
        source=copy.source,
        change=copy.change.key,
        wait=copy.wait,
        settings_version=woken.settings_version,
        verdict=decision.verdict,
        reason=decision.reason,
        volume=decision.volume,
        goal=decision.goal,
        working=decision.working,
        not_after_us=decision.not_after_us,
    )
