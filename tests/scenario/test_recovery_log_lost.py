"""The log is gone and the brokers are not: copies come back by their labels, none opens twice, closes are followed."""

from __future__ import annotations

from pathlib import Path

import pytest

from cmam.config.identity import StoreName
from cmam.domain.events import ChangeDecided, CopyRebuilt, IntentRecorded
from cmam.domain.values.ids import PositionId, position_source
from cmam.domain.values.naming import label_of, read_label
from cmam.office import StoreWriter
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.sandbox.switches import Switches
from cmam.store.past.replay import verify
from tests.person import LEADER
from tests.whole import NETTED, SAME_BROKER, FaultyLog, Whole

LOT = 10_000_000


def lose_log(whole: Whole, folder: Path, settings: dict[str, str] | None = None) -> None:
    """Stop, delete the log alone, and set everything up again in the same home."""
    identity = StoreName(folder)
    identity.keep(whole.folded().registry.store)
    whole.kill()
    whole.log = FaultyLog.in_memory()
    whole.writer = StoreWriter(whole.log, whole.stepper.clock, identity)
    accounts, whole.accounts = whole.accounts, ()
    whole.add_accounts(*accounts)
    whole.add_profile("whole", whole.leader, whole.followers, settings)


def _believed(whole: Whole, account: int = SAME_BROKER) -> dict[int, tuple[str, int]]:
    view = whole.view(account)
    assert view is not None
    return {copy.position: (copy.source, copy.volume) for copy in view.copies.values() if copy.position is not None}


def test_copies_come_back_by_their_labels_and_follow_their_leader(tmp_path: Path) -> None:
    """Levels, partial and full closes are followed again; nothing is opened for what is held already."""
    whole = Whole(seed=1)
    whole.start_ready()
    first, second, third = (whole.person.buy(n * LOT, relativeStopLoss=40_000) for n in (1, 2, 4))
    whole.run(5)
    held = {p.volume: p for p in whole.person.holds(SAME_BROKER)}
    whole.kill()
    whole.person.close(first, LOT)
    lose_log(whole, tmp_path)
    whole.start_ready()
    whole.run(5)
    assert sorted(p.volume for p in whole.person.holds(SAME_BROKER)) == [2 * LOT, 4 * LOT]
    assert set(_believed(whole)) == {held[2 * LOT].position, held[4 * LOT].position}
    whole.person.close(third, LOT)
    whole.person.amend(second, stop=1.0)
    whole.run(5)
    now = {p.position: p for p in whole.person.holds(SAME_BROKER)}
    assert now[held[4 * LOT].position].volume == 3 * LOT
    assert now[held[2 * LOT].position].stop == pytest.approx(1.0, abs=0.01)
    whole.person.close(second, 2 * LOT)
    whole.person.close(third, 3 * LOT)
    fresh = whole.person.buy(LOT)
    whole.run(5)
    (left,) = whole.person.holds(SAME_BROKER)
    mark = read_label(left.label)
    assert mark is not None
    assert int(mark.source[1:], 36) == fresh
    assert len(whole.events(SAME_BROKER, CopyRebuilt)) == 3
    assert verify(whole.log.read_all()).is_identical
    assert whole.stepper.failures == []


