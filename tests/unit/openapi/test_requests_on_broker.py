"""Each kind of request on the sandbox's core: it is taken, and what is heard of it are the expected facts.

The letters are those of the event sequences that the broker follows (market order A, with levels B, market range C,
pendings D to H, closes J to L, levels M, a stop that is hit N). Requests are made and events read by the copier's own
code, the other end is the sandbox's, which shares none of it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from cmam.domain.events import ExecutionSeen
from cmam.domain.values.commands import Command, CommandKind
from cmam.domain.values.ids import AccountId, IntentId, PositionId, SymbolId
from cmam.domain.values.quantities import Distance, Price, Side, Volume, price_from_decimal
from cmam.domain.values.trades import ExecutionKind, OrderStatus, OrderType, PositionStatus, TimeInForce
from cmam.openapi import catalogue, requests, translate
from cmam.openapi._pb import OpenApiMessages_pb2 as pb
from cmam.openapi.envelope import Envelope
from cmam.openapi.refusals import Refusal, read_refusal
from tests.unit.sandbox.bench import LEADER, Bench

EURUSD = SymbolId(1)
LOT = Volume(10_000_000)
PIP = 10_000
ACCEPTED, FILLED, REPLACED = ExecutionKind.ORDER_ACCEPTED, ExecutionKind.ORDER_FILLED, ExecutionKind.ORDER_REPLACED
CANCELLED, EXPIRED = ExecutionKind.ORDER_CANCELLED, ExecutionKind.ORDER_EXPIRED


class Desk:
    """An account at the broker, asked by commands and heard as facts."""

    def __init__(self) -> None:
        self.bench = Bench(history_days=0)
        self.line = self.bench.login(LEADER)
        self.number = 0
        self.bench.set_quote(LEADER, EURUSD, 1.10000, 1.10010)

    def do(self, kind: CommandKind, seconds: float = 1.0, **fields: Any) -> list[Any]:
        """Send the request of a command and give what follows within some seconds, as facts and refusals."""
        self.number += 1
        command = Command(kind=kind, **{"symbol": EURUSD, "side": Side.BUY, "volume": LOT, **fields})
        self.line.inbox.clear()
        message = requests.request(AccountId(LEADER), IntentId(f"cm1.aaaaa.bbbbbb.p1.{self.number}"), command)
        self.line.send(message, f"cm1.aaaaa.bbbbbb.p1.{self.number}")
        self.bench.pass_time(seconds)
        return self.heard()

    def heard(self) -> list[Any]:
        """What was said of the account, as the copier reads it."""
        found: list[Any] = []
        for kind, body, msg_id in self.line.inbox:
            if kind == catalogue.EXECUTION:
                found.append(translate.execution(body, msg_id or ""))
            elif (refusal := read_refusal(Envelope(kind, body.SerializeToString(), msg_id or ""))) is not None:
                found.append(refusal)
        self.line.inbox.clear()
        return found

    def open(self, **fields: Any) -> ExecutionSeen:
        """Open a position at the market; gives the fill."""
        return next(fact for fact in self.do(CommandKind.OPEN, **fields) if fact.kind is FILLED)

    def state(self) -> tuple[list[Any], list[Any]]:
        """Open positions and pending orders, as a reconcile tells them."""
        report = self.line.ask(pb.ProtoOAReconcileReq(ctidTraderAccountId=LEADER))
        return [translate.position(p) for p in report.position], [translate.order(o) for o in report.order]


@pytest.fixture
def desk() -> Desk:
    """A fresh broker with the market at 1.10000 to 1.10010."""
    return Desk()


def kinds(facts: list[Any]) -> list[ExecutionKind]:
    """What happened, in order; a refusal among it is shown by the failing test."""
    assert not [fact for fact in facts if isinstance(fact, Refusal)], facts
    return [fact.kind for fact in facts]


def price(text: str) -> Price:
    """A price from its decimal text."""
    return price_from_decimal(Decimal(text))


def test_a_market_order(desk: Desk) -> None:
    """A: accepted, then filled, both under our id, with our order id and label on the order."""
    facts = desk.do(CommandKind.OPEN, label="cm1.aaaaa.bbbbbb.p1", comment="c")
    assert kinds(facts) == [ACCEPTED, FILLED]
    assert {fact.client_msg_id for fact in facts} == {"cm1.aaaaa.bbbbbb.p1.1"}
    fill = facts[1]
    assert (fill.order.client_order_id, fill.order.label) == ("cm1.aaaaa.bbbbbb.p1.1", "cm1.aaaaa.bbbbbb.p1")
    assert (fill.position.volume, fill.position.status, fill.position.side) == (LOT, PositionStatus.OPEN, Side.BUY)
    assert fill.deal.filled_volume == LOT
    assert fill.deal.price == fill.position.price == price("1.10010")
    assert facts[0].position.volume == 0


def test_b_levels_as_distances_stand_at_exact_prices(desk: Desk) -> None:
    """B: the protective order follows the fill, its levels exactly as far from the fill price as was asked."""
    facts = desk.do(CommandKind.OPEN, relative_stop=Distance(20 * PIP), relative_target=Distance(35 * PIP))
    assert kinds(facts) == [ACCEPTED, FILLED, ACCEPTED]
    protected = facts[2]
    assert protected.is_server_event
    assert protected.order.type is OrderType.PROTECTION
    entry = facts[1].position.price
    assert (protected.position.stop, protected.position.target) == (entry - 20 * PIP, entry + 35 * PIP)


def test_b_a_short_has_its_levels_mirrored(desk: Desk) -> None:
    """B: a sell's stop is above and its target below."""
    facts = desk.do(
        CommandKind.OPEN, side=Side.SELL, relative_stop=Distance(20 * PIP), relative_target=Distance(35 * PIP)
    )
    entry = facts[1].position.price
    assert (facts[2].position.stop, facts[2].position.target) == (entry + 20 * PIP, entry - 35 * PIP)


