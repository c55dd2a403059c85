"""`cmam profile symbols`: a link's table of symbols, written to be filled in and loaded whole or not at all."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cmam.cli.face.exits import Exit, fail
from cmam.cli.face.talk import counted, legible, print_json, say, say_remarks
from cmam.cli.face.verbs import Verb, carry_out, face, spare_homes

if TYPE_CHECKING:
    from cmam.domain.belief.view import AccountView
    from cmam.domain.profiles.link import Link, ProfileView
    from cmam.domain.profiles.table import RowFault, SymbolRow
    from cmam.domain.values.ids import AccountId
    from cmam.store.folding.fold import Fold


@click.command(cls=Verb)
@click.argument("name")
@click.argument("action", type=click.Choice(["sample", "load"]), metavar="sample|load")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path), metavar="FILE.csv|-")
@click.option("--follower", metavar="ID", help="Only this follower's link.")
@click.option("--force", is_flag=True, help="sample: overwrite a file that is there.")
def symbols(name: str, action: str, file: Path, follower: str | None, force: bool) -> None:
    """Write a table of the leader's symbols to fill in, or load one: what a link does differently for each symbol.

    `sample` has a row for each of the leader's symbols, with what is loaded already; loaded unchanged, it changes
    nothing else. `load` takes all of a file or nothing of it, and names every fault with its line. An empty cell
    inherits. `-` is stdout, or stdin.
    """
    from cmam import office
    from cmam.domain.operating.asking import find_account, find_profile

    folded = office.read_fold(face().home)
    profile = find_profile(folded.registry, name)
    only = find_account(folded.registry, follower).account if follower else None
    links = [link for link in profile.links.values() if only in (None, link.follower)]
    if not links:
        fail(f"{follower!r} does not follow in {profile.name}; `cmam profile show` lists who does.", Exit.USAGE)
    if action == "sample":
        _sample(folded, profile, links, file, follower, force=force)
    else:
        _load(folded, profile, links, file, follower)


# --- sample -----------------------------------------------------------------------------------------------------------


def _sample(
    folded: Fold, profile: ProfileView, links: list[Link], file: Path, follower: str | None, *, force: bool
) -> None:
    from cmam.config.symbols_file import for_spreadsheets
    from cmam.domain.profiles.table import write_table
    from cmam.store.logfile.files import new_file

    if str(file) != "-":
        spare_homes(file)
    views = _views_with_symbols(folded, profile, links)
    assert profile.leader is not None
    leader = views[profile.leader]
    names = [name for name, entry in leader.names.items() if entry.enabled]
    rows = _rows(profile, links, views, names)
    text = for_spreadsheets(write_table(rows))
    if str(file) == "-":
        click.echo(legible(text) if sys.stdout.isatty() else text, nl=False)
    else:
        try:
            if not force and file.exists() and file.stat().st_size:
                fail(f"{file} is there already: name another file, or overwrite it with --force.", Exit.USAGE)
            with new_file(file) as fresh:
                fresh.write_text(text, encoding="utf-8", newline="")
        except OSError as error:
            fail(f"{file} could not be written: {error.strerror or error}.")
    mapped = sum(bool(row.follower_symbol) for row in rows)
    of = f" --follower {follower}" if follower else ""
    say(
        f"{len(rows)} symbols of the leader, {mapped} with a symbol of the follower; an empty cell inherits. "
        f"Load it with `cmam profile symbols {profile.name} load {'FILE.csv' if str(file) == '-' else file}{of}`."
    )


def _views_with_symbols(folded: Fold, profile: ProfileView, links: list[Link]) -> Mapping[AccountId, AccountView]:
    """The views of leader and followers with their symbols: from the log, else from their brokers."""
    views, why_not = _known_or_asked(folded, profile, links)
    if why_not:
        fail(f"The symbols are not known yet, and could not be asked for: {why_not}", Exit.UNREACHABLE)
    return views


def _known_or_asked(
    folded: Fold, profile: ProfileView, links: list[Link]
) -> tuple[Mapping[AccountId, AccountView], str]:
    """The views that have symbols, from the log or from their brokers, and why one has none."""
    from cmam import office, survey
    from cmam.clock import SystemClock

    assert profile.leader is not None
    wanted = {profile.leader, *(link.follower for link in links)}
    views = {account: view for account, view in folded.accounts.items() if account in wanted and view.names}
    missing = sorted(wanted - views.keys())
    if not missing:
        return views, ""
    me = face()
    found = survey.look(me.home, office.settings_of(me.home), folded, missing, SystemClock())
    views.update({account: seen.view for account, seen in found.items() if seen.view.names})
    unseen = [seen for seen in found.values() if not seen.view.names]
    return views, unseen[0].why_not if unseen else ""


def _rows(
    profile: ProfileView, links: list[Link], views: Mapping[AccountId, AccountView], names: Iterable[str]
) -> list[SymbolRow]:
    """What is loaded already, then a row for each other symbol; a follower's symbol only where all followers agree."""
    from cmam.domain.profiles.policy import policy_of
    from cmam.domain.profiles.table import SymbolRow

    tables = {{**profile.settings, **link.settings}.get("symbols.table", "") for link in links}
    if len(tables) > 1:
        fail(f"The followers of {profile.name} have different tables: name one with --follower.", Exit.USAGE)
    policy = policy_of({**profile.settings, **links[0].settings})
    rows = {row.leader_symbol: row for row in policy.symbols_table}
    taken = {name.upper() for name in rows}
    for name in sorted(names):
        if name.upper() in taken:
            continue
        found = {_follower_symbol(views[link.follower], name) for link in links}
        rows[name] = SymbolRow(leader_symbol=name, follower_symbol=found.pop() if len(found) == 1 else "")
    return list(rows.values())


