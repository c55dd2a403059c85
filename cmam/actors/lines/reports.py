"""What an account is told of its line: messages that the server sends by itself, refusals, and what does not leave."""

from __future__ import annotations

from cmam.actors import messages as m
from cmam.clock import SECOND_US
from cmam.domain.events import Event, IntentOverdue, RequestRefused
from cmam.domain.values.ids import IntentId
from cmam.openapi import session, translate
from cmam.openapi._pb import OpenApiMessages_pb2 as messages
from cmam.openapi.outcomes import Kind
from cmam.openapi.refusals import Refusal


def report_of(heard: session.Heard, received_us: int) -> object | None:
    """What an account is told of a message that the server sent by itself; None for what concerns nobody."""
    match heard.message:
        case messages.ProtoOAExecutionEvent() as wire:
            return m.Reported(translate.execution(wire, heard.envelope.client_msg_id), received_us)
        case messages.ProtoOATrailingSLChangedEvent() as moved:
            return m.Reported(translate.trailing_stop(moved), received_us)
        case messages.ProtoOATraderUpdatedEvent() as updated:
            return m.TraderReported(translate.sane_trader(updated))
        case messages.ProtoOASymbolChangedEvent() as changed:
            return m.SymbolsReported(tuple(changed.symbolId))
        case messages.ProtoOAMarginCallTriggerEvent() as called:
            return m.MarginCalled(translate.margin_threshold(called))
        case messages.ProtoOAMarginChangedEvent():
            return m.MarginMoved()
    return None


def unsent(what: object, reason: str) -> tuple[str, object] | None:
    """Whom it concerns that a request will not leave, and what they are told; None for the session's own."""
    match what:
        case m.Submit():
            return m.account_name(what.account), m.Dropped(what.intent, reason, what.attempt)
        case m.Ask():
            return what.reply_to, m.Unanswered(what.question, m.NOT_SENT, reason)
    return None


def refusal_fact(name: str, refusal: Refusal) -> Event:
    """A refused request as a fact: an unknown outcome is no refusal."""
    if refusal.rule.kind is Kind.UNKNOWN:
        return IntentOverdue(intent=IntentId(name), why=str(refusal))
    return RequestRefused(
        intent=IntentId(name),
        error_code=refusal.code,
        description=refusal.description,
        retry_after_s=refusal.retry_after_us // SECOND_US,
        is_temporary=refusal.rule.kind in (Kind.TEMPORARY, Kind.MAINTENANCE, Kind.SESSION, Kind.TOKEN),
    )
