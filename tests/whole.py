"""A whole cmam on the sandbox's core, in virtual time: a leader who trades, followers, the log, and a pair of scissors.

`Whole` starts the real system (`cmam.bootstrap.System`) with a scheduler for threads. `Person` is somebody with a
terminal of his own: he trades on the leader's account and looks at what the broker really holds.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from cmam.bootstrap import Machinery, System
from cmam.config.secret import Secret
from cmam.config.settings import check
from cmam.credentials.oauth import OAuthRefused, OAuthUnreachable
from cmam.credentials.secrets_file import SecretStore
from cmam.credentials.vault import Application, TokenPair, with_application, with_grant
from cmam.domain.account import AccountView
from cmam.domain.events import Event, Health
from cmam.domain.ids import AccountId
from cmam.office import Desk
from cmam.openapi import catalogue
from cmam.openapi._pb import OpenApiMessages_pb2 as wire
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.sandbox.authority import Refusal
from cmam.sandbox.broker import Broker, Close, Send
from cmam.sandbox.switches import Switches
from cmam.sandbox.world import World
from cmam.sandbox.world_file import default_world
from cmam.store.errors import StoreUnavailable
from cmam.store.fold import Fold, fold
from cmam.store.log import EventLog, Pending, Recorded
from tests.stepped import Stepper

LEADER, SAME_BROKER, OTHER_BROKER, YEN = 41_000_001, 41_000_002, 41_000_003, 41_000_004
NETTED, ALPHA_TOO = 41_000_005, 41_000_007
SECOND = 1_000_000
EURUSD = 1
PERSON_CONNECTION = 900_001


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
        self.refreshed = 0

    def refresh(self, application: Application, pair: TokenPair, *, now: int) -> TokenPair:
        """Spend a refresh token as the sandbox's own endpoint would."""
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
        return TokenPair(Secret(found.access_token), Secret(found.refresh_token), now, found.expires_us)


@dataclass(frozen=True, slots=True)
class Held:
    """A position as the broker really holds it."""

    position: int
    volume: int
    side: int
    label: str
    stop: float
    target: float
    symbol: int
    price: float


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
    ) -> None:
        self.stepper = Stepper(seed)
        clock = self.stepper.clock
        switches = switches if switches is not None else Switches(history_days=0)
        self.broker = Broker(world or default_world(), now_us=clock.now(), seed=seed, switches=switches)
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
        self.desk = Desk(self.log, clock)
        self.add_accounts(leader, *followers)
        if followers:
            self.add_profile("whole", leader, followers, settings)
        self.person = Person(self)
        self.system: System | None = None

    def add_accounts(self, *accounts: int) -> None:
        """Add accounts before the start."""
        added = [known(self.broker, ctid) for ctid in accounts]
        self.desk.carry_out({"command": "account.add", "accounts": added})
        self.accounts = (*self.accounts, *accounts)

    def add_profile(
        self, name: str, leader: int, followers: tuple[int, ...], settings: Mapping[str, str] | None = None
    ) -> None:
        """Create a profile before the start."""
        self.desk.carry_out(
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
            stepper.clock,
            stepper.directory,
            stepper,
            stepper,
            stepper.network.reader,
            stepper.random.random,
            lambda _: self.provider,
            stepper.wait,
        )
        self.system = System(self.settings, self.log, self.secrets, machinery)
        self.system.start()

    def start_ready(self) -> None:
        """Start, and let time pass until every account is reconciled."""
        self.start()
        self.stepper.run_until(self.is_ready, 60 * SECOND)

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

    def is_ready(self) -> bool:
        """Whether every account of the system is reconciled."""
        assert self.system is not None
        views = [self.view(account) for account in self.accounts]
        return all(view is not None and view.health is Health.RECONCILED for view in views)

    def run(self, seconds: float = 1.0) -> None:
        """Let virtual time pass."""
        self.stepper.run(int(seconds * SECOND))

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


