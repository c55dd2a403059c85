"""Somebody with a terminal of his own on the broker that tests use: he trades, and looks at what is really there."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from google.protobuf.message import Message

from cmam.openapi import catalogue
from cmam.openapi._pb import OpenApiMessages_pb2 as wire
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.sandbox.service.delivery import Close, Send

if TYPE_CHECKING:
    from tests.whole import Whole

LEADER = 41_000_001
EURUSD = 1
PERSON_CONNECTION = 900_001


@dataclass(frozen=True, slots=True)
class Held:
    """A position as the broker really holds it."""

    position: int
    volume: int
    side: int
    label: str
    stop: float
    target: float
    symbol: int
    price: float
    trailing: bool


class Person:
    """Somebody with a terminal of his own on the same broker."""

    def __init__(self, whole: Whole) -> None:
        self._whole = whole
        self._numbers = itertools.count(1)
        self._connections = itertools.count(PERSON_CONNECTION)
        self._connection = 0
        self._open: set[int] = set()
        self.heard: list[Any] = []

    def _dial(self) -> None:
        broker, network = self._whole.broker, self._whole.stepper.network
        self._connection = next(self._connections)
        self._open.clear()
        network.others[self._connection] = self._hear
        broker.connect(self._connection, network.now())
        application = broker.world.applications[0]
        self._say(
            wire.ProtoOAApplicationAuthReq(clientId=application.client_id, clientSecret=application.client_secret)
        )

    def hang_up(self) -> None:
        """Dial anew at the next word."""
        self._connection = 0
        self._open.clear()

    def _hear(self, output: Send | Close) -> None:
        if isinstance(output, Close):
            self._connection = 0
            return
        message = catalogue.MESSAGES[output.payload_type].FromString(output.payload)
        if isinstance(message, wire.ProtoOAAccountDisconnectEvent):
            self._open.discard(message.ctidTraderAccountId)
        if isinstance(message, wire.ProtoOAAccountsTokenInvalidatedEvent):
            self._open.difference_update(message.ctidTraderAccountIds)
        self.heard.append(message)

    def _say(self, message: Message) -> None:
        network = self._whole.stepper.network
        payload_type = catalogue.type_of(message)
        name = f"person-{next(self._numbers)}"
        self._whole.broker.receive(self._connection, payload_type, message.SerializeToString(), name, network.now())
        network.collect()

    def say(self, account: int, message: Message) -> list[Any]:
        """Send a request for an account and return what the broker says at once."""
        if not self._connection:
            self._dial()
        if account not in self._open:
            self._open.add(account)
            grant = self._whole.broker.grants.tokens_of(account)
            assert grant is not None
            self._say(wire.ProtoOAAccountAuthReq(ctidTraderAccountId=account, accessToken=grant.access_token))
        self.heard.clear()
        self._say(message)
        return list(self.heard)

    def buy(
        self, volume: int, *, account: int = LEADER, symbol: int = EURUSD, side: int = model.BUY, **more: Any
    ) -> int:
        """Trade at the market; answers the position's id."""
        request = wire.ProtoOANewOrderReq(
            ctidTraderAccountId=account, symbolId=symbol, orderType=model.MARKET, tradeSide=side, volume=volume, **more
        )
        heard = self.say(account, request)
        accepted = next(event for event in heard if isinstance(event, wire.ProtoOAExecutionEvent))
        return int(accepted.position.positionId)

    def close(self, position: int, volume: int, *, account: int = LEADER) -> None:
        self.say(
            account,
            wire.ProtoOAClosePositionReq(ctidTraderAccountId=account, positionId=position, volume=volume),
        )

    def amend(
        self,
        position: int,
        *,
        account: int = LEADER,
        stop: float | None = None,
        target: float | None = None,
        trailing: bool | None = None,
    ) -> None:
        request = wire.ProtoOAAmendPositionSLTPReq(ctidTraderAccountId=account, positionId=position)
        if stop is not None:
            request.stopLoss = stop
        if target is not None:
            request.takeProfit = target
        if trailing is not None:
            request.trailingStopLoss = trailing
        self.say(account, request)

    def place(
        self,
        kind: int,
        volume: int,
        *,
        price: float,
        account: int = LEADER,
        symbol: int = EURUSD,
        side: int = model.BUY,
        **more: Any,
    ) -> int:
        """Place a pending order; answers its id."""
        request = wire.ProtoOANewOrderReq(
            ctidTraderAccountId=account, symbolId=symbol, orderType=kind, tradeSide=side, volume=volume, **more
        )
        if kind == model.LIMIT:
            request.limitPrice = price
        else:
            request.stopPrice = price
        heard = self.say(account, request)
        accepted = next(event for event in heard if isinstance(event, wire.ProtoOAExecutionEvent))
        return int(accepted.order.orderId)

    def cancel(self, order: int, *, account: int = LEADER) -> None:
        self.say(account, wire.ProtoOACancelOrderReq(ctidTraderAccountId=account, orderId=order))

    def amend_order(self, order: int, *, account: int = LEADER, **more: Any) -> None:
        self.say(account, wire.ProtoOAAmendOrderReq(ctidTraderAccountId=account, orderId=order, **more))

    def rests(self, account: int) -> list[Any]:
        """The pending orders that rest at the broker, oldest first, as the wire says them."""
        heard = self.say(account, wire.ProtoOAReconcileReq(ctidTraderAccountId=account))
        report = next(event for event in heard if isinstance(event, wire.ProtoOAReconcileRes))
        return sorted(report.order, key=lambda order: order.orderId)

    def holds(self, account: int) -> list[Held]:
        """The positions that the broker really holds, oldest first."""
        heard = self.say(account, wire.ProtoOAReconcileReq(ctidTraderAccountId=account))
        report = next(event for event in heard if isinstance(event, wire.ProtoOAReconcileRes))
        return sorted(
            (
                Held(
                    p.positionId,
                    p.tradeData.volume,
                    p.tradeData.tradeSide,
                    p.tradeData.label,
                    p.stopLoss,
                    p.takeProfit,
                    p.tradeData.symbolId,
                    p.price,
                    p.trailingStopLoss,
                )
                for p in report.position
            ),
            key=lambda held: held.position,
        )
