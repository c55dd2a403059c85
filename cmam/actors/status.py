"""What everybody is doing right now: a board that actors write and `status` reads.

One writer per entry, replaced whole and read by reference, so that looking costs the trading nothing. An account may
come at any moment, so whoever looks at all of something looks at a copy, which is made in one step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from cmam.clock import SECOND_US
from cmam.domain.belief.copies import CopyState
from cmam.domain.belief.view import AccountView, Latch
from cmam.domain.events import AttemptDecided, ChangeDecided, Finding, Health, ProfileState
from cmam.domain.guarding.latches import BY_EQUITY, REJECTIONS, STOP_OUT
from cmam.domain.operating.registry import Registry
from cmam.domain.profiles.choices import Reaction, Scope
from cmam.domain.profiles.link import LinkSettings
from cmam.domain.repair.leftover import left_by_link
from cmam.domain.trials.forecast import Forecast, Room, by_profile
from cmam.domain.turns.timing import TROUBLE
from cmam.domain.turns.unknowns import Unknown, unknowns
from cmam.domain.values.changes import Change, ChangeKind
from cmam.domain.values.ids import AccountId, LinkId, SourceKey, StoreId
from cmam.domain.values.quantities import decimal_text, units_text
from cmam.domain.values.reasons import Reason, Verdict
from cmam.openapi.outcomes import meaning
from cmam.openapi.session import QUIET_US, SILENCE_US
from cmam.store.text import iso

ROOM: Final = "room"
"""Under this a limiter notes what a burst would meet; `status` shows it as the forecast of each profile."""


@dataclass(frozen=True, slots=True)
class Answered:
    """How a link has answered its leader's opens and orders since the start, and the last that it did not copy.

    In memory only: the record has each decision, and nobody adds them up at every look.
    """

    copied: int = 0
    skipped: int = 0
    reason: Reason | None = None
    symbol: str = ""
    at_us: int = 0

    def then(self, decided: ChangeDecided, now_us: int) -> Answered:
        """With one more; what neither is nor was to be copied counts nothing."""
        if decided.wait is not None and decided.wait.is_unasked:
            return self
        return self._with(decided.change, decided.verdict, decided.reason, now_us)

    def looked(self, attempt: AttemptDecided, change: Change, now_us: int) -> Answered:
        """With what an open came to that waited, and was not counted until then."""
        return self._with(change, attempt.verdict, attempt.reason, now_us) if attempt.wait.is_unasked else self

    def _with(self, change: Change, verdict: Verdict, reason: Reason | None, now_us: int) -> Answered:
        if change.kind not in (ChangeKind.OPENED, ChangeKind.ORDER_PLACED):
            return self
        if verdict is Verdict.COPY:
            return replace(self, copied=self.copied + 1)
        if verdict is not Verdict.SKIP:
            return self
        return Answered(self.copied, self.skipped + 1, reason, change.symbol.name, now_us)

    def document(self) -> dict[str, Any]:
        """As `status` shows it."""
        last = {"reason": self.reason.value, "symbol": self.symbol, "at": iso(self.at_us)} if self.reason else None
        return {"copied": self.copied, "skipped": self.skipped, "last_skip": last}


class StatusBoard:
    """Views by reference, documents by name. `heard_us` says when a connection last carried anything, 0 for never."""

    def __init__(self, heard_us: Callable[[str], int] = lambda _: 0) -> None:
        self._heard_us = heard_us
        self._views: dict[AccountId, AccountView] = {}
        self._notes: dict[str, dict[str, Any]] = {}
        self._alarms: dict[str, str] = {}
        self._connections: dict[AccountId, str] = {}
        self._answered: dict[LinkId, Answered] = {}
        self.registry: Registry | None = None

    def show(self, view: AccountView) -> None:
        """Take the newest view of an account."""
        self._views[view.account] = view

    def lose(self, account: AccountId, health: Health, why: str) -> None:
        """Show an account that nobody manages at this moment: to those who follow it, it is out of sight."""
        known = self._views.get(account)
        if known is not None:
            self._views[account] = replace(known, health=health, health_reason=why)

    def place(self, account: AccountId, connection: str) -> None:
        """Take the connection that an account is on."""
        self._connections[account] = connection

    def answer(self, decided: ChangeDecided, now_us: int) -> None:
        """Take what a link has decided of one of its leader's changes; its follower alone says so."""
        self._answered[decided.link] = self._answered.get(decided.link, Answered()).then(decided, now_us)

    def look(self, attempt: AttemptDecided, change: Change, now_us: int) -> None:
        """Take what a link has made of an open that waited."""
        self._answered[attempt.link] = self._answered.get(attempt.link, Answered()).looked(attempt, change, now_us)

    def note(self, name: str, document: dict[str, Any]) -> None:
        """Take what an actor says of itself."""
        self._notes[name] = document

    def alarm(self, kind: str, text: str) -> None:
        """Have an alert of the process itself shown for as long as it holds; without a text it holds no more."""
        if text:
            self._alarms[kind] = text
        else:
            self._alarms.pop(kind, None)

    def read(self, name: str) -> dict[str, Any]:
        """What an actor last said of itself, empty if nothing."""
        return self._notes.get(name, {})

    def versions(self) -> dict[AccountId, int]:
        """The newest version of each account's stream."""
        return {account: view.version for account, view in self.views().items()}

    def views(self) -> dict[AccountId, AccountView]:
        """Every account as it was last believed."""
        return dict(self._views)

    def view(self, account: AccountId) -> AccountView | None:
        """An account as it was last believed."""
        return self._views.get(account)

    def document(
        self, registry: Registry, links: tuple[LinkSettings, ...], now_us: int, steady_us: int = 0
    ) -> dict[str, Any]:
        """Everything, as one JSON document; `steady_us` is now by the clock that connections are heard by."""
        notes = {name: _as_of(note, now_us) for name, note in dict(self._notes).items()}
        return {
            "running": True,
            "at": iso(now_us),
            "at_us": now_us,
            "store": str(registry.store),
            "event_store": self._event_store(),
            "connections": {
                name: _with_silence(note, self._heard_us(name), steady_us)
                for name, note in sorted(notes.items())
                if name.startswith("connection:")
            },
            "limiters": {name: note for name, note in sorted(notes.items()) if name.startswith("limiter:")},
            "accounts": [
                {
                    **account_document(self._views.get(known.account), known, registry.store),
                    "connection": self._connections.get(known.account, ""),
                    **notes.get(f"account:{known.account}", {}),
                }
                for known in registry.accounts.values()
            ],
            "profiles": profiles_document(
                registry, links, self._views, self._forecasts(links, now_us), dict(self._answered)
            ),
            "alerts": [
                *self.document_alerts(),
                *self._alerts_of_accounts(),
                *self._alerts_of_latches(links),
                *left_out(registry, links, self._views),
            ],
            "unmanaged": unmanaged(registry, self._views),
        }

    def document_alerts(self) -> list[dict[str, Any]]:
        """The alerts of the process itself; they belong to no account."""
        return [{"account": None, "kind": kind, "text": text} for kind, text in dict(self._alarms).items()]

    def _event_store(self) -> dict[str, Any]:
        """A store that hangs is as good as one that refuses: nobody of its own can say so."""
        hangs = self._alarms.get("stuck:recorder")
        return {"state": "down", "why": hangs} if hangs else self._notes.get("store", {"state": "up"})

    def _alerts_of_accounts(self) -> list[dict[str, Any]]:
        return [
            {"account": int(view.account), "kind": kind, "text": text + _meaning(view, kind)}
            for view in list(self._views.values())
            for kind, text in view.alerts.items()
        ]

    def _alerts_of_latches(self, links: tuple[LinkSettings, ...]) -> list[dict[str, Any]]:
        """What locked opens out unasked, for as long as it is closed; the record has it as the latch itself."""
        live = {link.link for link in links}
        return [
            {"account": int(view.account), "kind": f"latch {latch.guard} {latch.link}", "text": text}
            for view in list(self._views.values())
            for latch in view.latches.values()
            if (latch.link in live or latch.scope == Scope.ACCOUNT) and (text := latch_text(latch, view))
        ]

    def _forecasts(self, links: tuple[LinkSettings, ...], now_us: int) -> dict[str, Forecast]:
        """How late the last follower of each profile would be, given the budgets as they are, if any may open."""
        notes = {name: self.read(f"limiter:{name}").get(ROOM) for name in set(self._connections.values())}
        rooms = {name: room for name, room in notes.items() if isinstance(room, Room)}
        placed = [
            link
            for link in links
            if self._connections.get(link.follower) in rooms and not _latches(self._views.get(link.follower), link.link)
        ]
        return by_profile(placed, self._connections.__getitem__, rooms.__getitem__, now_us)


