"""`cmam account`: add accounts by consent, name and tag them, look at them, forget them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cmam.cli.access.account_consent import consent, take_in
from cmam.cli.access.account_now import LIST_NUMBERS, LISTS, OF_HISTORY, asked
from cmam.cli.face.exits import fail
from cmam.cli.face.rows import print_rows
from cmam.cli.face.talk import counted, is_interactive, print_json, say
from cmam.cli.face.verbs import Noun, carry_out, face
from cmam.cli.running.target import ROWS_SHOWN_MAX, copy_line, live_rows

if TYPE_CHECKING:
    from cmam.credentials.rotation import Rotated, Unsaved
    from cmam.credentials.secrets_file import SecretStore
    from cmam.domain.operating.registry import KnownAccount, Registry


SAVE_TRIES, SAVE_PAUSE_S = 300, 1.0
"""How often new tokens are tried to be saved where their place takes nothing, and the pause between two tries."""
TOLD_LATER = {"currency": "currency", "type": "account_type"}
"""What a broker tells of an account as soon as it can be read, and how the audit calls it."""


@click.group(cls=Noun)
def account() -> None:
    """Add and manage trading accounts. ID is a ctid, an alias or broker:login."""


# --- add --------------------------------------------------------------------------------------------------------------


@account.command()
@click.option("--code", metavar="CODE", help="The code, or the address the browser ended on. It lives one minute.")
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    help='{"access_token", "refresh_token", "expires_at"?} [else CMAM_ACCESS_TOKEN, CMAM_REFRESH_TOKEN].',
)
@click.option("--browser/--no-browser", default=True, help="Open the consent page in a browser here.")
@click.option("--yes", is_flag=True, help="Do not ask before storing.")
def add(code: str | None, token_file: Path | None, browser: bool, yes: bool) -> None:
    """Add every account that a consent opens; repeating it is no error.

    Prints the address of the consent page, opens it, takes the answer, shows the accounts, stores them.
    """
    from cmam import office
    from cmam.clock import SystemClock
    from cmam.config.token_file import read_tokens, tokens_from
    from cmam.consent import pair_of
    from cmam.credentials.vault import as_known

    if code is not None and token_file is not None:
        raise click.UsageError("say --code or --token-file, not both.")
    me = face()
    settings = office.settings_of(me.home)
    store = office.secrets_of(me.home, settings.secrets)
    vault = store.load()
    if vault.application is None:
        fail("No application is configured yet: run `cmam api configure` first.")
    given = read_tokens(token_file) if token_file else ()
    if not given and code is None:
        found = tokens_from(os.environ)
        given = (found,) if found else ()
    now = SystemClock().now()
    pairs = [as_known(vault, pair_of(tokens, now=now)) for tokens in given]
    if any(pair.access != tokens.access for pair, tokens in zip(pairs, given, strict=True)):
        say("Some of these tokens were refreshed here since: the newer ones, which are kept here, are used.")
    if not pairs:
        pairs = [consent(settings, vault.application, code, browser=browser)]
    for pair in pairs:
        take_in(me, settings, pair, yes=yes)
    say("Next: `cmam account list`, `cmam profile create -h`.")


# --- list, show -----------------------------------------------------------------------------------------------------


def row_of(known: KnownAccount) -> dict[str, Any]:
    """An account as it was added, without reaching the API."""
    return {
        "ctid": int(known.account),
        "alias": known.alias,
        "login": known.login,
        "broker": known.broker,
        "currency": known.currency,
        "environment": "live" if known.is_live else "demo",
        "type": known.account_type,
        "trading": known.can_trade,
        "tags": list(known.tags),
        "paused": known.paused,
        "paused_reason": known.paused_reason if known.paused else "",
    }


def _completed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Accounts with what their brokers told later, where an account could not be read as its consent was given."""
    from cmam.store.auditing.audit import Audit
    from cmam.store.errors import StoreError

    if all(row[name] for row in rows for name in TOLD_LATER):
        return rows
    try:
        with Audit.open(face().home.root) as past:
            told = {line["account"]: line for line in past.accounts()}
    except StoreError:
        return rows  # a list of what was added needs no more than the registry
    return [
        row | {name: told[row["ctid"]][of] or "" for name, of in TOLD_LATER.items() if not row[name]}
        if row["ctid"] in told
        else row
        for row in rows
    ]


@account.command("list")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Only accounts with this tag; may be repeated.")
def list_(tags: tuple[str, ...]) -> None:
    """List the known accounts."""
    from cmam import office

    registry = office.read_registry(face().home)
    rows = _completed([row_of(known) for known in registry.accounts.values() if set(tags) <= set(known.tags)])
    columns = ["ctid", "alias", "login", "broker", "environment", "type", "currency"]
    columns += [name for name in ("tags", "paused") if any(row[name] for row in rows)]
    if any(not row["trading"] for row in rows):
        columns.append("trading")
    print_rows(
        rows,
        columns,
        empty="No account was added yet: see `cmam account add -h`." if not tags else "No account has these tags.",
        spare=("type", "environment", "currency"),
        numbers=frozenset({"ctid", "login"}),
    )


