"""One turn of an account: an input is folded, and what follows from it is derived.

Everything derived here can be derived again from the record: `step` takes a fact of the stream, `decide_change` a
change of the leader with its recorded inputs. Neither reads a clock. What a copy needs (a reduction, an amendment, its
end) is level-triggered: it is asked for whenever goal and truth differ and no request of that kind is under way, so a
lost, refused or late answer only delays it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from cmam.domain.account import AccountView, Copy, CopyKey, CopyState, Intent, IntentState, evolve, intent_of
from cmam.domain.changes import Change
from cmam.domain.commands import Command, CommandKind
from cmam.domain.decide import decide
from cmam.domain.events import (
    ChangeDecided,
    CopyFinished,
    CopyOverdue,
    Event,
    ExecutionSeen,
    Health,
    HealthChanged,
    Inputs,
    IntentDropped,
    IntentOverdue,
    IntentRecorded,
    IntentSettled,
    Outcome,
    Reconciled,
    RequestRefused,
)
from cmam.domain.ids import IntentId, LinkId, SourceKey, StoreId
from cmam.domain.levels import is_off, wanted_levels
from cmam.domain.link import LinkSettings
from cmam.domain.quantities import Volume, floor_fraction
from cmam.domain.reasons import Reason
from cmam.domain.trades import ExecutionKind, OrderStatus, OrderType, Position

ANSWER_US = 10_000_000
"""How long a request may stay unanswered before its outcome counts as unknown."""

SETTLE_US = 10_000_000
"""How long an order may be in flight at the broker: absence proves nothing before that (DESIGN §2, `settle_s`)."""

PROTECTION_US = 2_000_000
"""How long the broker may take to set the levels of an opening request before they are asked for again."""

ATTEMPTS_MAX = 2
"""How often one open may be sent: again only after proof that the first never arrived."""

ENDED_ORDER = (OrderStatus.CANCELLED, OrderStatus.REJECTED, OrderStatus.EXPIRED)


@dataclass(frozen=True, slots=True)
class Turn:
    """The view after a turn, and the derived events in their order. `folded` is the view after the input alone."""

    view: AccountView
    derived: tuple[Event, ...]
    folded: AccountView | None = None

    @property
    def intents(self) -> tuple[IntentRecorded, ...]:
        """The requests that may leave once the turn is durable."""
        return tuple(event for event in self.derived if isinstance(event, IntentRecorded))


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

    `cause` is the version in the leader's stream and the index among that event's changes.
    """
    cursor = view.cursors.get(settings.link)
    if cursor is not None and not cursor.is_before(*cause):
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
        symbol=decision.symbol.symbol if decision.symbol is not None else None,
        side=decision.side,
        goal=decision.goal,
        working=decision.working,
        inputs=inputs,
        not_after_us=decision.not_after_us,
    )
    builder = _Builder(view, now_us, settings.store)
    builder.add(decided)
    key = (settings.link, change.source)
    if decision.command is not None:
        builder.intend(key, decision.command, change=change, not_after_us=decision.not_after_us)
    builder.enforce(key)
    return builder.turn()


# --- a fact of the account's own --------------------------------------------------------------------------------------


def step(view: AccountView, fact: Event, store: StoreId, now_us: int) -> Turn:
    """Fold one input of the account's stream and derive what follows from it."""
    after = evolve(view, fact, now_us)
    builder = _Builder(after, now_us, store)
    for settlement in _settlements(after, fact, now_us):
        builder.add(settlement)
    for key in _restless(view, builder.view, fact):
        builder.finish_if_gone(key, fact)
        builder.enforce(key)
    return Turn(builder.view, builder.turn().derived, after)


def _restless(before: AccountView, view: AccountView, fact: Event) -> tuple[CopyKey, ...]:
    """The copies that a fact may have set in motion."""
    match fact:
        case ExecutionSeen():
            intent = intent_of(before, fact)
            position = fact.position.position if fact.position else (fact.deal.position if fact.deal else None)
            keys = {view.by_position.get(position) if position is not None else None, intent.key if intent else None}
            return tuple(sorted(key for key in keys if key is not None))
        case RequestRefused() | IntentDropped():
            known = before.intents.get(fact.intent)
            return (known.key,) if known is not None else ()
        case CopyOverdue():
            return ((fact.link, fact.source),)
        case Reconciled():
            return tuple(view.copies)
        case HealthChanged():
            return tuple(view.copies) if fact.health is Health.RECONCILED else ()
        case _:
            return ()


