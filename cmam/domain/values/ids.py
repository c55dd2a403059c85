"""Names of things. Each is a type of its own, so that an account id never passes for a position id.

The integers are the broker's; the strings are ours. Ids of positions, orders and deals are unique per broker server,
not globally: they only ever stand beside an account.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NewType

AccountId = NewType("AccountId", int)
"""cTrader's id of a trading account (ctidTraderAccountId), unique over all brokers."""
SymbolId = NewType("SymbolId", int)
AssetId = NewType("AssetId", int)
PositionId = NewType("PositionId", int)
OrderId = NewType("OrderId", int)
DealId = NewType("DealId", int)

StoreId = NewType("StoreId", str)
"""Five base36 characters that tell this event store from every other, fixed when it is created."""
ProfileId = NewType("ProfileId", str)
"""Six base36 characters fixed when a profile is created; its name may change."""
LinkId = NewType("LinkId", str)
"""Six base36 characters fixed when a link is created."""
IntentId = NewType("IntentId", str)
"""Our name of one request that moves money; travels as clientOrderId and clientMsgId."""
ChangeKey = NewType("ChangeKey", str)
"""The identity of a leader's change, derived from the broker's own ids, the same after any crash."""
SourceKey = NewType("SourceKey", str)
"""What is copied: `p<positionId>` or `o<orderId>` of the leader, in base36."""

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def base36(number: int) -> str:
    """Write a number that is not negative in base 36."""
    assert number >= 0, f"expected a number >= 0, found {number}"
    text = ""
    while True:
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
        if number == 0:
            return text


def from_base36(text: str) -> int:
    """Read a number in base 36; raises ValueError on anything else."""
    return int(text, 36)


SWEEPS = ("x", "y")
"""How the sources begin under which positions and orders are ended that are no copies."""


@lru_cache(maxsize=4096)
def position_source(position: PositionId) -> SourceKey:
    """Name a leader's position as the source of a copy."""
    return SourceKey("p" + base36(position))


@lru_cache(maxsize=4096)
def order_source(order: OrderId) -> SourceKey:
    """Name a leader's pending order as the source of a copy."""
    return SourceKey("o" + base36(order))
