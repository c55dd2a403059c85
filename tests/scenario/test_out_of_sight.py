"""A follower whose leader cannot be seen: its copies are named in an alert, held or closed as asked, and it heals."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cmam.actors import messages as m
from cmam.domain.events import AlertHealed, AlertRaised
from cmam.store.past.replay import verify
from cmam.store.records.envelope import Pending
from tests.person import LEADER
from tests.whole import SAME_BROKER, SECOND, Whole

LOT = 10_000_000


@pytest.mark.parametrize(("setting", "left"), [("hold", 1), ("close_after 1m", 0)])
def test_a_blind_leader_is_named_and_its_copies_are_held_or_closed(setting: str, left: int) -> None:
    """With the leader's account refused for two minutes, copies are held by default, closed where that was asked."""
    whole = Whole(seed=4, settings={"leader_blind": setting})
    whole.start_ready()
    whole.person.buy(LOT)
    whole.run(2)
    whole.broker.set_fault("error", {"code": "CH_SERVER_NOT_REACHABLE", "type": "2102", "account": str(LEADER)})
    whole.broker.set_fault("disconnect-account", {"account": str(LEADER)})
    whole.run(120)
    raised = [event for event in whole.events(SAME_BROKER, AlertRaised) if event.kind.startswith("blind")]
    assert raised
    assert "EURUSD" in raised[0].text
    assert len(whole.person.holds(SAME_BROKER)) == left
    whole.broker.clear_fault("all")
    whole.run(120)
    assert [event for event in whole.events(SAME_BROKER, AlertHealed) if event.kind.startswith("blind")]
    assert verify(whole.log.read_all()).is_identical
    assert whole.stepper.failures == []


def test_a_short_span_of_blindness_is_kept() -> None:
    """Copies were closed up to half a minute after the span that was set: leaders were looked for every 15 seconds."""
    whole = Whole(seed=4, settings={"leader_blind": "close_after 5s"})
    whole.start_ready()
    whole.run(20)
    whole.person.buy(LOT)
    whole.run(20)
    whole.broker.set_fault("error", {"code": "CH_SERVER_NOT_REACHABLE", "type": "2102", "account": str(LEADER)})
    whole.broker.set_fault("disconnect-account", {"account": str(LEADER)})
    whole.run(3)
    assert len(whole.person.holds(SAME_BROKER)) == 1
    whole.run(6)
    assert whole.person.holds(SAME_BROKER) == []
    assert verify(whole.log.read_all()).is_identical


@pytest.mark.parametrize("phase", [8, 12])
def test_a_leader_who_comes_back_between_has_not_been_blind_all_the_time(phase: int) -> None:
    """Out of sight at each look and back between two of them, he counted as out of sight from the first one on, and his
    copies were closed."""
    whole = Whole(seed=4, settings={"leader_blind": "close_after 40s"})
    whole.start_ready()
    whole.person.buy(LOT)
    whole.run(2 + phase)
    for _ in range(6):
        whole.broker.set_fault("error", {"code": "CH_SERVER_NOT_REACHABLE", "type": "2102", "account": str(LEADER)})
        whole.broker.set_fault("disconnect-account", {"account": str(LEADER)})
        whole.run(3)
        whole.broker.clear_fault("all")
        whole.run(12)
        view = whole.view(LEADER)
        assert view is not None
        assert view.health == "reconciled"
    assert len(whole.person.holds(SAME_BROKER)) == 1


def _write_for(whole: Whole, stream: str) -> None:
    """Another writer takes the next place of a stream: its account's actor stops for good."""
    whole.let_record()
    stolen = AlertRaised(kind="second", text="another process has written this")
    whole.log.append([Pending(stream, whole.log.head(stream).version + 1, whole.now_us(), stolen)])
    whole.person.buy(LOT)


def _fail(whole: Whole, stream: str) -> None:
    """Its actor dies, and no record can be read to start it again from."""
    whole.log.is_unreadable = True
    whole.stepper.directory.tell(stream, object())


@pytest.mark.parametrize(("harm", "health"), [(_write_for, "refused"), (_fail, "down")])
def test_a_leader_that_nobody_manages_is_out_of_sight(harm: Callable[[Whole, str], None], health: str) -> None:
    """Its last word said that all was well: its followers held copies for ever that nobody would close with it."""
    whole = Whole(seed=4, settings={"leader_blind": "close_after 1m"})
    whole.start_ready()
    whole.person.buy(LOT)
    whole.run(2)
    harm(whole, m.account_name(LEADER))
    whole.run(120)
    view = whole.view(LEADER)
    assert view is not None
    assert view.health == health
    whole.log.is_unreadable = False
    assert [event for event in whole.events(SAME_BROKER, AlertRaised) if event.kind == f"blind {LEADER}"]
    assert whole.person.holds(SAME_BROKER) == []
    assert whole.system is not None
    assert whole.system.why_failed == ""


def test_an_account_whose_stream_is_another_s_holds_up_no_end() -> None:
    """It takes nothing any more but that: a second of the three that an end has would be waited for it."""
    whole = Whole(seed=4)
    whole.start_ready()
    _write_for(whole, m.account_name(LEADER))
    whole.run(2)
    before = whole.now_us()
    whole.stop()
    assert whole.now_us() - before < SECOND // 2