def test_what_the_leader_reduced_while_the_log_was_lost_is_reduced(tmp_path: Path) -> None:
    """The first volumes of both tell what the copy should have come to; what was never reduced stays as it is."""
    whole = Whole(seed=9, settings={"volume.amount": "0.333"})
    whole.start_ready()
    first, second = whole.person.buy(3 * LOT), whole.person.buy(2 * LOT)
    whole.run(3)
    before = sorted(p.volume for p in whole.person.holds(SAME_BROKER))
    whole.kill()
    whole.person.close(first, LOT)
    whole.run(1)
    lose_log(whole, tmp_path, {"volume.amount": "0.333"})
    whole.start_ready()
    whole.run(5)
    small, large = sorted(p.volume for p in whole.person.holds(SAME_BROKER))
    assert small == before[0]
    assert abs(large - before[1] * 2 // 3) <= 200_000
    whole.person.close(second, 2 * LOT)
    whole.person.close(first, 2 * LOT)
    whole.run(5)
    assert whole.person.holds(SAME_BROKER) == []
    assert verify(whole.log.read_all()).is_identical


def test_names_of_requests_are_never_given_twice(tmp_path: Path) -> None:
    """An add after the loss carries another number than any request before it."""
    whole = Whole(seed=2, leader=NETTED, followers=(SAME_BROKER,))
    whole.start_ready()
    whole.person.buy(2 * LOT, account=NETTED, symbol=7001)
    whole.run(3)
    before = {event.intent for event in whole.events(SAME_BROKER, IntentRecorded)}
    assert before
    lose_log(whole, tmp_path)
    whole.start_ready()
    whole.run(2)
    whole.person.buy(2 * LOT, account=NETTED, symbol=7001)
    whole.run(3)
    (held,) = whole.person.holds(SAME_BROKER)
    assert held.volume == 4 * LOT
    after = {event.intent for event in whole.events(SAME_BROKER, IntentRecorded)}
    assert after
    assert not before & after


def test_what_was_closed_by_hand_before_is_not_opened_again(tmp_path: Path) -> None:
    """Even with `sync_open` a source whose copy is in the broker's history is not copied a second time."""
    settings = {"sync_open": "on", "sync_max_age": "10m"}
    whole = Whole(seed=3, settings=settings)
    whole.start_ready()
    whole.person.buy(LOT)
    whole.person.buy(2 * LOT)
    whole.run(3)
    (one,) = (p for p in whole.person.holds(SAME_BROKER) if p.volume == LOT)
    whole.person.close(one.position, LOT, account=SAME_BROKER)
    whole.run(3)
    lose_log(whole, tmp_path, settings)
    whole.start_ready()
    whole.run(20)
    assert [p.volume for p in whole.person.holds(SAME_BROKER)] == [2 * LOT]
    assert not [e for e in whole.events(SAME_BROKER, ChangeDecided) if e.verdict == "copy"]
    assert verify(whole.log.read_all()).is_identical


def test_an_open_on_its_way_when_the_log_was_lost_is_found_and_not_doubled(tmp_path: Path) -> None:
    """What arrives after the loss carries its label: it is taken in, also where `sync_open` wants the same trade."""
    settings = {"sync_open": "on", "sync_max_age": "10m"}
    whole = Whole(seed=4, settings=settings, switches=Switches(history_days=0, fill_delay_ms=3_000))
    whole.start_ready()
    whole.person.buy(LOT)
    whole.run(4)
    assert whole.person.holds(LEADER)
    assert whole.events(SAME_BROKER, IntentRecorded)
    assert not whole.person.holds(SAME_BROKER)
    lose_log(whole, tmp_path, settings)
    whole.start_ready()
    whole.run(30)
    assert [p.volume for p in whole.person.holds(SAME_BROKER)] == [LOT]


def test_copied_orders_come_back_too(tmp_path: Path) -> None:
    """A resting copy is cancelled when its leader cancels, one whose order is gone is cancelled at once."""
    whole = Whole(seed=5)
    whole.start_ready()
    stays = whole.person.place(model.LIMIT, LOT, price=0.9)
    gone = whole.person.place(model.LIMIT, 2 * LOT, price=0.91)
    fills = whole.person.place(model.LIMIT, 3 * LOT, price=0.92)
    whole.run(3)
    assert len(whole.person.rests(SAME_BROKER)) == 3
    whole.kill()
    whole.person.cancel(gone)
    lose_log(whole, tmp_path)
    whole.start_ready()
    whole.run(5)
    assert sorted(o.tradeData.volume for o in whole.person.rests(SAME_BROKER)) == [LOT, 3 * LOT]
    whole.person.cancel(stays)
    whole.person.cancel(fills)
    whole.run(5)
    assert whole.person.rests(SAME_BROKER) == []
    assert verify(whole.log.read_all()).is_identical
    assert whole.stepper.failures == []


def test_shares_of_a_net_come_back_by_the_orders_that_built_it(tmp_path: Path) -> None:
    """On a netted follower each source gets its share again, and each leader's close takes out just that."""
    whole = Whole(seed=6, followers=(NETTED,))
    whole.start_ready()
    first = whole.person.buy(LOT)
    whole.run(2)
    second = whole.person.buy(3 * LOT)
    whole.run(3)
    (net,) = whole.person.holds(NETTED)
    assert net.volume == 4 * LOT
    lose_log(whole, tmp_path)
    whole.start_ready()
    whole.run(3)
    view = whole.view(NETTED)
    assert view is not None
    assert sorted(copy.volume for copy in view.copies.values()) == [LOT, 3 * LOT]
    whole.person.close(second, 3 * LOT)
    whole.run(3)
    assert [p.volume for p in whole.person.holds(NETTED)] == [LOT]
    whole.person.close(first, LOT)
    whole.run(3)
    assert whole.person.holds(NETTED) == []
    assert verify(whole.log.read_all()).is_identical


def test_an_order_that_the_broker_shows_only_later_is_waited_for(tmp_path: Path) -> None:
    """For as long as an order may be under way nothing is opened for what the leader holds already."""
    settings = {"sync_open": "on", "sync_max_age": "10m"}
    whole = Whole(seed=7, followers=(SAME_BROKER,), settings=settings)
    source = whole.person.buy(LOT)
    whole.run(1)
    (link,) = whole.folded().registry.links()
    lose_log(whole, tmp_path, settings)
    whole.start_ready()
    whole.run(4)
    assert whole.person.holds(SAME_BROKER) == []
    label = label_of(link.store, link.link, position_source(PositionId(source)))
    whole.person.buy(LOT, account=SAME_BROKER, label=label, clientOrderId=f"{label}.1")
    whole.run(30)
    (held,) = whole.person.holds(SAME_BROKER)
    assert held.label == label
    whole.person.buy(2 * LOT)
    whole.person.close(source, LOT)
    whole.run(5)
    assert [p.volume for p in whole.person.holds(SAME_BROKER)] == [2 * LOT]


def test_what_arrives_after_it_was_given_up_is_managed_all_the_same() -> None:
    """An open that counted as absent and filled later is seen within a minute, and closed with its source."""
    whole = Whole(seed=8)
    whole.start_ready()
    source = whole.person.buy(LOT)
    whole.run(3)
    (held,) = whole.person.holds(SAME_BROKER)
    whole.person.close(held.position, LOT, account=SAME_BROKER)
    other = whole.person.buy(2 * LOT, label="by hand")
    whole.run(3)
    (link,) = whole.folded().registry.links()
    whole.command({"command": "pause", "profile": "whole"})
    given_up = whole.person.buy(3 * LOT)
    whole.run(3)
    label = label_of(link.store, link.link, position_source(PositionId(given_up)))
    whole.person.buy(3 * LOT, account=SAME_BROKER, label=label)
    ended = label_of(link.store, link.link, position_source(PositionId(source)))
    whole.person.buy(LOT, account=SAME_BROKER, label=ended)
    whole.run(70)
    assert sorted(p.volume for p in whole.person.holds(SAME_BROKER)) == [2 * LOT, 3 * LOT]
    whole.person.close(given_up, 3 * LOT)
    whole.person.close(other, 2 * LOT)
    whole.run(5)
    assert whole.person.holds(SAME_BROKER) == []
    assert verify(whole.log.read_all()).is_identical
