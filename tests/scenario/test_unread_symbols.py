"""An open in a symbol of which nothing is on record, right after a cut or a start: it waits, and holds up nobody."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cmam.actors import messages as m
from cmam.domain.events import ChangeDecided, CopyFinished
from cmam.domain.values.reasons import Reason, Verdict
from cmam.openapi import catalogue
from cmam.openapi._pb import OpenApiMessages_pb2 as pb
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.sandbox.service.delivery import Send
from cmam.sandbox.switches import Switches
from cmam.store.past.replay import verify
from cmam.store.what_if import Asked, what_if
from tests.person import EURUSD, LEADER
from tests.scenario.lies import SPOT, copies, tell
from tests.scenario.test_reading_beside import LOT, SPECS, SYMBOLS, Gate
from tests.whole import NETTED, SAME_BROKER, Whole
from tests.worlds import crowded

GBPUSD, SOME = 2, 100_000
"""A symbol that nobody has traded, and a little of it."""
HOLDING = {"max_age": "120s"}


def _held(whole: Whole) -> int:
    """Let one lot be copied, and lose the line; answers the leader's position."""
    whole.start_ready()
    position = whole.person.buy(LOT)
    whole.run(5)
    assert copies(whole) == [[LOT]]
    return position


def _cut(whole: Whole) -> None:
    whole.stepper.network.cut_all()
    whole.run(6)


def _decided(whole: Whole, account: int = SAME_BROKER) -> list[ChangeDecided]:
    return whole.events(account, ChangeDecided)


@pytest.mark.parametrize("ends", [False, True])
def test_a_crowd_copies_what_none_of_it_has_traded_before(ends: bool) -> None:
    """Forty followers on one line take longer to read than any of them waited: those behind skipped the trade."""
    numbers = tuple(range(42_000_000, 42_000_040))
    whole = Whole(seed=1, followers=numbers, world=crowded(numbers), switches=Switches(history_days=0))
    whole.start()
    whole.stepper.run_until(whole.is_ready, 60_000_000)
    if ends:
        whole.stop()
        whole.start()
    else:
        whole.stepper.network.cut_all()
    whole.stepper.run_until(lambda: whole.system is not None and len(whole.stepper.network.lines) > 0, 5_000_000)
    whole.run(1.5)
    whole.person.buy(SOME, symbol=GBPUSD)
    whole.run(15)
    assert [_decided(whole, number)[-1].verdict for number in numbers] == [Verdict.COPY] * len(numbers)
    books = [whole.broker.floor.accounts[number].positions.values() for number in numbers]
    assert [[position.volume for position in held] for held in books] == [[SOME]] * len(numbers)
    assert whole.stats()[-1]["busiest_second"] <= 50
    assert verify(whole.log.read_all()).is_identical


def test_no_close_waits_for_the_symbol_of_an_open_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It waited two seconds behind it; and the open goes on waiting, as long as it is young enough."""
    whole = Whole(seed=2, settings=HOLDING)
    position = _held(whole)
    gate = Gate(monkeypatch, whole)
    gate.refused = {(SAME_BROKER, SPECS)}
    _cut(whole)
    whole.person.buy(SOME, symbol=GBPUSD)
    whole.person.close(position, LOT)
    whole.run(0.5)
    assert copies(whole) == [[]]
    gate.refused.clear()
    whole.run(40)
    assert copies(whole) == [[SOME]]
    assert verify(whole.log.read_all()).is_identical


def test_a_close_that_names_its_position_by_its_deal_alone_waits_for_no_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """The schema lets a fill leave its position out. It waited for the leader's list, behind what came after it."""
    whole = Whole(seed=2, settings=HOLDING)
    position = _held(whole)
    tell(monkeypatch, whole, _without_position)
    gate = Gate(monkeypatch, whole)
    gate.kept = {(LEADER, SYMBOLS), (LEADER, SPECS)}
    _cut(whole)
    whole.person.close(position, LOT)
    whole.run(0.5)
    assert copies(whole) == [[]]


def _without_position(said: Send) -> list[Send]:
    """The same, but what is filled is told without its position."""
    if said.payload_type != catalogue.EXECUTION:
        return [said]
    message = pb.ProtoOAExecutionEvent.FromString(said.payload)
    if message.executionType == model.ORDER_FILLED:
        message.ClearField("position")
    return [replace(said, payload=message.SerializeToString())]


