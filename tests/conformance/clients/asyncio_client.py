"""A full session with an asyncio client from PyPI, unmodified. Runs in an environment of its own: no import of cmam.

SSL_CERT_FILE=ca.pem python asyncio_client.py READY_FILE        one JSON line a step; exit 0 at the session's end
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from ctrader_api_client import ClientConfig, CTraderClient
from ctrader_api_client.auth import AccountCredentials
from ctrader_api_client.enums import OrderSide, OrderType, TrendbarPeriod
from ctrader_api_client.events import ExecutionEvent, SpotEvent
from ctrader_api_client.exceptions import APIError, CTraderError
from ctrader_api_client.models import (
    AmendOrderRequest,
    AmendPositionRequest,
    ClosePositionRequest,
    NewOrderRequest,
)

READY = json.loads(Path(sys.argv[1]).read_text())
ACCOUNT = READY["accounts"][1]
CTID = ACCOUNT["ctid"]
STEP_S_MAX = 60


def say(step, **facts):
    print(json.dumps({"step": step, **facts}, default=str), flush=True)


class Events:
    """Every execution event and the first spots, to wait for."""

    def __init__(self):
        self.seen = []
        self.spots = []
        self.news = asyncio.Condition()

    async def add(self, kept, event):
        async with self.news:
            kept.append(event)
            self.news.notify_all()

    async def until(self, kept, predicate):
        async def wait():
            async with self.news:
                while True:
                    for event in kept:
                        if predicate(event):
                            return event
                    await self.news.wait()

        return await asyncio.wait_for(wait(), STEP_S_MAX)

    async def filled(self, position_id, volume_left=None):
        """Wait for a fill on that position, one that leaves that volume if it is named."""
        return await self.until(
            self.seen,
            lambda e: (
                e.execution_type.name == "ORDER_FILLED"
                and e.position is not None
                and e.position.position_id == position_id
                and (volume_left is None or e.position.volume == volume_left)
            ),
        )


async def refusal(what, coroutine):
    try:
        await coroutine
        say(f"refused: {what}", code=None)
    except APIError as error:
        say(f"refused: {what}", code=error.error_code)
    except CTraderError as error:
        say(f"refused: {what}", code=type(error).__name__)


async def session():
    events = Events()
    client = CTraderClient(
        ClientConfig(
            host=READY["host"], port=READY["port"], client_id=READY["client_id"], client_secret=READY["client_secret"]
        )
    )
    client.on(ExecutionEvent)(lambda event: events.add(events.seen, event))
    client.on(SpotEvent)(lambda event: events.add(events.spots, event))
    async with client:
        resolved = await client.accounts.resolve_account_id(ACCOUNT["access_token"], ACCOUNT["login"])
        say("resolve", ctid=resolved)
        await client.auth.authenticate_trader(
            AccountCredentials(CTID, ACCOUNT["access_token"], ACCOUNT["refresh_token"], time.time() + 86_400)
        )
        trader = await client.accounts.get_trader(CTID)
        say("trader", login=trader.trader_login if hasattr(trader, "trader_login") else None)
        symbols = await client.symbols.list_all(CTID)
        light = next(s for s in symbols if s.name == "EURUSD")
        symbol = await client.symbols.get_by_id(CTID, light.symbol_id)
        say("symbol", digits=symbol.digits, lot_size=symbol.lot_size)
        await client.market_data.subscribe_spots(CTID, [symbol.symbol_id])
        spot = await events.until(events.spots, lambda e: e.bid and e.ask)
        say("first spot", is_sane=0 < spot.bid <= spot.ask)
        volume = symbol.min_volume * 3
        step = Decimal(1).scaleb(-symbol.digits)
        bid = Decimal(str(spot.bid))
        below, above = (bid * Decimal("0.98")).quantize(step), (bid * Decimal("1.02")).quantize(step)

        def new(**fields):
            fields = {"side": OrderSide.BUY, "volume": volume, **fields}
            return client.trading.place_order(CTID, NewOrderRequest(symbol_id=symbol.symbol_id, **fields))

        market = await new(order_type=OrderType.MARKET, label="aio")
        filled = await events.filled(market.position.position_id)
        say(
            "order market",
            first=market.execution_type.name,
            then=filled.execution_type.name,
            volume=filled.deal.filled_volume == volume,
        )
        levelled = await new(
            order_type=OrderType.MARKET,
            side=OrderSide.SELL,
            relative_stop_loss=Decimal("0.01"),
            relative_take_profit=Decimal("0.02"),
        )
        await events.filled(levelled.position.position_id)
        protective = await events.until(
            events.seen, lambda e: e.order is not None and e.order.order_type is OrderType.STOP_LOSS_TAKE_PROFIT
        )
        say(
            "protective order",
            server=protective.is_server_event,
            both=bool(protective.position.stop_loss and protective.position.take_profit),
        )
        ranged = await new(
            order_type=OrderType.MARKET_RANGE, base_slippage_price=Decimal(str(spot.ask)), slippage_in_points=1000
        )
        await events.filled(ranged.position.position_id)
        say("order range", first=ranged.execution_type.name)
        limit = await new(order_type=OrderType.LIMIT, limit_price=below, stop_loss=below - 100 * step)
        stop = await new(order_type=OrderType.STOP, stop_price=above)
        stop_limit = await new(order_type=OrderType.STOP_LIMIT, stop_price=above, slippage_in_points=20)
        for name, event in (("limit", limit), ("stop", stop), ("stop-limit", stop_limit)):
            say(f"order {name}", first=event.execution_type.name, type=event.order.order_type.name)
        amended = await client.trading.amend_order(
            CTID, AmendOrderRequest(order_id=limit.order.order_id, volume=volume, limit_price=below - 10 * step)
        )
        say("amend order", type=amended.execution_type.name)
        moved = await client.trading.amend_position(
            CTID, AmendPositionRequest(position_id=market.position.position_id, stop_loss=below)
        )
        say("amend position", type=moved.execution_type.name, stop_loss=moved.position.stop_loss == below)
        await client.trading.close_position(
            CTID, ClosePositionRequest(position_id=market.position.position_id, volume=symbol.min_volume)
        )
        part = await events.filled(market.position.position_id, volume - symbol.min_volume)
        say("partial close", left=part.position.volume == volume - symbol.min_volume)
        positions = await client.trading.get_open_positions(CTID)
        pending = await client.trading.get_pending_orders(CTID)
        say("reconcile", positions=len(positions), orders=len(pending))
        await refusal("volume below the minimum", new(order_type=OrderType.MARKET, volume=1))
        await refusal("absolute levels on market", new(order_type=OrderType.MARKET, stop_loss=below))
        await refusal("cancel of an unknown order", client.trading.cancel_order(CTID, 1))
        await refusal(
            "close of an unknown position",
            client.trading.close_position(CTID, ClosePositionRequest(position_id=1, volume=volume)),
        )
        await refusal("account of another cTrader ID", client.accounts.get_trader(READY["accounts"][-1]["ctid"]))
        pnl = await client.trading.get_unrealized_pnl_per_position(CTID)
        say("unrealised", positions=len(pnl))
        for position in positions:
            await client.trading.close_position(
                CTID, ClosePositionRequest(position_id=position.position_id, volume=position.volume)
            )
            closed = await events.filled(position.position_id, 0)
            say("close", volume=closed.position.volume)
        for event in (limit, stop, stop_limit):
            cancelled = await client.trading.cancel_order(CTID, event.order.order_id)
            say("cancel", type=cancelled.execution_type.name)
        now = datetime.now(UTC)
        deals = await client.trading.get_deals(CTID, now - timedelta(hours=1), now + timedelta(minutes=1))
        say("deals", enough=len(deals) >= 7)
        bars = await client.market_data.get_trendbars(
            CTID, symbol.symbol_id, TrendbarPeriod.M5, now - timedelta(hours=2), now
        )
        say("bars", some=len(bars) > 0)
        left = await client.trading.get_open_positions(CTID)
        say("end", positions=len(left))
    say("done")


asyncio.run(asyncio.wait_for(session(), 280))
