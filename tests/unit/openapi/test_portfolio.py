"""What commands are told of brokers that count in several scales, and of symbols that are no more."""

from __future__ import annotations

from typing import Any, cast

from google.protobuf.message import Message

from cmam.config.settings import Endpoint
from cmam.domain.values.ids import SymbolId
from cmam.domain.values.symbols import SymbolName
from cmam.domain.values.trades import MarginType
from cmam.openapi import catalogue
from cmam.openapi._pb import OpenApiMessages_pb2 as pb
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.openapi.envelope import decode, encode, unpack
from cmam.openapi.framing import HEADER_BYTES
from cmam.openapi.inspection import Inspection
from cmam.openapi.portfolio import Portfolio
from tests.unit.openapi.test_enquiry import Line
from tests.unit.openapi.test_translate import a_position

ME = 41_000_001
LISTED, GONE = 1, 99


class Broker(Line):
    """A line behind which results have eight digits, margins four, flows three, and an id that is not known spoils a
    batch."""

    def send(self, data: bytes) -> None:
        envelope = decode(data[HEADER_BYTES:])
        asked: Any = unpack(envelope, catalogue.MESSAGES[envelope.payload_type])
        self._waiting = encode(self._answer(asked), envelope.client_msg_id)

    def _answer(self, asked: Any) -> Message:
        match asked:
            case pb.ProtoOAReconcileReq():
                held = a_position(usedMargin=112_600, moneyDigits=4)
                return pb.ProtoOAReconcileRes(ctidTraderAccountId=ME, position=[held])
            case pb.ProtoOAGetPositionUnrealizedPnLReq():
                net = -1_250_000_000
                row = model.ProtoOAPositionUnrealizedPnL(positionId=7, grossUnrealizedPnL=net, netUnrealizedPnL=net)
                return pb.ProtoOAGetPositionUnrealizedPnLRes(
                    ctidTraderAccountId=ME, positionUnrealizedPnL=[row], moneyDigits=8
                )
            case pb.ProtoOASymbolByIdReq():
                known = [] if GONE in asked.symbolId else asked.symbolId
                rows = [model.ProtoOASymbol(symbolId=one, digits=3, pipPosition=2) for one in known]
                return pb.ProtoOASymbolByIdRes(ctidTraderAccountId=ME, symbol=rows)
            case pb.ProtoOACashFlowHistoryListReq():
                flow = model.ProtoOADepositWithdraw(
                    operationType=model.BALANCE_DEPOSIT, balanceHistoryId=1, balance=5_000_000, delta=500_000,
                    changeBalanceTimestamp=3, balanceVersion=9, moneyDigits=3,
                )  # fmt: skip
                return pb.ProtoOACashFlowHistoryListRes(ctidTraderAccountId=ME, depositWithdraw=[flow])
        assert isinstance(asked, pb.ProtoOASymbolsListReq)
        light = model.ProtoOALightSymbol(symbolId=LISTED, symbolName="USDJPY")
        return pb.ProtoOASymbolsListRes(ctidTraderAccountId=ME, symbol=[light])


def a_portfolio() -> Portfolio:
    """An enquiry at that broker."""
    return Portfolio(cast(Any, Broker()), Endpoint("sandbox", 5035), wait=lambda _: None)


def test_money_is_shown_in_the_digits_of_the_account() -> None:
    """Results of eight digits were added to a balance of two: a loss of 12.50 took 12.5 millions from the equity."""
    worth = a_portfolio().worth(ME, MarginType.SUM, 2)
    assert (worth.profit, worth.margin, worth.money_digits) == (-1_250, 1_126, 2)
    (flow,) = a_portfolio().flows(ME, 1_000, 2)
    assert (flow.delta, flow.balance) == (50_000, 500_000)


def test_a_symbol_that_is_no_more_takes_no_digits_from_the_others() -> None:
    """A week of deals may name one: with its id among them nothing was told of any."""
    assert a_portfolio().digits(ME, {LISTED, GONE}, [LISTED]) == {LISTED: 3}


def test_a_trial_reads_the_others_where_one_symbol_is_no_more() -> None:
    """Of a batch with its id among them nothing is told: it is asked for in halves."""
    desk = Inspection(cast(Any, Broker()), Endpoint("sandbox", 5035), lambda: 0, wait=lambda _: None)
    names = [SymbolName(symbol=SymbolId(number), name=f"S{number}") for number in (1, 2, GONE, 100)]
    assert [spec.symbol for spec in desk.specs(ME, names, {})] == [1, 2, 100]
