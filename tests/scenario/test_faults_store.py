"""A store that takes nothing, loses its answers, or is written by somebody else, in the middle of trading."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from cmam.domain.events import AlertRaised, ChangeDecided, IntentDropped, IntentRecorded
from cmam.domain.values.ids import AccountId
from cmam.openapi import catalogue
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.store.past.replay import verify
from cmam.store.records.envelope import Pending
from tests.whole import ALPHA_TOO, NETTED, SAME_BROKER, Whole

LOT = 10_000_000
RECONCILE = 2124


def _ready(seed: int, **more: Any) -> Whole:
    whole = Whole(seed=seed, **more)
    whole.start_ready()
    return whole


def _asked(whole: Whole, payload_type: int) -> int:
    """How many requests of a type the broker has had from cmam, over all its connections."""
    connections: Any = whole.broker.stats()["connections"]
    return sum(
        connection["requests_by_type"].get(str(payload_type), 0)
        for connection in connections
        if connection["connection"] < 900_000
    )


def _assert_sound(whole: Whole) -> None:
    labels = Counter(held.label for held in whole.person.holds(SAME_BROKER))
    assert all(count == 1 for count in labels.values()), labels
    assert verify(whole.log.read_all()).is_identical
    assert whole.stepper.failures == []


@pytest.mark.parametrize("seed", range(3))
def test_no_open_leaves_while_the_store_takes_nothing(seed: int) -> None:
    """An open waits for its record; once the store is back in time it leaves, once."""
    whole = _ready(seed)
    whole.log.is_down = True
    whole.person.buy(LOT)
    whole.run(10)
    assert _asked(whole, catalogue.NEW_ORDER) == 0
    whole.log.is_down = False
    whole.run(5)
    assert len(whole.person.holds(SAME_BROKER)) == 1
    assert _asked(whole, catalogue.NEW_ORDER) == 1
    _assert_sound(whole)


@pytest.mark.parametrize("seed", range(3))
def test_an_open_whose_record_comes_too_late_is_not_sent(seed: int) -> None:
    """When the store is back only after the age limit, the open is given up, with an outcome on record."""
    whole = _ready(seed)
    whole.log.is_down = True
    whole.person.buy(LOT)
    whole.run(45)
    whole.log.is_down = False
    whole.run(30)
    assert _asked(whole, catalogue.NEW_ORDER) == 0
    assert whole.folded().accounts[SAME_BROKER].intents == {}
    _assert_sound(whole)


@pytest.mark.parametrize("seed", range(3))
def test_opens_that_are_too_late_are_given_up_while_the_store_takes_nothing(seed: int) -> None:
    """They reserve no margin and no memory until the store is back; all of them are on record then."""
    whole = _ready(seed)
    whole.log.is_down = True
    for _ in range(5):
        whole.person.buy(LOT)
        whole.run(1)
    view = whole.view(SAME_BROKER)
    assert view is not None
    assert len(view.intents) == 5
    whole.run(33)
    view = whole.view(SAME_BROKER)
    assert view is not None
    assert (len(view.intents), len(view.copies)) == (0, 0)
    whole.log.is_down = False
    whole.run(5)
    assert _asked(whole, catalogue.NEW_ORDER) == 0
    assert len(whole.events(SAME_BROKER, ChangeDecided)) == 5
    assert len(whole.events(SAME_BROKER, IntentRecorded)) == 5
    _assert_sound(whole)


@pytest.mark.parametrize("seed", range(3))
def test_a_whole_close_leaves_a_second_later_without_its_record(seed: int) -> None:
    """Nothing blocks a close, not even the store: it goes out after one second, once, and its record follows."""
    whole = _ready(seed)
    position = whole.person.buy(LOT)
    whole.run(2)
    whole.log.is_down = True
    whole.person.close(position, LOT)
    whole.run(1.1)
    assert _asked(whole, catalogue.CLOSE_POSITION) == 0
    whole.run(0.5)
    assert whole.person.holds(SAME_BROKER) == []
    whole.run(5)
    whole.log.is_down = False
    whole.run(5)
    assert _asked(whole, catalogue.CLOSE_POSITION) == 1
    _assert_sound(whole)


@pytest.mark.parametrize("seed", range(3))
def test_a_partial_close_waits_for_its_record(seed: int) -> None:
    """A partial close is not covered by the exception: it leaves once it is on record."""
    whole = _ready(seed)
    position = whole.person.buy(2 * LOT)
    whole.run(2)
    whole.log.is_down = True
    whole.person.close(position, LOT)
    whole.run(10)
    assert _asked(whole, catalogue.CLOSE_POSITION) == 0
    whole.log.is_down = False
    whole.run(5)
    assert [held.volume for held in whole.person.holds(SAME_BROKER)] == [LOT]
    assert _asked(whole, catalogue.CLOSE_POSITION) == 1
    _assert_sound(whole)


@pytest.mark.parametrize("seed", range(3))
def test_a_move_of_a_stop_waits_for_its_record(seed: int) -> None:
    """A protective change is not covered by the exception either: a wrong one could not be told from a person's."""
    whole = _ready(seed)
    position = whole.person.buy(LOT)
    whole.run(2)
    whole.log.is_down = True
    whole.person.amend(position, stop=1.0)
    whole.run(10)
    assert _asked(whole, catalogue.AMEND_PROTECTION) == 0
    whole.log.is_down = False
    whole.run(5)
    assert _asked(whole, catalogue.AMEND_PROTECTION) == 1
    _assert_sound(whole)


