"""A whole cmam on the sandbox's core, in virtual time: a leader who trades, followers, the log, and a pair of scissors.

`Whole` starts the real system (`cmam.system.System`) with a scheduler (`stepped.py`) for threads, on lines that can be
cut (`wires.py`), with somebody at a terminal of his own (`person.py`) who trades on the leader's account.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cmam.actors import messages as m
from cmam.actors.recording.recorder import RecorderActor
from cmam.config.secret import Secret
from cmam.config.settings import check
from cmam.credentials.oauth import OAuthRefused, OAuthUnreachable
from cmam.credentials.secrets_file import SecretStore
from cmam.credentials.vault import Application, TokenPair, with_application, with_grant
from cmam.domain.belief.view import AccountView
from cmam.domain.events import Event, Health
from cmam.domain.values.ids import AccountId, base36
from cmam.office import StoreWriter
from cmam.sandbox.books.authority import Refusal
from cmam.sandbox.service.broker import Broker
from cmam.sandbox.serving.world_file import default_world
from cmam.sandbox.switches import Switches
from cmam.sandbox.world import World
from cmam.store.errors import StoreUnavailable
from cmam.store.folding.fold import Fold, fold
from cmam.store.logfile.log import EventLog
from cmam.store.records.envelope import Pending, Recorded
from cmam.system import Machinery, System
from tests.person import LEADER, Person
from tests.stepped import BEGINS_US, Stepper

SAME_BROKER, OTHER_BROKER, YEN = 41_000_002, 41_000_003, 41_000_004
NETTED, ALPHA_TOO = 41_000_005, 41_000_007
SECOND = 1_000_000


class MemoryBackend:
    """Secrets in memory."""

    def __init__(self) -> None:
        self._content: bytes | None = None

    def read(self) -> bytes | None:
        return self._content

    def write(self, content: bytes) -> None:
        self._content = content


class FaultyLog(EventLog):
    """A log whose disk can be made to take nothing, or to lose the answer to what it took."""

    is_down = False
    is_unreadable = False
    loses_answers = 0

    def read_stream(self, stream: str, after: int = 0) -> Iterator[Recorded]:
        if self.is_unreadable:
            raise StoreUnavailable("the disk does not answer")
        return super().read_stream(stream, after)

    def append(self, batch: Sequence[Pending]) -> int:
        if self.is_down:
            raise StoreUnavailable("the disk is full")
        position = super().append(batch)
        if self.loses_answers:
            self.loses_answers -= 1
            raise StoreUnavailable("the answer was lost")
        return position


class SandboxProvider:
    """The token endpoint, without its socket."""

    def __init__(self, whole: Whole) -> None:
        self._whole = whole
        self.is_reachable = True
        self.loses_answers = 0
        self.refreshed = 0

    def refresh(self, application: Application, pair: TokenPair, *, now: int) -> TokenPair:
        """Spend a refresh token as the sandbox's own endpoint would, by its own time."""
        now = self._whole.stepper.clock.now()
        if not self.is_reachable:
            raise OAuthUnreachable("The token endpoint does not answer.", was_sent=False)
        broker = self._whole.broker
        secret = application.client_secret.reveal()
        found = broker.grants.refresh(pair.refresh.reveal(), now, client_id=application.client_id, client_secret=secret)
        broker.on_time(now)
        self._whole.stepper.network.collect()
        if isinstance(found, Refusal):
            raise OAuthRefused(found.description, found.code)
        self.refreshed += 1
        self._whole.secrets_ever |= {found.access_token, found.refresh_token}
        if self.loses_answers:
            self.loses_answers -= 1
            raise OAuthUnreachable("The token endpoint's answer was lost.", was_sent=True)
        return TokenPair(Secret(found.access_token), Secret(found.refresh_token), now, found.expires_us)


