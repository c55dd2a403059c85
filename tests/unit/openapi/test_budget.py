"""The request budget, case by case. Its laws stand in tests/property/openapi/test_budget_laws.py."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from cmam.openapi import catalogue
from cmam.openapi.budget import Budget
from cmam.openapi.lanes import Item, Lane, lane_of
from cmam.openapi.window import GUARD_US_MAX, GUARD_US_MIN, MARGIN_US, SAMPLES_MIN, STALLED_US, UNPROVEN_US, Guard

SECOND = 1_000_000
MS = 1_000
RECONCILE = catalogue.type_of(catalogue.MESSAGES[2124])
DEALS = catalogue.type_of(catalogue.MESSAGES[2133])


def an_item(name: str, payload_type: int = catalogue.NEW_ORDER, **fields: Any) -> Item:
    """An item in the lane of its payload type."""
    return Item(**{"name": name, "payload_type": payload_type, "lane": lane_of(payload_type), "account": 1, **fields})


def a_budget(limit: int = 50) -> Budget:
    """A budget on a line that does not vary, so that its guard is the smallest."""
    budget = Budget(limit)
    for _ in range(SAMPLES_MIN):
        budget.measured(1)
    return budget


def names(budget: Budget, now: int) -> list[str]:
    """What leaves now, by name, on a line that carries it and brings the answers in no time."""
    leaving, _ = budget.take(now)
    budget.wrote(now, len(leaving))
    budget.proved(sys.maxsize, now)
    return [item.name for item in leaving]


def test_closes_leave_before_everything_that_came_earlier() -> None:
    """The lanes in their order: session, close, protect, cancel, open, question."""
    budget = a_budget()
    kinds = [RECONCILE, catalogue.NEW_ORDER, catalogue.CANCEL_ORDER, catalogue.AMEND_PROTECTION]
    kinds += [catalogue.CLOSE_POSITION, catalogue.HEARTBEAT]
    for kind in kinds:
        budget.submit(an_item(str(kind), kind))
    assert names(budget, 0) == [str(kind) for kind in reversed(kinds)]


def test_authorising_many_accounts_does_not_hold_up_a_close() -> None:
    """After a reconnect of many accounts the first close waits for none of their authorisations."""
    budget = a_budget()
    for account in range(1_000):
        budget.submit(an_item(f"auth {account}", catalogue.ACCOUNT_AUTH, account=account))
    assert len(names(budget, 0)) == 49
    budget.submit(an_item("close", catalogue.CLOSE_POSITION))
    assert names(budget, 1) == ["close"]


def test_what_an_account_holds_is_asked_before_others_are_authorised() -> None:
    """So who came first can close while the others still come back."""
    budget = a_budget()
    for account in range(100):
        budget.submit(an_item(f"auth {account}", catalogue.ACCOUNT_AUTH, account=account))
    assert len(names(budget, 0)) == 49
    budget.submit(an_item("look", RECONCILE, lane=Lane.LOOK, account=3))
    assert names(budget, 2 * SECOND)[:2] == ["look", "auth 49"]


def test_a_burst_leaves_at_once_but_for_the_reserve() -> None:
    """Of 60 opens 49 leave now; the 50th slot is kept, and a close takes it."""
    budget = a_budget()
    for number in range(60):
        budget.submit(an_item(f"open {number}"))
    assert len(names(budget, 0)) == 49
    budget.submit(an_item("close", catalogue.CLOSE_POSITION))
    assert names(budget, 1) == ["close"]
    assert budget.next_wake(1) == SECOND + MARGIN_US
    assert len(names(budget, SECOND + MARGIN_US)) == 11


def test_the_reserve_is_lent_when_another_slot_is_free_soon() -> None:
    """An open may take the last slot 20 ms before the next one is free, and not before."""
    budget = a_budget(2)
    budget.submit(an_item("first"))
    assert names(budget, 0) == ["first"]
    budget.submit(an_item("second"))
    free_us = SECOND + MARGIN_US
    assert budget.next_wake(1) == free_us - 20 * MS
    assert names(budget, free_us - 20 * MS - 1) == []
    assert names(budget, free_us - 20 * MS) == ["second"]


def test_a_second_arrival_of_a_trade_is_dropped_waiting_or_sent() -> None:
    """The same name waits once and leaves once, however long ago that was."""
    budget = a_budget()
    assert budget.submit(an_item("a", catalogue.CLOSE_POSITION)) == ()
    assert budget.submit(an_item("a", catalogue.CLOSE_POSITION))[0].reason == "duplicate"
    assert names(budget, 0) == ["a"]
    for number in range(20_000):
        budget.submit(an_item(f"question {number}", RECONCILE))
    assert budget.submit(an_item("a", catalogue.CLOSE_POSITION))[0].reason == "duplicate"


def test_names_are_remembered_for_ten_minutes_and_then_make_room() -> None:
    """Ten minutes long every name, however many came since; then two are forgotten for each that is new."""
    budget = a_budget()

    def send(name: str, at_us: int) -> str:
        found = budget.submit(an_item(name, catalogue.CLOSE_POSITION))
        assert found or names(budget, at_us) == [name]
        return found[0].reason if found else ""

    for number in range(12_000):
        assert send(f"early {number}", number * 30 * MS) == ""
    assert send("early 0", 599 * SECOND) == "duplicate"
    for number in range(4_096):
        assert send(f"late {number}", 1_000 * SECOND + number * 30 * MS) == ""
    assert send("early 0", 1_200 * SECOND) == ""
    assert send("late 0", 1_200 * SECOND) == "duplicate"


def test_what_never_left_may_come_again() -> None:
    """An item that the connection's end gave back is not a duplicate of itself."""
    budget = a_budget()
    budget.submit(an_item("a"))
    assert [entry.reason for entry in budget.empty("the connection was lost", 0)] == ["the connection was lost"]
    assert budget.submit(an_item("a")) == ()
    assert names(budget, 0) == ["a"]