def test_what_the_leader_does_to_it_meanwhile_is_what_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """He adds, closes a part and sets a stop before its symbol is known: one open of what he has by then, with that."""
    whole = Whole(seed=2, settings=HOLDING)
    _held(whole)
    gate = Gate(monkeypatch, whole)
    gate.refused = {(SAME_BROKER, SPECS)}
    _cut(whole)
    position = whole.person.buy(4 * SOME, symbol=GBPUSD)
    whole.run(1)
    whole.person.close(position, SOME)
    whole.run(0.5)
    (source,) = [held for held in whole.person.holds(LEADER) if held.position == position]
    whole.person.amend(position, stop=round(source.price - 0.02, 5))
    whole.run(0.5)
    gate.refused.clear()
    whole.run(40)
    (copy,) = [held for held in whole.person.holds(SAME_BROKER) if held.symbol == GBPUSD]
    assert copy.volume == 3 * SOME
    assert copy.price - copy.stop == pytest.approx(0.02, abs=0.0002)
    assert verify(whole.log.read_all()).is_identical


def test_what_would_have_been_waits_for_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under other settings it waits until the symbol is on record as well; it was skipped as `unmapped_symbol`."""
    whole = Whole(seed=2, settings=HOLDING)
    _held(whole)
    gate = Gate(monkeypatch, whole)
    gate.refused = {(SAME_BROKER, SPECS)}
    _cut(whole)
    whole.person.buy(SOME, symbol=GBPUSD)
    whole.run(5)
    gate.refused.clear()
    whole.run(40)
    for settings, became in (
        ({"reverse": "on", "reverse_without_stop": "on"}, ("copy", None, "1000.00")),
        ({"max_age": "3s"}, ("skip", "too_old", "0.00")),
    ):
        found = what_if(whole.log.read_all, Asked.of(whole.folded().registry, settings))["differences"]
        (row,) = [row["what_if"] for row in found if row["symbol"] == "GBPUSD"]
        assert (row["verdict"], row["reason"], row["volume"]) == became


def test_one_that_he_closes_meanwhile_never_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of it has left, and nothing does."""
    whole = Whole(seed=2, settings=HOLDING)
    _held(whole)
    gate = Gate(monkeypatch, whole)
    gate.refused = {(SAME_BROKER, SPECS)}
    _cut(whole)
    position = whole.person.buy(SOME, symbol=GBPUSD)
    whole.run(1)
    whole.person.close(position, SOME)
    whole.run(0.5)
    gate.refused.clear()
    whole.run(40)
    assert copies(whole) == [[LOT]]
    assert len(whole.orders(SAME_BROKER)) == 1


def test_one_that_is_never_told_ends_when_it_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the reason that says so; what comes after it is copied."""
    whole = Whole(seed=2, settings={"max_age": "20s"})
    _held(whole)
    gate = Gate(monkeypatch, whole)
    gate.refused = {(SAME_BROKER, SPECS)}
    _cut(whole)
    whole.person.buy(SOME, symbol=GBPUSD)
    whole.run(25)
    assert [end.reason for end in whole.events(SAME_BROKER, CopyFinished)] == [Reason.TOO_OLD]
    gate.refused.clear()
    whole.run(60)
    whole.person.buy(2 * SOME, symbol=GBPUSD)
    whole.run(5)
    assert copies(whole) == [[LOT, 2 * SOME]]


def test_it_is_read_before_the_list_is_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The list on record is still the list: its answer is all that the open waits for, and nothing is asked twice."""
    whole = Whole(seed=2, settings=HOLDING)
    _held(whole)
    asked: list[list[int]] = []
    receive = whole.broker.receive

    def hear(connection: int, kind: int, payload: bytes, *rest: Any) -> None:
        message = catalogue.MESSAGES[kind].FromString(payload)
        if isinstance(message, pb.ProtoOASymbolByIdReq) and message.ctidTraderAccountId == SAME_BROKER:
            asked.append(list(message.symbolId))
        receive(connection, kind, payload, *rest)

    monkeypatch.setattr(whole.broker, "receive", hear)
    gate = Gate(monkeypatch, whole)
    gate.kept = {(SAME_BROKER, SYMBOLS)}
    _cut(whole)
    whole.person.buy(SOME, symbol=GBPUSD)
    whole.run(2)
    assert copies(whole) == [[LOT, SOME]]
    assert asked == [[GBPUSD]]
    gate.release()
    whole.run(5)
    assert [symbols.count(GBPUSD) for symbols in asked] == [1] + [0] * (len(asked) - 1)


