"""The checkers of policies: a run that is sound under its own settings must be refused under others, and a book that
was tampered with must be refused under its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from cmam.domain.profiles.link import LinkSettings
from cmam.domain.values.reasons import Reason, Verdict
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.sandbox.books.ledger import Order, Position
from tests.chaos import cap_checks, carried_checks, course, order_checks, rule_checks, size_checks
from tests.chaos.run import by_policy
from tests.whole import NETTED, SAME_BROKER, Whole

LOT = 10_000_000
NETTED_EURUSD = 7001
HOUR_MS = 3_600_000
Law = Callable[[Whole], None]


def _varied() -> Whole:
    """Two positions of which one has a stop and one has grown, and an order that rests; everything is copied."""
    run = Whole(seed=3, settings={"volume.amount": "0.5", "margin_reserve": "off"})
    run.start_ready()
    first = run.person.buy(LOT, relativeStopLoss=5_000)
    run.run(2)
    run.person.buy(LOT)
    run.run(2)
    run.person.buy(LOT, positionId=first)
    run.run(2)
    expires_ms = run.stepper.clock.now() // 1_000 + HOUR_MS
    terms = {"relativeStopLoss": 1_000, "expirationTimestamp": expires_ms, "timeInForce": model.GOOD_TILL_DATE}
    run.person.place(model.LIMIT, LOT, price=1.0800, **terms)
    run.run(3)
    return run


@pytest.fixture(name="varied", scope="module")
def _the_same_for_all() -> Whole:
    """One run for the laws that only read it."""
    return _varied()


def told(patch: pytest.MonkeyPatch, lies: Mapping[str, str]) -> None:
    """Let the laws believe that each decision was taken under other settings."""
    at = course.Settings.at

    def other(self: course.Settings, link: LinkSettings, version: int) -> course.Terms:
        return course.Terms({**at(self, link, version).texts, **lies})

    patch.setattr(course.Settings, "at", other)


def test_a_sound_run_passes_them_all(varied: Whole) -> None:
    """What is held against lies and tampering below lets the run pass."""
    by_policy(varied, [])


LIES: tuple[tuple[Law, Mapping[str, str]], ...] = (
    (rule_checks.allowed, {"ignore_new": "on"}),
    (rule_checks.allowed, {"order_types": "limit"}),
    (rule_checks.allowed, {"order_types": "market"}),
    (rule_checks.allowed, {"reverse": "on", "reverse_without_stop": "on"}),
    (rule_checks.allowed, {"require_stop": "on"}),
    (rule_checks.allowed, {"max_slippage": "20"}),
    (rule_checks.allowed, {"max_price_distance": "-5"}),
    (rule_checks.allowed, {"wait_for_better": "50"}),
    (rule_checks.allowed, {"scale_in": "off"}),
    (cap_checks.capped, {"max_positions": "1"}),
    (cap_checks.capped, {"max_positions": "2"}),
    (cap_checks.capped, {"max_lots_symbol": "0.9"}),
    (cap_checks.capped, {"max_lots_open": "1.9"}),
    (size_checks.sized_as_set, {"volume.amount": "0.4"}),
    (size_checks.sized_as_set, {"volume.mode": "fixed", "volume.amount": "0.1"}),
    (size_checks.sized_as_set, {"volume.mode": "balance_ratio", "volume.amount": "0.1"}),
    (size_checks.sized_as_set, {"volume.mode": "risk_percent", "volume.amount": "0.001"}),
    (size_checks.sized_as_set, {"volume.max": "0.4"}),
    (size_checks.within_bounds, {"volume.max": "0.9"}),
    (order_checks.resting_as_set, {"reverse": "on"}),
    (order_checks.resting_as_set, {"copy_expiry": "off"}),
    (order_checks.resting_as_set, {"sl_offset": "3"}),
    (order_checks.resting_as_set, {"copy_sl": "off"}),
    (order_checks.resting_as_set, {"fixed_tp": "30"}),
    (carried_checks.levels_as_set, {"sl_offset": "3"}),
    (carried_checks.levels_as_set, {"fixed_sl": "10"}),
    (carried_checks.levels_as_set, {"copy_sl": "off"}),
)
"""A law, and settings under which the run would have broken it."""


@pytest.mark.parametrize(("law", "lies"), LIES)
def test_a_run_under_other_settings_is_refused(
    varied: Whole, monkeypatch: pytest.MonkeyPatch, law: Law, lies: Mapping[str, str]
) -> None:
    """What its settings do not allow, or would have made otherwise, is seen."""
    told(monkeypatch, lies)
    with pytest.raises(AssertionError):
        law(varied)


@pytest.mark.parametrize(
    "settings",
    [
        {"ignore_new": "on"},
        {"order_types": "limit"},
        {"require_stop": "on"},
        {"reverse": "on"},
        {"max_positions": "1", "volume.mode": "fixed", "volume.amount": "0.1"},
        {"max_lots_symbol": "0.1", "volume.mode": "fixed", "volume.amount": "0.1"},
        {"volume.mode": "risk_percent", "volume.amount": "1"},
    ],
)
def test_a_skip_without_ground_is_refused(settings: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The second of two trades is skipped for what is set; had it not been set, nothing would have said so."""
    run = Whole(seed=3, settings={**settings, "margin_reserve": "off"})
    run.start_ready()
    for _ in range(2):
        run.person.buy(LOT)
        run.run(3)
    rule_checks.grounded(run)
    told(monkeypatch, {name: course.DEFAULTS[name] for name in settings})
    with pytest.raises(AssertionError, match="without ground"):
        rule_checks.grounded(run)


