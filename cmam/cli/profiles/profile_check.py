"""`cmam profile check`: what would be copied and what not, before anything moves. Sends no order, writes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import click

from cmam.cli.face.exits import Exit, fail
from cmam.cli.face.rows import console, new_table, print_rows
from cmam.cli.face.talk import counted, print_json, say
from cmam.cli.face.verbs import Verb, WholeRange, face

if TYPE_CHECKING:
    from rich.console import JustifyMethod

    from cmam.cli.face.tables import LegibleTable
    from cmam.clock import Clock
    from cmam.config.home import Home
    from cmam.domain.belief.view import AccountView
    from cmam.domain.events import Finding
    from cmam.domain.profiles.link import Link, LinkSettings, ProfileView
    from cmam.domain.trials.feasibility import Judged, Pairing
    from cmam.domain.values.ids import AccountId
    from cmam.domain.values.symbols import SymbolSpec
    from cmam.store.folding.fold import Fold
    from cmam.survey import Seen

TRADES_SHOWN = 50
FINDINGS_SHOWN = 50
NAMES_SHOWN = 3

DAYS = 7
"""The longest history that a broker gives in one answer."""


@click.command(cls=Verb)
@click.argument("name")
@click.option("--follower", metavar="ID", help="Only this follower's link.")
@click.option("--all", "everything", is_flag=True, help="Every symbol of the leader, not only what it trades.")
@click.option("--days", type=WholeRange(0, DAYS), default=DAYS, show_default=True, help="How much history to judge.")
@click.option("--offline", is_flag=True, help="Rest on the log alone; ask no broker.")
def check(name: str, follower: str | None, everything: bool, days: int, offline: bool) -> None:
    """Show what would be copied, and what not and why, before anything is sent: symbols, recent trades, repairs.

    Each of the leader's symbols stands beside the follower's with lot size, digits, step, minimum, and the worth of one
    lot and one pip in the follower's currency. The leader's recent trades are judged by the rules that copy, at their
    own time and today's prices. The repairs are what the next start would do about what happened since the last one.
    """
    from cmam import office
    from cmam.clock import SystemClock
    from cmam.domain.operating.asking import find_account, find_profile

    me, clock = face(), SystemClock()
    folded = office.read_fold(me.home)
    profile = find_profile(folded.registry, name)
    only = find_account(folded.registry, follower).account if follower else None
    links = [link for link in profile.links.values() if only in (None, link.follower)]
    if not links:
        fail(f"{follower!r} does not follow in {profile.name}; `cmam profile show` lists who does.", Exit.USAGE)
    assert profile.leader is not None
    accounts = tuple(dict.fromkeys((profile.leader, *(link.follower for link in links))))
    seen = _seen(me.home, folded, accounts, None if offline else days, clock)
    reports = [_report(folded, profile, link, seen, clock.now(), everything=everything) for link in links]
    asked = [{"account": int(account), "live": one.is_live, "why_not": one.why_not} for account, one in seen.items()]
    disk = office.disk_shortage(me.home)
    document = {
        "profile": profile.name,
        "state": profile.state.value,
        "leader": int(profile.leader),
        "leader_name": _shown(folded, profile.leader),
        "asked": asked,
        "warnings": [disk] if disk else [],
        "links": reports,
    }
    if me.as_json:
        print_json(document)
        return
    if disk:
        say(f"! {disk}")
    for line in not_asked([(_shown(folded, one["account"]), str(one["why_not"])) for one in asked if not one["live"]]):
        say(line)
    for report in reports:
        _print(document, report)


def _seen(
    home: Home, folded: Fold, accounts: tuple[AccountId, ...], days: int | None, clock: Clock
) -> Mapping[AccountId, Seen]:
    """The accounts, the leader first, as their brokers show them with so many days of his history; with None as the log
    knows them. Fails where nothing is known of one."""
    from cmam import office, survey

    if days is None:
        seen = {account: survey.from_log(folded, account, "--offline asks nobody") for account in accounts}
    else:
        seen = survey.look(home, office.settings_of(home), folded, accounts, clock, history_of=accounts[0], days=days)
    for account in accounts:
        if account not in seen or not seen[account].view.names:
            why = seen[account].why_not if account in seen else "it is no account of this home any more"
            fail(f"Nothing is known of {_shown(folded, account)} yet: {why}", Exit.UNREACHABLE)
    return seen


def not_asked(accounts: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Whose broker did not answer, and why: one sentence for all that have the same reason."""
    by_reason: dict[str, list[str]] = {}
    for name, why in accounts:
        by_reason.setdefault(why, []).append(name)
    for why, names in by_reason.items():
        more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
        what = "is shown as the log knows it" if len(names) == 1 else "are shown as the log knows them"
        yield f"{', '.join(names[:NAMES_SHOWN])}{more} {what}: {why}"


