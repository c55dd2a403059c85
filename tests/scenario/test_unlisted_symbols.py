"""A symbol that a broker lists while the line stands, and that is traded before anybody has read it there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.actors.asking import shelf
from cmam.clock import SECOND_US
from cmam.domain.events import ChangeDecided, CopyFinished, SymbolListSeen
from cmam.domain.values.reasons import Reason, Verdict
from cmam.openapi._pb import OpenApiMessages_pb2 as pb
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.sandbox.service.delivery import Send
from cmam.sandbox.switches import Switches
from cmam.store.past.replay import verify
from cmam.store.what_if import Asked, what_if
from tests.person import LEADER
from tests.scenario.lies import copies, tell
from tests.scenario.test_reading_beside import LOT, SYMBOLS, Gate
from tests.whole import NETTED, SAME_BROKER, Whole
from tests.worlds import crowded

GBPUSD, AUDUSD, SOME = 2, 5, 100_000
SEEK_S, SOON_S = 20, 4
"""How old a list is here that is read anew for what was missing in it before, and for what was not."""


class Lists:
    """Stands between broker and copier: leaves the pound out of lists until it is listed, and counts them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, whole: Whole, *accounts: int) -> None:
        self.without = set(accounts)
        self.never = ""
        """The beginning of names that no list has."""
        self.told: list[int] = []
        monkeypatch.setattr(shelf, "SEEK_US", SEEK_S * SECOND_US)
        monkeypatch.setattr(shelf, "SOON_US", SOON_S * SECOND_US)
        tell(monkeypatch, whole, self._pass)

    def _pass(self, said: Send) -> list[Send]:
        if said.payload_type != SYMBOLS:
            return [said]
        message = pb.ProtoOASymbolsListRes.FromString(said.payload)
        self.told.append(message.ctidTraderAccountId)
        left_out = ["GBPUSD"] if message.ctidTraderAccountId in self.without else []
        left_out += [self.never] if self.never and message.ctidTraderAccountId != LEADER else []
        kept = [one for one in message.symbol if not one.symbolName.replace("/", "").startswith(tuple(left_out))]
        del message.symbol[:]
        message.symbol.extend(kept)
        return [replace(said, payload=message.SerializeToString())]


def _begin(monkeypatch: pytest.MonkeyPatch, whole: Whole, *accounts: int) -> Lists:
    """A copier that has read its lists, some of them without the pound, so long ago that they are old."""
    lists = Lists(monkeypatch, whole, *accounts)
    whole.start_ready()
    whole.run(SEEK_S + 2)
    lists.told.clear()
    return lists


def _verdicts(whole: Whole, account: int = SAME_BROKER) -> list[tuple[Verdict, Reason | None]]:
    return [(decided.verdict, decided.reason) for decided in whole.events(account, ChangeDecided)]


def test_a_symbol_that_is_new_at_the_broker_is_copied_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its list was read before; it was skipped as `unmapped_symbol`, and so was all that followed on that line."""
    whole = Whole(seed=2)
    lists = _begin(monkeypatch, whole, SAME_BROKER)
    lists.without.clear()
    position = whole.person.buy(SOME, symbol=GBPUSD)
    whole.run(3)
    assert copies(whole) == [[SOME]]
    assert lists.told == [SAME_BROKER]
    whole.person.close(position, SOME)
    whole.run(3)
    assert copies(whole) == [[]]
    assert verify(whole.log.read_all()).is_identical
    asked = Asked.of(whole.folded().registry, {"reverse": "on", "reverse_without_stop": "on"})
    (row,) = what_if(whole.log.read_all, asked)["differences"]
    assert (row["what_if"]["verdict"], row["what_if"]["volume"]) == ("copy", "1000.00")


def test_a_leaders_own_new_symbol_is_told_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither had it; the leader's trade was told of a symbol without a name, which nobody could copy."""
    whole = Whole(seed=2)
    lists = _begin(monkeypatch, whole, LEADER, SAME_BROKER)
    lists.without.clear()
    whole.person.buy(SOME, symbol=GBPUSD)
    whole.run(3)
    assert copies(whole) == [[SOME]]
    assert sorted(lists.told) == [LEADER, SAME_BROKER]
    assert verify(whole.log.read_all()).is_identical