def test_b_a_trailing_stop_is_taken(desk: Desk) -> None:
    """B: with its stop the trailing flag is accepted, and the position says so."""
    facts = desk.do(CommandKind.OPEN, relative_stop=Distance(20 * PIP), trailing=True)
    assert facts[-1].position.trailing


def test_c_market_range_fills_inside_and_not_outside(desk: Desk) -> None:
    """C: within base and slippage it is a market order; beyond, nothing is opened and the end is said."""
    near = {"order_type": OrderType.MARKET_RANGE, "slippage_points": 20}
    assert kinds(desk.do(CommandKind.OPEN, base_price=price("1.10000"), **near)) == [ACCEPTED, FILLED]
    facts = desk.do(CommandKind.OPEN, base_price=price("1.09900"), **near)
    assert FILLED not in [fact.kind for fact in facts]
    assert facts[-1].kind in (CANCELLED, ExecutionKind.ORDER_REJECTED)
    assert len(desk.state()[0]) == 1


def test_an_add_enlarges_its_position(desk: Desk) -> None:
    """A market order with a position's id opens no second one."""
    first = desk.open()
    facts = desk.do(CommandKind.ADD, position=first.position.position)
    assert kinds(facts) == [ACCEPTED, FILLED]
    assert (facts[1].position.position, facts[1].position.volume) == (first.position.position, 2 * LOT)


PENDINGS = [
    ({"order_type": OrderType.LIMIT, "limit_price": price("1.09500")}, OrderType.LIMIT),
    ({"order_type": OrderType.STOP, "stop_price": price("1.10500")}, OrderType.STOP),
    (
        {"order_type": OrderType.STOP_LIMIT, "stop_price": price("1.10500"), "slippage_points": 30},
        OrderType.STOP_LIMIT,
    ),
]


@pytest.mark.parametrize(("terms", "kind"), PENDINGS)
def test_d_a_pending_order_rests_with_its_terms(desk: Desk, terms: dict[str, Any], kind: OrderType) -> None:
    """D: accepted, and a reconcile shows the very prices, the time in force and the id that were asked for."""
    facts = desk.do(CommandKind.PLACE, label="cm1.aaaaa.bbbbbb.o1", **terms)
    assert kinds(facts) == [ACCEPTED]
    _, (order,) = desk.state()
    assert (order.type, order.status, order.volume) == (kind, OrderStatus.ACCEPTED, LOT)
    for field in ("limit_price", "stop_price"):
        if field in terms:
            assert getattr(order, field) == terms[field]
    assert order.time_in_force is TimeInForce.GTC
    assert (order.client_order_id, order.label) == ("cm1.aaaaa.bbbbbb.p1.1", "cm1.aaaaa.bbbbbb.o1")


