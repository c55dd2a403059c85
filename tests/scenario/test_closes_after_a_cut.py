"""What leaders close after a cut is closed at once: only opens wait until it has been read what symbols allow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from cmam.domain.events import ChangeDecided, CopyFinished, Wait
from cmam.domain.values.reasons import Reason
from cmam.openapi import catalogue
from cmam.openapi._pb import OpenApiMessages_pb2 as pb
from cmam.sandbox.service.delivery import Send
from cmam.sandbox.switches import Switches
from cmam.store.past.replay import verify
from tests.person import EURUSD, LEADER, PERSON_CONNECTION
from tests.scenario.lies import copies, tell
from tests.whole import ALPHA_TOO, SAME_BROKER, Whole
from tests.worlds import FIRST, crowded, long_list

LOT, SOME = 10_000_000, 10_000
ASSETS, SYMBOLS, SPECS, SPECS_TOLD, TRADER, JOIN, LOOK = 2112, 2114, 2116, 2117, 2121, 2102, 2124
CLOSE, DEALS, ORDERS = 2111, 2133, catalogue.type_of(pb.ProtoOAOrderListByPositionIdReq())
LATE = FIRST + 300


def _holding(whole: Whole) -> int:
    """Let one lot be copied; answers the leader's position."""
    whole.start_ready()
    whole.person.buy(LOT)
    whole.run(5)
    books = [whole.broker.floor.accounts[follower].positions for follower in whole.followers]
    assert [[held.volume for held in book.values()] for book in books] == [[LOT]] * len(whole.followers)
    (held,) = whole.person.holds(LEADER)
    return held.position


def _endings(whole: Whole) -> list[Reason | None]:
    return [finished.reason for finished in whole.events(SAME_BROKER, CopyFinished)]


def _refuse(whole: Whole, kind: int, **more: int) -> None:
    """Have a kind of request refused, for one account or for all."""
    told: Mapping[str, str] = {name: str(value) for name, value in more.items()}
    whole.broker.set_fault("error", {"type": str(kind), "code": "BLOCKED_PAYLOAD_TYPE", **told})


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Callable[[Whole], list[int]]:
    """Notes what a system asks its broker from then on, by the kinds of the requests."""

    def listen(whole: Whole) -> list[int]:
        kinds: list[int] = []
        receive = whole.broker.receive

        def hear(connection: int, payload_type: int, *more: Any) -> None:
            if connection < PERSON_CONNECTION:
                kinds.append(payload_type)
            receive(connection, payload_type, *more)

        monkeypatch.setattr(whole.broker, "receive", hear)
        return kinds

    return listen


@pytest.mark.parametrize("gap", ["cut", "restart"])
@pytest.mark.parametrize("refused", [SYMBOLS, SPECS, TRADER])
def test_a_close_out_of_sight_does_not_wait_for_what_is_refused(refused: int, gap: str) -> None:
    """The leader closes while nobody listens, and then the broker tells nothing of what it offers: the copy closes."""
    whole = Whole(seed=2)
    position = _holding(whole)
    _refuse(whole, refused)
    if gap == "cut":
        whole.stepper.network.cut_all()
    else:
        whole.kill()
    whole.person.close(position, LOT)
    if gap == "restart":
        whole.start()
    whole.run(8)
    assert copies(whole) == [[]]


@pytest.mark.parametrize("fault", ["error", "drop"])
@pytest.mark.parametrize("closed_s", [0, 3])
@pytest.mark.parametrize(("kind", "account"), [(DEALS, LEADER), (ORDERS, SAME_BROKER)])
def test_a_close_does_not_wait_for_a_history(kind: int, account: int, fault: str, closed_s: int) -> None:
    """A leader's deals, or the orders of what another store has on a follower, are refused for minutes, or never
    answered: what he closed during the cut or after it is closed."""
    whole = Whole(seed=2)
    position = _holding(whole)
    whole.person.buy(SOME * 100, account=SAME_BROKER, label="cm1.other.1dpd5f.papzz")
    whole.run(1)
    more = {"code": "BLOCKED_PAYLOAD_TYPE", "retry_after": "300"} if fault == "error" else {}
    whole.broker.set_fault(fault, {"type": str(kind), "account": str(account), "count": "1", **more})
    whole.stepper.network.cut_all()
    whole.run(closed_s)
    whole.person.close(position, LOT)
    whole.run(8)
    assert copies(whole) == [[SOME * 100]]
    assert _endings(whole) == [Reason.CLOSED_BY_LEADER]
    assert verify(whole.log.read_all()).is_identical


