"""One turn of an account: an input is folded, and what follows from it is derived.

Everything derived here can be derived again from the record: `step` takes a fact of the stream, `decide_change` a
change of the leader with its recorded inputs. Neither reads a clock. What a copy needs (a reduction, an amendment, its
end) is level-triggered: it is asked for whenever goal and truth differ and no request of that kind is under way, so a
lost, refused or late answer only delays it.
"""

from __future__ import annotations

from dataclasses import dataclass

from cmam.domain.belief.restless import ending
from cmam.domain.belief.shares import cancelling, is_untold, losses, net_of_ledger, shares_of
from cmam.domain.belief.view import resolve
from cmam.domain.deciding.attempts import attempt, next_wake, settings_of, wakes
from cmam.domain.deciding.decide import Decision, decide
from cmam.domain.events import (
    AttemptDecided,
    ChangeDecided,
    CopiesReleased,
    CopyFinished,
    CopyOverdue,
    CopyRebuilt,
    CopyTouched,
    CopyWoken,
    Event,
    ExecutionSeen,
    FlattenRequested,
    GuardTripped,
    Health,
    HealthChanged,
    Inputs,
    IntentDropped,
    IntentRecorded,
    IntentSettled,
    Outcome,
    QuotesSampled,
    Reconciled,
    RequestRefused,
    StopOutSeen,
    Wait,
)
from cmam.domain.folds.account import AccountView, Copy, CopyKey, CopyState, evolve
from cmam.domain.folds.booking import copy_of, intent_of
from cmam.domain.folds.intents import POSITION_GONE
from cmam.domain.profiles.choices import Scope
from cmam.domain.profiles.link import LinkSettings
from cmam.domain.turns.settling import ATTEMPTS_MAX, SETTLE_US, settlements
from cmam.domain.turns.timing import ANSWER_US, due, lookup_due, next_due
from cmam.domain.turns.touching import touches, touches_of_nets
from cmam.domain.values.changes import Change
from cmam.domain.values.commands import Command, CommandKind
from cmam.domain.values.ids import (
    SWEEPS,
    ChangeKey,
    IntentId,
    LinkId,
    OrderId,
    PositionId,
    SourceKey,
    StoreId,
    SymbolId,
    base36,
    from_base36,
)
from cmam.domain.values.naming import intent_id, label_of
from cmam.domain.values.quantities import Volume
from cmam.domain.values.reasons import Reason, Verdict
from cmam.domain.values.replacing import replace
from cmam.domain.values.rules import (
    ADDS_OUTLIVE_NETS,
    PARTS_REST,
    SHARES_AWAIT_RESTS,
    STOP_OUTS_LATCH,
    SWEEPS_WAIT,
    WAITS_END,
)
from cmam.domain.values.trades import ExecutionKind, OrderStatus, OrderType
from cmam.domain.wanted.needs import close_command, needed, place_command

__all__ = [
    "ANSWER_US",
    "ATTEMPTS_MAX",
    "SETTLE_US",
    "Turn",
    "decide_change",
    "due",
    "intent_id",
    "label_of",
    "lookup_due",
    "next_due",
    "next_wake",
    "step",
    "wakes",
    "withdrawn",
]


@dataclass(frozen=True)  # no slots: see replacing.py
class Turn:
    """The view after a turn, the derived events in their order, and the view before them, the fact just folded."""

    view: AccountView
    derived: tuple[Event, ...]
    folded: AccountView | None = None

    @property
    def intents(self) -> tuple[IntentRecorded, ...]:
        """The requests that may leave once the turn is durable."""
        return tuple(event for event in self.derived if isinstance(event, IntentRecorded))