@account.command()
@click.argument("id_", metavar="ID")
@click.option("--offline", is_flag=True, help="What is stored only; do not ask the API.")
@click.option("--history", is_flag=True, help="Deals and cash flow of the last seven days too.")
def show(id_: str, offline: bool, history: bool) -> None:
    """Show one account: balance, equity, margin, positions, pendings, tokens (masked)."""
    from cmam import office
    from cmam.domain.operating.asking import find_account
    from cmam.store.text import iso

    me = face()
    known = find_account(office.read_registry(me.home), id_)
    settings = office.settings_of(me.home)
    vault = office.secrets_of(me.home, settings.secrets).load()
    grant = vault.grant_of(known.account)
    (document,) = _completed([row_of(known)])
    if not offline:
        document |= asked(settings, vault, known, with_history=history)
    document |= {
        "consent": grant.id if grant else "",
        "token": "••••" if grant else "",
        "token_issued_at": iso(grant.pair.issued_at) if grant else "",
        "token_expires_at": iso(grant.pair.expires_at) if grant else "",
        "token_refresh_at": iso(grant.pair.refresh_at) if grant and grant.may_refresh else "",
    }
    if me.as_json:
        print_json(document)
        return
    lists = {name: value for name, value in document.items() if name in LISTS}
    print_rows(
        [{"what": name.replace("_", " "), "value": value} for name, value in document.items() if name not in LISTS],
        ["what", "value"],
        empty="",
    )
    for name, rows in lists.items():
        if rows:
            print_rows(rows, LISTS[name], empty="", title=name.replace("_", " "), numbers=LIST_NUMBERS)
        elif name in OF_HISTORY:
            say(f"No {name.replace('_', ' ')} in the last seven days.")


# --- change ---------------------------------------------------------------------------------------------------------


@account.command()
@click.argument("id_", metavar="ID")
@click.argument("name")
def alias(id_: str, name: str) -> None:
    """Give an account a name of your choice; '' takes it away."""
    answer = carry_out({"command": "account.alias", "account": id_, "alias": name})
    if face().as_json:
        print_json(answer)
    taken = answer["alias"]
    say(f"{id_} is now called {taken}." if taken else f"{id_} has no alias any more.")


@account.command()
@click.argument("ids", metavar="ID…", nargs=-1, required=True)
@click.option("--add", "added", multiple=True, metavar="TAG", help="Give this tag; may be repeated.")
@click.option("--remove", "removed", multiple=True, metavar="TAG", help="Take this tag away; may be repeated.")
def tag(ids: tuple[str, ...], added: tuple[str, ...], removed: tuple[str, ...]) -> None:
    """Tag several accounts at once."""
    if not added and not removed:
        raise click.UsageError("say --add TAG or --remove TAG.")
    request = {"command": "account.tag", "accounts": list(ids), "add": list(added), "remove": list(removed)}
    answer = carry_out(request)
    if face().as_json:
        print_json(answer)
    if changed := answer.get("changed", answer["accounts"]):  # a copier of an earlier version that still runs
        say(f"The tags of {counted(changed, 'account')} changed.")
    else:
        say("No tags changed: they were so already.")


@account.command()
@click.argument("id_", metavar="ID")
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove(id_: str, yes: bool) -> None:
    """Forget an account and the tokens that open nothing else; its history stays."""
    from cmam import office
    from cmam.credentials.vault import without_accounts
    from cmam.domain.operating.asking import find_account

    me = face()
    known = find_account(office.read_registry(me.home), id_)
    live = live_rows({"account": str(known.account)})
    if live:
        say(f"Without the account in cmam, nobody would manage what it holds: {counted(len(live), 'copy')}.")
    for row in live[:ROWS_SHOWN_MAX]:
        say(f"  {copy_line(row)}")
    if is_interactive() and not yes:
        click.confirm(f"Forget {known.shown} ({known.account}) and its tokens?", abort=True, err=True)
    answer = carry_out({"command": "account.remove", "account": str(known.account)})
    store = office.secrets_of(me.home, office.settings_of(me.home).secrets)
    store.update(lambda vault: without_accounts(vault, [known.account]))
    if me.as_json:
        print_json(answer)
    say(f"{known.shown} is forgotten; its history stays.")


