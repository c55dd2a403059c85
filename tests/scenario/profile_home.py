"""A home with a profile against a sandbox, a copier to start in it, and the broker's own word on what is held."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmam import office, survey
from cmam.cli.main import run
from cmam.clock import SystemClock
from cmam.config.home import Home
from cmam.domain.values.ids import AccountId
from cmam.domain.values.trades import Order, Position
from cmam.sandbox.serving.options import ReadyInfo
from cmam.sandbox.trader import steps
from cmam.sandbox.trader.trader import Trader
from tests.scenario.guide import Person, child, ready_file
from tests.waiting import until

LEADER, SAME_BROKER, OTHER_BROKER, NETTED = 41_000_001, 41_000_002, 41_000_003, 41_000_005


def settle(ready: ReadyInfo, folder: Path) -> Path:
    """A home with credentials and accounts, and no profile yet."""
    file = str(ready_file(ready, folder))
    way = ["--host", ready.host, "--port", str(ready.port), "--ca-file", str(ready.ca_file)]
    for words in (
        ["api", "configure", *way, "--oauth-url", ready.oauth_url, "--secret-file", file],
        ["account", "add", "--token-file", file],
    ):
        assert run(["--home", str(folder / "home"), *words]) == 0
    return folder / "home"


@contextmanager
def running(person: Person, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A copier with every account reconciled, ended at the latest with the block."""
    home = Home(person.home)
    process = child(person.home, "start", "--plain", *arguments)

    def is_ready() -> bool:
        assert process.poll() is None, process.communicate()
        document = office.ask_running(home, {"command": "status"})
        accounts = document["accounts"] if document else []
        return bool(accounts) and all(found["health"] == "reconciled" for found in accounts)

    try:
        until(is_ready, "every account is reconciled")
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@dataclass
class Market:
    """Somebody who trades on an account of the sandbox, and looks at what the broker holds."""

    ready: ReadyInfo
    home: Path

    def trades(self, account: int, action: str, **terms: str) -> dict[str, Any]:
        """Carry out one step of a trader: lots and prices as text."""
        document = self.ready.as_document()
        chosen = next(one for one in document["accounts"] if one["ctid"] == account)
        decimals = {
            name: steps.decimal(terms.pop(name), name) for name in ("lots", "price", "sl", "tp") if name in terms
        }
        step = steps.Step(action=action, **terms, **decimals)
        with Trader(document, chosen) as trader:
            return steps.perform(trader, step, {})

    def holds(self, account: int) -> tuple[tuple[Position, ...], tuple[Order, ...]]:
        """What the broker itself shows of an account."""
        home = Home(self.home)
        settings, clock = office.settings_of(home), SystemClock()
        registry = office.read_registry(home)
        known = registry.accounts[AccountId(account)]
        with survey.inspection(home, settings, settings.api.endpoint(is_live=known.is_live), clock) as desk:
            vault = office.secrets_of(home, settings.secrets).load()
            assert survey.authorise(desk, vault, known) == ""
            held = desk.held(account)
        return held.positions, held.orders
