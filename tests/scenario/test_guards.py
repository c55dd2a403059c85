"""Guards in the running system: equity falls, copies are closed, nothing opens, and a person re-arms."""

from __future__ import annotations

from typing import Any

import pytest

from cmam.domain.events import ChangeDecided, GuardTripped
from cmam.sandbox.switches import Switches
from cmam.store.past.replay import verify
from tests.whole import ALPHA_TOO, SAME_BROKER, Whole

LOT = 10_000_000


def test_min_equity_flattens_and_locks_until_rearmed() -> None:
    """Equity below the limit closes the copies; later opens are denied; re-arming is refused while it holds."""
    whole = Whole(seed=3, settings={"min_equity": "24950", "volume.amount": "1"})
    whole.start_ready()
    whole.person.buy(LOT)
    whole.run(2)
    assert len(whole.person.holds(SAME_BROKER)) == 1
    whole.broker.set_fault("withdraw", {"account": str(SAME_BROKER), "amount": "100"})
    whole.run(3)
    assert whole.events(SAME_BROKER, GuardTripped)
    assert whole.person.holds(SAME_BROKER) == []
    whole.person.buy(LOT)
    whole.run(2)
    opened = [event for event in whole.events(SAME_BROKER, ChangeDecided) if event.change.kind == "opened"]
    assert opened[-1].verdict == "skip"
    assert whole.person.holds(SAME_BROKER) == []
    refused = whole.command({"command": "rearm", "profile": "whole"})
    assert not refused["ok"]
    assert verify(whole.log.read_all()).is_identical


def _shown(whole: Whole, account: int) -> tuple[list[str], list[str], list[dict[str, Any]]]:
    """The latches of the account's link, and the alerts of the account and of others, as `status` shows them."""
    status = whole.command({"command": "status"})
    (link,) = [one for profile in status["profiles"] for one in profile["links"] if one["follower"] == account]
    own = [alert["text"] for alert in status["alerts"] if alert["account"] == account]
    return link["latches"], own, [alert for alert in status["alerts"] if alert["account"] != account]


def test_what_locks_a_link_is_shown_until_it_is_opened(caplog: pytest.LogCaptureFixture) -> None:
    """A guard that has tripped is a log line, an alert and a word beside its link; re-armed, all of it is gone."""
    whole = Whole(seed=3, settings={"min_equity": "24950", "volume.amount": "1"})
    whole.start_ready()
    whole.person.buy(LOT)
    whole.run(2)
    assert _shown(whole, SAME_BROKER) == ([], [], [])
    whole.broker.set_fault("withdraw", {"account": str(SAME_BROKER), "amount": "100"})
    whole.run(3)
    latches, (alert,), others = _shown(whole, SAME_BROKER)
    assert (latches, others) == (["min_equity"], [])
    assert alert.startswith("The guard min_equity has tripped, 24")
    assert " against 24950.00 EUR: its copies are closed, and nothing opens until " in alert
    assert alert.endswith(f"until `cmam rearm --account {SAME_BROKER}`.")
    assert [one.getMessage() for one in caplog.records if "tripped" in one.getMessage()] == [
        f"! account:{SAME_BROKER}: {alert}"
    ]
    assert whole.command({"command": "profile.set", "profile": "whole", "settings": {"min_equity": "off"}})["ok"]
    assert whole.command({"command": "rearm", "profile": "whole"})["ok"]
    whole.run(1)
    assert _shown(whole, SAME_BROKER) == ([], [], [])