def test_of_amends_of_one_target_the_newest_leaves_in_the_place_of_the_oldest() -> None:
    """The older one goes back as merged, the newer one does not lose its turn, and other targets are untouched."""
    budget = a_budget()
    amend = {"payload_type": catalogue.AMEND_PROTECTION}
    budget.submit(an_item("p7 old", merge="p7", **amend))
    budget.submit(an_item("p8", merge="p8", **amend))
    budget.submit(an_item("p7 of another account", merge="p7", account=2, **amend))
    [back] = budget.submit(an_item("p7 new", merge="p7", **amend))
    assert (back.item.name, back.reason) == ("p7 old", "merged")
    assert [item.name for item in budget.take(0)[0] if item.account == 1] == ["p7 new", "p8"]
    assert budget.submit(an_item("p7 newer", merge="p7", **amend)) == ()


def test_a_withdrawn_item_comes_back_even_if_it_comes_later() -> None:
    """A withdrawal that overtakes its item still holds, for every later arrival."""
    budget = a_budget()
    budget.submit(an_item("waits"))
    returned = budget.withdraw("waits")
    assert returned is not None
    assert returned.reason == "withdrawn"
    assert budget.withdraw("comes later") is None
    for name in ("comes later", "comes later", "waits"):
        assert budget.submit(an_item(name))[0].reason == "withdrawn"
    assert names(budget, 0) == []


def test_withdrawing_what_was_merged_leaves_the_newer_one_alone() -> None:
    """The older amendment went back already: its name means nothing that waits, and the newer stop still leaves."""
    budget = a_budget()
    for name in ("older", "newer"):
        budget.submit(an_item(name, catalogue.AMEND_PROTECTION, merge="p7"))
    assert budget.withdraw("older") is None
    assert names(budget, 0) == ["newer"]


def test_withdrawing_what_has_left_changes_nothing() -> None:
    """What is sent is sent."""
    budget = a_budget()
    budget.submit(an_item("a"))
    assert names(budget, 0) == ["a"]
    assert budget.withdraw("a") is None
    assert budget.submit(an_item("a"))[0].reason == "duplicate"


