"""The connections that are open: how they come and go, idle rules and heartbeats (wire.md#silence), how sessions are
ended.

Accounts leave a connection here when their token dies, their broker goes into maintenance or somebody wants it so.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from cmam.openapi._pb import OpenApiMessages_pb2 as messages
from cmam.sandbox import units
from cmam.sandbox.answers.streams import Streams
from cmam.sandbox.books.authority import Grant, Grants
from cmam.sandbox.service.delivery import Delivery
from cmam.sandbox.service.limits import Limiter
from cmam.sandbox.service.sessions import Session
from cmam.sandbox.service.stats import Stats
from cmam.sandbox.trading.floor import Floor

HEARTBEAT = 51
TOKEN_INVALIDATED, CLIENT_DISCONNECT, ACCOUNT_DISCONNECT = 2147, 2148, 2164
NEVER = 2**62


class Lobby:
    """All sessions."""

    def __init__(self, floor: Floor, grants: Grants, stats: Stats) -> None:
        self.sessions: dict[int, Session] = {}
        self._floor = floor
        self._grants = grants
        self._stats = stats
        self._switches = floor.switches
        self._dead: list[tuple[Grant, str]] = []
        self._token_alarm_us = NEVER
        grants.on_dead = lambda grant, reason: self._dead.append((grant, reason))
        grants.on_issued = self.watch_token
        for grant in grants.grants():
            self.watch_token(grant)

    def furnish(self, delivery: Delivery, streams: Streams) -> None:
        """Take what is made only after this: the way out, and the subscriptions that end with a session."""
        self._delivery = delivery
        self._streams = streams

    # Coming and going.

    def open(self, connection: int, environment: str | None) -> None:
        """Take a new connection."""
        now = self._floor.now_us
        figures = self._stats.opened(connection, now)
        session = Session(connection, environment, now, now, now, Limiter(self._switches), figures)
        self.sessions[connection] = session
        for after_ms, action in (
            (self._switches.unauthorised_timeout_ms, self._close_unauthorised),
            (self._switches.idle_timeout_ms, self._close_idle),
            (self._switches.heartbeat_after_ms, self._beat),
        ):
            self._later(session, now + after_ms * units.MILLISECOND_US, action)

    def is_open(self, session: Session) -> bool:
        """Say whether a session still is."""
        return self.sessions.get(session.connection) is session

    def forget(self, session: Session, reason: str) -> None:
        """End a session with everything that hangs on it; says nothing to the client."""
        for ctid in list(session.accounts):
            self.leave_account(session, ctid)
        del self.sessions[session.connection]
        session.is_closing = True
        session.figures.close_reason = reason
        self._stats.closed(session.connection, self._floor.now_us)

    def leave_account(self, session: Session, ctid: int) -> None:
        """End an account session: its events and its subscriptions."""
        account = self._floor.accounts[ctid]
        self._streams.forget(session.connection, account)
        account.listeners.pop(session.connection, None)
        session.accounts.pop(ctid, None)

    # Time.

    def _later(self, session: Session, due_us: int, action: Callable[[Session], None]) -> None:
        self._floor.at(due_us, partial(action, session), while_needed=partial(self.is_open, session))

    def _close_unauthorised(self, session: Session) -> None:
        if self.is_open(session) and session.client_id is None:
            self._delivery.close(session, "not authorised in time")

    def _close_idle(self, session: Session) -> None:
        if not self.is_open(session):
            return
        due = session.heard_us + self._switches.idle_timeout_ms * units.MILLISECOND_US
        if due <= self._floor.now_us:
            self._delivery.close(session, "idle")
        else:
            self._later(session, due, self._close_idle)

    def _beat(self, session: Session) -> None:
        """Send a heartbeat after our own silence; never as an answer to one."""
        if not self.is_open(session):
            return
        silence_us = self._switches.heartbeat_after_ms * units.MILLISECOND_US
        due = session.said_us + silence_us
        if due <= self._floor.now_us:
            self._delivery.send(session, HEARTBEAT, b"", None)
            due = self._floor.now_us + silence_us
        self._later(session, due, self._beat)

    # Tokens (wire.md#sessions-that-end).

    def watch_token(self, grant: Grant) -> None:
        """Set the alarm for a token's expiry; one alarm, for the earliest, is enough."""
        if grant.expires_us < self._token_alarm_us:
            self._token_alarm_us = grant.expires_us
            self._floor.at(grant.expires_us, self._expire_tokens)

    def _expire_tokens(self) -> None:
        self._token_alarm_us = NEVER
        for grant in self._grants.grants():
            if 0 < grant.expires_us <= self._floor.now_us:
                self._grants.expire(grant.access_token)
            elif grant.expires_us:
                self.watch_token(grant)

    def tell_dead(self) -> None:
        """Tell and end the account sessions whose access token has died; after the answer to what killed it."""
        dead, self._dead = self._dead, []
        for grant, reason in dead:
            if "refreshed" in reason and not self._switches.refresh_drops_sessions:
                continue
            for session in list(self.sessions.values()):
                lost = [
                    ctid
                    for ctid, opened_by in session.accounts.items()
                    if opened_by.access_token == grant.access_token and ctid in grant.accounts
                ]
                if not lost:
                    continue
                event = messages.ProtoOAAccountsTokenInvalidatedEvent(ctidTraderAccountIds=lost, reason=reason)
                self._delivery.send(session, TOKEN_INVALIDATED, event.SerializeToString(), None)
                for ctid in lost:
                    self.drop_account(session, ctid)

    # Ending sessions from our side.

    def drop_account(self, session: Session, ctid: int) -> None:
        """End one account session and say so."""
        self.leave_account(session, ctid)
        event = messages.ProtoOAAccountDisconnectEvent(ctidTraderAccountId=ctid)
        self._delivery.send(session, ACCOUNT_DISCONNECT, event.SerializeToString(), None)

    def disconnect_account(self, ctid: int) -> int:
        """End every session of an account; gives how many."""
        having = [session for session in self.sessions.values() if ctid in session.accounts]
        for session in having:
            self.drop_account(session, ctid)
        return len(having)

    def disconnect_clients(self, reason: str) -> int:
        """Cancel every connection of an application; gives how many."""
        authorised = [session for session in self.sessions.values() if session.client_id is not None]
        event = messages.ProtoOAClientDisconnectEvent(reason=reason)
        for session in authorised:
            self._delivery.send(session, CLIENT_DISCONNECT, event.SerializeToString(), None)
            if self.is_open(session):
                self._delivery.close(session, reason)
        return len(authorised)
