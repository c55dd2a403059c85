"""The emergency exit: what counts as proof that nothing of ours is left."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from cmam.clock import ManualClock
from cmam.config.settings import Endpoint, check
from cmam.domain.operating.registry import KnownAccount, Registry
from cmam.domain.values.ids import AccountId, LinkId, PositionId, SourceKey, StoreId, SymbolId
from cmam.domain.values.naming import label_of
from cmam.domain.values.quantities import Price, Side, Volume
from cmam.domain.values.trades import Position
from cmam.openapi.errors import CannotConnect, ConnectStep
from cmam.rescue import Rescue, links_of

ACCOUNT, STORE = AccountId(7), StoreId("st0re")
COPY = Position(
    position=PositionId(1),
    symbol=SymbolId(1),
    side=Side.BUY,
    volume=Volume(1_000),
    price=Price(1),
    label=label_of(STORE, LinkId("l1nk01"), SourceKey("p1")),
)


@dataclass
class Broker:
    """A broker whose answers leave out the one position in some looks, by number."""

    hides: frozenset[int]
    looks: int = 0
    is_open: bool = True
    positions: tuple[Position, ...] = ()
    orders: tuple[Any, ...] = field(default=())

    def held(self, _account: AccountId) -> Broker:
        self.looks += 1
        self.positions = (COPY,) if self.is_open and self.looks not in self.hides else ()
        return self

    def close(self, _account: AccountId, _position: Position) -> None:
        self.is_open = False


@pytest.mark.parametrize("hides", [frozenset(), {1}, {2}, {3}, {1, 3}])
def test_one_look_that_shows_nothing_is_no_proof(monkeypatch: pytest.MonkeyPatch, hides: frozenset[int]) -> None:
    """What a lagging replica left out is closed all the same, and asked about before it is."""
    broker, clock = Broker(frozenset(hides)), ManualClock()
    registry = Registry(store=STORE, accounts={ACCOUNT: KnownAccount(account=ACCOUNT)})
    one = Rescue(cast(Any, None), check({}), registry, {ACCOUNT: None}, clock, lambda _: None)
    monkeypatch.setattr(Rescue, "_desk", lambda _self, _endpoint: broker)
    one._opened.add(ACCOUNT)
    one._is_netted[ACCOUNT] = False
    (seen,) = one.look()
    assert seen.positions == (COPY,)
    (found,) = one.empty(1 << 60, lambda _: None)
    assert (found.is_empty, broker.is_open) == (True, False)


def test_a_server_that_answers_nobody_is_waited_for_once_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once for each of its accounts, many of them would keep those of another server waiting for minutes."""
    broker, clock, dialled = Broker(frozenset()), ManualClock(), []
    demo = [KnownAccount(account=AccountId(number)) for number in (1, 2, 3)]
    live = KnownAccount(account=ACCOUNT, is_live=True)
    registry = Registry(store=STORE, accounts={known.account: known for known in (*demo, live)})
    one = Rescue(cast(Any, None), check({}), registry, links_of(registry, None, None), clock, lambda _: None)

    def dial(_self: Rescue, endpoint: Endpoint) -> Any:
        dialled.append(endpoint.host)
        if endpoint.host.startswith("demo"):
            raise CannotConnect(ConnectStep.TLS, "It gave no answer within 15 s.", "Try again.")
        return broker

    monkeypatch.setattr(Rescue, "_desk", dial)
    one._opened.add(ACCOUNT)
    one._is_netted[ACCOUNT] = False
    one.look()
    assert dialled == ["demo.ctraderapi.com", "live.ctraderapi.com"]
    found = one.empty(0, lambda _: None)
    assert dialled[2:] == ["demo.ctraderapi.com", "live.ctraderapi.com"]
    assert not broker.is_open
    assert {seen.account.account for seen in found if "no answer" in seen.why_not} == {1, 2, 3}