@pytest.mark.parametrize(("refused", "waits"), [(SAME_BROKER, [Wait.QUOTES, None]), (LEADER, [None, None])])
def test_an_open_waits_until_its_symbol_is_read(refused: int, waits: list[Wait | None]) -> None:
    """What was known of before the cut may be wrong by now, on either side; what closes meanwhile waits for nothing."""
    whole = Whole(seed=2)
    position = _holding(whole)
    _refuse(whole, SPECS, account=refused)
    whole.stepper.network.cut_all()
    whole.run(6)
    whole.person.buy(2 * LOT)
    whole.run(1)
    whole.person.close(position, LOT)
    whole.run(1)
    assert copies(whole) == [[]]
    whole.broker.clear_fault("error")
    whole.run(15)
    assert copies(whole) == [[2 * LOT]]
    decided = whole.events(SAME_BROKER, ChangeDecided)[1:]
    assert [one.wait for one in decided] == waits
    assert [one.inputs.reading for one in decided] == [wait is not None for wait in waits]
    assert verify(whole.log.read_all()).is_identical


def test_an_open_waits_until_it_is_known_what_the_account_is_worth() -> None:
    """The balance of before the cut may be wrong by now: nothing is sized by it, and closes wait for nothing."""
    whole = Whole(seed=2)
    position = _holding(whole)
    _refuse(whole, TRADER, account=SAME_BROKER)
    whole.stepper.network.cut_all()
    whole.run(6)
    whole.person.buy(2 * LOT)
    whole.person.close(position, LOT)
    whole.run(2)
    assert copies(whole) == [[]]
    whole.broker.clear_fault("error")
    whole.run(20)
    assert copies(whole) == [[2 * LOT]]
    assert verify(whole.log.read_all()).is_identical


def test_of_a_crowd_everybody_is_looked_at_before_anybodys_list_is_read(asked: Callable[[Whole], list[int]]) -> None:
    """Fifty requests a second are few where a hundred accounts come back: what is held is asked for first of all."""
    followers = tuple(range(42_000_000, 42_000_020))
    whole = Whole(seed=2, followers=followers, world=crowded(followers))
    position = _holding(whole)
    kinds = asked(whole)
    whole.stepper.network.cut_all()
    whole.person.close(position, LOT)
    whole.run(20)
    looks = [place for place, kind in enumerate(kinds) if kind == LOOK]
    assert SPECS not in kinds[: looks[len(followers)]]
    assert kinds.count(CLOSE) == len(followers)


@pytest.mark.parametrize("refused", [ASSETS, SPECS])
def test_an_open_that_waited_meets_its_symbol_as_it_is_now(refused: int) -> None:
    """The step changed during the cut, and is read after the open was told: it is not opened by the step of before."""
    whole = Whole(seed=2)
    _holding(whole)
    _refuse(whole, refused, account=SAME_BROKER)
    whole.broker.set_fault("symbol", {"broker": "Alpha Markets", "symbol": "EURUSD", "set": "step_volume=1000000"})
    whole.stepper.network.cut_all()
    whole.run(6)
    whole.person.buy(2 * LOT)
    whole.run(2)
    whole.broker.clear_fault("error")
    whole.run(15)
    assert copies(whole) == [[LOT]]
    assert _endings(whole) == [Reason.SYMBOL_CHANGED]
    assert verify(whole.log.read_all()).is_identical


def test_an_open_whose_symbol_cannot_be_read_is_skipped_when_it_is_too_old() -> None:
    """Half a minute later nobody wants it any more: the skip is on record, with its reason."""
    whole = Whole(seed=2)
    _holding(whole)
    _refuse(whole, SPECS, account=SAME_BROKER)
    whole.stepper.network.cut_all()
    whole.run(6)
    whole.person.buy(2 * LOT)
    whole.run(40)
    assert _endings(whole) == [Reason.TOO_OLD]
    whole.broker.clear_fault("error")
    whole.run(30)
    assert copies(whole) == [[LOT]]
    assert verify(whole.log.read_all()).is_identical


@pytest.mark.parametrize("follower", [SAME_BROKER, ALPHA_TOO])
def test_a_long_list_is_read_beside_closes_and_a_symbol_of_it_as_it_is_needed(
    monkeypatch: pytest.MonkeyPatch, follower: int
) -> None:
    """Of the list only what the account trades has been told again: closes go, and what nobody ever traded is asked for
    when the leader opens in it."""
    world, switches = long_list(400), Switches(history_days=0)
    whole = Whole(seed=2, followers=(follower,), world=world, switches=switches)
    position = _holding(whole)
    withheld: list[int] = []

    def reticent(said: Send) -> list[Send]:
        if said.payload_type == SPECS_TOLD:
            told = [symbol.symbolId for symbol in pb.ProtoOASymbolByIdRes.FromString(said.payload).symbol]
            if EURUSD not in told and len(told) > 1:
                withheld.extend(told)
                return []
        return [said]

    tell(monkeypatch, whole, reticent)
    whole.stepper.network.cut_all()
    whole.run(3)
    assert withheld
    whole.person.close(position, LOT)
    whole.run(1)
    assert copies(whole) == [[]]
    whole.person.buy(SOME, symbol=LATE)
    whole.run(5)
    assert [held.symbol for held in whole.person.holds(follower)] == [LATE]
    assert verify(whole.log.read_all()).is_identical