def test_what_a_follower_never_has_costs_one_list_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first trade has it read, the next ones are skipped at once; each with the reason it always had."""
    whole = Whole(seed=2)
    lists = _begin(monkeypatch, whole, SAME_BROKER)
    for _ in range(3):
        whole.person.buy(SOME, symbol=GBPUSD)
        whole.run(2)
    assert lists.told == [SAME_BROKER]
    assert copies(whole) == [[]]
    assert [end.reason for end in whole.events(SAME_BROKER, CopyFinished)] == [Reason.UNMAPPED_SYMBOL]
    assert _verdicts(whole)[1:] == [(Verdict.SKIP, Reason.UNMAPPED_SYMBOL)] * 2
    whole.run(SEEK_S)
    whole.person.buy(SOME, symbol=GBPUSD)
    whole.run(2)
    assert lists.told == [SAME_BROKER] * 2
    assert verify(whole.log.read_all()).is_identical


def test_what_is_listed_after_another_was_missed_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """The list was read a moment ago, for a symbol that the broker never has; then he lists the pound."""
    whole = Whole(seed=2)
    lists = Lists(monkeypatch, whole, SAME_BROKER)
    lists.never = "AUDUSD"
    whole.start_ready()
    whole.run(SEEK_S + 2)
    whole.person.buy(SOME, symbol=AUDUSD)
    whole.run(SOON_S + 1)
    assert copies(whole) == [[]]
    lists.without.clear()
    whole.person.buy(SOME, symbol=GBPUSD)
    whole.run(3)
    assert copies(whole) == [[SOME]]


@pytest.mark.parametrize("is_new", [False, True])
def test_one_of_a_crowd_reads_the_list_for_all(monkeypatch: pytest.MonkeyPatch, is_new: bool) -> None:
    """Only where it has become another one do the others read theirs, too."""
    numbers = tuple(range(42_000_000, 42_000_012))
    whole = Whole(seed=1, followers=numbers, world=crowded(numbers), switches=Switches(history_days=0))
    lists = _begin(monkeypatch, whole, *numbers)
    if is_new:
        lists.without.clear()
    whole.person.buy(SOME, symbol=GBPUSD)
    whole.run(8)
    books = [whole.broker.floor.accounts[number].positions.values() for number in numbers]
    assert [[held.volume for held in account] for account in books] == [[SOME] if is_new else []] * len(numbers)
    assert len(lists.told) == (len(numbers) if is_new else 1)
    assert verify(whole.log.read_all()).is_identical


def test_no_close_waits_for_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does an open in another symbol, and he who closes meanwhile leaves nothing that opens."""
    whole = Whole(seed=2)
    lists = _begin(monkeypatch, whole, SAME_BROKER)
    lists.without.clear()
    position = whole.person.buy(LOT)
    whole.run(2)
    gate = Gate(monkeypatch, whole)
    gate.kept = {(SAME_BROKER, SYMBOLS)}
    other = whole.person.buy(SOME, symbol=GBPUSD)
    whole.person.close(position, LOT)
    whole.person.buy(2 * LOT)
    whole.run(1)
    assert copies(whole) == [[2 * LOT]]
    whole.person.close(other, SOME)
    whole.run(1)
    gate.release()
    whole.run(5)
    assert copies(whole) == [[2 * LOT]]
    assert verify(whole.log.read_all()).is_identical


def test_a_list_that_does_not_come_ends_the_open_when_it_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cut line in between, too: what is read on the next one is what counts."""
    whole = Whole(seed=2, settings={"max_age": "10s"})
    lists = _begin(monkeypatch, whole, SAME_BROKER)
    gate = Gate(monkeypatch, whole)
    gate.kept = {(SAME_BROKER, SYMBOLS)}
    whole.person.buy(SOME, symbol=GBPUSD)
    whole.run(12)
    assert [end.reason for end in whole.events(SAME_BROKER, CopyFinished)] == [Reason.TOO_OLD]
    lists.without.clear()
    gate.kept.clear()
    whole.stepper.network.cut_all()
    whole.run(6)
    whole.person.buy(2 * SOME, symbol=GBPUSD)
    whole.run(3)
    assert copies(whole) == [[2 * SOME]]
    assert verify(whole.log.read_all()).is_identical


def test_what_a_person_trades_in_a_new_symbol_has_the_list_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a follower, too: without it nobody knows what the account is worth."""
    whole = Whole(seed=2)
    lists = _begin(monkeypatch, whole, SAME_BROKER)
    for volume in (SOME, 2 * SOME):
        whole.person.buy(volume, symbol=GBPUSD, account=SAME_BROKER)
        whole.run(2)
    assert lists.told == [SAME_BROKER]
    lists.without.clear()
    whole.stepper.network.cut_all()
    whole.run(6)
    view = whole.view(SAME_BROKER)
    assert view is not None
    assert len(whole.events(SAME_BROKER, SymbolListSeen)) == 2
    assert GBPUSD in view.specs


@pytest.mark.parametrize("follower", [SAME_BROKER, NETTED])
@pytest.mark.parametrize("ends", ["", "the line", "the process"])
def test_what_he_does_while_the_list_is_read_is_what_is_copied(
    monkeypatch: pytest.MonkeyPatch, follower: int, ends: str
) -> None:
    """He amends an order, and closes a part; the list comes, or the line is cut, or the process dies before it."""
    whole = Whole(seed=3, followers=(follower,), switches=Switches(history_days=0), settings={"max_age": "120s"})
    lists = _begin(monkeypatch, whole, LEADER, follower)
    lists.without.clear()
    gate = Gate(monkeypatch, whole)
    gate.kept = {(follower, SYMBOLS)}
    order = whole.person.place(model.LIMIT, SOME, price=1.05, symbol=GBPUSD)
    whole.run(1)
    whole.person.amend_order(order, limitPrice=1.04, volume=2 * SOME)
    position = whole.person.buy(3 * SOME, symbol=GBPUSD)
    whole.run(1)
    whole.person.close(position, SOME)
    whole.run(1)
    assert copies(whole) == [[]]
    if ends == "the process":
        whole.kill()
    elif ends:
        whole.stepper.network.cut_all()
    gate.release()
    if ends == "the process":
        whole.start()
    whole.run(30)
    resting = whole.broker.floor.accounts[follower].orders.values()
    assert copies(whole) == [[2 * SOME]]
    assert [(one.limit_price, one.volume) for one in resting] == [(104_000_000, 2 * SOME)]
    assert verify(whole.log.read_all()).is_identical
