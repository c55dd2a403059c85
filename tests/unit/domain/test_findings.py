"""Each kind of finding by a case of its own: what differs is named, with the remedy that the table promises."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.belief.view import AccountView
from cmam.domain.events import (
    ExecutionSeen,
    Finding,
    FindingKind,
    Health,
    HealthChanged,
    IntentOverdue,
    IntentSent,
    Reconciled,
    Remedy,
)
from cmam.domain.folds.account import evolve
from cmam.domain.repair.rebuilding import rebuilt
from cmam.domain.repair.reconcile import FINDINGS, findings
from cmam.domain.values.changes import ChangeKind
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.ids import OrderId, PositionId, SourceKey, StoreId
from cmam.domain.values.naming import label_of, read_label
from cmam.domain.values.quantities import Side, Volume
from cmam.domain.values.trades import AccountType, ExecutionKind, OrderStatus, Position
from cmam.domain.wanted.unasked import asking, still_unasked, unasked
from tests.factories import LEADER, LINK, LOT, STORE, Pair, a_view, price

MINUTE_US = 60_000_000
LATER_US = 3_600_000_000
HELD = PositionId(500)


def _held(number: int = HELD, volume: int = LOT, side: Side = Side.BUY, label: str = "") -> Position:
    """A position that has lain there for long."""
    symbol = a_view().names["EURUSD"].symbol
    return Position(
        position=PositionId(number), symbol=symbol, side=side, volume=Volume(volume), price=price("1.1"), label=label,
        opened_ms=1, updated_ms=1,
    )  # fmt: skip


def _leader(*positions: Position) -> AccountView:
    view = evolve(a_view(account=LEADER), Reconciled(positions=positions, orders=()), 1)
    return evolve(view, HealthChanged(health=Health.RECONCILED), 1)


def _copied(**settings: str) -> Pair:
    """A lot that was copied a minute ago, with a stop."""
    pair = Pair(settings)
    pair.opens(stop=price("1.09"))
    pair.answer()
    pair.passes(MINUTE_US)
    return pair


def _found(pair: Pair, *positions: Position) -> list[Finding]:
    """What differs an hour later, where the leader holds these."""
    leader = _leader(*positions)
    return list(findings(pair.view, [pair.link], lambda _: leader, pair.now_us + LATER_US))


def _kinds(found: list[Finding]) -> dict[FindingKind, Remedy]:
    return {finding.kind: finding.remedy for finding in found}


def _shows(pair: Pair, *more: Position, **changes: object) -> None:
    """The follower's broker shows its copies otherwise, or something more; the copies are believed as they were."""
    held = {number: replace(position, **changes) for number, position in pair.view.positions.items()}
    held |= {position.position: position for position in more}
    pair.view = replace(pair.view, positions=held)


def _believes(pair: Pair, volume: int) -> None:
    """Let every copy be of this volume."""
    copies = {key: replace(copy, volume=Volume(volume)) for key, copy in pair.view.copies.items()}
    pair.view = replace(pair.view, copies=copies)


def test_where_all_is_as_it_should_be_nothing_is_found() -> None:
    """A copy as it was told, and a leader who holds what it is of."""
    assert _found(_copied(), _held()) == []


@pytest.mark.parametrize(("sync_open", "remedy"), [("on", Remedy.OPEN), ("off", Remedy.NOTHING)])
def test_missing(sync_open: str, remedy: Remedy) -> None:
    """What the leader holds and nobody copied is named, and opened only where that is wanted."""
    pair = _copied(sync_open=sync_open)
    assert _kinds(_found(pair, _held(), _held(501))) == {FindingKind.MISSING: remedy}


@pytest.mark.parametrize(("sync_closed", "remedy"), [("on", Remedy.CLOSE), ("off", Remedy.BY_HAND)])
def test_orphan(sync_closed: str, remedy: Remedy) -> None:
    """A copy whose source is gone is closed, or left to a person."""
    assert _kinds(_found(_copied(sync_closed=sync_closed))) == {FindingKind.ORPHAN: remedy}


def test_gone() -> None:
    """A copy of which the broker shows no position is noted as ended; a lost order is looked up for a fill first."""
    pair = _copied()
    pair.view = replace(pair.view, positions={})
    assert _kinds(_found(pair, _held())) == {FindingKind.GONE: Remedy.NOTE}
    pair = Pair()
    pair.order()
    pair.answer()
    pair.view = replace(pair.view, orders={})
    assert FindingKind.GONE in _kinds(found := _found(pair))
    assert found[0].remedy is Remedy.LOOK_UP


