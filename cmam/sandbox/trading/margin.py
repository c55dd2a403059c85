"""Used margin, free margin, margin level; stop-outs (wire.md#stop-outs), margin calls (wire.md#margin-that-changes)."""

from __future__ import annotations

from typing import Any

from cmam.openapi._pb import OpenApiMessages_pb2 as messages
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.sandbox.books.ledger import BUY, Account, MarginCall
from cmam.sandbox.trading.floor import Floor, Refused
from cmam.sandbox.world import Symbol

MAX, SUM, NET = 0, 1, 2
MARGIN_CALL_TRIGGER_EVENT = 2172
THRESHOLD_MIN, THRESHOLD_MAX = 0.0, 100_000.0
"""Percent; NaN is in no range."""
MARGIN_CALL_PAUSE_US = 600 * 1_000_000
"""A threshold rings at most once in ten minutes."""


def used(account: Account) -> int:
    """Add up the margin of open positions as the account's type counts it: sum, larger side, or difference of sides."""
    return _total(account.spec.margin_type, _sides(account))


def _sides(account: Account) -> dict[int, list[int]]:
    sides: dict[int, list[int]] = {}
    for position in account.open_positions():
        sides.setdefault(position.symbol_id, [0, 0])[0 if position.side == BUY else 1] += position.used_margin
    return sides


def _total(kind: int, sides: dict[int, list[int]]) -> int:
    if kind == MAX:
        return sum(max(buy, sell) for buy, sell in sides.values())
    if kind == NET:
        return sum(abs(buy - sell) for buy, sell in sides.values())
    return sum(buy + sell for buy, sell in sides.values())


def allows(floor: Floor, account: Account, symbol: Symbol, side: int, volume: int) -> bool:
    """Say whether the free margin is enough for `volume` more on that side."""
    rate = floor.rate(account, symbol.base, account.spec.currency)
    sides = _sides(account)
    before = _total(account.spec.margin_type, sides)
    sides.setdefault(symbol.id, [0, 0])[0 if side == BUY else 1] += floor.margin(account, symbol, volume, rate)
    after = _total(account.spec.margin_type, sides)
    return after <= before or floor.equity(account) >= after


def level_percent(floor: Floor, account: Account) -> float | None:
    """Give equity in percent of the used margin; None without any."""
    margin = used(account)
    return floor.equity(account) * 100 / margin if margin else None


def ring(floor: Floor, account: Account, level: float) -> None:
    """Send the margin calls whose threshold the level has reached."""
    for call in account.margin_calls:
        is_due = call.triggered_us == 0 or floor.now_us - call.triggered_us >= MARGIN_CALL_PAUSE_US
        if level <= call.threshold and is_due:
            call.triggered_us = floor.now_us
            event = messages.ProtoOAMarginCallTriggerEvent(
                ctidTraderAccountId=account.spec.ctid, marginCall=written_call(floor, call)
            )
            floor.publish(account, MARGIN_CALL_TRIGGER_EVENT, event, None)


def written_call(floor: Floor, call: MarginCall) -> model.ProtoOAMarginCall:
    """Write a margin call threshold."""
    kind: Any = call.kind
    return model.ProtoOAMarginCall(
        marginCallType=kind,
        marginLevelThreshold=call.threshold,
        utcLastUpdateTimestamp=floor.stamp.ms(call.updated_us),
    )


def update_call(
    floor: Floor, account: Account, request: messages.ProtoOAMarginCallUpdateReq
) -> messages.ProtoOAMarginCallUpdateEvent:
    """Set a threshold; gives the event that tells of it."""
    wanted = request.marginCall
    if not THRESHOLD_MIN <= wanted.marginLevelThreshold <= THRESHOLD_MAX:
        raise Refused("INVALID_REQUEST", f"Margin level threshold must be from {THRESHOLD_MIN} to {THRESHOLD_MAX}")
    call = next(call for call in account.margin_calls if call.kind == wanted.marginCallType)
    call.threshold = wanted.marginLevelThreshold
    call.updated_us = floor.now_us
    call.triggered_us = 0
    return messages.ProtoOAMarginCallUpdateEvent(
        ctidTraderAccountId=account.spec.ctid, marginCall=written_call(floor, call)
    )
