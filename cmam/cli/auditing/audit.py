"""`cmam audit`: what was copied, what was skipped and why, from the record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from cmam.cli.auditing.audit_options import (
    as_csv,
    asked,
    copy_states,
    emit,
    filtered,
    named,
    newest,
    nothing,
    opened,
    order_states,
    show,
)
from cmam.cli.auditing.proof import export, head, verify
from cmam.cli.auditing.story import tell
from cmam.cli.auditing.timings import timings
from cmam.cli.auditing.watch import watch
from cmam.cli.face.exits import fail
from cmam.cli.face.rows import console
from cmam.cli.face.talk import counted, print_json, say
from cmam.cli.face.verbs import Noun, face

CLOSED_BY = {"request": "cmam", "level": "a stop or target", "stop_out": "a stop-out", "human": "a person"}
"""Who closed, in words."""
DAY_MONEY = frozenset({"balance", "equity", "anchor", "initial", "peak"})
"""What a guard's day is counted from, in minor units on record."""


@click.group(cls=Noun)
def audit() -> None:
    """Show what was copied, skipped and why. Answers include everything that is committed."""


# --- lists ----------------------------------------------------------------------------------------------------------


@audit.command()
@filtered(state="open, closed, refused, unknown …")
def copies(**given: Any) -> None:
    """Every copy: both positions, both volumes, prices, state, what it came to, reason."""
    columns: list[str | tuple[str, str]] = [
        "profile",
        "follower",
        ("opened_at", "opened"),
        ("leader_position", "leader's"),
        ("follower_position", "its copy"),
        "symbol",
        "side",
        ("leader_volume", "volume"),
        ("volume", "copied"),
        "state",
        ("open_price", "open"),
        ("close_price", "close"),
        "result",
        ("leader_result", "leader made"),
        "reason",
    ]
    prices = ("close_price", "open_price")
    spare = (
        *("leader_result", "opened_at", "profile", *prices, "leader_volume", "reason"),
        *("leader_position", "state", "side"),
    )
    filters = asked(given, reasons=True, states=copy_states())
    show("copies", filters, given, columns, spare, empty="Nothing was copied yet.", row=_with_currencies)


def _with_currencies(row: Mapping[str, Any]) -> dict[str, Any]:
    """A copy whose money bears its currency; nothing where nothing was closed."""
    worth = (("result", "currency"), ("leader_result", "leader_currency"))
    return {**row, **{name: _with_currency(row[name], row[currency]) for name, currency in worth}}


def _with_currency(amount: str | None, currency: str | None) -> str | None:
    return amount if amount is None else f"{amount} {currency or ''}".rstrip()


@audit.command()
@filtered(verdict=True)
def decisions(**given: Any) -> None:
    """Every decision: copied, skipped and why, or nothing to do and why."""
    columns: list[str | tuple[str, str]] = [
        ("decision_id", "decision"),
        "at",
        "profile",
        "follower",
        "kind",
        "symbol",
        "side",
        "verdict",
        "reason",
        "volume",
    ]
    spare = ("profile", "side", "volume", "kind", "at", "follower")
    filters = asked(given, reasons=True)
    show("decisions", filters, given, columns, spare, empty="Nothing was decided yet.")


@audit.command()
@filtered(state="recorded, sent, accepted, unknown, settled, or an outcome such as refused")
def orders(**given: Any) -> None:
    """Every request that was decided, with what became of it."""
    columns = ["intent", "account", "kind", "symbol", "side", "volume", "filled", "state", "outcome", "reason"]
    spare = ("state", "filled", "reason", "side", "volume")
    filters = asked(given, states=order_states())
    show("orders", filters, given, columns, spare, empty="Nothing was requested yet.")


@audit.command()
@filtered()
def results(**given: Any) -> None:
    """Every close of a copy or a part of it, by the moment at which the broker executed it, and what it came to."""
    columns: list[str | tuple[str, str]] = [
        "at",
        "profile",
        "follower",
        "symbol",
        "side",
        "volume",
        ("entry_price", "open"),
        ("price", "close"),
        ("net", "result"),
        ("closed_by", "closed by"),
    ]
    spare = ("profile", "entry_price", "price", "closed_by", "side", "at")
    filters = asked(given, reasons=True)
    show("results", filters, given, columns, spare, empty="Nothing was closed yet.", row=_closed)