def test_an_open_that_waited_too_long_goes_back() -> None:
    """It may still leave at its last moment, and goes back right after it."""
    budget = a_budget(2)
    budget.submit(an_item("first"))
    budget.submit(an_item("on time", not_after_us=10))
    budget.submit(an_item("much later", not_after_us=9 * SECOND))
    assert names(budget, 10) == ["first"]
    assert budget.next_wake(10) == 11
    leaving, returned = budget.take(11)
    assert leaving == ()
    assert [(entry.item.name, entry.reason) for entry in returned] == [("on time", "expired")]


def test_a_close_never_ages() -> None:
    """A last moment on anything that lowers or protects risk is not obeyed."""
    budget = a_budget()
    budget.submit(an_item("close", catalogue.CLOSE_POSITION, not_after_us=1))
    assert names(budget, SECOND) == ["close"]


def test_a_newer_amend_brings_its_own_deadline() -> None:
    """The last moment of what was replaced is forgotten with it."""
    budget = a_budget(2)
    budget.submit(an_item("first"))
    names(budget, 0)
    budget.submit(an_item("old", merge="x", not_after_us=5))
    budget.submit(an_item("new", merge="x", not_after_us=9 * SECOND))
    assert budget.take(100) == ((), ())
    assert names(budget, 2 * SECOND) == ["new"]


def test_history_has_five_a_second_and_holds_up_nothing_else() -> None:
    """A reconcile behind a queue of deal lists of the same account leaves at once."""
    budget = a_budget()
    for number in range(8):
        budget.submit(an_item(f"deals {number}", DEALS))
    budget.submit(an_item("state", RECONCILE))
    assert names(budget, 0) == [*(f"deals {number}" for number in range(5)), "state"]
    assert budget.next_wake(0) == SECOND + MARGIN_US
    assert names(budget, SECOND + MARGIN_US) == ["deals 5", "deals 6", "deals 7"]


def test_a_blocked_type_waits_and_holds_up_nothing_else() -> None:
    """Protection that the server does not take for half an hour does not hold up an amended pending."""
    budget = a_budget()
    budget.block(catalogue.AMEND_PROTECTION, 30 * SECOND, 0)
    budget.submit(an_item("stop", catalogue.AMEND_PROTECTION))
    budget.submit(an_item("pending", catalogue.AMEND_ORDER))
    assert names(budget, 0) == ["pending"]
    assert budget.next_wake(0) == 30 * SECOND
    assert budget.figures(0).paused_until_us == {catalogue.AMEND_PROTECTION: 30 * SECOND}
    assert names(budget, 30 * SECOND) == ["stop"]


def test_blocks_in_a_row_double_the_pause_and_a_burst_counts_once() -> None:
    """A slower quota behind the fast one is met by growing pauses; peace brings the short one back."""
    budget = a_budget()
    assert [budget.block(DEALS, SECOND, 0) for _ in range(40)] == [SECOND] * 40
    assert budget.block(DEALS, SECOND, 2 * SECOND) == 4 * SECOND
    assert budget.block(DEALS, SECOND, 5 * SECOND) == 9 * SECOND
    assert budget.block(DEALS, SECOND, 60 * SECOND) == 61 * SECOND


def test_the_pause_of_closes_does_not_grow() -> None:
    """A close goes again the moment the server takes it."""
    budget = a_budget()
    budget.block(catalogue.CLOSE_POSITION, SECOND, 0)
    assert budget.block(catalogue.CLOSE_POSITION, SECOND, 2 * SECOND) == 3 * SECOND


def test_a_block_without_a_span_pauses_for_a_second() -> None:
    """REQUEST_FREQUENCY_EXCEEDED does not say how long."""
    assert a_budget().block(catalogue.NEW_ORDER, 0, 5) == SECOND + 5


