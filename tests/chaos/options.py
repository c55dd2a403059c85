"""What one seed draws before anything runs: the world, the rules, who takes part, and what may break.

Drawn whole and printed first, so that a failing run says what it was; what happens in it is drawn as it goes, from the
same seed, and replays exactly.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from cmam.sandbox.switches import Switches
from tests.chaos import oddities, policies
from tests.chaos.saboteur import KINDS
from tests.person import LEADER
from tests.whole import ALPHA_TOO, NETTED, OTHER_BROKER, SAME_BROKER, Whole

BETA_ROWS = "leader_symbol,follower_symbol\nEURUSD,EURUSD.b\nGBPUSD,GBPUSD.b\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Everything about a run that is settled before it begins."""

    seed: int
    world: str
    settings: Mapping[str, str]
    rounds: int
    has_pendings: bool
    has_people: bool
    has_operator: bool
    holds: bool
    ends_links: bool
    breaks: tuple[str, ...]
    fill_delay_ms: int
    rate_window: str
    cancel_refused_by: str
    netted_reversal: str
    close_above_volume: str
    rules: bool = False
    others: Mapping[str, str] = field(default_factory=dict)
    """What the profiles beside the first have besides, where whole policies are drawn."""
    market_range_outside: str = "cancelled"
    odd: bool = False

    def build(self) -> Whole:
        """The world that was drawn, not started yet."""
        switches = Switches(
            history_days=0,
            fill_delay_ms=self.fill_delay_ms,
            rate_window=self.rate_window,
            cancel_refused_by=self.cancel_refused_by,
            netted_reversal=self.netted_reversal,
            close_above_volume=self.close_above_volume,
            market_range_outside=self.market_range_outside,
        )
        return (oddities.WORLDS if self.odd else WORLDS)[self.world](self, switches)


def draw(seed: int, *, holds: bool = False, rules: bool = False, odd: bool = False) -> Options:
    """Everything that a seed settles beforehand: whether people hold on to what they open, whether whole policies are
    drawn, which people then change while it runs, and whether worlds, instruments and refusals are odd ones."""
    options = _draw(seed, holds=holds)
    if odd:
        options = _odd(options)
    return _with_policies(options) if rules else options


def _odd(options: Options) -> Options:
    """The same run in an odd world, and a longer one."""
    chance = random.Random(f"{options.seed}:odd")
    world = tuple(oddities.WORLDS)[options.seed % len(oddities.WORLDS)]
    return replace(options, odd=True, world=world, rounds=chance.randrange(16, 30))


def _with_policies(options: Options) -> Options:
    """The same run with policies of all kinds; what else was drawn stays as it is."""
    chance = random.Random(f"{options.seed}:policies")
    return replace(
        options,
        rules=True,
        settings=policies.drawn(chance),
        others=policies.drawn(chance),
        has_operator=chance.random() < 0.6,
        rounds=chance.randrange(24, 40),
        breaks=tuple(sorted(chance.sample(options.breaks, min(len(options.breaks), chance.randrange(1, 4))))),
        market_range_outside=chance.choice(("cancelled", "rejected")),
    )


def _draw(seed: int, *, holds: bool) -> Options:
    chance = random.Random(f"{seed}:options")
    world = tuple(WORLDS)[seed % len(WORLDS)]
    settings = {"volume.amount": chance.choice(("1", "1", "0.5", "1.5"))}
    settings["partial_rounding"] = chance.choice(("carry", "carry", "up"))
    settings["levels"] = chance.choice(("shift", "shift", "price"))
    if chance.random() < 0.2:
        settings["reopen"] = "on"
    if chance.random() < 0.2:
        settings["human_levels"] = "leader"
    return Options(
        seed=seed,
        world=world,
        settings=settings,
        rounds=chance.randrange(12, 20),
        has_pendings=chance.random() < 0.7,
        has_people=chance.random() < 0.5,
        has_operator=chance.random() < 0.25,
        holds=holds,
        ends_links=chance.random() < 0.5,
        breaks=tuple(sorted(chance.sample(KINDS, chance.randrange(2, len(KINDS) + 1)))),
        fill_delay_ms=chance.choice((0, 40, 130, 130, 900)),
        rate_window=chance.choice(("sliding", "bucket", "fixed")),
        cancel_refused_by=chance.choice(("order_error", "execution")),
        netted_reversal=chance.choice(("new_position", "same_position")),
        close_above_volume=chance.choice(("refuse", "close_all")),
    )


def _hedged(options: Options, switches: Switches) -> Whole:
    return Whole(options.seed, settings=options.settings, switches=switches)


def _several(options: Options, switches: Switches) -> Whole:
    return Whole(options.seed, followers=(SAME_BROKER, ALPHA_TOO, NETTED), settings=options.settings, switches=switches)


def _netted_follower(options: Options, switches: Switches) -> Whole:
    return Whole(options.seed, followers=(NETTED,), settings=options.settings, switches=switches)


def _netted_leader(options: Options, switches: Switches) -> Whole:
    return Whole(options.seed, leader=NETTED, followers=(SAME_BROKER,), settings=options.settings, switches=switches)


def _chain(options: Options, switches: Switches) -> Whole:
    whole = Whole(options.seed, followers=(ALPHA_TOO,), settings=options.settings, switches=switches)
    whole.add_accounts(SAME_BROKER)
    whole.add_profile("second", ALPHA_TOO, (SAME_BROKER,), {"volume.amount": "0.5", **options.others})
    return whole


def _two_brokers(options: Options, switches: Switches) -> Whole:
    settings = {**options.settings, "symbols.table": BETA_ROWS}
    return Whole(options.seed, followers=(OTHER_BROKER,), settings=settings, switches=switches)


def _two_leaders(options: Options, switches: Switches) -> Whole:
    whole = Whole(options.seed, followers=(SAME_BROKER,), settings=options.settings, switches=switches)
    whole.add_accounts(ALPHA_TOO)
    whole.add_profile("second", ALPHA_TOO, (SAME_BROKER,), options.others)
    return whole


def _three_leaders(options: Options, switches: Switches) -> Whole:
    whole = Whole(options.seed, leader=LEADER, followers=(SAME_BROKER,), settings=options.settings, switches=switches)
    whole.add_accounts(ALPHA_TOO, NETTED)
    whole.add_profile("second", ALPHA_TOO, (SAME_BROKER,), {"volume.amount": "0.5", **options.others})
    whole.add_profile("third", NETTED, (SAME_BROKER,), options.others)
    return whole


WORLDS: dict[str, Callable[[Options, Switches], Whole]] = {
    "hedged": _hedged,
    "several followers": _several,
    "netted follower": _netted_follower,
    "netted leader": _netted_leader,
    "chain": _chain,
    "two leaders": _two_leaders,
    "two brokers": _two_brokers,
    "three leaders": _three_leaders,
}
