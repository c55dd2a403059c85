"""The sandbox's pure core: messages and the time in, messages and the next deadline out. No IO, no clock, no thread.

The same core runs under asyncio in the server and directly, with virtual time, in whole-system tests. `receive` acts at
once; delayed effects wait for `on_time`. It never raises on any input: what is wrong with a message is answered, and a
fault of our own is answered with UNKNOWN_ERROR and counted in `stats()`.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from google.protobuf.message import DecodeError, Message

from cmam.openapi._pb import OpenApiCommonMessages_pb2 as common
from cmam.openapi._pb import OpenApiMessages_pb2 as messages
from cmam.sandbox import faults, incidents, snapshot, triggers, units, upkeep
from cmam.sandbox.authority import Grant, Grants
from cmam.sandbox.delivery import Close, Delivery, Send
from cmam.sandbox.faults import Faults
from cmam.sandbox.floor import Floor, Refused
from cmam.sandbox.ledger import Account
from cmam.sandbox.limits import HISTORICAL, Limiter
from cmam.sandbox.market import RecordedTick, Stream
from cmam.sandbox.requests import ROUTES, Desk, Needs, Route
from cmam.sandbox.sessions import Session
from cmam.sandbox.stats import Stats
from cmam.sandbox.streams import Streams
from cmam.sandbox.switches import Switches
from cmam.sandbox.world import World

ERROR_RES_COMMON, HEARTBEAT = 50, 51
ORDER_ERROR_EVENT, ERROR_RES = 2132, 2142
TOKEN_INVALIDATED, CLIENT_DISCONNECT, ACCOUNT_DISCONNECT = 2147, 2148, 2164
BEFORE_APPLICATION = frozenset({2100, 2104, 2173})
"""ApplicationAuthReq, VersionReq, RefreshTokenReq: legal before the application is authorised (FACTS 1.6)."""
NEVER = 2**62
MAINTENANCE = "SERVER_IS_UNDER_MAINTENANCE"
__all__ = ["Broker", "Close", "Send"]


class Broker:
    """All brokers of a world, behind one address."""

    def __init__(
        self,
        world: World,
        *,
        now_us: int,
        seed: int = 0,
        switches: Switches = Switches(),  # noqa: B008  # frozen
        ticks: Sequence[RecordedTick] = (),
        speed: float = 1.0,
    ) -> None:
        """Open the markets of `world` at `now_us`; `ticks` are played first, `speed` times as fast as recorded."""
        self.world = world
        self.switches = switches
        self.faults = Faults(seed)
        self.grants = Grants(world, switches, seed=seed, now_us=now_us)
        self._sessions: dict[int, Session] = {}
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
        self._delivery = Delivery(self.floor, self.faults, self._stats, self._forget)
        self.streams = Streams(self.floor, self._stream)
        self._desk = Desk(self.floor, self.grants, self.streams, self._sessions, self._reply)
        self._maintenance_end_us = 0
        self._token_alarm_us = NEVER
        self._dead: list[tuple[Grant, str]] = []
        self.grants.on_dead = lambda grant, reason: self._dead.append((grant, reason))
        self.grants.on_issued = self._watch_token
        for grant in self.grants.grants():
            self._watch_token(grant)
        upkeep.start(self.floor)

    # Connections.

    def connect(self, connection: int, now_us: int, *, environment: str | None = None) -> None:
        """Take a new connection; `environment` is "live" or "demo", None serves both."""
        self._advance(now_us)
        now = self.floor.now_us
        figures = self._stats.opened(connection, now)
        limiter = Limiter(self.switches)
        session = Session(connection, environment, now, now, now, limiter, figures)
        self._sessions[connection] = session
        for after_ms, action in (
            (self.switches.unauthorised_timeout_ms, self._close_unauthorised),
            (self.switches.idle_timeout_ms, self._close_idle),
            (self.switches.heartbeat_after_ms, self._beat),
        ):
            self._later(session, now + after_ms * units.MILLISECOND_US, action)

    def _later(self, session: Session, due_us: int, action: Callable[[Session], None]) -> None:
        self.floor.at(due_us, partial(action, session), while_needed=partial(self._is_open, session))

    def disconnect(self, connection: int, now_us: int) -> None:
        """Forget a connection that the client or the network has closed."""
        self._advance(now_us)
        session = self._sessions.get(connection)
        if session is not None:
            self._forget(session, "closed by the client")

    def _forget(self, session: Session, reason: str) -> None:
        for ctid in list(session.accounts):
            self._desk.leave_account(session, self.floor.accounts[ctid])
        del self._sessions[session.connection]
        session.is_closing = True
        session.figures.close_reason = reason
        self._stats.closed(session.connection, self.floor.now_us)

    def close(self, connection: int, reason: str) -> None:
        """End a connection from our side."""
        session = self._sessions.get(connection)
        if session is not None:
            self._delivery.close(session, reason)

    def _is_open(self, session: Session) -> bool:
        return self._sessions.get(session.connection) is session

    def _close_unauthorised(self, session: Session) -> None:
        if self._is_open(session) and session.client_id is None:
            self.close(session.connection, "not authorised in time")

    def _close_idle(self, session: Session) -> None:
        if not self._is_open(session):
            return
        due = session.heard_us + self.switches.idle_timeout_ms * 1000
        if due <= self.floor.now_us:
            self.close(session.connection, "idle")
        else:
            self._later(session, due, self._close_idle)

    def _beat(self, session: Session) -> None:
        """Send a heartbeat after our own silence; never as an answer to one (FACTS 1.5)."""
        if not self._is_open(session):
            return
        due = session.said_us + self.switches.heartbeat_after_ms * 1000
        if due <= self.floor.now_us:
            self._send(session, HEARTBEAT, b"", None)
            due = self.floor.now_us + self.switches.heartbeat_after_ms * 1000
        self._later(session, due, self._beat)

    # Input.

    def receive(
        self, connection: int, payload_type: int, payload: bytes, client_msg_id: str | None, now_us: int
    ) -> None:
        """Take one message of a client."""
        self._advance(now_us)
        session = self._sessions.get(connection)
        if session is None:
            return
        msg_id = client_msg_id if isinstance(client_msg_id, str) else None
        session.heard_us = self.floor.now_us
        session.figures.received(payload_type, self.floor.now_us)
        self._stats.messages += 1
        if payload_type == HEARTBEAT:
            return
        try:
            if self.faults.is_any:
                self._handle_troubled(session, payload_type, payload, msg_id)
            else:
                self._handle(session, payload_type, payload, msg_id)
        except Exception:  # noqa: BLE001  # the edge: no input may stop the server; counted, kept, and asserted 0 in tests
            self._stats.internal_errors += 1
            self._stats.last_internal_error = traceback.format_exc()
            self._refuse(session, payload_type, Refused("UNKNOWN_ERROR", "Internal error of the sandbox"), msg_id, None)
        self._tell_dead()

    def _handle_troubled(self, session: Session, payload_type: int, payload: bytes, msg_id: str | None) -> None:
        """Handle a message while faults are on: those that befall a request strike here."""

        def strikes(name: str) -> faults.Fault | None:
            return self.faults.strikes(name, connection=session.connection, payload_type=payload_type)

        if strikes("drop"):
            return
        if strikes("cut-before"):
            self._delivery.close(session, "fault: cut before the request", flush=False)
            return
        if strikes("silence"):
            self._delivery.withhold(session, msg_id)
        if strikes("half-frame"):
            session.halves_next = session.is_troubled = True
        if strikes("cut-mid-order"):
            session.ends_after, session.is_troubled = msg_id, True
        is_cut_after = strikes("cut-after") is not None
        self._handle(session, payload_type, payload, msg_id)
        session.muted.discard(None)
        if is_cut_after and self._is_open(session):
            self._delivery.close(session, "fault: cut after the request", flush=False)

    def receive_garbage(self, connection: int, what: str, now_us: int) -> None:
        """Take the news that a client sent what is no message; answered, and then the line is closed (FACTS 1.6)."""
        self._advance(now_us)
        session = self._sessions.get(connection)
        if session is None:
            return
        session.figures.garbage += 1
        code = "FRAME_TOO_LONG" if "too long" in what.lower() or "frame of at most" in what else "INVALID_REQUEST"
        self._send(
            session, ERROR_RES, messages.ProtoOAErrorRes(errorCode=code, description=what).SerializeToString(), None
        )
        session.figures.refused(0, code, by_rate=False)
        self.close(connection, "garbage")

    def _handle(self, session: Session, payload_type: int, payload: bytes, msg_id: str | None) -> None:
        now = self.floor.now_us
        blocked_s = session.limiter.refuse(payload_type, now)
        if blocked_s is not None:
            self._refuse_rate(session, payload_type, blocked_s, msg_id)
            return
        if self.faults.is_any and self._is_over_quota(session, payload_type, msg_id):
            return
        route = ROUTES.get(payload_type)
        if session.client_id is None and payload_type not in BEFORE_APPLICATION:
            refused = Refused("CH_CLIENT_NOT_AUTHENTICATED", "Channel is not authenticated")
            self._refuse(session, payload_type, refused, msg_id, None)
            return
        if route is None:
            self._refuse_unknown(session, payload_type, msg_id)
            return
        ctid: int | None = None
        try:
            request = _parsed(route, payload)
            if route.needs is not Needs.NOTHING:
                ctid = request.ctidTraderAccountId  # type: ignore[attr-defined]  # every such request has it
            if self.faults.is_any:
                self._refuse_by_fault(session, route, payload_type, ctid)
            answer = self._answer(session, route, payload_type, request, msg_id)
        except Refused as refused:
            self._refuse(session, payload_type, refused, msg_id, ctid)
            return
        if answer is not None:
            self._send(session, route.answers_with, answer.SerializeToString(), msg_id)

    def _is_over_quota(self, session: Session, payload_type: int, msg_id: str | None) -> bool:
        quota = self.faults.present("history-quota")
        if quota is None or payload_type not in HISTORICAL:
            return False
        session.historical += 1
        if session.historical <= quota.number("allowed"):
            return False
        seconds = quota.number("seconds")
        session.limiter.block(payload_type, self.floor.now_us, seconds)
        self._refuse_rate(session, payload_type, seconds, msg_id)
        return True

    def _refuse_by_fault(self, session: Session, route: Route, payload_type: int, ctid: int | None) -> None:
        """Raise what the faults `error` and `maintenance` want a request to be refused with."""
        fault = self.faults.strikes("error", account=ctid, connection=session.connection, payload_type=payload_type)
        if fault is not None:
            retry_s = fault.number("retry_after") or None
            text = "Refused by a fault that is switched on"
            raise Refused(fault.arguments["code"], text, retry_after_s=retry_s, as_error_res=retry_s is not None)
        account = self.floor.accounts.get(ctid or 0)
        if route.needs is Needs.NOTHING or account is None:
            return
        end_us = self._maintained_until(account)
        if end_us is not None:
            text = f"Server of {account.spec.broker} is under maintenance"
            end_s = self.floor.stamp.ms(end_us) // 1000
            raise Refused(MAINTENANCE, text, as_error_res=True, maintenance_end_s=end_s)

    def _maintained_until(self, account: Account) -> int | None:
        fault = self.faults.present("maintenance")
        venue = self.floor.venue_of(account).spec
        if fault is None or fault.arguments["broker"] not in ("all", venue.name, venue.short):
            return None
        return self._maintenance_end_us

    def _answer(
        self, session: Session, route: Route, payload_type: int, request: Message, msg_id: str | None
    ) -> Message | None:
        if route.needs in (Needs.NOTHING, Needs.TOKEN):
            return route.for_session(self._desk, session, request, msg_id)
        account = self._account(session, request.ctidTraderAccountId)  # type: ignore[attr-defined]
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
        grant = self.grants.check(session.accounts[account.spec.ctid], self.floor.now_us)
        if isinstance(grant, Grant) and grant.scope == 0:
            raise Refused(self.switches.view_scope_code, "The access token does not permit trading")
        if not account.spec.live:
            blocked_s = session.limiter.refuse_trading(payload_type, self.floor.now_us)
            if blocked_s is not None:
                raise self._rate_refusal(blocked_s)

    # Output.

    def take_output(self) -> list[Send | Close]:
        """Give what is to be sent and closed, in order, and forget it."""
        self._tell_dead()
        return self._delivery.take()

    def _send(
        self, session: Session, payload_type: int, payload: bytes, msg_id: str | None, ctid: int | None = None
    ) -> None:
        self._delivery.send(session, payload_type, payload, msg_id, ctid)

    def _reply(self, session: Session, payload_type: int, message: Message, msg_id: str | None) -> None:
        self._send(session, payload_type, message.SerializeToString(), msg_id)

    def _publish(self, account: Account, payload_type: int, message: Message, msg_id: str | None) -> None:
        """Tell every connection that has the account open, with the id of the request that caused it (FACTS 4.7)."""
        if not account.listeners:
            return
        payload = message.SerializeToString()
        for connection in tuple(account.listeners):
            self._send(self._sessions[connection], payload_type, payload, msg_id, account.spec.ctid)

    def _stream(self, connection: int, payload_type: int, payload: bytes) -> None:
        self._send(self._sessions[connection], payload_type, payload, None)

    # Refusals.

    def _refuse(
        self, session: Session, payload_type: int, refused: Refused, msg_id: str | None, ctid: int | None
    ) -> None:
        """Refuse on the right carrier: 2132 for trading requests, 2142 for all else (FACTS 4.5)."""
        route = ROUTES.get(payload_type)
        session.figures.refused(payload_type, refused.code, by_rate=refused.retry_after_s is not None)
        if route is not None and route.needs is Needs.TRADE and ctid is not None and not refused.as_error_res:
            event = messages.ProtoOAOrderErrorEvent(
                ctidTraderAccountId=ctid, errorCode=refused.code, description=refused.description
            )
            if refused.order_id is not None:
                event.orderId = refused.order_id
            if refused.position_id is not None:
                event.positionId = refused.position_id
            self._send(session, ORDER_ERROR_EVENT, event.SerializeToString(), msg_id)
            return
        error = messages.ProtoOAErrorRes(errorCode=refused.code, description=refused.description)
        if ctid is not None:
            error.ctidTraderAccountId = ctid
        if refused.retry_after_s is not None:
            error.retryAfter = refused.retry_after_s
        if refused.maintenance_end_s is not None:
            error.maintenanceEndTimestamp = refused.maintenance_end_s
        self._send(session, ERROR_RES, error.SerializeToString(), msg_id)

    def _rate_refusal(self, seconds: int) -> Refused:
        if self.switches.rate_refusal == "REQUEST_FREQUENCY_EXCEEDED":
            text = "You have reached the rate limit of requests"
            return Refused("REQUEST_FREQUENCY_EXCEEDED", text, as_error_res=True, retry_after_s=seconds)
        text = "Payload type is blocked, the rate limit was exceeded"
        return Refused("BLOCKED_PAYLOAD_TYPE", text, as_error_res=True, retry_after_s=seconds)

    def _refuse_rate(self, session: Session, payload_type: int, seconds: int, msg_id: str | None) -> None:
        self._stats.rate_refusals += 1
        self._refuse(session, payload_type, self._rate_refusal(seconds), msg_id, 0)

    def _refuse_unknown(self, session: Session, payload_type: int, msg_id: str | None) -> None:
        code, text = "UNSUPPORTED_MESSAGE", f"Message type {payload_type} is not supported"
        session.figures.refused(payload_type, code, by_rate=False)
        if self.switches.unknown_type_carrier == "common":
            carrier = common.ProtoErrorRes(errorCode=code, description=text)
            self._send(session, ERROR_RES_COMMON, carrier.SerializeToString(), msg_id)
        else:
            error = messages.ProtoOAErrorRes(errorCode=code, description=text)
            self._send(session, ERROR_RES, error.SerializeToString(), msg_id)

    # Tokens.

    def _watch_token(self, grant: Grant) -> None:
        """Set the alarm for a token's expiry; one alarm, for the earliest, is enough."""
        if grant.expires_us < self._token_alarm_us:
            self._token_alarm_us = grant.expires_us
            self.floor.at(grant.expires_us, self._expire_tokens)

    def _expire_tokens(self) -> None:
        self._token_alarm_us = NEVER
        for grant in self.grants.grants():
            if 0 < grant.expires_us <= self.floor.now_us:
                self.grants.expire(grant.access_token)
            elif grant.expires_us:
                self._watch_token(grant)

    def _tell_dead(self) -> None:
        """Tell and end the account sessions whose access token has died (FACTS 2.4)."""
        dead, self._dead = self._dead, []
        for grant, reason in dead:
            if "refreshed" in reason and not self.switches.refresh_drops_sessions:
                continue
            for session in list(self._sessions.values()):
                lost = [
                    c for c, token in session.accounts.items() if token == grant.access_token and c in grant.accounts
                ]
                if not lost:
                    continue
                event = messages.ProtoOAAccountsTokenInvalidatedEvent(ctidTraderAccountIds=lost, reason=reason)
                self._send(session, TOKEN_INVALIDATED, event.SerializeToString(), None)
                for ctid in lost:
                    self.drop_account(session, ctid)

    def drop_account(self, session: Session, ctid: int) -> None:
        """End one account session and say so."""
        self._desk.leave_account(session, self.floor.accounts[ctid])
        event = messages.ProtoOAAccountDisconnectEvent(ctidTraderAccountId=ctid)
        self._send(session, ACCOUNT_DISCONNECT, event.SerializeToString(), None)

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
        """Let time pass up to `now_us`, one due thing after the other in the order of their moments."""
        floor = self.floor
        market = floor.market
        while True:
            timer, tick = floor.next_timer_us(), market.next_us()
            due = tick if timer is None else min(timer, tick)
            if due > now_us:
                break
            floor.now_us = max(floor.now_us, due)
            if timer is not None and timer <= tick:
                floor.run_next_timer()
            else:
                self._tick()
        floor.now_us = max(floor.now_us, now_us)

    def _tick(self) -> None:
        moment, moved = self.floor.market.pop()
        frozen = self.faults.present("frozen-quotes") if self.faults.is_any else None
        for stream in moved:
            if frozen is None or frozen.arguments["symbol"] not in ("all", stream.feed.name):
                self.floor.chart.add(stream.feed.name, moment, stream.bid, stream.ask)
                self._spread(stream, moment)

    def move_price(self, feed: str, bid: int, ask: int) -> None:
        """Put a feed's price somewhere, in 1/100_000_000, and let it act as a tick would."""
        for stream in self.floor.market.move(feed, bid, ask):
            self.floor.chart.add(stream.feed.name, self.floor.now_us, stream.bid, stream.ask)
            self._spread(stream, self.floor.now_us)

    def _spread(self, stream: Stream, moment: int) -> None:
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
        if name in faults.INCIDENTS:
            scene = incidents.Scene(
                self.floor, self.grants, self._disconnect_account, self._disconnect_clients, self.move_price
            )
            return incidents.happen(scene, name, arguments)
        if name not in faults.KINDS:
            raise ValueError(f"expected one of {', '.join(faults.KNOWN)}; found {name!r}")
        fault = self.faults.set(name, arguments)
        if name == "clock-skew":
            self.floor.stamp.skew_us = fault.number("ms") * units.MILLISECOND_US
        elif name == "maintenance":
            self._begin_maintenance(fault)
        return f"{name} is on: {faults.KINDS[name].does}"

    def clear_fault(self, name: str) -> str:
        """Switch a fault off, or all of them with "all"; raises ValueError with one clear sentence."""
        names = self.faults.clear(name)
        if "clock-skew" in names:
            self.floor.stamp.skew_us = 0
        return f"off: {', '.join(names)}" if names else "no fault was on"

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
            self._watch_token(grant)

    def _begin_maintenance(self, fault: faults.Fault) -> None:
        self._maintenance_end_us = self.floor.now_us + fault.number("seconds") * units.SECOND_US
        self.floor.at(self._maintenance_end_us, partial(self._end_maintenance, fault))
        for session in list(self._sessions.values()):
            for ctid in list(session.accounts):
                if self._maintained_until(self.floor.accounts[ctid]) is not None:
                    self.drop_account(session, ctid)

    def _end_maintenance(self, fault: faults.Fault) -> None:
        if self.faults.present("maintenance") is fault:
            self.faults.clear("maintenance")

    def _disconnect_account(self, ctid: int) -> int:
        having = [session for session in self._sessions.values() if ctid in session.accounts]
        for session in having:
            self.drop_account(session, ctid)
        return len(having)

    def _disconnect_clients(self, reason: str) -> int:
        authorised = [session for session in self._sessions.values() if session.client_id is not None]
        event = messages.ProtoOAClientDisconnectEvent(reason=reason)
        for session in authorised:
            self._send(session, CLIENT_DISCONNECT, event.SerializeToString(), None)
            self._delivery.close(session, reason)
        return len(authorised)


def _parsed(route: Route, payload: bytes) -> Message:
    try:
        request = route.request.FromString(payload)
    except DecodeError:
        raise Refused("INVALID_REQUEST", "Malformed payload", as_error_res=True) from None
    if not request.IsInitialized():
        missing = ", ".join(request.FindInitializationErrors())  # type: ignore[attr-defined]  # not in the stubs
        raise Refused("INVALID_REQUEST", f"Message missing required fields: {missing}", as_error_res=True)
    return request
