"""Those who follow an account: told what is new, what they missed while they were away, and what there is to hold.

Held by the account's actor and run in its turns. A follower that is behind is told the past from the record first, then
what came meanwhile, then what is new: always in the order of the account's stream, each change once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cmam.actors import messages as m
from cmam.actors.threads.runtime import Directory
from cmam.domain.belief.restored import as_undecided
from cmam.domain.belief.view import AccountView
from cmam.domain.events import Event, ExecutionSeen, Health, Reconciled, TrailingStopMoved
from cmam.domain.folds.account import evolve
from cmam.domain.turns.leading import changes
from cmam.domain.values.ids import AccountId, LinkId, SymbolId
from cmam.domain.values.quantities import Quote
from cmam.domain.values.replacing import replace

TELLING = (ExecutionSeen, Reconciled, TrailingStopMoved)
"""The facts that may tell followers a change (`domain/turns/leading.py`)."""
AFTER_ALL = 1 << 30
"""An index behind every change of one record."""


@dataclass(frozen=True, slots=True)
class _Behind:
    """A follower that is being told the past: its place, how far the record must reach, and what came meanwhile."""

    place: tuple[int, int]
    until: int
    held: list[m.LeaderChanged]


def _has_news(who: _Behind, message: m.StreamRead) -> bool:
    """Whether the end of the stream holds something that a follower may not have decided.

    How many changes its last record tells is known by folding alone: orders that fill into a net, then a position, its
    levels, an order.
    """
    return any(
        isinstance(event, TELLING) and (version, AFTER_ALL) > who.place
        for version, (event, _) in enumerate(message.records, start=message.after + 1)
    )


class Followers:
    """The links in which an account leads, by where each of them stands."""

    def __init__(
        self,
        account: AccountId,
        directory: Directory,
        quote_of: Callable[[SymbolId], Quote | None],
        told: tuple[int, int] | None = None,
        past: AccountView | None = None,
    ) -> None:
        """Of an account as it starts.

        `told` is the place of the last change that its record tells, None where that is not known; `past` its view at
        an earlier time, from which what some have missed can be folded.
        """
        self._account = account
        self._told = told
        self._past = past
        self._base = AccountView(account=account)
        self._name = m.account_name(account)
        self._directory = directory
        self._quote_of = quote_of
        self._routes: dict[LinkId, m.FollowFrom] = {}
        self._behind: dict[LinkId, _Behind] = {}
        self._joining: set[LinkId] = set()
        self._is_reading_all = False
        self._reads_again = False

    def __bool__(self) -> bool:
        """Whether anybody follows."""
        return bool(self._routes)

    def join(self, message: m.FollowFrom, view: AccountView) -> None:
        """Take a follower in at its place; the record is asked for where that is not the end."""
        self._routes[message.link] = message
        self._joining.discard(message.link)  # holdings come behind the past: before it, both would reduce
        waiting = self._behind.get(message.link)
        last = self._told if self._told is not None else (view.version, AFTER_ALL)
        if waiting is None and (message.version, message.index) >= last:
            self._tell_holdings((message.link,), view)
            return
        held = waiting.held if waiting is not None else []
        self._behind[message.link] = _Behind((message.version, message.index), view.version, held)
        self._directory.tell(m.RECORDER, m.Read(self._name, self._name, after=max(0, message.version - 1)))

    def leave(self, link: LinkId) -> None:
        """Tell a link no more."""
        self._routes.pop(link, None)
        self._behind.pop(link, None)
        self._joining.discard(link)

    def tell(self, before: AccountView, after: AccountView, fact: Event, received_us: int) -> None:
        """Tell everybody what a fact has changed."""
        if not self._routes:
            self._told = None if isinstance(fact, TELLING) else self._told  # nobody asks what it might have told
            return
        version = before.version + 1
        for index, change in enumerate(changes(before, after, fact, self._quote_of)):
            self._told = (version, index)
            for link in self._routes:
                told = m.LeaderChanged(link, change, version, index, received_us)
                if link in self._behind:
                    self._behind[link].held.append(told)
                else:
                    self._send(link, told)

    def tell_the_past(self, message: m.StreamRead, view: AccountView) -> None:
        """Tell every follower that is behind what it has not decided.

        The end of the stream was read first: where it holds nothing that could be a change, as after an orderly stop,
        there is nothing to tell. Else the stream is folded again, from a view of before or from its first record.
        """
        end = message.after + len(message.records)
        behind = {link: who for link, who in self._behind.items() if who.until <= end}
        if message.after != self._base.version:
            self._tell_the_end(message, behind, view)
            return
        past = self._base
        behind = {link: who for link, who in behind.items() if who.place[0] >= past.version}
        for event, at_us in message.records if behind else ():
            before, past = past, evolve(past, event, at_us)
            told = [link for link, who in behind.items() if who.place < (past.version, AFTER_ALL)]
            if not told or event.IS_DERIVED:
                continue
            for index, change in enumerate(changes(before, past, event, self._quote_of)):
                for link in told:
                    if behind[link].place < (past.version, index):
                        late = replace(as_undecided(view, past.version, change), late=True)
                        self._send(link, m.LeaderChanged(link, late, past.version, index))
        self._catch_up(behind, end, view)
        self._is_reading_all = False
        if self._reads_again and self._behind:
            self._read_all()

    def _tell_the_end(self, message: m.StreamRead, behind: Mapping[LinkId, _Behind], view: AccountView) -> None:
        covered = {link: who for link, who in behind.items() if who.place[0] > message.after}
        quiet = {link: who for link, who in covered.items() if not _has_news(who, message)}
        self._catch_up(quiet, message.after + len(message.records), view)
        if len(quiet) < len(covered):
            self._read_all()

    def _read_all(self) -> None:
        """Have the whole stream read, once at a time: the past of many followers is one past."""
        self._reads_again = self._is_reading_all
        if not self._is_reading_all:
            self._is_reading_all = True
            past, first = self._past, min((who.place[0] for who in self._behind.values()), default=0)
            self._base = past if past is not None and past.version <= first else AccountView(account=self._account)
            self._directory.tell(m.RECORDER, m.Read(self._name, self._name, after=self._base.version))

    def _catch_up(self, behind: Mapping[LinkId, _Behind], end: int, view: AccountView) -> None:
        """The past up to a version is told: tell what came since, and what there is to hold."""
        for link, who in behind.items():
            del self._behind[link]
            for held in who.held:
                if held.version > end:
                    self._send(link, held)
        self._tell_holdings(tuple(behind), view)

    def reconciled(self, view: AccountView) -> None:
        """What the account holds is known: tell those who wait for it."""
        joining, self._joining = tuple(sorted(self._joining)), set()
        self._tell_holdings(joining, view)

    def _tell_holdings(self, links: tuple[LinkId, ...], view: AccountView) -> None:
        """Tell links that begin what there is to hold, once that is known: now, or after the reconcile."""
        if view.health is not Health.RECONCILED:
            self._joining.update(links)
            return
        for link in links:
            self._send(link, m.LeaderHolds(link, view))

    def _send(self, link: LinkId, message: m.LeaderChanged | m.LeaderHolds) -> None:
        """Tell a link, under the ticket of what it asked last: an actor that has started again asks anew."""
        asked = self._routes.get(link)
        if asked is not None:
            self._directory.tell(m.account_name(asked.follower), replace(message, ticket=asked.ticket))