def _closed(row: Mapping[str, Any]) -> dict[str, Any]:
    closed_by = CLOSED_BY.get(row["closed_by"], row["closed_by"])
    return {**row, "net": _with_currency(row["net"], row["currency"]), "closed_by": closed_by}


@audit.command()
@filtered(is_log=False)
def accounts(**given: Any) -> None:
    """Every account that was ever known; by time, symbol or reason those with such a decision."""
    columns = ["account", "alias", "login", "broker", "currency", "health", "balance", "positions", "copies", "removed"]
    spare = ("removed", "positions", "login", "currency", "alias")
    show("accounts", asked(given, reasons=True), given, columns, spare, empty="No account was ever added.")


@audit.command()
@filtered()
def settings(**given: Any) -> None:
    """Every change of what the operator wanted; by symbol or reason what led to such decisions."""
    columns = ["at", "what", "profile", "account", "changed", "user"]
    filters = asked(given, reasons=True)
    show("settings", filters, given, columns, ("user", "profile"), empty="Nothing was set yet.", row=_setting)


@audit.command()
@click.option(
    "--since", metavar="TIME", help="From this moment on, ISO 8601 (UTC unless it says otherwise), or yesterday, today."
)
@click.option("--until", metavar="TIME", help="Up to this moment; a day alone means all of it.")
@click.option("--profile", metavar="NAME", help="Only what concerns this profile alone.")
@click.option("--account", metavar="ID", help="Only this account.")
@newest
@as_csv
def notes(**given: Any) -> None:
    """What else explains copies: people, guards, findings of a reconcile, copies taken in by their labels."""
    columns = ["at", "account", "what", "copy_id", "told"]
    filters = asked(given)
    show("notes", filters, given, columns, ("copy_id",), empty="Nothing else happened yet.", row=_noted)


def _noted(row: Mapping[str, Any]) -> dict[str, Any]:
    from cmam.store.auditing.timeline import in_hand

    data = row["data"]
    if row["what"] == "copy_touched":
        told = in_hand(data)
    elif "findings" in data:
        told = "\n".join(f"{one['kind']}: {one['text']}" for one in data["findings"]) or "nothing differs any more"
    else:
        plain = {key: value for key, value in data.items() if isinstance(value, str | int) and value not in ("", 0)}
        told = ", ".join(
            _noted_value(key, value, data, row["money_digits"])
            for key, value in plain.items()
            if key not in ("link", "source", "profile")
        )
    return {**row, "what": row["what"].replace("_", " "), "told": told}


def _noted_value(key: str, value: str | int, data: Mapping[str, Any], money_digits: int) -> str:
    """One field of a fact as people write it: a moment as a time, money in whole units of its currency."""
    from cmam.domain.guarding.latches import BY_EQUITY
    from cmam.domain.values.quantities import decimal_text
    from cmam.store.text import iso

    if key.endswith("_us"):
        return f"{key.removesuffix('_us')} {iso(int(value))}"
    if value is True:
        return key.replace("_", " ")
    is_money = key in DAY_MONEY or (key in ("value", "limit") and data.get("guard") in BY_EQUITY)
    return f"{key} {decimal_text(int(value), money_digits) if is_money else value}"


def _setting(row: Mapping[str, Any]) -> dict[str, Any]:
    changes = (f"{name}: {_short(old)} → {_short(new)}" for name, (old, new) in row["changed"].items())
    what = row["what"].removeprefix("profile.").replace("_", " ")
    return {**row, "what": what, "changed": "\n".join(changes)}


def _short(value: str | None) -> str:
    """A value on one line; a table of symbols only by its rows."""
    if value is None:
        return "–"
    lines = value.strip().splitlines()
    return value if len(lines) < 2 else counted(len(lines) - 1, "row")