def test_accounts_whose_condition_holds_are_named_together() -> None:
    """Of two locked followers one may open again: which one may not is said, and that nothing was opened as it is."""
    whole = Whole(seed=3, followers=(SAME_BROKER, ALPHA_TOO), settings={"volume.amount": "0.01"})
    whole.start_ready()
    for follower in (SAME_BROKER, ALPHA_TOO):
        changed = {"command": "profile.set", "profile": "whole", "follower": follower}
        assert whole.command({**changed, "settings": {"min_equity": "24950" if follower == SAME_BROKER else "99950"}})[
            "ok"
        ]
        whole.broker.set_fault("withdraw", {"account": str(follower), "amount": "100"})
    whole.person.buy(LOT)
    whole.run(3)
    rearm = {"command": "rearm", "all": True}
    error = whole.command(rearm)["error"]
    assert error.startswith("what locked it still holds: min_equity at ")
    assert " on Alpha Markets:9000002, min_equity at " in error
    assert error.endswith(" on Alpha Markets:9000007")
    off = {"command": "profile.set", "profile": "whole", "follower": ALPHA_TOO, "settings": {"min_equity": "off"}}
    assert whole.command(off)["ok"]
    error = whole.command(rearm)["error"]
    assert error.startswith("what locked it still holds: min_equity at ")
    assert " on Alpha Markets:9000007" not in error
    assert error.endswith("; nothing was re-armed: give the other accounts one by one")
    assert whole.command({"command": "rearm", "account": ALPHA_TOO})["ok"]


def test_a_flatten_is_shown_beside_its_links_and_is_no_alert() -> None:
    """Who asked for it knows; who looks later sees why nothing opens."""
    whole = Whole(seed=3, settings={"volume.amount": "1"})
    whole.start_ready()
    assert whole.command({"command": "flatten", "profile": "whole"})["ok"]
    whole.run(2)
    assert _shown(whole, SAME_BROKER) == (["flatten"], [], [])


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize(
    ("operation", "trips"),
    [
        ("BALANCE_WITHDRAW_ROLLOVER", True),
        ("BALANCE_WITHDRAW_DIVIDENDS", True),
        ("BALANCE_WITHDRAW_SWAP", True),
        ("BALANCE_WITHDRAW_GSL_CHARGE", True),
        ("BALANCE_WITHDRAW_TRANSFER", False),
    ],
)
def test_what_positions_cost_is_a_loss_and_what_is_paid_out_is_none(operation: str, trips: bool, told: bool) -> None:
    """A rollover fee of 150 with a daily loss of 100: it is told as a movement of money, or found when the line is back
    with what else the account was charged."""
    whole = Whole(seed=3, settings={"daily_loss": "100", "volume.amount": "0.1"})
    whole.start_ready()
    whole.person.buy(LOT)
    whole.run(2)
    assert len(whole.person.holds(SAME_BROKER)) == 1
    if not told:
        whole.broker.set_fault("disconnect-client", {})
    values = {"account": str(SAME_BROKER), "amount": "150", "operation": operation}
    whole.broker.set_fault("withdraw", values)
    whole.run(20)
    assert bool(whole.events(SAME_BROKER, GuardTripped)) is trips
    assert bool(whole.person.holds(SAME_BROKER)) is not trips
    assert verify(whole.log.read_all()).is_identical


def test_a_bonus_that_is_taken_back_counts_at_once() -> None:
    """`guard.bonus`: it is taken back without another word of the account; for a day's loss it never was there."""
    settings = {"min_equity": "24950", "guard.bonus": "on", "volume.amount": "0.1", "daily_loss": "400"}
    whole = Whole(seed=3, settings=settings, switches=Switches(trader_event_on_balance=False))
    whole.start_ready()
    whole.broker.set_fault("bonus", {"account": str(SAME_BROKER), "amount": "500"})
    whole.broker.set_fault("withdraw", {"account": str(SAME_BROKER), "amount": "300"})
    whole.person.buy(LOT)
    whole.run(5)
    assert not whole.events(SAME_BROKER, GuardTripped)
    assert len(whole.person.holds(SAME_BROKER)) == 1
    whole.broker.set_fault("bonus", {"account": str(SAME_BROKER), "amount": "-500"})
    whole.run(5)
    assert [trip.guard for trip in whole.events(SAME_BROKER, GuardTripped)] == ["min_equity"]
    assert whole.person.holds(SAME_BROKER) == []
    assert verify(whole.log.read_all()).is_identical