def _follower_symbol(view: AccountView, name: str) -> str:
    """The follower's symbol of the same name, else the only one like it; empty where that is not certain."""
    from cmam.domain.market.mapping import candidates

    entry = view.names.get(name)
    if entry is not None:
        return name
    found = candidates(view, name)
    return found[0].name if len(found) == 1 else ""


# --- load -------------------------------------------------------------------------------------------------------------


def _load(folded: Fold, profile: ProfileView, links: list[Link], file: Path, follower: str | None) -> None:
    from cmam.config.symbols_file import SymbolsFileUnreadable, read_symbols_file
    from cmam.domain.profiles.table import read_table, write_table

    try:
        found = read_symbols_file(file)
    except SymbolsFileUnreadable as error:
        fail(str(error), Exit.USAGE)
    table = read_table(found.text, delimiter=found.delimiter)
    views, unchecked = _known_or_asked(folded, profile, links)
    unknown = _unknown_symbols(folded, views, profile, links, found.text, found.delimiter)
    faults = sorted((*table.faults, *unknown), key=lambda fault: fault.line)
    if faults:
        count = f"{len(faults)} fault{'s' if len(faults) != 1 else ''}"
        fail(f"{file} has {count}; nothing of it was loaded:\n" + "\n".join(map(str, faults)), Exit.USAGE)
    request = {
        "command": "profile.set",
        "profile": profile.name,
        "follower": follower,
        "settings": {"symbols.table": write_table(_as_named(table.rows, views, profile, links))},
    }
    answer = carry_out(request)
    if face().as_json:
        print_json({"profile": answer["profile"], "rows": len(table.rows), "links": answer["links"]})
    rows, held = len(table.rows), answer["links"]
    say(
        f"{counted(rows, 'row')} loaded for {counted(held, 'follower')} of "
        f"{answer['profile']}{'' if answer['changed'] else '; nothing is different'}."
    )
    say_remarks(answer)
    if unchecked:
        say(f"The symbols' names were not all checked, since a broker could not be asked: {unchecked}")


def _unknown_symbols(
    folded: Fold,
    views: Mapping[AccountId, AccountView],
    profile: ProfileView,
    links: list[Link],
    text: str,
    delimiter: str,
) -> Iterator[RowFault]:
    """Cells that name a symbol which its broker does not have: such a row would never do anything."""
    from cmam.domain.profiles.table import RowFault

    leader = views.get(profile.leader) if profile.leader is not None else None
    for line, cells in _lines(text, delimiter):
        name = cells.get("leader_symbol", "")
        if name and leader is not None and leader.names and not _named(name, leader):
            yield RowFault(line, "leader_symbol", name, _wanted("the leader", name, leader))
        name = cells.get("follower_symbol", "")
        for link in links:
            view = views.get(link.follower)
            if name and view is not None and view.names and not _named(name, view):
                who = folded.registry.accounts[link.follower].shown
                yield RowFault(line, "follower_symbol", name, _wanted(who, name, view))


def _named(name: str, view: AccountView) -> str:
    """The symbol as its broker writes it, upper and lower case alike; empty where none fits, or several do."""
    if name in view.names:
        return name
    alike = [one for one in view.names if one.upper() == name.upper()]
    return alike[0] if len(alike) == 1 else ""


def _as_named(
    rows: Iterable[SymbolRow], views: Mapping[AccountId, AccountView], profile: ProfileView, links: list[Link]
) -> Iterator[SymbolRow]:
    """The rows with each symbol as its broker writes it. What followers write differently stays as it was typed, and
    so does what a broker that could not be asked may have."""
    leader = views.get(profile.leader) if profile.leader is not None else None
    followers = [view for link in links if (view := views.get(link.follower)) is not None and view.names]
    for row in rows:
        mine = _named(row.leader_symbol, leader) if leader is not None else ""
        theirs = {_named(row.follower_symbol, view) for view in followers}
        yield replace(
            row,
            leader_symbol=mine or row.leader_symbol,
            follower_symbol=(theirs.pop() if len(theirs) == 1 else "") or row.follower_symbol,
        )


def _wanted(who: str, name: str, view: AccountView) -> str:
    near = difflib.get_close_matches(name, view.names, n=3, cutoff=0.6)
    return f"a symbol of {who}" + (f", such as {', '.join(near)}" if near else "")


def _lines(text: str, delimiter: str) -> Iterator[tuple[int, dict[str, str]]]:
    """The cells of each row by column, with its line; nothing where the text is no table."""
    import csv
    import io

    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    header: list[str] = []
    with suppress(csv.Error):  # whoever reads the table says what is wrong with it
        for cells in reader:
            clean = [cell.strip() for cell in cells]
            if not any(clean) or clean[0].startswith("# "):
                continue
            if not header:
                header = clean
            else:
                yield reader.line_num, dict(zip(header, clean, strict=False))
