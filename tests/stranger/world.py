"""A whole cmam on this broker, in virtual time, with somebody at a terminal of his own."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from cmam.actors import messages as m
from cmam.config.secret import Secret
from cmam.config.settings import check
from cmam.credentials.secrets_file import SecretStore
from cmam.credentials.vault import Application, TokenPair, with_application, with_grant
from cmam.domain.belief.view import AccountView
from cmam.domain.events import Event, Health
from cmam.domain.values.ids import AccountId, base36
from cmam.office import StoreWriter
from cmam.openapi._pb import OpenApiMessages_pb2 as wire
from cmam.openapi._pb.OpenApiCommonMessages_pb2 import ProtoMessage
from cmam.openapi.framing import Deframer
from cmam.store.logfile.log import EventLog
from cmam.system import Machinery, System
from tests.stepped import Stepper
from tests.stranger.books import BUY, LIMIT, MARKET, Book, Position, Symbol
from tests.stranger.broker import CLIENT_ID, CLIENT_SECRET, TYPES, Broker, type_of
from tests.stranger.habits import Habits
from tests.stranger.lines import Lines
from tests.stranger.market import BROKERS

SECOND = 1_000_000
TERMINAL = 900_001
LEADER, FOLLOWER = 501, 502


class MemoryBackend:
    """Secrets in memory."""

    def __init__(self) -> None:
        self._content: bytes | None = None

    def read(self) -> bytes | None:
        return self._content

    def write(self, content: bytes) -> None:
        self._content = content


class World:
    """One run of everything. Accounts are given by number, with their broker and whether they are netted."""

    def __init__(self, seed: int, habits: Habits, accounts: Mapping[int, tuple[str, bool]]) -> None:
        self.stepper = Stepper(seed)
        self.broker = Broker(habits, seed, self.stepper.clock.now())
        self.lines = Lines(self.stepper, self.broker)
        self.stepper.network = self.lines
        self.accounts = tuple(accounts)
        for account, (broker, netted) in accounts.items():
            self.broker.open_book(account, broker, netted=netted)
        self.log = EventLog.in_memory()
        self.secrets = SecretStore(MemoryBackend())
        self.secrets.update(self._given)
        self.settings = check({"demo_host": "stranger", "live_host": "stranger"})
        self._ids = random.Random(f"{seed}:ids")
        self.writer = StoreWriter(self.log, self.stepper.clock, new_id=self._new_id)
        added = [
            {"account": account, "login": account - 10_000, "broker": broker, "can_trade": True}
            for account, (broker, _) in accounts.items()
        ]
        self.writer.carry_out({"command": "account.add", "accounts": added})
        self.system: System | None = None

    def _given(self, vault: Any) -> Any:
        vault = with_application(vault, Application(CLIENT_ID, Secret(CLIENT_SECRET)))
        pair = TokenPair(Secret("stranger-access"), Secret("stranger-refresh"), self.stepper.clock.now())
        vault, _ = with_grant(vault, pair, self.accounts)
        return vault

    def _new_id(self, characters: int) -> str:
        return base36(self._ids.randrange(36**characters)).rjust(characters, "0")

    def profile(self, name: str, leader: int, followers: Mapping[int, str], **more: str) -> None:
        """Create a profile before the start, each follower with its multiplier."""
        settings = {"volume.basis": "units", "max_age": "600", **more}
        for follower, amount in followers.items():
            self.writer.carry_out(
                {
                    "command": "profile.create",
                    "name": f"{name}-{follower}",
                    "leader": str(leader),
                    "followers": [str(follower)],
                    "settings": {**settings, "volume.amount": amount},
                }
            )

    # --- life -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the system; everything happens in `run`."""
        stepper = self.stepper
        machinery = Machinery(
            stepper.start_clock(),
            stepper.directory,
            stepper,
            stepper,
            self.lines.reader,
            stepper.random.random,
            lambda _: None,
            stepper.wait,
            lambda: self._new_id(6),
        )
        self.system = System(self.settings, self.log, self.secrets, machinery)
        self.system.start()
        stepper.run_until(self.is_ready, 120 * SECOND)

    def kill(self) -> None:
        """A crash: what was not on disk is gone."""
        self.stepper.kill()
        self.stepper.network = self.lines
        self.log.refresh()

    def stop(self) -> None:
        """An orderly end."""
        assert self.system is not None
        self.system.stop()
        self.kill()

    def is_ready(self) -> bool:
        """Whether every account is reconciled."""
        views = [self.view(account) for account in self.accounts]
        return all(view is not None and view.health is Health.RECONCILED for view in views)

    def run(self, seconds: float) -> None:
        """Let virtual time pass."""
        self.stepper.run(int(seconds * SECOND))

    def view(self, account: int) -> AccountView | None:
        assert self.system is not None
        return self.system.status().view(AccountId(account))

    def held(self, account: int) -> list[int]:
        """What the broker's book of an account holds, bought as positive."""
        return [signed(one) for one in self.broker.floor.books[account].positions.values()]

    def events(self, account: int, kind: type[Event]) -> list[Any]:
        """The recorded events of a kind of one account."""
        return [
            one.event for one in self.log.read_stream(m.account_name(AccountId(account))) if isinstance(one.event, kind)
        ]