def test_a_pause_never_becomes_shorter() -> None:
    """A later, shorter word of the server does not open what an earlier one closed."""
    budget = a_budget()
    budget.block(catalogue.NEW_ORDER, 5 * SECOND, 0)
    assert budget.block(catalogue.NEW_ORDER, SECOND, 1) == 5 * SECOND


def test_the_guard_follows_the_variation_within_its_bounds() -> None:
    """Unknown at first and wide, then p99.9 of what was seen, never below 5 ms nor above 50 ms."""
    guard = Guard()
    assert guard.us == GUARD_US_MAX
    for _ in range(SAMPLES_MIN):
        guard.saw(40 * MS)
    assert guard.us == GUARD_US_MIN
    for _ in range(25):
        guard.saw(60 * MS)
    assert guard.us == 20 * MS
    for _ in range(25):
        guard.saw(SECOND)
    assert guard.us == GUARD_US_MAX


def test_one_slow_answer_in_a_thousand_is_forgiven() -> None:
    """p99.9 of a thousand leaves out the one worst."""
    guard = Guard()
    for number in range(1_100):
        guard.saw(SECOND if number == 500 else 40 * MS)
    assert guard.us == GUARD_US_MIN


def test_a_slow_write_counts_from_its_end() -> None:
    """What was written 300 ms after it was let go holds its slot 300 ms longer."""
    budget = a_budget(2)
    budget.submit(an_item("first"))
    assert [item.name for item in budget.take(0)[0]] == ["first"]
    budget.wrote(300 * MS)
    budget.proved(1, 300 * MS)
    budget.submit(an_item("second"))
    assert budget.next_wake(300 * MS) == 1_305 * MS - 20 * MS


def test_figures() -> None:
    """The state in numbers, as `status` shows it."""
    budget = a_budget(10)
    for number in range(12):
        budget.submit(an_item(f"open {number}"))
    budget.submit(an_item("open 0"))
    names(budget, 0)
    figures = budget.figures(0)
    assert (figures.limit, figures.used, figures.waiting, figures.waiting_max) == (10, 9, 3, 12)
    assert (figures.sent, figures.busiest_second, figures.returned) == (9, 9, 1)
    assert figures.forecast_us == SECOND + MARGIN_US
    assert (figures.ahead, figures.span_us) == (3, SECOND + MARGIN_US + 1)  # a round trip of 1 us
    assert figures.free_us == (SECOND + MARGIN_US,) * 9


@pytest.mark.parametrize("limit", [0, 1])
def test_a_limit_that_leaves_nothing_beside_the_reserve_is_a_bug(limit: int) -> None:
    """With one slot in all nothing could ever be opened."""
    with pytest.raises(AssertionError):
        Budget(limit)


def test_every_trading_request_has_a_lane_of_its_own_choice() -> None:
    """No request that moves money waits among the questions."""
    assert {lane_of(kind) for kind in catalogue.TRADING} == {Lane.CLOSE, Lane.PROTECT, Lane.CANCEL, Lane.OPEN}


def test_opens_do_not_starve_questions() -> None:
    """In the middle of an endless burst of opens every fifth slot is a question's, so an account can reconcile."""
    budget = Budget(50)
    for number in range(200):
        budget.submit(Item(name=f"o{number}", lane=Lane.OPEN, payload_type=catalogue.NEW_ORDER, account=1))
    for number in range(4):
        budget.submit(Item(name=f"q{number}", lane=Lane.QUERY, payload_type=catalogue.TRADER, account=2))
    leaving, _ = budget.take(0)
    assert [place for place, item in enumerate(leaving) if item.lane is Lane.QUERY] == [4, 9, 14, 19]
    assert len(leaving) == 49


def test_a_question_that_may_not_leave_costs_opens_nothing() -> None:
    """Its turn goes to an open while its kind is blocked, and it is first once it may leave."""
    budget = Budget(50)
    budget.block(catalogue.TRADER, 1_500_000, 0)
    budget.submit(Item(name="q", lane=Lane.QUERY, payload_type=catalogue.TRADER, account=2))
    for number in range(200):
        budget.submit(Item(name=f"o{number}", lane=Lane.OPEN, payload_type=catalogue.NEW_ORDER, account=1))
    assert len(names(budget, 0)) == 49
    assert names(budget, 2_500_000)[0] == "q"


