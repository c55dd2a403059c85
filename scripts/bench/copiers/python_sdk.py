"""A copier without a store on the vendor's own Python SDK: python python_sdk.py WORK_FILE [bypass].

Runs in an environment of its own: no import of cmam. The SDK sends what it has queued once a second; `bypass` writes
past that queue.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ctrader_open_api import Client, Protobuf, TcpProtocol
from ctrader_open_api.messages.OpenApiMessages_pb2 import (
    ProtoOAAccountAuthReq,
    ProtoOAApplicationAuthReq,
    ProtoOAClosePositionReq,
    ProtoOANewOrderReq,
)
from twisted.internet import reactor

WORK = json.loads(Path(sys.argv[1]).read_text())
INSTANT = "bypass" in sys.argv
FOLLOWER = WORK["follower"]
client = Client(WORK["host"], WORK["port"], TcpProtocol, numberOfMessagesToSendPerSecond=40)
held = [0]
steps = [
    ProtoOAApplicationAuthReq(clientId=WORK["client_id"], clientSecret=WORK["client_secret"]),
    ProtoOAAccountAuthReq(ctidTraderAccountId=WORK["leader"], accessToken=WORK["leader_token"]),
    ProtoOAAccountAuthReq(ctidTraderAccountId=FOLLOWER, accessToken=WORK["follower_token"]),
]


def send(message):
    if INSTANT:
        client.whenConnected().addCallback(lambda protocol: protocol.send(message, instant=True))
    else:
        client.send(message, responseTimeoutInSeconds=30).addErrback(lambda _: None)


def on_message(_, message):
    if message.payloadType in (2101, 2103):
        steps.pop(0)
        if steps:
            send(steps[0])
        else:
            print("ready", flush=True)
    if message.payloadType != 2126:
        return
    event = Protobuf.extract(message)
    if event.executionType != 3:
        return
    if event.ctidTraderAccountId == FOLLOWER:
        held[0] = event.position.positionId
    elif event.order.closingOrder:
        send(ProtoOAClosePositionReq(ctidTraderAccountId=FOLLOWER, positionId=held[0], volume=WORK["volume"]))
    else:
        order = ProtoOANewOrderReq(ctidTraderAccountId=FOLLOWER, symbolId=WORK["symbol"], volume=WORK["volume"])
        order.orderType, order.tradeSide = 1, event.order.tradeData.tradeSide
        send(order)


client.setConnectedCallback(lambda _: send(steps[0]))
client.setMessageReceivedCallback(on_message)
client.startService()
reactor.run()