def _shown(folded: Fold, account: Any) -> str:
    known = folded.registry.accounts.get(account)
    return known.shown if known is not None else str(account)


# --- gathering --------------------------------------------------------------------------------------------------------


def _report(
    folded: Fold, profile: ProfileView, link: Link, seen: Mapping[Any, Seen], now_us: int, *, everything: bool
) -> dict[str, Any]:
    from cmam.domain.guarding.guards import out_of_reach
    from cmam.domain.profiles.remarks import idle, unknown_symbols
    from cmam.domain.trials import feasibility
    from cmam.domain.trials.rehearsal import differences

    leader, follower = seen[profile.leader], seen[link.follower]
    settings = _settings(folded, profile, link)
    changes = feasibility.leaders_trades(leader.view, leader.deals, (*leader.past_orders, *leader.view.orders.values()))
    traded = {change.symbol.name for change in changes} | _held_symbols(leader.view)
    traded |= {name for name in leader.view.names if settings.policy.row(name) is not None}
    pairings = feasibility.pairings(
        leader.view, follower.view, settings, follower.quotes, leader.quotes, frozenset(traded)
    )
    # By its exact name a symbol is certain even where the log does not know yet what it allows.
    unmapped = [one.name for one in pairings if one.follower is None and one.how != "exact"]
    if traded and not everything:
        pairings = tuple(one for one in pairings if one.is_traded)
    judged = [
        feasibility.judge(leader.view, follower.view, settings, follower.quotes, leader.quotes, change)
        for change in changes
    ]
    others = {one.link for one in folded.registry.links() if one.follower == link.follower} - {link.link}
    found = differences(
        leader.before,
        leader.books,
        follower.before,
        follower.books,
        settings,
        others,
        follower.quotes,
        leader.quotes,
        now_us,
    )
    return {
        "follower": int(link.follower),
        "follower_name": _shown(folded, link.follower),
        "currency": follower.view.currency,
        "symbols": [_pairing_document(one) for one in pairings],
        "unmapped": unmapped,
        "unknown_symbols": [
            {"setting": setting, "symbol": symbol}
            for setting, symbol in unknown_symbols(settings.policy, leader.view.names)
        ],
        "idle_settings": [
            {"setting": name, "needs": needs} for name, needs in idle({**profile.settings, **link.settings}).items()
        ],
        "guards_out_of_reach": [
            {
                "guard": guard,
                "initial": _minor(initial, follower.before.money_digits),
                "holds_at": _minor(limit, follower.before.money_digits),
            }
            for guard, initial, limit in out_of_reach(follower.before, settings)
        ],
        "no_rate": feasibility.unconverted(leader.view, follower.view, settings.policy) or None,
        "trades": [_trade_document(one) for one in judged],
        "findings": [_finding_document(one) for one in found.findings],
        "repairs": [{"source": one.source, "finding": one.finding, "repair": one.repair} for one in found.repairs],
    }


def _held_symbols(leader: AccountView) -> set[str]:
    """The names of the symbols in which an account holds positions or lets orders rest."""
    names = {entry.symbol: name for name, entry in leader.names.items()}
    held = {position.symbol for position in leader.positions.values()}
    held |= {order.symbol for order in leader.orders.values()}
    return {names[symbol] for symbol in held if symbol in names}


def _settings(folded: Fold, profile: ProfileView, link: Link) -> LinkSettings:
    """The link as it would copy, whether it may at this moment or not."""
    from dataclasses import replace

    from cmam.domain.events import ProfileState
    from cmam.domain.profiles.link import link_settings

    running = replace(profile, state=ProfileState.RUNNING)
    found = link_settings(running, folded.registry.store, paused_accounts=frozenset())
    return next(one for one in found if one.link == link.link)


def _pairing_document(one: Pairing) -> dict[str, Any]:
    return {
        "symbol": one.name,
        "traded": one.is_traded,
        "follower_symbol": one.follower.name if one.follower is not None else None,
        "how": one.how,
        "why": one.why,
        "leader": _spec_document(one.leader, one.leader_notional, one.leader_pip),
        "follower": _spec_document(one.follower, one.follower_notional, one.follower_pip),
        "remarks": list(one.remarks),
    }


