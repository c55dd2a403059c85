"""A broker changes what it says of a symbol while nobody listens: cmam is down, or the line is cut."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.actors import messages as m
from cmam.actors.accounts.account import AccountActor
from cmam.actors.asking.preparation import Kind
from cmam.domain.belief import limits
from cmam.domain.events import ChangeDecided
from cmam.domain.values.reasons import Reason
from cmam.store.past.replay import verify
from tests.person import LEADER
from tests.rulebook import LEAD, UNIT, Case, Rulebook
from tests.whole import SAME_BROKER, Whole
from tests.worlds import crowded

LOT = 10_000_000


@pytest.mark.parametrize("gap", ["restart", "cut"])
def test_a_symbol_that_changed_out_of_sight_is_met_as_it_is_now(gap: str) -> None:
    """No event comes twice: what was read before the gap is read again, and opens wait for a person's word."""
    whole = Whole(seed=1)
    whole.start_ready()
    whole.person.buy(LOT)
    whole.run(2)
    assert len(whole.person.holds(SAME_BROKER)) == 1
    if gap == "restart":
        whole.kill()
    else:
        whole.stepper.network.cut_all()
    whole.broker.set_fault("symbol", {"broker": "Alpha Markets", "symbol": "EURUSD", "set": "step_volume=1000000"})
    if gap == "restart":
        whole.start_ready()
    whole.run(30)
    whole.person.buy(LOT)
    whole.run(2)
    last = whole.events(SAME_BROKER, ChangeDecided)[-1]
    assert (last.reason, len(whole.person.holds(SAME_BROKER))) == (Reason.SYMBOL_CHANGED, 1)


def test_a_symbol_that_changes_while_the_books_are_compared_is_read_afterwards() -> None:
    """The word of it comes in the middle of the look of once a minute: it is not lost for that."""
    whole = Whole(seed=1)
    whole.start_ready()
    whole.person.buy(LOT)
    whole.run(2)
    account = whole.stepper.directory.actor(m.account_name(SAME_BROKER))
    assert isinstance(account, AccountActor)
    account._questions.prepare(Kind.REFRESH)
    whole.broker.set_fault("symbol", {"broker": "Alpha Markets", "symbol": "EURUSD", "set": "step_volume=1000000"})
    whole.run(5)
    whole.person.buy(LOT)
    whole.run(2)
    assert whole.events(SAME_BROKER, ChangeDecided)[-1].reason is Reason.SYMBOL_CHANGED


def test_a_change_of_one_symbol_lets_no_open_in_another_wait() -> None:
    """The account looks at everything once more: what was known on this line is known still, its worth too."""
    whole = Whole(seed=1)
    whole.start_ready()
    whole.run(5)
    whole.broker.set_fault("error", {"type": "2121", "code": "BLOCKED_PAYLOAD_TYPE", "account": str(SAME_BROKER)})
    whole.broker.set_fault("symbol", {"broker": "Alpha Markets", "symbol": "GBPUSD", "set": "step_volume=1000000"})
    whole.stepper.network.collect()
    whole.person.buy(LOT)
    whole.run(2)
    assert [(told.wait, told.inputs.reading) for told in whole.events(SAME_BROKER, ChangeDecided)] == [(None, False)]
    assert len(whole.person.holds(SAME_BROKER)) == 1


