"""What a broker offers is read beside all else: nothing that comes meanwhile is told twice, late or out of turn."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.actors import messages as m
from cmam.actors.accounts.account import AccountActor
from cmam.actors.asking.preparation import Kind
from cmam.domain.events import AttemptDecided, ChangeDecided, CopyFinished
from cmam.domain.values.changes import ChangeKind
from cmam.domain.values.reasons import Reason
from cmam.openapi import catalogue
from cmam.openapi._pb import OpenApiMessages_pb2 as pb
from cmam.sandbox.service.delivery import Send
from cmam.sandbox.switches import Switches
from cmam.store.past.replay import verify
from tests.person import EURUSD, LEADER
from tests.scenario.lies import copies, tell
from tests.whole import ALPHA_TOO, OTHER_BROKER, SAME_BROKER, YEN, Whole
from tests.worlds import FIRST, long_list

LOT, SOME = 10_000_000, 10_000
ASSETS, SYMBOLS, SPECS, TRADER, SNAPSHOT, TIERS, REFUSAL = 2113, 2115, 2117, 2122, 2125, 2178, 2142
LATE = FIRST + 300


class Gate:
    """Stands between broker and copier: refuses what is asked of accounts, or keeps the answers for a while."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, whole: Whole) -> None:
        self.refused: set[tuple[int, int]] = set()
        self.kept: set[tuple[int, int]] = set()
        self.turned_away = 0
        self.spares_sample = False
        """Whether what is said of several symbols, that which is traded among them, is not kept."""
        self._whole = whole
        self._waiting: list[Send] = []
        tell(monkeypatch, whole, self._pass)

    def _pass(self, said: Send) -> list[Send]:
        message = catalogue.MESSAGES[said.payload_type].FromString(said.payload)
        what = (getattr(message, "ctidTraderAccountId", 0), said.payload_type)
        is_sample = said.payload_type == SPECS and EURUSD in [symbol.symbolId for symbol in message.symbol]
        if what in self.kept and not (is_sample and self.spares_sample):
            self._waiting.append(said)
            return []
        if what in self.refused:
            self.turned_away += 1
            refusal = pb.ProtoOAErrorRes(ctidTraderAccountId=what[0], errorCode="CH_SERVER_NOT_REACHABLE")
            return [replace(said, payload_type=REFUSAL, payload=refusal.SerializeToString())]
        return [said]

    @property
    def has_kept(self) -> bool:
        """Whether any answer waits."""
        return bool(self._waiting)

    def release(self, *kinds: int) -> None:
        """Let the answers go that were kept: of these kinds, or all."""
        gone = [said for said in self._waiting if not kinds or said.payload_type in kinds]
        self._waiting = [said for said in self._waiting if said not in gone]
        self.kept = {(account, kind) for account, kind in self.kept if kinds and kind not in kinds}
        take = self._whole.broker.take_output
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self._whole.broker, "take_output", lambda: [*take(), *gone])
            self._whole.stepper.network.collect()


def _account(whole: Whole, account: int) -> AccountActor:
    actor = whole.stepper.directory.actor(m.account_name(account))
    assert isinstance(actor, AccountActor)
    return actor


def _long() -> Whole:
    return Whole(seed=2, world=long_list(400), switches=Switches(history_days=0))


def _hold(whole: Whole, seconds: float = 5) -> int:
    """Let one lot be copied; answers the leader's position."""
    whole.start_ready()
    position = whole.person.buy(LOT)
    whole.run(seconds)
    assert copies(whole) == [[LOT]] * len(whole.followers)
    return position


def _change(whole: Whole, setting: str) -> None:
    whole.broker.set_fault("symbol", {"broker": "Alpha Markets", "symbol": "EURUSD", "set": setting})
    whole.stepper.network.collect()


def _kinds(whole: Whole, account: int) -> list[ChangeKind]:
    return [decided.change.kind for decided in whole.events(account, ChangeDecided)]


