"""A world for checks of the copy rules: five brokers that differ, prices that stand still, one follower for each case.

Numbers that a test expects are worked out by hand from these tables and the rules, never by the copier's own code.

=========  =======================================================================================================
broker     EURUSD (bid 1.08500) and what else differs
=========  =======================================================================================================
Lead       100,000 a lot, step 1,000 units, ask 1.08508; XAUUSD 100 a lot, ask +0.20; GER40 1 a lot, ask +1.2
Same       the same names and lots, ask 1.08510, commission 3 USD a lot and side; GOLD 10 a lot, DAX 25 a lot
Mini       10,000 a lot, step 300, from 300 to 45,000 units, ask 1.08511
Odd        EUR/USD and so on: four digits, step 700, from 2,100 to 98,700 units, ask 1.0852, commission 0.004 % of the
           value a side, stops at least 60 points away on EUR/USD; no EURJPY: GBP becomes JPY in two steps
Dear       step 1 unit, from 1, ask 1.08520, 0.05 % of the value a side but never less than 4 GBP an order, 0.7 % of
           what is converted into the account's money; 1:100 up to 50,000 USD of exposure, 1:10 above;
           guaranteed stops on EURUSD, at least 500 points away
=========  =======================================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from cmam.domain.events import ChangeDecided
from cmam.sandbox.serving.world_file import load_world
from cmam.sandbox.switches import Switches
from tests.person import Held
from tests.stepped import BEGINS_US
from tests.whole import Whole

LEAD, NETTED_LEAD = 41_000_001, 41_000_002
FIRST = 42_000_001
EURUSD, GBPUSD, USDJPY, EURGBP, XAUUSD, GER40 = range(1, 7)
"""The leader's ids."""
BUY, SELL = 1, 2
UNIT = 100
TABLE_HEAD = (
    "leader_symbol,follower_symbol,copy_sl,copy_tp,volume_mode,volume_amount,min_volume,max_volume,max_slippage"
)

FEEDS = {
    "EURUSD": ("1.08500", "0.00001"),
    "GBPUSD": ("1.27000", "0.00001"),
    "USDJPY": ("150.000", "0.001"),
    "EURGBP": ("0.85430", "0.00001"),
    "XAUUSD": ("2350.00", "0.01"),
    "GER40": ("18500.0", "0.1"),
}
"""Bid at the start and the smallest move; the feeds have no spread, the brokers' markups are the whole of it."""

WORLD = """
[feeds]
EURUSD = { base = "EUR", quote = "USD", price = "1.08500", digits = 5, pip = 4 }
GBPUSD = { base = "GBP", quote = "USD", price = "1.27000", digits = 5, pip = 4 }
USDJPY = { base = "USD", quote = "JPY", price = "150.000", digits = 3, pip = 2 }
EURGBP = { base = "EUR", quote = "GBP", price = "0.85430", digits = 5, pip = 4 }
XAUUSD = { base = "XAU", quote = "USD", price = "2350.00", digits = 2, pip = 0, kind = "metal" }
GER40 = { base = "GER40", quote = "EUR", price = "18500.0", digits = 1, pip = 0, kind = "index" }

[kinds.forex]
lot_size = 10_000_000
min_volume = 100_000
step_volume = 100_000
max_volume = 1_000_000_000
[kinds.metal]
lot_size = 10_000
min_volume = 100
step_volume = 100
max_volume = 1_000_000
units = "Ounces"
[kinds.index]
lot_size = 100
min_volume = 1
step_volume = 1
max_volume = 100_000
units = "Contracts"

[[brokers]]
name = "Lead"
first_id = 500_001
kinds.forex = { spread_markup = 8 }
symbols = [
    { feed = "EURUSD", id = 1 },
    { feed = "GBPUSD", id = 2 },
    { feed = "USDJPY", id = 3 },
    { feed = "EURGBP", id = 4 },
    { feed = "XAUUSD", id = 5, spread_markup = 20 },
    { feed = "GER40", id = 6, spread_markup = 12 },
]
[[brokers]]
name = "Same"
first_id = 600_001
kinds.forex = { spread_markup = 10, commission_type = "USD_PER_LOT", commission = "3.00" }
symbols = [
    { feed = "EURUSD", id = 1 },
    { feed = "GBPUSD", id = 2 },
    { feed = "USDJPY", id = 3 },
    { feed = "XAUUSD", id = 5, name = "GOLD", lot_size = 1_000, min_volume = 30, step_volume = 30, spread_markup = 25 },
    { feed = "GER40", id = 6, name = "DAX", lot_size = 2_500, min_volume = 7, step_volume = 7, spread_markup = 11 },
]
[[brokers]]
name = "Mini"
first_id = 700_001
first_asset_id = 31
symbols = [
    { feed = "USDJPY", id = 1 },
    { feed = "EURUSD", id = 2 },
    { feed = "GBPUSD", id = 3 },
    { feed = "EURGBP", id = 4 },
]
[brokers.kinds.forex]
lot_size = 1_000_000
min_volume = 30_000
step_volume = 30_000
max_volume = 4_500_000
spread_markup = 11
[[brokers]]
name = "Odd"
first_id = 800_001
first_asset_id = 61
symbols = [
    { feed = "EURGBP", id = 1, name = "EUR/GBP" },
    { feed = "GBPUSD", id = 2, name = "GBP/USD" },
    { feed = "USDJPY", id = 3, digits = 2, name = "USD/JPY" },
    { feed = "EURUSD", id = 9, name = "EUR/USD", sl_distance = 60, tp_distance = 40 },
]
[brokers.kinds.forex]
min_volume = 210_000
step_volume = 70_000
max_volume = 9_870_000
digits = 4
spread_markup = 2
commission_type = "PERCENTAGE_OF_VALUE"
commission = "0.004"
[[brokers]]
name = "Dear"
first_id = 900_001
first_asset_id = 91
leverages = [{ id = 4, tiers = [{ volume = 5_000_000, leverage = 100 }, { volume = 9_000_000_000, leverage = 10 }] }]
symbols = [
    { feed = "EURUSD", id = 1, leverage_id = 4, guaranteed = true, gsl_distance = 500 },
    { feed = "GBPUSD", id = 2 },
    { feed = "USDJPY", id = 3 },
]
[brokers.kinds.forex]
min_volume = 100
step_volume = 100
spread_markup = 20
commission_type = "PERCENTAGE_OF_VALUE"
commission = "0.05"
min_commission = "4.00"
min_commission_asset = "GBP"
conversion_fee_rate = 70
[[users]]
name = "maria"
id = 3_100_001
[[applications]]
client_id = "1001_sandboxApplicationThatIsActiveAndMayAuthorise0000"
client_secret = "sandboxSecretOfTheActiveApplication000000000000000"
redirect_uris = ["http://127.0.0.1/"]
[[accounts]]
ctid = 41_000_001
login = 9_000_001
broker = "Lead"
currency = "USD"
balance = "100000.00"
[[accounts]]
ctid = 41_000_002
login = 9_000_002
broker = "Lead"
currency = "USD"
type = "netted"
balance = "100000.00"
"""