class _Builder:
    """Collects the derived events of one turn, folding each as it comes."""

    def __init__(self, view: AccountView, now_us: int, store: StoreId) -> None:
        self.view = view
        self._now = now_us
        self._store = store
        self._derived: list[Event] = []

    def add(self, event: Event) -> None:
        self.view = evolve(self.view, event, self._now)
        self._derived.append(event)

    def turn(self) -> Turn:
        return Turn(self.view, tuple(self._derived))

    def intend(
        self,
        key: CopyKey,
        command: Command,
        *,
        change: Change | None = None,
        not_after_us: int = 0,
        again: Intent | None = None,
    ) -> None:
        """Record a request under its derived name; `again` repeats one that never arrived, under its old name."""
        copy = self.view.copies.get(key)
        seq = again.seq if again is not None else (copy.last_seq if copy is not None else 0) + 1
        label = label_of(self._store, *key)
        position = self.view.positions.get(command.position) if command.position is not None else None
        self.add(
            IntentRecorded(
                intent=intent_id(self._store, *key, seq),
                link=key[0],
                source=key[1],
                seq=seq,
                command=_labelled(command, label),
                change=change.key if change is not None else None,
                volume_before=position.volume if position is not None else Volume(0),
                attempt=again.attempt + 1 if again is not None else 1,
                not_after_us=not_after_us,
            )
        )

    def finish_if_gone(self, key: CopyKey, fact: Event) -> None:
        """End a copy whose position the broker no longer has, or whose open came to nothing."""
        copy = self.view.copies.get(key)
        if copy is None or copy.position is None or copy.position in self.view.positions:
            return
        for intent in self.view.intents_of(key):
            self.add(IntentSettled(intent=intent.intent, outcome=Outcome.CONFIRMED, reason="the position is gone"))
        self.add(CopyFinished(link=copy.link, source=copy.source, reason=_end_reason(copy, fact)))

    def enforce(self, key: CopyKey) -> None:
        """Ask for what the copy's goal wants and the broker does not show yet."""
        for command in _needed(self.view, key, self._now):
            self.intend(key, command)


def _labelled(command: Command, label: str) -> Command:
    return replace(command, label=label) if command.kind.adds_risk else command


def _end_reason(copy: Copy, fact: Event) -> Reason:
    if isinstance(fact, ExecutionSeen) and fact.order is not None:
        if fact.order.stop_out:
            return Reason.CLOSED_BY_STOP_OUT
        if fact.order.type is OrderType.PROTECTION and fact.kind is not ExecutionKind.ORDER_CANCELLED:
            return Reason.CLOSED_BY_LEVEL
    if copy.state is CopyState.CLOSING or copy.target == 0:
        return Reason.CLOSED_BY_LEADER
    return Reason.CLOSED_BY_HUMAN


# --- what a copy needs --------------------------------------------------------------------------------------------


def _needed(view: AccountView, key: CopyKey, now_us: int) -> Iterator[Command]:
    """A reduction towards the target and an amendment towards the levels, each unless one is under way."""
    copy = view.copies.get(key)
    if copy is None or copy.position is None or view.health is not Health.RECONCILED:
        return
    position = view.positions.get(copy.position)
    if position is None:
        return
    under_way = {intent.command.kind for intent in view.intents_of(key)}
    if now_us >= copy.retry_at_us:
        reduction = _reduction(view, copy, position)
        if reduction is not None and CommandKind.CLOSE not in under_way:
            yield reduction
        if reduction is None or not reduction.whole:
            amendment = _amendment(view, copy, position)
            if amendment is not None and not under_way & {CommandKind.AMEND_PROTECTION, CommandKind.OPEN}:
                yield amendment


def _reduction(view: AccountView, copy: Copy, position: Position) -> Command | None:
    if copy.target <= 0:
        return _close(copy, position, position.volume, whole=True)
    spec = view.specs.get(copy.symbol)
    if spec is None or copy.volume <= copy.target:
        return None
    excess = spec.floor_volume(floor_fraction(copy.volume - copy.target))
    if excess < spec.min_volume or excess <= 0:
        return None
    return _close(copy, position, Volume(min(excess, position.volume)), whole=False)


def _close(copy: Copy, position: Position, volume: Volume, *, whole: bool) -> Command:
    return Command(
        kind=CommandKind.CLOSE,
        symbol=copy.symbol,
        side=copy.side.opposite,
        volume=volume,
        whole=whole,
        position=position.position,
    )


