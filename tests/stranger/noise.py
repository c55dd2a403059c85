"""What a server may say otherwise without breaking its schema: words that are new, and fields that are left out.

Rolled for each message apart, so that what one leaves out another tells. Enums get a value that no published schema
has; of the fields that the schema calls optional some stay away. What is told of money and prices stays.
"""

from __future__ import annotations

import random
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

NEW_WORD = 77
"""A value of no enum."""
KEPT = frozenset(
    {
        "ctidTraderAccountId",
        "payloadType",
        "tradeSide",
        "executionPrice",
        "price",
        "stopLoss",
        "takeProfit",
        "relativeStopLoss",
        "relativeTakeProfit",
        "limitPrice",
        "stopPrice",
        "bid",
        "ask",
        "balance",
        "moneyDigits",
        "balanceVersion",
        "hasMore",
        "accessRights",
        "tradingMode",
        "accountType",
        "enabled",
        "positionId",
        "trader",
        "position",
        "deal",
        "dealStatus",
        "closePositionDetail",
    }
)
"""What nobody can do without: the side of a trade, prices and levels, and which position or deal it is."""


def noisy(message: Message, chance: random.Random, share: float) -> Message:
    """The same message, with about such a share of its enums new and of its optional fields left out."""
    found = type(message)()
    found.CopyFrom(message)
    _stir(found, chance, share)
    return found


def _stir(message: Any, chance: random.Random, share: float) -> None:
    for field, value in list(message.ListFields()):
        if field.name in KEPT or value is True or (field.name == "order" and message.HasField("deal")):
            continue  # and no flag that is up: what is left out reads as down
        if not field.is_required and not field.is_repeated and chance.random() < share:
            message.ClearField(field.name)
        elif field.type == FieldDescriptor.TYPE_ENUM and not field.is_repeated:
            if chance.random() < share:
                message.ClearField(field.name)
                message.MergeFromString(_varint(field.number << 3) + _varint(NEW_WORD))
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            for one in value if field.is_repeated else (value,):
                _stir(one, chance, share)


def _varint(number: int) -> bytes:
    found = b""
    while number > 127:
        found += bytes([number & 127 | 128])
        number >>= 7
    return found + bytes([number])