# --- what the server has read -----------------------------------------------------------------------------------------


def a_full_budget() -> Budget:
    """Two slots, both used by closes that were written at 0, and a third close that waits."""
    budget = a_budget(2)
    for number in range(3):
        budget.submit(an_item(f"close {number}", catalogue.CLOSE_POSITION))
    assert len(budget.take(0)[0]) == 2
    budget.wrote(0, 2)
    return budget


def test_a_slot_is_free_a_second_after_the_answer_not_after_the_write() -> None:
    """The server may have read a frame as late as it answered it, 300 ms after the write."""
    budget = a_full_budget()
    budget.proved(1, 300 * MS)
    assert budget.next_wake(300 * MS) == 1_300 * MS + MARGIN_US
    assert names(budget, 1_300 * MS) == []
    assert names(budget, 1_300 * MS + MARGIN_US) == ["close 2"]


def test_an_answer_proves_all_that_was_written_before() -> None:
    """The server reads in order, so the answer to the second frame frees the first one's slot too."""
    budget = a_full_budget()
    budget.proved(2, 300 * MS)
    assert budget.figures(1_300 * MS + MARGIN_US).used == 0


def test_without_any_answer_a_slot_is_free_after_ten_seconds_and_one() -> None:
    """A heartbeat is never answered, and a server that answers nothing does not stop a close for ever."""
    budget = a_full_budget()
    assert budget.next_wake(2 * SECOND) == UNPROVEN_US + SECOND + MARGIN_US
    assert names(budget, UNPROVEN_US + SECOND + MARGIN_US) == ["close 2"]


def test_what_adds_risk_waits_longer_for_an_answer_than_a_close_does() -> None:
    """A line that stands still brings all of it at once: no open follows within a minute, while a close takes a slot
    after ten seconds, and then another."""
    budget = a_full_budget()
    assert budget.withdraw("close 2") is not None
    budget.submit(an_item("open", catalogue.NEW_ORDER))
    late = UNPROVEN_US + SECOND + MARGIN_US
    assert budget.take(late) == ((), ())
    for number in (3, 4):
        budget.submit(an_item(f"close {number}", catalogue.CLOSE_POSITION))
    assert [item.name for item in budget.take(late)[0]] == ["close 3", "close 4"]
    budget.wrote(late, 2)
    assert budget.take(STALLED_US) == ((), ())
    budget.proved(4, STALLED_US)
    assert names(budget, STALLED_US + SECOND) == []
    assert names(budget, STALLED_US + SECOND + MARGIN_US) == ["open"]


@pytest.mark.parametrize("kind", ["a stop moved again", "a look", "an account", "a look at a history"])
def test_what_protects_and_what_closes_wait_for_waits_as_long_as_a_close(kind: str) -> None:
    """Behind opens that a server swallows without a word, a stop that follows its leader's leaves after ten seconds,
    and so does what an account needs before anything of it can be closed; an open goes on waiting."""
    amend = amendments(0, 1)[0]
    wanted = {
        "a stop moved again": amendments(1, 1)[0],
        "a look": an_item("look", RECONCILE, lane=Lane.LOOK, account=3),
        "an account": an_item("account", catalogue.ACCOUNT_AUTH, account=3),
        "a look at a history": an_item("history", DEALS, lane=Lane.LOOK, account=3),
    }[kind]
    budget = a_budget()
    budget.submit(amend)
    for number in range(60):
        budget.submit(an_item(f"open {number}"))
    for number in range(5):
        budget.submit(an_item(f"history {number}", DEALS, account=2))
    assert len(budget.take(0)[0]) == 49
    budget.wrote(0, 49)
    budget.submit(wanted)
    due = UNPROVEN_US + SECOND + MARGIN_US
    assert budget.take(due - 20 * MS - 1) == ((), ())
    assert [item.name for item in budget.take(due)[0]] == [wanted.name]


