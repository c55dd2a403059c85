"""A copier without a store on an asyncio client from PyPI: SSL_CERT_FILE=ca.pem python asyncio_client.py WORK_FILE.

Runs in an environment of its own: no import of cmam.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

from ctrader_api_client import ClientConfig, CTraderClient
from ctrader_api_client.auth import AccountCredentials
from ctrader_api_client.enums import OrderType
from ctrader_api_client.events import ExecutionEvent
from ctrader_api_client.models import ClosePositionRequest, NewOrderRequest

WORK = json.loads(Path(sys.argv[1]).read_text())
LEADER, FOLLOWER = WORK["leader"], WORK["follower"]
held = [0]


async def main():
    client = CTraderClient(
        ClientConfig(
            host=WORK["host"], port=WORK["port"], client_id=WORK["client_id"], client_secret=WORK["client_secret"]
        )
    )

    async def copy(event):
        if event.execution_type.name != "ORDER_FILLED":
            return
        if event.account_id == FOLLOWER:
            held[0] = event.position.position_id
        elif event.order.is_closing_order:
            request = ClosePositionRequest(position_id=held[0], volume=WORK["volume"])
            await client.trading.close_position(FOLLOWER, request)
        else:
            request = NewOrderRequest(
                symbol_id=WORK["symbol"], side=event.order.side, volume=WORK["volume"], order_type=OrderType.MARKET
            )
            await client.trading.place_order(FOLLOWER, request)

    client.on(ExecutionEvent)(copy)
    async with client:
        for name in ("leader", "follower"):
            await client.auth.authenticate_trader(
                AccountCredentials(WORK[name], WORK[f"{name}_token"], "", time.time() + 86_400)
            )
        print("ready", flush=True)
        await asyncio.Event().wait()


asyncio.run(main())
