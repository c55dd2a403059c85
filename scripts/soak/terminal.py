"""The leader of a kill run: somebody who trades at his own terminal without a pause, through every outage.

He knows nothing of the copier. What he did is counted by kind; what the broker refused him or never answered is not.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Sequence

from processes import Stage

from cmam.openapi._pb import OpenApiMessages_pb2 as wire
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.sandbox.serving.options import SandboxError
from cmam.sandbox.trader.trader import Trader

LOT = 10_000_000
LEAST = 100_000
HELD_MAX, RESTING_MAX = 12, 6
EVERYTHING = ("open", "open", "part", "close", "move", "place", "cancel")
OPENS = ("open", "open", "close")
PAUSES_S = (0.0, 0.0, 0.05, 0.2)


class Leader(threading.Thread):
    """Trades on one account until told to pause or to stop."""

    def __init__(self, stage: Stage, account: int, chance: random.Random) -> None:
        super().__init__(daemon=True)
        self._stage, self._account, self._chance = stage, account, chance
        self._is_over, self._may_trade = threading.Event(), threading.Event()
        self._is_idle = threading.Event()
        self.does: Sequence[str] = EVERYTHING
        self.trades: Counter[str] = Counter()

    def run(self) -> None:
        while not self._is_over.is_set():
            self._is_idle.set()
            self._may_trade.wait()
            self._is_idle.clear()
            try:
                account = next(a for a in self._stage.ready["accounts"] if a["ctid"] == self._account)
                with Trader(self._stage.ready, account) as trader:
                    while self._may_trade.is_set() and not self._is_over.is_set():
                        self.trades[self._trade(trader)] += 1
                        self._is_over.wait(self._chance.choice(PAUSES_S))
            except (SandboxError, OSError, StopIteration):
                self._is_over.wait(0.1)

    def go(self) -> None:
        """Trade."""
        self._may_trade.set()

    def pause(self, patience_s: float) -> bool:
        """Finish what is begun, then wait; answers whether it came to that."""
        self._may_trade.clear()
        return self._is_idle.wait(patience_s) and self.is_alive()

    def stop(self) -> None:
        """No more of it."""
        self._is_over.set()
        self._may_trade.set()

    def _trade(self, trader: Trader) -> str:
        chance, report = self._chance, trader.reconcile()
        held, rests = list(report.position), list(report.order)
        what = chance.choice(self.does)
        if what == "open" and len(held) < HELD_MAX:
            return self._open(trader)
        if what == "place" and len(rests) < RESTING_MAX:
            price = round(0.9 + chance.randrange(100) / 10_000, 4)
            trader.order(
                wire.ProtoOANewOrderReq(
                    symbolId=1, orderType=model.LIMIT, tradeSide=model.BUY, volume=LOT // 10, limitPrice=price
                )
            )
            return "place"
        if what == "cancel" and rests:
            trader.cancel(chance.choice(rests).orderId)
            return "cancel"
        if not held:
            return self._open(trader)
        chosen = chance.choice(held)
        if what == "part" and chosen.tradeData.volume > 2 * LEAST:
            trader.close_position(chosen.positionId, LEAST)
            return "part"
        if what == "move":
            sign = -1 if chosen.tradeData.tradeSide == model.BUY else 1
            stop = round(chosen.price + sign * chance.randrange(300, 900) / 10_000, 4)
            trader.amend_position(wire.ProtoOAAmendPositionSLTPReq(positionId=chosen.positionId, stopLoss=stop))
            return "move"
        trader.close_position(chosen.positionId, chosen.tradeData.volume)
        return "close"

    def _open(self, trader: Trader) -> str:
        symbol = self._chance.choice((1, 2))
        side = self._chance.choice((model.BUY, model.SELL))
        volume = self._chance.randrange(1, 5) * LEAST
        trader.order(wire.ProtoOANewOrderReq(symbolId=symbol, orderType=model.MARKET, tradeSide=side, volume=volume))
        return "open"


def close(stage: Stage, account: int, position: int) -> None:
    """What a person does who finds a position too many: close it, whole, at a terminal of his own."""
    known = next(a for a in stage.ready["accounts"] if a["ctid"] == account)
    with Trader(stage.ready, known) as trader:
        held = next((p for p in trader.reconcile().position if p.positionId == position), None)
        if held is not None:
            trader.close_position(position, held.tradeData.volume)
