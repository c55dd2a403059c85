"""A run of real processes as the chaos checkers want to see it: the log, the broker's books, and what they count.

Read from outside, after things have come to rest: the log by its file, the books by the state that the sandbox keeps
before each answer, the counters from its control endpoint. The views are what the log alone says.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from cmam.domain.belief.view import AccountView
from cmam.domain.events import Event
from cmam.domain.values.ids import AccountId
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.store.folding.fold import Fold, fold_log
from cmam.store.logfile.log import EventLog
from tests.person import Held

PRICE_SCALE = 100_000_000
PENDING = (model.LIMIT, model.STOP, model.STOP_LIMIT)


@dataclass
class Outside:
    """What `tests.chaos.checks` asks of a run."""

    home: Path
    state_file: Path
    counted: list[dict[str, Any]]
    accounts: tuple[int, ...]
    log: EventLog = field(init=False)
    secrets_ever: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self.log = EventLog.read_only(self.home)
        self._books: Mapping[str, Any] = json.loads(self.state_file.read_text())["accounts"]
        self._fold = fold_log(self.log)
        self.person = self

    def now_us(self) -> int:
        """The moment by our clock."""
        return time.time_ns() // 1_000

    def let_record(self) -> None:
        """Nothing waits for company here: what was read of the log was read at rest."""

    def folded(self) -> Fold:
        """What the log says."""
        return self._fold

    def view(self, account: int) -> AccountView | None:
        """What the log says of an account."""
        return self._fold.accounts.get(AccountId(account))

    def events(self, account: int, kind: type[Event]) -> list[Any]:
        """The recorded events of a kind of one account."""
        return [r.event for r in self.log.read_stream(f"account:{account}") if isinstance(r.event, kind)]

    def orders(self, account: int) -> list[Any]:
        """Every order of an account that the broker knows."""
        rows = [*self._books[str(account)]["orders"], *self._books[str(account)]["past_orders"]]
        return [SimpleNamespace(client_order_id=row["client_order_id"] or "", executed=row["executed"]) for row in rows]

    def stats(self) -> list[dict[str, Any]]:
        """What the brokers counted, as far as somebody asked before they were killed."""
        return self.counted

    def holds(self, account: int) -> list[Held]:
        """The positions that the broker holds, oldest first."""
        rows = (row for row in self._books[str(account)]["positions"] if row["volume"] > 0)
        return [
            Held(
                row["position_id"],
                row["volume"],
                row["side"],
                row["label"] or "",
                (row["sl"] or 0) / PRICE_SCALE,
                (row["tp"] or 0) / PRICE_SCALE,
                row["symbol_id"],
                row["price"] / PRICE_SCALE,
                row["trailing"],
            )
            for row in sorted(rows, key=lambda row: int(row["position_id"]))
        ]

    def rests(self, account: int) -> list[Any]:
        """The pending orders that rest at the broker, oldest first."""
        rows = (row for row in self._books[str(account)]["orders"] if row["kind"] in PENDING and not row["is_closing"])
        return [
            SimpleNamespace(orderId=row["order_id"], tradeData=SimpleNamespace(label=row["label"] or ""))
            for row in sorted(rows, key=lambda row: int(row["order_id"]))
            if row["status"] == model.ORDER_STATUS_ACCEPTED
        ]