class Person:
    """Somebody with a terminal of his own on the same broker."""

    def __init__(self, whole: Whole) -> None:
        self._whole = whole
        self._numbers = itertools.count(1)
        self._connections = itertools.count(PERSON_CONNECTION)
        self._connection = 0
        self._open: set[int] = set()
        self.heard: list[Any] = []

    def _dial(self) -> None:
        broker, network = self._whole.broker, self._whole.stepper.network
        self._connection = next(self._connections)
        self._open.clear()
        network.others[self._connection] = self._hear
        broker.connect(self._connection, network.now())
        application = broker.world.applications[0]
        self._say(
            wire.ProtoOAApplicationAuthReq(clientId=application.client_id, clientSecret=application.client_secret)
        )

    def _hear(self, output: Send | Close) -> None:
        if isinstance(output, Close):
            self._connection = 0
            return
        message = catalogue.MESSAGES[output.payload_type].FromString(output.payload)
        if isinstance(message, wire.ProtoOAAccountDisconnectEvent):
            self._open.discard(message.ctidTraderAccountId)
        if isinstance(message, wire.ProtoOAAccountsTokenInvalidatedEvent):
            self._open.difference_update(message.ctidTraderAccountIds)
        self.heard.append(message)

    def _say(self, message: Message) -> None:
        network = self._whole.stepper.network
        payload_type = catalogue.type_of(message)
        name = f"person-{next(self._numbers)}"
        self._whole.broker.receive(self._connection, payload_type, message.SerializeToString(), name, network.now())
        network.collect()

    def say(self, account: int, message: Message) -> list[Any]:
        """Send a request for an account and return what the broker says at once."""
        if not self._connection:
            self._dial()
        if account not in self._open:
            self._open.add(account)
            grant = self._whole.broker.grants.tokens_of(account)
            assert grant is not None
            self._say(wire.ProtoOAAccountAuthReq(ctidTraderAccountId=account, accessToken=grant.access_token))
        self.heard.clear()
        self._say(message)
        return list(self.heard)

    def buy(
        self, volume: int, *, account: int = LEADER, symbol: int = EURUSD, side: int = model.BUY, **more: Any
    ) -> int:
        """Trade at the market; answers the position's id."""
        request = wire.ProtoOANewOrderReq(
            ctidTraderAccountId=account, symbolId=symbol, orderType=model.MARKET, tradeSide=side, volume=volume, **more
        )
        heard = self.say(account, request)
        accepted = next(event for event in heard if isinstance(event, wire.ProtoOAExecutionEvent))
        return int(accepted.position.positionId)

    def close(self, position: int, volume: int, *, account: int = LEADER) -> None:
        self.say(
            account,
            wire.ProtoOAClosePositionReq(ctidTraderAccountId=account, positionId=position, volume=volume),
        )

    def amend(
        self, position: int, *, account: int = LEADER, stop: float | None = None, target: float | None = None
    ) -> None:
        request = wire.ProtoOAAmendPositionSLTPReq(ctidTraderAccountId=account, positionId=position)
        if stop is not None:
            request.stopLoss = stop
        if target is not None:
            request.takeProfit = target
        self.say(account, request)

    def place(
        self,
        kind: int,
        volume: int,
        *,
        price: float,
        account: int = LEADER,
        symbol: int = EURUSD,
        side: int = model.BUY,
        **more: Any,
    ) -> int:
        """Place a pending order; answers its id."""
        request = wire.ProtoOANewOrderReq(
            ctidTraderAccountId=account, symbolId=symbol, orderType=kind, tradeSide=side, volume=volume, **more
        )
        if kind == model.LIMIT:
            request.limitPrice = price
        else:
            request.stopPrice = price
        heard = self.say(account, request)
        accepted = next(event for event in heard if isinstance(event, wire.ProtoOAExecutionEvent))
        return int(accepted.order.orderId)

    def cancel(self, order: int, *, account: int = LEADER) -> None:
        self.say(account, wire.ProtoOACancelOrderReq(ctidTraderAccountId=account, orderId=order))

    def amend_order(self, order: int, *, account: int = LEADER, **more: Any) -> None:
        self.say(account, wire.ProtoOAAmendOrderReq(ctidTraderAccountId=account, orderId=order, **more))

    def rests(self, account: int) -> list[Any]:
        """The pending orders that rest at the broker, oldest first, as the wire says them."""
        heard = self.say(account, wire.ProtoOAReconcileReq(ctidTraderAccountId=account))
        report = next(event for event in heard if isinstance(event, wire.ProtoOAReconcileRes))
        return sorted(report.order, key=lambda order: order.orderId)

    def holds(self, account: int) -> list[Held]:
        """The positions that the broker really holds, oldest first."""
        heard = self.say(account, wire.ProtoOAReconcileReq(ctidTraderAccountId=account))
        report = next(event for event in heard if isinstance(event, wire.ProtoOAReconcileRes))
        return sorted(
            (
                Held(
                    p.positionId,
                    p.tradeData.volume,
                    p.tradeData.tradeSide,
                    p.tradeData.label,
                    p.stopLoss,
                    p.takeProfit,
                    p.tradeData.symbolId,
                    p.price,
                )
                for p in report.position
            ),
            key=lambda held: held.position,
        )
