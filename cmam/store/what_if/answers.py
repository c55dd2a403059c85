"""What the brokers answered to each recorded request: the best guess at what they answer to one like it.

Read from the whole log before the what-if runs, since a request stands before its answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction

from cmam.domain.belief.copies import CopyKey
from cmam.domain.events import (
    ChangeDecided,
    ClosesSeen,
    CopyWoken,
    ExecutionSeen,
    Inputs,
    IntentDropped,
    IntentRecorded,
    IntentSettled,
    Outcome,
    Reconciled,
    RequestRefused,
)
from cmam.domain.turns.opens_again import LINE_LOST
from cmam.domain.values.changes import ChangeKind
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.ids import AccountId, DealId, IntentId, LinkId, OrderId, SourceKey, SymbolId
from cmam.domain.values.trades import Deal, ExecutionKind, OrderType
from cmam.store.folding.fold import account_of
from cmam.store.records.envelope import Recorded

ALIKE_US = 2_000_000
"""A request of the same kind for the same copy, decided no farther away than this, is the same request."""
AT_ONCE = (CommandKind.OPEN, CommandKind.ADD, CommandKind.CLOSE)
"""Requests that are filled or rejected at once; a resting order that is cancelled later was none the less taken."""
LOST = f"{LINE_LOST}was lost"
"""Why a request is dropped that its broker has never had, and that is made anew."""
LATE_US = 50_000
"""How late the timer of a running system may be."""

LATENCY_US = 100_000
"""How long a fill takes at an account of which no fill is recorded."""


@dataclass(slots=True)
class Answer:
    """A recorded request with what became of it."""

    account: AccountId
    recorded: IntentRecorded
    at_us: int
    deals: list[Deal] = field(default_factory=list)
    ended_us: int = 0
    refusal: RequestRefused | None = None
    rejected: ExecutionSeen | None = None
    dropped: str = ""
    found: int | None = None
    """At which price it filled, where no deal of it was told and its order or its position was found afterwards."""
    margin: Fraction = Fraction(0)
    again_us: int = 0
    """When it was asked for anew, having proven absent or been refused for the moment."""

    @property
    def volume(self) -> int:
        """What was executed."""
        return sum(deal.filled_volume for deal in self.deals)

    @property
    def price(self) -> int | None:
        """At which price, on average; None where nothing was filled."""
        priced = [(deal.price, deal.filled_volume) for deal in self.deals if deal.price is not None]
        total = sum(volume for _, volume in priced)
        return round(Fraction(sum(price * volume for price, volume in priced), total)) if total else self.found

    @property
    def span_us(self) -> int:
        """How long the answer took."""
        return max(1, self.ended_us - self.at_us)


class Answers:
    """All recorded requests, to be looked up by what they were about."""

    def __init__(self) -> None:
        self._by_intent: dict[IntentId, Answer] = {}
        self._by_copy: dict[tuple[AccountId, CopyKey, CommandKind], list[Answer]] = {}
        self._intent_of_order: dict[tuple[AccountId, OrderId], IntentId] = {}
        self._by_label: dict[tuple[AccountId, str], list[Answer]] = {}
        self._lost: dict[AccountId, set[IntentId]] = {}
        self._following: set[AccountId] = set()
        self._deals: set[tuple[AccountId, DealId]] = set()
        self._commissions: dict[tuple[AccountId, SymbolId], tuple[int, int]] = {}
        self._margins: dict[tuple[AccountId, SymbolId], Fraction] = {}
        self._spans: dict[AccountId, int] = {}
        self._woken: dict[CopyKey, list[tuple[int, Inputs]]] = {}
        self._looked_at: dict[tuple[LinkId, SourceKey, ChangeKind], list[tuple[int, Inputs]]] = {}

    @classmethod
    def of(cls, records: Iterable[Recorded]) -> Answers:
        """Gather the answers of a log."""
        answers = cls()
        for record in records:
            account = account_of(record.stream)
            if account is not None:
                answers._take(account, record)
        return answers

    def like(self, account: AccountId, key: CopyKey, kind: CommandKind, at_us: int) -> Answer | None:
        """The recorded request that is the same one: of the same kind and copy, decided at about the same time."""
        known = self._by_copy.get((account, key, kind), ())
        near = [answer for answer in known if abs(answer.at_us - at_us) <= ALIKE_US]
        return min(near, key=lambda answer: abs(answer.at_us - at_us), default=None)

    def inputs_like(self, link: LinkId, source: SourceKey, kind: ChangeKind, at_us: int) -> Inputs | None:
        """What the recorded decision about the same change of a follower that leads others rested on."""
        known = self._looked_at.get((link, source, kind), ())
        near = [(abs(then_us - at_us), number) for number, (then_us, _) in enumerate(known)]
        distance, number = min(near, default=(ALIKE_US + 1, 0))
        return known[number][1] if distance <= ALIKE_US else None

    def woken_like(self, key: CopyKey, at_us: int) -> Inputs | None:
        """What was looked at as this copy was woken at about this moment: timers are late, a model is not."""
        near = [(then_us, inputs) for then_us, inputs in self._woken.get(key, ()) if 0 <= then_us - at_us <= LATE_US]
        return min(near, key=lambda one: one[0], default=(0, None))[1]

    def commission(self, account: AccountId, symbol: SymbolId) -> tuple[int, int] | None:
        """What one side of a deal cost on this account, in minor units, and of which volume; None where unknown."""
        return self._commissions.get((account, symbol))

    def margin(self, account: AccountId, symbol: SymbolId, volume: int) -> int:
        """The margin that a volume binds, by what was bound before on this account."""
        return round(self._margins.get((account, symbol), Fraction(0)) * volume)

    def span_us(self, account: AccountId) -> int:
        """How long this account's broker takes to fill."""
        return self._spans.get(account, LATENCY_US)

    def _take(self, account: AccountId, record: Recorded) -> None:
        match record.event:
            case IntentRecorded() as event:
                if event.intent in self._by_intent:
                    self._asked_again(self._by_intent[event.intent], record.at_us)
                else:
                    answer = Answer(account, event, record.at_us)
                    self._by_intent[event.intent] = answer
                    self._following.add(account)
                    key = (account, (event.link, event.source), event.command.kind)
                    self._by_copy.setdefault(key, []).append(answer)
                    if event.command.kind is CommandKind.OPEN:
                        self._by_label.setdefault((account, event.command.label), []).append(answer)
            case ChangeDecided() as event if event.change.leader in self._following:
                key_of_change = (event.link, event.change.source, event.change.kind)
                self._looked_at.setdefault(key_of_change, []).append((record.at_us, event.inputs))
            case CopyWoken() as event:
                self._woken.setdefault((event.link, event.source), []).append((record.at_us, event.inputs))
            case RequestRefused() as event:
                self._end(event.intent, record.at_us, refusal=event)
            case IntentDropped() as event:
                self._end(event.intent, record.at_us, dropped=event.reason)
            case ExecutionSeen() as event:
                self._execution(account, event, record.at_us)
            case Reconciled() as event:
                self._reconcile(account, event, record.at_us)
            case ClosesSeen() as event:
                self._closes(account, event, record.at_us)
            case IntentSettled() as event:
                self._settled(event, record.at_us)
            case _:
                pass

    def _asked_again(self, answer: Answer, at_us: int) -> None:
        """Another try of a request: what became of it is what the last one came to."""
        answer.again_us = at_us
        if not answer.deals:
            answer.ended_us, answer.refusal, answer.rejected, answer.dropped = 0, None, None, ""

    def _end(self, intent: IntentId, at_us: int, *, refusal: RequestRefused | None = None, dropped: str = "") -> None:
        answer = self._by_intent.get(intent)
        if answer is not None and not answer.deals:
            answer.ended_us, answer.refusal, answer.dropped = at_us, refusal, dropped

    def _execution(self, account: AccountId, event: ExecutionSeen, at_us: int) -> None:
        order = event.order
        name = IntentId(order.client_order_id) if order is not None else IntentId("")
        if name not in self._by_intent:
            name = IntentId(event.client_msg_id)
        answer = self._by_intent.get(name)
        if answer is None:
            return
        if order is not None and not event.is_server_event:
            self._intent_of_order[account, order.order] = name
        is_rejected = event.kind is ExecutionKind.ORDER_REJECTED or (
            event.kind is ExecutionKind.ORDER_CANCELLED
            and answer.recorded.command.kind in AT_ONCE
            and (order is None or order.type is not OrderType.PROTECTION)
        )
        if is_rejected and not answer.deals:
            answer.rejected, answer.ended_us = event, at_us
        if event.deal is not None and not event.is_server_event:
            self._deal(answer, event.deal, at_us)
            held = event.position
            if held is not None and held.volume > 0 and held.used_margin > 0:
                answer.margin = self._margins[account, held.symbol] = Fraction(held.used_margin, held.volume)
        elif not answer.ended_us and not answer.recorded.command.kind.adds_risk:
            answer.ended_us = at_us

    def _settled(self, event: IntentSettled, at_us: int) -> None:
        """What was asked in a gap is answered when it is known what became of it."""
        answer = self._by_intent.get(event.intent)
        if answer is None or answer.ended_us:
            return
        if event.outcome is Outcome.ABSENT:
            self._end(event.intent, at_us, dropped=LOST if event.retry_in_us else Outcome.ABSENT.value)
        elif event.outcome is Outcome.REFUSED:
            is_temporary = event.retry_in_us > 0
            refused = RequestRefused(intent=event.intent, error_code=event.reason, is_temporary=is_temporary)
            self._end(event.intent, at_us, refusal=refused)
        elif event.outcome is Outcome.CONFIRMED:
            answer.ended_us = at_us
            if answer.recorded.command.kind is CommandKind.CLOSE and not answer.deals:
                self._lost.setdefault(answer.account, set()).add(event.intent)

    def _closes(self, account: AccountId, event: ClosesSeen, at_us: int) -> None:
        """The deals of closes whose answers were lost: by their orders' names, else by what was asked of whom, when."""
        for order in event.orders:
            if IntentId(order.client_order_id) in self._by_intent:
                self._intent_of_order[account, order.order] = IntentId(order.client_order_id)
        for deal in sorted(event.deals, key=lambda deal: (deal.executed_ms, deal.deal)):
            known = self._intent_of_order.get((account, deal.order)) or self._lost_close(account, deal)
            if known is not None and deal.close is not None and (account, deal.deal) not in self._deals:
                answer = self._by_intent[known]
                self._deal(answer, deal, answer.ended_us or at_us)

    def _lost_close(self, account: AccountId, deal: Deal) -> IntentId | None:
        for name in sorted(self._lost.get(account, ()), key=lambda name: self._by_intent[name].at_us):
            answer = self._by_intent[name]
            asked = answer.recorded.command
            is_then = answer.at_us - ALIKE_US <= deal.executed_ms * 1_000 <= answer.ended_us + ALIKE_US
            if is_then and (asked.position, asked.volume) == (deal.position, deal.filled_volume):
                self._lost[account].discard(name)
                return name
        return None

    def _reconcile(self, account: AccountId, event: Reconciled, at_us: int) -> None:
        for order in (*event.past_orders, *event.orders):
            name = IntentId(order.client_order_id)
            if name in self._by_intent:
                self._intent_of_order[account, order.order] = name
                if order.executed_volume > 0 and order.execution_price is not None:
                    self._by_intent[name].found = order.execution_price
        for position in event.positions:
            for answer in self._by_label.get((account, position.label), ()) if position.label else ():
                if not answer.deals and answer.found is None:
                    answer.found = position.price
        for deal in event.deals:
            known = self._intent_of_order.get((account, deal.order))
            if known is not None:
                self._deal(self._by_intent[known], deal, at_us)

    def _deal(self, answer: Answer, deal: Deal, at_us: int) -> None:
        account = answer.account
        if not deal.is_execution or (account, deal.deal) in self._deals:
            return
        self._deals.add((account, deal.deal))
        answer.deals.append(deal)
        answer.ended_us, answer.rejected, answer.refusal, answer.dropped = at_us, None, None, ""
        self._commissions[account, deal.symbol] = (deal.commission, deal.filled_volume)
        if answer.recorded.command.kind is not CommandKind.PLACE and at_us - answer.at_us <= ALIKE_US:
            self._spans[account] = answer.span_us
