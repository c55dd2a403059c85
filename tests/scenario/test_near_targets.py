"""Targets that a broker does not take: the rest is done, and they are set once the market lets them be.

Odd takes no target nearer than 40 pips and no stop nearer than 60 on EUR/USD, which stands at 1.0850/1.0852.
"""

from __future__ import annotations

import pytest

from cmam.domain.events import AlertRaised, ChangeDecided, CopyFinished, CopyOverdue, IntentRecorded, RequestRefused
from cmam.domain.values.reasons import Reason
from cmam.openapi._pb.OpenApiModelMessages_pb2 import LIMIT
from cmam.store.past.replay import verify
from tests.rulebook import BUY, EURUSD, SELL, UNIT, Case, Rulebook

UNITS = {"volume.basis": "units"}
VOLUME = 70_000 * UNIT
TARGET = "target "
"""What the kind of alert about a target that is left out begins with."""


def begun(*cases: Case) -> Rulebook:
    """A rulebook that runs."""
    book = Rulebook(list(cases))
    book.begin()
    return book


def refusals(book: Rulebook, name: str) -> list[str]:
    """The codes of what the follower's broker has refused."""
    return [event.error_code for event in book.events(book.ids[name], RequestRefused)]


def lacks(book: Rulebook, name: str) -> bool:
    """Whether an alert says that a copy lacks its target."""
    view = book.view(book.ids[name])
    assert view is not None
    return any(kind.startswith(TARGET) for kind in view.alerts)


def held(book: Rulebook, name: str) -> tuple[float, float]:
    """Stop and target of the one position there is."""
    ((_, stop, target, _),) = book.levels(name)
    return stop, target


def is_sound(book: Rulebook) -> bool:
    """Whether the record says again what was done, and nothing failed."""
    return verify(book.log.read_all()).is_identical and book.stepper.failures == []


OPENS = [
    Case("plain", "Odd", UNITS, (1.0752, 1.0882)),
    Case("netted", "Odd", UNITS, (1.0752, 1.0882), kind="netted"),
    Case("price", "Odd", {**UNITS, "levels": "price"}, (1.0751, 1.0880)),
    Case("range", "Odd", {**UNITS, "max_slippage": "100"}, (1.0752, 1.0882)),
    Case("offset", "Odd", {**UNITS, "tp_offset": "5"}, (1.0752, 1.0887)),
    Case("fixed", "Odd", {**UNITS, "fixed_tp": "35"}, (1.0752, 1.0887)),
    Case("risk", "Odd", {"volume.mode": "risk_percent", "volume.amount": "1"}, (1.0752, 1.0882)),
    Case("far", "Odd", {**UNITS, "tp_offset": "10"}, (1.0752, 1.0892)),
]


def test_an_open_whose_target_is_too_near_is_copied_and_gets_it_when_the_market_is_far_enough() -> None:
    """30 pips where the broker asks for 40: no refusal, an alert until it is set, and the number in the decision."""
    book = begun(*OPENS)
    position = book.person.buy(VOLUME, symbol=EURUSD, relativeStopLoss=1_000, relativeTakeProfit=300)
    book.go(3)
    for case in OPENS:
        stop, target = case.expected
        is_left_out = case.name != "far"
        assert held(book, case.name) == (stop, 0.0 if is_left_out else target), case.name
        assert lacks(book, case.name) is is_left_out, case.name
        decided = book.events(book.ids[case.name], ChangeDecided)[0]
        assert ("target_left_out" in [step.name for step in decided.working]) is is_left_out
    book.price("EURUSD", "1.0838")
    book.go(1)
    for case in OPENS:
        assert held(book, case.name) == case.expected, case.name
        assert not lacks(book, case.name)
        assert refusals(book, case.name) == []
    book.person.close(position, VOLUME)
    book.go(3)
    assert all(book.held(case.name) == [] for case in OPENS)
    assert is_sound(book)


def test_the_leaders_stop_that_is_a_reversed_copys_target_is_left_out_like_any() -> None:
    """He buys with a stop 30 pips away: ours sells, its target is set once the market has risen."""
    book = begun(Case("turned", "Odd", {**UNITS, "reverse": "on"}))
    position = book.person.buy(VOLUME, symbol=EURUSD, relativeStopLoss=300, relativeTakeProfit=1_000)
    book.go(3)
    ((side, stop, target, _),) = book.levels("turned")
    assert (side, target) == (SELL, 0.0)
    assert stop == 1.0950
    book.price("EURUSD", "1.0862")
    book.go(1)
    assert held(book, "turned") == (stop, 1.0820)
    book.person.close(position, VOLUME)
    book.go(3)
    assert book.held("turned") == []
    assert refusals(book, "turned") == []
    assert is_sound(book)


