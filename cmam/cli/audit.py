"""`cmam audit` and `cmam backup`: what was copied, what was skipped and why, from the record."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cmam.cli.common import Exit, Noun, face, fail, print_json, print_rows, say
from cmam.cli.story import tell

if TYPE_CHECKING:
    from cmam.store.audit import Audit, Filters

NUMBERS = frozenset(
    {
        "leader_volume", "volume", "open_price", "close_price", "leader_position", "follower_position", "slippage_pips",
        "count", "p50_ms", "p90_ms", "p99_ms", "max_ms", "p50", "p90", "p99", "max", "filled", "balance", "positions",
        "copies", "account", "settings_version", "leader", "follower",
    }
)  # fmt: skip


@click.group(cls=Noun)
def audit() -> None:
    """Show what was copied, skipped and why. Answers include everything that is committed."""


@contextmanager
def opened() -> Iterator[Audit]:
    """The past of this home, up to the last committed record."""
    from cmam.store.audit import Audit

    with Audit.open(face().home.root) as found:
        if found.behind:
            say(f"The views lag {found.behind} records behind the log; ask again in a moment for all of them.")
        yield found


def filtered(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the filters that every list has."""
    for option in (
        click.option("--since", metavar="TIME", help="From this moment on, ISO 8601 (UTC unless it says otherwise)."),
        click.option("--until", metavar="TIME", help="Up to this moment."),
        click.option("--profile", metavar="NAME", help="Only this profile."),
        click.option("--account", metavar="ID", help="Only this account, as leader or follower."),
        click.option("--symbol", metavar="NAME", help="Only this symbol, by the leader's name."),
        click.option("--reason", metavar="REASON", help="Only with this reason."),
    ):
        function = option(function)
    return function


def _filters(given: Mapping[str, Any]) -> Filters:
    from cmam import office
    from cmam.domain.operate import find_account, find_profile
    from cmam.store.audit import Filters

    registry = office.read_registry(face().home)
    account = given.get("account")
    name = given.get("profile")
    if account is not None and not account.isdecimal():
        account = int(find_account(registry, account).account)
    if name is not None and registry.live_profiles():
        deleted = {profile.name.lower() for profile in registry.profiles.values() if profile.deleted}
        name = name if name.lower() in deleted else find_profile(registry, name).name
    return Filters(
        since_us=moment(given.get("since")),
        until_us=moment(given.get("until")),
        profile=name,
        account=int(account) if account is not None else None,
        symbol=given.get("symbol"),
        reason=given.get("reason"),
    )


def moment(text: str | None) -> int | None:
    """Read a moment of an option, in us UTC."""
    from cmam.store.text import parse_time

    if text is None:
        return None
    try:
        return parse_time(text)
    except ValueError as error:
        raise click.UsageError(f"{error}.") from None


# --- lists ----------------------------------------------------------------------------------------------------------


@audit.command()
@filtered
def copies(**given: Any) -> None:
    """Every copy: both positions, both volumes, prices, state, reason."""
    with opened() as past:
        print_rows(
            past.copies(_filters(given)),
            [
                "profile",
                "follower",
                ("leader_position", "leader's"),
                ("follower_position", "its copy"),
                "symbol",
                "side",
                ("leader_volume", "volume"),
                ("volume", "copied"),
                "state",
                ("open_price", "open"),
                ("close_price", "close"),
                "reason",
            ],
            empty="Nothing was copied yet.",
            numbers=NUMBERS,
            spare=("profile", "close_price", "open_price", "reason"),
        )


@audit.command()
@filtered
def decisions(**given: Any) -> None:
    """Every decision: copied, skipped and why, or nothing to do and why."""
    with opened() as past:
        print_rows(
            past.decisions(_filters(given)),
            [
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
            ],
            empty="Nothing was decided yet.",
            numbers=NUMBERS,
            spare=("profile", "at", "side", "volume"),
        )


@audit.command()
@filtered
def orders(**given: Any) -> None:
    """Every request that was decided, with what became of it."""
    with opened() as past:
        print_rows(
            past.orders(_filters(given)),
            ["intent", "account", "kind", "symbol", "side", "volume", "filled", "state", "outcome", "reason"],
            empty="Nothing was requested yet.",
            numbers=NUMBERS,
            spare=("reason", "filled", "account", "side"),
        )


@audit.command()
@click.option("--account", metavar="ID", help="Only this account.")
def accounts(**given: Any) -> None:
    """Every account that was ever known."""
    with opened() as past:
        print_rows(
            past.accounts(_filters(given)),
            ["account", "alias", "login", "broker", "currency", "health", "balance", "positions", "copies", "removed"],
            empty="No account was ever added.",
            numbers=NUMBERS,
            spare=("removed", "alias", "login", "positions", "currency"),
        )


