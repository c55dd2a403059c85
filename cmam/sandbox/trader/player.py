"""Plays a CSV of trades: every row is read and checked before the first one is done, then each at its moment.

    at,action,ref,account,symbol,side,lots,price,sl,tp,trailing,slippage,label

Rows are done in the order of the file. `at` is seconds from the start; an empty one means at once after the row before.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

from cmam.clock import Clock, SystemClock
from cmam.sandbox.serving.options import SandboxError
from cmam.sandbox.tables import delimiter_of
from cmam.sandbox.trader.steps import BadStep, Done, Placed, Step, decimal, perform
from cmam.sandbox.trader.trader import NoOutcome, Trader, pick_account

COLUMNS: Final[Mapping[str, str]] = {
    "at": "seconds from the start; empty: right after the row before",
    "action": "buy, sell, limit, stop, stop-limit, close, amend or cancel",
    "ref": "a name for what the row makes; for close, amend and cancel the name it was given, or an id",
    "account": "ctid, login or broker:login; empty: the first account of the ready file",
    "symbol": "the name at that account's broker",
    "side": "buy or sell, for limit, stop and stop-limit",
    "lots": "volume in lots; for close empty means all of it",
    "price": "limit or stop price",
    "sl": "stop loss, a price",
    "tp": "take profit, a price",
    "trailing": "yes or empty: whether the stop loss trails",
    "slippage": "points, for stop-limit",
    "label": "label of the order",
}
REQUIRED: Final = ("action",)
NUMBERS: Final = frozenset({"at", "lots", "price", "sl", "tp"})
_YES = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False, "": False}


class BadFile(SandboxError):
    """A file that cannot be played; one fault a line of the text, each with its line number."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the file."""

    line: int
    at_us: int | None
    account: str | None
    step: Step


@dataclass(frozen=True, slots=True)
class Played:
    """What became of a row."""

    line: int
    is_done: bool
    text: str
    done: Done | None = None


def read(text: str) -> list[Row]:
    """Read and check a file as far as that goes without the sandbox; raises BadFile with every fault."""
    text = text.removeprefix("\ufeff")
    delimiter = delimiter_of(text.partition("\n")[0], COLUMNS)
    reader = csv.DictReader(io.StringIO(text), strict=True, skipinitialspace=True, delimiter=delimiter)
    try:
        names = [(name or "").strip().lower() for name in reader.fieldnames or ()]
        reader.fieldnames = names
        unknown = [name for name in names if name not in COLUMNS]
        missing = [name for name in REQUIRED if name not in names]
        if unknown or missing or len(set(names)) < len(names):
            raise BadFile(
                f"line 1: expected the columns {', '.join(COLUMNS)} (at least {', '.join(REQUIRED)}), each once; "
                f"found {', '.join(map(repr, names)) or 'nothing'}"
            )
        rows = [(reader.line_num, row if delimiter == "," else _with_points(row)) for row in reader]
    except csv.Error as error:
        raise BadFile(f"line {reader.reader.line_num}: {error}") from None
    checked, faults = _check_rows(rows)
    if faults:
        raise BadFile("\n".join(faults))
    if not checked:
        raise BadFile("line 1: expected at least one row after the columns, found none")
    return checked


def _with_points(row: dict[Any, Any]) -> dict[Any, Any]:
    """A row whose cells no comma separates, so that one in a number is a decimal comma."""
    return {name: row[name].replace(",", ".") if name in NUMBERS and row[name] else row[name] for name in row}


def _check_rows(rows: Iterable[tuple[int, dict[Any, Any]]]) -> tuple[list[Row], list[str]]:
    checked: list[Row] = []
    faults: list[str] = []
    made: set[tuple[str | None, str]] = set()
    latest_us = 0
    for line, fields in rows:
        try:
            row = _row(line, fields)
            if row.at_us is not None and row.at_us < latest_us:
                raise BadStep(f"expected at not before that of the rows above, found {fields.get('at')}")
            _check_ref(row, made)
        except BadStep as fault:
            faults.append(f"line {line}: {fault}")
            continue
        latest_us = row.at_us if row.at_us is not None else latest_us
        checked.append(row)
    return checked, faults


