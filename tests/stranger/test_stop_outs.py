"""Stop-outs of followers, in an order of events that nobody has recorded (FACTS §4.4 P)."""

from __future__ import annotations

import pytest

from cmam.domain.events import StopOutSeen
from cmam.domain.folds import afterwards
from cmam.domain.turns import touching
from cmam.store.auditing.audit import Audit
from cmam.store.auditing.totals import totals
from tests.stranger.books import BUY
from tests.stranger.habits import Habits
from tests.stranger.world import Terminal, World

LEADER, FOLLOWER = 501, 502
VOLUME = 1_000_000


def _stopped_out(share: int, *, closes_detail: bool = True) -> tuple[int, int]:
    """Let the broker take a share of a copy, the protective order's end or change first; how often that was seen, and
    how many positions the follower holds once the leader has opened another."""
    habits = Habits(cancel_precedes=True, closes_detail=closes_detail)
    world = World(1, habits, {LEADER: ("North", False), FOLLOWER: ("South", False)})
    world.profile("of", LEADER, {FOLLOWER: "1"})
    terminal = Terminal(world, LEADER)
    world.start()
    world.run(5)
    terminal.trade("EURUSD", BUY, VOLUME, relativeStopLoss=900)
    world.run(10)
    book = world.broker.floor.books[FOLLOWER]
    (copy,) = book.positions.values()
    world.broker.floor.stop_out(book, copy, VOLUME // share)
    world.lines.collect()
    world.run(10)
    terminal.trade("XAUUSD", BUY, 1_200)
    world.run(10)
    seen = len(world.events(FOLLOWER, StopOutSeen))
    world.stepper.kill()
    return seen, len(book.positions)


def test_a_stop_out_locks_also_where_its_fill_is_told_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole and in part: what the leader opens next is not opened."""
    assert _stopped_out(1) == (1, 0)
    assert _stopped_out(2) == (1, 1)
    monkeypatch.setattr(touching, "STOP_OUTS_ANYHOW", 99)
    assert _stopped_out(1) == (0, 1)


def test_a_stop_out_locks_also_where_its_deal_does_not_tell_what_it_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The order has the mark of it, and `closePositionDetail` is optional."""
    assert _stopped_out(1, closes_detail=False) == (1, 0)
    assert _stopped_out(2, closes_detail=False) == (1, 1)
    monkeypatch.setattr(touching, "STOP_OUTS_BY_FLAG", 99)
    assert _stopped_out(1, closes_detail=False) == (0, 1)


def _stopped_out_unseen(
    *, netted: bool, answer_us: int, adds: bool = False, closes_detail: bool = True
) -> tuple[int, int, list[dict[str, str]]]:
    """Let the broker take a half of a copy while the line is cut, and answer slowly: how often that was seen, what the
    follower holds once the leader has added (while the line was cut, or long afterwards), and who closed for how much.
    """
    habits = Habits(answer_us=answer_us, closes_detail=closes_detail)
    world = World(1, habits, {LEADER: ("North", False), FOLLOWER: ("South", netted)})
    world.profile("of", LEADER, {FOLLOWER: "1"})
    terminal = Terminal(world, LEADER)
    world.start()
    world.run(5)
    terminal.trade("EURUSD", BUY, VOLUME)
    world.run(10)
    book = world.broker.floor.books[FOLLOWER]
    (copy,) = book.positions.values()
    (held,) = terminal.book.positions.values()
    world.lines.cut_all()
    world.broker.floor.stop_out(book, copy, VOLUME // 2)
    if adds:
        terminal.trade("EURUSD", BUY, VOLUME, positionId=held.number)
    world.lines.collect()
    world.run(75)
    if not adds:
        terminal.trade("EURUSD", BUY, VOLUME, positionId=held.number)
        terminal.trade("XAUUSD", BUY, 1_200)
    world.run(10)
    seen = len(world.events(FOLLOWER, StopOutSeen))
    (line,) = (line for line in totals(Audit.of(world.log)) if line["copies"])
    world.stepper.kill()
    return seen, sum(one.volume for one in book.positions.values()), [one["by"] for one in line["results"].values()]


@pytest.mark.parametrize("netted", [False, True])
@pytest.mark.parametrize("answer_us", [0, 4_000_000])
def test_an_unseen_stop_out_locks_also_where_its_deal_does_not_tell_what_it_closed(
    *, netted: bool, answer_us: int
) -> None:
    """It is asked for as where it does: the order that took a part was a closing one."""
    assert _stopped_out_unseen(netted=netted, answer_us=answer_us, closes_detail=False)[:2] == (1, VOLUME // 2)


@pytest.mark.parametrize("netted", [False, True])
@pytest.mark.parametrize("answer_us", [0, 1_500_000, 4_000_000])
def test_a_part_that_was_stopped_out_unseen_locks_however_late_that_is_told(*, netted: bool, answer_us: int) -> None:
    """Also where its deals take longer than a start waits for them, and its orders too; it counts as what it was."""
    seen, holds, (by,) = _stopped_out_unseen(netted=netted, answer_us=answer_us)
    assert (seen, holds, list(by)) == (1, VOLUME // 2, ["stop_out"])


def test_rules_of_before_knew_no_stop_out_of_a_net_that_was_told_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person had taken it, as they had it: what the leader did next was bought without margin, and never told."""
    for module in (afterwards, touching):
        monkeypatch.setattr(module, "STOP_OUTS_BY_ORDERS", 99)
    seen, holds, results = _stopped_out_unseen(netted=True, answer_us=4_000_000)
    assert (seen, results) == (0, [])
    assert holds > VOLUME // 2


def test_a_stop_out_locks_by_its_order_before_its_deals_have_come() -> None:
    """What the leader has added while the line was cut is not bought."""
    for netted in (False, True):
        assert _stopped_out_unseen(netted=netted, answer_us=1_500_000, adds=True)[:2] == (1, VOLUME // 2)
