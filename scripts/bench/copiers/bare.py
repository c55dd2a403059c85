"""A copier without a store on the leanest wire layer there is: a blocking socket, this repository's frames, protobuf.

python bare.py WORK_FILE
"""

from __future__ import annotations

import json
import socket
import ssl
import sys
from pathlib import Path
from typing import Any

from cmam.openapi._pb import OpenApiMessages_pb2 as oa
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.openapi.envelope import decode, encode
from cmam.openapi.framing import Deframer


def main() -> None:
    work = json.loads(Path(sys.argv[1]).read_text())
    raw = socket.create_connection((work["host"], work["port"]))
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    line = ssl.create_default_context(cafile=work["ca_file"]).wrap_socket(raw, server_hostname=work["host"])
    deframer, follower, held = Deframer(), work["follower"], 0

    def ask(message: Any) -> None:
        line.sendall(encode(message, "bare"))
        while not list(deframer.receive_data(line.recv(65_536))):
            pass

    ask(oa.ProtoOAApplicationAuthReq(clientId=work["client_id"], clientSecret=work["client_secret"]))
    for name in ("leader", "follower"):
        ask(oa.ProtoOAAccountAuthReq(ctidTraderAccountId=work[name], accessToken=work[f"{name}_token"]))
    print("ready", flush=True)
    while data := line.recv(65_536):
        for body in deframer.receive_data(data):
            envelope = decode(body)
            event = oa.ProtoOAExecutionEvent.FromString(envelope.payload) if envelope.payload_type == 2126 else None
            if event is None or event.executionType != model.ORDER_FILLED:
                continue
            if event.ctidTraderAccountId == follower:
                held = event.position.positionId
                continue
            request: Any = oa.ProtoOAClosePositionReq(
                ctidTraderAccountId=follower, positionId=held, volume=work["volume"]
            )
            if not event.order.closingOrder:
                request = oa.ProtoOANewOrderReq(
                    ctidTraderAccountId=follower,
                    symbolId=work["symbol"],
                    orderType=model.MARKET,
                    tradeSide=event.order.tradeData.tradeSide,
                    volume=work["volume"],
                )
            line.sendall(encode(request, "bare"))


main()
