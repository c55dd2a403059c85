"""Stop-outs of followers, in an order of events that nobody has recorded (wire.md#stop-outs)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from cmam.domain.events import StopOutSeen
from cmam.domain.folds import afterwards
from cmam.domain.turns import touching
from cmam.openapi._pb import OpenApiMessages_pb2 as wire
from cmam.store.auditing.audit import Audit
from cmam.store.auditing.totals import totals
from cmam.store.past.replay import verify
from tests.stranger.books import BUY
from tests.stranger.floor import No
from tests.stranger.habits import Habits
from tests.stranger.world import FOLLOWER, a_pair

VOLUME = 1_000_000


def _stopped_out(share: int, *, closes_detail: bool = True) -> tuple[int, int]:
    """Let the broker take a share of a copy, the protective order's end or change first; how often that was seen, and
    how many positions the follower holds once the leader has opened another."""
    habits = Habits(cancel_precedes=True, closes_detail=closes_detail)
    world, terminal = a_pair(habits, follower=("South", False))
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
    world, terminal = a_pair(habits, follower=("South", netted))
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


def _told_of_parts(*, page: int, refused: int = 0) -> tuple[list[Decimal], list[Decimal]]:
    """Let the broker take a net in parts while nobody looks, answer slowly, and tell its history in pages, of which it
    refuses some of the older ones: what the parts came to, by its books and as it is told."""
    habits = replace(Habits(), answer_us=1_500_000, page=page)
    world, terminal = a_pair(habits, follower=("South", True))
    terminal.trade("EURUSD", BUY, VOLUME)
    world.run(10)
    world.kill()
    book = world.broker.floor.books[FOLLOWER]
    (copy,) = book.positions.values()
    for _ in range(4):
        world.broker.floor.stop_out(book, copy, VOLUME // 5)
        world.lines.collect()
        world.run(1)
    broker, left = world.broker, [refused]
    take = broker._take

    def refuse(line: Any, asked: Any, name: str) -> None:
        if isinstance(asked, wire.ProtoOADealListByPositionIdReq) and asked.HasField("toTimestamp") and left[0]:
            left[0] -= 1
            raise No("INCORRECT_BOUNDARIES", "not so")
        take(line, asked, name)

    broker._take = refuse
    world.start()
    world.run(60)
    booked = [Decimal(deal.closed.gross).scaleb(-2) for deal in book.deals if deal.closed is not None]
    told = [Decimal(line["gross"]) for line in Audit.of(world.log).results()]
    assert len(world.events(FOLLOWER, StopOutSeen)) == 1
    assert verify(world.log.read_all()).is_identical
    world.stepper.kill()
    return booked, told


def _opened_after(*kinds: type, netted: bool) -> tuple[int, int]:
    """Let the broker take a half of a copy while nobody looks, and refuse the first question of some kinds: how often
    the stop-out was seen, and how many positions the follower holds once its leader has opened another, ten seconds on.
    """
    world, terminal = a_pair(Habits(), follower=("South", netted))
    terminal.trade("EURUSD", BUY, VOLUME)
    world.run(10)
    world.kill()
    broker = world.broker
    (copy,) = broker.floor.books[FOLLOWER].positions.values()
    broker.floor.stop_out(broker.floor.books[FOLLOWER], copy, VOLUME // 2)
    world.lines.collect()
    world.run(1)
    left, take = set(kinds), broker._take

    def refuse(line: Any, asked: Any, name: str) -> None:
        if type(asked) in left and asked.ctidTraderAccountId == FOLLOWER:
            left.remove(type(asked))
            raise No("SOMETHING_NEW", "A code that nobody has met")
        take(line, asked, name)

    broker._take = refuse
    world.start()
    world.run(10)
    terminal.trade("XAUUSD", BUY, 1_200)
    world.run(10)
    seen = len(world.events(FOLLOWER, StopOutSeen))
    assert left == set()
    assert verify(world.log.read_all()).is_identical
    world.stepper.kill()
    return seen, len(broker.floor.books[FOLLOWER].positions)


@pytest.mark.parametrize("netted", [False, True])
def test_a_stop_out_of_which_questions_were_refused_locks_a_few_seconds_later(
    monkeypatch: pytest.MonkeyPatch, *, netted: bool
) -> None:
    """Its deal without its order, or its order without its deal: what is lacking is asked for afterwards, and again
    after five seconds, not at the look of once a minute."""
    orders = (wire.ProtoOAOrderListReq, wire.ProtoOAOrderListByPositionIdReq)
    assert _opened_after(*orders, netted=netted) == (1, 1)
    assert _opened_after(wire.ProtoOADealListReq, netted=netted) == (1, 1)
    monkeypatch.setattr(afterwards, "STOP_OUTS_BY_ORDERS", 99)
    assert _opened_after(wire.ProtoOAOrderListReq, netted=netted)[0] == 0


def test_a_life_of_many_pages_is_read_to_its_end() -> None:
    """Only the newest page of what a net had lost was read: totals lacked all before it, and called the sum whole."""
    booked, told = _told_of_parts(page=2)
    assert len(booked) == 4
    assert told == booked
    booked, told = _told_of_parts(page=2, refused=1)
    assert told == booked
    booked, told = _told_of_parts(page=2, refused=9)  # a broker that tells no older ones
    assert told[-2:] == booked[-2:]
    assert len(told) < 4