def test_e_an_amended_pending_keeps_what_is_sent_and_loses_what_is_not(desk: Desk) -> None:
    """E: an amendment is a replacement of all optional terms, so ours names all that shall stay."""
    terms = {"order_type": OrderType.LIMIT, "limit_price": price("1.09500")}
    levels = {"relative_stop": Distance(20 * PIP), "relative_target": Distance(30 * PIP)}
    expires_ms = desk.bench.now_us // 1_000 + 3_600_000
    (placed,) = desk.do(CommandKind.PLACE, **terms, **levels, expires_ms=expires_ms)
    number = placed.order.order
    moved = {**terms, "limit_price": price("1.09400")}
    (amended,) = desk.do(CommandKind.AMEND_ORDER, order=number, **moved, **levels, expires_ms=expires_ms)
    assert amended.kind is REPLACED
    _, (order,) = desk.state()
    assert (order.order, order.limit_price, order.expires_ms) == (number, price("1.09400"), expires_ms)
    assert (order.relative_stop, order.relative_target) == (20 * PIP, 30 * PIP)
    desk.do(CommandKind.AMEND_ORDER, order=number, **moved, volume=2 * LOT)
    _, (bare,) = desk.state()
    assert (bare.relative_stop, bare.relative_target, bare.expires_ms, bare.volume) == (None, None, None, 2 * LOT)


def test_f_a_cancelled_pending_is_gone(desk: Desk) -> None:
    """F: cancelled under our id; a second cancel is told that there is nothing."""
    (placed,) = desk.do(CommandKind.PLACE, order_type=OrderType.LIMIT, limit_price=price("1.09500"))
    (cancelled,) = desk.do(CommandKind.CANCEL, order=placed.order.order)
    assert (cancelled.kind, cancelled.order.status) == (CANCELLED, OrderStatus.CANCELLED)
    assert cancelled.client_msg_id.endswith(".2")
    assert desk.state() == ([], [])
    (refusal,) = desk.do(CommandKind.CANCEL, order=placed.order.order)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "ORDER_NOT_FOUND"


def test_g_a_pending_with_an_expiry_expires(desk: Desk) -> None:
    """G: the expiry that was sent is the moment at which it goes, by the server and under no id."""
    expires_ms = desk.bench.now_us // 1_000 + 20_000
    desk.do(CommandKind.PLACE, order_type=OrderType.LIMIT, limit_price=price("1.09500"), expires_ms=expires_ms)
    desk.bench.pass_time(21)
    (expired,) = desk.heard()
    assert (expired.kind, expired.client_msg_id, expired.is_server_event) == (EXPIRED, "", True)


def test_h_a_triggered_pending_becomes_a_position_with_its_levels(desk: Desk) -> None:
    """H: filled under no id, and the protective order stands where the distances say."""
    desk.do(
        CommandKind.PLACE, order_type=OrderType.LIMIT, limit_price=price("1.09500"), relative_stop=Distance(20 * PIP)
    )
    desk.bench.set_quote(LEADER, EURUSD, 1.09480, 1.09490)
    desk.bench.pass_time(1)
    facts = desk.heard()
    assert kinds(facts)[0] is FILLED
    assert facts[0].client_msg_id == ""
    (position,), orders = desk.state()
    assert position.stop == position.price - 20 * PIP
    assert orders == []


def test_j_k_a_full_close_ends_the_position(desk: Desk) -> None:
    """J and K: volume 0 and a deal that says what was realised; with levels the protective order goes after it."""
    bare = desk.open()
    facts = desk.do(CommandKind.CLOSE, position=bare.position.position, whole=True)
    assert kinds(facts) == [ACCEPTED, FILLED]
    assert facts[1].deal.close is not None
    assert facts[1].deal.close.closed_volume == LOT
    assert facts[1].position.volume == 0
    protected = desk.open(relative_stop=Distance(20 * PIP))
    facts = desk.do(CommandKind.CLOSE, position=protected.position.position, whole=True)
    assert kinds(facts) == [ACCEPTED, FILLED, CANCELLED]
    assert desk.state() == ([], [])


