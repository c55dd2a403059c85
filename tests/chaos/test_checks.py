"""The checkers themselves: each is shown a run in which its law is broken, and must say so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from cmam.domain.events import ChangeDecided
from tests.chaos import checks, course_checks, level_checks
from tests.whole import SAME_BROKER, Whole

LOT = 10_000_000


@pytest.fixture
def whole() -> Whole:
    """A leader with one position that has a stop, and its copy, at rest."""
    run = Whole(seed=3)
    run.start_ready()
    run.person.buy(LOT, relativeStopLoss=5_000)
    run.run(3)
    return run


def test_a_sound_run_passes_them_all(whole: Whole) -> None:
    """What is held against broken runs below lets a sound one pass."""
    checks.all_hold(whole, "", has_quota=False)
    level_checks.levelled(whole)
    level_checks.touched_by_people(whole, [])
    course_checks.never_more(whole)


def _twice_at_the_broker(whole: Whole) -> None:
    books = whole.broker.floor.accounts[SAME_BROKER].past_orders
    order = next(order for order in whole.orders(SAME_BROKER) if order.client_order_id.startswith("cm1."))
    books[999] = order


def _copy_closed_behind_us(whole: Whole) -> None:
    whole.kill()
    held = whole.person.holds(SAME_BROKER)[0]
    whole.person.close(held.position, held.volume, account=SAME_BROKER)
    whole.stepper.run(1_000_000)


def _copy_too_large(whole: Whole) -> None:
    next(iter(whole.broker.floor.accounts[SAME_BROKER].positions.values())).volume *= 2


def _copy_without_its_stop(whole: Whole) -> None:
    next(iter(whole.broker.floor.accounts[SAME_BROKER].positions.values())).sl = None


def _nothing_decided(whole: Whole) -> None:
    events = whole.events
    whole.events = lambda account, kind: [] if kind is ChangeDecided else events(account, kind)


def _decided_twice(whole: Whole) -> None:
    events = whole.events
    whole.events = lambda account, kind: events(account, kind) * 2


def _copy_forgotten(whole: Whole) -> None:
    view = whole.view
    whole.view = lambda account: _without_copies(view(account))


def _without_copies(view: Any) -> Any:
    return replace(view, copies={}, finished={})


def _record_changed(whole: Whole) -> None:
    table = whole.log.connection.execute("SELECT name FROM sqlite_master WHERE name LIKE '%stored_events'").fetchone()[
        0
    ]
    whole.log.connection.execute(f"UPDATE {table} SET topic = topic || '.x' WHERE originator_version = 3")


def _too_fast(whole: Whole) -> None:
    counted = {"connection": 1, "busiest_second_with_heartbeats": 51, "rate_refusals": 0}
    whole.past_stats.append({"connections": [counted], "internal_errors": 0, "last_internal_error": ""})


def _stop_elsewhere(whole: Whole) -> None:
    position = next(iter(whole.broker.floor.accounts[SAME_BROKER].positions.values()))
    assert position.sl is not None
    position.sl += 100_000


def _touched_by_somebody(whole: Whole) -> None:
    held = whole.person.holds(SAME_BROKER)[0]
    whole.person.amend(held.position, account=SAME_BROKER, stop=held.stop - 0.01)
    whole.stepper.run(1_000_000)


def _a_tenth_was_wanted(whole: Whole) -> None:
    links = [replace(link, settings={"volume.amount": "0.1"}) for link in whole.folded().registry.links()]
    whole.folded = lambda: SimpleNamespace(registry=SimpleNamespace(links=lambda: links))


BROKEN: tuple[tuple[Callable[[Whole], None], Callable[[Whole], None]], ...] = (
    (_twice_at_the_broker, checks.nothing_twice),
    (_decided_twice, checks.nothing_twice),
    (_nothing_decided, checks.nothing_lost),
    (_copy_closed_behind_us, checks.at_rest),
    (_copy_too_large, checks.sized),
    (_copy_without_its_stop, checks.protected),
    (_stop_elsewhere, level_checks.levelled),
    (_touched_by_somebody, lambda whole: level_checks.touched_by_people(whole, [])),
    (_a_tenth_was_wanted, course_checks.never_more),
    (_copy_forgotten, checks.explained),
    (lambda _: None, checks.flat),
    (_record_changed, checks.replayable),
    (_too_fast, lambda whole: checks.polite(whole, has_quota=False)),
    (lambda _: None, lambda whole: checks.silent(whole, next(iter(whole.secrets_ever)))),
)


@pytest.mark.parametrize(("breaks", "law"), BROKEN)
def test_a_broken_law_is_seen(whole: Whole, breaks: Callable[[Whole], None], law: Callable[[Whole], None]) -> None:
    """A run that breaks one law fails its checker."""
    breaks(whole)
    with pytest.raises(AssertionError):
        law(whole)