@pytest.mark.parametrize("gap", ["none", "restart"])
def test_a_leaders_lot_that_changes_stops_who_counts_in_lots_until_it_is_confirmed(gap: str) -> None:
    """His broker makes ten small lots of one: his next ten are as much as one was, and would be ten at a follower."""
    lots = {"volume.lots_confirmed": "EURUSD"}
    formula = {"volume.mode": "formula", "volume.formula": "leader_lots / 10"}
    cases = [
        Case("lots", "Same", lots),
        Case("mini", "Mini", {**lots, "volume.amount": "0.5"}),  # whose lots his new ones are like
        Case("ratio", "Same", {**lots, "volume.mode": "balance_ratio"}),
        Case("formula", "Same", formula),
        Case("units", "Same", {"volume.basis": "units"}),
        Case("fixed", "Same", {"volume.mode": "fixed", "volume.amount": "0.2"}),
    ]
    book = Rulebook(cases)
    book.begin()
    first = book.person.buy(100_000 * UNIT)
    book.go(2)
    opened = {case.name: book.volumes(case.name) for case in cases}
    assert opened == {
        "lots": [100_000 * UNIT],
        "mini": [4_800 * UNIT],  # half a lot of 10,000, on the step of 300
        "ratio": [50_000 * UNIT],
        "formula": [10_000 * UNIT],
        "units": [100_000 * UNIT],
        "fixed": [20_000 * UNIT],
    }
    if gap == "restart":
        book.kill()
    book.broker.set_fault("symbol", {"broker": "Lead", "symbol": "EURUSD", "set": "lot_size=1000000"})
    if gap == "restart":
        book.begin()
    book.go(3)
    book.person.buy(100_000 * UNIT)  # ten of his lots
    book.go(2)
    counting = ("lots", "mini", "ratio", "formula")
    assert {name: book.reason(name) for name in counting} == dict.fromkeys(counting, "symbol_changed")
    assert [len(book.volumes(name)) for name in (*counting, "units", "fixed")] == [1, 1, 1, 1, 2, 2]
    leader = book.view(LEAD)
    assert leader is not None
    assert leader.alerts[limits.SYMBOLS].endswith(f"until `cmam account confirm-symbol {LEAD} EURUSD`.")
    book.person.close(first, 50_000 * UNIT)  # what is open is followed all the same
    book.go(2)
    assert [book.volumes(name)[0] for name in counting] == [
        volumes // 2 // step * step
        for volumes, step in ((10_000_000, 100_000), (480_000, 30_000), (5_000_000, 100_000), (1_000_000, 100_000))
    ]
    book.command({"command": "symbol.confirm", "account": str(LEAD), "symbol": "EURUSD"})
    book.person.buy(10_000 * UNIT)
    book.go(2)
    # of the ratio's balance commission is gone: 49,99x USD before 100,000 and more
    assert [book.volumes(name)[-1] // UNIT for name in counting] == [100_000, 4_800, 49_000, 10_000]
    leader = book.view(LEAD)
    assert leader is not None
    assert limits.SYMBOLS not in leader.alerts
    assert verify(book.log.read_all()).is_identical
    assert book.stepper.failures == []


@pytest.mark.parametrize("fault", ["error", "drop"])
@pytest.mark.parametrize("kind", [2124, 2133])
def test_a_look_that_is_not_answered_holds_back_nothing_of_a_leader(fault: str, kind: int) -> None:
    """A symbol changes, and the broker does not tell what the account holds, or what it dealt: all that is reported
    meanwhile waits for that look, and a close must not."""
    whole = Whole(seed=1)
    whole.start_ready()
    position = whole.person.buy(LOT)
    whole.run(5)
    code = {"code": "BLOCKED_PAYLOAD_TYPE", "retry_after": "300"} if fault == "error" else {}
    whole.broker.set_fault(fault, {"type": str(kind), "account": str(LEADER), **code})
    whole.broker.set_fault("symbol", {"broker": "Alpha Markets", "symbol": "GBPUSD", "set": "step_volume=1000000"})
    whole.run(1)
    whole.person.close(position, LOT)
    whole.run(2.5)
    assert whole.person.holds(SAME_BROKER) == []
    whole.broker.clear_fault(fault)
    whole.run(90)
    assert verify(whole.log.read_all()).is_identical
    assert whole.stepper.failures == []


def test_a_leader_is_looked_at_before_his_crowd_where_a_symbol_changes() -> None:
    """The broker tells everybody at once, and each asks for everything again. What the leader does is kept back until
    he has been looked at, so his questions go first, and his close costs no more than the closes themselves."""
    followers = tuple(range(42_000_000, 42_000_040))
    whole = Whole(seed=2, followers=followers, world=crowded(followers))
    whole.settings = replace(whole.settings, api=replace(whole.settings.api, max_requests=20))
    whole.start_ready()
    position = whole.person.buy(LOT)
    whole.run(20)
    whole.broker.set_fault("symbol", {"broker": "Alpha Markets", "symbol": "GBPUSD", "set": "step_volume=1000000"})
    whole.stepper.network.collect()
    whole.run(0.1)
    books = [whole.broker.floor.accounts[follower].positions for follower in followers]
    assert all(books)
    whole.person.close(position, LOT)
    whole.run(3.2)
    assert not any(books)
    assert whole.stepper.failures == []
