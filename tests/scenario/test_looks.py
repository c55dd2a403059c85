"""The look of once a minute: what a copy needs and nobody asked for is asked for, once, at the second look."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cmam.domain.events import ChangeDecided, CopyOverdue, FindingKind, FindingsMade, IntentRecorded, Reconciled
from cmam.domain.turns import turn
from cmam.domain.values.commands import Command
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.store.past.replay import verify
from tests.person import LEADER
from tests.whole import NETTED, SAME_BROKER, Whole

LOT = 10_000_000
MINUTE = 60


def _nothing(*_: object) -> Iterator[Command]:
    """No need is seen: as if the fact that made it had asked for nothing."""
    return iter(())


def _overlooked(whole: Whole, follower: int, patch: pytest.MonkeyPatch) -> int:
    """Let the leader close a half, and the need that this makes be overlooked; answers the leader's position."""
    position = whole.person.buy(LOT)
    whole.run(2)
    asked = len(whole.events(follower, IntentRecorded))
    with patch.context() as overlooking:
        overlooking.setattr(turn, "needed", _nothing)
        whole.person.close(position, LOT // 2)
        whole.run(2)
    assert len(whole.events(follower, ChangeDecided)) == 2
    assert len(whole.events(follower, IntentRecorded)) == asked
    return position


@pytest.mark.parametrize("follower", [SAME_BROKER, NETTED])
def test_what_was_overlooked_is_said_at_one_look_and_done_at_the_next(
    follower: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy that holds too much and of which nothing is under way is reduced within two looks, once."""
    whole = Whole(seed=3, followers=(follower,))
    whole.start_ready()
    _overlooked(whole, follower, monkeypatch)
    said = len(whole.events(follower, FindingsMade))
    whole.stepper.run_until(lambda: len(whole.events(follower, FindingsMade)) > said, 2 * MINUTE * 1_000_000)
    (finding,) = whole.events(follower, FindingsMade)[-1].findings
    assert finding.kind is FindingKind.WRONG_SIZE
    assert [held.volume for held in whole.person.holds(follower)] == [LOT]
    assert whole.events(follower, CopyOverdue) == []
    whole.run(MINUTE + 10)
    assert [held.volume for held in whole.person.holds(follower)] == [LOT // 2]
    whole.run(3 * MINUTE)
    assert [held.volume for held in whole.person.holds(follower)] == [LOT // 2]
    assert len(whole.events(follower, CopyOverdue)) == 1
    assert whole.events(follower, FindingsMade)[-1].findings == ()
    assert whole.stepper.failures == []


def test_what_was_asked_between_two_looks_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The leader closes the rest between the looks: the copy is closed whole by that, and the look adds nothing."""
    whole = Whole(seed=3)
    whole.start_ready()
    position = _overlooked(whole, SAME_BROKER, monkeypatch)
    said = len(whole.events(SAME_BROKER, FindingsMade))
    whole.stepper.run_until(lambda: len(whole.events(SAME_BROKER, FindingsMade)) > said, 2 * MINUTE * 1_000_000)
    whole.person.close(position, LOT // 2)
    whole.run(3 * MINUTE)
    assert whole.person.holds(SAME_BROKER) == []
    assert whole.events(SAME_BROKER, CopyOverdue) == []
    assert whole.stepper.failures == []


def test_while_all_is_asked_for_the_looks_record_nothing() -> None:
    """Copies that are as they should be, and a close that the broker refuses and is asked again in its time."""
    whole = Whole(seed=5)
    whole.start_ready()
    position = whole.person.buy(LOT)
    whole.run(2)
    asked = len(whole.events(SAME_BROKER, IntentRecorded))
    whole.run(3 * MINUTE)
    assert len(whole.events(SAME_BROKER, IntentRecorded)) == asked
    assert whole.events(SAME_BROKER, CopyOverdue) == []
    whole.person.close(position, LOT)
    whole.run(2 * MINUTE)
    assert whole.person.holds(SAME_BROKER) == []
    assert whole.events(SAME_BROKER, CopyOverdue) == []
    assert verify(whole.log.read_all()).is_identical


def test_on_a_net_a_refused_close_holds_up_no_other_one() -> None:
    """Two shares end together and the first is refused: the second goes out at once, the first at its next try."""
    whole = Whole(seed=6, followers=(NETTED,))
    whole.start_ready()
    positions = [whole.person.buy(volume) for volume in (LOT, LOT // 2)]
    whole.run(2)
    asked = len(whole.events(NETTED, IntentRecorded))
    whole.broker.set_fault("error", {"account": str(NETTED), "type": "2111", "code": "NO_QUOTES", "count": "1"})
    for position, volume in zip(positions, (LOT, LOT // 2), strict=True):
        whole.person.close(position, volume)
    whole.run(10)
    closes = [intent.source for intent in whole.events(NETTED, IntentRecorded)[asked:]]
    assert len(closes) == 3
    assert closes[0] == closes[2] != closes[1]
    assert whole.person.holds(NETTED) == []
    assert verify(whole.log.read_all()).is_identical
    assert whole.stepper.failures == []


def test_levels_of_an_order_that_were_amended_under_a_clock_set_back_are_found_by_the_look() -> None:
    """An order's own event may be older than what is known of it: the next look sees its levels."""
    whole = Whole(seed=3)
    whole.start_ready()
    order = whole.person.place(model.LIMIT, LOT, price=1.0800, relativeStopLoss=2_000)
    whole.run(3)
    whole.broker.set_fault("clock-skew", {"ms": "-5000"})
    whole.person.amend_order(order, volume=LOT, limitPrice=1.0800, relativeTakeProfit=2_500)
    whole.run(2 * MINUTE)
    (copied,) = whole.person.rests(SAME_BROKER)
    assert (copied.relativeStopLoss, copied.relativeTakeProfit) == (0, 2_500)
    assert verify(whole.log.read_all()).is_identical
    assert whole.stepper.failures == []


@pytest.mark.parametrize("account", [LEADER, SAME_BROKER])
def test_what_positions_bind_and_cost_is_known_within_a_minute(account: int) -> None:
    """A broker changes an account's leverage, as before weekends: 2141 tells of each position, and no execution. So it
    is with a swap of which nothing was told. Both are found by the next look, and recorded once."""
    whole = Whole(seed=3)
    whole.start_ready()
    whole.person.buy(LOT)
    whole.run(2)
    (held,) = whole.broker.floor.accounts[account].open_positions()
    before = held.used_margin
    whole.broker.set_fault("leverage", {"account": str(account), "leverage": "5"})
    held.swap -= 700
    assert held.used_margin > 2 * before
    looks = len(whole.events(account, Reconciled))
    whole.run(MINUTE + 30)
    view = whole.view(account)
    assert view is not None
    (known,) = view.positions.values()
    assert (known.used_margin, known.swap) == (held.used_margin, held.swap)
    whole.run(3 * MINUTE)
    assert len(whole.events(account, Reconciled)) == looks + 1
    assert whole.stepper.failures == []
    assert verify(whole.log.read_all()).is_identical


def test_margin_that_moves_twice_and_is_told_each_time_is_known_within_a_minute() -> None:
    """The leverage goes down for some news and up again: with no word of it a look would tell it after ten minutes."""
    whole = Whole(seed=3)
    whole.start_ready()
    whole.person.buy(LOT)
    whole.run(2)
    (held,) = whole.broker.floor.accounts[SAME_BROKER].open_positions()
    for leverage in ("5", "200"):
        whole.broker.set_fault("leverage", {"account": str(SAME_BROKER), "leverage": leverage})
        looks = len(whole.events(SAME_BROKER, Reconciled))
        whole.run(MINUTE + 30)
        view = whole.view(SAME_BROKER)
        assert view is not None
        assert [known.used_margin for known in view.positions.values()] == [held.used_margin]
        assert len(whole.events(SAME_BROKER, Reconciled)) == looks + 1
    assert verify(whole.log.read_all()).is_identical
    assert whole.stepper.failures == []


def test_costs_that_move_at_each_look_are_not_put_on_record_at_each() -> None:
    """A broker that books swap by the minute: each look would record the whole account, with all that it holds."""
    whole = Whole(seed=3)
    whole.start_ready()
    whole.person.buy(LOT)
    whole.run(2)
    (held,) = whole.broker.floor.accounts[SAME_BROKER].open_positions()
    looks = len(whole.events(SAME_BROKER, Reconciled))
    for _ in range(25):
        held.swap -= 1
        whole.run(MINUTE)
    assert len(whole.events(SAME_BROKER, Reconciled)) == looks + 3
    whole.run(11 * MINUTE)
    view = whole.view(SAME_BROKER)
    assert view is not None
    (known,) = view.positions.values()
    assert known.swap == held.swap
    assert verify(whole.log.read_all()).is_identical


@pytest.mark.parametrize(("kind", "code"), [("2111", "POSITION_NOT_FOUND"), ("2110", "POSITION_NOT_FOUND")])
def test_what_is_called_gone_and_shown_is_asked_for_ever_more_rarely(kind: str, code: str) -> None:
    """A broker that refuses a close, or a level, as of a position that he shows: after its delay, not every 5 seconds,
    of which each put the whole account on record. It is done as soon as he takes it."""
    whole = Whole(seed=5)
    whole.start_ready()
    position = whole.person.buy(LOT)
    whole.run(5)
    asked, looks = len(whole.events(SAME_BROKER, IntentRecorded)), len(whole.events(SAME_BROKER, Reconciled))
    whole.broker.set_fault("error", {"account": str(SAME_BROKER), "type": kind, "code": code})
    if kind == "2111":
        whole.person.close(position, LOT)
    else:
        whole.person.amend(position, stop=1.0)
    whole.run(10 * MINUTE)
    assert 10 <= len(whole.events(SAME_BROKER, IntentRecorded)) - asked <= 20
    assert len(whole.events(SAME_BROKER, Reconciled)) - looks <= 40
    whole.broker.clear_fault("error")
    whole.run(MINUTE + 5)
    held = whole.person.holds(SAME_BROKER)
    assert [one.stop for one in held] == ([] if kind == "2111" else [1.0])
    assert verify(whole.log.read_all()).is_identical
    assert whole.stepper.failures == []
