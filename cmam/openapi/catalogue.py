"""Which messages there are: payload types, their classes, and what answers what.

All of it is read from the compiled schema, so that it cannot disagree with it; only the historical requests are listed
by hand, because no schema says so (wire.md#requests-a-second). Knows no bytes, no session and no meaning of a message.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import ModuleType
from typing import Final

from google.protobuf.message import Message

from cmam.openapi._pb import OpenApiCommonMessages_pb2 as common
from cmam.openapi._pb import OpenApiMessages_pb2 as messages
from cmam.openapi.errors import LocalError

ACCOUNT_FIELD: Final = "ctidTraderAccountId"


def _classes(modules: Iterable[ModuleType]) -> Iterator[tuple[int, type[Message]]]:
    """Every message that names its payload type as the default of its first field, with that number."""
    for module in modules:
        for name, descriptor in module.DESCRIPTOR.message_types_by_name.items():
            field = descriptor.fields_by_name.get("payloadType")
            if field is not None and field.enum_type is not None:
                yield field.default_value, getattr(module, name)


MESSAGES: Final[Mapping[int, type[Message]]] = dict(sorted(_classes((common, messages))))
"""Payload type → class, of every message that can travel in an envelope."""

_TYPES: Final[Mapping[str, int]] = {cls.DESCRIPTOR.full_name: number for number, cls in MESSAGES.items()}
_NAMES: Final[Mapping[int, str]] = {
    number: cls.DESCRIPTOR.name.removeprefix("ProtoOA").removeprefix("Proto") for number, cls in MESSAGES.items()
}

HEARTBEAT: Final = _TYPES["ProtoHeartbeatEvent"]
COMMON_ERROR: Final = _TYPES["ProtoErrorRes"]
ERROR: Final = _TYPES["ProtoOAErrorRes"]
ORDER_ERROR: Final = _TYPES["ProtoOAOrderErrorEvent"]
EXECUTION: Final = _TYPES["ProtoOAExecutionEvent"]
SPOT: Final = _TYPES["ProtoOASpotEvent"]
APPLICATION_AUTH: Final = _TYPES["ProtoOAApplicationAuthReq"]
ACCOUNT_AUTH: Final = _TYPES["ProtoOAAccountAuthReq"]
REFRESH_TOKEN: Final = _TYPES["ProtoOARefreshTokenReq"]
NEW_ORDER: Final = _TYPES["ProtoOANewOrderReq"]
CANCEL_ORDER: Final = _TYPES["ProtoOACancelOrderReq"]
AMEND_ORDER: Final = _TYPES["ProtoOAAmendOrderReq"]
AMEND_PROTECTION: Final = _TYPES["ProtoOAAmendPositionSLTPReq"]
CLOSE_POSITION: Final = _TYPES["ProtoOAClosePositionReq"]
TRADER: Final = _TYPES["ProtoOATraderReq"]
TOKEN_INVALIDATED: Final = _TYPES["ProtoOAAccountsTokenInvalidatedEvent"]
CLIENT_DISCONNECT: Final = _TYPES["ProtoOAClientDisconnectEvent"]
ACCOUNT_DISCONNECT: Final = _TYPES["ProtoOAAccountDisconnectEvent"]

ERROR_CARRIERS: Final = frozenset({COMMON_ERROR, ERROR, ORDER_ERROR})
"""Messages that carry nothing but a refusal. An execution event may carry one too."""

REQUESTS: Final = frozenset(number for number, name in _NAMES.items() if name.endswith("Req"))

RESPONSE_OF: Final[Mapping[int, int]] = {
    request: _TYPES[response]
    for request in sorted(REQUESTS)
    if (response := MESSAGES[request].DESCRIPTOR.name.removesuffix("Req") + "Res") in _TYPES
}
"""Request → the type of its own response. Numbers do not tell (2135 is answered by 2165); names do."""

TRADING: Final = REQUESTS - RESPONSE_OF.keys()
"""Requests that move money: exactly those without a response of their own."""

HISTORICAL: Final = frozenset(
    _TYPES[name]
    for name in (
        "ProtoOADealListReq",
        "ProtoOAGetTrendbarsReq",
        "ProtoOACashFlowHistoryListReq",
        "ProtoOAGetTickDataReq",
        "ProtoOAOrderListReq",
    )
)
"""Requests that also spend the five a second. The set is not published; this is the widest one seen in clients."""

_HAS_ACCOUNT: Final = frozenset(
    number for number, cls in MESSAGES.items() if ACCOUNT_FIELD in cls.DESCRIPTOR.fields_by_name
)

ACCOUNT_IS_SECOND: Final = frozenset(
    number for number in _HAS_ACCOUNT if MESSAGES[number].DESCRIPTOR.fields_by_name[ACCOUNT_FIELD].number == 2
)
"""Messages whose account is field 2, so that it stands at the front of the payload."""


def type_of(message: Message | type[Message]) -> int:
    """The payload type under which a message travels; raises LocalError for one that never travels alone."""
    name = message.DESCRIPTOR.full_name
    try:
        return _TYPES[name]
    except KeyError:
        raise LocalError(
            f"expected a message with a payload type, found {name}; it only travels inside another"
        ) from None


def name_of(payload_type: int) -> str:
    """What to call a payload type in a log line: `NewOrderReq`, or its number when it is unknown."""
    return _NAMES.get(payload_type, f"type {payload_type}")


def names_account(payload_type: int) -> bool:
    """Whether messages of a type say whose they are."""
    return payload_type in _HAS_ACCOUNT


def account_of(message: Message) -> int:
    """The account that a message names, 0 when it names none."""
    return int(getattr(message, ACCOUNT_FIELD)) if type_of(message) in _HAS_ACCOUNT else 0


def may_answer(request: int, answer: int) -> bool:
    """Whether a message of type `answer` can be the broker's word on a request of type `request`."""
    if answer in (ERROR, COMMON_ERROR):
        return True
    if request in TRADING:
        return answer in (EXECUTION, ORDER_ERROR)
    return RESPONSE_OF.get(request) == answer
