"""Whose orders were that have been told with their names once."""

from __future__ import annotations

from dataclasses import replace

from cmam.actors.accounts.order_names import NAMES_MAX, OrderNames
from cmam.domain.belief.copies import Intent
from cmam.domain.belief.view import AccountView
from cmam.domain.events import ExecutionSeen
from cmam.domain.values.commands import Command, CommandKind
from cmam.domain.values.ids import AccountId, IntentId, LinkId, OrderId, SourceKey, SymbolId
from cmam.domain.values.quantities import Side, Volume
from cmam.domain.values.trades import ExecutionKind, Order, OrderType

LABEL = "cm1.s.link.p1"
AT_MS = 1_000_000_500


def _asked(seq: int) -> Intent:
    command = Command(kind=CommandKind.ADD, symbol=SymbolId(1), side=Side.BUY, volume=Volume(100), label=LABEL)
    return Intent(
        intent=IntentId(f"{LABEL}.{seq}"), link=LinkId("link"), source=SourceKey("p1"), seq=seq, command=command,
        volume_before=Volume(0), attempt=1, recorded_us=AT_MS * 1_000,
    )  # fmt: skip


def _view(*seqs: int) -> AccountView:
    return AccountView(account=AccountId(2), intents={f"{LABEL}.{seq}": _asked(seq) for seq in seqs})


def _told(order: int, name: str = "", message: str = "") -> ExecutionSeen:
    told = Order(order=OrderId(order), symbol=SymbolId(1), side=Side.BUY, type=OrderType.MARKET, volume=Volume(100),
                 label=LABEL, client_order_id=name, opened_ms=AT_MS)  # fmt: skip
    return ExecutionSeen(kind=ExecutionKind.ORDER_ACCEPTED, order=told, client_msg_id=message)


def test_what_an_execution_or_its_message_names_is_remembered() -> None:
    """Of requests that are open: a name of anybody else is none of ours, and the order of a close has none."""
    names, view = OrderNames(), _view(1, 2)
    closes = _told(6, f"{LABEL}.2")
    assert closes.order is not None
    for fact in (
        _told(3, f"{LABEL}.1"),
        _told(4, "", f"{LABEL}.2"),
        _told(5, "somebody"),
        replace(closes, order=replace(closes.order, closing=True)),
        ExecutionSeen(kind=ExecutionKind.SWAP),
    ):
        assert names.named(view, fact, lambda: 0) is fact
    assert names.known == {3: f"{LABEL}.1", 4: f"{LABEL}.2"}


def test_the_oldest_names_are_forgotten() -> None:
    """What has not been told for so long is not told again."""
    names, view = OrderNames(), _view(1)
    for order in range(1, NAMES_MAX + 2):
        names.named(view, _told(order, f"{LABEL}.1"), lambda: 0)
    assert len(names.known) == NAMES_MAX
    assert OrderId(1) not in names.known