@audit.command()
@filtered(verdict=True)
@click.option(
    "--by",
    type=click.Choice(["follower", "profile", "symbol", "day", "month", "all"]),
    multiple=True,
    default=["follower"],
    show_default=True,
    help="What makes a line; given more than once, each of them together. `all` stands alone.",
)
def totals(by: tuple[str, ...], **given: Any) -> None:
    """Sums: decisions, skips, copies, fill rate, slippage by its causes, what closes came to, drift."""
    from cmam.store.auditing.totals import keys_of
    from cmam.store.auditing.totals import totals as summed

    if "all" in by and len(set(by)) > 1:
        raise click.UsageError(f"--by: expected all, or {' and '.join(one for one in by if one != 'all')}; found both.")
    filters = asked(given, reasons=True)
    with opened() as past:
        lines = list(summed(past, filters, by=by))
    if given["csv"] or face().as_json:
        emit(lines, keys_of(by), as_csv=given["csv"])
        return
    if not lines:
        say(nothing(filters, "Nothing was decided yet."))
        return
    for line in named(lines):
        _sum(line, by)


def _sum(line: Mapping[str, Any], by: tuple[str, ...]) -> None:
    from cmam.cli.auditing.story import beside
    from cmam.store.auditing.totals import names_of

    console().print(" ".join(str(line[key]) for key in names_of(by)) or "all", style="bold")
    for heading, text in _sum_lines(line):
        beside(heading, text)
    console().print()


def _sum_lines(line: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    decided = f"{line['copied']} copied, {line['skipped']} skipped, {line['nothing_to_do']} nothing to do"
    yield "decisions", f"{line['decisions']}: {decided}"
    if line["skips"]:
        yield "skipped", ", ".join(f"{times} {reason}" for reason, times in line["skips"].items())
    from cmam.store.auditing.totals import COPY_COUNTS

    words = {"on_the_way": "on the way", "expired": "expired or cancelled"}
    states = ", ".join(f"{line[state]} {words.get(state, state)}" for state in COPY_COUNTS if line[state])
    yield "copies", f"{line['copies']}" + (f": {states}" if states else "")
    if line["volume"] is not None:
        yield "volume", f"{line['volume']} of the leader's {line['leader_volume']} units"
    refused, unknown = line["requests_refused"], line["requests_unknown"]
    yield "requests", f"{line['requests']}: {line['confirmed']} confirmed, {refused} refused, {unknown} unknown"
    if line["fill_rate"] is not None:
        yield "fill rate", f"{line['fill_rate']} of what was asked for"
    if line["slippage_pips"] is not None:
        names = ("delay", "spread", "broker", *(("other",) if float(line["slippage_other_pips"]) else ()))
        parts = ", ".join(f"{name} {line[f'slippage_{name}_pips']}" for name in names)
        yield "slippage", f"{line['slippage_pips']} pips on average: {parts}; negative is better than the leader"
    yield from _result_lines(line)
    if line["drifting"]:
        yield "drift", f"{line['drift']} units off their targets, in {line['drifting']} live copies"


def _result_lines(line: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What closes came to, each currency for itself, and who closed where that was not cmam alone."""
    for currency, result in line["results"].items():
        parts = [f"gross {result['gross']}, swap {result['swap']}, commission {result['commission']}"]
        if float(result["conversion_fee"]):
            parts.append(f"conversion {result['conversion_fee']}")
        deals = f"{result['closes']} closing deal{'s' if result['closes'] > 1 else ''}"
        yield "result", f"{result['net']} {currency} of {deals}: {', '.join(parts)}"
        if set(result["by"]) != {"request"}:
            by = ", ".join(f"{net} by {CLOSED_BY.get(name, 'nobody knows whom')}" for name, net in result["by"].items())
            yield "closed", f"{by} ({currency})"
    if untold := line["closed_untold"]:
        yield "unknown", f"what {untold} closed cop{'y' if untold == 1 else 'ies'} came to: no broker told of the close"


# --- one story ------------------------------------------------------------------------------------------------------


@audit.command()
@click.argument("name", metavar="ID")
def explain(name: str) -> None:
    """Why this was copied, skipped or sized so.

    ID is a decision, a copy, a request, a leader's change (deal:…), or the number of a position at either end.
    """
    from cmam.store.auditing.explain import explain as stories

    with opened() as past:
        found = list(stories(past, name))
    if not found:
        fail(f"Nothing is known under {name!r}: `cmam audit decisions` and `cmam audit copies` list what there is.")
    if face().as_json:
        for story in found:
            print_json(story)
        return
    for story in found:
        tell(story)


for command in (timings, verify, head, export, watch):
    audit.add_command(command)
