"""Links that come and go while the leader trades: each change meets one decision of each link that was enabled."""

from __future__ import annotations

from typing import Any

import pytest

from cmam.domain.events import ChangeDecided, ExecutionSeen
from cmam.office import StoreWriter
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.store.past.replay import verify
from tests.person import LEADER
from tests.whole import ALPHA_TOO, SAME_BROKER, Whole, known

LOT = 10_000_000


@pytest.mark.parametrize("seed", range(12))
def test_a_link_enabled_in_the_middle_of_a_burst_misses_nothing(seed: int) -> None:
    """What the leader does while a joining follower is told the past is told as well, each change once."""
    whole = Whole(seed=seed)
    whole.start_ready()
    whole.command({"command": "profile.disable", "profile": "whole"})
    whole.run(1)
    for _ in range(3):
        whole.person.buy(LOT)
    whole.run(0.1301)
    whole.stepper.clock.advance_to(whole.stepper.clock.now() + 100)
    whole.stepper.network.tick()
    assert whole.system is not None
    whole.system.handle({"command": "profile.enable", "profile": "whole"}, lambda _: None)
    whole.run(5)
    (link,) = whole.folded().registry.links()
    fills = [
        recorded.version
        for recorded in whole.log.read_stream(f"account:{LEADER}")
        if isinstance(recorded.event, ExecutionSeen) and recorded.event.deal is not None
    ]
    decided = [e for e in whole.events(SAME_BROKER, ChangeDecided) if e.change.kind == "opened"]
    assert [e.cause_version for e in decided] == [version for version in fills if version > link.since]
    assert len(whole.person.holds(SAME_BROKER)) == len(decided)


@pytest.mark.parametrize("seed", range(3))
def test_an_account_and_a_profile_added_while_the_leader_trades_begin_at_once(seed: int) -> None:
    """A new account is connected, its new link copies what comes after it, and what was there before stays alone."""
    whole = Whole(seed=seed)
    whole.start_ready()
    whole.person.buy(LOT)
    whole.run(1)
    assert whole.command({"command": "account.add", "accounts": [known(whole.broker, ALPHA_TOO)]})["ok"]
    whole.person.buy(2 * LOT)
    created = {"name": "late", "leader": str(LEADER), "followers": [str(ALPHA_TOO)]}
    assert whole.command({"command": "profile.create", **created, "settings": {"volume.basis": "units"}})["ok"]
    whole.run(3)
    whole.person.buy(3 * LOT)
    whole.run(3)
    assert [held.volume for held in whole.person.holds(SAME_BROKER)] == [LOT, 2 * LOT, 3 * LOT]
    assert 3 * LOT in [held.volume for held in whole.person.holds(ALPHA_TOO)]
    assert LOT not in [held.volume for held in whole.person.holds(ALPHA_TOO)]
    assert verify(whole.log.read_all()).is_identical
    assert whole.stepper.failures == []


@pytest.mark.parametrize("command", ["pause", "profile.disable"])
def test_a_link_that_stops_in_the_middle_of_a_burst_decides_each_change_once(command: str) -> None:
    """A pause skips what comes after it with a reason; a link that ended decides nothing more; nothing is doubled."""
    for seed in range(6):
        whole = Whole(seed=seed)
        whole.start_ready()
        for _ in range(4):
            whole.person.buy(LOT)
        whole.run(0.13)
        assert whole.system is not None
        request = {"command": command, "profile": "whole", "copies": "leave"}
        whole.system.handle(request, lambda _: None)
        whole.run(3)
        decided = [e for e in whole.events(SAME_BROKER, ChangeDecided) if e.change.kind == "opened"]
        copied = [e for e in decided if e.verdict == "copy"]
        assert len({e.change.key for e in decided}) == len(decided)
        assert len(whole.person.holds(SAME_BROKER)) == len(copied)
        assert command != "pause" or len(decided) == 4