def test_a_target_that_the_market_reaches_while_it_is_left_out_closes_the_copy() -> None:
    """`fixed_tp` of 20 pips: no leader closes there, and the broker would have."""
    book = begun(Case("fixed", "Odd", {**UNITS, "fixed_tp": "20"}), Case("plain", "Odd", UNITS))
    book.person.buy(VOLUME, symbol=EURUSD, relativeStopLoss=1_000)
    book.go(3)
    book.price("EURUSD", "1.0871")
    book.go(1)
    assert held(book, "fixed") == (1.0752, 0.0)
    book.price("EURUSD", "1.0872")
    book.go(1)
    assert book.held("fixed") == []
    assert [event.reason for event in book.events(book.ids["fixed"], CopyFinished)] == [Reason.CLOSED_BY_LEVEL]
    assert held(book, "plain") == (1.0752, 0.0)
    assert is_sound(book)


@pytest.mark.parametrize("kind", ["hedged", "netted"])
def test_a_stop_moves_though_the_target_that_stands_is_too_near_by_now(kind: str) -> None:
    """The broker looks at both and refuses both: once. The stop goes alone, the target comes back with the room."""
    book = begun(Case("plain", "Odd", UNITS, kind=kind))
    position = book.person.buy(VOLUME, symbol=EURUSD, relativeStopLoss=1_000, relativeTakeProfit=900)
    book.go(3)
    assert held(book, "plain") == (1.0752, 1.0942)
    book.price("EURUSD", "1.0912")
    book.go(2)
    for stop in (1.0790, 1.0800, 1.0810):
        book.person.amend(position, stop=stop, target=1.09408)
        book.go(1)
        assert held(book, "plain") == (pytest.approx(stop + 0.0002), 0.0)
        assert lacks(book, "plain")
    assert refusals(book, "plain") == ["PROTECTION_IS_TOO_CLOSE_TO_MARKET"]
    book.price("EURUSD", "1.0890")
    book.go(1)
    assert held(book, "plain") == (1.0812, 1.0942)
    assert not lacks(book, "plain")
    assert len(refusals(book, "plain")) == 1
    assert is_sound(book)


@pytest.mark.parametrize("kind", ["hedged", "netted"])
def test_a_stop_moves_beside_a_target_that_is_moved_too_near_and_the_old_target_stays(kind: str) -> None:
    """Both in one amendment: nothing is refused, and the farther target guards until the nearer may be set."""
    book = begun(Case("plain", "Odd", UNITS, kind=kind))
    position = book.person.buy(VOLUME, symbol=EURUSD, relativeStopLoss=1_000, relativeTakeProfit=900)
    book.go(3)
    book.person.amend(position, stop=1.0770, target=1.0875)
    book.go(1)
    assert held(book, "plain") == (1.0772, 1.0942)
    assert lacks(book, "plain")
    (text,) = [raised.text for raised in book.events(book.ids["plain"], AlertRaised) if raised.kind.startswith(TARGET)]
    assert "its old target of 1.0942: 1.0876 is too near" in text
    amended = book.events(book.ids["plain"], ChangeDecided)[-1]
    assert [(step.name, step.value) for step in amended.working] == [("target_left_out", "1.0876")]
    book.price("EURUSD", "1.0836")
    book.go(1)
    assert held(book, "plain") == (1.0772, 1.0876)
    assert refusals(book, "plain") == []
    assert is_sound(book)


@pytest.mark.parametrize("kind", ["hedged", "netted"])
def test_a_target_that_is_far_is_not_called_too_near_where_its_stop_is_refused(kind: str) -> None:
    """Both moved, the stop to 42 pips of the market: what holds the target up is the stop, and both are set at once."""
    book = begun(Case("plain", "Odd", UNITS, kind=kind))
    position = book.person.buy(VOLUME, symbol=EURUSD, relativeStopLoss=1_000, relativeTakeProfit=900)
    book.go(3)
    book.person.amend(position, stop=1.0806, target=1.1005)
    book.go(3)
    assert held(book, "plain") == (1.0752, 1.0942)
    (text,) = [raised.text for raised in book.events(book.ids["plain"], AlertRaised) if raised.kind.startswith(TARGET)]
    assert "its old target of 1.0942: 1.1006 is held up by the stop that goes with it" in text
    assert lacks(book, "plain")
    book.price("EURUSD", "1.0880")
    book.go(10)
    assert held(book, "plain") == (1.0808, 1.1006)
    assert not lacks(book, "plain")
    assert is_sound(book)


