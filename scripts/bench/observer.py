"""One who watches from outside, on a connection of its own: what the broker tells of the leader and of the follower."""

from __future__ import annotations

import threading
from queue import Empty, SimpleQueue
from typing import Any

import stage

from cmam.openapi._pb import OpenApiMessages_pb2 as oa
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.sandbox.trader import control_client
from cmam.sandbox.trader.trader import Trader

FOLLOWER = stage.LEADER + 1
"""The first follower, whose orders are watched."""
COPIED_S = 5.0


class Observer:
    """A connection that sees the leader's fills and what the broker says to the follower's orders."""

    def __init__(self, ready: dict[str, Any]) -> None:
        self.gaps: list[int] = []
        self._copied: SimpleQueue[None] = SimpleQueue()
        self._filled_us = 0
        self._stops = threading.Event()
        self._line = Trader(ready, stage.leader_of(ready))
        token = control_client.ask(ready, "POST", "tokens", {"ctid": FOLLOWER})["access_token"]
        self._line._call(oa.ProtoOAAccountAuthReq(ctidTraderAccountId=FOLLOWER, accessToken=token))
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._stops.is_set():
            for envelope in self._line._received(0.2):
                now = stage.CLOCK.monotonic()
                if envelope.payload_type == 2126:
                    self._see(oa.ProtoOAExecutionEvent.FromString(envelope.payload), now)

    def _see(self, event: oa.ProtoOAExecutionEvent, now: int) -> None:
        if event.ctidTraderAccountId == stage.LEADER and event.executionType == model.ORDER_FILLED:
            self._filled_us = now
        elif event.ctidTraderAccountId == FOLLOWER and event.executionType == model.ORDER_ACCEPTED and self._filled_us:
            self.gaps.append(now - self._filled_us)
            self._filled_us = 0
        elif event.ctidTraderAccountId == FOLLOWER and event.executionType == model.ORDER_FILLED:
            self._copied.put(None)

    def begin(self) -> None:
        """Forget what was seen: the changes that count begin here."""
        self.gaps.clear()
        self._copied = SimpleQueue()

    def wait_for_copy(self) -> None:
        """Wait until one more copy has filled; raises LookupError when none does."""
        try:
            self._copied.get(timeout=COPIED_S)
        except Empty:
            raise LookupError(f"a change was not copied within {COPIED_S:.0f} s") from None

    def stop(self) -> None:
        """Look no more."""
        self._stops.set()
        self._thread.join()
        self._line.close()
