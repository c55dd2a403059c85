"""`cmam api`: configure the way to the Open API, check it, show it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cmam.cli.face.exits import Exit, fail
from cmam.cli.face.rows import console, new_table
from cmam.cli.face.talk import is_interactive, print_json, say
from cmam.cli.face.verbs import Erasable, Face, Noun, face

if TYPE_CHECKING:
    from cmam.checkup import Verdict
    from cmam.config.settings import Settings
    from cmam.credentials.vault import Application, Vault
    from cmam.domain.operating.registry import KnownAccount

MARKS = {"ok": ("✓", "green"), "failed": ("✗", "red"), "not tried": ("·", "dim")}


@click.group(cls=Noun)
def api() -> None:
    """Configure and check the way to the Open API.

    Client id and secret come from Spotware: docs/api-application.md leads through it.
    """


# --- configure ------------------------------------------------------------------------------------------------------


@api.command()
@click.option("--client-id", metavar="ID", help="The application's id [CMAM_CLIENT_ID]. It is no secret.")
@click.option(
    "--secret-file",
    type=click.Path(path_type=Path),
    help="A file with the secret, or JSON with client_id and client_secret [else CMAM_CLIENT_SECRET, else asked].",
)
@click.option("--host", metavar="HOST", help="Host of both environments: a proxy of your own, or the sandbox.")
@click.option("--port", metavar="PORT", help="Port of both environments [5035].")
@click.option("--live-host", metavar="HOST", help="Host of the live environment [live.ctraderapi.com].")
@click.option("--live-port", metavar="PORT", help="Port of the live environment [5035].")
@click.option("--demo-host", metavar="HOST", help="Host of the demo environment [demo.ctraderapi.com].")
@click.option("--demo-port", metavar="PORT", help="Port of the demo environment [5035].")
@click.option(
    "--ca-file",
    cls=Erasable,
    metavar="FILE",
    help="An authority to trust besides the machine's own; '' takes it away.",
)
@click.option(
    "--oauth-url",
    metavar="URL",
    help="Where the consent page and the token endpoint are [https://openapi.ctrader.com].",
)
@click.option(
    "--redirect-uri",
    metavar="URL",
    help="Where the consent page returns to, as registered [http://127.0.0.1:5081/callback].",
)
@click.option(
    "--max-requests", metavar="N", help="Most requests in any second, per connection [50, as Spotware takes]."
)
@click.option("--allow-over-limit/--no-allow-over-limit", default=None, help="Allow more than 50, for a proxy.")
@click.option("--connections", metavar="N", help="Connections per environment, over which accounts are spread [1].")
@click.option("--secrets", metavar="file|keyring", help="Where secrets are kept [file].")
@click.option(
    "--durability", metavar="full|normal|none", help="When a record counts as kept [full]; `none` is for benchmarks."
)
@click.option(
    "--settle-s", metavar="S", help="Seconds that an order may be under way before its absence is proof [10]."
)
@click.option("--yes", is_flag=True, help="Do not ask before another application locks accounts out.")
def configure(yes: bool, client_id: str | None, secret_file: Path | None, **given: Any) -> None:
    """Save settings and credentials, then connect at once and say how each step went.

    What is not named keeps its value. Asks when somebody is there to answer; what parses is kept even if the connection
    fails, what is invalid never.
    """
    from cmam import office
    from cmam.config.settings_file import edit_settings, preview_settings

    me = face()
    changes = _changes(given)
    before = office.settings_of(me.home)
    preview_settings(me.home, changes)
    source = _readable_place(me, before.secrets, changes)
    vault = office.secrets_of(me.home, source).load()
    application = _given_application(client_id, secret_file, vault)
    if is_interactive() and application is None:
        if not changes:
            application, changes = _ask(me, vault)
        elif vault.application is None:
            application = _ask_credentials(vault)
    new = application or vault.application
    _confirm_application(vault, application, yes=yes, me=me)
    settings = edit_settings(me.home, changes)
    vault = _keep(me, source, changes, application)
    _record(me, settings, vault)
    if settings.api.warning:
        say(settings.api.warning)
    if new is None:
        fail(
            "The settings are kept, but client id and secret are missing: set CMAM_CLIENT_ID and CMAM_CLIENT_SECRET, "
            "or name a --secret-file, or run this where it can ask.",
            Exit.USAGE,
        )
    code = _run_check(me, _in_force(me, changes), vault)
    if code:
        say("What you entered is kept; run `cmam api configure` again to change it.")
    raise click.exceptions.Exit(code)


def _changes(given: dict[str, Any]) -> dict[str, Any]:
    """The settings that were named; --host and --port speak of both environments, the more precise option wins."""
    changes: dict[str, Any] = {}
    for both, names in (("host", ("live_host", "demo_host")), ("port", ("live_port", "demo_port"))):
        value = given.pop(both)
        if value is not None:
            changes.update(dict.fromkeys(names, value))
    changes.update({name: value for name, value in given.items() if value is not None})
    return changes


def _in_force(me: Face, changes: dict[str, Any]) -> Settings:
    """What holds now: the environment over the file, but what was just named over both."""
    from cmam.config.settings_file import BOTH, load_settings

    named = {f"CMAM_{name.upper()}" for name in changes}
    named |= {variable for variable, names in BOTH.items() if set(names) <= set(changes)}
    return load_settings(me.home, {name: value for name, value in os.environ.items() if name not in named})


def _given_application(client_id: str | None, secret_file: Path | None, vault: Vault) -> Application | None:
    """The credentials that were named, completed by the known ones; None where none were."""
    from cmam.config.secret import Secret
    from cmam.config.token_file import GivenApplication, read_application
    from cmam.credentials.vault import Application

    named = read_application(secret_file) if secret_file else GivenApplication("", Secret(""))
    found_id = client_id or named.client_id or os.environ.get("CMAM_CLIENT_ID", "").strip()
    found_secret = named.client_secret or Secret(os.environ.get("CMAM_CLIENT_SECRET", "").strip())
    known = vault.application
    if not found_id and not found_secret:
        return None
    if not found_id and known is None:
        fail("A client secret was given without its id: set CMAM_CLIENT_ID or --client-id.", Exit.USAGE)
    if not found_secret and (known is None or known.client_id != found_id):
        fail("A client id was given without its secret: set CMAM_CLIENT_SECRET or --secret-file.", Exit.USAGE)
    return Application(
        found_id or (known.client_id if known else ""),
        found_secret or (known.client_secret if known else Secret("")),
    )


def _ask(me: Face, vault: Vault) -> tuple[Application | None, dict[str, Any]]:
    """Ask a person for everything, Enter keeps what is there."""
    application = _ask_credentials(vault)
    changes = _ask_advanced(me) if click.confirm("Change advanced options?", default=False, err=True) else {}
    return application, changes


def _ask_credentials(vault: Vault) -> Application:
    """Ask for client id and secret."""
    from cmam.config.secret import Secret
    from cmam.credentials.vault import Application

    known = vault.application
    say("Client id and secret stand on the Credentials page of your application (docs/api-application.md).")
    client_id = click.prompt("Client id", default=known.client_id if known else None, err=True, value_proc=_one_word)
    keeps = known is not None and known.client_id == client_id
    hint = "Secret (Enter keeps it)" if keeps else "Secret"
    typed = click.prompt(
        hint,
        hide_input=True,
        default="" if keeps else None,
        show_default=False,
        err=True,
        value_proc=lambda text: _one_word(text) if text else "",
    )
    return Application(client_id, Secret(typed) if typed or known is None else known.client_secret)


def _one_word(text: str) -> str:
    if not text.strip() or len(text.split()) != 1:
        raise click.UsageError("expected one word without blanks, as it stands on the page")
    return text.strip()


ADVANCED = (
    "live_host",
    "live_port",
    "demo_host",
    "demo_port",
    "ca_file",
    "oauth_url",
    "redirect_uri",
    "max_requests",
    "connections",
    "secrets",
)


def _ask_advanced(me: Face) -> dict[str, Any]:
    from cmam import office
    from cmam.config.settings import SettingsInvalid, as_document, notes
    from cmam.config.settings_file import preview_settings

    present = as_document(office.settings_of(me.home))
    allowed = {note.name: note for note in notes()}
    changes: dict[str, Any] = {}
    for name in ADVANCED:
        while True:
            say(allowed[name].meaning, dim=True)
            value = click.prompt(name, default=str(present[name]), err=True)
            if value == str(present[name]):
                break
            try:
                preview_settings(me.home, {**changes, name: value})
            except SettingsInvalid as invalid:
                say(str(invalid))
                continue
            changes[name] = value
            break
    return changes


def _confirm_application(vault: Vault, application: Application | None, *, yes: bool, me: Face) -> None:
    """Say what another application would cost before it happens."""
    from cmam import office
    from cmam.credentials.vault import locked_out
    from cmam.domain.values.ids import AccountId

    accounts = locked_out(vault, application.client_id) if application else ()
    if not accounts:
        return
    registry = office.read_registry(me.home)
    names = ", ".join(
        registry.accounts[AccountId(account)].shown if AccountId(account) in registry.accounts else str(account)
        for account in accounts
    )
    say(
        f"With another application each account must be authorised again: {names}. Until then they are paused; "
        "aliases, profiles and links stay, and going back to the earlier application makes its tokens good again."
    )
    if is_interactive() and not yes and not click.confirm("Change the application?", default=False, err=True):
        fail("Nothing was changed.", Exit.REFUSED)


def _readable_place(me: Face, kind: str, changes: dict[str, Any]) -> str:
    """Where the secrets are taken from: where they lie, or the file that is now chosen instead of a mute keyring.

    Without this the way out of a keyring that does not answer would begin with that keyring.
    """
    from cmam import office
    from cmam.credentials.secrets_file import SecretsRefused

    chosen = str(changes.get("secrets", kind))
    if chosen == kind or kind != "keyring":
        return kind
    try:
        office.secrets_of(me.home, kind).load()
    except SecretsRefused:
        say(f"The keyring cannot be read; what lies there stays there. This goes on with {me.home.secrets}.")
        return chosen
    return kind


def _keep(me: Face, source: str, changes: dict[str, Any], application: Application | None) -> Vault:
    """Move the secrets where they now belong, and keep the credentials there.

    Where they belong is what holds from now on, also by the environment. A place that refuses them is not kept as a
    setting: every later command would look for them there. From under a cmam that runs nothing is taken: it goes on
    looking where they were, and could renew no token.
    """
    from cmam import office
    from cmam.config.settings_file import edit_settings
    from cmam.credentials.secrets_file import SecretsRefused, move_secrets
    from cmam.credentials.vault import with_application

    target = _in_force(me, changes).secrets
    try:
        holder = office.holder_of(me.home) if source != target else None
        if holder is not None:
            raise SecretsRefused(
                f"A cmam runs here (process {holder['pid']}), and looks for the secrets in the {source}: they stay "
                "there. Stop it, then say --secrets again."
            )
        move_secrets(me.home, source, target)
    except SecretsRefused:
        if "secrets" in changes:
            edit_settings(me.home, {"secrets": source})
        raise
    store = office.secrets_of(me.home, target)
    return store.update(lambda vault: vault if application is None else with_application(vault, application))


def _record(me: Face, settings: Settings, vault: Vault) -> None:
    """Put the change on record, pause the accounts that no consent opens now, and resume those that one opens again."""
    from cmam import office
    from cmam.config.settings import as_document

    request = {
        "command": "api.configure",
        "settings": {name: str(value) for name, value in as_document(settings).items()},
        "application": vault.application_name,
    }
    office.carry_out(me.home, request, command="cmam api configure")
    registry = office.read_registry(me.home)
    if vault.application is None:
        return
    shut = [str(known.account) for known in registry.accounts.values() if vault.grant_of(known.account) is None]
    if shut:
        office.carry_out(
            me.home,
            {"command": "account.pause", "accounts": shut, "reason": "authorise"},
            command="cmam api configure",
        )
    again = [
        _entry(known, vault)
        for known in registry.accounts.values()
        if known.paused and known.paused_reason == "authorise" and vault.grant_of(known.account) is not None
    ]
    if again:
        office.carry_out(me.home, {"command": "account.add", "accounts": again}, command="cmam api configure")


def _entry(known: KnownAccount, vault: Vault) -> dict[str, Any]:
    grant = vault.grant_of(known.account)
    return {
        "account": int(known.account),
        "login": known.login,
        "broker": known.broker,
        "is_live": known.is_live,
        "can_trade": known.can_trade,
        "grant": grant.id if grant else "",
        "currency": known.currency,
        "account_type": known.account_type,
    }


# --- check and show -------------------------------------------------------------------------------------------------


@api.command()
def check() -> None:
    """Try each step: name, TLS, application, every account; and say what to do where one fails."""
    from cmam import office

    me = face()
    settings = office.settings_of(me.home)
    raise click.exceptions.Exit(_run_check(me, settings, office.secrets_of(me.home, settings.secrets).load()))


def _run_check(me: Face, settings: Settings, vault: Vault) -> int:
    from cmam import office
    from cmam.checkup import check_api, worst

    accounts = office.read_registry(me.home).accounts.values()
    verdicts: list[Verdict] = []
    for verdict in check_api(settings.api, vault, accounts):
        verdicts.append(verdict)
        _show_verdict(me, verdict)
    code = worst(verdicts)
    failed = [verdict for verdict in verdicts if verdict.code]
    if not failed:
        say(f"The API is ready: {len(verdicts)} steps, all good.")
    else:
        say(f"{failed[0].text} {failed[0].cure}".strip(), error=True)
    return code


def _show_verdict(me: Face, verdict: Verdict) -> None:
    if me.as_json:
        print_json(verdict.document())
        return
    from rich.text import Text

    mark, style = MARKS[verdict.state.value]
    line = Text.assemble((f"{mark} ", style), (f"{verdict.step:<12}", "bold"), f"{verdict.about}: {verdict.text}")
    console().print(line, soft_wrap=True)


@api.command()
def show() -> None:
    """Show the settings that hold now, without secrets."""
    from cmam import office
    from cmam.config.secret import MASK
    from cmam.config.settings import as_document

    me = face()
    settings = office.settings_of(me.home)
    vault = office.secrets_of(me.home, settings.secrets).load()
    document: dict[str, Any] = {
        **as_document(settings),
        "home": str(me.home.root),
        "secrets_in": str(me.home.secrets) if settings.secrets == "file" else "keyring",
        "client_id": _masked(vault.application.client_id) if vault.application else "",
        "client_secret": MASK if vault.application else "",
        "application": vault.application_name,
        "grants": len(vault.usable_grants),
    }
    if me.as_json:
        print_json(document)
        return
    table = new_table()
    table.add_column("setting", style="bold")
    table.add_column("value", overflow="fold")
    for name, value in document.items():
        table.add_row(name, "–" if value == "" else str(value).lower() if isinstance(value, bool) else str(value))
    console().print(table)


def _masked(text: str) -> str:
    from cmam.config.secret import MASK

    return f"{text[:4]}{MASK}{text[-2:]}" if len(text) > 12 else MASK