@pytest.mark.parametrize("seed", range(3))
def test_the_close_of_a_share_leaves_after_the_net_position_was_read(seed: int) -> None:
    """A netted share goes out too, a second later and after a look at the net: once, and its record follows."""
    whole = _ready(seed, followers=(NETTED,))
    first = whole.person.buy(LOT)
    whole.person.buy(2 * LOT)
    whole.run(2)
    assert [held.volume for held in whole.person.holds(NETTED)] == [3 * LOT]
    whole.log.is_down = True
    asked = _asked(whole, RECONCILE)
    whole.person.close(first, LOT)
    whole.run(1)
    assert _asked(whole, catalogue.CLOSE_POSITION) == 0
    whole.run(1)
    assert _asked(whole, RECONCILE) > asked
    assert [held.volume for held in whole.person.holds(NETTED)] == [2 * LOT]
    whole.run(20)
    whole.log.is_down = False
    whole.run(10)
    assert [held.volume for held in whole.person.holds(NETTED)] == [2 * LOT]
    assert _asked(whole, catalogue.CLOSE_POSITION) == 1
    _assert_sound(whole)


@pytest.mark.parametrize("cuts", [1, 3])
def test_a_share_whose_look_is_cut_off_is_closed_without_its_record_all_the_same(cuts: int) -> None:
    """The line is lost while the net is read: on the next one it is read again, once, and the close leaves."""
    whole = _ready(1, followers=(NETTED,))
    position = whole.person.buy(LOT)
    whole.run(20)
    whole.log.is_down = True
    whole.person.close(position, LOT)
    whole.broker.set_fault("cut-before", {"type": str(RECONCILE), "count": str(cuts)})
    whole.run(60)
    assert whole.person.holds(NETTED) == []
    assert _asked(whole, catalogue.CLOSE_POSITION) == 1
    whole.log.is_down = False
    whole.run(20)
    assert whole.person.holds(NETTED) == []
    assert _asked(whole, catalogue.CLOSE_POSITION) == 1
    _assert_sound(whole)


def test_a_share_is_closed_without_its_record_only_once_in_a_process() -> None:
    """A refusal of a share's unrecorded close is not answered by another: the next try waits for the store."""
    whole = _ready(1, followers=(NETTED,))
    position = whole.person.buy(LOT)
    whole.run(2)
    whole.log.is_down = True
    whole.broker.set_fault("reject", {"code": "TRADING_DISABLED", "account": str(NETTED), "count": "1"})
    whole.person.close(position, LOT)
    whole.run(100)
    assert _asked(whole, catalogue.CLOSE_POSITION) == 1
    assert [held.volume for held in whole.person.holds(NETTED)] == [LOT]
    whole.log.is_down = False
    whole.run(100)
    assert whole.person.holds(NETTED) == []
    _assert_sound(whole)


@pytest.mark.parametrize("account", [NETTED, SAME_BROKER])
def test_a_close_whose_record_comes_on_a_line_that_is_down_is_not_called_unsent(account: AccountId) -> None:
    """A close left before its record, and its line was lost; the record comes while there is no line. What became of it
    is unknown, so the broker is asked, and it is not sent again."""
    whole = _ready(1, followers=(account,))
    first = whole.person.buy(LOT)
    whole.person.buy(2 * LOT)
    whole.run(2)
    whole.log.is_down = True
    whole.person.close(first, LOT)
    whole.stepper.run_until(lambda: _asked(whole, catalogue.CLOSE_POSITION) == 1, 3_000_000)
    whole.stepper.network.is_reachable = False
    whole.stepper.network.cut_all()
    whole.log.is_down = False
    whole.run(5)
    whole.stepper.network.is_reachable = True
    whole.run(60)
    assert sum(held.volume for held in whole.person.holds(account)) == 2 * LOT
    assert _asked(whole, catalogue.CLOSE_POSITION) == 1
    facts = [record.event for record in whole.log.read_stream(f"account:{account}")]
    assert [fact for fact in facts if isinstance(fact, IntentDropped)] == []
    _assert_sound(whole)


def test_a_share_that_is_gone_from_the_net_is_not_closed_again() -> None:
    """Where the look shows no position, nothing is sent: a close of what another opened since would be a loss."""
    whole = _ready(2, followers=(NETTED,))
    position = whole.person.buy(LOT)
    whole.run(2)
    (held,) = whole.person.holds(NETTED)
    whole.log.is_down = True
    whole.person.close(position, LOT)
    whole.run(0.5)
    whole.person.close(held.position, LOT, account=NETTED)
    whole.run(5)
    assert _asked(whole, catalogue.CLOSE_POSITION) == 0
    whole.log.is_down = False
    whole.run(10)
    assert whole.person.holds(NETTED) == []
    _assert_sound(whole)