def test_l_a_partial_close_leaves_the_rest(desk: Desk) -> None:
    """L: the fill shows what is left, and the protective order shrinks with it."""
    opened = desk.open(volume=2 * LOT, relative_stop=Distance(20 * PIP))
    facts = desk.do(CommandKind.CLOSE, position=opened.position.position, volume=LOT)
    assert kinds(facts) == [ACCEPTED, FILLED, REPLACED]
    assert (facts[1].position.volume, facts[2].order.volume) == (LOT, LOT)


def test_m_levels_are_set_moved_and_removed(desk: Desk) -> None:
    """M: both levels always stand in the request, so that one that stays is said and one that goes is left out."""
    opened = desk.open()
    number = opened.position.position
    (first,) = desk.do(CommandKind.AMEND_PROTECTION, position=number, stop=price("1.09"), target=price("1.12"))
    assert (first.kind, first.position.stop, first.position.target) == (ACCEPTED, price("1.09"), price("1.12"))
    (moved,) = desk.do(CommandKind.AMEND_PROTECTION, position=number, stop=price("1.09100"), target=price("1.12"))
    assert (moved.kind, moved.position.stop, moved.position.target) == (REPLACED, price("1.091"), price("1.12"))
    (refusal,) = desk.do(CommandKind.AMEND_PROTECTION, position=number, stop=price("1.09100"), target=price("1.12"))
    assert isinstance(refusal, Refusal)
    assert refusal.rule.kind == "done"
    desk.do(CommandKind.AMEND_PROTECTION, position=number, stop=price("1.09100"))
    assert [(p.stop, p.target) for p in desk.state()[0]] == [(price("1.091"), None)]
    desk.do(CommandKind.AMEND_PROTECTION, position=number)
    assert [(p.stop, p.target) for p in desk.state()[0]] == [(None, None)]


def test_m_a_level_on_the_wrong_side_is_correctable(desk: Desk) -> None:
    """M: one bad level refuses both, in words from which a correction can follow."""
    opened = desk.open()
    (refusal,) = desk.do(
        CommandKind.AMEND_PROTECTION, position=opened.position.position, stop=price("1.2"), target=price("1.3")
    )
    assert isinstance(refusal, Refusal)
    assert refusal.rule.kind == "correctable"
    assert [(p.stop, p.target) for p in desk.state()[0]] == [(None, None)]


def test_n_a_stop_that_is_hit_closes_by_the_server(desk: Desk) -> None:
    """N: one fill of the protective order, under no id, with a closing deal."""
    desk.open(relative_stop=Distance(20 * PIP))
    desk.bench.set_quote(LEADER, EURUSD, 1.09700, 1.09710)
    (hit,) = desk.heard()
    assert (hit.kind, hit.client_msg_id, hit.is_server_event) == (FILLED, "", True)
    assert (hit.order.type, hit.position.volume) == (OrderType.PROTECTION, 0)
    assert hit.deal.close is not None


def test_a_close_of_what_is_gone_is_gone(desk: Desk) -> None:
    """A position that nobody has any more is told as gone, which for a close is what was wanted."""
    (refusal,) = desk.do(CommandKind.CLOSE, position=PositionId(999_999))
    assert isinstance(refusal, Refusal)
    assert refusal.rule.kind == "gone"


@pytest.mark.parametrize("volume", [1, 99_999, 10**15])
def test_a_volume_that_the_symbol_does_not_allow_is_correctable(desk: Desk, volume: int) -> None:
    """Below the least, off the step, above the most: one kind of refusal, and nothing is opened."""
    (refusal,) = desk.do(CommandKind.OPEN, volume=Volume(volume))
    assert isinstance(refusal, Refusal)
    assert refusal.rule.kind == "correctable"
    assert desk.state() == ([], [])