# --- books that were tampered with ------------------------------------------------------------------------------------


def _cheaper(order: Order) -> None:
    assert order.limit_price is not None
    order.limit_price -= 100_000


def _larger(order: Order) -> None:
    order.volume *= 2


def _turned(order: Order) -> None:
    order.side = 3 - order.side


@pytest.mark.parametrize("tampers", [_cheaper, _larger, _turned])
def test_an_order_that_rests_otherwise_is_refused(tampers: Callable[[Order], None]) -> None:
    """Its price, its volume and its side are its leader's."""
    run = _varied()
    (order,) = (o for o in run.broker.floor.accounts[SAME_BROKER].orders.values() if o.limit_price and not o.is_closing)
    tampers(order)
    with pytest.raises(AssertionError):
        order_checks.resting_as_set(run)


def _on_a_net() -> tuple[Whole, Position]:
    run = Whole(seed=3, followers=(NETTED,), settings={"volume.amount": "0.1"})
    run.start_ready()
    for away in (3_000, 5_000):
        run.person.buy(LOT, relativeStopLoss=away)
        run.run(3)
    (net,) = run.broker.floor.accounts[NETTED].positions.values()
    return run, net


def test_a_net_with_a_nearer_stop_or_a_target_is_refused() -> None:
    """Two shares: the farther stop of both, and no target."""
    run, net = _on_a_net()
    carried_checks.net_levels_as_set(run, [])
    assert net.sl is not None
    net.sl += 200_000
    with pytest.raises(AssertionError):
        carried_checks.net_levels_as_set(run, [])
    net.sl -= 200_000
    net.tp = net.sl + 2_000_000
    with pytest.raises(AssertionError, match="and a target"):
        carried_checks.net_levels_as_set(run, [])


def test_a_trailing_stop_that_nobody_loosened_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The leader takes his own trailing stop farther away, and the copy follows: without his word it might not."""
    run = Whole(seed=3)
    run.start_ready()
    position = run.person.buy(LOT, relativeStopLoss=3_000, trailingStopLoss=True)
    run.run(3)
    (held,) = run.person.holds(run.leader)
    run.person.amend(position, stop=round(held.stop - 0.01, 5))
    run.run(3)
    carried_checks.never_loosened(run)
    monkeypatch.setattr(carried_checks, "TELLING", ())
    with pytest.raises(AssertionError, match="loosened"):
        carried_checks.never_loosened(run)


def _who_is_netted(*, holds: bool) -> Whole:
    """A netted leader whose order rests, placed while he held the symbol or before anything."""
    run = Whole(seed=3, leader=NETTED, followers=(SAME_BROKER,))
    run.start_ready()
    if holds:
        run.person.buy(LOT // 10, symbol=NETTED_EURUSD, account=NETTED)
        run.run(3)
    run.person.place(model.LIMIT, LOT // 10, price=1.0500, symbol=NETTED_EURUSD, account=NETTED)
    run.run(3)
    order_checks.beside_no_net(run)
    return run


def test_an_order_that_rests_beside_its_leaders_net_is_refused() -> None:
    """He buys beside it, and nobody has told cmam."""
    run = _who_is_netted(holds=False)
    run.kill()
    run.person.buy(LOT // 10, symbol=NETTED_EURUSD, account=NETTED)
    run.stepper.run(1_000_000)
    with pytest.raises(AssertionError, match="beside the net"):
        order_checks.beside_no_net(run)


@pytest.mark.parametrize("holds", [False, True])
def test_an_order_of_a_netted_leader_that_is_decided_otherwise_is_refused(*, holds: bool) -> None:
    """It is copied where he held nothing, and skipped where he held the symbol; told otherwise, it is seen."""
    run = _who_is_netted(holds=holds)
    events = run.events
    lies = {"verdict": Verdict.COPY} if holds else {"reason": Reason.FILLS_INTO_NET}

    def lied(account: Any, kind: Any) -> list[Any]:
        return [replace(event, **lies) for event in events(account, kind)]

    run.events = lied
    with pytest.raises(AssertionError, match="who holds"):
        order_checks.beside_no_net(run)
