"""What a leader tells followers that were away: everything they may have missed, and no more of the past than that."""

from __future__ import annotations

from typing import Any

from cmam.actors import messages as m
from cmam.actors.accounts.followers import AFTER_ALL, Followers
from cmam.domain.belief.view import AccountView
from cmam.domain.events import (
    Event,
    ExecutionSeen,
    Health,
    HealthChanged,
    QuotesSampled,
    Reconciled,
    RulesBegan,
    TraderSeen,
)
from cmam.domain.folds.account import evolve
from cmam.domain.values.ids import AccountId, DealId, LinkId, OrderId, PositionId, SymbolId
from cmam.domain.values.quantities import Price, Side, Volume
from cmam.domain.values.rules.newest import RULES
from cmam.domain.values.trades import (
    AccountType,
    Deal,
    ExecutionKind,
    Order,
    OrderStatus,
    OrderType,
    Position,
    Trader,
)

LEADER, FOLLOWER, LINK = AccountId(1), AccountId(2), LinkId("l1nk01")
QUIET = QuotesSampled(quotes={})


def fill(number: int, *, kind: OrderType = OrderType.MARKET) -> ExecutionSeen:
    """The leader opens a position of that number."""
    deal = Deal(
        deal=DealId(number),
        order=OrderId(number),
        position=PositionId(number),
        symbol=SymbolId(1),
        side=Side.BUY,
        volume=Volume(100),
        filled_volume=Volume(100),
        price=Price(100_000_000),
        executed_ms=number,
    )
    position = Position(position=PositionId(number), symbol=SymbolId(1), side=Side.BUY, volume=Volume(100))
    order = Order(order=OrderId(number), symbol=SymbolId(1), side=Side.BUY, type=kind, volume=Volume(100))
    return ExecutionSeen(kind=ExecutionKind.ORDER_FILLED, order=order, position=position, deal=deal)


class Stage:
    """A leader's followers, the record that they ask for, and what one follower is told."""

    def __init__(self, *events: Event, told: tuple[int, int] | None = None, past: int = 0) -> None:
        self.told: list[Any] = []
        self.reads: list[m.Read] = []
        self.events = (HealthChanged(health=Health.RECONCILED), *events)
        self.view = earlier = AccountView(account=LEADER)
        for event in self.events:
            self.view = evolve(self.view, event, 1)
            earlier = self.view if self.view.version == past else earlier
        self.followers = Followers(LEADER, self, lambda _: None, told, earlier)

    def tell(self, name: str, message: Any) -> bool:
        (self.reads if name == m.RECORDER else self.told).append(message)
        return True

    def join(self, version: int, index: int = AFTER_ALL) -> None:
        """The follower comes back at its place, and what is asked of the record is answered to the end."""
        self.followers.join(m.FollowFrom(LINK, FOLLOWER, version, index, ticket=1), self.view)
        for read in self.reads:
            records = tuple((event, 1) for event in self.events[read.after :])
            self.followers.tell_the_past(m.StreamRead(read.stream, records, after=read.after), self.view)

    @property
    def changes(self) -> list[tuple[int, str]]:
        return [(told.version, told.change.key) for told in self.told if isinstance(told, m.LeaderChanged)]


def test_after_a_quiet_time_the_past_is_not_folded_again() -> None:
    """Where nothing since its place can be a change, only the end is read, and the follower goes on from there."""
    stage = Stage(fill(1), QUIET, QUIET)
    stage.join(2)
    assert [read.after for read in stage.reads] == [1]
    assert [type(told) for told in stage.told] == [m.LeaderHolds]
    stage.followers.tell(stage.view, evolve(stage.view, fill(2), 1), fill(2), 0)
    assert stage.changes == [(5, "deal:2")]


def test_what_was_missed_is_told_in_its_order() -> None:
    """A change after its place is told, after the whole stream was folded again; what came meanwhile comes after it."""
    stage = Stage(fill(1), QUIET, fill(2), QUIET, fill(3))
    stage.join(2, 0)
    assert [read.after for read in stage.reads] == [1, 0]
    assert stage.changes == [(4, "deal:2"), (6, "deal:3")]


def test_a_record_that_may_hold_a_second_change_is_folded_again() -> None:
    """Any fill may tell more than one: which of them was its last is known by folding it."""
    for kind in (OrderType.LIMIT, OrderType.MARKET):
        stage = Stage(fill(1, kind=kind), QUIET)
        stage.join(2, 0)
        assert [read.after for read in stage.reads] == [1, 0]


def test_an_open_behind_an_order_that_fills_into_its_net_is_told() -> None:
    """A leader died between the two: an order rested, and a fill by market first takes it back, then opens the net."""
    netted = TraderSeen(trader=Trader(account=LEADER, account_type=AccountType.NETTED))
    rests = Order(
        order=OrderId(1),
        symbol=SymbolId(1),
        side=Side.BUY,
        type=OrderType.LIMIT,
        volume=Volume(100),
        position=PositionId(1),
        limit_price=Price(90_000_000),
        status=OrderStatus.ACCEPTED,
    )
    placed = ExecutionSeen(kind=ExecutionKind.ORDER_ACCEPTED, order=rests)
    stage = Stage(RulesBegan(rules=RULES), netted, placed, fill(2))
    stage.join(5, 0)
    assert stage.changes == [(5, "deal:2")]