@audit.command()
@filtered
def settings(**given: Any) -> None:
    """Every change of what the operator wanted, with what it was before."""
    with opened() as past:
        rows = past.settings(_filters(given))
        if face().as_json:
            print_rows(rows, [], empty="")
            return
        shown = (
            {
                **row,
                "what": row["what"].replace("_", " "),
                "changed": "\n".join(f"{name}: {old} → {new}" for name, (old, new) in row["changed"].items()),
            }
            for row in rows
        )
        print_rows(shown, ["at", "what", "profile", "account", "changed", "user"], empty="Nothing was set yet.")


@audit.command()
@click.option("--account", metavar="ID", help="Only this follower.")
@click.option("--since", metavar="TIME", help="From this moment on.")
def timings(account: str | None, since: str | None) -> None:
    """How long each stage took, and how much worse than the leader each follower was filled."""
    from cmam.store.timings import slippage
    from cmam.store.timings import timings as spans

    with opened() as past:
        filters = _filters({"account": account, "since": since})
        lines = spans(past, account=filters.account, since_us=filters.since_us)
        slipped = slippage(past, account=filters.account)
        if face().as_json:
            print_rows([*lines, *({"stage": "slippage_pips", **line} for line in slipped)], [], empty="")
            return
        columns: list[str | tuple[str, str]] = ["stage", "account", "count"]
        columns += [(f"{name}_ms", f"{name} ms") for name in ("p50", "p90", "p99", "max")]
        print_rows(lines, columns, empty="Nothing was measured yet.", numbers=NUMBERS)
        if slipped:
            print_rows(
                slipped,
                ["account", "count", "p50", "p90", "p99", "max"],
                empty="",
                title="slippage in pips; negative is better than the leader",
                numbers=NUMBERS,
            )


# --- one story ------------------------------------------------------------------------------------------------------


@audit.command()
@click.argument("name", metavar="ID")
def explain(name: str) -> None:
    """Why this was copied, skipped or sized so.

    ID is a decision, a copy, a request, a leader's change (deal:…), or the number of a position at either end.
    """
    from cmam.store.explain import explain as stories

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


# --- proof ----------------------------------------------------------------------------------------------------------


@audit.command()
@click.option("--head", metavar="HEAD", help="A head that was printed before: finds a cut-off tail too.")
@click.option("--pack", type=click.Path(path_type=Path), help="An evidence pack instead of this home's store.")
def verify(head: str | None, pack: Path | None) -> None:
    """Check the chains of hashes: every change, drop, insertion and swap is found. Exit code 1 if one is broken."""
    from cmam.store.audit import verify_log
    from cmam.store.chain import parse_log_head
    from cmam.store.export import verify_pack
    from cmam.store.log import EventLog

    try:
        expected = parse_log_head(head) if head else None
    except ValueError as error:
        raise click.UsageError(f"{error}.") from None
    if pack is not None:
        result = verify_pack(pack, expected)
    else:
        log = EventLog.read_only(face().home.root)
        try:
            result = verify_log(log, expected)
        finally:
            log.close()
    document = {
        "whole": result.is_whole,
        "records": result.records,
        "streams": result.streams,
        "checkpoints": result.checkpoints,
        "covered": result.covered,
        "head": str(result.head),
        "findings": [
            {
                "fault": finding.fault.value,
                "stream": finding.stream,
                "version": finding.version,
                "position": finding.position,
                "text": finding.text,
            }
            for finding in result.findings
        ],
    }
    if face().as_json:
        print_json(document)
    else:
        click.echo(f"{'whole' if result.is_whole else 'BROKEN'}: {result.records} records in {result.streams} streams")
        click.echo(f"head {document['head']}")
        for finding in result.findings:
            click.echo(f"{finding.fault.value} at position {finding.position}: {finding.text}")
        if result.is_whole:
            say("Keep the head elsewhere: `audit verify --head HEAD` then also finds a tail that was cut off.")
    if not result.is_whole:
        raise click.exceptions.Exit(Exit.REFUSED)


@audit.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--what",
    type=click.Choice(["copies", "decisions", "orders", "accounts", "settings"]),
    default="copies",
    show_default=True,
    help="Which list; an evidence pack has the records themselves.",
)
@filtered
def export(file: Path, what: str, **given: Any) -> None:
    """Write a list as .csv or .jsonl, or an evidence pack as .pack, which `audit verify --pack` checks by itself."""
    from cmam.store.export import export_pack, export_table

    with opened() as past:
        if file.suffix == ".pack":
            head = export_pack(past.log, file)
            say(f"{file} holds every record; its head is {head}.")
            return
        if not re.fullmatch(r"\.(csv|json|jsonl)", file.suffix):
            raise click.UsageError(f"expected a file ending in .csv, .jsonl, .json or .pack, found {file.name!r}.")
        lines = getattr(past, what)(_filters(given))
        count = export_table(lines, file)
    say(f"{file} has {count} line{'s' if count != 1 else ''}.")


@click.command(cls=audit.command_class)
@click.argument("file", type=click.Path(path_type=Path))
def backup(file: Path) -> None:
    """Copy the log to FILE, while running or not; it is checked against its chains before it gets its name."""
    from cmam.store.export import backup as copy

    head = copy(face().home.root, file)
    say(f"{file} is a whole copy; its head is {head}.")
