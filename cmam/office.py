"""What a command does to a home: through the running system, or with the lock held for a moment where none runs.

Either way the holder of the lock alone writes, and both ways understand the same requests
(`domain/operating/operate.py`). Must not know the command line, nor start anything that goes on after a command.
"""

from __future__ import annotations

import getpass
import logging
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from cmam.actors.lines.spread import Spread
from cmam.actors.operating.control import NobodyListens, StillWaits, TooLarge, send_command
from cmam.actors.status import StatusBoard
from cmam.clock import SECOND_US, Clock, SystemClock
from cmam.config.home import LIVED_BY, Home, HomeRefused
from cmam.config.identity import StoreName
from cmam.config.settings import Problem, Settings, SettingsInvalid
from cmam.config.settings_file import load_settings, settings_in_need
from cmam.credentials.secrets_file import SecretsRefused, SecretStore, open_secrets
from cmam.domain.belief.view import AccountView
from cmam.domain.events import Event, Health, HealthChanged, StoreCreated
from cmam.domain.operating.asking import Context, Outcome, Refusal
from cmam.domain.operating.operate import operate
from cmam.domain.operating.registry import APP, Registry, evolve_registry
from cmam.domain.profiles.remarks import NAMES_SYMBOLS
from cmam.domain.trials.forecast import Room, by_profile
from cmam.domain.turns.turn import step
from cmam.domain.values.ids import AccountId, LinkId, base36
from cmam.openapi.budget import RESERVED
from cmam.openapi.window import GUARD_US_MAX
from cmam.store.errors import StoreError, StoreHeld, StoreMissing
from cmam.store.folding.fold import Fold, account_of
from cmam.store.logfile.lock import StoreLock
from cmam.store.logfile.log import EventLog
from cmam.store.logfile.room import shortage
from cmam.store.past.beginning import believe, expect_known_rules, organise
from cmam.store.past.moment import Moment
from cmam.store.projection.views_file import views_position
from cmam.store.records.envelope import Pending
from cmam.store.text import iso
from cmam.store.upkeep.growth import growth
from cmam.store.upkeep.opening import open_to_go_on

_LOG = logging.getLogger(__name__)

STORE_ID_CHARACTERS = 5
ID_CHARACTERS = 6
NEEDS_VIEWS = frozenset(
    {
        "flatten",
        "profile.adopt",
        "profile.apply",
        "profile.create",
        "profile.delete",
        "profile.disable",
        "profile.follower.add",
        "profile.follower.remove",
        "rearm",
        "symbol.confirm",
    }
)
"""Commands that rest on what an account holds, or write its stream: for these every account is looked at."""
TO_CLOSE = frozenset({"live_host", "live_port", "demo_host", "demo_port", "ca_file", "secrets"})
"""Settings without which no broker can be asked to close anything."""
TO_REFRESH = frozenset({"oauth_url", "ca_file", "secrets"})
SECRETS_LOCK = "secrets.lock"
SECRETS_PATIENCE_S = 5.0
"""How long to wait for another process that changes secrets at this moment."""


def carry_out(home: Home, request: Mapping[str, Any], *, command: str, clock: Clock | None = None) -> dict[str, Any]:
    """Have a command carried out by whoever may write, and return the answer once it is durable.

    Raises Refusal, StoreHeld where another command or a system that is just starting holds the store, or a StoreError.
    """
    asked = {**request, "user": operator_name()}
    running = ask_running(home, asked)
    if running is not None:
        return running
    if not _is_begun(home) and holder_of(home) is None:
        # What is refused on nothing, or changes nothing there, leaves no store behind in a folder that was mistyped.
        outcome = operate(Context(registry=Registry(), user=asked["user"], new_id=new_id, heads={}), asked)
        if not outcome.events:
            return outcome.answer
    try:
        with _held(home, command, clock or SystemClock()) as writer:
            return writer.carry_out(asked)
    except StoreHeld as held:
        raise held.silent() from None


def _is_begun(home: Home) -> bool:
    try:
        EventLog.read_only(home.root).close()
    except StoreMissing:
        return False
    except StoreError:
        return True  # whoever writes says what is wrong with it
    return True


