"""One chaos run from its seed: options, then trades and faults, then quiet, then the checkers, then flat, then again.

Used by the tests, which run a few seeds, and by `scripts/soak/chaos.py`, which runs thousands and adds up the figures.
"""

from __future__ import annotations

import contextlib
import logging
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cmam.domain.events import AlertRaised, ChangeDecided, FindingsMade, IntentSettled
from tests.chaos import (
    book_checks,
    cap_checks,
    carried_checks,
    checks,
    course_checks,
    level_checks,
    oddities,
    order_checks,
    policies,
    rule_checks,
    size_checks,
    workload,
)
from tests.chaos.options import Options, draw
from tests.chaos.saboteur import Saboteur
from tests.whole import NETTED, Whole

PAUSES_S = (0.05, 0.2, 1.5, 4)
QUIET_S = 240
FLAT_S = 60
TURNS_MIN = 500
COUNTED = ("faults", "acts", "decisions", "outcomes", "findings", "alerts")
"""What the figures of a run count by kind."""


@dataclass(slots=True)
class Figures:
    """What happened in a run, for the sums."""

    turns: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    acts: Counter[str] = field(default_factory=Counter)
    decisions: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    findings: Counter[str] = field(default_factory=Counter)
    alerts: Counter[str] = field(default_factory=Counter)

    def add(self, other: Figures) -> None:
        """Sum up."""
        self.turns += other.turns
        for name in COUNTED:
            getattr(self, name).update(getattr(other, name))


