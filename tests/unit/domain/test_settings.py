"""Settings, tables, formulas: understood once, refused with all their faults at once."""

from __future__ import annotations

from fractions import Fraction

import pytest

from cmam.domain.profiles.formula import BadFormula, formula
from cmam.domain.profiles.policy import BY_NAME, Policy, check_settings, policy_of
from cmam.domain.profiles.reading import Amount
from cmam.domain.profiles.setting_table import SETTINGS
from cmam.domain.profiles.table import ROWS_MAX, SymbolRow, read_table, write_table
from cmam.domain.values.reasons import REASONS, Reason


def test_every_default_is_allowed_and_every_setting_has_a_field_of_its_own() -> None:
    """The table is the single truth: no default that its own reader refuses, no field without a row."""
    assert check_settings({setting.name: setting.default for setting in SETTINGS}) == ()
    fields = [setting.field for setting in SETTINGS]
    assert len(fields) == len(set(fields)) == len(BY_NAME)
    assert set(Policy.__dataclass_fields__) - set(fields) == {"rows"}
    assert all(setting.allowed and setting.meaning.endswith((".", ")")) for setting in SETTINGS)


def test_every_reason_has_its_row() -> None:
    """When, what it rests on, and what would have let it through: for each member, in its order."""
    assert list(REASONS) == list(Reason)
    assert all(row.when and row.inputs and row.cure for row in REASONS.values())


