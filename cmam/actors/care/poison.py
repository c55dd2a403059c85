"""Messages that an account fails on again and again, or nobody can read: how they are called and what is kept of them.

A message that comes again after a restart must be known for the same one, whatever is told around it: a leader's change
by its place in the leader's stream, a report by its content. What belongs to the account's own course, a reminder or an
answer, has no name here: without it the account would not go on, so it is tried again for as long as it takes.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from cmam.actors import messages as m
from cmam.domain.events import MessageUnreadable
from cmam.domain.values.ids import AccountId
from cmam.openapi.envelope import Envelope
from cmam.store.records.envelope import event_bytes

TRIES_MAX = 3
"""So many deaths of the same message, and it is set aside."""
CONTENT_MAX = 16_384
"""Characters kept of a message: reports are far shorter, and one record should not be a page of megabytes."""


def name_of(message: Any) -> str:
    """What tells a message from all others, also when it is told again; empty where it must never be set aside."""
    match message:
        case m.LeaderChanged():
            return f"change {message.link} {message.version} {message.index}"
        case m.Reported():
            return f"report {message.fact.TOPIC} {_digest(content_of(message))}"
        case m.Record():
            return f"order {message.fact.TOPIC} {_digest(content_of(message))}"
        case m.TraderReported():
            return f"trader {_digest(content_of(message))}"
    return ""


def content_of(message: Any) -> str:
    """The message itself, as it will stand on record: JSON of what was told, base64 of what came over the wire."""
    match message:
        case m.LeaderChanged():
            return _cut(event_bytes(message.change).decode())
        case m.Reported() | m.Record():
            return _cut(event_bytes(message.fact).decode())
        case m.TraderReported():
            return _cut(base64.b64encode(message.trader.SerializeToString(deterministic=True)).decode())
    return type(message).__name__


def unreadable(envelope: Envelope, account: int, error: Exception) -> MessageUnreadable:
    """The record of bytes that could not be read, of what accounts ask and are told: no token is among them."""
    payload = base64.b64encode(envelope.payload).decode()
    return MessageUnreadable(
        payload_type=envelope.payload_type,
        account=AccountId(account),
        payload=_cut(payload),
        digest=_digest(payload),
        error=f"{type(error).__name__}: {error}",
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _cut(text: str) -> str:
    return text if len(text) <= CONTENT_MAX else f"{text[:CONTENT_MAX]}… and {len(text) - CONTENT_MAX} more"