@pytest.mark.parametrize("kind", ["hedged", "netted"])
def test_a_target_is_not_taken_away_for_a_stop_that_was_to_blame(kind: str) -> None:
    """Refused without the target too, it was the stop: the target that stands goes with the next one."""
    book = begun(Case("plain", "Odd", UNITS, kind=kind))
    position = book.person.buy(VOLUME, symbol=EURUSD, relativeStopLoss=1_000, relativeTakeProfit=900)
    book.go(3)
    book.person.amend(position, stop=1.0810, target=1.09408)
    book.go(3)
    assert held(book, "plain") == (1.0752, 1.0942)
    assert refusals(book, "plain")
    book.person.amend(position, stop=1.0770, target=1.09408)
    book.go(3)
    assert held(book, "plain") == (1.0772, 1.0942)
    asked = [event.command for event in book.events(book.ids["plain"], IntentRecorded)]
    assert [command.target for command in asked if command.stop == 107_720_000] == [109_420_000]
    assert not lacks(book, "plain")
    assert is_sound(book)


def test_where_the_old_target_is_too_near_as_well_the_stop_goes_alone() -> None:
    """Old and new within 40 pips: the new is known to be, the old is found out by one refusal."""
    book = begun(Case("plain", "Odd", UNITS))
    position = book.person.buy(VOLUME, symbol=EURUSD, relativeStopLoss=1_000, relativeTakeProfit=500)
    book.go(3)
    book.price("EURUSD", "1.0870")
    book.go(2)
    book.person.amend(position, stop=1.0770, target=1.0895)
    book.go(1)
    assert held(book, "plain") == (1.0772, 0.0)
    assert len(refusals(book, "plain")) == 1
    book.price("EURUSD", "1.0848")
    book.go(1)
    assert held(book, "plain") == (1.0772, 1.0896)
    assert is_sound(book)


def test_the_leader_moves_a_target_that_is_left_out_or_takes_it_away() -> None:
    """A farther one is set at once; none at all is nothing to wait for."""
    book = begun(Case("plain", "Odd", UNITS))
    position = book.person.buy(VOLUME, symbol=EURUSD, relativeStopLoss=1_000, relativeTakeProfit=300)
    book.go(3)
    book.person.amend(position, stop=1.0750, target=1.0900)
    book.go(1)
    assert held(book, "plain") == (1.0752, 1.0901)
    assert not lacks(book, "plain")
    book.person.amend(position, stop=1.0750, target=1.0870)
    book.go(1)
    assert held(book, "plain") == (1.0752, 1.0901)
    book.person.amend(position, stop=1.0750)
    book.go(1)
    assert held(book, "plain") == (1.0752, 0.0)
    assert not lacks(book, "plain")
    book.price("EURUSD", "1.0830")
    book.go(2)
    assert held(book, "plain") == (1.0752, 0.0)
    assert refusals(book, "plain") == []
    assert is_sound(book)


def test_a_target_waits_while_the_stop_beside_it_is_too_near() -> None:
    """Where the market is far from the target it is near the stop: no stop is given up for a target."""
    book = begun(Case("plain", "Odd", UNITS))
    book.person.buy(VOLUME, symbol=EURUSD, relativeStopLoss=700, relativeTakeProfit=300)
    book.go(3)
    book.price("EURUSD", "1.0820")
    book.go(5)
    assert held(book, "plain") == (1.0782, 0.0)
    assert refusals(book, "plain") == []
    book.price("EURUSD", "1.0842")
    book.go(1)
    assert held(book, "plain") == (1.0782, 1.0882)
    assert is_sound(book)


