"""Measure the codec against its floor, bare protobuf on the same bytes, in one run.

    python scripts/bench/codec.py [--rounds 7] [--count 4000] [--json]

Each line pairs a floor with ours, round by round, so that a busy machine slows both. Ratios travel, microseconds do
not: the ratio is the median over the rounds, with its smallest and largest.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from typing import Any

from google.protobuf.internal import api_implementation

from cmam.clock import SystemClock
from cmam.domain.commands import Command, CommandKind
from cmam.domain.ids import AccountId, IntentId, SymbolId
from cmam.domain.quantities import Distance, Side, Volume
from cmam.openapi import requests, translate
from cmam.openapi._pb import OpenApiMessages_pb2 as pb
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.openapi._pb.OpenApiCommonMessages_pb2 import ProtoMessage
from cmam.openapi.envelope import decode, encode, seems_spot, unpack
from cmam.openapi.framing import HEADER_BYTES, Deframer
from cmam.openapi.quotes import QuoteBoard

CLOCK = SystemClock()
ACCOUNT = AccountId(41_000_001)
INTENT = IntentId("cm1.a1b2c.d3e4f5.p1z141z3.12")
BURST = 100
"""Frames that arrive in one read."""


def filled() -> pb.ProtoOAExecutionEvent:
    """The event of a filled market order, as recorded: order, position and deal."""
    trade = model.ProtoOATradeData(
        symbolId=1, volume=10_000_000, tradeSide=model.BUY, openTimestamp=1_577_836_800_123, label=INTENT[:-3]
    )
    return pb.ProtoOAExecutionEvent(
        ctidTraderAccountId=ACCOUNT,
        executionType=model.ORDER_FILLED,
        order=model.ProtoOAOrder(
            orderId=2_147_483_650, tradeData=trade, orderType=model.MARKET, orderStatus=model.ORDER_STATUS_FILLED,
            executionPrice=1.12569, executedVolume=10_000_000, clientOrderId=INTENT, positionId=2_147_483_651,
            timeInForce=model.IMMEDIATE_OR_CANCEL, utcLastUpdateTimestamp=1_577_836_800_250,
        ),
        position=model.ProtoOAPosition(
            positionId=2_147_483_651, tradeData=trade, positionStatus=model.POSITION_STATUS_OPEN, swap=0,
            price=1.12569, commission=-350, usedMargin=112_569, moneyDigits=2, utcLastUpdateTimestamp=1_577_836_800_250,
        ),
        deal=model.ProtoOADeal(
            dealId=2_147_483_652, orderId=2_147_483_650, positionId=2_147_483_651, volume=10_000_000,
            filledVolume=10_000_000, symbolId=1, createTimestamp=1_577_836_800_123,
            executionTimestamp=1_577_836_800_250, executionPrice=1.12569, tradeSide=model.BUY, dealStatus=model.FILLED,
            commission=-350, moneyDigits=2,
        ),
    )  # fmt: skip


def pairs() -> dict[str, tuple[Callable[[], Any], Callable[[], Any]]]:
    """What is measured: a name, the floor, and ours."""
    [body] = Deframer().receive_data(encode(filled(), INTENT))
    payload = ProtoMessage.FromString(body).payload
    spot = pb.ProtoOASpotEvent(
        ctidTraderAccountId=ACCOUNT, symbolId=1, bid=112_569, ask=112_571, timestamp=1_577_836_800_250
    )
    [spot_body] = Deframer().receive_data(encode(spot))
    board = QuoteBoard()
    board.carry(ACCOUNT, "feed")
    stream = encode(spot) * BURST
    command = Command(
        kind=CommandKind.OPEN, symbol=SymbolId(1), side=Side.BUY, volume=Volume(10_000_000),
        relative_stop=Distance(500_000), relative_target=Distance(700_000), label=INTENT[:-3],
    )  # fmt: skip
    request = requests.request(ACCOUNT, INTENT, command)

    def bare_event() -> object:
        return pb.ProtoOAExecutionEvent.FromString(ProtoMessage.FromString(body).payload)

    def our_fact() -> object:
        envelope = decode(body)
        return translate.execution(unpack(envelope, pb.ProtoOAExecutionEvent), envelope.client_msg_id)

    def bare_spot() -> object:
        return pb.ProtoOASpotEvent.FromString(ProtoMessage.FromString(spot_body).payload)

    def our_quote() -> None:
        envelope = decode(spot_body)
        if seems_spot(spot_body):
            board.receive(envelope, 1)

    def bare_request() -> bytes:
        return ProtoMessage(
            payloadType=2106, payload=request.SerializeToString(), clientMsgId=INTENT
        ).SerializeToString()

    def bare_cut() -> int:
        place = count = 0
        while place < len(stream):
            place += HEADER_BYTES + int.from_bytes(stream[place : place + HEADER_BYTES], "big")
            count += 1
        return count

    return {
        "execution event: bytes to message, to fact": (bare_event, our_fact),
        "spot: bytes to message, to quote board": (bare_spot, our_quote),
        "new order: message to bytes, command to frame": (
            bare_request,
            lambda: encode(requests.request(ACCOUNT, INTENT, command), INTENT),
        ),
        f"{BURST} frames in one read: lengths only, bodies": (bare_cut, lambda: list(Deframer().receive_data(stream))),
        "envelope alone: bare, ours": (lambda: ProtoMessage.FromString(body), lambda: decode(body)),
        "payload alone: bare, ours": (
            lambda: pb.ProtoOAExecutionEvent.FromString(payload),
            lambda: unpack(decode(body), pb.ProtoOAExecutionEvent),
        ),
    }


def cost_us(work: Callable[[], Any], count: int) -> float:
    """Microseconds of one call, over `count` of them."""
    started = CLOCK.monotonic()
    for _ in range(count):
        work()
    return (CLOCK.monotonic() - started) / count


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--count", type=int, default=4_000)
    arguments.add_argument("--json", action="store_true")
    chosen = arguments.parse_args()
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in pairs()}
    for _ in range(chosen.rounds):
        for name, (floor, ours) in pairs().items():
            count = max(1, chosen.count // (BURST if "one read" in name else 1))
            found[name].append((cost_us(floor, count), cost_us(ours, count)))
    if not chosen.json:
        print(f"protobuf runtime: {api_implementation.Type()}; us a call, median of {chosen.rounds} rounds")
        print(f"{'':48} {'floor':>8} {'ours':>8} {'ratio':>6}  spread")
    for name, rounds in found.items():
        ratios = [ours / floor for floor, ours in rounds]
        line: dict[str, Any] = {
            "name": name,
            "floor_us": round(statistics.median(floor for floor, _ in rounds), 3),
            "ours_us": round(statistics.median(ours for _, ours in rounds), 3),
            "ratio": round(statistics.median(ratios), 2),
            "least": round(min(ratios), 2),
            "most": round(max(ratios), 2),
        }
        if chosen.json:
            print(json.dumps(line))
        else:
            print("{name:48} {floor_us:8.2f} {ours_us:8.2f} {ratio:6.2f}  {least:.2f}-{most:.2f}".format(**line))


if __name__ == "__main__":
    main()