class Whole:
    """One run of everything."""

    def __init__(
        self,
        seed: int = 0,
        *,
        leader: int = LEADER,
        followers: tuple[int, ...] = (SAME_BROKER,),
        settings: Mapping[str, str] | None = None,
        switches: Switches | None = None,
        log: FaultyLog | None = None,
        world: World | None = None,
        connections: int = 1,
        begins_us: int = BEGINS_US,
    ) -> None:
        self.stepper = Stepper(seed, begins_us=begins_us)
        clock = self.stepper.clock
        switches = switches if switches is not None else Switches(history_days=0)
        self._make_broker = lambda: Broker(world or default_world(), now_us=clock.now(), seed=seed, switches=switches)
        self.broker = self._make_broker()
        self.past_stats: list[dict[str, Any]] = []
        self._ids = random.Random(f"{seed}:ids")
        self.stepper.network.broker = self.broker
        self.log = log if log is not None else FaultyLog.in_memory()
        self.secrets = SecretStore(MemoryBackend())
        self.settings = check({"demo_host": "sandbox", "live_host": "sandbox", "connections": connections})
        self.leader = leader
        self.followers = followers
        self.accounts: tuple[int, ...] = ()
        self.provider = SandboxProvider(self)
        self.secrets_ever: set[str] = set()
        self._give_tokens()
        self.writer = StoreWriter(self.log, clock, new_id=self._new_id)
        self.add_accounts(leader, *followers)
        if followers:
            self.add_profile("whole", leader, followers, settings)
        self.person = Person(self)
        self.system: System | None = None

    def add_accounts(self, *accounts: int) -> None:
        """Add accounts before the start."""
        added = [known(self.broker, ctid) for ctid in accounts]
        self.writer.carry_out({"command": "account.add", "accounts": added})
        self.accounts = (*self.accounts, *accounts)

    def add_profile(
        self, name: str, leader: int, followers: tuple[int, ...], settings: Mapping[str, str] | None = None
    ) -> None:
        """Create a profile before the start."""
        self.writer.carry_out(
            {
                "command": "profile.create",
                "name": name,
                "leader": str(leader),
                "followers": [str(follower) for follower in followers],
                "settings": {"volume.basis": "units", **(settings or {})},
            }
        )

    def _give_tokens(self) -> None:
        application = self.broker.world.applications[0]

        def give(vault: Any) -> Any:
            vault = with_application(vault, Application(application.client_id, Secret(application.client_secret)))
            self.secrets_ever.add(application.client_secret)
            for grant in self.broker.grants.grants():
                pair = TokenPair(Secret(grant.access_token), Secret(grant.refresh_token), self.stepper.clock.now())
                vault, _ = with_grant(vault, pair, grant.accounts)
                self.secrets_ever |= {grant.access_token, grant.refresh_token}
            return vault

        self.secrets.update(give)

    # --- life -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the system; everything happens in `run`."""
        stepper = self.stepper
        machinery = Machinery(
            stepper.start_clock(),
            stepper.directory,
            stepper,
            stepper,
            stepper.network.reader,
            stepper.random.random,
            lambda _: self.provider,
            stepper.wait,
            lambda: self._new_id(6),
        )
        self.system = System(self.settings, self.log, self.secrets, machinery)
        self.system.start()

    def start_ready(self) -> None:
        """Start, and let time pass until every account is reconciled."""
        self.start()
        self.stepper.run_until(self.is_ready, 60 * SECOND)

    @property
    def is_running(self) -> bool:
        """Whether there is a process to speak of."""
        return bool(self.stepper._actors)

    def kill(self) -> None:
        """A crash: what was not on disk is gone."""
        self.stepper.kill()
        self.log.refresh()

    def stop(self) -> int:
        """An orderly end, as at a signal; answers the exit code."""
        assert self.system is not None
        code = self.system.stop()
        self.kill()  # what the process has not done by now it will not do
        return code

    def restart_broker(self) -> None:
        """The broker ends and comes back with its books; whoever was connected is not."""
        state = json.loads(json.dumps(self.broker.state()))
        self.past_stats.append(dict(self.broker.stats()))
        self.stepper.network.cut_all()
        self.broker = self.stepper.network.broker = self._make_broker()
        self.broker.load_state(state, self.stepper.clock.now())
        self.person.hang_up()

    def orders(self, account: int) -> list[Any]:
        """Every order of an account that the broker knows, whatever became of it."""
        books = self.broker.floor.accounts[account]
        return [*books.orders.values(), *books.past_orders.values()]

    def stats(self) -> list[dict[str, Any]]:
        """What each broker counted, the one that runs last."""
        return [*self.past_stats, dict(self.broker.stats())]

    def _new_id(self, characters: int) -> str:
        return base36(self._ids.randrange(36**characters)).rjust(characters, "0")

    def is_ready(self) -> bool:
        """Whether every account of the system is reconciled."""
        assert self.system is not None
        views = [self.view(account) for account in self.accounts]
        return all(view is not None and view.health is Health.RECONCILED for view in views)

    def now_us(self) -> int:
        """The moment by our clock."""
        return self.stepper.clock.now()

    def run(self, seconds: float = 1.0) -> None:
        """Let virtual time pass."""
        self.stepper.run(int(seconds * SECOND))

    def let_record(self) -> None:
        """Let what waits a moment for company be recorded: until then an account knows more than the log."""
        self.stepper.run_until(lambda: not self.recorder.unrecorded, SECOND)

    @property
    def recorder(self) -> RecorderActor:
        """The one writer of the log."""
        actor = self.stepper.directory.actor(m.RECORDER)
        assert isinstance(actor, RecorderActor)
        return actor

    def command(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send a person's command to the running system and wait for its answer."""
        answers: list[dict[str, Any]] = []
        assert self.system is not None
        self.system.handle(request, answers.append)
        self.stepper.run_until(lambda: bool(answers), 5 * SECOND)
        return answers[0]

    # --- what is believed and recorded ----------------------------------------------------------------------------

    def view(self, account: int) -> AccountView | None:
        assert self.system is not None
        return self.system.status().view(AccountId(account))

    def folded(self) -> Fold:
        """What the log alone says."""
        return fold(self.log.read_all())

    def events(self, account: int, kind: type[Event]) -> list[Any]:
        """The recorded events of a kind of one account."""
        return [r.event for r in self.log.read_stream(f"account:{account}") if isinstance(r.event, kind)]


def known(broker: Broker, ctid: int) -> dict[str, Any]:
    """An account as the command that adds it wants it."""
    spec = next(account for account in broker.world.accounts if account.ctid == ctid)
    return {"account": ctid, "login": spec.login, "broker": spec.broker, "can_trade": True}
