"""Measure the codec: bytes to facts and commands to bytes, beside what protobuf alone takes for the same messages.

    python scripts/bench/codec.py [--runs 5] [--quick] [--json FILE]

Each figure is the median of the runs in us for one message. The floor parses or serialises envelope and message with
the protobuf runtime and does nothing with them. Ratios travel, absolute numbers do not.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from common import Finding, arguments, report

from cmam.domain.values.commands import Command, CommandKind
from cmam.domain.values.ids import AccountId, IntentId, SymbolId
from cmam.domain.values.quantities import Distance, Side, Volume
from cmam.openapi import requests, translate
from cmam.openapi._pb import OpenApiMessages_pb2 as pb
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.openapi._pb.OpenApiCommonMessages_pb2 import ProtoMessage
from cmam.openapi.envelope import decode, encode, unpack
from cmam.openapi.framing import Deframer, frame
from cmam.openapi.quotes import QuoteBoard

MESSAGES = 5_000


def fill() -> pb.ProtoOAExecutionEvent:
    """The fill of a market order, as large as a broker sends it."""
    trade = model.ProtoOATradeData(
        symbolId=1, volume=10_000_000, tradeSide=model.BUY, openTimestamp=1_767_614_400_123, label="cm1.aaaaa.bbbbbb.p1"
    )
    return pb.ProtoOAExecutionEvent(
        ctidTraderAccountId=41_000_001,
        executionType=model.ORDER_FILLED,
        position=model.ProtoOAPosition(
            positionId=7, tradeData=trade, positionStatus=model.POSITION_STATUS_OPEN, swap=0, price=1.12345,
            commission=-300, usedMargin=112_345, moneyDigits=2, marginRate=1.1, utcLastUpdateTimestamp=1,
        ),
        order=model.ProtoOAOrder(
            orderId=8, tradeData=trade, orderType=model.MARKET, orderStatus=model.ORDER_STATUS_FILLED,
            executionPrice=1.12345, executedVolume=10_000_000, clientOrderId="cm1.aaaaa.bbbbbb.p1.1", positionId=7,
            timeInForce=model.IMMEDIATE_OR_CANCEL,
        ),
        deal=model.ProtoOADeal(
            dealId=9, orderId=8, positionId=7, volume=10_000_000, filledVolume=10_000_000, symbolId=1,
            createTimestamp=1, executionTimestamp=2, executionPrice=1.12345, tradeSide=model.BUY,
            dealStatus=model.FILLED, commission=-300, moneyDigits=2,
        ),
    )  # fmt: skip


FILL = encode(fill(), "cm1.aaaaa.bbbbbb.p1.1")
SPOT = encode(
    pb.ProtoOASpotEvent(ctidTraderAccountId=41_000_001, symbolId=1, bid=112_345, ask=112_347, timestamp=1), ""
)
OPEN = Command(
    kind=CommandKind.OPEN, symbol=SymbolId(1), side=Side.BUY, volume=Volume(10_000_000),
    relative_stop=Distance(200_000), relative_target=Distance(300_000), label="cm1.aaaaa.bbbbbb.p1",
)  # fmt: skip
INTENT = IntentId("cm1.aaaaa.bbbbbb.p1.1")


def read_fill() -> None:
    """Bytes of a fill to the fact that is recorded."""
    (body,) = Deframer().receive_data(FILL)
    arrived = decode(body)
    translate.execution(unpack(arrived, pb.ProtoOAExecutionEvent), arrived.client_msg_id)


def parse_fill() -> None:
    """The same bytes by protobuf alone."""
    pb.ProtoOAExecutionEvent.FromString(ProtoMessage.FromString(FILL[4:]).payload)


BOARD = QuoteBoard()
BOARD.carry(AccountId(41_000_001), "feed")


def read_spot() -> None:
    """Bytes of a spot to the quote board."""
    (body,) = Deframer().receive_data(SPOT)
    BOARD.receive(decode(body), 1_000_000)


def parse_spot() -> None:
    """The same bytes by protobuf alone."""
    pb.ProtoOASpotEvent.FromString(ProtoMessage.FromString(SPOT[4:]).payload)


def write_open() -> None:
    """A command to the bytes of its request."""
    encode(requests.request(AccountId(41_000_001), INTENT, OPEN), INTENT)


READY = requests.request(AccountId(41_000_001), INTENT, OPEN)


def serialise_open() -> None:
    """A request that is there already, by protobuf alone."""
    frame(ProtoMessage(payloadType=2106, payload=READY.SerializeToString(), clientMsgId=INTENT).SerializeToString())


PAIRS: tuple[tuple[str, Callable[[], None], Callable[[], None]], ...] = (
    ("fill to fact", read_fill, parse_fill),
    ("spot to board", read_spot, parse_spot),
    ("open to bytes", write_open, serialise_open),
)


def measure(what: Callable[[], None], runs: int) -> list[float]:
    """Some runs, in us a message."""
    found = []
    for _ in range(runs):
        begun = time.perf_counter()
        for _ in range(MESSAGES):
            what()
        found.append((time.perf_counter() - begun) / MESSAGES * 1e6)
    return found


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    runs = 2 if given.quick else given.runs
    found = []
    for name, ours, bare in PAIRS:
        mine, base = measure(ours, runs), measure(bare, runs)
        ratios = tuple(one / other for one, other in zip(mine, base, strict=True))
        shown, beside = (f"{statistics.median(us):.1f} us" for us in (mine, base))
        found.append(Finding(name, shown, f"protobuf alone: {beside}", ratios))
    report("The codec, a message", found, given.json)


if __name__ == "__main__":
    main()
