"""Answers about prices of the past: bars and ticks, as a broker quotes them (wire.md#bars-and-ticks)."""

from __future__ import annotations

from itertools import islice
from typing import Any

from cmam.openapi._pb import OpenApiMessages_pb2 as messages
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.sandbox import units
from cmam.sandbox.answers.history import span
from cmam.sandbox.books.ledger import Account
from cmam.sandbox.markets.chart import Bar
from cmam.sandbox.trading.floor import Floor, Refused
from cmam.sandbox.trading.venue import Quote

BARS_MAX = 5_000
TICKS_MAX = 5_000
"""Rows in one answer; longer ones are cut, and `hasMore` says so."""
BID = 1
_DAY_MS = 86_400_000
LONGEST_MS = {
    **dict.fromkeys(range(1, 6), 302_400_000),
    **dict.fromkeys(range(6, 10), 245 * _DAY_MS),
    **dict.fromkeys(range(10, 13), 366 * _DAY_MS),
    **dict.fromkeys(range(13, 15), 1830 * _DAY_MS),
}
"""Longest span of bars without `count`, by period (wire.md#spans)."""


def bar_fields(bar: Bar, quote: Quote) -> dict[str, Any]:
    """Write a bar in 1/100000, as distances from its low, without period and close."""
    low = _wire(bar.low, quote)
    return {
        "volume": bar.volume,
        "low": low,
        "deltaOpen": _wire(bar.open, quote) - low,
        "deltaHigh": _wire(bar.high, quote) - low,
        "utcTimestampInMinutes": bar.minute,
    }


def _wire(bid: int, quote: Quote) -> int:
    return units.wire_price(max(bid // quote.tick * quote.tick, quote.tick))


def _listed(floor: Floor, account: Account, symbol_id: int) -> Quote:
    quote = floor.venue_of(account).quotes.get(symbol_id)
    if quote is None:
        raise Refused("SYMBOL_NOT_FOUND", f"Symbol not found with id {symbol_id}")
    return quote


def trendbars(
    floor: Floor, account: Account, request: messages.ProtoOAGetTrendbarsReq
) -> messages.ProtoOAGetTrendbarsRes:
    """Answer with bars, oldest first; `count` takes the last ones of the span."""
    quote = _listed(floor, account, request.symbolId)
    has_count = request.HasField("count") and request.count > 0
    if not has_count and not request.HasField("fromTimestamp"):
        raise Refused("INCORRECT_BOUNDARIES", "Expected fromTimestamp or count")
    longest = None if has_count else LONGEST_MS[request.period]
    start_ms, end_ms = span(floor, request, longest_ms=longest)
    limit = min(request.count, BARS_MAX) if has_count else BARS_MAX
    found: list[Bar] = []
    has_more = False
    until_ms = min(end_ms, floor.now_us // units.MILLISECOND_US)
    for bar in floor.chart.bars(quote.symbol.feed, request.period, until_ms):
        if bar.minute * 60_000 < start_ms:
            break
        if len(found) == limit:
            has_more = True
            break
        found.append(bar)
    answer = messages.ProtoOAGetTrendbarsRes(
        ctidTraderAccountId=account.spec.ctid,
        period=request.period,
        timestamp=end_ms,
        symbolId=quote.symbol.id,
        hasMore=has_more,
    )
    for bar in reversed(found):
        fields = bar_fields(bar, quote)
        answer.trendbar.add(deltaClose=_wire(bar.close, quote) - fields["low"], **fields)
    return answer


def ticks(floor: Floor, account: Account, request: messages.ProtoOAGetTickDataReq) -> messages.ProtoOAGetTickDataRes:
    """Answer with ticks of one side, newest first, each as the difference from the one before."""
    quote = _listed(floor, account, request.symbolId)
    start_ms, end_ms = span(floor, request)
    moments = floor.chart.ticks(quote.symbol.feed, start_ms, end_ms)
    found = list(islice(moments, TICKS_MAX + 1))
    answer = messages.ProtoOAGetTickDataRes(ctidTraderAccountId=account.spec.ctid, hasMore=len(found) > TICKS_MAX)
    last_ms = last_price = 0
    for tick in found[:TICKS_MAX]:
        if request.type == BID:
            price = _wire(tick.bid, quote)
        else:
            price = units.wire_price(-(-tick.ask // quote.tick) * quote.tick + quote.markup)
        answer.tickData.append(model.ProtoOATickData(timestamp=tick.ms - last_ms, tick=price - last_price))
        last_ms, last_price = tick.ms, price
    return answer
