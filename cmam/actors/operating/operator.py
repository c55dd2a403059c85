"""The operator's hands in the running system: the only writer of `app` and of the profiles' streams.

Commands come from the control listener, are carried out by `domain/operating/operate.py`, recorded, and told to the
accounts they concern. It also collects what everybody is doing, for `status`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from cmam.actors import messages as m
from cmam.actors.recording.recorder import CheckpointDue
from cmam.actors.status import StatusBoard
from cmam.actors.threads.runtime import Directory, Watched
from cmam.clock import Clock
from cmam.domain.events import ActorRestarted, ActorStuck, Event, SystemStarted, SystemStopped
from cmam.domain.guarding.guards import still_holds, untold
from cmam.domain.operating.asking import REFUSED, Context, Outcome, Refusal
from cmam.domain.operating.operate import operate
from cmam.domain.operating.registry import ACCOUNT_PREFIX, APP, Registry, evolve_registry
from cmam.domain.profiles.link import LinkSettings
from cmam.domain.values.ids import AccountId, LinkId
from cmam.domain.values.quantities import Quote, decimal_text
from cmam.openapi.quotes import QuoteBoard
from cmam.store.records.envelope import event_bytes

log = logging.getLogger(__name__)


class OperatorActor(Watched):
    """Carries out commands, one after the other."""

    def __init__(
        self,
        registry: Registry,
        versions: dict[str, int],
        clock: Clock,
        directory: Directory,
        status: StatusBoard,
        board: QuoteBoard,
        new_id: Callable[[], str],
        only: frozenset[str],
        on_accounts: Callable[[Registry], None],
    ) -> None:
        super().__init__()
        self._name = m.OPERATOR
        self._registry = registry
        self._versions = versions
        self._clock = clock
        self._directory = directory
        self._status = status
        self._board = board
        self._new_id = new_id
        self._only = only
        self._on_accounts = on_accounts
        self._heads: dict[AccountId, int] = {}
        self._deaf: dict[str, str] = {}
        self._waiting: list[tuple[Callable[[dict[str, Any]], None], dict[str, Any]]] = []

    def on_receive(self, message: Any) -> None:
        match message:
            case m.Operate():
                self._operate(message)
            case CheckpointDue():
                self._record(((APP, message.checkpoint),))
            case SystemStarted() | SystemStopped() | ActorRestarted() | ActorStuck():
                self._record(((APP, message),))
            case m.StoreDown():
                self._status.note("store", {"state": "down", "why": message.why})
                self._status.alarm("store", f"{message.why} Nothing is opened; whole closes and cancels still leave.")
            case m.StoreUp():
                self._status.note("store", {"state": "up"})
                self._status.alarm("store", "")
            case m.NotFoldedBack():
                beside = f"{message.why} Copying goes on, and what is recorded since lies beside it (events.db-wal)."
                self._status.alarm("fold_back", beside if message.why else "")
            case m.StreamUnread():
                text = f"{message.stream} waits for its record, which is tried again: {message.why}"
                self._status.alarm(f"unread:{message.stream}", text if message.why else "")
            case m.StreamRefused():
                self._deaf[message.stream] = message.why
                self._status.note(message.stream, {"health": "refused", "reason": message.why})
                self._status.alarm(message.stream, message.why)
            case m.AccountRestarted():
                links = tuple(link for link in self.links() if link.follower == message.account)
                self._directory.tell(m.account_name(message.account), m.LinksChanged(links))
                for link in self.links():
                    if link.leader == message.account:
                        self._directory.tell(m.account_name(link.follower), m.LeaderRestarted(message.account))
            case Recorded():
                message.answer(message.document)
            case m.Stop():
                self._directory.tell(m.SUPERVISOR, m.Stopped(m.OPERATOR))
            case _:
                raise AssertionError(f"the operator cannot take {message!r}")

    def _operate(self, message: m.Operate) -> None:
        """Carry out a command. Where cmam fails on one nothing is done yet: what copies goes on."""
        try:
            outcome = self._outcome(message)
        except Refusal as refusal:
            message.answer({"ok": False, "error": refusal.text, "code": refusal.code})
        except Exception as error:
            log.exception("! a command failed")
            what = f"{type(error).__name__}: {error}"
            text = f"cmam could not carry this out, and changed nothing ({what})."
            message.answer({"ok": False, "error": text, "code": REFUSED})
        else:
            if outcome is not None:
                self._carry_out(message, outcome)

    def _outcome(self, message: m.Operate) -> Outcome | None:
        """What a command leads to; None where its answer is on its way. Changes nothing here; raises Refusal."""
        command = message.request.get("command")
        if command == "status":
            message.answer({"ok": True, **self.status()})
            return None
        if command == "account.refresh":
            accounts = tuple(int(account) for account in message.request.get("accounts", ()))
            self._directory.tell(m.KEEPER, m.Refresh(accounts, message.answer))
            return None
        context = Context(
            registry=self._registry,
            user=str(message.request.get("user", "")),
            new_id=self._new_id,
            heads=self._status.versions(),
            views=self._status.views(),
            still_holds=self._still_holds,
        )
        outcome = operate(context, message.request)
        for _, event in outcome.events:
            event_bytes(event)  # a fact that no record can hold ends the process once the log refuses it
        return outcome

    def _carry_out(self, message: m.Operate, outcome: Outcome) -> None:
        before = {link.link: link for link in self.links()}
        answered = Recorded(message.answer, {"ok": True, **outcome.answer})
        if not outcome.events:
            message.answer(answered.document)
            return
        known = self._registry.accounts.keys()
        # An account hears that its links ended before it is told what becomes of their copies: nothing opens between.
        own = tuple(event for event in outcome.events if not event[0].startswith(ACCOUNT_PREFIX))
        of_accounts = tuple(event for event in outcome.events if event[0].startswith(ACCOUNT_PREFIX))
        deaf = [stream for stream in self._deaf if any(stream == one for one, _ in of_accounts)]
        if deaf:
            of_accounts = tuple(event for event in of_accounts if event[0] not in self._deaf)
            unheard = [
                f"account {stream.removeprefix(ACCOUNT_PREFIX)} takes no command until cmam is started again, and "
                f"closes nothing: {self._deaf[stream]}"
                for stream in deaf
            ]
            if not own and not of_accounts:
                message.answer({"ok": False, "error": "; ".join(unheard), "code": REFUSED})
                return
            answered.document["unheard"] = unheard
        answer = ((m.OPERATOR, answered),)
        self._record(own, then=answer if not of_accounts else ())
        command = str(message.request.get("command", ""))
        if command == "api.configure":
            self._directory.tell(m.KEEPER, m.Reload())  # the next try to authorise goes with what was entered
        if command.startswith("account.") or known != self._registry.accounts.keys():
            self._on_accounts(self._registry)
            self._directory.tell(m.KEEPER, m.Reload())
        self._tell_links(before)
        self._record(of_accounts, then=answer)

    def _still_holds(self, account: AccountId, name: LinkId, guard: str) -> str:
        """The condition that forbids to re-arm a link now, in words, or nothing."""
        view = self._status.view(account)
        link = next((link for link in self.links() if link.link == name), None)
        if view is None or link is None:
            return ""

        def quote_of(symbol: str) -> Quote | None:
            entry = view.names.get(symbol)
            feed = self._board.feed_of(account)
            return self._board.quote(feed, entry.symbol) if entry is not None and feed else None

        dark = untold(view, link, quote_of, self._clock.now(), guard)
        if dark:
            return f"{', '.join(dark)} while equity is unknown"
        held = still_holds(view, link, quote_of, self._clock.now(), guard)
        return ", ".join(
            f"{condition.guard} at {decimal_text(condition.value, view.money_digits)} against"
            f" {decimal_text(condition.limit, view.money_digits)} {view.currency}"
            for condition in held
        )

    def _record(self, events: tuple[tuple[str, Event], ...], then: tuple[tuple[str, object], ...] = ()) -> None:
        """Append each event to its stream; the answer goes out once the last of them is durable.

        What concerns an account is recorded by the account: its actor alone writes its stream. It may be about to start
        again, for as long as a minute, so it is told by who knows of that.
        """
        for number, (stream, event) in enumerate(events):
            is_last = number == len(events) - 1
            if stream.startswith(ACCOUNT_PREFIX):
                self._directory.tell(m.SUPERVISOR, m.Ordered(stream, m.Record(event, then if is_last else ())))
                continue
            version = self._versions.get(stream, 0) + 1
            self._versions[stream] = version
            self._registry = evolve_registry(self._registry, stream, event)
            self._status.registry = self._registry
            append = m.Append(
                stream, version, self._clock.now(), (m.Fact(event),), then=then if is_last else (), urgent=bool(then)
            )
            self._directory.tell(m.RECORDER, append)

    def links(self) -> tuple[LinkSettings, ...]:
        """The links that take part: those of the profiles named at the start, or all."""
        links = self._registry.links()
        return tuple(link for link in links if not self._only or link.profile_name.lower() in self._only)

    def _tell_links(self, before: dict[Any, LinkSettings]) -> None:
        """Let every account whose links changed know all of its links."""
        after = {link.link: link for link in self.links()}
        touched = {
            link.follower
            for key in before.keys() | after.keys()
            if before.get(key) != after.get(key)
            for link in (before.get(key), after.get(key))
            if link is not None
        }
        by_follower: dict[AccountId, tuple[LinkSettings, ...]] = dict.fromkeys(sorted(touched), ())
        for link in after.values():
            if link.follower in by_follower:
                by_follower[link.follower] += (link,)
        for account, links in by_follower.items():
            self._directory.tell(m.account_name(account), m.LinksChanged(links))

    def status(self) -> dict[str, Any]:
        """One document of everything, as `cmam status --json` shows it."""
        return self._status.document(self._registry, self.links(), self._clock.now(), self._clock.monotonic())


class Recorded:
    """An answer that waits until what it speaks of is durable."""

    __slots__ = ("answer", "document")

    def __init__(self, answer: Callable[[dict[str, Any]], None], document: dict[str, Any]) -> None:
        self.answer = answer
        self.document = document
