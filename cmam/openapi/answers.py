"""What a broker answers about what an account has and had, read: its snapshot, its deals and orders page by page.

Facts of the domain; when they are asked for, and how far back, is not known here.
"""

from __future__ import annotations

from cmam.domain.values.trades import Deal, Order, Position
from cmam.openapi import translate
from cmam.openapi._pb import OpenApiMessages_pb2 as messages


def read_snapshot(wire: messages.ProtoOAReconcileRes) -> tuple[tuple[Position, ...], tuple[Order, ...]]:
    """The open positions and pending orders that the broker shows."""
    return (
        tuple(translate.position(position) for position in wire.position),
        tuple(translate.order(order) for order in wire.order),
    )


def read_deals(
    wire: messages.ProtoOADealListRes | messages.ProtoOADealListByPositionIdRes,
) -> tuple[tuple[Deal, ...], bool]:
    """A page of deals, newest first, and whether there are older ones (wire.md#snapshots-and-histories)."""
    return tuple(translate.deal(deal) for deal in wire.deal), bool(wire.hasMore)


def read_orders(
    wire: messages.ProtoOAOrderListRes | messages.ProtoOAOrderListByPositionIdRes,
) -> tuple[tuple[Order, ...], bool]:
    """A page of orders, and whether there are older ones."""
    return tuple(translate.order(order) for order in wire.order), bool(wire.hasMore)


def read_order(wire: messages.ProtoOAOrderDetailsRes) -> tuple[tuple[Order, ...], bool]:
    """A single order that was asked for by its number, as a page of its own."""
    return (translate.order(wire.order),), False


def read_order_with_deals(wire: messages.ProtoOAOrderDetailsRes) -> tuple[tuple[Order, tuple[Deal, ...]], bool]:
    """A single order with its deals; nothing is left to be asked of it."""
    return (translate.order(wire.order), tuple(translate.deal(deal) for deal in wire.deal)), False
