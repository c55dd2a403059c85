"""The facts that the log's benchmarks write: an alert, a decision, a fill, and what a live log has of all of them.

Each is an object of its own with ids and times of its own, as they come from brokers and decisions: nothing is
quicker because it was written before.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from codec import fill

from cmam.domain.events import AlertRaised, ChangeDecided, Event, ExecutionSeen, Goal, Inputs, IntentRecorded, Step
from cmam.domain.values.changes import Change, ChangeKind, LeaderMoney, LeaderSymbol
from cmam.domain.values.commands import Command, CommandKind
from cmam.domain.values.ids import (
    AccountId,
    ChangeKey,
    IntentId,
    LinkId,
    OrderId,
    PositionId,
    ProfileId,
    SourceKey,
    SymbolId,
)
from cmam.domain.values.quantities import Distance, Price, Quote, Side, Volume
from cmam.domain.values.reasons import Verdict
from cmam.openapi import translate
from cmam.store.records.envelope import Cause, Pending

LEADER = "account:40000001"
FOLLOWERS = 16
BEGUN_MS = 1_767_614_400_000


def alert(number: int) -> Event:
    """The smallest fact there is."""
    return AlertRaised(kind="session", text=f"the connection was lost, {number:,}")


def change(number: int) -> Change:
    """What a leader's open is to his followers."""
    at_ms = BEGUN_MS + number
    return Change(
        key=ChangeKey(f"deal:{123_456_789 + number}"),
        kind=ChangeKind.OPENED,
        source=SourceKey("p21i3v9"),
        leader=AccountId(40_000_001),
        at_ms=at_ms,
        symbol=LeaderSymbol(
            name="EURUSD", digits=5, pip_position=4, lot_size=Volume(10_000_000), base="EUR", quote="USD"
        ),
        side=Side.BUY,
        position=PositionId(123_456_789 + number),
        origin=OrderId(223_456_789 + number),
        volume=Volume(10_000_000),
        after=Volume(10_000_000),
        price=Price(110_000_000),
        money=LeaderMoney(currency="EUR", money_digits=2, balance=1_000_000 + number),
        quote=Quote(Price(110_000_000), Price(110_010_000), at_ms, at_ms * 1_000),
    )


def decision(number: int, of: Change | None = None) -> Event:
    """The decision to copy an open, the largest fact on a copy's way."""
    at_ms = BEGUN_MS + number
    return ChangeDecided(
        link=LinkId("a1b2c3"),
        profile=ProfileId("d4e5f6"),
        change=of or change(number),
        cause_version=number,
        cause_index=0,
        settings_version=7,
        verdict=Verdict.COPY,
        volume=Volume(5_000_000),
        symbol=SymbolId(1),
        side=Side.BUY,
        goal=Goal(target_numerator=5_000_000, leader_volume=Volume(10_000_000), has_levels=True),
        working=tuple(Step(name="raw", value=f"{50_000 + number}", note="units, exact") for _ in range(6)),
        inputs=Inputs(quotes={"EURUSD": Quote(Price(110_000_000), Price(110_010_000), at_ms, at_ms * 1_000)}),
    )


def intent(number: int) -> Event:
    """The promise of the request that follows a decision."""
    return IntentRecorded(
        intent=IntentId(f"cm1.aaaaa.bbbbbb.p{number}.1"),
        link=LinkId("a1b2c3"),
        source=SourceKey(f"p{number}"),
        seq=1,
        command=Command(
            kind=CommandKind.OPEN,
            symbol=SymbolId(1),
            side=Side.BUY,
            volume=Volume(5_000_000),
            relative_stop=Distance(200_000),
            relative_target=Distance(300_000),
            label=f"cm1.aaaaa.bbbbbb.p{number}",
        ),
    )


def execution(number: int) -> ExecutionSeen:
    """The fill of a market order with order, position and deal, as it is read from the wire."""
    wire = fill()
    wire.position.positionId = wire.order.positionId = wire.deal.positionId = 7_000_000 + number
    wire.order.orderId = wire.deal.orderId = 8_000_000 + number
    wire.deal.dealId = 9_000_000 + number
    wire.order.utcLastUpdateTimestamp = wire.position.utcLastUpdateTimestamp = BEGUN_MS + number
    wire.deal.createTimestamp = wire.deal.executionTimestamp = BEGUN_MS + number
    wire.order.clientOrderId = f"cm1.aaaaa.bbbbbb.p{number}.1"
    return translate.execution(wire, f"cm1.aaaaa.bbbbbb.p{number}.1")


def alone(made: Callable[[int], Event], count: int) -> list[Pending]:
    """One kind of fact in one stream."""
    return [Pending(LEADER, number, BEGUN_MS * 1_000 + number, made(number)) for number in range(1, count + 1)]


def live(count: int) -> list[Pending]:
    """What trade after trade leaves behind: the leader's fill, and each follower's decision, intent and fill."""
    found: list[Pending] = []
    versions: dict[str, int] = {}

    def record(stream: str, event: Event, cause: Cause | None = None) -> Cause:
        versions[stream] = version = versions.get(stream, 0) + 1
        found.append(Pending(stream, version, BEGUN_MS * 1_000 + len(found), event, cause, 7))
        return stream, version

    while len(found) < count:
        number = len(found)
        told, what = record(LEADER, execution(number)), change(number)
        followers = [f"account:{41_000_000 + follower}" for follower in range(FOLLOWERS)]
        for place, stream in enumerate(followers):
            record(stream, intent(number + place), record(stream, decision(number, what), told))
        for place, stream in enumerate(followers):
            record(stream, execution(number + place))
    return found[:count]
