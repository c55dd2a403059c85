"""An account as a follower: its links, the changes its leaders tell it, and the one decision that each gets.

While the account is not reconciled its leaders' changes wait here in order. What is told under an old ticket was meant
for whoever was here before. How a decision is made is told by `domain/deciding/decide.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from cmam.actors import messages as m
from cmam.actors.accounts.account_symbols import AccountSymbols
from cmam.actors.accounts.desk import Desk
from cmam.actors.care.poison import name_of
from cmam.domain.belief.copies import Copy
from cmam.domain.belief.restless import restless
from cmam.domain.belief.view import AccountView, resolve
from cmam.domain.deciding.attempts import as_now, wakes
from cmam.domain.deciding.inputs import Found, gather
from cmam.domain.events import ChangeDecided, CopyRebuilt, Event, ExecutionSeen, FindingsMade, Health, Inputs
from cmam.domain.guarding.guards import needs_watch
from cmam.domain.guarding.latches import TWIN
from cmam.domain.market.differences import usual_difference
from cmam.domain.market.equity import is_dark
from cmam.domain.market.mapping import is_unlisted, names_to_know
from cmam.domain.profiles.link import LinkSettings
from cmam.domain.repair.reconcile import abandoned, bring_together, by_hand, findings, needs_note
from cmam.domain.repair.strays import is_lacking
from cmam.domain.repair.sync import reopening
from cmam.domain.repair.twins import Seen, in_words, latched, twin_in_orders, twin_in_report, twin_in_snapshot
from cmam.domain.turns.timing import set_anew
from cmam.domain.turns.turn import decide_change
from cmam.domain.values.changes import Change, ChangeKind
from cmam.domain.values.ids import LinkId
from cmam.domain.values.quantities import Distance, Quote
from cmam.domain.values.symbols import UNLISTED
from cmam.domain.values.trades import Order
from cmam.domain.wanted.unasked import Unasked, still_unasked, unasked
from cmam.openapi.quotes import BrokerClock

ENDS = (ChangeKind.CLOSED, ChangeKind.ORDER_CANCELLED, ChangeKind.ORDER_EXPIRED)


class Following:
    """The links in which an account follows."""

    def __init__(
        self, desk: Desk, symbols: AccountSymbols, links: tuple[LinkSettings, ...], expects_results: Callable[[], bool]
    ) -> None:
        self.links: dict[LinkId, LinkSettings] = {link.link: link for link in links}
        self.has_guards = needs_watch(links)
        """Whether any link has a guard: asked after each report, and known as long as the links are these."""
        self.is_stopping = False
        self.is_settling = False
        """Whether an order of a lost log may still be on its way: nothing is opened that was not told."""
        self._desk = desk
        self._symbols = symbols
        self._expects_results = expects_results
        self._deferred: list[m.LeaderChanged | m.LeaderHolds] = []
        self._tickets: dict[LinkId, int] = {}
        self._met: dict[LinkId, int] = {}
        self._made_up: set[tuple[LinkId, str]] = set()
        self._unasked: Unasked = {}

    # --- which links ----------------------------------------------------------------------------------------------

    def ask_leaders(self) -> None:
        """Ask each leader for what this account has not decided yet; what waits undecided is told again with that."""
        desk = self._desk
        self._deferred.clear()
        for link in self.links.values():
            cursor = desk.view.cursors.get(link.link)
            place = (link.since, 1 << 30) if cursor is None else (cursor.version, cursor.index)
            place = max(place, (link.since, 1 << 30)) if link.since else place
            ticket = max(self._tickets.get(link.link, 0) + 1, desk.ports.clock.monotonic())
            self._tickets[link.link] = ticket
            desk.tell(m.account_name(link.leader), m.FollowFrom(link.link, desk.view.account, *place, ticket))

    def look_for_strays(self) -> None:
        """Ask the leaders again where the broker shows copies of theirs that no record knows: these are taken in."""
        view, links = self._desk.view, frozenset(self.links)
        if any(is_lacking(view, link, links - {link.link}) for link in self.links.values()):
            self.ask_leaders()

    def note_findings(self) -> None:
        """Put on record what differs between record, broker and leaders, where it is otherwise than the last time."""
        desk, status = self._desk, self._desk.ports.status
        all_found = abandoned(desk.view, desk.ports.store)
        if self.links:
            all_found = findings(desk.view, self.links.values(), status.view, desk.ports.clock.now())
        found = tuple(finding for finding in all_found if needs_note(finding))
        if found != desk.view.findings:
            desk.fact(FindingsMade(findings=found))
        desk.alert(m.Alert("findings", by_hand(found)))

    def ask_for_unasked(self, *, is_first: bool) -> None:
        """Ask for what a copy needed at the last look already and has not asked for since; `is_first`: there was none.

        What a copy needs asks for itself as it comes about. This is for what was overlooked then: it would stay until
        something else happens to the copy, or until the next connect.
        """
        desk = self._desk
        before, self._unasked = {} if is_first else self._unasked, unasked(desk.view, desk.ports.clock.now())
        for fact in still_unasked(before, self._unasked):
            desk.fact(fact)

    def twin_in_report(self, fact: Event) -> str:
        """What a report shows that only another cmam under this store's name can have asked for; empty where nothing.

        Where the log was lost an order of before may still be on its way: until it must have come, that is no sign.
        """
        if not self.links or self.is_settling or not isinstance(fact, ExecutionSeen):
            return ""
        return twin_in_report(self._desk.view, tuple(self.links.values()), fact)

    def look_for_twin(self, before: Seen, added: tuple[Order, ...]) -> None:
        """Look, once all is known again, whether another cmam has copied under this store's name meanwhile; `before`
        is what was known of when that was asked for, `added` what made positions of copies larger since."""
        if self.links and not self.is_settling:
            view, links = self._desk.view, tuple(self.links.values())
            self.mind_twin(twin_in_snapshot(view, links, before) or twin_in_orders(view, links, added))

    def mind_twin(self, evidence: str) -> None:
        """Open nothing more where another cmam uses this store's name, and say so until that is re-armed."""
        if evidence:
            for fact in tuple(latched(self._desk.view, tuple(self.links.values()))):
                self._desk.fact(fact)
            self._desk.alert(m.Alert(TWIN, in_words(evidence)))
        elif not any(guard == TWIN for _, guard in self._desk.view.latches):
            self._desk.alert(m.Alert(TWIN))

    def links_changed(self, message: m.LinksChanged) -> None:
        """Take the links as they are now; leaders of new ones are asked, those of lost ones told."""
        fresh = {link.link: link for link in message.links}
        for gone in [link for link in self.links.values() if link.link not in fresh]:
            self._desk.tell(m.account_name(gone.leader), m.Unfollow(gone.link))
        self._made_up = {(link, key) for link, key in self._made_up if link in fresh}  # one that begins anew meets all
        new = fresh.keys() - self.links.keys()
        self.links, self.has_guards = fresh, needs_watch(message.links)
        self.take_settings()
        if new:
            self.ask_leaders()

    def take_settings(self) -> None:
        """Let copies know what their links say otherwise now than when they were opened."""
        for fact in tuple(set_anew(self._desk.view, self.links)):
            self._desk.fact(fact)

    # --- what leaders say -----------------------------------------------------------------------------------------

    def leader_changed(self, message: m.LeaderChanged) -> None:
        """Decide a change, or keep it until that is possible."""
        link = self.links.get(message.link)
        if link is None or self.is_stopping:
            return  # what is not decided now is told again at the next start
        if message.ticket != self._tickets.get(message.link):
            return  # meant for who was here before: what it missed comes first, in the answer to what was asked since
        if not self._desk.is_reconciled:
            self._hurry(link, message.change)
            self._deferred.append(message)
            return
        self._decide(link, message)

    def _hurry(self, link: LinkSettings, change: Change) -> None:
        """Be back before the others where a copy is to be closed or protected and the account is out of sight."""
        desk = self._desk
        if change.kind.adds_risk:
            return
        if desk.view.copy(resolve(desk.view, link.link, change)) is not None:
            desk.tell_limiter(m.Hurry(desk.view.account))

    def leader_holds(self, message: m.LeaderHolds) -> None:
        """A link begins: bring its copies and what its leader holds together, once this account can."""
        if self.is_stopping:
            return  # a change told before it may have been left to the next start, which would reduce a second time
        link = self.links.get(message.link)
        if link is None or message.ticket != self._tickets.get(message.link):
            return
        if not self._desk.is_reconciled:
            self._deferred.append(message)
            return
        self._make_up(message)

    def _make_up(self, message: m.LeaderHolds, later: Sequence[m.LeaderChanged] = ()) -> None:
        """Decide what nobody told; `later` is what the leader has done since, as far as it is known already."""
        link = self.links.get(message.link)
        if link is None:
            return
        desk, leader, board = self._desk, message.leader, self._desk.ports.board
        feed = board.feed_of(leader.account)

        others = frozenset(self.links) - {link.link}

        def decide(told: m.LeaderChanged) -> None:
            if not told.change.kind.adds_risk or (told.link, told.change.key) not in self._made_up:
                self._made_up.add((told.link, told.change.key))
                self._decide(link, told, superseded=_is_ended(told, later))

        hand = _Hand(desk, decide, message)
        bring_together(hand, leader, link, others, partial(board.quote, feed), may_open=not self.is_settling)
        self._met[message.link] = message.ticket

    def is_led(self, copy: Copy) -> bool:
        """Whether what its leader does is told to a copy: its link is on, both are in sight, and what came before is
        told."""
        link, desk = self.links.get(copy.link), self._desk
        if link is None or not desk.is_reconciled or self._met.get(copy.link) != self._tickets.get(copy.link):
            return False
        leader = desk.ports.status.view(link.leader)
        return leader is not None and leader.health is Health.RECONCILED

    def flush(self) -> None:
        """Decide what waited, in its order; an open whose source has gone meanwhile is known to be superseded.

        What a leader held as a link began is met at its place: by then some of what came later would seem to be gone.
        """
        if not self._desk.is_reconciled or self.is_stopping:
            return  # what is not decided now is told again at the next start
        waiting, self._deferred = [told for told in self._deferred if told.link in self.links], []
        for number, message in enumerate(waiting):
            link = self.links[message.link]
            later = [told for told in waiting[number + 1 :] if isinstance(told, m.LeaderChanged)]
            if isinstance(message, m.LeaderHolds):
                self._make_up(message, later)
            else:
                self._decide(link, message, superseded=_is_ended(message, later))

    def reopen(self, before: AccountView) -> None:
        """Open sources once more whose copies a person or a level has closed since `before`, where that is wanted."""
        desk, board = self._desk, self._desk.ports.board
        for key in sorted(before.copies.keys() - desk.view.copies.keys()):
            copy, link = desk.view.finished.get(key), self.links.get(key[0])
            leader = desk.ports.status.view(link.leader) if link is not None and link.policy.reopen else None
            if copy is None or link is None or leader is None or self.is_stopping:
                continue
            feed = board.feed_of(leader.account)
            at_ms = desk.ports.clock.now() // 1_000 + board.clock(feed).offset_ms
            change = reopening(leader, copy, link.policy, at_ms, partial(board.quote, feed))
            if change is None or not desk.is_reconciled:
                continue
            self._decide(link, m.LeaderChanged(link.link, change, leader.version, 0))

    # --- decisions ------------------------------------------------------------------------------------------------

    def _decide(self, link: LinkSettings, message: m.LeaderChanged, *, superseded: bool = False) -> None:
        desk, change = self._desk, message.change
        aside = desk.ports.aside.get(name_of(message)) if desk.ports.aside else None
        if aside is not None:
            desk.set_aside(aside)
            self._commit(link, message, Inputs(set_aside=True))
            return
        desk.at = message
        self._symbols.ensure_named(names_to_know(desk.view, (change.symbol.name,), link.policy))
        inputs = self._gather(change, link, superseded=superseded)
        self._commit(link, message, inputs)
        desk.at = None

    def _commit(self, link: LinkSettings, message: m.LeaderChanged, inputs: Inputs) -> None:
        desk, change = self._desk, message.change
        before, now = desk.view, desk.ports.clock.now()
        turn = decide_change(before, link, change, (message.version, message.index), inputs, now)
        if not turn.derived:
            return
        for event in turn.derived:
            if isinstance(event, ChangeDecided):
                desk.ports.status.answer(event, now)
        cause = (m.account_name(change.leader), message.version)
        own = (desk.name, before.version + 1)
        facts = tuple(m.Fact(event, cause if isinstance(event, ChangeDecided) else own) for event in turn.derived)
        desk.commit(turn, facts, now, message.received_us, settings=link.version)

    def wake_copies(self, now: int) -> None:
        """Let every copy that waits for a price, a stop or a moment be looked at again."""
        if not self._desk.is_reconciled or self.is_stopping:
            return
        self._ensure_awaited()
        for fact in wakes(self._desk.view, self.links, self._inputs_of_copy, now):
            self._desk.fact(as_now(fact, self._desk.view, self.links, self._inputs_of_copy))

    def _ensure_awaited(self) -> None:
        """Have on record what the symbols allow by now that waiting copies may turn out to be."""
        for copy in tuple(restless(self._desk.view.copies)):
            link = self.links.get(copy.link)
            if copy.wait is None or copy.symbol in self._desk.view.specs or link is None:
                continue
            self._symbols.ensure_named(names_to_know(self._desk.view, (copy.leader_symbol,), link.policy))

    def _inputs_of_copy(self, copy: Copy, link: LinkSettings) -> Inputs:
        assert copy.change is not None, f"expected a copy that waits, found {copy.key}"
        return self._gather(copy.change, link)

    def _gather(self, change: Change, link: LinkSettings, *, superseded: bool = False) -> Inputs:
        desk, clock = self._desk, self._leader_clock(change)
        return gather(
            desk.view,
            change,
            link,
            desk.quote_by_name,
            leader_quote=self._leader_quote(change),
            clock_offset_ms=clock.offset_ms,
            clock_doubt_ms=clock.doubt_ms,
            superseded=superseded,
            leader=desk.ports.status.view(change.leader),
            is_warming=partial(self._is_warming, change, link),
            is_reading=self._is_reading(change, link),
            difference_of=partial(self._usual_difference, change),
        )

    def is_reading(self, copy: Copy) -> bool:
        """Whether the broker has yet to answer what a waiting copy rests on."""
        link = self.links.get(copy.link)
        return link is not None and copy.change is not None and self._is_reading(copy.change, link)

    def _is_reading(self, change: Change, link: LinkSettings) -> bool:
        """Whether the broker has yet to tell, on this line, what the symbol of an open allows, or what we are worth and
        hold."""
        if not change.kind.adds_risk:
            return False
        view = self._desk.view
        if self._desk.lacks_trader or view.doubted:
            return True
        copy = view.copy(resolve(view, link.link, change))
        is_found = copy is not None and copy.symbol != UNLISTED
        if not is_found and is_unlisted(view, change.symbol.name, link.policy):
            return self._symbols.is_sought(change.symbol.name)
        if self._symbols.is_read:
            return False
        names = names_to_know(view, (change.symbol.name,), link.policy)
        spec = view.specs.get(copy.symbol) if copy is not None else None
        return self._symbols.lacks((*names, spec.name) if spec is not None else names)

    def _is_warming(self, change: Change, link: LinkSettings, found: Found) -> bool:
        """Whether the quotes of either side were asked for so recently that they may still come, or, where quotes do
        not tell what the account is worth, the broker's own word of that is on its way."""
        desk, ports = self._desk, self._desk.ports
        now = ports.clock.monotonic()
        if any(ports.board.is_warming(account, now) for account in (desk.view.account, change.leader)):
            return True
        if not desk.view.positions or not (change.kind.adds_risk or change.kind is ChangeKind.ORDER_AMENDED):
            return False
        if link.policy.margin_reserve is None and not link.policy.has_equity_guard:
            return False
        return is_dark(desk.view, found, ports.clock.now(), link.policy.input_max_age_ms) and self._expects_results()

    def _leader_quote(self, change: Change) -> Quote | None:
        """The leader's own quote of what it traded, as it is now."""
        ports = self._desk.ports
        leader = ports.status.view(change.leader)
        entry = leader.names.get(change.symbol.name) if leader is not None else None
        feed = ports.board.feed_of(change.leader)
        return ports.board.quote(feed, entry.symbol) if entry is not None and feed else None

    def _usual_difference(self, change: Change, name: str) -> Distance | None:
        """By how much a symbol of ours is quoted above the leader's, in the last seconds."""
        ports, view = self._desk.ports, self._desk.view
        leader, mine = ports.status.view(change.leader), view.names.get(name)
        theirs = leader.names.get(change.symbol.name) if leader is not None else None
        feed = ports.board.feed_of(change.leader)
        if theirs is None or mine is None or not feed:
            return None
        past = ports.board.past
        return usual_difference(past(self._desk.quotes.feed, mine.symbol), past(feed, theirs.symbol), ports.clock.now())

    def _leader_clock(self, change: Change) -> BrokerClock:
        """The clock of the leader's broker: what a change says of its time is by that one."""
        board = self._desk.ports.board
        return board.clock(board.feed_of(change.leader))


class _Hand:
    """An account's own hand for what nobody told: recorded and decided like everything else."""

    def __init__(self, desk: Desk, decide: Callable[[m.LeaderChanged], None], message: m.LeaderHolds) -> None:
        self._desk = desk
        self._decide = decide
        self._message = message

    @property
    def view(self) -> AccountView:
        return self._desk.view

    def take(self, fact: CopyRebuilt) -> None:
        leader = self._message.leader
        self._desk.fact(fact, cause=(m.account_name(leader.account), leader.version))

    def decide(self, change: Change, index: int) -> None:
        self._decide(m.LeaderChanged(self._message.link, change, self._message.leader.version, index))


def _is_ended(told: m.LeaderChanged, later: Iterable[m.LeaderChanged]) -> bool:
    """Whether the leader has closed or cancelled since what a change speaks of."""
    return any(
        after.link == told.link and after.change.source == told.change.source and after.change.kind in ENDS
        for after in later
    )