def _meaning(view: AccountView, kind: str) -> str:
    """What the code means that an alert about a refusal names; the record has the code alone."""
    if not kind.startswith(TROUBLE):
        return ""
    link, _, source = kind.removeprefix(TROUBLE).partition(" ")
    copy, vain = view.copies.get((LinkId(link), SourceKey(source))), view.in_vain.get(SourceKey(source))
    why = copy.trouble if copy is not None else vain.why if vain is not None else ""
    code = why.partition(": ")[2]
    return f" {meaning(code)}" if code else ""


def _with_silence(note: dict[str, Any], heard_us: int, steady_us: int) -> dict[str, Any]:
    """What a connection says of itself, with how long an open one has carried nothing, and a word where that is odd."""
    if note["state"] != "open" or not heard_us:
        return {**note, "silent_ms": None}
    silent_us = max(0, steady_us - heard_us)
    shown = {**note, "silent_ms": silent_us // 1_000}
    if silent_us >= QUIET_US:
        at_last = f"dialled anew at {SILENCE_US // SECOND_US} s"
        shown["reason"] = f"nothing heard for {silent_us // SECOND_US} s, {at_last}"
    return shown


def _as_of(note: dict[str, Any], now_us: int) -> dict[str, Any]:
    """A note as it is true now: limiters write theirs when something leaves, but slots and pauses end by themselves."""
    room = note.get(ROOM)
    if not isinstance(room, Room):
        return note
    paused = {kind: until for kind, until in note["paused"].items() if until > (iso(now_us) or "")}
    used = sum(moment > now_us for moment in room.free_us)
    return {**{key: note[key] for key in note if key != ROOM}, "used": used, "paused": paused}


def left_out(
    registry: Registry, links: tuple[LinkSettings, ...], views: Mapping[AccountId, AccountView]
) -> list[dict[str, Any]]:
    """An alert for each link that is not stopped, holds copies, and was left out of this start (`--profile`).

    `links` are those of this start. Where there are none it follows nobody at all, as a flatten does.
    """
    started = {link.link for link in links}
    return [
        {
            "account": int(link.follower),
            "kind": f"profile_left_out {link.link}",
            "text": f"{profile.name} was left out of this start, and its copies here ({live}) do not follow the leader,"
            " not even when he closes: start without --profile, or name this one too.",
        }
        for profile in registry.live_profiles()
        if started and profile.state is not ProfileState.STOPPED
        for link in profile.links.values()
        if link.link not in started and (live := _live_copies(views.get(link.follower), str(link.link)))
    ]


def unmanaged(registry: Registry, views: Mapping[AccountId, AccountView]) -> list[dict[str, Any]]:
    """What is open or rests of links that no start manages: those of profiles that were disabled or deleted, and those
    that were taken out of a profile. What is being closed is not among it."""
    managed, found = registry.managed_links(), []
    for view in list(views.values()):
        counts: dict[LinkId, list[int]] = {}
        for copy in view.copies.values():
            if copy.link in managed or not copy.is_wanted:
                continue
            position = view.positions.get(copy.position) if copy.position is not None else None
            if position is None and copy.order not in view.orders:
                continue
            count = counts.setdefault(copy.link, [0, 0])
            count[0] += 1
            count[1] += position is not None and position.stop is None
        found += [_unmanaged(registry, view.account, link, *count) for link, count in counts.items()]
    return found


def _unmanaged(registry: Registry, account: AccountId, link: LinkId, copies: int, bare: int) -> dict[str, Any]:
    of = next((one for one in registry.profiles.values() if link in one.links or link in one.former), None)
    name, state = of.name if of is not None else "", "deleted"
    if of is not None and not of.deleted:
        state = "disabled" if link in of.links else "unlinked"
    why = "has lost this follower" if state == "unlinked" else f"is {state}"
    what, them = ("1 copy is", "it") if copies == 1 else (f"{copies} copies are", "them")
    without = f", {bare} without a stop at the broker" if bare else ""
    again = f", or manage {them} again with `cmam profile enable {name}`" if state == "disabled" else ""
    return {
        "account": int(account),
        "link": str(link),
        "profile": name,
        "state": state,
        "copies": copies,
        "without_stop": bare,
        "text": f"{name or 'Its profile'} {why}: {what} not managed{without}. Nothing closes {them} with the leader: "
        f"close {them} at the broker{again}.",
    }


def account_document(view: AccountView | None, known: Any, store: StoreId) -> dict[str, Any]:
    """One account as `status` and `account list` show it."""
    document = {
        "ctid": int(known.account),
        "alias": known.alias,
        "broker": known.broker,
        "login": known.login,
        "environment": "live" if known.is_live else "demo",
        "tags": list(known.tags),
        "paused": known.paused,
        "paused_reason": known.paused_reason,
        "health": "down",
        "reason": "",
        "currency": known.currency,
        "type": known.account_type,
    }
    if view is None:
        return document
    trader = view.trader
    return {
        **document,
        "health": view.health.value,
        "reason": view.health_reason,
        "currency": view.currency or known.currency,
        "type": trader.account_type.value if trader else known.account_type,
        **(_held(view) if trader else {}),
        "copies": sum(copy.state in (CopyState.OPEN, CopyState.CLOSING) for copy in view.copies.values()),
        "left": left_by_link(view, store),
        "intents": len(view.intents),
        "unknown": [_unknown_document(one) for one in unknowns(view)],
        "findings": [_finding_document(one) for one in view.findings],
        "version": view.version,
    }


def _held(view: AccountView) -> dict[str, object]:
    """What an account holds by its broker's word; of one that was never in sight nothing is known, and not nothing."""
    return {
        "balance": decimal_text(view.balance, view.money_digits),
        "positions": len(view.positions),
        "orders": len(view.orders),
    }


def latch_text(latch: Latch, view: AccountView) -> str:
    """What a person is told of a latch; empty for one that he asked for, and for one that has an alert of its own."""
    match latch.guard:
        case guard if guard in BY_EQUITY:
            value, limit = (decimal_text(minor, view.money_digits) for minor in (latch.value, latch.limit))
            why = f"The guard {guard} has tripped, {value} against {limit} {view.currency}"
        case guard if guard == REJECTIONS:
            why = f"{latch.value} opens in a row were refused"
        case guard if guard == STOP_OUT:
            why = "The broker has stopped a copy out"
        case _:
            return ""
    closes = "its copies are closed, and " if latch.reaction == Reaction.FLATTEN else ""
    until = iso(latch.until_us) if latch.until_us else f"`cmam rearm --account {view.account}`"
    return f"{why}: {closes}nothing opens until {until}."


def _unknown_document(one: Unknown) -> dict[str, Any]:
    """A request without a known outcome, since when, and what will be asked when."""
    intent = one.intent
    return {
        "intent": str(intent.intent),
        "kind": intent.command.kind.value,
        "volume": units_text(intent.command.volume),
        "link": str(intent.link),
        "source": str(intent.source),
        "since": iso(one.since_us),
        "why": one.why,
        "asked_from": iso(one.ask_us) if one.ask_us else None,
        "asks": one.asks,
        "then": one.then,
        "waits_for": one.waits_for,
    }


def _finding_document(one: Finding) -> dict[str, Any]:
    return {
        "finding": one.kind.value,
        "remedy": one.remedy.value,
        "source": one.source,
        "position": one.position,
        "order": one.order,
        "text": one.text,
    }


def profiles_document(
    registry: Registry,
    links: tuple[LinkSettings, ...],
    views: Mapping[AccountId, AccountView],
    forecasts: Mapping[str, Forecast],
    answered: Mapping[LinkId, Answered],
) -> list[dict[str, Any]]:
    """Each profile with its links: what they are and what they hold."""
    standing = {link.link: link.standing.value for link in links}
    return [
        {
            "profile": profile.name,
            "id": str(profile.profile),
            "state": profile.state.value,
            "leader": int(profile.leader) if profile.leader is not None else None,
            "settings_version": profile.version,
            "forecast": forecasts[profile.name].document() if profile.name in forecasts else None,
            "links": [
                {
                    "link": str(link.link),
                    "follower": int(link.follower),
                    "standing": standing.get(link.link, "stopped"),
                    "latches": _latches(views.get(link.follower), link.link),
                    "settings": dict(link.settings),
                    "copies": _live_copies(views.get(link.follower), str(link.link)),
                    "opens": answered.get(link.link, Answered()).document(),
                }
                for link in profile.links.values()
            ],
        }
        for profile in registry.live_profiles()
    ]


def _latches(view: AccountView | None, link: LinkId) -> list[str]:
    """The guards that keep a link from opening anything, by name."""
    return sorted({latch.guard for latch in view.locked(link)}) if view is not None else []


def _live_copies(view: AccountView | None, link: str) -> int:
    return sum(copy.link == link for copy in view.copies.values()) if view is not None else 0