def test_what_is_left_out_is_known_after_a_restart() -> None:
    """Folded from the record: nothing is asked for before the market allows it."""
    book = begun(Case("plain", "Odd", UNITS))
    book.person.buy(VOLUME, symbol=EURUSD, relativeStopLoss=1_000, relativeTakeProfit=300)
    book.go(3)
    book.kill()
    book.begin()
    assert lacks(book, "plain")
    assert held(book, "plain") == (1.0752, 0.0)
    book.price("EURUSD", "1.0838")
    book.go(1)
    assert held(book, "plain") == (1.0752, 1.0882)
    assert refusals(book, "plain") == []
    assert is_sound(book)


def test_a_pending_order_rests_without_a_target_that_is_too_near_and_has_it_after_its_fill() -> None:
    """So does one that is amended: its price moves whatever becomes of the target."""
    book = begun(Case("plain", "Odd", UNITS))
    order = book.person.place(
        LIMIT, VOLUME, price=1.0820, symbol=EURUSD, relativeStopLoss=1_000, relativeTakeProfit=500
    )
    book.go(2)
    near = {"relativeStopLoss": 1_000, "relativeTakeProfit": 300}
    book.person.amend_order(order, volume=VOLUME, limitPrice=1.0830, **near)
    book.go(2)
    (rests,) = book.person.rests(book.ids["plain"])
    assert (rests.limitPrice, rests.relativeStopLoss, rests.relativeTakeProfit) == (1.0830, 1_000, 0)
    book.price("EURUSD", "1.0828")
    book.go(4)
    assert held(book, "plain") == (1.0730, 0.0)
    book.price("EURUSD", "1.0816")
    book.go(2)
    assert held(book, "plain") == (1.0730, 1.0860)
    assert refusals(book, "plain") == []
    assert is_sound(book)


@pytest.mark.parametrize("code", ["PROTECTION_IS_TOO_CLOSE_TO_MARKET", "TRADING_BAD_STOPS"])
def test_a_broker_that_refuses_an_open_for_its_target_without_a_distance_gets_it_without(code: str) -> None:
    """Same tells no distance: the second try leaves the target out, and it is asked for once the copy is open."""
    book = begun(Case("plain", "Same", UNITS))
    fault = {"account": str(book.ids["plain"]), "type": "2106", "code": code, "count": "1"}
    book.broker.set_fault("error", fault)
    book.person.buy(VOLUME, symbol=EURUSD, relativeStopLoss=1_000, relativeTakeProfit=300)
    book.go(1)
    book.broker.clear_fault("all")
    book.go(4)
    assert held(book, "plain") == (1.0751, pytest.approx(1.0881))
    assert refusals(book, "plain") == [code]
    assert "target" in [event.what for event in book.events(book.ids["plain"], CopyOverdue)]
    assert is_sound(book)


def test_an_order_whose_amendment_is_refused_for_its_target_is_amended_without() -> None:
    """Same tells no distance: price and stop move at once, and the target is set after the fill."""
    book = begun(Case("plain", "Same", UNITS))
    levels = {"relativeStopLoss": 1_000, "relativeTakeProfit": 500}
    order = book.person.place(LIMIT, VOLUME, price=1.0820, symbol=EURUSD, **levels)
    book.go(2)
    fault = {"account": str(book.ids["plain"]), "type": "2109", "code": "PROTECTION_IS_TOO_CLOSE_TO_MARKET"}
    book.broker.set_fault("error", {**fault, "count": "1"})
    amended = {"relativeStopLoss": 900, "relativeTakeProfit": 300}
    book.person.amend_order(order, volume=VOLUME, limitPrice=1.0830, **amended)
    book.go(1)
    (rests,) = book.person.rests(book.ids["plain"])
    assert (rests.limitPrice, rests.relativeStopLoss, rests.relativeTakeProfit) == (1.0830, 900, 0)
    book.price("EURUSD", "1.0828")
    book.go(5)
    assert held(book, "plain") == (1.0739, 1.0859)
    assert len(refusals(book, "plain")) == 1
    assert is_sound(book)


def test_a_target_that_is_refused_again_and_again_is_asked_for_less_and_less_often() -> None:
    """The broker's distance is larger than it tells: after 1, 2, 4 … 60 s."""
    book = begun(Case("plain", "Same", UNITS))
    position = book.person.buy(VOLUME, symbol=EURUSD, relativeStopLoss=1_000)
    book.go(3)
    fault = {"account": str(book.ids["plain"]), "type": "2110", "code": "PROTECTION_IS_TOO_CLOSE_TO_MARKET"}
    book.broker.set_fault("error", {**fault, "count": "1000"})
    book.person.amend(position, stop=1.07508, target=1.0880)
    book.go(200)
    assert 6 <= len(refusals(book, "plain")) <= 10
    book.broker.clear_fault("all")
    book.go(70)
    assert held(book, "plain") == (1.0751, 1.08802)
    assert is_sound(book)