def ask_running(home: Home, request: Mapping[str, Any]) -> dict[str, Any] | None:
    """Ask the running system; None where none answers. Raises Refusal with its words when it says no."""
    if not home.control_socket.exists():
        return None
    try:
        answer = send_command(home.control_socket, home.control_key, dict(request))
    except StillWaits as late:
        if request.get("command") == "status":
            return None  # a look leaves nothing behind that could still be done
        raise Refusal(str(late)) from late
    except TooLarge as much:
        raise Refusal(str(much)) from much
    except NobodyListens:
        return None  # left behind by a process that was killed; the lock says who may write
    if not answer.pop("ok", False):
        raise Refusal(str(answer.get("error", "the running system refused")), int(answer.get("code", 1)))
    return answer


def holder_of(home: Home) -> dict[str, Any] | None:
    """Which process holds the store now: pid (0 where it has not said so), since, command; None if nobody does."""
    found = StoreLock(home.root).holder()
    return None if found is None else {"pid": found.pid, "since": found.since, "command": found.command}


@contextmanager
def alone(home: Home, command: str) -> Iterator[None]:
    """Hold the lock of a home for what one process alone may do, though it writes no log.

    Whoever asks meanwhile, as a start, is told who is at work. Raises StoreHeld where a process has the store that has
    just not answered: a busy one is no absent one.
    """
    home.prepare()
    try:
        with StoreLock(home.root).acquire(since=iso(SystemClock().now()) or "", command=command):
            yield
    except StoreHeld as held:
        raise held.silent() from None


def operator_name() -> str:
    """Who types, for the record; bytes of a name that are no text, as in another encoding, are shown as such."""
    try:
        return getpass.getuser().encode(errors="backslashreplace").decode()
    except (KeyError, OSError, ImportError):
        return f"uid {os.getuid()}"


def read_registry(home: Home) -> Registry:
    """The accounts and profiles of a home as they stand on disk, beside whoever writes; empty without a store."""
    try:
        log = EventLog.read_only(home.root)
    except StoreMissing:
        return Registry()
    try:
        return organise(log, log.position())
    finally:
        log.close()


def names_of(home: Home) -> dict[int, str]:
    """What a person calls each account; empty where the record cannot be read."""
    try:
        return {int(known.account): known.shown for known in read_registry(home).accounts.values()}
    except StoreError:
        return {}


def managed_links(home: Home) -> frozenset[LinkId] | None:
    """The links whose copies a start manages: those of enabled profiles; None where the record cannot be read.

    A record without an account is not the one that copies are in: its file was moved away.
    """
    try:
        registry = read_registry(home)
    except StoreError:
        return None
    return registry.managed_links() if registry.accounts else None


def stored_status(home: Home) -> dict[str, Any]:
    """What `status` shows where nothing runs: the last stored state, every session down."""
    return document_of_fold(read_fold(home))


def idle_forecasts(home: Home) -> dict[str, dict[str, object]]:
    """How late the last follower of each profile would be with unused budgets, by the profile's name."""
    api, registry = settings_of(home).api, read_registry(home)
    spread = Spread(api.connections)
    spread.place(registry.accounts.values())
    room = Room(api.max_requests - RESERVED, SECOND_US + GUARD_US_MAX)
    links = [link for link in registry.links() if link.follower in registry.accounts]
    found = by_profile(links, spread.of, lambda _: room, 0)
    return {name: forecast.document() for name, forecast in found.items()}


def read_fold(home: Home) -> Fold:
    """Everything that is believed of a home by its log, beside whoever writes; empty without a store."""
    try:
        log = EventLog.read_only(home.root)
    except StoreMissing:
        return Fold()
    try:
        return believe(log)
    finally:
        log.close()


