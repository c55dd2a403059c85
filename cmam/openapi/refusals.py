"""A refusal as it arrived, and how long to wait before the same request may go out again.

Three messages carry nothing else: ErrorRes of the common layer (its maintenance end in ms), ErrorRes of the Open API
(in seconds, like its `retryAfter`) and OrderErrorEvent (wire.md#refusals). Knows no clock: `now` and chance come in as
arguments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cmam.clock import MILLISECOND_US, SECOND_US
from cmam.openapi import catalogue
from cmam.openapi._pb.OpenApiCommonMessages_pb2 import ProtoErrorRes
from cmam.openapi._pb.OpenApiMessages_pb2 import ProtoOAErrorRes, ProtoOAOrderErrorEvent
from cmam.openapi.envelope import Envelope, text, unpack
from cmam.openapi.outcomes import Retry, Rule, rule_for

CODE_CHARACTERS_MAX: Final = 64
DESCRIPTION_CHARACTERS_MAX: Final = 300
SPAN_US_MAX: Final = 120 * SECOND_US
"""A server that asks for more patience is asked again after two minutes, and may ask for more then: closes wait for it,
and one that means milliseconds would keep them for hours. What it tells of its limits is seconds
(wire.md#requests-a-second)."""
MOMENT_US_MAX: Final = 253_402_300_799 * SECOND_US
"""The last second that a calendar can show; a later end of maintenance is garbage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The broker's no, as it arrived. Spans and moments in us; 0 where the broker gave none."""

    code: str
    description: str = ""
    account: int = 0
    client_msg_id: str = ""
    retry_after_us: int = 0
    maintenance_end_us: int = 0
    order: int = 0
    position: int = 0

    @property
    def rule(self) -> Rule:
        """What it means."""
        return rule_for(self.code, self.description)

    def __str__(self) -> str:
        """One sentence of what happened, the broker's words, and the cure."""
        words = f"{self.code}: {self.description}" if self.description else self.code
        return f"{self.rule.sentence} ({words}) {self.rule.cure}"


def read_refusal(envelope: Envelope) -> Refusal | None:
    """What an envelope refuses, None when it carries no refusal; raises RemoteError on garbage.

    Ids of 0 are sent explicitly by the server where it has none to tell, so they mean none here too.
    """
    match envelope.payload_type:
        case catalogue.ERROR:
            error = unpack(envelope, ProtoOAErrorRes)
            return Refusal(
                code=clean(error.errorCode, CODE_CHARACTERS_MAX),
                description=clean(error.description),
                account=error.ctidTraderAccountId,
                client_msg_id=envelope.client_msg_id,
                retry_after_us=min(error.retryAfter * SECOND_US, SPAN_US_MAX),
                maintenance_end_us=_moment_us(error.maintenanceEndTimestamp, SECOND_US),
            )
        case catalogue.ORDER_ERROR:
            event = unpack(envelope, ProtoOAOrderErrorEvent)
            return Refusal(
                code=clean(event.errorCode, CODE_CHARACTERS_MAX),
                description=clean(event.description),
                account=event.ctidTraderAccountId,
                client_msg_id=envelope.client_msg_id,
                order=event.orderId,
                position=event.positionId,
            )
        case catalogue.COMMON_ERROR:
            common = unpack(envelope, ProtoErrorRes)
            return Refusal(
                code=clean(common.errorCode, CODE_CHARACTERS_MAX),
                description=clean(common.description),
                client_msg_id=envelope.client_msg_id,
                maintenance_end_us=_moment_us(common.maintenanceEndTimestamp, MILLISECOND_US),
            )
    return None


def is_block(envelope: Envelope) -> bool:
    """Whether an envelope forbids a kind of request for a while; raises RemoteError on garbage."""
    if envelope.payload_type not in catalogue.ERROR_CARRIERS:
        return False
    refusal = read_refusal(envelope)
    return refusal is not None and refusal.rule.retry is Retry.RETRY_AFTER


def _moment_us(timestamp: int, unit_us: int) -> int:
    """A moment on the wire in us, kept within what a calendar can show."""
    return min(max(timestamp, 0) * unit_us, MOMENT_US_MAX)


def clean(value: object, characters_max: int = DESCRIPTION_CHARACTERS_MAX) -> str:
    """The broker's words fit for a log line and a screen: printable, and of bounded length."""
    words = "".join(c if c.isprintable() else " " for c in text(value)[: characters_max + 1])
    return words if len(words) <= characters_max else words[: characters_max - 1] + "…"


SHORTLY_US: Final = 250_000
SHORTLY_US_MAX: Final = 5 * SECOND_US
BACK_OFF_US: Final = 1 * SECOND_US
BACK_OFF_US_MAX: Final = 60 * SECOND_US
RETRY_AFTER_US: Final = 1 * SECOND_US
RETRY_AFTER_US_MAX: Final = 120 * SECOND_US
"""A slower quota than the one a second was seen: a growing wait up to two minutes got through
(wire.md#the-slower-quota)."""
NEXT_SESSION_US: Final = 60 * SECOND_US
"""How often a closed market is tried where no schedule tells when it opens."""
MAINTENANCE_US_MAX: Final = 60 * SECOND_US
"""However far away the end is said to be, by a clock that may be wrong: somebody looks once a minute."""


def back_off_us(attempt: int, chance: float, *, first_us: int = BACK_OFF_US, most_us: int = BACK_OFF_US_MAX) -> int:
    """How long to wait before try number `attempt` + 1: doubling, and spread by `chance` in [0, 1) so that many do not
    come back at once. Between half and the whole of the doubled span."""
    assert attempt >= 1, f"expected an attempt >= 1, found {attempt}"
    whole = min(first_us << min(attempt - 1, 32), most_us)
    return whole // 2 + int(whole / 2 * chance)


def retry_delay_us(refusal: Refusal, attempt: int, now_us: int, chance: float) -> int | None:
    """How long to wait before a refused request may go out again, after `attempt` tries.

    None: time alone does not help. A correction, a token, an authorisation or a proof has to come first, if anything.
    """
    match refusal.rule.retry:
        case Retry.SHORTLY:
            return back_off_us(attempt, chance, first_us=SHORTLY_US, most_us=SHORTLY_US_MAX)
        case Retry.BACK_OFF:
            return back_off_us(attempt, chance)
        case Retry.RETRY_AFTER:
            least = min(refusal.retry_after_us, RETRY_AFTER_US_MAX)
            return least + back_off_us(attempt, chance, first_us=max(least, RETRY_AFTER_US), most_us=RETRY_AFTER_US_MAX)
        case Retry.NEXT_SESSION:
            return NEXT_SESSION_US // 2 + int(NEXT_SESSION_US / 2 * chance)
        case Retry.AFTER_MAINTENANCE:
            left = min(max(refusal.maintenance_end_us - now_us, 0), MAINTENANCE_US_MAX)
            return left + back_off_us(1 if left else attempt, chance)
        case _:
            return None