def test_the_market_is_watched_however_seldom_the_target_is_asked_for() -> None:
    """Refused for half a minute: a market that touches the target and turns between two requests closes the copy."""
    book = begun(Case("fixed", "Same", {**UNITS, "fixed_tp": "20"}))
    fault = {"account": str(book.ids["fixed"]), "code": "PROTECTION_IS_TOO_CLOSE_TO_MARKET"}
    book.broker.set_fault("error", {**fault, "type": "2106", "count": "1"})
    book.person.buy(VOLUME, symbol=EURUSD, relativeStopLoss=1_000)
    book.go(0.5)
    book.broker.set_fault("error", {**fault, "type": "2110", "count": "1000"})
    book.go(40)
    assert len(refusals(book, "fixed")) == 6
    assert held(book, "fixed") == (1.0751, 0.0)
    book.price("EURUSD", "1.0872")
    book.go(1)
    book.price("EURUSD", "1.0850")
    book.go(3)
    assert book.held("fixed") == []
    assert [event.reason for event in book.events(book.ids["fixed"], CopyFinished)] == [Reason.CLOSED_BY_LEVEL]
    assert is_sound(book)


@pytest.mark.parametrize("who", ["pin", "leader"])
def test_a_persons_target_that_was_in_the_way_of_a_stop_comes_back(who: str) -> None:
    """`copy_tp=off`: nobody but the person has a say in it, and he did not take it away."""
    book = begun(Case("own", "Odd", {**UNITS, "copy_tp": "off", "human_levels": who}))
    position = book.person.buy(VOLUME, symbol=EURUSD, relativeStopLoss=1_000, relativeTakeProfit=2_000)
    book.go(3)
    (mine,) = book.held("own")
    assert mine.target == 0.0
    book.person.amend(mine.position, account=book.ids["own"], stop=mine.stop, target=1.0950)
    book.go(1)
    book.price("EURUSD", "1.0920")
    book.go(2)
    book.person.amend(position, stop=1.0790, target=1.1050)
    book.go(1)
    assert held(book, "own") == (1.0792, 0.0)
    book.price("EURUSD", "1.0900")
    book.go(1)
    assert held(book, "own") == (1.0792, 1.0950)
    assert is_sound(book)


def test_a_net_of_several_shares_has_no_target_to_leave_out() -> None:
    """Two shares: none is wanted, none is lacked; alone again, the one that is left gets its own when it may."""
    book = begun(Case("net", "Odd", UNITS, kind="netted"))
    first = book.person.buy(VOLUME, symbol=EURUSD, relativeStopLoss=1_000, relativeTakeProfit=300)
    book.go(3)
    second = book.person.buy(VOLUME, symbol=EURUSD, relativeStopLoss=1_200, relativeTakeProfit=1_000)
    book.go(3)
    assert held(book, "net")[1] == 0.0
    assert not lacks(book, "net")
    book.price("EURUSD", "1.0838")
    book.go(2)
    assert held(book, "net")[1] == 0.0
    book.person.close(second, VOLUME)
    book.go(3)
    assert held(book, "net") == (1.0752, 1.0882)
    book.person.close(first, VOLUME)
    book.go(3)
    assert book.held("net") == []
    assert is_sound(book)


def test_a_copy_that_grows_gets_its_target_all_the_same() -> None:
    """An add carries no levels: what is left out stays so, and is set with the room."""
    book = begun(Case("plain", "Odd", UNITS))
    position = book.person.buy(VOLUME, symbol=EURUSD, relativeStopLoss=1_000, relativeTakeProfit=300)
    book.go(3)
    book.person.buy(VOLUME, symbol=EURUSD, side=BUY, positionId=position)
    book.go(3)
    (mine,) = book.held("plain")
    assert (mine.volume, mine.target) == (2 * VOLUME, 0.0)
    book.price("EURUSD", "1.0838")
    book.go(1)
    assert held(book, "plain")[1] == 1.0882
    assert is_sound(book)