def test_wrong_size() -> None:
    """What is too much is closed; a leader who has reduced is followed; what is missing waits for his next add."""
    pair = _copied()
    _believes(pair, 2 * LOT)
    _shows(pair, volume=Volume(2 * LOT))
    (found,) = _found(pair, _held())
    assert (found.kind, found.remedy, found.expected, found.found) == (
        FindingKind.WRONG_SIZE, Remedy.REDUCE, "100000", "200000.00",
    )  # fmt: skip
    assert _kinds(_found(_copied(), _held(volume=LOT // 2))) == {FindingKind.WRONG_SIZE: Remedy.REDUCE}
    pair = _copied()
    _believes(pair, LOT // 2)
    assert _kinds(_found(pair, _held())) == {FindingKind.WRONG_SIZE: Remedy.NOTHING}


def test_what_nobody_asked_for_is_told_from_what_is_under_way_or_waits_for_its_next_try() -> None:
    """A need that no fact has asked for is unasked; once asked, or refused a moment ago, it is not."""
    pair = _copied()
    assert unasked(pair.view, pair.now_us) == {}
    _believes(pair, 2 * LOT)
    _shows(pair, volume=Volume(2 * LOT))
    first = unasked(pair.view, pair.now_us)
    ((key, (_, wanted)),) = first.items()
    assert list(still_unasked({}, first)) == []
    assert list(still_unasked(first, first)) == [asking(key)]
    assert [(command.kind, command.volume) for command in wanted] == [(CommandKind.CLOSE, LOT)]
    pair.fact(asking(key))
    assert pair.commands[-1] == wanted[0]
    assert unasked(pair.view, pair.now_us) == {}
    pair.refuse("TRADING_BAD_VOLUME", temporary=True)
    assert unasked(pair.view, pair.now_us) == {}
    assert unasked(pair.view, pair.now_us + LATER_US) == {}  # what is left is read first
    pair.view = replace(pair.view, copies={key: replace(pair.view.copies[key], refused_part=Volume(0))})
    again = unasked(pair.view, pair.now_us + LATER_US)
    assert list(again) == [key]
    assert list(still_unasked(first, again)) == []
    pair.view = replace(pair.view, health=Health.DOWN)
    assert unasked(pair.view, pair.now_us + LATER_US) == {}


def test_residue() -> None:
    """Less than a step too much is carried and named."""
    pair = Pair({"volume.amount": "0.01"})
    pair.opens(LOT)
    pair.answer()
    pair.reduces(LOT, 6_700_000)
    pair.answer()
    assert _kinds(_found(pair, _held(volume=6_700_000))) == {FindingKind.RESIDUE: Remedy.WAIT}


def test_wrong_side() -> None:
    """A leader whose position has turned unseen: the copy is closed whole."""
    assert _kinds(_found(_copied(), _held(side=Side.SELL))) == {FindingKind.WRONG_SIDE: Remedy.CLOSE}


def test_wrong_protection() -> None:
    """A stop that is not there is amended."""
    pair = _copied()
    _shows(pair, stop=None)
    assert _kinds(_found(pair, _held())) == {FindingKind.WRONG_PROTECTION: Remedy.AMEND}


def test_wrong_terms() -> None:
    """An order that the leader amended while the follower was out of sight is amended too."""
    pair = Pair()
    pair.order()
    pair.answer()
    pair.fact(HealthChanged(health=Health.DOWN))
    pair.order(ChangeKind.ORDER_AMENDED, limit_price=price("1.08"))
    assert pair.waiting == []
    assert _kinds(_found(pair))[FindingKind.WRONG_TERMS] is Remedy.AMEND


def test_unknown() -> None:
    """A request without an answer is looked up, and says which it is."""
    pair = Pair()
    pair.opens()
    (lost,) = pair.lose()
    pair.fact(IntentSent(intent=lost.intent))
    pair.fact(IntentOverdue(intent=lost.intent, why="no answer"))
    (found,) = [finding for finding in _found(pair, _held()) if finding.kind is FindingKind.UNKNOWN]
    assert found.remedy is Remedy.LOOK_UP
    assert lost.intent in found.text


def test_unrecorded() -> None:
    """A copy with our label that no record knows is taken in."""
    pair = _copied()
    _shows(pair, _held(901, label=label_of(STORE, LINK, SourceKey("p" + "dy"))))
    assert _kinds(_found(pair, _held(), _held(int("dy", 36))))[FindingKind.UNRECORDED] is Remedy.REBUILD


def test_unrecorded_that_a_request_under_way_may_have_opened_is_waited_for() -> None:
    """The position is there before the answer: it is nobody's loss, and not taken in as one."""
    pair = Pair()
    pair.opens()
    (asked,) = pair.lose()
    label = label_of(STORE, LINK, SourceKey(asked.source))
    _shows(pair, _held(901, label=label))
    (found,) = [finding for finding in _found(pair, _held()) if finding.kind is FindingKind.UNRECORDED]
    assert found.remedy is Remedy.WAIT
    assert rebuilt(_leader(_held()), pair.view, pair.link, (), lambda _: None) == ()


def test_duplicate() -> None:
    """A second position of one source is a person's, and both are named."""
    pair = _copied()
    (own,) = pair.view.positions.values()
    _shows(pair, _held(901, label=own.label))
    (found,) = _found(pair, _held())
    assert (found.kind, found.remedy, found.position) == (FindingKind.DUPLICATE, Remedy.BY_HAND, PositionId(901))
    assert f"position {own.position}" in found.text


def test_foreign() -> None:
    """Another store's copy is named with its store."""
    pair = _copied()
    _shows(pair, _held(901, label=label_of(StoreId("0ther"), LINK, SourceKey("pdw"))))
    (found,) = _found(pair, _held())
    assert (found.kind, found.remedy) == (FindingKind.FOREIGN, Remedy.BY_HAND)
    assert "0ther" in found.text


@pytest.mark.parametrize("label", ["", "cm1", "cm1.a.b", "cm2.st0re.l1nk01.pdw", "my own", "cm1.st0re.l1nk01.xdw"])
def test_human(label: str) -> None:
    """What carries no copier's label is somebody's own and left alone."""
    assert read_label(label) is None
    pair = _copied()
    _shows(pair, _held(901, label=label))
    assert _kinds(_found(pair, _held())) == {FindingKind.HUMAN: Remedy.NOTHING}


def test_human_levels() -> None:
    """A stop that a person moved is named and stays."""
    pair = _copied()
    (own,) = pair.held.values()
    moved = pair.held[own.position] = replace(own, stop=price("1.095"), updated_ms=pair.now_us // 1_000)
    pair.fact(pair.protective(ExecutionKind.ORDER_REPLACED, moved, is_server=False))
    assert _kinds(_found(pair, _held())) == {FindingKind.HUMAN: Remedy.NOTHING}


def test_human_on_a_net() -> None:
    """Of a net that holds more than its shares it is named how much of it is a person's."""
    pair = Pair(view=a_view(kind=AccountType.NETTED))
    pair.opens(stop=price("1.09"))
    pair.answer()
    pair.passes(MINUTE_US)
    ((number, held),) = pair.held.items()
    pair.held[number] = replace(held, volume=Volume(held.volume + LOT // 2), updated_ms=held.updated_ms + 1)
    pair.fact(pair.reconciled())
    (found,) = _found(pair, _held())
    assert (found.kind, found.remedy, found.position) == (FindingKind.HUMAN, Remedy.NOTHING, number)
    assert found.text == f"position {number} holds 50000.00 units that are no copy's"


def test_each_kind_has_a_case_here() -> None:
    """A new kind of finding needs one too."""
    assert {kind.value for kind in FINDINGS} == {
        name.removeprefix("test_") for name in globals() if name.removeprefix("test_") in {k.value for k in FindingKind}
    }


def test_an_execution_of_another_session_settles_nothing_of_ours() -> None:
    """Somebody's order without our names is no answer to the request that waits."""
    pair = Pair()
    pair.opens()
    (asked,) = pair.lose()
    order = pair._order(asked, OrderStatus.FILLED, LOT)
    theirs = replace(order, order=OrderId(77), client_order_id="", label="", position=PositionId(902))
    pair.fact(ExecutionSeen(kind=ExecutionKind.ORDER_FILLED, order=theirs, position=_held(902)))
    assert list(pair.view.intents) == [asked.intent]
    assert pair.copy.position is None