def _amendment(view: AccountView, copy: Copy, position: Position) -> Command | None:
    spec = view.specs.get(copy.symbol)
    if spec is None or not copy.goal.has_levels or copy.awaits_protection or copy.protection_refused == copy.goal:
        return None
    wanted = wanted_levels(spec, copy.side, copy.goal)
    tolerance = 0 if copy.goal.is_exact else spec.tick
    is_stop_off = is_off(wanted.stop, position.stop, tolerance) and not (position.trailing and copy.goal.trailing)
    is_target_off = is_off(wanted.target, position.target, tolerance)
    if not is_stop_off and not is_target_off and position.trailing == copy.goal.trailing:
        return None
    return Command(
        kind=CommandKind.AMEND_PROTECTION,
        symbol=copy.symbol,
        side=copy.side,
        position=position.position,
        stop=wanted.stop,
        target=wanted.target,
        trailing=copy.goal.trailing,
        guaranteed=position.guaranteed,
        trigger=position.trigger,
    )


# --- outcomes -----------------------------------------------------------------------------------------------------


def _settlements(after: AccountView, fact: Event, now_us: int) -> Iterator[Event]:
    match fact:
        case ExecutionSeen():
            intent = intent_of(after, fact)
            if intent is not None:
                yield from _settle_by_execution(after, intent, fact)
        case RequestRefused():
            intent = after.intents.get(fact.intent)
            if intent is not None:
                yield IntentSettled(intent=fact.intent, outcome=Outcome.REFUSED, reason=fact.error_code)
                yield from _end_of_open(after, intent, Reason.REFUSED)
        case IntentDropped():
            intent = after.intents.get(fact.intent)
            if intent is not None:
                yield IntentSettled(intent=fact.intent, outcome=Outcome.DROPPED, reason=fact.reason)
                is_gone = fact.reason == "withdrawn"
                yield from _end_of_open(after, intent, Reason.SOURCE_GONE if is_gone else Reason.EXPIRED)
        case Reconciled():
            for intent in after.intents.values():
                if intent.state is IntentState.UNKNOWN:
                    yield from _settle_by_reconcile(after, intent, fact, now_us)
        case _:
            return


def _end_of_open(view: AccountView, intent: Intent, reason: Reason) -> Iterator[Event]:
    copy = view.copies.get(intent.key)
    if intent.command.kind is CommandKind.OPEN and copy is not None and copy.position is None:
        yield CopyFinished(link=copy.link, source=copy.source, reason=reason)


def _settle_by_execution(view: AccountView, intent: Intent, fact: ExecutionSeen) -> Iterator[Event]:
    order = fact.order
    if fact.kind in (ExecutionKind.ORDER_REJECTED, ExecutionKind.ORDER_CANCEL_REJECTED):
        yield IntentSettled(intent=intent.intent, outcome=Outcome.REFUSED, reason=fact.error_code or fact.kind.value)
        yield from _end_of_open(view, intent, Reason.REFUSED)
        return
    match intent.command.kind:
        case CommandKind.OPEN | CommandKind.ADD:
            is_ended = order is not None and not order.closing and order.status in ENDED_ORDER
            is_filled = order is not None and order.status is OrderStatus.FILLED and not order.closing
            if is_filled or intent.filled >= intent.command.volume or (is_ended and intent.filled > 0):
                yield IntentSettled(intent=intent.intent, outcome=Outcome.CONFIRMED)
            elif is_ended:
                yield IntentSettled(
                    intent=intent.intent, outcome=Outcome.REFUSED, reason=fact.error_code or fact.kind.value
                )
                yield from _end_of_open(view, intent, Reason.REFUSED)
        case CommandKind.CLOSE:
            if _has_closed(view, intent):
                yield IntentSettled(intent=intent.intent, outcome=Outcome.CONFIRMED)
            elif order is not None and order.closing and not fact.is_server_event and order.status in ENDED_ORDER:
                yield IntentSettled(
                    intent=intent.intent, outcome=Outcome.REFUSED, reason=fact.error_code or fact.kind.value
                )
        case CommandKind.AMEND_PROTECTION:
            if order is None or order.type is OrderType.PROTECTION:
                yield IntentSettled(intent=intent.intent, outcome=Outcome.CONFIRMED)
        case CommandKind.PLACE | CommandKind.AMEND_ORDER | CommandKind.CANCEL:
            yield IntentSettled(intent=intent.intent, outcome=Outcome.CONFIRMED)


def _has_closed(view: AccountView, intent: Intent) -> bool:
    position = intent.command.position
    held = view.positions.get(position) if position is not None else None
    return held is None or held.volume <= intent.volume_before - intent.command.volume