def document_of_fold(folded: Fold) -> dict[str, Any]:
    """The document of `status` for a state that was read from the log; sessions live in a process, so here are none."""
    board = StatusBoard()
    for view in folded.accounts.values():
        board.show(view)
    registry = folded.registry
    document = {**board.document(registry, registry.links(), folded.at_us), "running": False}
    for account in document["accounts"]:
        account["last_health"], account["health"], account["reason"] = account["health"], "down", "nothing runs"
    return document


def document_of_moment(moment: Moment) -> dict[str, Any]:
    """What was believed at a moment of the record, as `status` would have shown it then, and what stood behind it."""
    folded = moment.fold
    document = document_of_fold(folded)
    accounts = []
    for account in document["accounts"]:
        view = folded.accounts.get(account["ctid"])
        if moment.is_running and view is not None:
            account = {**account, "health": view.health.value, "reason": view.health_reason}
        elif view is not None:
            account = {**account, "reason": "cmam did not run"}
        accounts.append({**account, **(moment.document_of_account(view) if view is not None else {})})
    return {
        **document,
        "running": moment.is_running,
        "position": folded.position,
        "accounts": accounts,
        "connections": moment.document_of_lines(),
    }


def views_lag(home: Home) -> int:
    """How many records the views are behind the log; 0 without a store."""
    try:
        log = EventLog.read_only(home.root)
    except StoreMissing:
        return 0
    try:
        return max(0, log.position() - (views_position(home.root) or 0))
    finally:
        log.close()


def log_growth(home: Home) -> dict[str, Any] | None:
    """How large the log of a home is, and how much of it the last day wrote."""
    return growth(home.root)


def disk_shortage(home: Home) -> str:
    """That the disk of a home has too little room to record on, in a sentence, or nothing."""
    return shortage(home.root)


def settings_of(home: Home) -> Settings:
    """The settings that hold for this home now; raises SettingsInvalid."""
    return load_settings(home, os.environ)


def settings_to_close(home: Home) -> tuple[Settings, tuple[Problem, ...]]:
    """What a flatten needs of the settings, with the faults that it goes by; raises SettingsInvalid for one it cannot.

    Only what names the broker and the secrets: a slip in anything else must not keep positions open. Where the file
    cannot be read as a whole, the log knows what was configured last.
    """
    try:
        return settings_in_need(home, os.environ, TO_CLOSE)
    except SettingsInvalid:
        return settings_in_need(home, os.environ, TO_CLOSE, read_registry(home).api)


def settings_to_refresh(home: Home) -> tuple[Settings, tuple[Problem, ...]]:
    """As `settings_to_close`, for tokens that may run out before a slip elsewhere is mended."""
    return settings_in_need(home, os.environ, TO_REFRESH)


def secrets_of(home: Home, kind: str) -> SecretStore:
    """The secrets of a home, changed by one process at a time."""
    return open_secrets(home, kind, _secrets_guard(home, SystemClock()))


def expect_home(home: Home, settings: Settings) -> None:
    """Refuse a folder in which nothing is set up, before anything is made there: its name may be mistyped."""
    if home.events.exists() or secrets_of(home, settings.secrets).load().application is not None:
        return
    if any((home.root / name).exists() for name in LIVED_BY):
        raise Refusal("there are no API credentials yet: enter them with `cmam api configure` first.")
    raise Refusal(
        f"there is no cmam in {home.root}: name the right folder with --home, or set one up there, first with "
        "`cmam api configure`."
    )


def _secrets_guard(home: Home, clock: Clock) -> Callable[[], AbstractContextManager[object]]:
    def guard() -> AbstractContextManager[object]:
        lock = StoreLock(home.root, name=SECRETS_LOCK)
        try:
            home.prepare()
            return lock.acquire(since=iso(clock.now()) or "", command="changing secrets", patience_s=SECRETS_PATIENCE_S)
        except StoreHeld as held:
            who = f"process {held.pid}" if held.pid else "another process"
            raise SecretsRefused(f"The secrets are being changed by {who} at this moment: try again.") from None
        except (StoreError, HomeRefused) as error:
            raise SecretsRefused(f"{error} The secrets are as they were.") from None

    return guard


def new_id(characters: int = ID_CHARACTERS) -> str:
    """A fresh name in base 36."""
    return base36(secrets.randbelow(36**characters)).rjust(characters, "0")