def test_what_was_read_by_a_list_that_is_no_more_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its symbol is called otherwise by now: what a leader trades under the old name is not what it is here."""
    whole = Whole(seed=2, settings=HOLDING)
    _held(whole)
    tell(monkeypatch, whole, lambda said: _renamed(said, SAME_BROKER))
    gate = Gate(monkeypatch, whole)
    gate.kept = {(SAME_BROKER, SYMBOLS), (SAME_BROKER, SPECS)}
    _cut(whole)
    whole.person.buy(SOME, symbol=GBPUSD)
    whole.run(2)
    gate.release(SYMBOLS)
    whole.run(2)
    gate.release()
    whole.run(20)
    assert copies(whole) == [[LOT]]
    assert [end.reason for end in whole.events(SAME_BROKER, CopyFinished)] == [Reason.UNMAPPED_SYMBOL]
    view = whole.view(SAME_BROKER)
    assert view is not None
    assert {spec.name for spec in view.specs.values()} >= {"EURUSD"}
    assert all(spec.name != "GBPUSD" for spec in view.specs.values())


def _renamed(said: Send, *accounts: int) -> list[Send]:
    """The list of some accounts with another name for the pound."""
    if said.payload_type != SYMBOLS:
        return [said]
    message = pb.ProtoOASymbolsListRes.FromString(said.payload)
    if message.ctidTraderAccountId not in accounts:
        return [said]
    for symbol in message.symbol:
        if symbol.symbolId == GBPUSD:
            symbol.symbolName = "CABLE"
    return [replace(said, payload=message.SerializeToString())]


def test_quotes_are_there_before_the_list_after_a_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are asked for by the list on record; nothing that is known already waits for the list."""
    whole = Whole(seed=2, settings=HOLDING)
    _held(whole)
    whole.stop()
    gate = Gate(monkeypatch, whole)
    gate.kept = {(account, SYMBOLS) for account in whole.accounts}
    whole.start()
    whole.run(4)
    board = whole.stepper.directory.actor(m.account_name(SAME_BROKER))._desk.quotes
    assert board.newest(EURUSD) is not None
    whole.person.buy(SOME)
    whole.run(1)
    assert copies(whole) == [[LOT, SOME]]


@pytest.mark.parametrize("ends", [False, True])
def test_a_crowd_whose_list_has_changed_subscribes_its_quotes_once(monkeypatch: pytest.MonkeyPatch, ends: bool) -> None:
    """Each carried the former list's feed until it had read the new one, and was sent all quotes from then on."""
    numbers = tuple(range(42_000_000, 42_000_012))
    whole = Whole(seed=1, followers=numbers, world=crowded(numbers), switches=Switches(history_days=0))
    whole.start_ready()
    if ends:
        whole.stop()
    else:
        whole.stepper.network.cut_all()
    tell(monkeypatch, whole, lambda said: _renamed(said, LEADER, *numbers))
    if ends:
        whole.start()
    whole.run(20)
    sent: set[int] = set()
    tell(monkeypatch, whole, lambda said: [said] if sent.update(_quoted(said)) is None else [])
    whole.run(5)
    assert len(sent) == 1
    whole.person.buy(SOME)
    whole.run(2)
    books = [whole.broker.floor.accounts[number].positions.values() for number in numbers]
    assert [[position.volume for position in held] for held in books] == [[SOME]] * len(numbers)


def _quoted(said: Send) -> set[int]:
    """Who is told of a price here."""
    is_spot = said.payload_type == SPOT
    return {pb.ProtoOASpotEvent.FromString(said.payload).ctidTraderAccountId} if is_spot else set()


@pytest.mark.parametrize("follower", [SAME_BROKER, NETTED])
@pytest.mark.parametrize("span", [0.0, 0.4])
def test_an_order_that_he_amends_around_a_cut_rests_on(follower: int, span: float) -> None:
    """While the line is down, or before the first quote on the new one: its copy was cancelled for good."""
    whole = Whole(seed=3, followers=(follower,), switches=Switches(history_days=0))
    whole.start_ready()
    whole.run(3)
    order = whole.person.place(model.LIMIT, SOME, price=1.05)
    whole.run(5)
    whole.stepper.network.cut_all()
    whole.run(span)
    whole.person.amend_order(order, limitPrice=1.04, volume=SOME)
    whole.run(30)
    books = whole.broker.floor.accounts[follower].orders.values()
    assert [(resting.limit_price, resting.volume) for resting in books] == [(104_000_000, SOME)]
    assert verify(whole.log.read_all()).is_identical