class Said(logging.Handler):
    """Everything that was logged: no secret may stand in it."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@contextlib.contextmanager
def _listening() -> object:
    said, logger = Said(), logging.getLogger("cmam")
    level, propagates = logger.level, logger.propagate
    logger.addHandler(said)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    try:
        yield said
    finally:
        logger.removeHandler(said)
        logger.setLevel(level)
        logger.propagate = propagates


def run_seed(
    seed: int, say: Callable[[str], None] = print, *, holds: bool = False, rules: bool = False, odd: bool = False
) -> Figures:
    """Run one seed; raises AssertionError where a law was broken.

    Traders that hold move levels instead of closing. With `rules` the links have policies of all kinds. An `odd` run
    has worlds, instruments, habits and refusals of its own (`oddities.py`).
    """
    options = draw(seed, holds=holds, rules=rules, odd=odd)
    say(str(options))
    with _listening() as said:
        whole = options.build()
        whole.start_ready()
        saboteur, drawn = _trouble(whole, options, say)
        _quieten(whole)
        told = "\n".join(said.lines)
        has_quota = _may_be_refused(drawn)
        if rules:
            checks.sound(whole, told, has_quota=has_quota)
            by_policy(whole, drawn)
        else:
            checks.all_hold(whole, told, has_quota=has_quota)
            level_checks.levelled(whole)
            course_checks.never_more(whole)
        order_checks.beside_no_net(whole)
        level_checks.touched_by_people(whole, drawn)
        book_checks.told_as_booked(whole)
        figures = _figures(whole, saboteur, drawn)
        _flatten(whole)
        checks.flat(whole)
        checks.replayable(whole)
    assert whole.stepper.turns >= TURNS_MIN, f"expected {TURNS_MIN} turns, found {whole.stepper.turns}"
    return figures


def by_policy(whole: Whole, drawn: Sequence[str]) -> None:
    """The laws of links with policies of all kinds."""
    rule_checks.allowed(whole)
    rule_checks.grounded(whole)
    cap_checks.capped(whole)
    size_checks.sized_as_set(whole)
    size_checks.within_bounds(whole)
    order_checks.resting_as_set(whole)
    carried_checks.levels_as_set(whole, drawn)
    carried_checks.net_levels_as_set(whole, drawn)
    carried_checks.never_loosened(whole)


def _may_be_refused(drawn: list[str]) -> bool:
    """Whether the broker was told to refuse for the rate where nobody was too fast."""
    told = ("history-quota", "rate refusals", "panic", "error {'code': 'BLOCKED", "error {'code': 'REQUEST_FREQUENCY")
    return any(word.startswith(told) for word in drawn)


def leaders_of(whole: Whole) -> tuple[int, ...]:
    """The accounts on which people trade: those that lead and do not follow."""
    links = whole.folded().registry.links()
    followers = {link.follower for link in links}
    return tuple(sorted({link.leader for link in links} - followers))


def _trouble(whole: Whole, options: Options, say: Callable[[str], None]) -> tuple[Saboteur, list[str]]:
    chance = random.Random(options.seed)
    followers = tuple(sorted({link.follower for link in whole.folded().registry.links()}))
    kind = oddities.OddTrader if options.odd else workload.Trader
    plain = workload.NETTED_SYMBOLS, workload.SYMBOLS
    traders = [
        kind(
            whole,
            leader,
            chance,
            symbols=oddities.symbols_of(whole, leader) if options.odd else plain[leader != NETTED],
            pendings=options.has_pendings,
            holds=options.holds,
            varied=options.rules,
        )
        for leader in leaders_of(whole)
    ]
    acts: list[Callable[[], str]] = [*(trader.act for trader in traders)] * 4
    acts.append((oddities.OddMarket if options.odd else workload.Market)(whole, chance).act)
    refuser = oddities.Refuser(whole, chance, followers=followers)
    if options.odd:
        acts += [*(trader.act for trader in traders)] * 4 + [refuser.act] * 3
    saboteur = Saboteur(whole, chance, followers=followers, kinds=options.breaks)
    if options.has_people:
        acts.append(workload.Meddler(whole, chance, accounts=followers).act)
    if options.has_operator:
        settings = policies.changed if options.rules else workload.another_age
        acts.append(workload.Operator(whole, chance, ends_links=options.ends_links, settings=settings).act)
    drawn: list[str] = []
    for _ in range(options.rounds):
        for act in (chance.choice(acts), saboteur.act):
            with contextlib.suppress(StopIteration):
                word = act()
                drawn.append(word)
                say(f"  {whole.stepper.clock.now() / 1e6 % 10_000:9.3f} {word}")
        whole.run(chance.choice(PAUSES_S))
        if not whole.is_running:
            whole.start()
    if options.odd:
        refuser.relent()
    return saboteur, drawn


def _quieten(whole: Whole) -> None:
    whole.broker.clear_fault("all")
    whole.log.is_down = False
    whole.log.loses_answers = 0
    whole.stepper.wall.skew_us = 0
    whole.stepper.lags = {}
    whole.stepper.doomed.clear()
    whole.run(5)
    if not whole.is_running:
        whole.start()
    for command in ("profile.enable", "resume"):
        whole.command({"command": command, "profile": "whole"})
    whole.run(QUIET_S)


def _flatten(whole: Whole) -> None:
    """People close everything that anybody follows, and take back every order there."""
    for leader in sorted({link.leader for link in whole.folded().registry.links()}):
        whole.run(1)  # what the checks have asked for counts in the broker's second
        for order in whole.person.rests(leader):
            whole.person.cancel(order.orderId, account=leader)
        for held in whole.person.holds(leader):
            whole.person.close(held.position, held.volume, account=leader)
    whole.run(FLAT_S)


def _figures(whole: Whole, saboteur: Saboteur, drawn: list[str]) -> Figures:
    figures = Figures(turns=whole.stepper.turns, faults=saboteur.done)
    figures.acts.update(word.split(" ")[0] for word in drawn)
    for account in whole.accounts:
        for recorded in whole.log.read_stream(f"account:{account}"):
            match recorded.event:
                case ChangeDecided(verdict=verdict, reason=reason):
                    figures.decisions[verdict.value if reason is None else f"{verdict.value} {reason.value}"] += 1
                case IntentSettled(outcome=outcome):
                    figures.outcomes[outcome.value] += 1
                case FindingsMade(findings=findings):
                    figures.findings.update(finding.kind.value for finding in findings)
                case AlertRaised(kind=kind):
                    figures.alerts[kind.split(" ")[0]] += 1
    return figures