def test_the_very_last_record_is_looked_at_too() -> None:
    """A follower that has decided one change of the leader's last record may have missed another of the same."""
    stage = Stage(fill(1), fill(2, kind=OrderType.LIMIT))
    stage.join(3, 0)
    assert [read.after for read in stage.reads] == [2, 0]
    stage = Stage(fill(1), fill(2))
    stage.join(3, AFTER_ALL)
    assert stage.reads == []
    assert [type(told) for told in stage.told] == [m.LeaderHolds]


def test_many_followers_that_missed_the_same_have_it_read_once() -> None:
    """The past of many is one past: the stream is read whole once for all of them."""
    stage = Stage(fill(1), QUIET, fill(2))
    names = [LinkId(f"l1nk{number:02}") for number in range(5)]
    for name in names:
        stage.followers.join(m.FollowFrom(name, FOLLOWER, 2, 0, ticket=1), stage.view)
    for read in stage.reads:
        records = tuple((event, 1) for event in stage.events[read.after :])
        stage.followers.tell_the_past(m.StreamRead(read.stream, records, after=read.after), stage.view)
    assert [read.after for read in stage.reads] == [1] * 5 + [0]
    assert sorted(told.link for told in stage.told if isinstance(told, m.LeaderChanged)) == names


def test_who_asks_anew_while_behind_is_told_holdings_only_after_the_past() -> None:
    """A follower that waited for the reconcile and then fell behind is told what it missed first, the holdings last."""
    stage = Stage(HealthChanged(health=Health.DOWN))
    stage.followers.join(m.FollowFrom(LINK, FOLLOWER, stage.view.version, AFTER_ALL, ticket=1), stage.view)
    news = (fill(1), HealthChanged(health=Health.RECONCILED))
    stage.events = (*stage.events, *news)
    for event in news:
        stage.view = evolve(stage.view, event, 1)
    stage.followers.join(m.FollowFrom(LINK, FOLLOWER, 2, AFTER_ALL, ticket=2), stage.view)
    stage.followers.reconciled(stage.view)
    assert stage.told == []
    for read in stage.reads:
        records = tuple((event, 1) for event in stage.events[read.after :])
        stage.followers.tell_the_past(m.StreamRead(read.stream, records, after=read.after), stage.view)
    assert [type(told) for told in stage.told] == [m.LeaderChanged, m.LeaderHolds]


# --- what a start knows already ---------------------------------------------------------------------------------------


def test_who_stands_at_the_last_change_that_was_told_costs_no_look_at_the_record() -> None:
    """A snapshot of the leader says where its last change stands: whoever decided that has missed nothing."""
    shown = Reconciled(positions=(), orders=())
    stage = Stage(fill(1), QUIET, shown, told=(2, 0))
    stage.join(2, 0)
    assert stage.reads == []
    assert [type(told) for told in stage.told] == [m.LeaderHolds]
    late = LinkId("l1nk02")
    after = evolve(stage.view, fill(2), 1)
    stage.followers.tell(stage.view, after, fill(2), 0)
    stage.followers.join(m.FollowFrom(late, FOLLOWER, 2, 0, ticket=1), after)
    assert [read.after for read in stage.reads] == [1]  # its last change is another one since


def test_who_missed_the_last_change_is_told_from_the_record() -> None:
    """Knowing where it stands is no proof that everybody decided it."""
    stage = Stage(fill(1), fill(2), told=(3, 0))
    stage.join(2, 0)
    assert stage.changes == [(3, "deal:2")]


def test_what_nobody_followed_is_not_taken_for_nothing() -> None:
    """An account without followers works no changes out: where its last one stands is not known from then on."""
    stage = Stage(fill(1), told=(2, 0))
    after = evolve(stage.view, fill(2), 1)
    stage.followers.tell(stage.view, after, fill(2), 0)
    stage.events, stage.view = (*stage.events, fill(2)), after
    stage.join(2, 0)
    assert stage.changes == [(3, "deal:2")]


def test_what_was_missed_is_folded_from_a_view_of_before() -> None:
    """Of a long past only the end is read again, and the same is told."""
    stage = Stage(*(fill(number) for number in range(1, 9)), told=(9, 0), past=6)
    stage.join(7, 0)
    assert [read.after for read in stage.reads] == [6, 6]
    assert stage.changes == [(8, "deal:7"), (9, "deal:8")]


def test_a_view_of_before_that_is_too_new_is_not_used() -> None:
    """A follower that stands before it has missed what led to it."""
    stage = Stage(*(fill(number) for number in range(1, 9)), told=(9, 0), past=6)
    stage.join(4, 0)
    assert [read.after for read in stage.reads] == [3, 0]
    assert [version for version, _ in stage.changes] == [5, 6, 7, 8, 9]