def test_a_day_nobody_saw_begin_counts_what_positions_cost_since() -> None:
    """A day that is worked out backwards: 150 of rollover fees in it are a loss, 300 that were paid out are none."""
    settings = {"daily_loss": "1000", "guard.anchor": "balance", "guard.reset": "00:04 UTC"}
    whole = Whole(seed=3, settings=settings)
    whole.start_ready()
    whole.stop()
    whole.run(5 * 60)
    books = whole.broker.floor.accounts[SAME_BROKER]
    morning = books.balance
    for operation, amount in (("BALANCE_WITHDRAW_ROLLOVER", "150"), ("BALANCE_WITHDRAW", "300")):
        values = {"account": str(SAME_BROKER), "amount": amount, "operation": operation}
        whole.broker.set_fault("withdraw", values)
    whole.run(60)
    whole.start_ready()
    whole.run(20)
    view = whole.view(SAME_BROKER)
    assert view is not None
    (day,) = view.days.values()
    assert day.anchor == morning - 30_000
    assert verify(whole.log.read_all()).is_identical


UNREAD = {"code": "CH_SERVER_NOT_REACHABLE", "type": "2121", "account": str(SAME_BROKER)}
"""The server tells nobody what that account is worth."""


def _unread() -> tuple[Whole, dict[str, str]]:
    """A copy of a lot is open, and what its account is worth is not told from here on; and a fall of the market by
    which its equity comes below the limit."""
    whole = Whole(seed=3, settings={"min_equity": "24500", "volume.amount": "1"})
    whole.start_ready()
    whole.person.buy(LOT)
    whole.run(5)
    (held,) = whole.person.holds(SAME_BROKER)
    whole.broker.set_fault("error", UNREAD)
    return whole, {"symbol": "EURUSD", "bid": f"{held.price - 0.011:.5f}"}


def test_no_guard_trips_by_a_balance_that_nobody_has_told() -> None:
    """A new account whose particulars are refused at first: its balance is not 0, which `min_equity` had all that it
    holds closed for, a person's own trade too; and what it turns out to have is no day's gain."""
    settings = {"min_equity": "1000", "daily_target": "500", "guard.scope": "account", "volume.amount": "0.01"}
    whole = Whole(seed=3, settings=settings)
    whole.person.buy(LOT, account=SAME_BROKER)
    whole.broker.set_fault("error", UNREAD)
    whole.start()
    whole.run(20)
    assert len(whole.person.holds(SAME_BROKER)) == 1
    whole.broker.clear_fault("error")
    whole.run(65)
    whole.person.buy(LOT)
    whole.run(3)
    assert len(whole.person.holds(SAME_BROKER)) == 2
    assert whole.events(SAME_BROKER, GuardTripped) == []
    assert verify(whole.log.read_all()).is_identical


def test_no_guard_trips_by_the_balance_of_before_a_gap() -> None:
    """3,000 are paid in while the line is down, and 1,000 are lost: nothing is below the limit. What the account is
    worth is told late, and until then nobody knows of what came in."""
    whole, fall = _unread()
    whole.stepper.network.cut_all()
    whole.broker.set_fault("deposit", {"account": str(SAME_BROKER), "amount": "3000"})
    whole.broker.set_fault("price", fall)
    whole.run(20)
    assert len(whole.person.holds(SAME_BROKER)) == 1
    whole.broker.clear_fault("error")
    whole.run(65)
    assert whole.events(SAME_BROKER, GuardTripped) == []
    assert verify(whole.log.read_all()).is_identical


def test_a_guard_goes_on_looking_where_an_account_in_sight_is_not_told_its_worth_once_more() -> None:
    """A symbol changes, so that everything is asked for anew, and the server refuses the particulars for minutes: what
    the account is worth has been told on this line, and each change of it since."""
    whole, fall = _unread()
    whole.broker.set_fault("symbol", {"broker": "Alpha Markets", "symbol": "GBPUSD", "set": "step_volume=1000000"})
    whole.run(10)
    whole.broker.set_fault("price", fall)
    whole.run(10)
    assert whole.events(SAME_BROKER, GuardTripped)
    assert whole.person.holds(SAME_BROKER) == []
    assert verify(whole.log.read_all()).is_identical
