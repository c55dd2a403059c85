"""What the next start would do about what differs, told before it does: done with a hand that changes nothing.

The very functions of the account's turn run here, over the views of one moment. Pure: who asks the brokers is not known
here, and nothing is sent or recorded.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from cmam.domain.belief.view import AccountView
from cmam.domain.deciding.inputs import gather
from cmam.domain.events import (
    ChangeDecided,
    CopyFinished,
    CopyRebuilt,
    Event,
    Finding,
    Health,
    HealthChanged,
    IntentRecorded,
    Reconciled,
)
from cmam.domain.folds.account import evolve
from cmam.domain.profiles.link import LinkSettings
from cmam.domain.repair.reconcile import bring_together, findings
from cmam.domain.repair.twins import Seen, latched, seen, twin_in_snapshot
from cmam.domain.turns.leading import changes
from cmam.domain.turns.making import Turn
from cmam.domain.turns.turn import decide_change, step
from cmam.domain.values.changes import Change
from cmam.domain.values.ids import LinkId, SymbolId
from cmam.domain.values.quantities import Quote, units_text
from cmam.domain.values.reasons import Verdict
from cmam.domain.values.replacing import replace

Quotes = Mapping[str, Quote]


@dataclass(frozen=True, slots=True)
class Repair:
    """A difference between what the record believes and what a broker shows, and what removes it."""

    finding: str
    repair: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class Differences:
    """What differs between record, follower and leader, and what the next start would do about it, step by step."""

    findings: tuple[Finding, ...] = ()
    repairs: tuple[Repair, ...] = ()


def differences(
    leader_before: AccountView,
    leader_books: Reconciled | None,
    follower_before: AccountView,
    follower_books: Reconciled | None,
    link: LinkSettings,
    others: Collection[LinkId],
    quotes: Quotes,
    leader_quotes: Quotes,
    now_us: int,
) -> Differences:
    """What the next start would find and do about the gap, by doing it without sending or recording anything."""
    if follower_books is None:
        return Differences()
    told = evolve(follower_before, follower_books, now_us)
    known = None if leader_books is None else evolve(leader_before, leader_books, now_us)
    known = None if known is None else replace(known, health=Health.RECONCILED)
    found = findings(told, (link,), lambda account: known if account == link.leader else None, now_us)
    rehearsal = Rehearsal(follower_before, link, quotes, leader_quotes, now_us, known)
    if follower_before.health is not Health.DOWN:  # as a start says first: from here on it was out of sight
        rehearsal.fold(HealthChanged(health=Health.DOWN))
    rehearsal.fold(follower_books)
    rehearsal.mind_twin(seen(follower_before))
    rehearsal.fold(HealthChanged(health=Health.RECONCILED))
    if leader_books is None or known is None:
        return Differences(found, tuple(rehearsal.repairs))
    names = {entry.symbol: name for name, entry in leader_before.names.items()}

    def quote_of(symbol: SymbolId) -> Quote | None:
        return leader_quotes.get(names.get(symbol, ""))

    for index, change in enumerate(changes(leader_before, known, leader_books, quote_of)):
        rehearsal.decide(change, index)
    bring_together(rehearsal, known, link, others, quote_of)
    return Differences(found, tuple(rehearsal.repairs))


class Rehearsal:
    """A hand that changes nothing but its own view, and notes what the account's own would record and ask for."""

    def __init__(
        self,
        view: AccountView,
        link: LinkSettings,
        quotes: Quotes,
        leader_quotes: Quotes,
        now_us: int,
        leader: AccountView | None,
    ) -> None:
        self.view = view
        self.repairs: list[Repair] = []
        self.events: list[Event] = []
        self._link = link
        self._quotes = quotes
        self._leader_quotes = leader_quotes
        self._now_us = now_us
        self._leader = leader

    def fold(self, fact: Event) -> None:
        """Fold a fact, and note what follows from it."""
        self._note(step(self.view, fact, self._link.store, self._now_us))

    def mind_twin(self, before: Seen) -> None:
        """Open nothing where another cmam has copied under this store's name, or the log was restored from a backup."""
        if evidence := twin_in_snapshot(self.view, (self._link,), before):
            self.repairs.append(Repair(evidence, "nothing is opened until `cmam rearm`"))
            for fact in tuple(latched(self.view, (self._link,))):
                self.fold(fact)

    def take(self, fact: CopyRebuilt) -> None:
        """Take a copy into the record."""
        what = f"position {fact.position}" if fact.position is not None else f"order {fact.order}"
        if fact.position is not None or fact.order is not None:
            self.repairs.append(Repair(f"{what} is in no record", "taken in by its label", str(fact.source)))
        self.fold(fact)

    def decide(self, change: Change, index: int) -> None:
        """Decide a change."""
        quote = self._leader_quotes.get(change.symbol.name)
        inputs = gather(self.view, change, self._link, self._quotes.get, leader_quote=quote, leader=self._leader)
        version = self._leader.version if self._leader is not None else 0
        self._note(decide_change(self.view, self._link, change, (version, index), inputs, self._now_us))

    def _note(self, turn: Turn) -> None:
        self.view = turn.view
        self.events.extend(turn.derived)
        for event in turn.derived:
            self.repairs.extend(_of_event(event, self._link))


def _of_event(event: object, link: LinkSettings) -> Iterator[Repair]:
    match event:
        case IntentRecorded() if event.link == link.link:
            command = event.command
            what = command.kind.value.replace("_", " ")
            volume = f" {units_text(command.volume)} units" if command.volume else ""
            of = f" of position {command.position}" if command.position else ""
            yield Repair("the broker does not show what the copy shall be", f"{what}{volume}{of}", str(event.source))
        case CopyFinished() if event.link == link.link:
            yield Repair(
                f"the copy is no more at the broker: {event.reason.value}", "noted as ended", str(event.source)
            )
        case ChangeDecided() if event.verdict is not Verdict.COPY and event.change.kind.adds_risk:
            why = event.reason.value if event.reason is not None else "no reason"
            yield Repair(
                f"the leader has {event.change.kind.value} meanwhile", f"not copied: {why}", str(event.change.source)
            )
        case ChangeDecided() if event.verdict is Verdict.COPY:
            yield Repair(f"the leader's {event.change.kind.value} was missed", "followed", str(event.change.source))
        case _:
            return