def _settle_by_reconcile(view: AccountView, intent: Intent, fact: Reconciled, now_us: int) -> Iterator[Event]:
    """What the broker holds settles an unknown outcome; absence counts only after the settling time, by the history."""
    copy = view.copies.get(intent.key)
    is_proof = fact.looked_up and now_us - intent.moved_us >= SETTLE_US
    match intent.command.kind:
        case CommandKind.OPEN:
            yield from _settle_open_by_reconcile(copy, intent, fact, now_us, is_proof=is_proof)
        case CommandKind.CLOSE:
            if _has_closed(view, intent):
                yield IntentSettled(intent=intent.intent, outcome=Outcome.CONFIRMED)
            elif is_proof:
                yield IntentSettled(intent=intent.intent, outcome=Outcome.ABSENT)
        case _:
            if is_proof:
                yield IntentSettled(intent=intent.intent, outcome=Outcome.ABSENT)


def _settle_open_by_reconcile(
    copy: Copy | None, intent: Intent, fact: Reconciled, now_us: int, *, is_proof: bool
) -> Iterator[Event]:
    if copy is not None and copy.position is not None:
        yield IntentSettled(intent=intent.intent, outcome=Outcome.CONFIRMED, reason="found at the broker")
        return
    order = next((order for order in fact.past_orders if order.client_order_id == intent.intent), None)
    if order is not None and order.status in ENDED_ORDER and order.executed_volume == 0:
        yield IntentSettled(intent=intent.intent, outcome=Outcome.REFUSED, reason=order.status.value)
        if copy is not None:
            yield CopyFinished(link=copy.link, source=copy.source, reason=Reason.REFUSED)
        return
    if not is_proof or order is not None:
        return
    yield IntentSettled(intent=intent.intent, outcome=Outcome.ABSENT)
    if copy is None:
        return
    may_repeat = intent.attempt < ATTEMPTS_MAX and now_us <= intent.not_after_us and copy.target > 0
    if may_repeat:
        yield IntentRecorded(
            intent=intent.intent,
            link=intent.link,
            source=intent.source,
            seq=intent.seq,
            command=intent.command,
            attempt=intent.attempt + 1,
            not_after_us=intent.not_after_us,
        )
    else:
        reason = Reason.SOURCE_GONE if copy.target <= 0 else Reason.EXPIRED
        yield CopyFinished(link=copy.link, source=copy.source, reason=reason)


# --- time ---------------------------------------------------------------------------------------------------------


def due(view: AccountView, now_us: int) -> tuple[Event, ...]:
    """The facts that the passing of time has made, to be recorded and stepped through one by one."""
    facts: list[Event] = []
    for intent in view.intents.values():
        is_waiting = intent.state in (IntentState.SENT, IntentState.ACCEPTED)
        if is_waiting and now_us - intent.moved_us >= ANSWER_US:
            facts.append(IntentOverdue(intent=intent.intent, why="no answer"))
    for copy in view.copies.values():
        if copy.retry_at_us and now_us >= copy.retry_at_us:
            facts.append(CopyOverdue(link=copy.link, source=copy.source, what="retry"))
        elif copy.awaits_protection and copy.opened_us and now_us - copy.opened_us >= PROTECTION_US:
            facts.append(CopyOverdue(link=copy.link, source=copy.source, what="levels"))
    return tuple(facts)


def next_due(view: AccountView) -> int | None:
    """When `due` will next have something to say, in us, or None."""
    moments = [
        intent.moved_us + ANSWER_US
        for intent in view.intents.values()
        if intent.state in (IntentState.SENT, IntentState.ACCEPTED)
    ]
    for copy in view.copies.values():
        if copy.retry_at_us:
            moments.append(copy.retry_at_us)
        elif copy.awaits_protection and copy.opened_us:
            moments.append(copy.opened_us + PROTECTION_US)
    return min(moments, default=None)


def lookup_due(view: AccountView) -> int | None:
    """When the broker should be asked what became of unknown outcomes, in us, or None where there are none."""
    moments = [intent.moved_us + SETTLE_US for intent in view.intents.values() if intent.state is IntentState.UNKNOWN]
    return max(moments, default=None)


# --- names --------------------------------------------------------------------------------------------------------


def label_of(store: StoreId, link: LinkId, source: SourceKey) -> str:
    """The label of a copy: the same for all its orders, so that the broker shows what belongs to which source."""
    return f"cm1.{store}.{link}.{source}"


def intent_id(store: StoreId, link: LinkId, source: SourceKey, seq: int) -> IntentId:
    """The name of one request: at most 50 ASCII characters even for the largest ids."""
    return IntentId(f"{label_of(store, link, source)}.{seq}")
