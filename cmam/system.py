"""All actors of one store, chosen and joined: brought to life in order, watched, and brought to an end.

    start    fold → timer, supervisor, recorder, operator, keeper → accounts, limiters, connections
    stop     the same backwards: no new opens, what is committed leaves

What they run on (threads, or turns of a scheduler) is `Machinery`; of files, processes and locks nothing is known here.
"""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import cmam
from cmam.actors import messages as m
from cmam.actors.accounts.account import AccountActor
from cmam.actors.accounts.desk import AccountPorts
from cmam.actors.accounts.unrecorded import Spent
from cmam.actors.asking.shelf import SpecShelf
from cmam.actors.care.supervisor import SupervisorActor
from cmam.actors.care.vigil import Vigil
from cmam.actors.lines.connection import ConnectionActor, ConnectionPorts
from cmam.actors.lines.rate_limiter import RateLimitActor
from cmam.actors.lines.reader import Leaders
from cmam.actors.lines.spread import Spread
from cmam.actors.operating.ending import Ended, Ending
from cmam.actors.operating.keeper import KeeperActor, Keys
from cmam.actors.operating.operator import OperatorActor
from cmam.actors.recording.recorder import RecorderActor
from cmam.actors.status import StatusBoard, left_out
from cmam.actors.threads.runtime import Directory, Latch, Leash, Runtime
from cmam.actors.threads.timer import Timer
from cmam.clock import SECOND_US, Clock
from cmam.config.identity import StoreName
from cmam.config.settings import Endpoint, Settings
from cmam.credentials.oauth import OAuthClient
from cmam.credentials.rotation import Provider
from cmam.credentials.secrets_file import SecretStore
from cmam.domain.belief.view import AccountView
from cmam.domain.events import SystemStarted
from cmam.domain.operating.asking import Refusal
from cmam.domain.operating.registry import APP, Registry
from cmam.domain.values.ids import AccountId
from cmam.office import new_id, new_store
from cmam.openapi.quotes import QuoteBoard
from cmam.store.logfile.log import EventLog
from cmam.store.past.beginning import Beginning, begin, expect_known_rules
from cmam.store.records.envelope import Pending

log = logging.getLogger(__name__)

PREFIX_BYTES = 4
CARRIER = "trading"
"""What carries everything between a broker's report and an order: all connections, their limiters and accounts."""
NOBODY = ("",)
"""As `profiles`: nobody follows anybody, so that nothing opens; what the copies there are need is still done."""


class Reads(Protocol):
    """Whatever dials and reads a connection; its only output is `tell`."""

    def start(self, generation: int) -> None:
        """Dial, and read until the end."""
        ...


class Ticks(Timer, Protocol):
    """A timer with a life."""

    def start(self) -> None:
        """Begin to keep time."""
        ...

    def stop(self) -> None:
        """Keep no more time."""
        ...


@dataclass(frozen=True, slots=True)
class Machinery:
    """What makes actors run: threads here, turns of a scheduler in tests. The actors are the same."""

    clock: Clock
    directory: Directory
    runtime: Runtime
    timer: Ticks
    reader: Callable[[str, Endpoint, QuoteBoard, Leaders], Reads]
    chance: Callable[[], float]
    provider: Callable[[Settings], Provider] = lambda settings: OAuthClient(
        settings.api.oauth_url, settings.api.ca_file
    )
    wait: Callable[[Latch, float], bool] = Latch.wait
    new_id: Callable[[], str] = new_id


@dataclass(frozen=True, slots=True)
class Ready:
    """What a caller learns once the system runs."""

    accounts: int
    profiles: int
    links: int
    position: int = 0
    """The last record before this life: what came of copies since is told from there."""
    alone: tuple[tuple[int, str], ...] = ()
    """The accounts on which copies live that this start does not manage, and what is said of them."""


def _by_follower(links: Iterable[Any]) -> dict[AccountId, tuple[Any, ...]]:
    found: dict[AccountId, tuple[Any, ...]] = {}
    for link in links:
        found[link.follower] = (*found.get(link.follower, ()), link)
    return found


