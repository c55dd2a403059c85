"""Which opens pass: every gate with the value on its edge, and what it says."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cmam.domain.deciding.opening import OPEN_RULES
from cmam.domain.events import CopyAdopted, RulesBegan, Standing, SymbolConfirmed, SymbolSpecSeen
from cmam.domain.profiles.hours import is_within_hours, next_outside
from cmam.domain.profiles.policy import policy_of
from cmam.domain.values.changes import ChangeKind
from cmam.domain.values.ids import OrderId, PositionId, SymbolId
from cmam.domain.values.quantities import Side, Volume
from cmam.domain.values.reasons import Reason, Verdict
from cmam.domain.values.symbols import TradingMode
from cmam.domain.values.trades import AccessRights, AccountType, OrderType, Position
from tests.factories import LINK, LOT, STORE, Pair, a_change, a_spec, a_view, price


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ({"standing": Standing.PAUSED}, Reason.PAUSED),
        ({"standing": Standing.MANAGE_ONLY}, Reason.MANAGE_ONLY),
        ({"superseded": True}, Reason.SOURCE_GONE),
        ({"clock_doubt_ms": 5_001}, Reason.CLOCK),
    ],
)
def test_the_state_of_the_link_comes_first(inputs: dict[str, object], reason: Reason) -> None:
    """A paused link opens nothing, whatever else would hold."""
    assert Pair().tell(a_change(), **inputs).reason is reason


@pytest.mark.parametrize("access", [AccessRights.CLOSE_ONLY, AccessRights.NO_TRADING])
def test_a_broker_that_lets_only_close_makes_the_link_manage_only(access: AccessRights) -> None:
    """CLOSE_ONLY is no reason to try and be refused."""
    assert Pair(view=a_view(access=access)).opens().reason is Reason.MANAGE_ONLY


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"ignore_new": "on"}, Reason.IGNORE_NEW),
        ({"side": "sell"}, Reason.SIDE_EXCLUDED),
        ({"order_types": "limit,stop"}, Reason.ORDER_TYPE_EXCLUDED),
        ({"label": "exact:mine"}, Reason.LABEL_EXCLUDED),
        ({"symbols.include": "GBPUSD"}, Reason.SYMBOL_EXCLUDED),
        ({"symbols.exclude": "EURUSD,GBPUSD"}, Reason.SYMBOL_EXCLUDED),
        ({"symbols.exclude": "gbpusd,eurUsd"}, Reason.SYMBOL_EXCLUDED),
        ({"symbols.include": "eurusd"}, None),
        ({"max_price_distance": "0.1"}, None),  # the ask is 0.1 pip above the leader's fill
        ({"max_price_distance": "0.09"}, Reason.PRICE_AWAY),
        ({"max_spread": "0.2"}, None),
        ({"max_spread": "0.19"}, Reason.SPREAD),
        ({"require_stop": "on"}, Reason.STOP_REQUIRED),
        ({"reverse": "on"}, Reason.NO_STOP_REVERSED),
        ({"reverse": "on", "fixed_sl": "20"}, None),
        ({"reverse": "on", "reverse_without_stop": "on"}, None),
    ],
)
def test_each_filter_says_its_own_word(settings: dict[str, str], reason: Reason | None) -> None:
    """One lot of EURUSD bought at 1.1, the follower's quote 1.09999 / 1.10001."""
    found = Pair(settings).opens()
    assert found.reason is reason
    assert found.verdict is (Verdict.COPY if reason is None else Verdict.SKIP)


def test_lists_of_symbols_were_exact_once() -> None:
    """A log from before stays as it was decided: another case was another symbol."""
    pair = Pair({"symbols.exclude": "eurusd"})
    pair.fact(RulesBegan(rules=2))
    assert pair.opens().verdict is Verdict.COPY


def test_side_is_the_leaders_before_reverse() -> None:
    """`side=buy` with `reverse` sells where the leader buys."""
    pair = Pair({"side": "buy", "reverse": "on", "reverse_without_stop": "on"})
    found = pair.opens()
    assert found.side is Side.SELL
    assert pair.tell(a_change(source="p2", side=Side.SELL)).reason is Reason.SIDE_EXCLUDED


@pytest.mark.parametrize(
    ("label", "passes"),
    [("exact:grid", True), ("grid", True), ("prefix:gr", True), ("pattern:g*d", True), ("prefix:id", False)],
)
def test_labels_match_exactly_by_prefix_or_pattern(label: str, passes: bool) -> None:
    """The leader's trade is labelled `grid`."""
    assert (Pair({"label": label}).opens(label="grid").verdict is Verdict.COPY) is passes


