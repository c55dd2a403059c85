"""What people do to copies at the broker: levels they move, parts they close, and copies whose leader is out of sight.

EURUSD at `Same` trades at 1.08500 / 1.08510, the leader buys at 1.08508: a copy's shift is + 0.00002.
"""

from __future__ import annotations

from cmam.domain.events import AlertRaised
from cmam.store.past.replay import verify
from tests.rulebook import LEAD, SELL, UNIT, Case, Rulebook

UNITS = {"volume.basis": "units"}


def _case(name: str, kind: str = "hedged", **settings: str) -> Case:
    return Case(name, "Same", {**UNITS, **settings}, kind=kind)


def _stop(book: Rulebook, name: str) -> float:
    (held,) = book.held(name)
    return held.stop


def test_a_level_that_a_person_moved_is_pinned_or_the_leader_wins() -> None:
    """Ours was moved from 1.07602 to 1.08000. His 1.07900 is farther: pinned stays, `leader` follows (+ 0.00002).

    A target he sets meanwhile is copied on both. His 1.08100 is tighter, and goes to both.
    """
    book = Rulebook([_case("pin"), _case("leader", human_levels="leader")])
    book.begin()
    position = book.person.buy(10_000 * UNIT, relativeStopLoss=908)
    book.go(3)
    for name, account in book.ids.items():
        (held,) = book.held(name)
        assert held.stop == 1.07602
        book.person.amend(held.position, account=account, stop=1.08000)
    book.go(2)
    assert {name: _stop(book, name) for name in book.ids} == {"pin": 1.08, "leader": 1.07602}
    book.person.amend(position, stop=1.07900, target=1.09900)
    book.go(2)
    assert {name: _stop(book, name) for name in book.ids} == {"pin": 1.08, "leader": 1.07902}
    assert {book.held(name)[0].target for name in book.ids} == {1.09902}
    book.person.amend(position, stop=1.08100, target=1.09900)
    book.go(2)
    assert {name: _stop(book, name) for name in book.ids} == {"pin": 1.08102, "leader": 1.08102}
    assert verify(book.log.read_all()).is_identical
    assert book.stepper.failures == []


def test_what_a_person_closes_of_a_copy_is_a_part_of_all_that_follows() -> None:
    """12,000 held, 5,000 closed by hand: his half is half of 7,000, 3,500 → 3,000 are closed, 4,000 stay; then none."""
    book = Rulebook([_case("hedged"), _case("netted", "netted")])
    book.begin()
    position = book.person.buy(12_000 * UNIT)
    book.go(2)
    for name, account in book.ids.items():
        (held,) = book.held(name)
        book.person.close(held.position, 5_000 * UNIT, account=account)
    book.go(2)
    assert [book.volumes(name) for name in book.ids] == [[7_000 * UNIT]] * 2
    book.person.close(position, 6_000 * UNIT)
    book.go(2)
    assert [book.volumes(name) for name in book.ids] == [[4_000 * UNIT]] * 2
    book.person.close(position, 6_000 * UNIT)
    book.go(2)
    assert [book.volumes(name) for name in book.ids] == [[]] * 2
    assert verify(book.log.read_all()).is_identical


def test_a_net_that_a_person_turns_is_left_to_him() -> None:
    """Shares of 6,000 and 4,000; he sells 15,000: 5,000 short are his, and the leader's closes touch nothing."""
    book = Rulebook([_case("net", "netted")])
    book.begin()
    positions = [book.person.buy(units * UNIT) for units in (6_000, 4_000)]
    book.go(2)
    book.person.buy(15_000 * UNIT, account=book.ids["net"], side=SELL)
    book.go(2)
    view = book.view(book.ids["net"])
    assert view is not None
    assert view.copies == {}
    for position, units in zip(positions, (6_000, 4_000), strict=True):
        book.person.close(position, units * UNIT)
    book.go(2)
    assert [(held.side, held.volume) for held in book.held("net")] == [(SELL, 5_000 * UNIT)]
    assert verify(book.log.read_all()).is_identical