@account.command()
@click.argument("id_", metavar="[ID]", required=False)
def refresh(id_: str | None) -> None:
    """Get new tokens now, for one account's consent or for all."""
    from cmam import office
    from cmam.clock import SystemClock
    from cmam.credentials.oauth import OAuthClient
    from cmam.credentials.rotation import ConsentNeeded, Rotated, Unsaved, rotate
    from cmam.domain.operating.asking import find_account

    me = face()
    settings, passed = office.settings_to_refresh(me.home)
    for problem in passed:
        say(f"! {problem}. Refreshing goes on without it; mend it before the next start.")
    store = office.secrets_of(me.home, settings.secrets)
    vault = store.load()
    registry = office.read_registry(me.home)
    grants = list(vault.usable_grants)
    if id_ is not None:
        known = find_account(registry, id_)
        grants = [grant for grant in grants if known.account in grant.accounts]
    if not grants:
        fail("No consent opens that under the present application: run `cmam account add`.")
    accounts = sorted({account for grant in grants for account in grant.accounts})
    answer = office.ask_running(me.home, {"command": "account.refresh", "accounts": accounts})
    if answer is not None:
        _refreshed(answer, registry)
        return
    provider = OAuthClient(settings.api.oauth_url, settings.api.ca_file)
    refreshed: list[int] = []
    failures: list[dict[str, Any]] = []
    with office.alone(me.home, "cmam account refresh"):  # another one, or a start, would lose the tokens
        for grant in grants:
            outcome = rotate(store, provider, grant.id, now=SystemClock().now())
            if isinstance(outcome, Unsaved):
                outcome = _saved(store, outcome)
            if isinstance(outcome, Rotated):
                refreshed += grant.accounts
                continue
            if outcome is None:
                why = "its consent was removed meanwhile"
            elif isinstance(outcome, Unsaved):
                why = f"the new tokens are lost, a new consent is needed: {outcome.why}"
            else:
                what = "a new consent is needed" if isinstance(outcome, ConsentNeeded) else "not refreshed now"
                why = f"{what}: {outcome.why}"
            failures.append({"accounts": sorted(grant.accounts), "why": why})
    _refreshed({"refreshed": sorted(refreshed), "failures": failures}, registry)


def _saved(store: SecretStore, unsaved: Unsaved) -> Rotated | Unsaved | None:
    """Try again to save new tokens, for as long as somebody may need to make room: the old ones are spent."""
    from cmam.actors.threads.runtime import Latch
    from cmam.credentials.rotation import Rotated, save
    from cmam.credentials.secrets_file import SecretsRefused

    say(f"The new tokens cannot be saved: {unsaved.why}")
    say(f"That is tried for {SAVE_TRIES * SAVE_PAUSE_S:.0f} s more: leave this running, the old ones are spent.")
    pause = Latch()
    for _ in range(SAVE_TRIES):
        pause.wait(SAVE_PAUSE_S)
        try:
            grant = save(store, unsaved.grant.id, unsaved.grant.pair)
        except SecretsRefused:
            continue
        return Rotated(grant) if grant is not None else None
    return unsaved


def _refreshed(answer: Mapping[str, Any], registry: Registry) -> None:
    """What came of it: by the running system, which alone changes tokens while it runs, or by ourselves."""

    def names(accounts: Sequence[int]) -> str:
        return ", ".join(found.shown for account, found in registry.accounts.items() if int(account) in accounts)

    if face().as_json:
        print_json({name: answer[name] for name in ("refreshed", "failures")})
    if answer["refreshed"]:
        say(f"New tokens for {names(answer['refreshed'])}.")
    if answer["failures"]:
        fail("\n".join(f"{names(one['accounts'])}: {one['why']}" for one in answer["failures"]))


@account.command("confirm-symbol")
@click.argument("id_", metavar="ID")
@click.argument("symbol")
@click.option("--yes", is_flag=True, help="Do not ask.")
def confirm_symbol(id_: str, symbol: str, yes: bool) -> None:
    """Trade a symbol again whose lot size, digits or step its broker has changed; shows what it was and is."""
    from cmam import office
    from cmam.domain.operating.asking import find_account
    from cmam.domain.values.quantities import units_text

    folded = office.read_fold(face().home)
    known = find_account(folded.registry, id_)
    view = folded.accounts.get(known.account)
    entry = view.names.get(symbol) if view is not None else None
    before = view.former_specs.get(entry.symbol) if view is not None and entry is not None else None
    now = view.specs.get(entry.symbol) if view is not None and entry is not None else None
    if view is None or not view.names:
        fail(f"The symbols of {known.shown} are not known yet: run `cmam start` once.")
    if entry is not None and (before is None or now is None):
        say(f"{symbol} of {known.shown} has not changed: there is nothing to confirm.")
        return
    if before is not None and now is not None:
        for name, old, new in (
            ("lot size", units_text(before.lot_size), units_text(now.lot_size)),
            ("digits", str(before.digits), str(now.digits)),
            ("step", units_text(before.step_volume), units_text(now.step_volume)),
        ):
            say(f"  {name}: {old}" + (f" → {new}" if old != new else ""))
        if is_interactive() and not yes:
            click.confirm(f"Trade {symbol} on {known.shown} as it is now?", abort=True, err=True)
    answer = carry_out({"command": "symbol.confirm", "account": str(known.account), "symbol": symbol})
    if face().as_json:
        print_json(answer)
    say(f"{symbol} of {known.shown} is confirmed: it may be opened again.")