def test_age_counts_by_the_brokers_clock() -> None:
    """30 s old passes, a millisecond more is too old; a broker's clock that is 5 s behind makes us 5 s younger."""
    pair = Pair()
    now_ms = pair.now_us // 1_000
    assert pair.tell(a_change(source="p1", at_ms=now_ms - 30_000)).verdict is Verdict.COPY
    assert pair.tell(a_change(source="p2", at_ms=now_ms - 30_001)).reason is Reason.TOO_OLD
    behind = pair.tell(a_change(source="p3", at_ms=now_ms - 35_000), clock_offset_ms=-5_000)
    assert behind.verdict is Verdict.COPY


def test_shorts_need_the_symbols_leave() -> None:
    """The copy's own side counts: a reversed buy is a short."""
    view = a_view((a_spec(short_selling=False),))
    assert Pair(view=view).opens(side=Side.SELL).reason is Reason.SHORT_SELLING
    reversed_ = Pair({"reverse": "on", "reverse_without_stop": "on"}, view=view)
    assert reversed_.opens().reason is Reason.SHORT_SELLING


@pytest.mark.parametrize("change", [{"enabled": False}, {"trading_mode": TradingMode.CLOSE_ONLY}])
def test_a_symbol_that_may_not_be_traded_is_skipped(change: dict[str, object]) -> None:
    """Disabled, or close-only."""
    assert Pair(view=a_view((a_spec(**change),))).opens().reason is Reason.SYMBOL_DISABLED


def test_a_symbol_whose_lot_or_step_changed_waits_for_a_person() -> None:
    """2120 told of another step: opens in it stop until somebody confirms, closes do not."""
    pair = Pair()
    pair.opens()
    pair.answer()
    pair.fact(SymbolSpecSeen(spec=a_spec(step_volume=200_000)))
    assert pair.tell(a_change(source="p2")).reason is Reason.SYMBOL_CHANGED
    assert pair.closes().verdict is Verdict.COPY
    pair.fact(SymbolConfirmed(symbol=SymbolId(1)))
    assert pair.tell(a_change(source="p3")).verdict is Verdict.COPY


def test_a_symbol_that_changes_back_needs_nobody() -> None:
    """What is as it was needs no leave."""
    pair = Pair()
    pair.fact(SymbolSpecSeen(spec=a_spec(step_volume=200_000)))
    pair.fact(SymbolSpecSeen(spec=a_spec()))
    assert pair.opens().verdict is Verdict.COPY


@pytest.mark.parametrize(
    ("hours", "days", "moment", "inside"),
    [
        ("08:00-17:00 Europe/Berlin", "all", "2024-01-15T07:00", True),  # 08:00 in Berlin
        ("08:00-17:00 Europe/Berlin", "all", "2024-01-15T16:00", False),  # 17:00, the end is outside
        ("08:00-17:00 Europe/Berlin", "all", "2024-07-15T06:00", True),  # 08:00 in summer
        ("22:00-02:00", "mon", "2024-01-15T23:00", True),  # Monday night
        ("22:00-02:00", "mon", "2024-01-16T01:00", True),  # still Monday's window
        ("22:00-02:00", "mon", "2024-01-15T01:00", False),  # Sunday's window
        ("always", "sat-sun", "2024-01-15T12:00", False),
        ("00:00-24:00", "mon", "2024-01-15T23:59", True),
    ],
)
def test_hours_lie_in_a_zone_and_may_wrap_midnight(hours: str, days: str, moment: str, inside: bool) -> None:
    """A window belongs to the day on which it began."""
    policy = policy_of({"hours": hours, "days": days})
    at_us = int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()) * 1_000_000
    assert is_within_hours(policy, at_us) is inside


@pytest.mark.parametrize(
    ("hours", "days", "now", "end"),
    [
        ("08:00-17:00 Europe/Berlin", "all", "2024-01-15T10:00", "2024-01-15T16:00"),
        ("22:00-02:00", "mon", "2024-01-15T23:00", "2024-01-16T02:00"),
        ("00:00-24:00", "mon-fri", "2024-01-15T23:00", "2024-01-20T00:00"),
        ("always", "mon-fri", "2024-01-15T23:00", "2024-01-20T00:00"),
        # New York's clock jumps from 02:00 to 03:00 on 2024-03-10 at 07:00 UTC: there ends a window until 02:30.
        ("22:00-02:30 America/New_York", "all", "2024-03-10T05:00", "2024-03-10T07:00"),
        # 01:30 comes twice on 2024-11-03, at 05:30 and at 06:30 UTC: each time hours until then end.
        ("22:00-01:30 America/New_York", "all", "2024-11-03T05:00", "2024-11-03T05:30"),
        ("22:00-01:30 America/New_York", "all", "2024-11-03T06:10", "2024-11-03T06:30"),
        # Beirut has no midnight on 2024-03-31: Saturday ends at 01:00 on Sunday, 22:00 UTC.
        ("00:00-24:00 Asia/Beirut", "sat", "2024-03-30T12:00", "2024-03-30T22:00"),
    ],
)
def test_hours_end_when_their_last_window_does(hours: str, days: str, now: str, end: str) -> None:
    """Windows that meet are one; always and every day never end."""
    us = lambda text: int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000  # noqa: E731
    assert next_outside(policy_of({"hours": hours, "days": days}), us(now)) == us(end)
    assert next_outside(policy_of({}), us(now)) is None