def new_store(identity: StoreName | None, new_id: Callable[[int], str] = new_id) -> StoreCreated:
    """What a log begins with: the name that stands beside it, where one of that name was lost, else a fresh one."""
    name = identity.read() if identity is not None else ""
    return StoreCreated(store=name or new_id(STORE_ID_CHARACTERS), again=bool(name))


def new_salt() -> bytes:
    """Fresh bytes that make references to ids unguessable."""
    return secrets.token_bytes(32)


class StoreWriter:
    """A store whose lock this process holds: its registry, and commands carried out on it and made durable."""

    def __init__(
        self,
        log: EventLog,
        clock: Clock,
        identity: StoreName | None = None,
        new_id: Callable[[int], str] = new_id,
    ) -> None:
        self._log = log
        self._clock = clock
        self._new_id = new_id
        self._registry = organise(log, log.position())
        if not self._registry.store:
            self._record(Outcome(((APP, new_store(identity, new_id)),), {}), {})
        if identity is not None:
            identity.keep(self._registry.store)

    @property
    def registry(self) -> Registry:
        """What is known now."""
        return self._registry

    def carry_out(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out one request and make it durable; raises Refusal."""
        heads = {
            account: head.version
            for stream, head in self._log.heads().items()
            if (account := account_of(stream)) is not None
        }
        believed = believe(self._log) if _needs_views(request) else Fold()
        expect_known_rules(self._log, believed)
        context = Context(
            registry=self._registry,
            user=str(request.get("user", "")),
            new_id=lambda: self._new_id(ID_CHARACTERS),
            heads={AccountId(account): version for account, version in heads.items()},
            views=believed.accounts,
        )
        outcome = operate(context, request)
        self._record(outcome, context.views)
        return outcome.answer

    def _record(self, outcome: Outcome, views: Mapping[AccountId, AccountView]) -> None:
        now = self._clock.now()
        versions: dict[str, int] = {}
        batch: list[Pending] = []
        seen = dict(views)
        for stream, event in outcome.events:
            account = account_of(stream)
            if account is not None:
                view = seen.get(account) or AccountView(account=account)
                seen[account] = self._turn(view, stream, event, now, batch)
                continue
            version = versions.get(stream, self._log.head(stream).version) + 1
            versions[stream] = version
            batch.append(Pending(stream, version, now, event))
            self._registry = evolve_registry(self._registry, stream, event)
        if batch:
            self._log.append(batch)

    def _turn(self, view: AccountView, stream: str, event: Event, now_us: int, batch: list[Pending]) -> AccountView:
        """Record a fact of an account with all that follows from it, as the account itself would.

        An account that was never told that its session is over would ask for requests here that nobody sends.
        """
        facts = [event]
        if view.health is not Health.DOWN:
            facts.insert(0, HealthChanged(health=Health.DOWN, reason="nothing runs"))
        for fact in facts:
            turn = step(view, fact, self._registry.store, now_us)
            first = view.version + 1
            batch.append(Pending(stream, first, now_us, fact))
            batch += [
                Pending(stream, first + number, now_us, derived, (stream, first))
                for number, derived in enumerate(turn.derived, start=1)
            ]
            view = turn.view
        return view


def _needs_views(request: Mapping[str, Any]) -> bool:
    """Whether a command looks at accounts; one that names symbols does, so that those which nobody has are told."""
    command, settings = request.get("command"), request.get("settings") or ()
    return command in NEEDS_VIEWS or (command == "profile.set" and not NAMES_SYMBOLS.isdisjoint(settings))


@contextmanager
def _held(home: Home, command: str, clock: Clock) -> Iterator[StoreWriter]:
    home.prepare()
    with StoreLock(home.root).acquire(since=iso(clock.now()) or "", command=command):
        log, lost = open_to_go_on(home.root, clock.now())
        try:
            if lost:
                _LOG.warning("! %s", lost)
            yield StoreWriter(log, clock, StoreName(home.root))
        finally:
            log.close()
