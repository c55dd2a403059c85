"""Connections on which little happens, in virtual time."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest

from cmam.clock import SECOND_US
from cmam.domain.events import ConnectionDown, ConnectionUp
from cmam.sandbox.switches import Switches
from tests.whole import SAME_BROKER, Whole


class Nowhere(deque[Any]):
    """Where bytes go whose line is up and whose server has frozen."""

    def append(self, _: Any) -> None:
        pass


def _freeze(whole: Whole) -> None:
    (line,) = whole.stepper.network.lines.values()
    line.to_client, line.spots = Nowhere(), Nowhere()


def _shown(whole: Whole) -> dict[str, Any]:
    found: dict[str, Any] = whole.command({"command": "status"})["connections"]["connection:demo-1"]
    return found


def test_a_line_that_carries_only_quotes_is_alive() -> None:
    """Quotes are told to nobody and keep the server from sending heartbeats; they must count as signs of life."""
    whole = Whole(seed=1)
    whole.start_ready()
    whole.run(200)
    recorded = [record.event for record in whole.log.read_all()]
    assert len([event for event in recorded if isinstance(event, ConnectionUp)]) == 1
    assert not [event for event in recorded if isinstance(event, ConnectionDown)]


@pytest.mark.parametrize("seed", range(3))
def test_a_line_that_carries_nothing_says_so_before_it_is_given_up(seed: int) -> None:
    """From 31 s on, when the server's own heartbeat is overdue, `status` says since when; at 60 s it ends as ever."""
    whole = Whole(seed=seed)
    whole.start_ready()
    whole.run(1)
    _freeze(whole)
    whole.run(29)
    assert (_shown(whole)["state"], _shown(whole)["reason"]) == ("open", "")
    assert 28_000 <= _shown(whole)["silent_ms"] <= 30_000
    whole.run(4)
    shown = _shown(whole)
    assert shown["state"] == "open"
    assert shown["reason"] == f"nothing heard for {shown['silent_ms'] // 1_000} s, dialled anew at 60 s"
    assert 32_000 <= shown["silent_ms"] <= 34_000
    whole.run(24)
    assert _shown(whole)["state"] == "open"
    (silent,) = whole.stepper.network.lines.values()
    whole.run(60)
    assert silent.is_cut, "what has not arrived on a dead line must not arrive later"
    assert (_shown(whole)["state"], _shown(whole)["reason"]) == ("open", "")
    (down,) = (record.event for record in whole.log.read_all() if isinstance(record.event, ConnectionDown))
    assert down.reason == "the server said nothing for 60 s"


def test_a_line_that_carries_only_the_servers_heartbeats_is_never_called_silent() -> None:
    """Every heartbeat of the server is a sign of life, the longest pause it makes between two of them is none."""
    whole = Whole(seed=1, switches=Switches(history_days=0, heartbeat_after_ms=30_000, tick_interval_ms=3_600_000))
    whole.start_ready()
    longest = 0
    for _ in range(200):
        whole.run(1)
        assert (_shown(whole)["state"], _shown(whole)["reason"]) == ("open", "")
        longest = max(longest, _shown(whole)["silent_ms"])
    assert 25_000 <= longest <= 31_000


@pytest.mark.parametrize("seed", [0, 4])
def test_an_account_was_in_sight_until_its_machine_fell_asleep(seed: int) -> None:
    """With seed 4 the account notes a quote as it wakes, before its line is known to be dead: what it missed began when
    the line fell silent, and not with what it has recorded by itself since."""
    whole = Whole(seed=seed, settings={"daily_loss": "5000"})
    whole.start_ready()
    whole.person.buy(100_000)
    whole.run(5)
    _freeze(whole)
    asleep_us = whole.now_us()
    whole.stepper.clock.advance(1_800 * SECOND_US)
    whole.run(5)
    view = whole.view(SAME_BROKER)
    assert view is not None
    assert asleep_us - 60 * SECOND_US < view.in_sight_us <= asleep_us


def test_what_a_quiet_line_does_not_answer_is_said_once_and_as_late(caplog: pytest.LogCaptureFixture) -> None:
    """Each account has one line of the log for it, however often it asks: nobody has refused anything."""
    whole = Whole(seed=1)
    whole.start_ready()
    whole.run(1)
    _freeze(whole)
    whole.run(59)
    told = [record.getMessage() for record in caplog.records if "snapshot" in record.getMessage()]
    accounts = {f"! account:{account}: snapshot was not answered in time" for account in whole.accounts}
    assert sorted(told) == sorted(accounts)
