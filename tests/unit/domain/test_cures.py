"""What would have let a skip through: found by deciding again, and as little as needed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cmam.domain.belief.view import Latch
from cmam.domain.deciding.inputs import gather
from cmam.domain.events import Inputs, Standing, SymbolSpecSeen
from cmam.domain.trials.cases import Case
from cmam.domain.trials.cures import KNOBS, cures
from cmam.domain.values.ids import AccountId, LinkId, OrderId, PositionId, SourceKey, SymbolId
from cmam.domain.values.quantities import Side, Volume
from cmam.domain.values.reasons import Reason
from cmam.domain.values.symbols import TradingMode
from cmam.domain.values.trades import AccessRights, AccountType, OrderType, Position
from tests.factories import LINK, LOT, Pair, a_change, a_quote, a_spec, a_view, price, some_settings

QUOTE = ("1.09999", "1.10001")
LATCH = Latch(link=LINK, guard="daily_loss", reaction="flatten", scope="profile", since_us=1)


def case_of(pair: Pair, change: Any = None, **inputs: object) -> Case:
    """A decision that a pair would make now, as a case."""
    change = change if change is not None else a_change(at_ms=pair.now_us // 1_000)
    known: Inputs = replace(gather(pair.view, change, pair.link, pair.quote), **inputs)
    return Case(view=pair.view, change=change, link=pair.link, inputs=known, now_us=pair.now_us)


def told(case: Case) -> list[str]:
    """The cures of a case, each verified: none is claimed that does not copy."""
    return [str(cure) for cure in cures(case)]


def reason(case: Case) -> Reason | None:
    """What stops a case."""
    decision = case.run()
    return decision.reason if decision is not None else None


SMALL = {"volume": Volume(150_000), "after": Volume(150_000)}


@pytest.mark.parametrize(
    ("settings", "change", "inputs", "word", "cure"),
    [
        ({}, {}, {"standing": Standing.PAUSED}, Reason.PAUSED, "a running link (it was paused)"),
        ({}, {}, {"superseded": True}, Reason.SOURCE_GONE, "a leader who still holds it (it was gone)"),
        ({}, {}, {"clock_doubt_ms": 7_000}, Reason.CLOCK, "the broker's clock known to 5000 ms (known to 7000 ms)"),
        ({"ignore_new": "on"}, {}, {}, Reason.IGNORE_NEW, "ignore_new=off (was on)"),
        ({"side": "sell"}, {}, {}, Reason.SIDE_EXCLUDED, "side=both (was sell)"),
        ({"order_types": "limit"}, {}, {}, Reason.ORDER_TYPE_EXCLUDED, "order_types=limit,market (was limit)"),
        ({"label": "exact:mine"}, {}, {}, Reason.LABEL_EXCLUDED, "label=any (was exact:mine)"),
        ({"symbols.include": "GBPUSD"}, {}, {}, Reason.SYMBOL_EXCLUDED, "symbols.include=GBPUSD,EURUSD (was GBPUSD)"),
        ({"symbols.exclude": "EURUSD"}, {}, {}, Reason.SYMBOL_EXCLUDED, "symbols.exclude=none (was EURUSD)"),
        ({"max_price_distance": "0.09"}, {}, {}, Reason.PRICE_AWAY, "max_price_distance=0.1 (was 0.09)"),
        ({"max_spread": "0.19"}, {}, {}, Reason.SPREAD, "max_spread=0.2 (was 0.19)"),
        ({"require_stop": "on"}, {}, {}, Reason.STOP_REQUIRED, "require_stop=off (was on)"),
        ({"reverse": "on"}, {}, {}, Reason.NO_STOP_REVERSED, "reverse_without_stop=on (was off)"),
        ({"volume.amount": "0.5"}, SMALL, {}, Reason.BELOW_MINIMUM, "volume.amount=0.666667 (was 0.5)"),
        (
            {"volume.amount": "0.1", "volume.rounding": "raise,cap", "raise_risk_max": "5"},
            SMALL,
            {},
            Reason.RAISE_TOO_FAR,
            "raise_risk_max=6.666667 (was 5)",
        ),
        ({"max_lots_open": "0.5"}, {}, {}, Reason.MAX_LOTS, "max_lots_open=1 (was 0.5)"),
        ({"max_lots_open": "0.5"}, {}, {}, Reason.MAX_LOTS, "volume.amount=0.509999 (was 1)"),
        ({"margin_reserve": "100"}, {}, {}, Reason.MARGIN, "margin_reserve=9.090826 (was 100)"),
        (
            {"volume.mode": "risk_percent", "stop_wait": "0s"},
            {},
            {},
            Reason.NO_STOP,
            "fixed_sl=10 (was off)",
        ),
        ({}, {"stop": price("1.11")}, {}, Reason.LEVEL_WRONG_SIDE, "copy_sl=off (was on)"),
        ({"fixed_sl": "12000"}, {}, {}, Reason.LEVEL_WRONG_SIDE, "fixed_sl=10 (was 12000)"),
        ({"max_spread": "9"}, {}, {"quotes": {}}, Reason.STALE_INPUT, "a quote of EURUSD (there was none)"),
        ({"hours": "00:00-00:01"}, {}, {}, Reason.OUTSIDE_HOURS, "hours=always (was 00:00-00:01)"),
    ],
)  # fmt: skip
def test_the_least_that_would_have_helped_is_found(
    settings: dict[str, str], change: dict[str, object], inputs: dict[str, object], word: Reason, cure: str
) -> None:
    """One lot of EURUSD bought at 1.1, the follower's quote 1.09999 / 1.10001, 10,000 USD at 1:100."""
    pair = Pair(settings)
    case = case_of(pair, a_change(at_ms=pair.now_us // 1_000, **change), **inputs)
    assert reason(case) is word
    assert cure in told(case)


def test_an_age_is_cured_by_a_longer_setting_or_a_sooner_decision() -> None:
    """31.5 s old under a `max_age` of 30 s: to the millisecond, either way."""
    pair = Pair()
    case = case_of(pair, a_change(at_ms=pair.now_us // 1_000 - 31_500))
    assert reason(case) is Reason.TOO_OLD
    assert told(case) == ["max_age=31500ms (was 30s)", "a change at most 30000 ms old (it was 31500 ms old)"]


def test_a_cure_of_two_rules_names_both() -> None:
    """Behind the first rule that says no another one waits: what is told gets past both."""
    case = case_of(Pair({"max_spread": "0.1", "label": "exact:mine", "volume.amount": "0.001"}))
    assert reason(case) is Reason.LABEL_EXCLUDED
    (found,) = {cure for cure in told(case) if cure.startswith("label=any (was exact:mine) and max_spread=0.2")}
    assert "volume.amount=0.01 (was 0.001)" in found


def test_a_price_is_cured_by_a_better_one() -> None:
    """The ask is 3 pips above the leader's fill and 2 are allowed: an ask of 1.10020 would have done."""
    pair = Pair({"max_price_distance": "2"}, quotes={"EURUSD": ("1.10028", "1.10030")})
    assert told(case_of(pair)) == [
        "max_price_distance=3 (was 2)",
        "EURUSD at an ask of 1.10020 (it was 1.10030)",
    ]


VIEWS: list[tuple[str, Any, Reason, str]] = [
    ("access", a_view(access=AccessRights.CLOSE_ONLY), Reason.MANAGE_ONLY, "full access to trade (it was close_only)"),
    ("short", a_view((a_spec(enabled=False),)), Reason.SYMBOL_DISABLED, "EURUSD open for trade (it was shut)"),
    (
        "close_only",
        a_view((a_spec(trading_mode=TradingMode.CLOSE_ONLY),)),
        Reason.SYMBOL_DISABLED,
        "EURUSD open for trade (it was shut)",
    ),
    ("poor", a_view(balance=100_000), Reason.MARGIN, "321 USD more in the account (the balance was 1000 USD)"),
    (
        "latched",
        replace(a_view(), latches={(LINK, "daily_loss"): LATCH}),
        Reason.GUARD,
        "daily_loss re-armed (it had tripped)",
    ),
    (
        "flattened",
        replace(a_view(), latches={(LINK, "flatten"): replace(LATCH, guard="flatten")}),
        Reason.FLATTENED,
        "flatten re-armed (it had tripped)",
    ),
    (
        "unmapped",
        a_view((replace(a_spec(), name="EURUSX"),)),
        Reason.UNMAPPED_SYMBOL,
        "the row EURUSD,EURUSX (no such row) and a quote of EURUSX (there was none)",
    ),
]


@pytest.mark.parametrize(("view", "word", "cure"), [row[1:] for row in VIEWS], ids=[row[0] for row in VIEWS])
def test_what_is_true_of_the_account_is_altered_too(view: Any, word: Reason, cure: str) -> None:
    """Rights, latches, money and symbols are inputs as well."""
    case = case_of(Pair(view=view, quotes={"EURUSD": QUOTE, "EURUSX": QUOTE}))
    assert reason(case) is word
    assert cure in told(case)


def test_no_row_is_named_that_would_copy_into_another_instrument() -> None:
    """EURUSD and AUDUSD differ by two letters, and what is advised is done: euros were advised for gold."""
    pair = Pair(view=a_view((replace(a_spec(), name="AUDUSD", base_name="AUD"),)), quotes={"AUDUSD": QUOTE})
    case = case_of(pair)
    assert reason(case) is Reason.UNMAPPED_SYMBOL
    assert told(case) == []


def test_shorts_and_other_copiers_and_netted_positions() -> None:
    """What stands in the way at the broker is named as what would have to be otherwise."""
    short = case_of(Pair(view=a_view((a_spec(short_selling=False),))), a_change(side=Side.SELL))
    assert (reason(short), told(short)[0]) == (Reason.SHORT_SELLING, "EURUSD open to short sales (it is not)")
    netted = Pair(view=a_view(kind=AccountType.NETTED))
    mine = Position(position=PositionId(3), symbol=SymbolId(1), side=Side.BUY, volume=Volume(LOT))
    netted.held[mine.position] = mine
    netted.fact(netted.reconciled())
    assert told(case_of(netted)) == ["no other position or order in EURUSD (another's was there)"]
    taken = Pair(view=a_view(kind=AccountType.NETTED))
    taken.opens(leader=AccountId(1002))
    theirs = case_of(taken, a_change(source=SourceKey("p9")))
    assert (reason(theirs), told(theirs)) == (
        Reason.NETTED_TAKEN,
        ["no other position or order in EURUSD (another's was there)"],
    )
    other = case_of(Pair(), other_copier="cm1.0ther.l1nk01.pdw")
    assert (reason(other), told(other)) == (Reason.OTHER_COPIER, ["no other copier on the account (there was one)"])


def test_a_guarantee_that_is_not_to_be_had_is_not_copied_or_offered() -> None:
    """At limited risk the symbol alone helps; else the setting that asked for it does."""
    bare = a_spec(guaranteed_stops=False)
    change = a_change(stop=price("1.09"), guaranteed=True)
    limited = case_of(Pair(view=a_view((bare,), limited_risk=True)), change)
    assert reason(limited) is Reason.NO_GUARANTEED_STOP
    assert told(limited) == ["EURUSD with guaranteed stops (it has none)"]
    copied = case_of(Pair({"copy_guaranteed": "on"}, view=a_view((bare,))), change)
    assert told(copied)[0] == "copy_guaranteed=off (was on)"


def test_a_changed_symbol_is_cured_by_a_persons_look() -> None:
    """Nobody confirmed the new step yet."""
    pair = Pair()
    pair.fact(SymbolSpecSeen(spec=a_spec(step_volume=200_000)))
    assert told(case_of(pair)) == ["`cmam account confirm-symbol 2001 EURUSD` (nobody had confirmed its change)"]


def test_a_leaders_changed_lot_is_confirmed_at_the_leader() -> None:
    """The follower's symbol is what it was: the command names the account whose broker has changed it."""
    change = a_change(lots_were=Volume(LOT // 10))
    case = case_of(Pair(), change)
    assert reason(case) is Reason.SYMBOL_CHANGED
    assert told(case) == [f"`cmam account confirm-symbol {change.leader} EURUSD` (nobody had confirmed its change)"]
    assert reason(case_of(Pair({"volume.basis": "units"}), change)) is None


def test_caps_are_cured_by_a_larger_cap_or_fewer_positions() -> None:
    """One position is held and one is allowed."""
    pair = Pair({"max_positions": "1", "volume.amount": "0.1"})
    pair.opens()
    pair.answer()
    case = case_of(pair, a_change(source="p2", position=PositionId(501)))
    assert reason(case) is Reason.MAX_POSITIONS
    assert told(case) == ["max_positions=2 (was 1)", "1 position fewer (it held 1)"]


def test_a_pending_order_that_would_fill_is_cured_by_another_price() -> None:
    """A buy limit at 1.2 fills at once while the ask is 1.10001."""
    from cmam.domain.values.changes import ChangeKind

    order = a_change(
        ChangeKind.ORDER_PLACED,
        source="o7",
        order=OrderId(7),
        position=None,
        origin_type=OrderType.LIMIT,
        limit_price=price("1.10002"),
        price=None,
    )
    case = case_of(Pair(), order)
    assert reason(case) is Reason.WOULD_FILL
    assert told(case)[0].startswith("EURUSD at an ask of 1.10003")


def test_what_was_copied_or_has_nothing_to_copy_has_no_cure() -> None:
    """Nothing is made up."""
    assert told(case_of(Pair())) == []
    from cmam.domain.values.changes import ChangeKind

    assert told(case_of(Pair(), a_change(ChangeKind.CLOSED))) == []


def test_a_latch_of_another_link_is_left_alone() -> None:
    """What re-arming this link would not open is no cure."""
    other = replace(LATCH, link=LinkId("0ther1"), scope="account")
    case = case_of(Pair(view=replace(a_view(), latches={(other.link, "daily_loss"): other})))
    assert (reason(case), told(case)) == (Reason.GUARD, ["daily_loss re-armed (it had tripped)"])


def test_stale_quotes_are_cured_by_fresher_ones() -> None:
    """A quote 11 s old where 10 s are allowed: 1 s more would have done."""
    pair = Pair({"max_spread": "9"})
    old = {"EURUSD": a_quote("1.09999", "1.10001", at_us=pair.now_us - 11_000_000)}
    case = case_of(pair, quotes=old)
    assert reason(case) is Reason.STALE_INPUT
    assert told(case) == [
        "quotes at most 10000 ms old (EURUSD was 11000 ms old)",
        "input_max_age=11000ms (was 10s)",
    ]


def test_every_reason_with_a_setting_in_its_row_has_a_knob() -> None:
    """A rule that a setting decides can be asked what that setting should have been."""
    assert KNOBS.keys() <= set(Reason)
    for word in (Reason.SPREAD, Reason.TOO_OLD, Reason.SANITY, Reason.MAX_LOTS, Reason.REFUSED):
        assert (word in KNOBS) is (word is not Reason.REFUSED)


def test_a_policy_that_could_not_be_saved_is_no_cure() -> None:
    """A value is only proposed if a save would take it."""
    case = case_of(Pair())
    assert case.with_setting("max_age", "-1s") is None
    altered = case.with_setting("max_age", "5s")
    assert altered is not None
    assert altered.policy.max_age_ms == 5_000
    assert case.link == some_settings()