@dataclass(frozen=True, slots=True)
class Case:
    """One follower of its own: an account, the settings of its link, and what the leader's trade should become."""

    name: str
    broker: str = "Same"
    settings: Mapping[str, str] = field(default_factory=dict)
    expected: Any = None
    currency: str = "USD"
    balance: str = "50000"
    kind: str = "hedged"
    leverage: int = 100
    leader: int = LEAD
    limited: bool = False


class Rulebook(Whole):
    """The whole system with a profile for each case, and a market that moves only when it is told to."""

    def __init__(self, cases: Sequence[Case], *, seed: int = 0, begins_us: int = BEGINS_US, **switches: Any) -> None:
        self.cases = list(cases)
        self.ids = {case.name: FIRST + index for index, case in enumerate(cases)}
        self.bids = {feed: Decimal(price) for feed, (price, _) in FEEDS.items()}
        text = WORLD + "".join(self._account(case) for case in cases)
        leaders = sorted({case.leader for case in cases} - set(self.ids.values()))
        super().__init__(
            seed,
            leader=leaders[0],
            followers=(),
            switches=Switches(**{"history_days": 0, "fill_delay_ms": 0, "trading_limits": False, **switches}),
            world=load_world(text),
            begins_us=begins_us,
        )
        self.add_accounts(*leaders[1:], *self.ids.values())
        for case in cases:
            self.writer.carry_out(
                {
                    "command": "profile.create",
                    "name": case.name,
                    "leader": str(case.leader),
                    "followers": [str(self.ids[case.name])],
                    "settings": dict(case.settings),
                }
            )

    def _account(self, case: Case) -> str:
        ctid = self.ids[case.name]
        return (
            f'[[accounts]]\nctid = {ctid}\nlogin = {ctid - 33_000_000}\nbroker = "{case.broker}"\n'
            f'currency = "{case.currency}"\nbalance = "{case.balance}"\ntype = "{case.kind}"\n'
            f"leverage = {case.leverage}\nlimited_risk = {str(case.limited).lower()}\n"
        )

    def begin(self) -> None:
        """Start, with fresh quotes of everything."""
        self.start()
        self.pulse()
        self.run(0.5)
        for _ in range(20):
            self.pulse()
            self.run(1)
            if self.is_ready():
                break
        assert self.is_ready()
        self.go()

    def pulse(self) -> None:
        """Let every price move by the smallest step and back: quotes are fresh and what they were."""
        for feed, (_, step) in FEEDS.items():
            for bid in (self.bids[feed] + Decimal(step), self.bids[feed]):
                self._move(feed, bid)
        self.stepper.network.collect()

    def _move(self, feed: str, bid: Decimal) -> None:
        self.broker.set_fault("price", {"symbol": feed, "bid": str(bid), "ask": str(bid)})

    def go(self, seconds: float = 1.0) -> None:
        """Let time pass; quotes stay fresh, and have arrived when this returns."""
        self.run(0.3)
        while seconds > 0:
            self.pulse()
            self.run(min(2.0, seconds))
            seconds -= 2.0
        self.pulse()
        self.run(0.05)

    def price(self, feed: str, bid: str) -> None:
        """Put a market somewhere else."""
        self.bids[feed] = Decimal(bid)
        self._move(feed, Decimal(bid))
        self.stepper.network.collect()
        self.run(0.05)

    def held(self, name: str) -> list[Held]:
        """What the case's follower really holds."""
        self.run(0.06)  # as fast as one connection may ask
        return self.person.holds(self.ids[name])

    def volumes(self, name: str) -> list[int]:
        """The units that the case's follower holds, position by position, times a hundred."""
        return [held.volume for held in self.held(name)]

    def levels(self, name: str) -> list[tuple[int, float, float, float]]:
        """Side, stop, target and entry of each position of the case's follower."""
        return [(held.side, held.stop, held.target, held.price) for held in self.held(name)]

    def reason(self, name: str, kind: str = "opened") -> str:
        """The word of the last decision of that kind, empty where it was copied."""
        decided = [e for e in self.events(self.ids[name], ChangeDecided) if e.change.kind.value == kind]
        assert decided, f"expected a decision about {kind} for {name}"
        return decided[-1].reason.value if decided[-1].reason else ""