def test_what_was_let_go_and_not_yet_written_keeps_its_slot_however_long() -> None:
    """Between the limiter and the socket no time makes a frame count as read."""
    budget = a_budget(2)
    for number in range(3):
        budget.submit(an_item(f"close {number}", catalogue.CLOSE_POSITION))
    assert len(budget.take(0)[0]) == 2
    assert names(budget, 60 * SECOND) == []


def test_a_lost_line_frees_its_slots_a_second_later() -> None:
    """What was under way will not be read any more, and the server counts the next connection by itself."""
    budget = a_full_budget()
    budget.empty("the connection was lost", 100 * MS)
    budget.submit(an_item("next", catalogue.CLOSE_POSITION))
    assert names(budget, 1_100 * MS) == []
    assert names(budget, 1_100 * MS + MARGIN_US) == ["next"]


def test_an_answer_counts_frames_of_its_own_line_only() -> None:
    """After a reconnect numbers begin again."""
    budget = a_full_budget()
    budget.empty("the connection was lost", 0)
    for number in range(2):
        budget.submit(an_item(f"later {number}", catalogue.CLOSE_POSITION))
    leaving, _ = budget.take(2 * SECOND)
    budget.wrote(2 * SECOND, len(leaving))
    budget.proved(1, 2_200 * MS)
    assert budget.figures(3_200 * MS + MARGIN_US).used == 1


def test_what_nobody_waits_for_takes_one_slot_in_a_thousand() -> None:
    """Beside opens and questions it is rare and never starved (a question due goes first); alone it leaves at once."""
    budget = Budget(1_100)
    for number in range(1_200):
        budget.submit(Item(name=f"o{number}", lane=Lane.OPEN, payload_type=catalogue.NEW_ORDER, account=1))
    for number in range(300):
        budget.submit(Item(name=f"q{number}", lane=Lane.QUERY, payload_type=catalogue.TRADER, account=2))
        budget.submit(Item(name=f"i{number}", lane=Lane.IDLE, payload_type=catalogue.TRADER, account=3))
    leaving, _ = budget.take(0)
    assert [place for place, item in enumerate(leaving) if item.lane is Lane.IDLE] == [1_000]
    alone = Budget(50)
    alone.submit(Item(name="i", lane=Lane.IDLE, payload_type=catalogue.TRADER, account=3))
    assert len(alone.take(0)[0]) == 1


def test_histories_that_nobody_waits_for_leave_room_for_others() -> None:
    """A thousand of them take one of the five a second, whatever else is idle goes beside them, and a look-up at
    once."""
    budget = a_budget()
    for number in range(1_000):
        budget.submit(an_item(f"i{number}", DEALS, lane=Lane.IDLE, account=10 + number))
    budget.submit(an_item("margin", RECONCILE, lane=Lane.IDLE))
    assert names(budget, 0) == ["i0", "margin"]
    for number in range(4):
        budget.submit(an_item(f"look-up {number}", DEALS))
    assert names(budget, 1) == [f"look-up {number}" for number in range(4)]
    assert budget.next_wake(1) == SECOND + MARGIN_US
    assert names(budget, SECOND + MARGIN_US) == ["i1"]


def test_a_burst_finds_the_slots_that_nobody_waits_for() -> None:
    """A thousand questions of which nobody needs the answer take ten slots a second, so of a burst 39 leave at once."""
    budget = a_budget()
    for number in range(1_000):
        budget.submit(Item(name=f"i{number}", lane=Lane.IDLE, payload_type=catalogue.TRADER, account=number))
    assert len(names(budget, 0)) == 10
    assert (budget.figures(0).waiting, budget.figures(0).waiting_idle) == (990, 990)
    assert budget.next_wake(0) == SECOND + MARGIN_US
    for number in range(100):
        budget.submit(an_item(f"open {number}"))
    assert (budget.figures(0).waiting, budget.figures(0).waiting_idle) == (1_090, 990)
    assert len(names(budget, 1)) == 39