def test_a_close_waits_no_longer_where_all_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patience counts from the first answer, and a refusal is one."""
    whole = Whole(seed=2)
    position = _hold(whole)
    gate = Gate(monkeypatch, whole)
    gate.refused = {(account, kind) for account in whole.accounts for kind in (ASSETS, SYMBOLS, TRADER)}
    whole.stepper.network.cut_all()
    whole.person.close(position, LOT)
    whole.run(3.2)
    assert copies(whole) == [[]]


def test_an_old_snapshot_is_not_taken_for_a_new_one_since_something_else_was_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The leader closes after it was taken; what is asked anew of symbols before it comes says nothing of its age."""
    whole = Whole(seed=2)
    position = _hold(whole)
    gate = Gate(monkeypatch, whole)
    gate.refused = {(LEADER, SPECS)}
    whole.stepper.network.cut_all()
    whole.run(4)
    gate.kept = {(LEADER, SNAPSHOT)}
    _account(whole, LEADER)._questions.prepare(Kind.REFRESH)
    whole.run(0.1)
    assert gate.has_kept
    whole.person.close(position, LOT)
    whole.run(4)
    gate.release()
    whole.run(5)
    assert _kinds(whole, SAME_BROKER) == [ChangeKind.OPENED, ChangeKind.CLOSED]


def test_what_is_refused_for_ever_is_asked_for_twice_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """The looks of once a minute begin no new row of pauses: five hundred such accounts would fill the window."""
    whole = Whole(seed=2)
    _hold(whole)
    gate = Gate(monkeypatch, whole)
    gate.refused = {(SAME_BROKER, SPECS)}
    whole.stepper.network.cut_all()
    whole.run(60)
    before = gate.turned_away
    whole.run(600)
    assert gate.turned_away - before <= 20


def test_closes_wait_for_many_unknown_symbols_no_longer_than_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody tells a follower of four symbols, one after the other: the spans run side by side."""
    whole = _long()
    position = _hold(whole)
    gate = Gate(monkeypatch, whole)
    gate.refused = {(SAME_BROKER, SPECS)}
    whole.stepper.network.cut_all()
    whole.run(6)
    for number in range(4):
        whole.person.buy(SOME, symbol=LATE + number)
        whole.run(0.1)
    whole.person.close(position, LOT)
    whole.run(2.6)
    assert copies(whole) == [[]]


def test_of_what_comes_with_a_cut_unknown_symbols_are_waited_for_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """The follower's line is back last: what its leader did meanwhile waits two seconds more, not two for each."""
    whole = Whole(seed=2, world=long_list(400), switches=Switches(history_days=0), settings={"max_age": "60s"})
    position = _hold(whole)
    gate = Gate(monkeypatch, whole)
    gate.refused, gate.kept = {(SAME_BROKER, SPECS)}, {(SAME_BROKER, SNAPSHOT)}
    whole.stepper.network.cut_all()
    whole.run(4)
    for number in range(4):
        whole.person.buy(SOME, symbol=LATE + number)
        whole.run(0.1)
    whole.person.close(position, LOT)
    whole.run(0.5)
    assert copies(whole) == [[LOT]]
    gate.release()
    whole.run(2.6)
    assert copies(whole) == [[]]


@pytest.mark.parametrize("is_listed_first", [False, True])
def test_a_copy_that_waits_through_a_cut_meets_its_symbol_as_it_is_now(
    monkeypatch: pytest.MonkeyPatch, is_listed_first: bool
) -> None:
    """It has neither a position nor an order that would tell its symbol: the step of before is not opened by, whether
    the list is read after the account has been looked at or before."""
    whole = Whole(seed=2, settings={"wait_for_better": "20", "max_age": "600s"})
    gate = Gate(monkeypatch, whole)
    whole.start_ready()
    whole.person.buy(LOT)
    whole.run(5)
    (held,) = whole.person.holds(LEADER)
    whole.stepper.network.cut_all()
    _change(whole, "step_volume=1000000")
    gate.kept = {(SAME_BROKER, SNAPSHOT)} if is_listed_first else set()
    whole.run(10)
    gate.release()
    whole.broker.set_fault("price", {"symbol": "EURUSD", "bid": f"{held.price - 0.004:.5f}"})
    whole.run(10)
    assert copies(whole) == [[]]
    assert [ended.reason for ended in whole.events(SAME_BROKER, CopyFinished)] == [Reason.SYMBOL_CHANGED]
    assert verify(whole.log.read_all()).is_identical