@pytest.mark.parametrize("seed", range(2))
def test_a_whole_close_is_repeated_until_the_position_is_gone(seed: int) -> None:
    """A refusal does not end a close while the store is down: it is sent again, at the volume last seen."""
    whole = _ready(seed)
    position = whole.person.buy(LOT)
    whole.run(2)
    whole.log.is_down = True
    whole.broker.set_fault("reject", {"code": "TRADING_DISABLED", "account": str(SAME_BROKER), "count": "2"})
    whole.person.close(position, LOT)
    whole.run(300)
    assert _asked(whole, catalogue.CLOSE_POSITION) == 3
    assert whole.person.holds(SAME_BROKER) == []
    whole.log.is_down = False
    whole.run(10)
    _assert_sound(whole)


@pytest.mark.parametrize("seed", range(3))
def test_a_lost_answer_of_the_store_doubles_nothing(seed: int) -> None:
    """What was written although the answer was lost is recognised at the next try, and handed on once."""
    whole = _ready(seed)
    whole.log.loses_answers = 3
    whole.person.buy(LOT)
    whole.run(5)
    assert _asked(whole, catalogue.NEW_ORDER) == 1
    _assert_sound(whole)


@pytest.mark.parametrize("seed", range(4))
def test_an_account_that_dies_while_the_store_is_down_sends_nothing_twice(seed: int) -> None:
    """A request that still waits for the store is not looked up, found absent and recorded again beside itself."""
    whole = _ready(seed, settings={"max_age": "120"})
    whole.log.is_down = True
    whole.person.buy(LOT)
    whole.run(1)
    whole.stepper.doom(f"account:{SAME_BROKER}", 0, 0)
    whole.run(50)
    whole.log.is_down = False
    whole.run(60)
    _assert_sound(whole)
    assert len(whole.person.holds(SAME_BROKER)) == 1
    assert _asked(whole, catalogue.NEW_ORDER) == 1


def test_a_kill_while_the_store_is_down_loses_only_what_was_never_sent() -> None:
    """What was not on disk was not sent either: after the crash the leader's trade is found and decided."""
    whole = _ready(5)
    whole.log.is_down = True
    whole.person.buy(LOT)
    whole.run(3)
    whole.kill()
    whole.log.is_down = False
    whole.start_ready()
    whole.run(5)
    assert len(whole.person.holds(SAME_BROKER)) == 1
    _assert_sound(whole)


@pytest.mark.parametrize("seed", range(4))
def test_who_loses_against_a_second_writer_sends_nothing(seed: int) -> None:
    """An account whose next place in the record is taken stops at once, loudly; the others go on."""
    whole = _ready(seed, followers=(SAME_BROKER, ALPHA_TOO))
    stream = f"account:{SAME_BROKER}"
    stolen = Pending(stream, whole.log.head(stream).version + 1, 1, AlertRaised(kind="thief", text="took the place"))
    whole.log.append([stolen])
    for _ in range(3):
        whole.person.buy(LOT)
    whole.run(10)
    assert whole.person.holds(SAME_BROKER) == []
    assert len(whole.person.holds(ALPHA_TOO)) == 3
    status = whole.command({"command": "status"})
    (shown,) = [account for account in status["accounts"] if account["ctid"] == SAME_BROKER]
    assert shown["health"] == "refused", shown
    assert whole.stepper.failures == []


def test_a_store_that_cannot_even_be_read_stops_nobody() -> None:
    """A link that joins while the file cannot be read is told the past once it can: no actor dies of it."""
    whole = _ready(6)
    whole.command({"command": "profile.disable", "profile": "whole"})
    whole.run(1)
    whole.log.is_down = whole.log.is_unreadable = True
    assert whole.system is not None
    whole.system.handle({"command": "profile.enable", "profile": "whole"}, lambda _: None)
    whole.person.buy(LOT)
    whole.run(3)
    whole.log.is_down = whole.log.is_unreadable = False
    whole.run(10)
    assert whole.stepper.failures == []
    assert len([e for e in whole.events(SAME_BROKER, ChangeDecided) if e.change.kind == "opened"]) == 1
    assert len(whole.person.holds(SAME_BROKER)) == 1


def test_a_cancel_leaves_a_second_later_without_its_record() -> None:
    """The cancel of a copied pending order is covered by the exception as well."""
    whole = _ready(7)
    order = whole.person.place(model.LIMIT, LOT, price=1.05)
    whole.run(3)
    assert len(whole.person.rests(SAME_BROKER)) == 1
    whole.log.is_down = True
    whole.person.cancel(order)
    whole.run(2)
    assert whole.person.rests(SAME_BROKER) == []
    whole.log.is_down = False
    whole.run(5)
    assert _asked(whole, catalogue.CANCEL_ORDER) == 1
    assert [e.command.kind for e in whole.events(SAME_BROKER, IntentRecorded)] == ["place", "cancel"]
    _assert_sound(whole)
