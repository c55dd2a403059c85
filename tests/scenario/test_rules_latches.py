"""Latches in the running system: who may open them, and what a flatten of a whole account reaches."""

from __future__ import annotations

from cmam.domain.events import GuardTripped
from cmam.store.past.replay import verify
from tests.rulebook import LEAD, UNIT, Case, Rulebook

UNITS = {"volume.basis": "units"}


def test_a_loss_is_not_forgotten_by_beginning_the_day_anew() -> None:
    """The day's beginning is known: a person cannot move it away under a guard that has tripped."""
    book = Rulebook([Case("loss", "Same", {**UNITS, "daily_loss": "100"}, balance="10000")])
    book.begin()
    book.person.buy(100_000 * UNIT)
    book.go(2)
    book.price("EURUSD", "1.08400")
    book.go(2)
    assert book.events(book.ids["loss"], GuardTripped)
    refused = book.command({"command": "rearm", "profile": "loss", "guard": "day"})
    assert (refused["ok"], "cannot begin anew" in refused["error"]) == (False, True)
    held = book.command({"command": "rearm", "profile": "loss"})
    assert not held["ok"]
    assert "daily_loss at 116.00 against 100.00 USD" in held["error"]  # 100,000 × 0.0011 and twice 3 USD
    assert book.stepper.failures == []


def test_a_latch_of_the_account_outlives_its_profile_and_can_be_opened() -> None:
    """The profile whose guard locked the account is deleted; `rearm --account` opens its latch, and others trade on."""
    book = Rulebook([Case("first", "Same", {**UNITS, "min_equity": "9900", "guard.scope": "account"}, balance="10000")])
    account = book.ids["first"]
    second = {"command": "profile.create", "name": "second", "leader": str(LEAD), "followers": [str(account)]}
    book.writer.carry_out({**second, "settings": {**UNITS, "symbols.exclude": "EURUSD"}})
    book.begin()
    book.person.buy(100_000 * UNIT)
    book.go(2)
    book.price("EURUSD", "1.08400")
    book.go(2)
    assert book.held("first") == []
    assert book.command({"command": "profile.delete", "profile": "first", "copies": "close"})["ok"]
    book.person.buy(1_000 * UNIT, symbol=2)
    book.go()
    assert book.held("first") == []
    assert book.command({"command": "rearm", "account": str(account)})["ok"]
    book.person.buy(2_000 * UNIT, symbol=2)
    book.go()
    assert book.volumes("first") == [2_000 * UNIT]
    assert verify(book.log.read_all()).is_identical
    assert book.stepper.failures == []


def test_a_whole_account_that_follows_nobody_is_flattened() -> None:
    """The leader's own positions and orders go, and its followers close with it; re-armed, it trades again."""
    book = Rulebook([Case("copy", "Same", UNITS)])
    book.begin()
    book.person.buy(10_000 * UNIT)
    book.go()
    assert book.volumes("copy") == [10_000 * UNIT]
    assert book.command({"command": "flatten", "account": str(LEAD), "whole": True})["ok"]
    book.go(2)
    assert book.person.holds(LEAD) == []
    assert book.held("copy") == []
    assert book.command({"command": "rearm", "account": str(LEAD)})["ok"]
    book.person.buy(10_000 * UNIT)
    book.go(2)
    assert book.volumes("copy") == [10_000 * UNIT]
    assert verify(book.log.read_all()).is_identical
    assert book.stepper.failures == []