def test_what_a_leader_opens_in_a_symbol_that_has_just_changed_waits_for_the_next_look_and_no_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The word of it came while the account was looked over; what is held back does not hold up that look."""
    whole = Whole(seed=2)
    _hold(whole)
    gate = Gate(monkeypatch, whole)
    gate.kept = {(LEADER, SNAPSHOT)}
    whole.stepper.network.cut_all()
    whole.run(3)
    assert gate.has_kept
    _change(whole, "sl_distance=7")
    whole.run(0.1)
    gate.release()
    whole.run(0.2)
    whole.person.buy(2 * LOT)
    whole.run(0.3)
    assert copies(whole) == [[LOT]]
    whole.run(2)
    assert copies(whole) == [[LOT, 2 * LOT]]
    assert _kinds(whole, SAME_BROKER) == [ChangeKind.OPENED, ChangeKind.OPENED]
    assert verify(whole.log.read_all()).is_identical


def test_what_an_account_has_asked_for_itself_is_told_it_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It follows and leads: its own fill is not held back for its followers, else it could not close what it has."""
    switches = Switches(history_days=0, fill_delay_ms=6_000)
    whole = Whole(seed=2, switches=switches)
    whole.add_accounts(ALPHA_TOO)
    whole.add_profile("chain", SAME_BROKER, (ALPHA_TOO,))
    _hold(whole, 15)
    gate = Gate(monkeypatch, whole)
    position = whole.person.buy(2 * LOT)
    whole.run(6.3)
    gate.refused = {(SAME_BROKER, SPECS)}
    _change(whole, "sl_distance=7")
    whole.run(7)
    assert copies(whole) == [[LOT, 2 * LOT]]
    whole.person.close(position, 2 * LOT)
    whole.run(14)
    assert copies(whole) == [[LOT]]


def test_what_became_of_a_close_is_looked_up_while_an_open_is_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """It follows and leads: the look shows what is held back too, which is told once, in its turn."""
    whole = Whole(seed=2)
    whole.add_accounts(ALPHA_TOO)
    whole.add_profile("chain", SAME_BROKER, (ALPHA_TOO,))
    position = _hold(whole)
    gate = Gate(monkeypatch, whole)
    tell(monkeypatch, whole, lambda said: [] if _tells_a_close(said) else [said])
    gate.refused = {(SAME_BROKER, SPECS)}
    _change(whole, "sl_distance=7")
    whole.run(3)
    whole.person.buy(3 * LOT, account=SAME_BROKER)
    whole.person.close(position, LOT)
    whole.run(25)
    assert len(whole.events(SAME_BROKER, CopyFinished)) == 1
    assert _kinds(whole, ALPHA_TOO) == [ChangeKind.OPENED, ChangeKind.CLOSED]
    whole.run(30)
    assert _kinds(whole, ALPHA_TOO) == [ChangeKind.OPENED, ChangeKind.CLOSED, ChangeKind.OPENED]
    assert [held.volume for held in whole.person.holds(ALPHA_TOO)] == [3 * LOT]
    assert verify(whole.log.read_all()).is_identical


def _tells_a_close(said: Send) -> bool:
    """Whether a follower is told of a close here."""
    if said.payload_type != catalogue.EXECUTION:
        return False
    event = pb.ProtoOAExecutionEvent.FromString(said.payload)
    return bool(event.order.closingOrder) and event.ctidTraderAccountId == SAME_BROKER


def test_what_was_held_back_is_told_before_what_comes_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last that was to be read is never told: the open is let go with that, and its close comes behind it."""
    whole = Whole(seed=2, followers=(OTHER_BROKER,))
    whole.add_accounts(YEN)
    whole.add_profile("chain", OTHER_BROKER, (YEN,))
    gate = Gate(monkeypatch, whole)
    gate.refused = {(OTHER_BROKER, TIERS)}
    whole.start_ready()
    whole.run(3)
    whole.person.buy(LOT, account=OTHER_BROKER, symbol=2)
    whole.run(5)
    assert len(whole.person.holds(YEN)) == 1
    gate.refused, gate.kept = set(), {(OTHER_BROKER, TIERS)}
    whole.stepper.network.cut_all()
    whole.run(3)
    position = whole.person.buy(2 * LOT, account=OTHER_BROKER, symbol=2)
    whole.run(0.5)
    account = _account(whole, OTHER_BROKER)
    assert not account._symbols.is_through
    assert _kinds(whole, YEN) == [ChangeKind.OPENED]
    whole.stepper.run_until(lambda: account._symbols.is_through, 30_000_000)
    whole.run(0.5)
    assert _kinds(whole, YEN) == [ChangeKind.OPENED] * 2
    whole.person.close(position, 2 * LOT, account=OTHER_BROKER)
    whole.run(30)
    assert _kinds(whole, YEN) == [ChangeKind.OPENED, ChangeKind.OPENED, ChangeKind.CLOSED]


def test_a_symbol_that_changes_again_is_waited_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was waited for once on this line, a minute ago: that span is over, and says nothing of the next."""
    whole = _long()
    _hold(whole)
    gate = Gate(monkeypatch, whole)
    gate.refused, gate.spares_sample = {(LEADER, SPECS)}, True
    gate.kept = {(account, SPECS) for account in whole.accounts}
    whole.stepper.network.cut_all()
    whole.run(6)
    whole.person.buy(2 * LOT)
    whole.run(1)
    assert copies(whole) == [[LOT]]
    gate.refused.clear()
    whole.run(6)
    assert copies(whole) == [[LOT, 2 * LOT]]
    assert gate.has_kept
    whole.run(60)
    _change(whole, "sl_distance=7")
    whole.person.buy(3 * LOT)
    whole.run(2)
    assert _kinds(whole, SAME_BROKER) == [ChangeKind.OPENED] * 2
    gate.release()
    whole.run(10)
    assert copies(whole) == [[LOT, 2 * LOT, 3 * LOT]]


