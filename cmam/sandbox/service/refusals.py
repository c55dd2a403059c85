"""Refusals on the wire: which carrier, which fields (wire.md#garbage, wire.md#refusals). Counts them on the connection.

2132 for trading requests, 2142 for all else; unknown payload types on 2142 or, by switch, on the common 50.
"""

from __future__ import annotations

from cmam.openapi._pb import OpenApiCommonMessages_pb2 as common
from cmam.openapi._pb import OpenApiMessages_pb2 as messages
from cmam.sandbox.service.delivery import Delivery
from cmam.sandbox.service.requests import ROUTES, Needs
from cmam.sandbox.service.sessions import Session
from cmam.sandbox.service.stats import Stats
from cmam.sandbox.switches import Switches
from cmam.sandbox.trading.floor import Refused

ERROR_RES_COMMON, ORDER_ERROR_EVENT, ERROR_RES = 50, 2132, 2142

BLOCKED, TOO_FREQUENT = "BLOCKED_PAYLOAD_TYPE", "REQUEST_FREQUENCY_EXCEEDED"


class Refusals:
    """Says no."""

    def __init__(self, delivery: Delivery, switches: Switches, stats: Stats) -> None:
        self._delivery = delivery
        self._switches = switches
        self._stats = stats

    def send(self, session: Session, payload_type: int, refused: Refused, msg_id: str | None, ctid: int | None) -> None:
        """Refuse a request of that type; `ctid` is the account that it named."""
        is_by_rate = refused.retry_after_s is not None and refused.code in (BLOCKED, TOO_FREQUENT)
        session.figures.refused(payload_type, refused.code, by_rate=is_by_rate)
        route = ROUTES.get(payload_type)
        if route is not None and route.needs is Needs.TRADE and ctid is not None and not refused.as_error_res:
            event = messages.ProtoOAOrderErrorEvent(
                ctidTraderAccountId=ctid, errorCode=refused.code, description=refused.description
            )
            if refused.order_id is not None:
                event.orderId = refused.order_id
            if refused.position_id is not None:
                event.positionId = refused.position_id
            self._delivery.send(session, ORDER_ERROR_EVENT, event.SerializeToString(), msg_id)
            return
        error = messages.ProtoOAErrorRes(errorCode=refused.code, description=refused.description)
        if ctid is not None:
            error.ctidTraderAccountId = ctid
        if refused.retry_after_s is not None:
            error.retryAfter = refused.retry_after_s
        if refused.maintenance_end_s is not None:
            error.maintenanceEndTimestamp = refused.maintenance_end_s
        self._delivery.send(session, ERROR_RES, error.SerializeToString(), msg_id)

    def too_fast(self, session: Session, payload_type: int, seconds: int, msg_id: str | None) -> None:
        """Refuse a request over the limit."""
        self.send(session, payload_type, self.rate(seconds), msg_id, 0)

    def rate(self, seconds: int) -> Refused:
        """Word the refusal of a payload type that is blocked for so many seconds, and count it."""
        self._stats.rate_refusals += 1
        code, text = BLOCKED, "Payload type is blocked, the rate limit was exceeded"
        if self._switches.rate_refusal == TOO_FREQUENT:
            code, text = TOO_FREQUENT, "You have reached the rate limit of requests"
        return Refused(code, text, as_error_res=True, retry_after_s=seconds)

    def unknown(self, session: Session, payload_type: int, msg_id: str | None) -> None:
        """Refuse a payload type that the schema does not know as a request."""
        code, text = "UNSUPPORTED_MESSAGE", f"Message type {payload_type} is not supported"
        if self._switches.unknown_type_carrier == "common":
            session.figures.refused(payload_type, code, by_rate=False)
            carrier = common.ProtoErrorRes(errorCode=code, description=text)
            self._delivery.send(session, ERROR_RES_COMMON, carrier.SerializeToString(), msg_id)
        else:
            self.send(session, payload_type, Refused(code, text), msg_id, None)

    def garbage(self, session: Session, what: str, *, is_too_long: bool) -> None:
        """Answer what was no message."""
        self.send(session, 0, Refused("FRAME_TOO_LONG" if is_too_long else "INVALID_REQUEST", what), None, None)