class System:
    """All actors of one store, joined."""

    def __init__(
        self,
        settings: Settings,
        event_log: EventLog,
        vault: SecretStore,
        machinery: Machinery,
        *,
        only: frozenset[str] = frozenset(),
        identity: StoreName | None = None,
        on_long: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._identity = identity
        self._settings = settings
        self._log = event_log
        self._machinery = machinery
        self._clock = machinery.clock
        self._only = only
        self._secrets = vault
        self._keys = Keys(vault.load())
        self._beginning = self._begin(on_long)
        self._folded = self._beginning.fold
        self._check()
        self._provider = machinery.provider(settings)
        self._directory = machinery.directory
        self._timer = machinery.timer
        self._runtime = machinery.runtime
        self._board = QuoteBoard()
        self._status = StatusBoard(self._board.heard_us)
        self._spent = Spent()
        self._shelf = SpecShelf()
        self._ending = Ending(machinery.directory, self._status, machinery.clock, machinery.wait)
        self.ended: Ended | None = None
        """What is to be said once `stop` is done; of what never began nothing is known."""
        self._ended = Latch()
        self._fatal = ""
        self._refs: list[Any] = []
        self._spread = Spread(settings.api.connections)

    def _begin(self, on_long: Callable[[int], None]) -> Beginning:
        """The registry and every account as they were last believed."""
        found = begin(self._log, on_long=on_long)
        expect_known_rules(self._log, found.fold)
        if found.fold.registry.store:
            return found
        created = new_store(self._identity)
        self._log.append([Pending(APP, self._log.head(APP).version + 1, self._clock.now(), created)])
        return begin(self._log)

    def _check(self) -> None:
        """Refuse to start what could not work, in one sentence."""
        registry = self._folded.registry
        if self._keys.vault.application is None:
            raise Refusal("there are no API credentials yet: enter them with `cmam api configure` first.")
        if not registry.accounts:
            raise Refusal("there is no account yet: add yours with `cmam account add`.")
        unknown = self._only - {profile.name.lower() for profile in registry.live_profiles()} - set(NOBODY)
        if unknown:
            known = ", ".join(profile.name for profile in registry.live_profiles()) or "none yet"
            raise Refusal(f"there is no profile {sorted(unknown)[0]!r}; there are: {known}.", 2)

    @property
    def store(self) -> str:
        """The name that every order of this store carries."""
        return self._folded.registry.store

    # --- start ----------------------------------------------------------------------------------------------------

    def start(self) -> Ready:
        """Bring everything to life, the recorder first."""
        registry = self._folded.registry
        self._timer.start()
        self._launch(
            m.SUPERVISOR,
            SupervisorActor,
            self._clock,
            self._timer,
            self._directory,
            self._status,
            self._restart_account,
            self._ending.note_stopped,
            self._die,
        )
        self._launch(m.RECORDER, RecorderActor, self._log, self._clock, self._timer, self._directory)
        versions = {stream: head.version for stream, head in self._log.heads().items()}
        self._launch(
            m.OPERATOR,
            OperatorActor,
            registry,
            versions,
            self._clock,
            self._directory,
            self._status,
            self._board,
            self._machinery.new_id,
            self._only,
            self._ensure_accounts,
        )
        self._directory.tell(m.OPERATOR, SystemStarted(version=cmam.__version__, pid=os.getpid()))
        self._launch(
            m.KEEPER, KeeperActor, self._keys, self._secrets, self._provider, self._clock, self._timer, self._directory
        )
        self._directory.tell(m.KEEPER, m.Begin())
        self._ensure_accounts(registry)
        self._directory.tell(m.SUPERVISOR, m.Begin())
        links = self._links(registry)
        profiles = len({link.profile for link in links})
        alone = tuple((one["account"], one["text"]) for one in left_out(registry, links, self._folded.accounts))
        return Ready(len(registry.accounts), profiles, len(links), self._folded.position, alone)

    def _launch(self, name: str, actor: Any, *arguments: Any, carrier: str = "") -> None:
        ref = self._runtime.start(actor, *arguments, carrier=carrier)
        self._refs.append(ref)
        self._directory.register(name, ref)

    def _links(self, registry: Registry) -> tuple[Any, ...]:
        return tuple(link for link in registry.links() if not self._only or link.profile_name.lower() in self._only)

    def _ensure_accounts(self, registry: Registry) -> None:
        """Have an actor for every known account, and the connections over which they are spread."""
        before = self._spread.members()
        self._spread.place(registry.accounts.values())
        fresh: list[str] = []
        missing = [a for a in sorted(registry.accounts) if self._directory.ref(m.account_name(a)) is None]
        links = _by_follower(self._links(registry)) if missing else {}
        for account in missing:
            view = self._folded.accounts.get(account) or AccountView(account=account)
            self._start_account(view, registry, links.get(account, ()), beginning=self._beginning)
            fresh.append(m.account_name(account))
        for name, accounts in self._spread.members().items():
            if self._directory.ref(m.connection_name(name)) is None:
                self._start_connection(name, is_live=name.startswith("live"), accounts=accounts)
                fresh.append(m.connection_name(name))
            elif accounts != before.get(name):
                self._directory.tell(m.connection_name(name), m.AccountsWanted(accounts))
        for name in fresh:
            self._directory.tell(name, m.Begin())

    def _start_account(
        self,
        view: AccountView,
        registry: Registry,
        links: tuple[Any, ...],
        aside: Mapping[str, m.SetAside] | None = None,
        life: int = 0,
        beginning: Beginning | None = None,
    ) -> None:
        known = registry.accounts.get(view.account)
        ports = AccountPorts(
            store=registry.store,
            connection=self._spread.of(view.account),
            clock=self._clock,
            timer=self._timer,
            directory=Leash(self._directory),
            board=self._board,
            status=self._status,
            is_live=known is not None and known.is_live,
            settle_us=self._settings.settle_s * SECOND_US,
            spent=self._spent,
            shelf=self._shelf,
            aside=aside or {},
            life=life,
            is_again=registry.is_again,
            told=beginning.told.get(view.account) if beginning is not None else None,
            past=beginning.pasts.get(view.account) if beginning is not None else None,
            is_followed=lambda: view.account in self._leaders(),
        )
        self._status.show(view)
        self._status.place(view.account, self._spread.of(view.account))
        self._launch(m.account_name(view.account), AccountActor, view, ports, links, carrier=CARRIER)

    def _leaders(self) -> frozenset[int]:
        """The accounts that are followed as of now. Called by every reader, in its thread: it reads no policy."""
        registry = self._status.registry or self._folded.registry
        return frozenset(profile.leader for profile in registry.live_profiles() if profile.leader is not None)

    def _restart_account(self, view: AccountView, aside: Mapping[str, m.SetAside], life: int) -> None:
        """Called by the supervisor, in its thread, with the view that the record gives."""
        registry = self._status.registry or self._folded.registry
        links = _by_follower(self._links(registry)).get(view.account, ())
        self._start_account(view, registry, links, aside, life)
        self._directory.tell(m.account_name(view.account), m.Begin())
        self._directory.tell(m.connection_name(self._spread.of(view.account)), m.AccountRestarted(view.account))
        self._directory.tell(m.OPERATOR, m.AccountRestarted(view.account))

    def _start_connection(self, name: str, *, is_live: bool, accounts: tuple[AccountId, ...]) -> None:
        endpoint = self._settings.api.endpoint(is_live=is_live)
        limit = self._settings.api.max_requests
        figures = (name, limit, self._clock, self._timer, self._directory, self._status)
        self._launch(m.limiter_name(name), RateLimitActor, *figures, carrier=CARRIER)
        reader = self._machinery.reader(m.connection_name(name), endpoint, self._board, self._leaders)
        ports = ConnectionPorts(
            name=name,
            host=endpoint.host,
            port=endpoint.port,
            prefix=f"q{secrets.token_hex(PREFIX_BYTES)}-",
            clock=self._clock,
            timer=self._timer,
            directory=self._directory,
            board=self._board,
            status=self._status,
            dial=reader.start,
            application=self._keys.application,
            token=self._keys.token,
            leaders=self._leaders,
            chance=self._machinery.chance,
        )
        version = self._log.head(m.connection_name(name)).version
        self._launch(m.connection_name(name), ConnectionActor, ports, version, accounts, carrier=CARRIER)

    # --- while it runs --------------------------------------------------------------------------------------------

    def wait(self, stop: Latch, is_done: Callable[[StatusBoard], bool] = lambda _: False) -> None:
        """Wait for the end: a signal's, that of an actor nobody can replace, or of the work there was to do."""
        vigil = Vigil(self._directory, self._clock)
        while not stop.wait(0.2):
            if why := vigil.look():
                self._die(why)
            if self._ended.is_open or is_done(self._status):
                return

    def handle(self, request: dict[str, Any], answer: Callable[[dict[str, Any]], None]) -> None:
        """Take a command of a person; its answer goes where it says. Told by the control listener."""
        self._directory.tell(m.OPERATOR, m.Operate(request, answer))

    def status(self) -> StatusBoard:
        """The board that `status` shows."""
        return self._status

    @property
    def why_failed(self) -> str:
        """Why the system cannot go on, empty while it can."""
        return self._fatal

    def _die(self, why: str) -> None:
        self._fatal = why
        self._ended.open()

    # --- stop -----------------------------------------------------------------------------------------------------

    def stop(self) -> int:
        """Come to an orderly end: exit code 0, or 1 where an actor forced it or something was not recorded."""
        ended = self.ended = self._ending.run(self._fatal or "asked to")
        for ref in reversed(self._refs):
            if ref.is_alive():
                ref.stop(block=False)
        self._timer.stop()
        if self._fatal:
            log.error("! %s", self._fatal)
        if ended.unrecorded or ended.is_stuck:
            log.error("! the event store took nothing to the end: the next start asks the brokers what became of it")
        return 1 if self._fatal or ended.unrecorded or ended.is_stuck else 0