def test_patience_of_before_does_not_cut_short_the_one_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """The leader's particulars come late, and then a symbol that nobody knows is held: that has its time too."""
    whole = Whole(
        seed=2,
        world=long_list(400),
        switches=Switches(history_days=0),
        settings={"max_age": "120s", "volume.basis": "lots"},
    )
    _hold(whole)
    gate = Gate(monkeypatch, whole)
    gate.kept = {(LEADER, TRADER), *((account, SPECS) for account in whole.accounts)}
    gate.spares_sample = True
    whole.stepper.network.cut_all()
    whole.person.buy(SOME, symbol=LATE + 2)
    whole.run(2.3)
    gate.release(TRADER)
    whole.run(1)
    gate.release()
    whole.run(5)
    assert [held.symbol for held in whole.person.holds(SAME_BROKER)] == [EURUSD, LATE + 2]


def test_what_waits_as_the_end_comes_is_left_to_the_next_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that comes after the word to stop decides nothing any more, and nothing is lost by that."""
    whole = Whole(seed=2, world=long_list(400), switches=Switches(history_days=0), settings={"max_age": "120s"})
    _hold(whole)
    gate = Gate(monkeypatch, whole)
    gate.kept = {(SAME_BROKER, SPECS)}
    whole.stepper.network.cut_all()
    whole.run(5)
    whole.person.buy(SOME, symbol=LATE)
    whole.run(0.3)
    whole.stepper.directory.tell(m.account_name(SAME_BROKER), m.Stop())
    whole.run(0.1)
    gate.release()
    whole.run(5)
    assert copies(whole) == [[LOT]]
    assert whole.events(SAME_BROKER, AttemptDecided) == []
    whole.kill()
    whole.start_ready()
    whole.run(5)
    assert [held.symbol for held in whole.person.holds(SAME_BROKER)] == [EURUSD, LATE]


def test_what_a_person_closes_while_others_wait_is_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """`reopen` goes on while something waits for a symbol; it was dropped."""
    whole = Whole(seed=2, world=long_list(400), switches=Switches(history_days=0), settings={"reopen": "on"})
    _hold(whole)
    gate = Gate(monkeypatch, whole)
    gate.refused = {(SAME_BROKER, SPECS)}
    whole.stepper.network.cut_all()
    whole.run(6)
    whole.person.buy(SOME, symbol=LATE)
    whole.run(0.5)
    (held,) = whole.person.holds(SAME_BROKER)
    whole.person.close(held.position, LOT, account=SAME_BROKER)
    whole.run(0.5)
    assert copies(whole) == [[]]
    gate.refused.clear()
    whole.run(10)
    assert LOT in copies(whole)[0]


def test_an_unknown_outcome_is_looked_up_as_soon_as_nothing_is_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """It fell due while a report of the account as a leader was held back; nothing else would wake it for it."""
    whole = Whole(seed=2, settings={"max_age": "300s"})
    whole.add_accounts(ALPHA_TOO)
    whole.add_profile("chain", SAME_BROKER, (ALPHA_TOO,))
    _hold(whole)
    gate = Gate(monkeypatch, whole)
    whole.broker.set_fault("drop", {"account": str(SAME_BROKER), "type": "2106", "count": "1"})
    whole.person.buy(2 * LOT)
    whole.run(0.5)
    gate.refused = {(SAME_BROKER, SPECS)}
    whole.stepper.network.cut_all()
    whole.run(5)
    whole.person.buy(LOT, account=SAME_BROKER)
    whole.run(20)
    questions = _account(whole, SAME_BROKER)._questions
    assert not questions.is_idle
    whole.stepper.run_until(lambda: questions.is_idle, 30_000_000)
    gate.refused.clear()
    whole.run(3)
    assert not _account(whole, SAME_BROKER)._view.intents