def test_netted_shares_of_odd_steps_are_rounded_together() -> None:
    """Each tenth of 30,000 × 0.18 = 5,400 → 5,000 is 500, half a step: every second reduction moves the net by one."""
    book = Rulebook([Case("net", "Same", {**UNITS, "volume.amount": "0.18"}, kind="netted")])
    book.begin()
    positions = [book.person.buy(30_000 * UNIT) for _ in range(4)]
    book.go(2)
    nets = []
    for position in positions:
        book.person.close(position, 3_000 * UNIT)
        book.go(2)
        nets.append(sum(book.volumes("net")) // UNIT)
    assert nets == [20_000, 19_000, 19_000, 18_000]
    for position in positions:
        book.person.close(position, 27_000 * UNIT)
        book.go(2)
    assert book.volumes("net") == []
    assert verify(book.log.read_all()).is_identical


def _trailed(book: Rulebook, name: str) -> tuple[int, bool]:
    """The stop in points, to five of them, and whether it trails."""
    (held,) = book.held(name)
    return round(held.stop * 100_000) // 5 * 5, held.trailing


def test_a_stop_that_a_person_lets_trail_where_the_leader_has_none_is_not_taken_away() -> None:
    """Both in one request; with `human_levels=leader` too, since nothing of the leader's could win."""
    book = Rulebook([_case("pin"), _case("leader", human_levels="leader")])
    book.begin()
    book.person.buy(10_000 * UNIT)
    book.go(3)
    for name, account in book.ids.items():
        (held,) = book.held(name)
        book.person.amend(held.position, account=account, stop=1.08000, trailing=True)
    book.go(3)
    assert [_trailed(book, name) for name in book.ids] == [(108_000, True)] * 2
    book.price("EURUSD", "1.08700")
    book.go(3)
    assert [_trailed(book, name) for name in book.ids] == [(108_200, True)] * 2
    assert verify(book.log.read_all()).is_identical


def test_where_the_leader_wins_no_copy_is_set_back_farther_than_it_had_trailed() -> None:
    """His 1.07600 has trailed by 50 pips to 1.08100, a copy's to 1.08102. One person ends the trailing, one loosens.

    Both stood at 1.07602 again, or where the person put it, and trailed on from there.
    """
    book = Rulebook([_case("ends", human_levels="leader"), _case("loosens", human_levels="leader")])
    book.begin()
    book.person.buy(10_000 * UNIT, relativeStopLoss=908, trailingStopLoss=True)
    book.go(3)
    book.price("EURUSD", "1.09000")
    book.go(3)
    assert [_trailed(book, name) for name in book.ids] == [(108_100, True)] * 2
    for name, account in book.ids.items():
        (held,) = book.held(name)
        stop = 1.07900 if name == "loosens" else held.stop
        book.person.amend(held.position, account=account, stop=stop, trailing=name == "loosens")
    book.go(3)
    assert [_trailed(book, name) for name in book.ids] == [(108_100, True)] * 2
    assert verify(book.log.read_all()).is_identical


def test_a_stop_that_a_person_sets_on_a_trailing_copy_is_pinned() -> None:
    """From 1.07602 to 1.07500, where it trails: the leader's new target moved it to 1.07602 again.

    His 1.07300 is farther, and not taken.
    """
    book = Rulebook([_case("pin")])
    book.begin()
    position = book.person.buy(10_000 * UNIT, relativeStopLoss=908)
    book.go(3)
    (held,) = book.held("pin")
    account = book.ids["pin"]
    book.person.amend(held.position, account=account, stop=held.stop, trailing=True)
    book.go(3)
    book.person.amend(held.position, account=account, stop=1.07500, trailing=True)
    book.go(3)
    assert _trailed(book, "pin") == (107_500, True)
    book.person.amend(position, stop=1.07600, target=1.09900)
    book.go(3)
    assert _trailed(book, "pin") == (107_500, True)
    book.person.amend(position, stop=1.07300, target=1.09900)
    book.go(3)
    assert _trailed(book, "pin") == (107_500, True)
    assert verify(book.log.read_all()).is_identical


def test_a_pinned_stop_that_has_trailed_stays_where_it_is_when_the_leader_takes_his_away() -> None:
    """Pinned at 1.07700, it has trailed with his to 1.08200; it was put back to 1.07700, 50 pips farther."""
    book = Rulebook([_case("pin")])
    book.begin()
    position = book.person.buy(10_000 * UNIT, relativeStopLoss=908)
    book.go(3)
    (held,) = book.held("pin")
    book.person.amend(held.position, account=book.ids["pin"], stop=1.07700)
    book.go(3)
    book.person.amend(position, stop=1.07600, trailing=True)
    book.go(3)
    book.price("EURUSD", "1.09000")
    book.go(3)
    assert _trailed(book, "pin") == (108_200, True)
    his = book.broker.floor.accounts[LEAD].positions[position].sl / 100_000_000
    book.person.amend(position, stop=his, trailing=False)
    book.go(3)
    book.person.amend(position, stop=1.08150)  # tighter than his own, and farther than what is pinned
    book.go(3)
    assert _trailed(book, "pin") == (108_200, False)
    book.person.amend(position)
    book.go(3)
    assert _trailed(book, "pin") == (108_200, False)
    assert verify(book.log.read_all()).is_identical


def test_what_a_person_adds_is_left_alone_whatever_is_carried() -> None:
    """26,000 are held; 70 of his 72 parts leave 722 carried. 30,000 more by hand made it 1,555, of which 1,000 went."""
    book = Rulebook([_case("pin", **{"volume.amount": "0.37"})])
    book.begin()
    position = book.person.buy(72_000 * UNIT)
    book.go(3)
    book.person.close(position, 2_000 * UNIT)
    book.go(3)
    (held,) = book.held("pin")
    assert held.volume == 26_000 * UNIT
    book.person.buy(30_000 * UNIT, account=book.ids["pin"], positionId=held.position)
    book.go(3)
    assert book.volumes("pin") == [56_000 * UNIT]
    assert verify(book.log.read_all()).is_identical


def test_a_fixed_stop_that_has_trailed_stays_where_it_has_come_to() -> None:
    """Bought at 1.08510, 30 pips are 1.08210. The market rises by 40 pips and takes the stops that trail to 1.08611.

    Where the leader or a person ends that, none goes back to 30 pips from the entry, nor with his next change; stops
    that are fixed no more are the leader's again.
    """
    fixed = {**UNITS, "fixed_sl": "30"}
    cases = [
        Case("fixed", "Same", fixed),
        Case("net", "Same", fixed, kind="netted"),
        Case("leader wins", "Same", {**fixed, "human_levels": "leader"}),
        Case("no more", "Same", fixed),
    ]
    book = Rulebook(cases)
    book.begin()
    person = book.person
    source = person.buy(73_000 * UNIT, relativeStopLoss=400, trailingStopLoss=True)
    book.go(3)
    book.price("EURUSD", "1.08900")
    book.go(3)
    (held,) = book.held("leader wins")
    person.amend(held.position, account=book.ids["leader wins"], stop=held.stop, trailing=False)
    book.go(3)
    (theirs,) = person.holds(book.leader)
    person.amend(source, stop=theirs.stop, target=1.0960, trailing=False)
    book.go(3)
    assert {(round(_stop(book, case.name), 4), book.held(case.name)[0].trailing) for case in cases} == {(1.0861, False)}
    book.command({"command": "profile.set", "profile": "no more", "settings": {"fixed_sl": "off"}})
    person.amend(source, stop=1.0790, target=1.0970, trailing=False)
    book.go(3)
    stops = {case.name: round(_stop(book, case.name), 4) for case in cases}
    assert stops == {"fixed": 1.0861, "net": 1.0861, "leader wins": 1.0861, "no more": 1.079}
    assert verify(book.log.read_all()).is_identical
    assert book.stepper.failures == []


def test_what_a_person_adds_to_a_net_is_told_until_it_is_gone() -> None:
    """20,000 of two copies and 7,000 by hand: told once, and taken back as he closes as much again."""
    book = Rulebook([Case("net", "Same", {**UNITS, "volume.amount": "0.5"}, kind="netted")])
    book.begin()
    account = book.ids["net"]
    first = book.person.buy(20_000 * UNIT)
    book.person.buy(20_000 * UNIT)
    book.go(3)
    book.person.buy(7_000 * UNIT, account=account)
    book.go(35)
    (held,) = book.held("net")
    assert held.volume == 27_000 * UNIT
    view = book.view(account)
    assert view is not None
    assert view.alerts[f"beside {held.position}"].startswith(
        f"Position {held.position} in EURUSD (buy) holds 7000.00 units that are no copy's"
    )
    book.person.close(first, 20_000 * UNIT)
    book.go(20)
    assert book.volumes("net") == [17_000 * UNIT]
    book.person.close(held.position, 7_000 * UNIT, account=account)
    book.go(20)
    view = book.view(account)
    assert view is not None
    assert (book.volumes("net"), dict(view.alerts)) == ([10_000 * UNIT], {})
    raised = [event.kind for event in book.events(account, AlertRaised)]
    assert raised == [f"beside {held.position}"]
    assert verify(book.log.read_all()).is_identical
    assert book.stepper.failures == []


def test_a_stop_that_a_person_takes_away_in_a_gap_in_which_the_leader_moves_his_is_set_anew() -> None:
    """Before or after the leader did: no copy is without a stop while he has one. Where he leaves his alone it stays
    away, and so it does once it is taken away in sight."""
    cases = [Case("before", "Same", UNITS), Case("after", "Same", UNITS), Case("net", "Same", UNITS, kind="netted")]
    book = Rulebook(cases)
    book.begin()
    person = book.person
    position = person.buy(20_000 * UNIT, relativeStopLoss=500)
    book.go(3)
    mine = {name: book.held(name)[0].position for name in book.ids}
    book.stepper.network.cut_all()
    for name in ("before", "net"):
        person.amend(mine[name], account=book.ids[name])
    person.amend(position, stop=1.08100)
    person.amend(mine["after"], account=book.ids["after"])
    book.go(40)
    assert {name: _stop(book, name) for name in mine} == dict.fromkeys(mine, 1.08102)
    person.amend(mine["after"], account=book.ids["after"])
    book.go(3)
    book.stepper.network.cut_all()
    person.amend(mine["before"], account=book.ids["before"])
    book.go(40)
    assert {name: _stop(book, name) for name in mine} == {"before": 0.0, "after": 0.0, "net": 1.08102}
    assert verify(book.log.read_all()).is_identical
    assert book.stepper.failures == []
