"""Days as those of `settings.py` in a world of more kinds: what accounts are to one another, and what else can be set.

Two profiles of one leader on one follower, each by its own settings; a netted follower that leads a hedged and a netted
one; an account of limited risk; a deposit that quotes reach over two legs. Hours that begin and end within minutes, in
zones, days' starts of guards, stops that trail, sizes that wait for a stop, guaranteed stops. Some days begin at a
midnight on which clocks are put forward or back.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.oracle.settings import CHANGED, STRICT, SettingsDay
from tests.person import Held
from tests.rulebook import FIRST, LEAD, NETTED_LEAD, TABLE_HEAD, Case

MIDDLE = FIRST + 3
"""The netted follower that leads."""
BEGINS = (
    datetime(2020, 1, 1, tzinfo=UTC),
    datetime(2020, 3, 29, 0, 52, tzinfo=UTC),  # Berlin is put forward at one
    datetime(2020, 10, 25, 0, 52, tzinfo=UTC),  # and back
    datetime(2020, 3, 8, 6, 52, tzinfo=UTC),  # New York at seven
    datetime(2020, 11, 1, 5, 52, tzinfo=UTC),
)
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu")
CELLS = ("EURUSD,EURUSD,,,fixed,0.15,,0.1,40", "EURUSD,GBPUSD,,,risk_percent,0.5,0.02,,", "GBPUSD,GBPUSD,off,,,,,,25")
MORE: Mapping[str, tuple[str, ...]] = {
    **CHANGED,
    "volume.mode": (*CHANGED["volume.mode"], "risk_percent", "formula", "notional_multiplier", "free_margin_ratio"),
    "volume.formula": ("leader_lots * 0.7", "off", "balance / 100000 * leader_lots"),
    "volume.without_stop": ("0.1", "off"),
    "volume.currency": ("convert", "raw"),
    "stop_wait": ("1s", "0s", "6s"),
    "risk_base": ("balance", "equity"),
    "risk_min_stop": ("0", "20"),
    "input_max_age": ("10s", "3s"),
    "margin_reserve": ("off", "1.2"),
    "sanity.max_leverage": ("off", "30", "2"),
    "copy_guaranteed": ("off", "on"),
    "trailing_step": ("1", "5"),
    "days": ("all", "mon-sat", "sun,wed"),
    "symbols.exclude": ("none", "GBPUSD"),
    "symbols.table": (*CHANGED["symbols.table"], *("\n".join((TABLE_HEAD, row)) for row in CELLS)),
    "guard.reset": ("00:00 UTC", "02:30 Europe/Berlin", "02:01 America/New_York"),
    "daily_drawdown": ("off", "90%"),
    "rejection_cooldown": ("10m", "5s"),
}
"""What is set besides; hours are drawn by the hour that it is."""
SELDOM = (*STRICT, "days", "symbols.exclude", "sanity.max_leverage", "volume.min")
"""What keeps opens away, and is so most seldom."""


class CrowdDay(SettingsDay):
    """One world from a seed, of accounts that are more than one thing to one another."""

    changed = MORE
    nets = frozenset({"middle", "last net"})

    def __init__(self, seed: int) -> None:
        self.begins = random.Random(f"{seed}:begins").choice(BEGINS)
        super().__init__(seed)

    def _begins_us(self) -> int:
        return int(self.begins.timestamp()) * 1_000_000

    def _cases(self) -> list[Case]:
        return [
            Case("same", "Same", self._begin_with()),
            Case("odd", "Odd", self._begin_with(), currency="JPY", balance="7500000"),
            Case("safe", "Dear", self._begin_with(), currency="GBP", limited=True),
            Case("middle", "Same", self._begin_with(), kind="netted"),
            Case("last", "Mini", self._begin_with(), currency="EUR", leader=MIDDLE),
            Case("last net", "Same", self._begin_with(), kind="netted", leader=MIDDLE),
        ]

    def _more(self) -> dict[str, tuple[int, str]]:
        return {"same again": (LEAD, "same"), "same too": (NETTED_LEAD, "same"), "odd again": (LEAD, "odd")}

    def _value(self, name: str) -> str:
        if name == "hours":
            return self._hours() if self.chance.random() < 0.3 else "always"
        values = self.changed[name]
        return values[0] if name in SELDOM and self.chance.random() < 0.75 else self.chance.choice(values)

    def _drawn(self, beside: Mapping[str, str], count: int) -> dict[str, str]:
        found = super()._drawn(beside, count)
        if self.chance.random() < 0.1:
            found["hours"] = self._value("hours")
        return found

    def _hours(self) -> str:
        """A window that begins or ends some minutes from now."""
        zone = self.chance.choice(ZONES)
        now = (
            max(self.begins, datetime.fromtimestamp(self.book.now_us() / 1_000_000, UTC))
            if hasattr(self, "book")
            else self.begins
        )
        edges = sorted(self.chance.sample(range(-3, 9), 2), reverse=self.chance.random() < 0.5)
        texts = [(now + timedelta(minutes=edge)).astimezone(ZoneInfo(zone)).strftime("%H:%M") for edge in edges]
        return f"{texts[0]}-{texts[1]} {zone}" if texts[0] != texts[1] else "always"

    def _acts(self) -> list[Any]:
        acts = super()._acts()
        return [*acts, self._trail, self._burst] if self.held else acts

    def _distances(self) -> dict[str, int]:
        found: dict[str, int] = super()._distances()
        if "relativeStopLoss" in found and self.chance.random() < 0.15:
            found["trailingStopLoss"] = True
        return found

    def _trail(self) -> None:
        """A stop of his begins to trail, or no longer does."""
        one = self._one()
        if not one.account or one.is_order:
            return
        held = self.book.broker.floor.accounts[one.account].positions[one.number]
        if held.sl:
            levels = {"stop": held.sl / 100_000_000} | ({"target": held.tp / 100_000_000} if held.tp else {})
            self.book.person.amend(one.number, account=one.account, trailing=not held.trailing, **levels)
            self._say(f"trails {one.number} {not held.trailing}")

    def _burst(self) -> None:
        """Several things within a moment, and settings changed between them."""
        for _ in range(self.chance.randrange(2, 6)):
            self.chance.choice((self._open, self._grow, self._reduce, self._amend, self._close, self._set))()
            self.book.run(self.chance.choice((0.0, 0.0, 0.005, 0.02)))

    # --- laws -----------------------------------------------------------------------------------------------------

    def _there(self) -> dict[str, tuple[tuple[Any, ...], ...]]:
        """What is held; what rests ends with hours, and a stop that trails moves with the market."""
        found = super()._there()
        return {name: tuple(row for row in rows if row[-1] is False) for name, rows in found.items()}

    def _waiting(self) -> set[str]:
        waiting = super()._waiting()
        return waiting | {"last", "last net"} if "middle" in waiting else waiting

    def _look_at_stop(self, name: str, one: Held, mark: Any) -> None:
        """The levels of the one in the middle come and go with its shares: nothing is said of who follows it."""
        if name not in ("last", "last net"):
            super()._look_at_stop(name, one, mark)