def test_all_faults_are_named_at_once() -> None:
    """Field, value and what is allowed, for each wrong value and each unknown name."""
    found = check_settings({"volume.amount": "-1", "max_age": "soon", "volume.mod": "x", "side": "buy"})
    assert [fault.name for fault in found] == ["volume.amount", "max_age", "volume.mod"]
    assert "expected a finite number above 0, such as 0.5, found '-1'" in str(found[0])
    assert "volume.mode" in str(found[2])
    assert str(found[2]).endswith("found 'volume.mod'"), "the name is what is wrong, not its value"


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"volume.min": "2", "volume.max": "1"}, "volume.max"),
        ({"volume.mode": "formula"}, "volume.formula"),
        ({"volume.formula": "leader_lots / 0"}, "volume.formula"),
        ({"volume.formula": "min(equity, 2 / (1 - 1.0))"}, "volume.formula"),
        ({"min_equity": "100", "take_equity": "100"}, "take_equity"),
        ({"fixed_sl": "10", "sl_offset": "5"}, "sl_offset"),
        ({"fixed_tp": "10", "tp_offset": "5"}, "tp_offset"),
        ({"symbols.include": "A,B", "symbols.exclude": "B"}, "symbols.exclude"),
        ({"symbols.mapping": "file"}, "symbols.table"),
        ({"volume.mode": "risk_percent", "max_age": "500ms"}, "stop_wait"),
        ({"symbols.include": "none"}, "symbols.include"),
        ({"label": "Any"}, "label"),
        ({"label": "Prefix:grid"}, "label"),
        ({"label": "off"}, "label"),
        ({"label": "All"}, "label"),
        ({"label": "begins:grid"}, "label"),
        ({"symbols.include": "off"}, "symbols.include"),
        ({"symbols.table": "leader_symbol,volume_mode\nEURUSD,formula\n"}, "volume.formula"),
        ({"symbols.table": "leader_symbol,volume_mode\nEURUSD,risk_percent\n", "max_age": "500ms"}, "stop_wait"),
        ({"symbols.table": "leader_symbol,min_volume\nEURUSD,2\n", "volume.max": "1"}, "symbols.table"),
        ({"daily_loss": "150%"}, "daily_loss"),
        ({"daily_loss": "100%"}, "daily_loss"),
        ({"total_loss": "100%", "guard.percent_of": "initial"}, "total_loss"),
        ({"total_loss": "5000", "guard.initial": "5000"}, "total_loss"),
        ({"volume.mode": "risk_percent", "volume.amount": "150"}, "volume.amount"),
        ({"symbols.table": "leader_symbol,volume_mode,volume_amount\nX,risk_percent,150\n"}, "symbols.table"),
    ],
)
def test_values_that_cannot_stand_together_are_refused(settings: dict[str, str], name: str) -> None:
    """Each alone is allowed."""
    assert [fault.name for fault in check_settings(settings)] == [name]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("volume.amount", "nan"), ("volume.amount", "inf"), ("volume.amount", "1e9"), ("volume.amount", "0"),
        ("volume.amount", "1/3"), ("volume.amount", "1" * 20), ("max_age", "0s"), ("max_age", "1000d"),
        ("hours", "8-17"), ("hours", "08:00-25:00"), ("hours", "08:00-08:00"), ("hours", "08:00-17:00 Mars/Base"),
        ("days", "moonday"), ("days", "monkey"), ("days", "mon-friends"), ("days", "mon-fri-sun"), ("days", "mo"),
        ("days", "mon-"), ("days", "weds"), ("symbols.include", ""), ("symbols.include", "A,,B"),
        ("volume.rounding", "skip,raise"), ("volume.rounding", "skip,cap,cap"), ("volume.rounding", "skip,shorten"),
        ("label", "x" * 201), ("leader_blind", "reopen_after 5s"),
        ("order_types", "protection"), ("guard.reset", "24:00"), ("daily_loss", "0%"), ("label", "prefix:"),
        ("max_positions", "1.5"), ("leader_blind", "close_after"), ("raise_risk_max", "0.5"),
        ("volume.formula", "__import__('os')"),
        ("max_slippage", "2147483648"), ("symbols.table", "leader_symbol,max_slippage\nEURUSD,2147483648\n"),
        ("volume.lots_confirmed", "all"), ("symbols.exclude", "all"),
        ("symbols.table", "leader_symbol,copy_sl\nEURUSD,maybe\n"),
        ("label", "exact:\udcff"), ("label", "\x1b[31mgrid"), ("symbols.exclude", "EUR\u202eUSD"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(name: str, value: str) -> None:
    """Not numbers, endless ones, fractions of nothing, hours that are none."""
    assert [fault.name for fault in check_settings({name: value})] == [name]


@pytest.mark.parametrize("text", ["all", "mon-fri", "Monday-Friday", "tues,thurs", "sat-mon", "Wednesday"])
def test_a_day_may_be_written_as_people_write_it(text: str) -> None:
    """Three letters of its name or more, in either case."""
    assert check_settings({"days": text}) == ()


@pytest.mark.parametrize(
    "settings",
    [
        {"daily_loss": "99.5%", "total_loss": "99%"},
        {"daily_loss": "150%", "guard.percent_of": "initial"},
        {"daily_drawdown": "150%", "trailing_drawdown": "150%", "daily_target": "200%"},
        {"total_loss": "4999", "guard.initial": "5000"},
        {"volume.mode": "risk_percent", "volume.amount": "100"},
        {"volume.amount": "150"},
    ],
)
def test_a_limit_that_can_be_reached_is_somebodys_to_choose(settings: dict[str, str]) -> None:
    """An account that has grown may lose more than it began with, a factor may be large."""
    assert check_settings(settings) == ()


def test_a_limit_out_of_reach_that_was_stored_means_what_it_meant() -> None:
    """It is refused as it is saved, and not as a log is read."""
    assert policy_of({"daily_loss": "150%"}).daily_loss == Amount(Fraction(150), is_percent=True)


def test_days_that_were_stored_before_they_were_refused_mean_what_they_meant() -> None:
    """A log whose settings say `monkey` copies on Mondays, as it did."""
    assert policy_of({"days": "monkey"}).days == (0,)


def test_a_stored_value_that_is_no_longer_allowed_falls_to_its_default() -> None:
    """An old log keeps running."""
    assert policy_of({"volume.amount": "many"}).volume_amount == 1


@pytest.mark.parametrize(
    ("text", "inputs", "value"),
    [
        ("leader_lots * 0.1", {"leader_lots": Fraction(3)}, Fraction(3, 10)),
        ("-min(1, 2) + max(3, 4, 5) / 2", {}, Fraction(3, 2)),
        ("balance / 3 * 3", {"balance": Fraction(1)}, Fraction(1)),
        ("1 / 0", {}, None),
        ("equity * 0.00001", {"equity": Fraction(12_345)}, Fraction("0.12345")),
        ("0.000000000001 * 100000000000000", {}, Fraction(100)),
    ],
)
def test_formulas_are_exact(text: str, inputs: dict[str, Fraction], value: Fraction | None) -> None:
    """A third times three is one."""
    assert formula(text).value(inputs) == value


@pytest.mark.parametrize(
    "text",
    ["", "x", "leader_lots ** 2", "min()", "min(1, *[2])", "(lambda: 1)()", "1 if 1 else 2", "'a'", "True", "(" * 99,
     "balance.real", "1e400", "0.0000000000001", "+".join("1" * 400), "-" * 60 + "1"],
)  # fmt: skip
def test_a_formula_is_arithmetic_and_nothing_else(text: str) -> None:
    """No call, no attribute, no power, no depth that could hurt."""
    with pytest.raises(BadFormula):
        formula(text)


def test_a_table_loads_back_as_it_was_written() -> None:
    """Every cell, empty ones included."""
    rows = (
        SymbolRow(leader_symbol="EURUSD"),
        SymbolRow(
            leader_symbol="XAUUSD", follower_symbol="GOLD", copy_sl=False, copy_tp=True, volume_mode="fixed",
            volume_amount=Fraction("0.05"), min_volume=Fraction("0.01"), max_volume=Fraction(2), max_slippage=20,
            has_slippage=True,
        ),
        SymbolRow(leader_symbol="US30", has_slippage=True),
    )  # fmt: skip
    assert read_table(write_table(rows)).rows == rows


def test_every_fault_of_a_table_has_its_line_and_nothing_is_half_loaded() -> None:
    """Wrong cells, a doubled symbol, a missing one, too few cells, bounds the wrong way round."""
    text = (
        "leader_symbol,follower_symbol,copy_sl,volume_amount,min_volume,max_volume\n"
        "EURUSD,,maybe,-1,,\n"
        "\n"
        ",X,on,1,,\n"
        "GBPUSD,,on,1\n"
        "eurusd,,,,2,1\n"
    )
    table = read_table(text)
    assert table.rows == ()
    assert [(fault.line, fault.column) for fault in table.faults] == [
        (2, "copy_sl"), (2, "volume_amount"), (4, "leader_symbol"), (5, "row"), (6, "max_volume"), (6, "leader_symbol"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ("EURUSD" * 11 + ",,", "leader_symbol: expected a symbol's name of at most 64 printable characters"),
        ("EURUSD,EUR\x07USD,", "follower_symbol: expected a symbol's name of at most 64 printable characters"),
        ("EURUSD,,twice", "volume_mode: expected one of "),
        ("EURUSD,," + "units" * 13, "volume_mode: expected one of "),
    ],
)
def test_a_wrong_cell_is_told_by_its_place_and_what_is_allowed(cells: str, said: str) -> None:
    """A name that is too long or cannot be shown, and a word that is none of those there are, however long it is; of
    what was found no more is shown than a line holds."""
    (fault,) = read_table(f"leader_symbol,follower_symbol,volume_mode\n{cells}\n").faults
    assert str(fault).startswith(f"line 2, {said}")
    assert len(fault.value) <= 40


def test_a_table_ends_somewhere() -> None:
    """One row too many is named by its line, with how many there are; as many as may be are read."""
    rows = [f"S{number}" for number in range(ROWS_MAX + 1)]
    (fault,) = read_table("\n".join(["leader_symbol", *rows])).faults
    assert str(fault) == f"line {ROWS_MAX + 2}, row: expected at most {ROWS_MAX} rows, found '{ROWS_MAX + 1}'"
    assert len(read_table("\n".join(["leader_symbol", *rows[:-1]])).rows) == ROWS_MAX


def test_a_line_that_is_no_csv_hides_no_other_fault() -> None:
    """A stray quote in the middle, a wrong cell before and after it."""
    table = read_table('leader_symbol,copy_sl\nEURUSD,maybe\n"GBP"USD,on\nUSDJPY,never\n')
    assert table.rows == ()
    assert [(fault.line, fault.column) for fault in table.faults] == [(2, "copy_sl"), (3, "row"), (4, "copy_sl")]


@pytest.mark.parametrize("text", ["", "symbol\nEURUSD\n", "leader_symbol,colour\n", "leader_symbol,leader_symbol\n"])
def test_a_table_needs_its_header(text: str) -> None:
    """Unknown, doubled or missing columns are named."""
    assert read_table(text).faults
    assert read_table(text).rows == ()