@pytest.mark.parametrize("copies", ["close", ""])
def test_nothing_stays_without_a_leader_that_opens_as_its_profile_ends(copies: str) -> None:
    """The command finds nothing live, whatever turn it comes between; what was decided before its account knew is
    closed all the same. Where it finds a copy and no word about it, it is refused."""
    for turns in range(6, 16):
        whole = Whole(seed=1)
        whole.start_ready()
        whole.person.buy(LOT)
        stepper = whole.stepper
        for _ in range(turns):
            while not stepper.step():
                stepper.clock.advance_to(max(stepper.next_moment() or 0, stepper.clock.now() + 1))
                stepper.network.tick()
        answers: list[dict[str, Any]] = []
        assert whole.system is not None
        whole.system.handle({"command": "profile.disable", "profile": "whole", "copies": copies}, answers.append)
        whole.run(3)
        (answer,) = answers
        assert bool(whole.person.holds(SAME_BROKER)) is not answer["ok"]


def test_what_a_deleted_profile_has_left_is_not_bought_again_by_the_next_one() -> None:
    """Deleted with its copies left, made anew with `sync_open`: what the leader holds is held already."""
    whole = Whole(seed=1)
    whole.start_ready()
    whole.person.buy(LOT)
    whole.run(2)
    assert whole.command({"command": "profile.delete", "profile": "whole", "copies": "leave"})["ok"]
    created = {"name": "whole", "leader": str(LEADER), "followers": [str(SAME_BROKER)]}
    settings = {"volume.basis": "units", "sync_open": "on"}
    assert whole.command({"command": "profile.create", **created, "settings": settings})["ok"]
    whole.run(5)
    assert len(whole.person.holds(SAME_BROKER)) == 1
    whole.person.buy(2 * LOT)
    whole.run(5)
    assert [held.volume for held in whole.person.holds(SAME_BROKER)] == [LOT, 2 * LOT]
    assert verify(whole.log.read_all()).is_identical


def test_a_copy_heeds_what_its_link_is_set_to_at_any_time() -> None:
    """Set while the system runs, or while none does: a person's stop counts from then on."""
    whole = Whole(seed=1, settings={"human_levels": "leader"})
    whole.start_ready()
    whole.person.buy(LOT, relativeStopLoss=2_000)
    whole.run(3)
    (held,) = whole.person.holds(SAME_BROKER)
    change = {"command": "profile.set", "profile": "whole", "settings": {"human_levels": "pin"}}
    assert whole.command(change)["ok"]
    whole.person.amend(held.position, account=SAME_BROKER, stop=1.07)
    whole.run(5)
    assert whole.person.holds(SAME_BROKER)[0].stop == 1.07
    assert whole.command({**change, "settings": {"human_levels": "leader"}})["ok"]
    whole.person.buy(LOT, relativeStopLoss=2_000)
    whole.run(3)
    whole.kill()
    StoreWriter(whole.log, whole.stepper.clock, new_id=whole._new_id).carry_out(change)
    whole.log.refresh()
    whole.start_ready()
    whole.run(1)
    later = whole.person.holds(SAME_BROKER)[1]
    whole.person.amend(later.position, account=SAME_BROKER, stop=1.071)
    whole.run(5)
    assert whole.person.holds(SAME_BROKER)[1].stop == 1.071
    assert verify(whole.log.read_all()).is_identical


@pytest.mark.parametrize("begins", ["profile.enable", "kill"])
def test_an_order_that_was_kept_follows_what_its_leader_made_of_his_meanwhile(begins: str) -> None:
    """Its profile was off with its orders kept: it rested where his had been, and would have filled there alone."""
    whole = Whole(seed=1)
    whole.start_ready()
    order = whole.person.place(model.LIMIT, LOT, price=1.05)
    whole.run(2)
    end = {"command": "profile.disable", "profile": "whole", "copies": "leave", "keep_pendings": True}
    assert whole.command(end)["ok"]
    whole.person.amend_order(order, limitPrice=1.04, volume=LOT // 2)
    whole.run(2)
    if begins == "kill":
        whole.kill()
        StoreWriter(whole.log, whole.stepper.clock, new_id=whole._new_id).carry_out(
            {**end, "command": "profile.enable"}
        )
        whole.log.refresh()
        whole.start_ready()
    else:
        assert whole.command({"command": "profile.enable", "profile": "whole"})["ok"]
    whole.run(10)
    (rests,) = whole.person.rests(SAME_BROKER)
    assert (rests.limitPrice, rests.tradeData.volume) == (1.04, LOT // 2)
    decided = len(whole.events(SAME_BROKER, ChangeDecided))
    whole.stepper.network.cut_all()
    whole.run(30)
    assert len(whole.events(SAME_BROKER, ChangeDecided)) == decided
    assert verify(whole.log.read_all()).is_identical