def withdrawn(view: AccountView) -> tuple[IntentId, ...]:
    """The opens whose copy shall not be any more: to be taken back where they have not left yet."""
    return tuple(
        intent.intent
        for copy in ending(view.copies)
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
    builder = _Builder(view, now_us, settings.store)
    builder.add(decided)
    if inputs.set_aside:
        return builder.turn()  # whatever else would be derived is what this account fails on
    key = resolve(builder.view, settings.link, change)
    if decision.command is not None:
        builder.intend(key, decision.command, change=change.key, not_after_us=decision.not_after_us)
    if builder.view.rules >= WAITS_END:
        builder.finish_order(key)
    builder.finish_idle(key)
    builder.enforce(key)
    for other in _with_shares(builder.view, (key,))[1:]:
        builder.enforce(other)
    return builder.turn()


# --- a fact of the account's own --------------------------------------------------------------------------------------


def step(view: AccountView, fact: Event, store: StoreId, now_us: int) -> Turn:
    """Fold one input of the account's stream and derive what follows from it."""
    after = evolve(view, fact, now_us)
    builder = _Builder(after, now_us, store)
    stopped_out: set[LinkId] = set()
    for touch in touches(view, after, fact):
        builder.add(touch)
        if isinstance(touch, StopOutSeen) and view.rules >= STOP_OUTS_LATCH:
            stopped_out.add(touch.link)
    for settlement in settlements(builder.view, fact, now_us):
        builder.add(settlement)
    for touch in touches_of_nets(view, builder.view, fact):
        builder.add(touch)
    if isinstance(fact, CopyWoken):
        builder.try_again(fact)
    restless = _restless(view, builder.view, fact)
    others = [key for key in builder.view.copies if key[0] in stopped_out and key not in restless]
    for key in (*restless, *sorted(others)):
        builder.finish_order(key)
        builder.finish_if_gone(key, fact)
        builder.finish_idle(key)
        builder.enforce(key)
    only = fact.source if isinstance(fact, CopyOverdue) and fact.source[0] in SWEEPS else None
    if isinstance(fact, (QuotesSampled, ExecutionSeen)) and view.rules >= SWEEPS_WAIT:
        builder.waiting = frozenset(source for source, vain in builder.view.in_vain.items() if vain.at_us)
    if builder.view.flatten_account and (isinstance(fact, SWEEPING) or only is not None):
        builder.sweep(only)
    if builder.view.surplus and (isinstance(fact, (ExecutionSeen, *SWEEPING)) or only is not None):
        builder.take_back(only)
    return Turn(builder.view, builder.derived, after)


SWEEPING = (FlattenRequested, GuardTripped, Reconciled, HealthChanged, QuotesSampled)
"""Facts after which what an account-wide flatten has left is asked for again, besides the moment of each by itself."""


def _restless(before: AccountView, view: AccountView, fact: Event) -> tuple[CopyKey, ...]:
    """The copies that a fact may have set in motion."""
    match fact:
        case ExecutionSeen():
            intent = intent_of(before, fact)
            keys = {copy_of(view, fact), copy_of(before, fact), intent.key if intent is not None else None}
            return _with_shares(view, tuple(sorted(key for key in keys if key is not None)))
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


class _Builder:
    """Collects the derived events of one turn, folding each as it comes."""

    def __init__(self, view: AccountView, now_us: int, store: StoreId) -> None:
        self.view = view
        self._now = now_us
        self._store = store
        self._derived: list[Event] = []
        self.waiting: frozenset[SourceKey] = frozenset()
        """What is no copy and is not asked for in this turn: it has a moment of its own."""

    def add(self, event: Event) -> None:
        self.view = evolve(self.view, event, self._now)
        self._derived.append(event)

    @property
    def derived(self) -> tuple[Event, ...]:
        return tuple(self._derived)

    def turn(self) -> Turn:
        return Turn(self.view, self.derived)

    def intend(
        self,
        key: CopyKey,
        command: Command,
        *,
        change: ChangeKey | None = None,
        not_after_us: int = 0,
        is_rest: bool = False,
    ) -> None:
        """Record a request under its derived name: the rest of another has that one's number, and its own part."""
        copy = self.view.copies.get(key)
        seq, part = (copy.last_seq if copy is not None else 0) + 1, 0
        if is_rest and copy is not None and copy.part_seq:
            seq, part = copy.part_seq, copy.part + 1
        label = label_of(self._store, *key)
        position = self.view.positions.get(command.position) if command.position is not None else None
        self.add(
            IntentRecorded(
                intent=intent_id(self._store, *key, seq, part),
                link=key[0],
                source=key[1],
                seq=seq,
                part=part,
                command=replace(command, label=label) if command.kind.adds_risk else command,
                change=change,
                volume_before=position.volume if position is not None else Volume(0),
                not_after_us=not_after_us,
            )
        )

    def try_again(self, woken: CopyWoken) -> None:
        """Look at a waiting open again."""
        key = (woken.link, woken.source)
        copy = self.view.copies.get(key)
        if copy is None or copy.wait is None or copy.change is None or self.view.health is not Health.RECONCILED:
            return
        decision = attempt(self.view, copy, woken, settings_of(self.view, copy, woken, self._store), self._now)
        if decision is None:
            return
        self.add(_attempted(copy, woken, decision))
        if decision.verdict is Verdict.COPY and decision.command is not None:
            self.intend(
                key,
                decision.command,
                change=copy.change.key,
                not_after_us=decision.not_after_us,
                is_rest=copy.wait is Wait.REMAINDER,
            )
        elif copy.position is None and not copy.awaits_amend:
            self.add(CopyFinished(link=copy.link, source=copy.source, reason=decision.reason or Reason.SOURCE_GONE))

    def finish_order(self, key: CopyKey) -> None:
        """A copied pending order has come to its end: what that means hangs on who ended it and what had filled."""
        copy = self.view.copies.get(key)
        if copy is None or not copy.ended_order or copy.position is not None:
            return
        if copy.wait is not None and not copy.awaits_amend and (copy.is_wanted or self.view.rules < WAITS_END):
            return
        if any(intent.command.kind.adds_risk for intent in self.view.intents_of(key)):
            return
        spec = self.view.specs.get(copy.symbol)
        if copy.replacing and copy.goal.terms is not None and copy.is_wanted and spec is not None:
            self._settle_all(key, "the order has ended")
            place = place_command(copy.side, spec, copy.goal.terms)
            self.intend(key, place, change=copy.change.key if copy.change is not None else None)
            return
        reason = copy.ending
        if reason is None:
            is_ours = copy.goal.terms is None or copy.grace_over or copy.leader_filled
            reason = Reason.EXPIRED if _is_past(copy, self._now) else Reason.CLOSED_BY_HUMAN
            reason = Reason.CANCELLED if is_ours else reason
        self._settle_all(key, "the order has ended")
        self.add(CopyFinished(link=copy.link, source=copy.source, reason=reason))

    def finish_if_gone(self, key: CopyKey, fact: Event) -> None:
        """End a copy whose position the broker no longer has."""
        copy = self.view.copies.get(key)
        if copy is None or copy.position is None:
            return
        is_share_out = copy.share and copy.volume == 0 and not copy.is_wanted
        if copy.position in self.view.positions and not is_share_out:
            return
        if copy.share and copy.volume > 0 and net_of_ledger(self.view, copy.symbol) == 0:
            return
        if copy.share and is_untold(self.view, copy.symbol):
            return  # what took the net away may be a request of ours; whoever it was is told by the next look
        if copy.share and self.view.rules >= ADDS_OUTLIVE_NETS and self._awaits_order(copy, fact):
            return
        if self._rests_on(copy):
            # What is left of its pending order must not fill alone.
            self.enforce_cancel(copy)
        self._settle_all(key, POSITION_GONE)
        self.add(CopyFinished(link=copy.link, source=copy.source, reason=_end_reason(copy, fact)))

    def _awaits_order(self, copy: Copy, fact: Event) -> bool:
        """Whether a share that has nothing left has to stay for an order under way: its own, which may fill into a net
        anew, as may what rests of it, or one by which another share of the net gives up what this one may have to take.

        What others took off the net is booked before that fills; where a close is under way, once that is told.
        """
        own = any(intent.command.kind.adds_risk for intent in self.view.intents_of(copy.key))
        rests = copy.order in self.view.orders and self.view.rules >= SHARES_AWAIT_RESTS
        own = own or rests
        if any(position.symbol == copy.symbol for position in self.view.positions.values()):
            return own
        shares = shares_of(self.view, copy.symbol)
        asked = {intent.command.kind for share in shares for intent in self.view.intents_of(share.key)}
        if not any(kind.adds_risk for kind in asked):
            if rests and copy.volume > 0:
                self._lose(copy, Volume(0), fact)
            return rests
        if CommandKind.CLOSE in asked:
            return True
        for share, left in tuple(losses(self.view, copy.symbol)):
            self._lose(share, left, fact)
        return own or self.view.copies[copy.key].volume > 0

    def _lose(self, share: Copy, left: Volume, fact: Event) -> None:
        """Book what others took of a share whose net is gone."""
        before, after = int(share.volume), int(left)
        reason = None if left else _end_reason(share, fact)
        link, source = share.key
        self.add(CopyTouched(link=link, source=source, what="volume", before=before, after=after, reason=reason))

    def finish_cancelling(self, symbol: SymbolId) -> None:
        """End the shares of a net that cancel each other out."""
        for share in cancelling(self.view, symbol):
            if self._rests_on(share):
                self.enforce_cancel(share)
            reason = share.ending or Reason.CLOSED_BY_LEADER
            self.add(CopyFinished(link=share.link, source=share.source, reason=reason))

    def _rests_on(self, copy: Copy) -> bool:
        """Whether a part of a copy's order rests, and its cancel is not under way."""
        if copy.order is None or copy.order not in self.view.orders:
            return False
        if self.view.rules < PARTS_REST:
            return copy.goal.terms is not None
        return not any(intent.command.kind is CommandKind.CANCEL for intent in self.view.intents_of(copy.key))

    def enforce_cancel(self, copy: Copy) -> None:
        """Cancel what rests of a copy that is at its end."""
        cancel = Command(kind=CommandKind.CANCEL, symbol=copy.symbol, side=copy.side, order=copy.order)
        self.intend(copy.key, cancel)

    def _settle_all(self, key: CopyKey, why: str) -> None:
        for intent in self.view.intents_of(key):
            if intent.command.kind is not CommandKind.CANCEL or intent.command.order not in self.view.orders:
                self.add(IntentSettled(intent=intent.intent, outcome=Outcome.CONFIRMED, reason=why))

    def finish_idle(self, key: CopyKey) -> None:
        """End a copy of which nothing was ever sent and nothing shall be, or what it waited for did not come."""
        copy = self.view.copies.get(key)
        if copy is None or copy.position is not None or copy.state is not CopyState.WAITING:
            return
        if copy.is_wanted and copy.wait is not None:
            return
        reason = copy.ending or (Reason.SOURCE_GONE if not copy.is_wanted else Reason.EXPIRED)
        if copy.wait is Wait.TURN and not copy.is_wanted:
            self.add(CopyFinished(link=copy.link, source=copy.source, reason=Reason.SOURCE_GONE))
            return
        reason = Reason.SOURCE_GONE if reason is Reason.CLOSED_BY_LEADER else reason
        self.add(CopyFinished(link=copy.link, source=copy.source, reason=reason))

    def sweep(self, only: SourceKey | None = None) -> None:
        """Close what the account holds besides its copies, and cancel what rests there; or `only` one of it."""
        if self.view.health is not Health.RECONCILED:
            return
        link = min(
            (link for (link, _), latch in self.view.latches.items() if latch.scope == Scope.ACCOUNT), default=None
        )
        if link is None:
            return
        attached = {copy.position for copy in self.view.copies.values()}
        resting = {copy.order for copy in self.view.copies.values()}
        for position in tuple(self.view.positions.values()):
            key = (link, SourceKey("x" + base36(position.position)))
            if position.position not in attached and self._may_sweep(key, only):
                self._sweep(key, close_command(position))
        for order in tuple(self.view.orders.values()):
            key = (link, SourceKey("y" + base36(order.order)))
            if order.order not in resting and self._may_sweep(key, only):
                cancel = Command(kind=CommandKind.CANCEL, symbol=order.symbol, side=order.side, order=order.order)
                self._sweep(key, cancel)

    def _may_sweep(self, key: CopyKey, only: SourceKey | None) -> bool:
        source = key[1]
        return only in (None, source) and source not in self.waiting and not self.view.intents_of(key)

    def take_back(self, only: SourceKey | None = None) -> None:
        """Close or cancel what stands besides a copy, since a request was refused and done all the same."""
        if self.view.health is not Health.RECONCILED:
            return
        for source, link in tuple(self.view.surplus.items()):
            key, number = (link, source), from_base36(source[1:])
            position, order = self.view.positions.get(PositionId(number)), self.view.orders.get(OrderId(number))
            if not self._may_sweep(key, only):
                continue
            if source.startswith("x") and position is not None:
                self._sweep(key, close_command(position))
            elif source.startswith("y") and order is not None:
                cancel = Command(kind=CommandKind.CANCEL, symbol=order.symbol, side=order.side, order=order.order)
                self._sweep(key, cancel)

    def _sweep(self, key: CopyKey, command: Command) -> None:
        """Each try has the moment in its number, since no copy counts them."""
        held = self.view.positions.get(command.position) if command.position is not None else None
        seq = self.view.version
        self.add(
            IntentRecorded(
                intent=intent_id(self._store, *key, seq),
                link=key[0],
                source=key[1],
                seq=seq,
                command=command,
                volume_before=held.volume if held is not None else Volume(0),
            )
        )

    def enforce(self, key: CopyKey) -> None:
        """Ask for what the copy's goal wants and the broker does not show yet."""
        copy = self.view.copies.get(key)
        if copy is not None and copy.share and copy.target <= 0 and self.view.health is Health.RECONCILED:
            self.finish_cancelling(copy.symbol)
        for command in needed(self.view, key, self._now):
            self.intend(key, command)


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


def _is_past(copy: Copy, now_us: int) -> bool:
    expires = copy.goal.terms.expires_ms if copy.goal.terms is not None else None
    return bool(expires) and now_us // 1_000 >= (expires or 0) - 1_000


def _end_reason(copy: Copy, fact: Event) -> Reason:
    if isinstance(fact, ExecutionSeen) and fact.order is not None:
        if fact.order.stop_out:
            return Reason.CLOSED_BY_STOP_OUT
        if fact.order.type is OrderType.PROTECTION and fact.kind is not ExecutionKind.ORDER_CANCELLED:
            return Reason.CLOSED_BY_LEVEL
    if isinstance(fact, Reconciled):
        closing = _closing_order(copy, fact)
        if closing is not None:
            return closing
    if copy.ending is not None:
        return copy.ending
    if copy.state is CopyState.CLOSING or not copy.is_wanted:
        return Reason.CLOSED_BY_LEADER
    return Reason.CLOSED_BY_HUMAN


def _closing_order(copy: Copy, fact: Reconciled) -> Reason | None:
    """What closed a copy while nobody looked, by the order of its last closing deal."""
    closes = [deal for deal in fact.deals if deal.position == copy.position and deal.close is not None]
    if not closes:
        return None
    last = max(closes, key=lambda deal: (deal.executed_ms, deal.deal))
    order = next((order for order in fact.past_orders if order.order == last.order), None)
    if order is None or order.status is OrderStatus.CANCELLED:
        return None
    if order.stop_out:
        return Reason.CLOSED_BY_STOP_OUT
    return Reason.CLOSED_BY_LEVEL if order.type is OrderType.PROTECTION else None
