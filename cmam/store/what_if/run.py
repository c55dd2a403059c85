"""A what-if on its way through the log: every recorded turn is taken twice, as it was and as it would have been.

A copy keeps its recorded reports as long as both sides agree on it to the last field. From its first difference it is
*apart*: what the record says of it is taken for what people and markets did (a level reached, a close by hand),
and what it asks for is answered by the model. Times are those of the record; nothing here reads a clock.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from cmam.domain.belief.copies import Copy, CopyKey, Intent
from cmam.domain.belief.view import AccountView
from cmam.domain.deciding.attempts import as_now, settings_of, wakes
from cmam.domain.deciding.inputs import gather, quotes_needed
from cmam.domain.events import (
    ChangeDecided,
    CopyOverdue,
    CopyWoken,
    Event,
    GuardRearmed,
    Inputs,
    IntentOverdue,
    IntentRecorded,
    QuotesSampled,
    Wait,
)
from cmam.domain.folds.account import evolve
from cmam.domain.folds.realised import realised
from cmam.domain.guarding import guards
from cmam.domain.market.mapping import is_unread
from cmam.domain.operating.registry import Registry
from cmam.domain.profiles.link import LinkSettings
from cmam.domain.turns.leading import changes
from cmam.domain.turns.timing import due
from cmam.domain.turns.turn import decide_change, step
from cmam.domain.values.changes import Change
from cmam.domain.values.ids import AccountId, IntentId
from cmam.domain.values.quantities import Quote
from cmam.store.folding.fold import account_of
from cmam.store.what_if.answers import Answer, Answers
from cmam.store.what_if.asked import Asked
from cmam.store.what_if.book import Book
from cmam.store.what_if.compare import differs, key_of, reached
from cmam.store.what_if.model import Model
from cmam.store.what_if.money import Counted
from cmam.store.what_if.outside import outside
from cmam.store.what_if.profiles import Profiles
from cmam.store.what_if.quotes import Quotes, quotes_in
from cmam.store.what_if.rows import Rows
from cmam.store.what_if.turns import RecordedTurn, turns

LOOK_US = 250_000
"""How often the running system looks at what waits and at its guards."""


class Run:
    """One what-if over one log."""

    def __init__(self, answers: Answers, asked: Asked) -> None:
        self.rows = Rows()
        self.books: dict[AccountId, Book] = {}
        self.counted = Counted()
        self.quotes = Quotes()
        self.records = 0
        self.first_us = 0
        self.now_us = 0
        self._answers = answers
        self._profiles = Profiles(asked)
        self._heap: list[tuple[int, int, AccountId, IntentId, int, Answer | None]] = []
        self._numbers = itertools.count()

    def take_all(self, records: Iterable[Any]) -> None:
        """Take a whole log, then value what is still open."""
        for turn in turns(records):
            self.take(turn)
        answered_us = max(
            (answer[0] for answer in self._heap), default=self.now_us
        )  # what is under way as the log ends
        self._pass_time(answered_us + 1)
        for book in self.books.values():
            self.rows.valued(book.real, book.model, self.now_us, other=False)
            self.rows.valued(book.view, book.model, self.now_us, other=True)

    def take(self, turn: RecordedTurn) -> None:
        """Take one recorded turn on both sides."""
        head = turn.head
        self.records += len(turn.events)
        self.first_us = self.first_us or head.at_us
        self._pass_time(head.at_us)
        self.now_us = max(self.now_us, head.at_us)
        number = account_of(head.stream)
        if number is None:
            self._organise(head.stream, turn.events)
            return
        book = self._book(number)
        moved = self._see_quotes(book, head.event, head.at_us)
        if isinstance(head.event, ChangeDecided):
            self._decided(book, turn, head.event)
        else:
            self._input(book, turn)
        if isinstance(head.event, QuotesSampled):
            book.sample(head.at_us)
        for feed in moved:
            self._market_moved(feed, head.at_us)

    def _book(self, number: AccountId) -> Book:
        book = self.books.get(number)
        if book is None:
            known = self.registry.accounts.get(number)
            feed = f"{known.broker} {known.is_live}" if known is not None else str(number)
            view = AccountView(account=number)

            def quote_of(name: str) -> Quote | None:
                return self.quotes.last(feed, name)

            book = self.books[number] = Book(view, view, Model(self._answers, quote_of, self.counted), feed)
            self._see_guards(book)
        return book

    # --- profiles -----------------------------------------------------------------------------------------------------

    def _organise(self, stream: str, events: Iterable[Event]) -> None:
        self._profiles.take(stream, events)
        for book in self.books.values():
            self._see_guards(book)

    def _see_guards(self, book: Book) -> None:
        """Guards that are other ones are watched here; what their timers said then is not taken."""
        book.own_guards |= self._profiles.has_other_guards(book.real.account)

    @property
    def registry(self) -> Registry:
        """What is known of accounts and profiles."""
        return self._profiles.registry

    # --- quotes -------------------------------------------------------------------------------------------------------

    def _see_quotes(self, book: Book, event: Event, at_us: int) -> set[str]:
        moved: set[str] = set()
        for is_of_leader, name, quote in quotes_in(event):
            feed: str | None = book.feed
            if is_of_leader and isinstance(event, ChangeDecided):
                leader = self.books.get(event.change.leader)
                feed = leader.feed if leader is not None else None
            if feed is not None and self.quotes.see(feed, name, quote, at_us):
                moved.add(feed)
        if isinstance(event, ChangeDecided | CopyWoken):
            book.clock = (event.inputs.clock_offset_ms, event.inputs.clock_doubt_ms)
        return moved

    def _market_moved(self, feed: str, at_us: int) -> None:
        """New quotes on a feed: levels and resting orders that are ours to watch may be reached."""
        for book in self.books.values():
            if book.feed == feed and book.is_apart:
                for fact in reached(book, at_us):
                    self._step(book, fact, at_us, is_ours=True)
                self._look(book, at_us)

    # --- a recorded decision ------------------------------------------------------------------------------------------

    def _decided(self, book: Book, turn: RecordedTurn, event: ChangeDecided) -> None:
        at_us = turn.head.at_us
        before = book.real
        self._real(book, turn)
        settings = self._profiles.settings_then(event)
        leader = self.books.get(event.change.leader)
        source = leader.owners.get(event.change.position) if leader and event.change.position is not None else None
        if settings is None or (leader is not None and source in leader.apart):
            if settings is not None:
                self.rows.decided(book.real, event, None, at_us)
            return
        inputs = self._with_more_quotes(book, before, event, settings, at_us)
        asked = self._profiles.asked.change(settings)
        cause = (event.cause_version, event.cause_index)
        decided = decide_change(book.view, asked, event.change, cause, inputs, at_us)
        book.view = decided.view
        other = decided.derived[0] if decided.derived else None
        self.rows.decided(book.real, event, other if isinstance(other, ChangeDecided) else None, at_us)
        self.rows.noted(book.real, turn.events, other=False)  # its row may be of this very decision
        self.rows.noted(book.view, decided.derived, other=True)
        self._finish(book, turn.derived, decided.derived, at_us)

    def _with_more_quotes(
        self, book: Book, before: AccountView, event: ChangeDecided, settings: LinkSettings, at_us: int
    ) -> Inputs:
        """The recorded inputs, and of what only the other settings need the quotes that stand elsewhere in the log."""
        asked = self._profiles.asked.change(settings)
        if asked is settings and not book.is_apart:
            return event.inputs
        looked_at = set(quotes_needed(before, event.change, settings))
        more = {
            name: quote
            for name in quotes_needed(book.view, event.change, asked)
            if name not in looked_at and (quote := self.quotes.at(book.feed, name, at_us)) is not None
        }
        return replace(event.inputs, quotes={**more, **event.inputs.quotes}) if more else event.inputs

    # --- a recorded input ---------------------------------------------------------------------------------------------

    def _input(self, book: Book, turn: RecordedTurn) -> None:
        at_us, fact, before = turn.head.at_us, turn.head.event, book.real
        book.balance_before = before.balance
        self._real(book, turn)
        key = book.concern(before, fact)
        derived: tuple[Event, ...] = ()
        if book.is_of_apart(fact, key):
            for own in outside(book, before, fact, key, at_us):
                self._step(book, own, at_us, is_ours=True)
        elif not (book.is_guard_fact(fact) and book.watches_guards):
            derived = self._step(book, self._as_asked(book, fact), at_us, is_ours=False)
        book.keep_up()
        keys = {key} if key is not None else None
        if key is None and not isinstance(fact, QuotesSampled):
            keys = {*book.real.copies, *book.view.copies} if derived or turn.derived else set()
        self._finish(book, turn.derived, derived, at_us, keys or set())

    def _as_asked(self, book: Book, fact: Event) -> Event:
        """A recorded fact as it would have been recorded under the settings that are asked for."""
        fact = book.translated(fact)
        if isinstance(fact, CopyWoken):
            copy = book.view.copies.get((fact.link, fact.source))
            if copy is not None:
                then = settings_of(book.view, copy, fact, self.registry.store)
                fact = replace(fact, settings=self._profiles.asked.change(then).settings)
        return fact

    # --- both sides of a turn -----------------------------------------------------------------------------------------

    def _real(self, book: Book, turn: RecordedTurn) -> None:
        """Fold what is recorded."""
        before = book.real
        for event in turn.events:
            book.real = evolve(book.real, event, turn.head.at_us)
        self.rows.paid(book.real.account, realised(before, book.real, turn.head.event), other=False)
        self.rows.noted(book.real, turn.events, other=False)

    def _step(self, book: Book, fact: Event, at_us: int, *, is_ours: bool) -> tuple[Event, ...]:
        """Fold an input here, and derive what follows from it."""
        before = book.view
        turn = step(before, fact, self.registry.store, at_us)
        book.view = turn.view
        self.rows.paid(before.account, realised(before, turn.view, fact), other=True)
        self.rows.noted(turn.view, turn.derived, other=True)
        book.fresh.extend(turn.intents)
        if is_ours:
            for touched in {key_of(event) for event in turn.derived} | {book.concern(before, fact)}:
                if touched is not None:
                    self.rows.took(turn.view, touched, other=True)
            if turn.folded is not None:
                self._tell(book, changes(before, turn.folded, fact), at_us)
        return turn.derived

    def _finish(
        self,
        book: Book,
        recorded: Iterable[Event],
        other: Iterable[Event],
        at_us: int,
        keys: set[CopyKey] | None = None,
    ) -> None:
        """After a turn: see where the two sides went apart, and let what is apart go on."""
        recorded, other = tuple(recorded), tuple(other)
        named = {key_of(event) for event in (*recorded, *other)} | (keys or set())
        touched = {book.real.key_of(one) for one in named if one is not None}
        if not book.fresh:
            book.fresh.extend(event for event in other if isinstance(event, IntentRecorded))
        for key in sorted(touched):
            copy = book.real.copies.get(key)
            if copy is not None and copy.position is not None:
                book.owners[copy.position] = key
            if key not in book.apart and differs(book, key, recorded, other):
                self._part(book, key, at_us)
            self.rows.took(book.real, key, other=False)
            self.rows.took(book.view, key, other=True)
        self._go_on(book, at_us)

    def _part(self, book: Book, key: CopyKey, at_us: int) -> None:
        """From here on this copy is modelled; on a netted account all that shares its position is."""
        parted = {key}
        copy = book.real.copies.get(key) or book.view.copies.get(key)
        if copy is not None and copy.share:
            book.symbols.add(copy.symbol)
            both = (*book.real.copies.values(), *book.view.copies.values())
            parted |= {other.key for other in both if other.symbol == copy.symbol}
        for one in parted - book.apart:
            book.apart.add(one)
            row = self.rows.row_of(book.real.account, one)
            if row is not None:
                row.is_modelled = True
            for intent in book.view.intents_of(one):
                self._ask(book, intent, at_us)

    def _go_on(self, book: Book, at_us: int) -> None:
        fresh, book.fresh = book.fresh, []
        for recorded in fresh:
            intent = book.view.intents.get(recorded.intent)
            if intent is not None and (intent.key in book.apart or intent.command.symbol in book.symbols):
                self._ask(book, intent, at_us)
        if book.is_apart:
            self._look(book, at_us, at_once=True)

    # --- what is apart ------------------------------------------------------------------------------------------------

    def _ask(self, book: Book, intent: Intent, at_us: int) -> None:
        """Send a request to the modelled broker."""
        name = (str(intent.intent), intent.attempt)
        if name in book.asked:
            return
        book.asked.add(name)
        like, span_us = book.model.answer_to(book.view, intent)
        if like is not None and not like.ended_us:
            return  # the record ends before its answer
        due_us = max(at_us, intent.recorded_us + span_us)
        entry = (due_us, next(self._numbers), book.view.account, intent.intent, intent.attempt, like)
        heapq.heappush(self._heap, entry)

    def _pass_time(self, until_us: int) -> None:
        """Let happen what happens by itself before a moment; what is recorded at the same instant comes first."""
        while True:
            alarms = [(book.alarm_us, number) for number, book in self.books.items() if book.alarm_us is not None]
            alarm = min(alarms, default=None)
            answer_us = self._heap[0][0] if self._heap else None
            if answer_us is not None and answer_us < until_us and (alarm is None or answer_us <= alarm[0]):
                self._deliver()
            elif alarm is not None and alarm[0] < until_us:
                self.books[alarm[1]].alarm_us = None
                self._look(self.books[alarm[1]], alarm[0], at_once=True)
            else:
                return

    def _deliver(self) -> None:
        due_us, _, account, name, attempt, like = heapq.heappop(self._heap)
        book = self.books[account]
        intent = book.view.intents.get(name)
        if intent is None or intent.attempt != attempt:
            return
        for fact in book.model.report(book.view, intent, like, due_us):
            self._step(book, fact, due_us, is_ours=True)
        self._go_on(book, due_us)

    def _look(self, book: Book, at_us: int, *, at_once: bool = False) -> None:
        """What the passing of time makes of what is apart: reminders, waiting opens, guards."""
        if not at_once and at_us < book.woken_us + LOOK_US:
            return
        book.woken_us = at_us
        links = self._profiles.links_of(book.view.account)
        facts: list[Event] = [
            fact for fact in due(book.of_apart(), at_us) if isinstance(fact, CopyOverdue | IntentOverdue | GuardRearmed)
        ]

        def inputs_of(copy: Copy, link: LinkSettings) -> Inputs:
            assert copy.change is not None, f"expected a copy that waits, found {copy.key}"
            offset_ms, doubt_ms = book.clock
            then = self._answers.woken_like(copy.key, at_us)
            seen = {} if then is None else {n: quote for n, quote in then.quotes.items() if quote.seen_us <= at_us}
            return gather(
                book.view,
                copy.change,
                link,
                lambda name: seen.get(name) or self.quotes.at(book.feed, name, at_us),
                leader_quote=self._leader_quote(copy, at_us),
                clock_offset_ms=offset_ms,
                clock_doubt_ms=doubt_ms,
                is_reading=copy.wait is Wait.QUOTES and is_unread(book.view, copy.leader_symbol, link.policy),
            )

        if any(copy.wait is not None or copy.trouble or copy.left_out for copy in book.of_apart().copies.values()):
            found = wakes(book.view, links, inputs_of, at_us)
            facts += [fact for fact in found if (fact.link, fact.source) in book.apart]
        if book.watches_guards and guards.needs_watch(links.values()):
            watched = guards.watch(book.view, links.values(), self._quote_now(book, at_us), book.guards, at_us)
            book.guards = watched.memory
            facts += watched.facts
        for fact in facts:
            if isinstance(fact, CopyWoken):
                fact = as_now(fact, book.view, links, inputs_of)
            self._step(book, fact, at_us, is_ours=True)
        fresh, book.fresh = book.fresh, []
        for recorded in fresh:
            intent = book.view.intents.get(recorded.intent)
            if intent is None:
                continue
            if intent.key not in book.apart:
                self._part(book, intent.key, at_us)
            self._ask(book, intent, at_us)
        book.alarm_us = book.next_alarm(at_us, LOOK_US)

    def _leader_quote(self, copy: Copy, at_us: int) -> Quote | None:
        """The leader's market as a waiting copy is looked at again; without it a symbol that is mapped by its price has
        no counterpart."""
        leader, change = self.books.get(copy.leader), copy.change
        return self.quotes.at(leader.feed, change.symbol.name, at_us) if leader is not None and change else None

    def _quote_now(self, book: Book, at_us: int) -> Any:
        return lambda name: self.quotes.at(book.feed, name, at_us)

    def _tell(self, book: Book, told: tuple[Change, ...], at_us: int) -> None:
        """What is modelled of an account that leads others is told to those who follow it."""
        for link in self._profiles.links if told else ():
            follower = self.books.get(link.follower)
            if link.leader != book.view.account or follower is None:
                continue
            for change in told:
                cursor = follower.view.cursors.get(link.link)
                cause = (cursor.version, cursor.index + 1) if cursor is not None else (book.view.version, 0)
                quote = self.quotes.at(book.feed, change.symbol.name, at_us)
                quote_of = self._quote_now(follower, at_us)
                offset_ms, doubt_ms = follower.clock
                inputs = gather(
                    follower.view,
                    change,
                    link,
                    quote_of,
                    leader_quote=quote,
                    clock_offset_ms=offset_ms,
                    clock_doubt_ms=doubt_ms,
                )
                then = self._answers.inputs_like(link.link, change.source, change.kind, at_us)
                if then is not None:
                    inputs = replace(then, standing=inputs.standing, quotes={**inputs.quotes, **then.quotes})
                decided = decide_change(follower.view, link, change, cause, inputs, at_us)
                follower.view = decided.view
                if decided.derived and isinstance(decided.derived[0], ChangeDecided):
                    self.rows.decided(follower.view, None, decided.derived[0], at_us)
                    self.rows.noted(follower.view, decided.derived, other=True)
                self._finish(follower, (), decided.derived, at_us)
