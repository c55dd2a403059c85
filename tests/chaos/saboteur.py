"""What may break, by seed: the network, the broker, both clocks, the disk, actors, and the process itself.

Every act answers with a word for the protocol of its run; `KINDS` names them for the figures. Nothing here judges.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from decimal import Decimal

from tests.whole import Whole

CODES = (
    "CONCURRENT_MODIFICATION",
    "MARKET_CLOSED",
    "NOT_ENOUGH_MONEY",
    "TRADING_BAD_STOPS",
    "UNKNOWN_ERROR",
    "POSITION_LOCKED",
    "NO_QUOTES",
    "A_CODE_NOBODY_KNOWS",
)


KINDS = (
    "kill",
    "drain",
    "cut",
    "die",
    "disk",
    "session",
    "broker",
    "our clock",
    "their clock",
    "rate",
    "stop-out",
    "busy",
)
"""What may break besides the faults that the broker has on switches."""
THREADS = ("recorder", "operator", "supervisor", "limiter:demo-1", "connection:demo-1", "to_broker", "to_client")
LAGS_US = (1_000, 5_000, 30_000, 100_000)


class Saboteur:
    """Breaks one thing at a time, of the kinds that it was given."""

    def __init__(
        self, whole: Whole, chance: random.Random, *, followers: tuple[int, ...], kinds: tuple[str, ...]
    ) -> None:
        self._whole = whole
        self._chance = chance
        self._accounts = whole.accounts
        self._followers = followers
        self._kinds = kinds
        self.done: Counter[str] = Counter()

    def act(self) -> str:
        """Break one thing, or none."""
        kind = self._chance.choice(("nothing", "fault", *self._kinds))
        acts: dict[str, Callable[[], str]] = {
            "nothing": lambda: "nothing",
            "kill": self._kill,
            "drain": self._drain,
            "cut": self._cut,
            "fault": self._fault,
            "die": self._die,
            "disk": self._disk,
            "session": self._session,
            "broker": self._restart_broker,
            "our clock": self._our_clock,
            "their clock": self._their_clock,
            "rate": self._rate,
            "stop-out": self._stop_out,
            "busy": self._busy,
        }
        word = acts[kind]()
        self.done[kind if kind != "fault" else word.split(" ")[0]] += kind != "nothing"
        return word

    def _kill(self) -> str:
        for _ in range(self._chance.randrange(0, 80)):
            self._whole.stepper.step()
        self._whole.kill()
        return "kill"

    def _drain(self) -> str:
        if self._whole.is_running:
            self._whole.stop()
        return "an orderly end"

    def _restart_broker(self) -> str:
        self._whole.restart_broker()
        return "the broker starts again"

    def _our_clock(self) -> str:
        jump_ms = self._chance.choice((-3_600_000, -20_000, -3_000, 3_000, 12_000, 20_000, 3_600_000, 0))
        self._whole.stepper.wall.skew_us = jump_ms * 1_000
        return f"our clock is wrong by {jump_ms} ms"

    def _their_clock(self) -> str:
        jump_ms = self._chance.choice((-20_000, -3_000, 3_000, 20_000))
        self._whole.broker.set_fault("clock-skew", {"ms": str(jump_ms)})
        return f"their clock is wrong by {jump_ms} ms"

    def _rate(self) -> str:
        code = self._chance.choice(("REQUEST_FREQUENCY_EXCEEDED", "BLOCKED_PAYLOAD_TYPE"))
        kind, count = self._chance.choice(("2106", "2110", "2111", "2124", "2175")), self._chance.randrange(1, 4)
        arguments = {"code": code, "type": kind, "retry_after": "2", "count": str(count)}
        self._whole.broker.set_fault("error", arguments)
        return f"rate refusals {arguments}"

    def _stop_out(self) -> str:
        """Take most of a follower's money away and move the price: whatever it holds may be stopped out."""
        account = self._chance.choice(self._followers)
        floor = self._whole.broker.floor.accounts[account]
        left = self._chance.choice((1_000, 100_000))
        amount = Decimal(floor.balance - left).scaleb(-floor.spec.money_digits)
        if amount <= 0:
            return "nothing to take away"
        self._whole.broker.set_fault("withdraw", {"account": str(account), "amount": str(amount)})
        self._whole.stepper.network.collect()
        return f"{account} loses {amount}"

    def _busy(self) -> str:
        names = [*(f"account:{account}" for account in self._accounts), *THREADS]
        slow = self._chance.sample(names, self._chance.randrange(0, 4))
        self._whole.stepper.lags = {name: self._chance.choice(LAGS_US) for name in slow}
        return f"busy {self._whole.stepper.lags}"

    def _cut(self) -> str:
        self._whole.stepper.network.cut_all()
        return "cut"

    def _die(self) -> str:
        account = self._chance.choice(self._accounts)
        turns, tells = self._chance.randrange(0, 4), self._chance.randrange(0, 4)
        self._whole.stepper.doom(f"account:{account}", turns, tells)
        return f"{account} dies in {turns} turns after {tells} messages"

    def _disk(self) -> str:
        if self._chance.random() < 0.3:
            self._whole.log.loses_answers = 1
            return "the disk loses an answer"
        self._whole.log.is_down = not self._whole.log.is_down
        return f"disk down {self._whole.log.is_down}"

    def _session(self) -> str:
        account = str(self._chance.choice(self._accounts))
        name, arguments = self._chance.choice(
            (
                ("disconnect-account", {"account": account}),
                ("expire-token", {"account": account}),
                ("disconnect-client", {}),
                ("maintenance", {"seconds": "15"}),
                ("deposit", {"account": account, "amount": "100"}),
            )
        )
        self._whole.broker.set_fault(name, arguments)
        self._whole.stepper.network.collect()
        return f"{name} {arguments}"

    def _fault(self) -> str:
        account = str(self._chance.choice(self._accounts))
        system = str(max(self._whole.stepper.network.lines, default=1))
        kind = self._chance.choice(("2106", "2108", "2109", "2110", "2111"))
        name, arguments = self._chance.choice(
            (
                ("drop", {"type": kind, "connection": system}),
                ("silence", {"account": account, "connection": system, "type": kind}),
                ("cut-before", {"connection": system}),
                ("cut-after", {"connection": system}),
                ("cut-mid-order", {"connection": system}),
                ("half-frame", {"connection": system}),
                ("duplicate", {"account": account, "connection": system}),
                ("delay", {"ms": "700", "account": account, "connection": system}),
                ("reorder", {"ms": "50"}),
                ("error", {"code": self._chance.choice(CODES), "type": kind, "connection": system}),
                ("reject", {"account": account}),
                ("partial-fill", {"account": account, "rest": self._chance.choice(("cancel", "fill"))}),
                ("history-quota", {"allowed": "3", "seconds": "10"}),
                ("frozen-quotes", {"symbol": "EURUSD"}),
            )
        )
        if name not in ("history-quota", "frozen-quotes"):
            arguments["count"] = str(self._chance.randrange(1, 4))
        self._whole.broker.set_fault(name, arguments)
        return f"{name} {arguments}"
