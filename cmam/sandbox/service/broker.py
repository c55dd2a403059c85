"""The sandbox's pure core: messages and the time in, messages and the next deadline out. No IO, no clock, no thread.

The same core runs under asyncio in the server and directly, with virtual time, in whole-system tests. `receive` acts at
once; delayed effects wait for `on_time`. It never raises on any input: what is wrong with a message is answered, and a
fault of our own is answered with UNKNOWN_ERROR and counted in `stats()`.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from functools import partial

from google.protobuf.message import DecodeError, Message

from cmam.sandbox.answers.streams import Streams
from cmam.sandbox.books.authority import Grants
from cmam.sandbox.books.ledger import Account
from cmam.sandbox.faults import Faults
from cmam.sandbox.markets.market import Stream
from cmam.sandbox.markets.recorded import Recording
from cmam.sandbox.service import snapshot, upkeep
from cmam.sandbox.service.delivery import Close, Delivery, Send
from cmam.sandbox.service.lobby import HEARTBEAT, Lobby
from cmam.sandbox.service.refusals import Refusals
from cmam.sandbox.service.requests import ROUTES, Desk, Needs, Route
from cmam.sandbox.service.sessions import Session
from cmam.sandbox.service.stats import Stats
from cmam.sandbox.service.troubles import Troubles
from cmam.sandbox.switches import Switches
from cmam.sandbox.trading import triggers
from cmam.sandbox.trading.floor import Floor, Refused
from cmam.sandbox.world import World

BEFORE_APPLICATION = frozenset({2100, 2104, 2173})
"""ApplicationAuthReq, VersionReq, RefreshTokenReq: legal before the application is authorised (wire.md#garbage)."""


class Broker:
    """All brokers of a world, behind one address."""

    def __init__(
        self,
        world: World,
        *,
        now_us: int,
        seed: int = 0,
        switches: Switches = Switches(),  # noqa: B008  # frozen
        ticks: Mapping[str, Recording] | None = None,
        speed: float = 1.0,
    ) -> None:
        """Open the markets of `world` at `now_us`; `ticks` are played first, `speed` times as fast as recorded."""
        self.world = world
        self.switches = switches
        self.faults = Faults(seed)
        self.turn = -1
        """How much of what is due one call does at most, so that whoever is late stays answerable; -1 is all of it."""
        self.grants = Grants(world, switches, seed=seed, now_us=now_us)
        self._stats = Stats()
        self.floor = Floor(
            world,
            now_us=now_us,
            seed=seed,
            switches=switches,
            faults=self.faults,
            publish=self._publish,
            ticks=ticks,
            speed=speed,
        )
        self._lobby = Lobby(self.floor, self.grants, self._stats)
        self._delivery = Delivery(self.floor, self.faults, self._stats, self._lobby.forget)
        self.streams = Streams(self.floor, self._stream)
        self._lobby.furnish(self._delivery, self.streams)
        self._refusals = Refusals(self._delivery, switches, self._stats)
        self._troubles = Troubles(self.faults, self.floor, self._lobby, self._delivery, self.grants)
        self._desk = Desk(self.floor, self.grants, self.streams, self._lobby, self._reply)
        upkeep.start(self.floor)

    # Connections.

    def connect(self, connection: int, now_us: int, *, environment: str | None = None) -> None:
        """Take a new connection; `environment` is "live" or "demo", None serves both."""
        self._advance(now_us)
        self._lobby.open(connection, environment)

    def disconnect(self, connection: int, now_us: int) -> None:
        """Forget a connection that the client or the network has closed."""
        self._advance(now_us)
        session = self._lobby.sessions.get(connection)
        if session is not None:
            self._lobby.forget(session, "closed by the client")

    # Input.

    def receive(
        self, connection: int, payload_type: int, payload: bytes, client_msg_id: str | None, now_us: int
    ) -> None:
        """Take one message of a client."""
        self._advance(now_us)
        session = self._lobby.sessions.get(connection)
        if session is None:
            return
        msg_id = client_msg_id if isinstance(client_msg_id, str) else None
        session.heard_us = self.floor.now_us
        session.figures.received(payload_type, self.floor.now_us)
        self._stats.messages += 1
        if payload_type == HEARTBEAT:
            return
        handle = partial(self._handle, session, payload_type, payload, msg_id)
        if self.faults.is_any:
            ctid = _account_named(payload_type, payload)
            handle = partial(self._troubles.around, session, payload_type, ctid, msg_id, handle)
        if not self._guarded(handle):
            sorry = Refused("UNKNOWN_ERROR", "Internal error of the sandbox")
            self._refusals.send(session, payload_type, sorry, msg_id, None)
        self._lobby.tell_dead()

    def receive_garbage(self, connection: int, what: str, now_us: int, *, is_too_long: bool = False) -> None:
        """Take the news that a client sent what is no message; answered, and then the line is closed
        (wire.md#garbage)."""
        self._advance(now_us)
        session = self._lobby.sessions.get(connection)
        if session is None:
            return
        session.figures.garbage += 1
        self._refusals.garbage(session, what, is_too_long=is_too_long)
        if self._lobby.is_open(session):
            self._delivery.close(session, "garbage")

    def _guarded(self, action: Callable[[], None]) -> bool:
        """Do something; a fault of our own is kept for `stats`, where tests demand none, and gives False."""
        try:
            action()
        except Exception:  # noqa: BLE001  # the edge: no input may stop the server
            self._stats.internal_errors += 1
            self._stats.last_internal_error = traceback.format_exc()
            return False
        return True

    def _handle(self, session: Session, payload_type: int, payload: bytes, msg_id: str | None) -> None:
        blocked_s = session.limiter.refuse(payload_type, self.floor.now_us)
        if blocked_s is None and self.faults.is_any:
            blocked_s = self._troubles.over_quota_s(session, payload_type)
        if blocked_s is not None:
            self._refusals.too_fast(session, payload_type, blocked_s, msg_id)
            return
        if session.client_id is None and payload_type not in BEFORE_APPLICATION:
            refused = Refused("CH_CLIENT_NOT_AUTHENTICATED", "Channel is not authenticated")
            self._refusals.send(session, payload_type, refused, msg_id, None)
            return
        route = ROUTES.get(payload_type)
        if route is None:
            self._refusals.unknown(session, payload_type, msg_id)
            return
        ctid: int | None = None
        try:
            request = _parsed(route, payload)
            if route.needs is not Needs.NOTHING:
                ctid = request.ctidTraderAccountId  # type: ignore[attr-defined]  # every such request has it
            if self.faults.is_any:
                self._troubles.refuse(session, payload_type, ctid)
            answer = self._answer(session, route, payload_type, request, msg_id)
        except Refused as refused:
            self._refusals.send(session, payload_type, refused, msg_id, ctid)
            return
        if answer is not None:
            self._delivery.send(session, route.answers_with, answer.SerializeToString(), msg_id)

    def _answer(
        self, session: Session, route: Route, payload_type: int, request: Message, msg_id: str | None
    ) -> Message | None:
        if route.needs in (Needs.NOTHING, Needs.TOKEN):
            return route.for_session(self._desk, session, request, msg_id)
        account = self._account(session, request.ctidTraderAccountId)  # type: ignore[attr-defined]  # these have it
        if route.needs is Needs.STREAM:
            return route.for_stream(self._desk, session, account, request, msg_id)
        if route.needs is Needs.ACCOUNT:
            return route.for_account(self.floor, account, request)
        self._check_trade(session, account, payload_type)
        route.for_trade(self.floor, account, request, msg_id)
        return None

    def _account(self, session: Session, ctid: int) -> Account:
        if ctid not in session.accounts:
            code = self.switches.account_not_authorised_code
            raise Refused(code, "Trading account is not authorized", as_error_res=True)
        return self.floor.accounts[ctid]

    def _check_trade(self, session: Session, account: Account, payload_type: int) -> None:
        if session.accounts[account.spec.ctid].scope == 0:
            raise Refused(self.switches.view_scope_code, "The access token does not permit trading")
        if not account.spec.live:
            blocked_s = session.limiter.refuse_trading(payload_type, self.floor.now_us)
            if blocked_s is not None:
                raise self._refusals.rate(blocked_s)

    # Output.

    def take_output(self) -> list[Send | Close]:
        """Give what is to be sent and closed, in order, and forget it."""
        self._lobby.tell_dead()
        return self._delivery.take()

    def _reply(self, session: Session, payload_type: int, message: Message, msg_id: str | None) -> None:
        self._delivery.send(session, payload_type, message.SerializeToString(), msg_id)

    def _publish(self, account: Account, payload_type: int, message: Message, msg_id: str | None) -> None:
        """Tell every connection that has the account open, with the id of the request that caused it
        (wire.md#whose-an-event-is)."""
        if not account.listeners:
            return
        payload = message.SerializeToString()
        for connection in tuple(account.listeners):
            self._delivery.send(self._lobby.sessions[connection], payload_type, payload, msg_id, account.spec.ctid)

    def _stream(self, connection: int, payload_type: int, payload: bytes) -> None:
        session = self._lobby.sessions.get(connection)
        if session is not None:
            self._delivery.send(session, payload_type, payload, None)

    # Time.

    def on_time(self, now_us: int) -> None:
        """Do everything that is due: ticks, fills, expiries, heartbeats, idle closes."""
        self._advance(now_us)

    def next_deadline(self) -> int | None:
        """Say when `on_time` wants to be called next."""
        timer = self.floor.next_timer_us()
        tick = self.floor.market.next_us()
        return tick if timer is None else min(timer, tick)

    def _advance(self, now_us: int) -> None:
        """Let time pass up to `now_us`, one due thing after the other in the order of their moments; no further than a
        turn goes: what is asked in between is asked at the moment that was reached."""
        floor = self.floor
        market = floor.market
        left = self.turn
        while True:
            timer, tick = floor.next_timer_us(), market.next_us()
            due = tick if timer is None else min(timer, tick)
            if due > now_us:
                break
            if left == 0:
                return
            left -= 1
            floor.now_us = max(floor.now_us, due)
            self._guarded(floor.run_next_timer if timer is not None and timer <= tick else self._tick)
        floor.now_us = max(floor.now_us, now_us)

    def _tick(self) -> None:
        moment, moved = self.floor.market.pop()
        frozen = self.faults.present("frozen-quotes") if self.faults.is_any else None
        for stream in moved:
            if frozen is None or frozen.arguments["symbol"] not in ("all", stream.feed.name):
                self._spread(stream, moment)

    def move_price(self, feed: str, bid: int, ask: int) -> None:
        """Put a feed's price somewhere, in 1/100_000_000, and let it act as a tick would."""
        for stream in self.floor.market.move(feed, bid, ask):
            self._spread(stream, self.floor.now_us)

    def _spread(self, stream: Stream, moment: int) -> None:
        self.floor.chart.add(stream.feed.name, moment, stream.bid, stream.ask)
        for venue in self.floor.venues.values():
            for quote, bid, ask in venue.take(stream, moment):
                self.streams.on_quote(venue, quote, bid, ask)
                triggers.on_quote(self.floor, venue, quote)

    # For people and tests.

    def stats(self) -> dict[str, object]:
        """Give the counters and the faults that are on, as JSON can carry them."""
        return {**self._stats.report(), "faults": self.faults.on()}

    def set_fault(self, name: str, arguments: Mapping[str, str]) -> str:
        """Switch a fault on, or let an incident happen; gives a sentence that says what was done.

        Raises ValueError with one clear sentence.
        """
        return self._troubles.set(name, arguments, self.move_price)

    def clear_fault(self, name: str) -> str:
        """Switch a fault off, or all of them with "all"; raises ValueError with one clear sentence."""
        return self._troubles.clear(name)

    def faults_on(self) -> dict[str, dict[str, object]]:
        """List the faults that are on, with their arguments and how often they struck."""
        return self.faults.on()

    def state(self) -> dict[str, object]:
        """Write down what a restart keeps: accounts with all their records, ids, prices, tokens. JSON can carry it."""
        return snapshot.write(self.floor, self.grants)

    def load_state(self, state: Mapping[str, object], now_us: int) -> None:
        """Take over what another broker of the same world wrote down, before any client connects.

        Raises AssertionError, KeyError, TypeError or ValueError for a state that is none of this world's.
        """
        self._advance(now_us)
        snapshot.read(self.floor, self.grants, state)
        for grant in self.grants.grants():
            self._lobby.watch_token(grant)

    def succeed(self, other: Broker, now_us: int) -> None:
        """Go on where another broker of the same world ends, as after a restart; the market never stood still."""
        self.floor.market, self.floor.chart = other.floor.market, other.floor.chart
        self.load_state(other.state(), now_us)


def _account_named(payload_type: int, payload: bytes) -> int | None:
    """The account that a request names, before it is known whether the request is any good."""
    route = ROUTES.get(payload_type)
    if route is None or route.needs is Needs.NOTHING:
        return None
    try:
        request = _parsed(route, payload)
    except Refused:
        return None
    return int(request.ctidTraderAccountId)  # type: ignore[attr-defined]  # every such request has it


def _parsed(route: Route, payload: bytes) -> Message:
    try:
        request = route.request.FromString(payload)
    except DecodeError:
        raise Refused("INVALID_REQUEST", "Malformed payload", as_error_res=True) from None
    if not request.IsInitialized():
        missing = ", ".join(request.FindInitializationErrors())  # type: ignore[attr-defined]  # not in the stubs
        raise Refused("INVALID_REQUEST", f"Message missing required fields: {missing}", as_error_res=True)
    return request