def _spec_document(spec: SymbolSpec | None, worth: Fraction | None, pip: Fraction | None) -> dict[str, Any] | None:
    from cmam.domain.values.quantities import units_text

    if spec is None:
        return None
    return {
        "lot_size": units_text(spec.lot_size),
        "digits": spec.digits,
        "step": units_text(spec.step_volume),
        "min": units_text(spec.min_volume),
        "max": units_text(spec.max_volume),
        "lot_worth": _money(worth),
        "pip_worth": _money(pip),
    }


def _finding_document(one: Finding) -> dict[str, Any]:
    from cmam.domain.repair.reconcile import FINDINGS

    row = FINDINGS[one.kind]
    return {
        "finding": one.kind.value,
        "remedy": one.remedy.value,
        "source": one.source,
        "position": one.position,
        "order": one.order,
        "expected": one.expected,
        "found": one.found,
        "text": one.text,
        "what": row.what,
        "done": row.done,
    }


def _minor(value: int, digits: int) -> str:
    return f"{Decimal(value).scaleb(-digits):.{digits}f}"


def _money(value: Fraction | None) -> str | None:
    if value is None:
        return None
    cents = round(value * 10_000)
    return f"{cents // 10_000}.{cents % 10_000:04d}".removesuffix("00")


def _trade_document(one: Judged) -> dict[str, Any]:
    from cmam.domain.values.quantities import units_text
    from cmam.domain.values.reasons import REASONS
    from cmam.store.text import iso

    change, decision = one.change, one.decision
    row = REASONS[decision.reason] if decision.reason is not None else None
    return {
        "at": iso(change.at_ms * 1_000),
        "change": "added" if one.as_add else change.kind.value,
        "symbol": change.symbol.name,
        "side": change.side.value,
        "leader_volume": units_text(change.volume),
        "verdict": decision.verdict.value,
        "reason": decision.reason.value if decision.reason is not None else None,
        "why": row.when if row is not None else "",
        "cure": row.cure if row is not None else "",
        "volume": units_text(decision.volume) if decision.volume else None,
        "waits_for": decision.wait.value if decision.wait is not None else None,
        "working": [{"name": step.name, "value": step.value, "note": step.note} for step in decision.working],
    }


# --- printing ---------------------------------------------------------------------------------------------------------


def _print(document: Mapping[str, Any], report: Mapping[str, Any]) -> None:
    out = console()
    out.print(pairs_table(document, report, out.width))
    if report["unmapped"]:
        say(f"Not copied for want of a symbol: {', '.join(report['unmapped'])}. `cmam profile symbols` maps them.")
    if report["unknown_symbols"]:
        unknown = ", ".join(f"{one['symbol']} ({one['setting']})" for one in report["unknown_symbols"])
        say(f"Named in the settings, and no symbol of the leader's: {unknown}.")
    for one in report["idle_settings"]:
        say(f"{one['setting']} does nothing as things stand: it needs {one['needs']}.")
    for one in report["guards_out_of_reach"]:
        say(sunk_guard(one))
    live = {one["account"] for one in document["asked"] if one["live"]}
    if report["no_rate"]:
        say(_no_rate(report["no_rate"], report["currency"]))
    _print_trades(report["trades"], is_live=document["leader"] in live)
    _print_findings(out, report["findings"])
    _print_repairs(out, report["repairs"], is_live={document["leader"], report["follower"]} <= live)


def pairs_table(document: Mapping[str, Any], report: Mapping[str, Any], width: int) -> LegibleTable:
    """The symbols side by side; on a narrow screen what differs stands one above the other, if it fits so."""
    table = _pairs(document, report, is_narrow=False)
    if not table.fits(width) and (narrow := _pairs(document, report, is_narrow=True)).fits(width):
        return narrow
    return table