def test_what_is_held_in_a_symbol_that_nobody_knows_is_read_first() -> None:
    """The leader opens during the cut in what was never traded: the copy has its size, and a close is followed."""
    world, switches = long_list(400), Switches(history_days=0)
    whole = Whole(seed=2, world=world, switches=switches, settings={"max_age": "120s", "sync_open": "on"})
    _holding(whole)
    whole.stepper.network.cut_all()
    whole.person.buy(SOME, symbol=LATE)
    whole.run(10)
    assert [held.symbol for held in whole.person.holds(SAME_BROKER)] == [EURUSD, LATE]
    held = next(held for held in whole.person.holds(LEADER) if held.symbol == LATE)
    whole.person.close(held.position, SOME)
    whole.run(1)
    assert copies(whole) == [[LOT]]
    assert verify(whole.log.read_all()).is_identical


def _before_the_last(kind: int, asked: list[int], counted: int) -> int:
    """How many requests of one kind left before the last of another."""
    return asked[: len(asked) - asked[::-1].index(kind)].count(counted)


def test_who_holds_copies_is_back_before_who_holds_none(asked: Callable[[Whole], list[int]]) -> None:
    """Of two hundred accounts ten hold a copy whose leader has closed: they are flat before most are asked for."""
    crowd = tuple(range(42_000_000, 42_000_200))
    holders = crowd[-10:]
    whole = Whole(seed=2, followers=holders, world=crowded(crowd))
    whole.add_accounts(ALPHA_TOO, *crowd[:-10])
    whole.add_profile("idle", ALPHA_TOO, crowd[:-10])
    position = _holding(whole)
    kinds = asked(whole)
    whole.stepper.network.cut_all()
    whole.person.close(position, LOT)
    whole.run(20)
    assert copies(whole) == [[]] * len(holders)
    assert kinds.count(JOIN) == len(crowd) + 2
    assert _before_the_last(CLOSE, kinds, JOIN) < 60


def test_whose_leader_has_closed_is_back_before_all_others(asked: Callable[[Whole], list[int]]) -> None:
    """Two hundred accounts hold copies, and one of two leaders closes: his followers overtake those of the other."""
    crowd = tuple(range(42_000_000, 42_000_200))
    followers = crowd[-5:]
    whole = Whole(seed=2, followers=followers, world=crowded(crowd))
    whole.add_accounts(ALPHA_TOO, *crowd[:-5])
    whole.add_profile("other", ALPHA_TOO, crowd[:-5])
    position = _holding(whole)
    whole.person.buy(LOT, account=ALPHA_TOO)
    whole.run(10)
    assert all(whole.broker.floor.accounts[follower].positions for follower in crowd)
    kinds = asked(whole)
    whole.stepper.network.cut_all()
    whole.person.close(position, LOT)
    whole.run(20)
    assert copies(whole) == [[]] * len(followers)
    assert _before_the_last(CLOSE, kinds, LOOK) < 120


@pytest.mark.parametrize("kind", ["cut-before", "cut-after", "drop", "silence"])
@pytest.mark.parametrize("part", [LOT, LOT // 2])
def test_a_close_of_unknown_outcome_waits_for_no_history(kind: str, part: int) -> None:
    """What has become of it the position shows, read back once it must have settled: it is asked for again where that
    stands, and once only, though the server tells nothing of the past for an hour."""
    whole = Whole(seed=3)
    position = _holding(whole)
    for history in (pb.ProtoOAOrderListReq(), pb.ProtoOAOrderListByPositionIdReq(), pb.ProtoOADealListReq()):
        _refuse(whole, catalogue.type_of(history), retry_after=3_600)
    whole.broker.set_fault(kind, {"account": str(SAME_BROKER), "type": str(CLOSE), "count": "1"})
    whole.person.close(position, part)
    whole.run(40)
    assert sum(held.volume for held in whole.person.holds(SAME_BROKER)) == LOT - part
    view = whole.view(SAME_BROKER)
    assert view is not None
    assert not view.intents
    assert verify(whole.log.read_all()).is_identical
    assert whole.stepper.failures == []