def _check_ref(row: Row, made: set[tuple[str | None, str]]) -> None:
    ref = row.step.ref
    if row.step.makes_ref:
        if ref.isdigit():
            raise BadStep(f"expected a name as ref, because numbers are ids; found {ref!r}")
        if ref and (row.account, ref) in made:
            raise BadStep(f"expected a new name as ref, found {ref!r} for the second time")
        if ref:
            made.add((row.account, ref))
    elif not ref.isdigit() and (row.account, ref) not in made:
        raise BadStep(f"expected a ref that a row above gave on the same account, or an id; found {ref!r}")


def _row(line: int, raw: Mapping[Any, Any]) -> Row:
    if None in raw:
        raise BadStep("more fields than columns")
    fields = {name: (value or "").strip() for name, value in raw.items()}

    def number(name: str) -> Any:
        return decimal(fields[name], name) if fields.get(name) else None

    at = number("at")
    if at is not None and at < 0:
        raise BadStep(f"expected seconds of at least 0 for at, found {fields['at']!r}")
    slippage = fields.get("slippage", "")
    if slippage and not (slippage.isascii() and slippage.isdigit() and len(slippage) < 9):
        raise BadStep(f"expected a whole number of points for slippage, found {slippage!r}")
    trailing = fields.get("trailing", "").lower()
    if trailing not in _YES:
        raise BadStep(f"expected yes or no for trailing, found {trailing!r}")
    step = Step(
        action=fields.get("action", "").lower(),
        ref=fields.get("ref", ""),
        symbol=fields.get("symbol", ""),
        side=fields.get("side", "").lower(),
        lots=number("lots"),
        price=number("price"),
        stop_loss=number("sl"),
        take_profit=number("tp"),
        trailing=_YES[trailing],
        slippage=int(slippage) if slippage else None,
        label=fields.get("label", ""),
    )
    step.check()
    return Row(line, int(at * 1_000_000) if at is not None else None, fields.get("account") or None, step)


def play(
    rows: list[Row],
    ready: Mapping[str, Any],
    *,
    speed: float = 1.0,
) -> Iterator[Played]:
    """Check the rows against their symbols, then do them, each at its moment; raises BadFile before the first."""
    clock = SystemClock()
    with ExitStack() as stack:
        traders = _traders(rows, ready, stack, clock)
        faults = list(_faults(rows, traders))
        if faults:
            raise BadFile("\n".join(faults))
        started = clock.monotonic()
        refs: dict[str | None, dict[str, Placed]] = {name: {} for name in traders}
        for row in rows:
            trader = traders[row.account]
            if row.at_us is not None:
                _wait(traders, trader, started + int(row.at_us / speed), clock)
            try:
                done = perform(trader, row.step, refs[row.account])
                yield Played(row.line, True, done.text, done)
            except NoOutcome:
                raise
            except SandboxError as refused:
                yield Played(row.line, False, str(refused))


KEEP_ALIVE_US = 5_000_000


def _wait(traders: Mapping[str | None, Trader], first: Trader, moment_us: int, clock: Clock) -> None:
    """Let the time pass; every account's connection must be served meanwhile, or the server takes it for dead."""
    others = [trader for trader in traders.values() if trader is not first]
    while clock.monotonic() < moment_us:
        first.wait_until(min(moment_us, clock.monotonic() + KEEP_ALIVE_US))
        for trader in others:
            trader.wait_until(clock.monotonic() + 1_000)


def _traders(rows: list[Row], ready: Mapping[str, Any], stack: ExitStack, clock: Clock) -> dict[str | None, Trader]:
    by_ctid: dict[int, Trader] = {}
    traders: dict[str | None, Trader] = {}
    for row in rows:
        if row.account in traders:
            continue
        try:
            account = pick_account(ready, row.account)
        except SandboxError as fault:
            raise BadFile(f"line {row.line}: {fault}") from None
        if account["ctid"] not in by_ctid:
            by_ctid[account["ctid"]] = stack.enter_context(Trader(ready, account, clock))
        traders[row.account] = by_ctid[account["ctid"]]
    return traders


def _faults(rows: list[Row], traders: Mapping[str | None, Trader]) -> Iterator[str]:
    symbols: dict[tuple[str | None, str], str] = {}
    for row in rows:
        step = row.step
        name = step.symbol or symbols.get((row.account, step.ref), "")
        if step.makes_ref and step.ref:
            symbols[row.account, step.ref] = step.symbol
        try:
            if name:
                symbol = traders[row.account].symbol(name)
                if step.lots is not None:
                    symbol.volume(step.lots)
        except SandboxError as fault:
            yield f"line {row.line}: {fault}"