def test_outside_the_hours_only_opens_wait() -> None:
    """The test's day is 2020-09-13, a Sunday."""
    assert Pair({"days": "mon-sat"}).opens().reason is Reason.OUTSIDE_HOURS
    assert Pair({"days": "sun"}).opens().verdict is Verdict.COPY


def test_a_fill_of_an_excluded_type_is_copied_only_on_request() -> None:
    """A filled limit is a limit, judged by its original order."""
    fill = {"origin": OrderId(450), "origin_type": OrderType.LIMIT}
    assert Pair({"order_types": "market"}).opens(**fill).reason is Reason.ORDER_TYPE_EXCLUDED
    assert Pair({"order_types": "market", "copy_on_fill": "on"}).opens(**fill).verdict is Verdict.COPY
    assert Pair().opens(**fill).verdict is Verdict.COPY


def test_another_copier_of_the_same_source_stops_the_open_until_adopted() -> None:
    """A live position labelled by another store for this leader's position: two copiers would double it."""
    pair = Pair()
    foreign = Position(
        position=PositionId(3), symbol=SymbolId(1), side=Side.BUY, volume=Volume(LOT), label="cm1.other.l1nk09.pdw",
        price=price("1.1"),
    )  # fmt: skip
    pair.held[foreign.position] = foreign
    pair.fact(pair.reconciled())
    found = pair.opens(source="pdw")
    assert found.reason is Reason.OTHER_COPIER
    assert any("other" in step.value for step in found.working)
    pair.fact(CopyAdopted(link=LINK, store="other"))
    assert pair.opens(source="pdw").verdict is Verdict.COPY
    assert STORE != "other"


def test_another_copier_of_the_same_leader_stops_every_open() -> None:
    """It holds a copy of another position of this leader: it would copy the next one too, so we do not begin."""
    from dataclasses import replace

    from cmam.domain.deciding.inputs import gather

    pair = Pair()
    foreign = Position(
        position=PositionId(3), symbol=SymbolId(1), side=Side.BUY, volume=Volume(LOT), label="cm1.other.l1nk09.p2s",
        price=price("1.1"),
    )  # fmt: skip
    pair.held[foreign.position] = foreign
    pair.fact(pair.reconciled())
    leader = a_view()
    theirs = replace(foreign, position=PositionId(100), label="")
    for positions, reason in (({}, None), ({theirs.position: theirs}, Reason.OTHER_COPIER)):
        seen = replace(leader, positions=positions)
        change = pair.change(source=f"p{len(positions)}zz")
        found = gather(pair.view, change, pair.link, pair.quote, leader=seen)
        assert pair.tell(change, other_copier=found.other_copier).reason is reason


def test_a_netted_account_keeps_out_of_what_others_hold() -> None:
    """A foreign position in the symbol: skip(netted_taken)."""
    pair = Pair(view=a_view(kind=AccountType.NETTED))
    mine = Position(position=PositionId(3), symbol=SymbolId(1), side=Side.BUY, volume=Volume(LOT))
    pair.held[mine.position] = mine
    pair.fact(pair.reconciled())
    assert pair.opens().reason is Reason.NETTED_TAKEN


def test_the_rules_stand_in_their_order() -> None:
    """State; symbol; side, type, label, hours; age, price, spread; levels; size; sanity; caps, margin, guards."""
    names = [rule.__name__ for rule in OPEN_RULES]
    wanted = ["standing", "symbol", "side", "order_type", "label", "hours", "age", "price", "spread", "levels", "sized"]
    wanted += ["sanity", "caps", "margin"]
    assert [name for name in names if name in wanted] == wanted


@pytest.mark.parametrize("kind", list(ChangeKind))
def test_every_kind_of_change_meets_a_verdict_without_a_copy(kind: ChangeKind) -> None:
    """Total: nothing that a leader can do is without an answer."""
    found = Pair().tell(a_change(kind, before=Volume(LOT), limit_price=price("1.09"), origin_type=OrderType.LIMIT))
    assert found.verdict in Verdict
    assert (found.reason is None) == (found.verdict is Verdict.COPY)
