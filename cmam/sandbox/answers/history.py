"""Answers about the past: deals, orders, cash flow; by span, position, page (wire.md#snapshots-and-histories). Newest
first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from cmam.openapi._pb import OpenApiMessages_pb2 as messages
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.sandbox import units
from cmam.sandbox.books.ledger import Account, CashFlow, Deal, Order
from cmam.sandbox.trading import reports
from cmam.sandbox.trading.floor import Floor, Refused

ROWS_DEFAULT, ROWS_MAX = 1_000, 1_000
"""Rows in one answer: keeps it far below the megabyte that some clients can take (wire.md#other-clients)."""

R_ = TypeVar("R_", Deal, Order)


def span(floor: Floor, request: Any, *, longest_ms: int | None = units.WEEK_MS) -> tuple[int, int]:
    """Read a request's span in milliseconds, both ends included; without ends: everything, up to now.

    Raises Refused with INCORRECT_BOUNDARIES when it is turned around, before 1970 or too long.
    """
    has, start_ms, end_ms = request.HasField, request.fromTimestamp, request.toTimestamp
    now_ms = floor.stamp.ms(floor.now_us)
    if not has("toTimestamp"):
        end_ms = now_ms if not has("fromTimestamp") or longest_ms is None else min(now_ms, start_ms + longest_ms)
        end_ms = max(end_ms, start_ms)
    if not has("fromTimestamp"):
        start_ms = 0 if longest_ms is None or not has("toTimestamp") else max(0, end_ms - longest_ms)
        longest_ms = None
    is_long = longest_ms is not None and floor.switches.span_limits and end_ms - start_ms > longest_ms
    if start_ms < 0 or end_ms < start_ms or is_long:
        raise Refused("INCORRECT_BOUNDARIES", f"Incorrect boundaries: from {start_ms} to {end_ms}")
    return start_ms, end_ms


def _page(rows: Iterable[R_], limit: int) -> tuple[list[R_], bool]:
    page: list[R_] = []
    for row in rows:
        if len(page) == limit:
            return page, True
        page.append(row)
    return page, False


def _deals(floor: Floor, account: Account, start_ms: int, end_ms: int) -> Iterator[Deal]:
    for deal in reversed(account.deals.values()):
        if start_ms <= floor.stamp.ms(deal.executed_us) <= end_ms:
            yield deal


def _orders(floor: Floor, account: Account, start_ms: int, end_ms: int, of: int | None = None) -> list[Order]:
    """The orders of a span, of one position if it is named: thousands are not sorted for the two that it has."""
    orders = [*account.past_orders.values(), *account.orders.values()]
    if of is not None:
        orders = [order for order in orders if order.position_id == of]
    chosen = [order for order in orders if start_ms <= floor.stamp.ms(order.updated_us) <= end_ms]
    return sorted(chosen, key=lambda order: (order.updated_us, order.order_id), reverse=True)


def _written_deals(floor: Floor, account: Account, deals: Iterable[Deal]) -> list[model.ProtoOADeal]:
    return [reports.deal(deal, account.spec.money_digits, floor.stamp, listed=True) for deal in deals]


def _written_orders(floor: Floor, account: Account, orders: Iterable[Order]) -> list[model.ProtoOAOrder]:
    return [_written_order(floor, account, order) for order in orders]


def _written_order(floor: Floor, account: Account, order: Order) -> model.ProtoOAOrder:
    """Write an order as lists have it: one that closed a position shows the position's levels (recorded)."""
    written = reports.order(order, floor.symbol(account, order.symbol_id), floor.stamp)
    if order.shown_sl is not None:
        written.stopLoss = units.price_out(order.shown_sl)
    if order.shown_tp is not None:
        written.takeProfit = units.price_out(order.shown_tp)
    return written


def deals(floor: Floor, account: Account, request: messages.ProtoOADealListReq) -> messages.ProtoOADealListRes:
    """Answer with the deals of a span, by execution time."""
    start_ms, end_ms = span(floor, request)
    if request.HasField("maxRows") and request.maxRows <= 0:
        raise Refused("INVALID_REQUEST", "maxRows must be positive")
    limit = min(request.maxRows, ROWS_MAX) if request.HasField("maxRows") else ROWS_DEFAULT
    page, has_more = _page(_deals(floor, account, start_ms, end_ms), limit)
    return messages.ProtoOADealListRes(
        ctidTraderAccountId=account.spec.ctid, deal=_written_deals(floor, account, page), hasMore=has_more
    )


def orders(floor: Floor, account: Account, request: messages.ProtoOAOrderListReq) -> messages.ProtoOAOrderListRes:
    """Answer with the orders of a span, by last update."""
    start_ms, end_ms = span(floor, request)
    page, has_more = _page(_orders(floor, account, start_ms, end_ms), ROWS_DEFAULT)
    return messages.ProtoOAOrderListRes(
        ctidTraderAccountId=account.spec.ctid, order=_written_orders(floor, account, page), hasMore=has_more
    )


def deals_of_position(
    floor: Floor, account: Account, request: messages.ProtoOADealListByPositionIdReq
) -> messages.ProtoOADealListByPositionIdRes:
    """Answer with the deals of one position."""
    start_ms, end_ms = span(floor, request, longest_ms=_longest_of_position(request))
    chosen = (deal for deal in _deals(floor, account, start_ms, end_ms) if deal.position_id == request.positionId)
    page, has_more = _page(chosen, ROWS_DEFAULT)
    return messages.ProtoOADealListByPositionIdRes(
        ctidTraderAccountId=account.spec.ctid, deal=_written_deals(floor, account, page), hasMore=has_more
    )


def _longest_of_position(
    request: messages.ProtoOADealListByPositionIdReq | messages.ProtoOAOrderListByPositionIdReq,
) -> int | None:
    """Both ends given: the week counts, as was seen; with one or none the whole past is asked for."""
    both = request.HasField("fromTimestamp") and request.HasField("toTimestamp")
    return units.WEEK_MS if both else None


def orders_of_position(
    floor: Floor, account: Account, request: messages.ProtoOAOrderListByPositionIdReq
) -> messages.ProtoOAOrderListByPositionIdRes:
    """Answer with the orders of one position."""
    start_ms, end_ms = span(floor, request, longest_ms=_longest_of_position(request))
    page, has_more = _page(_orders(floor, account, start_ms, end_ms, request.positionId), ROWS_DEFAULT)
    return messages.ProtoOAOrderListByPositionIdRes(
        ctidTraderAccountId=account.spec.ctid, order=_written_orders(floor, account, page), hasMore=has_more
    )


def order_details(
    floor: Floor, account: Account, request: messages.ProtoOAOrderDetailsReq
) -> messages.ProtoOAOrderDetailsRes:
    """Answer with an order and all its deals."""
    order = account.order(request.orderId)
    if order is None:
        raise Refused(
            "ORDER_NOT_FOUND", f"Order {request.orderId} not found or not belong to trader {account.spec.login}"
        )
    chosen = [deal for deal in account.deals.values() if deal.order_id == order.order_id]
    return messages.ProtoOAOrderDetailsRes(
        ctidTraderAccountId=account.spec.ctid,
        order=_written_order(floor, account, order),
        deal=_written_deals(floor, account, chosen),
    )


def deal_offsets(
    floor: Floor, account: Account, request: messages.ProtoOADealOffsetListReq
) -> messages.ProtoOADealOffsetListRes:
    """Answer with the deals that a deal closes, and those that close it."""
    if request.dealId not in account.deals:
        raise Refused("ENTITY_NOT_FOUND", f"Deal not found with id {request.dealId}")
    return messages.ProtoOADealOffsetListRes(
        ctidTraderAccountId=account.spec.ctid,
        offsetBy=[
            _offset(floor, account, closing, volume)
            for opening, closing, volume in account.offsets
            if opening == request.dealId
        ],
        offsetting=[
            _offset(floor, account, opening, volume)
            for opening, closing, volume in account.offsets
            if closing == request.dealId
        ],
    )


def _offset(floor: Floor, account: Account, deal_id: int, volume: int) -> model.ProtoOADealOffset:
    offset = model.ProtoOADealOffset(dealId=deal_id, volume=volume)
    deal = account.deals.get(deal_id)
    if deal is not None:
        offset.executionTimestamp = floor.stamp.ms(deal.executed_us)
        offset.executionPrice = units.price_out(deal.price)
    return offset


def cash_flow(
    floor: Floor, account: Account, request: messages.ProtoOACashFlowHistoryListReq
) -> messages.ProtoOACashFlowHistoryListRes:
    """Answer with deposits and withdrawals of a span of at most a week."""
    start_ms, end_ms = span(floor, request)
    chosen = [
        row for row in (*_opening_deposit(account), *account.cash) if start_ms <= floor.stamp.ms(row.at_us) <= end_ms
    ]
    return messages.ProtoOACashFlowHistoryListRes(
        ctidTraderAccountId=account.spec.ctid,
        depositWithdraw=[reports.cash_flow(row, account.spec.money_digits, floor.stamp) for row in chosen],
    )


def _opening_deposit(account: Account) -> Iterator[CashFlow]:
    """What the account began with, paid in when it was registered: so cash flow and deals add up to the balance."""
    spec = account.spec
    if spec.balance:
        moment, deposit = spec.registered_ms * 1000, model.BALANCE_DEPOSIT
        yield CashFlow(spec.ctid, deposit, spec.balance, spec.balance, 1, moment, spec.balance)