def _pairs(document: Mapping[str, Any], report: Mapping[str, Any], *, is_narrow: bool) -> LegibleTable:
    title = f"{document['profile']}: {document['leader_name']} → {report['follower_name']}"
    title += f", one lot and one pip in {report['currency'] or 'its currency'}"
    table = new_table(f"{title}; above the leader's, below the follower's" if is_narrow else title)
    apart = "\n" if is_narrow else " | "
    headings = ["symbol", "follower's", "lot size", "digits", "step", "minimum", "one lot", "one pip"]
    if has_remarks := any(one["remarks"] for one in report["symbols"]):
        headings.append("remarks")
    for heading in headings:
        justify: JustifyMethod = "left" if heading in ("symbol", "follower's", "remarks") else "right"
        table.add_column(heading, justify=justify, overflow="fold")
    for one in report["symbols"]:
        mine, theirs = _short(one["leader"] or {}), _short(one["follower"] or {})
        both = [_both(mine.get(key), theirs.get(key), apart) for key in ("lot_size", "digits", "step", "min")]
        both += [_both(mine.get(key), theirs.get(key), apart, always=True) for key in ("lot_worth", "pip_worth")]
        mapped = f"{one['follower_symbol']} ({one['how']})" if one["follower_symbol"] else f"– {one['why']}"
        table.add_row(one["symbol"], mapped, *both, *["\n".join(one["remarks"])] * has_remarks)
    return table


def sunk_guard(one: Mapping[str, Any]) -> str:
    """What is said of a guard that can hold at no equity any more."""
    return (
        f"guard {one['guard']} holds at no equity above {one['holds_at']}, so it guards nothing: it counts from an "
        f"initial balance of {one['initial']}, from which all that was taken out is subtracted. "
        "`guard.initial` names another."
    )


def _no_rate(theirs: str, own: str) -> str:
    from cmam.domain.values.reasons import REASONS, Reason

    row = REASONS[Reason.NO_RATE]
    return (
        f"Nothing is sized by the leader's money (no_rate): no symbols of the follower's broker lead from {theirs} to "
        f"{own}. {row.cure}"
    )


def _short(spec: Mapping[str, Any]) -> dict[str, Any]:
    """A specification for eyes: whole volumes without cents, and the worth of a lot to the cent, as any money."""
    found = {key: value.removesuffix(".00") if isinstance(value, str) else value for key, value in spec.items()}
    worths = {key: spec.get(key) for key in ("lot_worth", "pip_worth")}
    lot = worths["lot_worth"]
    return {**found, **worths, "lot_worth": lot if lot is None else f"{Decimal(lot):.2f}"}


def _both(mine: Any, theirs: Any, apart: str, *, always: bool = False) -> str:
    """What is the same once, what differs side by side."""
    if theirs is None:
        return str(mine if mine is not None else "–")
    if mine == theirs and not always:
        return str(mine)
    return f"{mine if mine is not None else '–'}{apart}{theirs}"


def _print_trades(trades: Iterable[Mapping[str, Any]], *, is_live: bool) -> None:
    found = list(trades)
    missed = [one for one in found if one["verdict"] != "copy"]
    if not found:
        said = "shows no trade to judge" if is_live else "could not be read: no trade of it is judged"
        say(f"The leader's recent history {said}.")
        return
    recent = counted(len(found), "recent trade")
    say(f"{len(found) - len(missed)} of the leader's {recent} could be copied as things stand.")
    if not missed:
        return
    lines = [
        {
            "when": one["at"],
            "trade": f"{one['side']} {one['leader_volume'].removesuffix('.00')} {one['symbol']} ({one['change']})",
            "reason": one["reason"] or one["verdict"],
            "what would have let it through": one["cure"],
        }
        for one in missed[-TRADES_SHOWN:]
    ]
    print_rows(lines, list(lines[0]), empty="", title="Could not have been copied")
    counts = Counter(one["reason"] for one in missed)
    say("; ".join(f"{reason}: {count}" for reason, count in counts.most_common()))


def _print_findings(out: Any, findings: Iterable[Mapping[str, Any]]) -> None:
    found = list(findings)
    if not found:
        return
    table = new_table("What differs between record, follower and leader")
    for heading in ("source", "finding", "what was found", "what is done about it"):
        table.add_column(heading, overflow="fold")
    for one in found[:FINDINGS_SHOWN]:
        table.add_row(one["source"] or "–", one["finding"], one["text"], one["done"])
    out.print(table)
    if len(found) > FINDINGS_SHOWN:
        say(f"{len(found) - FINDINGS_SHOWN} more; --json has all.")


def _print_repairs(out: Any, repairs: Iterable[Mapping[str, Any]], *, is_live: bool) -> None:
    found = list(repairs)
    if not found:
        agreed = "Nothing has to be repaired: the record and the brokers agree."
        say(agreed if is_live else "What has to be repaired is not known: not all brokers could be asked.")
        return
    table = new_table("At the next start")
    for heading in ("source", "finding", "repair"):
        table.add_column(heading, overflow="fold")
    for one in found:
        table.add_row(one["source"], one["finding"], one["repair"])
    out.print(table)