# --- amendments of the same, again and again --------------------------------------------------------------------------


def amendments(number: int, count: int) -> list[Item]:
    """One amendment of each of so many copies, each on an account of its own."""
    kind = catalogue.AMEND_PROTECTION
    return [an_item(f"amend {number} {n}", kind, account=100 + n, merge=f"p{n}") for n in range(count)]


def in_a_storm(budget: Budget, others: list[Item]) -> dict[str, int]:
    """How long some items wait, in ms, that come three seconds into a storm: each amendment is followed by another."""
    left: dict[str, int] = {}
    for step in range(350):
        now = step * 20 * MS
        for item in amendments(step, 60):
            budget.submit(item)
        if step == 150:
            for item in others:
                budget.submit(item)
        left |= dict.fromkeys(names(budget, now), now)
    return {item.name: (left[item.name] - 3 * SECOND) // MS for item in others if item.name in left}


def test_stops_that_are_moved_at_each_tick_starve_nobody() -> None:
    """What is no close takes turns with amendments that follow one another: each its share, opens every other slot."""
    others = [an_item(f"open {n}", account=n) for n in range(40)]
    assert max(in_a_storm(a_budget(), others).values()) <= 2_100
    for kind in (catalogue.ACCOUNT_AUTH, RECONCILE):
        assert in_a_storm(a_budget(), [an_item("one", kind)])["one"] <= 1_020
    idle = an_item("one", RECONCILE, lane=Lane.IDLE)
    assert in_a_storm(a_budget(), [idle])["one"] <= 3_100  # each second slot counts as ten


def test_what_lowers_risk_finds_a_slot_at_once_in_the_middle_of_them() -> None:
    """A lone close or cancel finds the slot that is kept, and so does the first stop of a copy."""
    for kind, merge in (
        (catalogue.CLOSE_POSITION, ""),
        (catalogue.CANCEL_ORDER, ""),
        (catalogue.AMEND_PROTECTION, "new"),
    ):
        assert in_a_storm(a_budget(), [an_item("one", kind, merge=merge)])["one"] <= 20


def test_amendments_of_the_same_have_half_of_the_slots_beside_a_burst_of_opens() -> None:
    """Nor does a burst of opens starve them."""
    budget = a_budget()
    for item in amendments(0, 40):
        budget.submit(item)
    assert len(names(budget, 0)) == 40
    for number in range(200):
        budget.submit(an_item(f"open {number}"))
    for item in amendments(1, 40):
        budget.submit(item)
    leaving = names(budget, 2 * SECOND)
    assert [name.split()[0] for name in leaving[:6]] == ["amend", "open"] * 3
    assert len(leaving) == 49


def test_an_amendment_that_waits_keeps_its_place_for_a_newer_one() -> None:
    """What waits in one lane is replaced there, whatever lane the newer one would be in."""
    budget = a_budget(2)
    first, second, third = (amendments(number, 1)[0] for number in range(3))
    budget.submit(first)
    assert names(budget, 0) == [first.name]
    budget.submit(second)
    budget.submit(an_item("close", catalogue.CLOSE_POSITION))
    assert names(budget, 1) == ["close"]
    assert [(entry.item.name, entry.reason) for entry in budget.submit(third)] == [(second.name, "merged")]
    assert names(budget, 2 * SECOND) == [third.name]
    assert budget.waiting == 0


def test_after_a_while_an_amendment_is_a_first_one_again() -> None:
    """A stop that was moved half a minute ago is no storm: it leaves ahead of what waits."""
    budget = a_budget()
    budget.submit(amendments(0, 1)[0])
    assert len(names(budget, 0)) == 1
    assert names(budget, 31 * SECOND) == []
    budget.submit(an_item("open"))
    budget.submit(an_item("cancel", catalogue.CANCEL_ORDER))
    amend = amendments(1, 1)[0]
    budget.submit(amend)
    assert names(budget, 31 * SECOND) == [amend.name, "cancel", "open"]