class Terminal:
    """Somebody who trades on one account over a line of his own, and hears what the broker tells him."""

    def __init__(self, world: World, account: int) -> None:
        self._world = world
        self._line = TERMINAL + account
        self._account = account
        self._asked = 0
        self._deframer = Deframer()
        self.heard: list[Any] = []
        world.lines.hears[self._line] = self._hear

    @property
    def book(self) -> Book:
        return self._world.broker.floor.books[self._account]

    def symbol(self, name: str) -> Symbol:
        return BROKERS[self.book.broker][name]

    def _hear(self, data: bytes) -> None:
        for body in self._deframer.receive_data(data):
            envelope = ProtoMessage.FromString(body)
            if envelope.payloadType in TYPES:
                self.heard.append(TYPES[envelope.payloadType].FromString(envelope.payload))

    def _say(self, message: Any) -> None:
        broker, now = self._world.broker, self._world.lines.now()
        if self._line not in broker.lines:
            broker.connect(self._line, now)
            line = broker.lines[self._line]
            line.is_known = True
            line.accounts.add(self._account)
        self._asked += 1
        envelope = ProtoMessage(payloadType=type_of(message), payload=message.SerializeToString())
        envelope.clientMsgId = f"hand-{self._asked}"
        broker.receive(self._line, envelope.SerializeToString(), now)
        self._world.lines.collect()

    def trade(self, name: str, side: int, volume: int, **more: Any) -> None:
        """Trade at the market, or let an order rest."""
        wanted = {"orderType": MARKET, **more}
        self._say(
            wire.ProtoOANewOrderReq(
                ctidTraderAccountId=self._account,
                symbolId=self.symbol(name).number,
                tradeSide=side,
                volume=volume,
                **wanted,
            )
        )

    def rest(self, kind: int, name: str, side: int, volume: int, price: int, **more: Any) -> None:
        """Let an order rest."""
        field = "limitPrice" if kind == LIMIT else "stopPrice"
        self.trade(name, side, volume, orderType=kind, **{field: price / 100_000}, **more)

    def close(self, held: Position, volume: int = 0) -> None:
        self._say(
            wire.ProtoOAClosePositionReq(
                ctidTraderAccountId=self._account, positionId=held.number, volume=volume or held.volume
            )
        )

    def protect(self, held: Position, sl: int, tp: int, *, trailing: bool = False) -> None:
        asked = wire.ProtoOAAmendPositionSLTPReq(ctidTraderAccountId=self._account, positionId=held.number)
        if sl:
            asked.stopLoss = sl / 100_000
            asked.trailingStopLoss = trailing
        if tp:
            asked.takeProfit = tp / 100_000
        self._say(asked)

    def amend(self, order: int, **more: Any) -> None:
        self._say(wire.ProtoOAAmendOrderReq(ctidTraderAccountId=self._account, orderId=order, **more))

    def cancel(self, order: int) -> None:
        self._say(wire.ProtoOACancelOrderReq(ctidTraderAccountId=self._account, orderId=order))


def a_pair(
    habits: Habits,
    *,
    leader: tuple[str, bool] = ("North", False),
    follower: tuple[str, bool] = ("North", False),
    amount: str = "1",
    **settings: str,
) -> tuple[World, Terminal]:
    """A leader and one follower, ready, each by its broker and whether it is netted; and the leader's terminal."""
    world = World(1, habits, {LEADER: leader, FOLLOWER: follower})
    world.profile("of", LEADER, {FOLLOWER: amount}, **settings)
    world.start()
    world.run(5)
    return world, Terminal(world, LEADER)


def signed(held: Position) -> int:
    """Its volume, below 0 for a short one."""
    return held.volume if held.side == BUY else -held.volume
