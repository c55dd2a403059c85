"""What-if held against what really happens: one world, one trader, one seed, run live under both settings."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from cmam.store.replay import verify
from cmam.store.what_if import Asked, what_if
from tests.pairs import a_day, live, run_again
from tests.rulebook import Rulebook

HALF = {"volume.amount": "0.3", "side": "buy"}
NO_STOPS = {"copy_sl": "off", "order_types": "market"}


@pytest.fixture(scope="module")
def days() -> dict[str, Rulebook]:
    """Recorded days to start from."""
    return {"all": a_day({}), "half": a_day(HALF), "bare": a_day(NO_STOPS)}


@pytest.mark.parametrize(
    ("start", "settings"),
    [
        ("all", {"volume.amount": "0.4", "max_slippage": "5"}),
        ("all", {"volume.mode": "fixed", "volume.amount": "0.1", "side": "buy"}),
        ("all", {"volume.mode": "balance_ratio", "copy_sl": "off"}),
        ("all", {"reverse": "on", "reverse_without_stop": "on"}),
        ("all", {"max_positions": "1", "partial_rounding": "up"}),
        ("half", {"volume.mode": "equity_ratio"}),
        ("half", {"scale_in": "off", "require_stop": "on"}),
        ("bare", {"volume.mode": "free_margin_ratio"}),
        ("bare", {}),
    ],
    ids=str,
)
def test_a_what_if_decides_what_a_live_run_decides(
    days: Mapping[str, Rulebook], start: str, settings: Mapping[str, str]
) -> None:
    """Every decision of four followers at three brokers, hedged and netted: verdict, reason, volume, exact target."""
    truth = a_day(settings)
    _, spy = run_again(days[start], settings)
    assert dict(spy.decisions) == dict(live(truth))


def test_where_fills_are_equal_so_is_the_money(days: Mapping[str, Rulebook]) -> None:
    """Twice the volume costs twice as much: balances of the what-if are those of the live run, to a rounding."""
    settings = {"volume.amount": "0.4"}
    truth, (run, _) = a_day(settings), run_again(days["all"], settings)
    for name, account in days["all"].ids.items():
        there, here = truth.folded().accounts[account], run.books[account].view  # type: ignore[index]
        assert abs(there.balance - here.balance) <= 5, name
        assert {p.symbol: p.volume for p in there.positions.values()} == {
            p.symbol: p.volume for p in here.positions.values()
        }
    assert run.counted.unpriced == 0


@pytest.mark.parametrize("name", ["all", "half", "bare"])
def test_equal_settings_give_an_empty_difference(days: Mapping[str, Rulebook], name: str) -> None:
    """The recorded settings, named one by one, change nothing: no row, no money, no fill that is a model."""
    log = days[name].log
    recorded = {"all": {"volume.amount": "1"}, "half": HALF, "bare": NO_STOPS}[name]
    found = what_if(log.read_all, Asked.of(days[name].folded().registry, recorded))
    assert found["equal"]
    assert found["differences"] == []
    assert all(one["recorded"] == one["what_if"] for one in found["followers"])
    assert found["model"]["fills"] == 0
    assert verify(log.read_all()).is_identical
