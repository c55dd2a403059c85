"""How an account is added: a person is sent to the consent page, and what came back is shown and stored.

Talks to a person at a terminal, and waits for the redirect alone where there is none. It does not know what a consent
is worth, nor how it is kept: that is `cmam.consent`.
"""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from cmam.cli.face.exits import Exit, fail
from cmam.cli.face.rows import print_rows
from cmam.cli.face.talk import counted, is_interactive, say
from cmam.cli.face.verbs import Face

if TYPE_CHECKING:
    from cmam.config.secret import Secret
    from cmam.config.settings import Settings
    from cmam.consent import Loss, Seen
    from cmam.credentials.oauth import Challenge
    from cmam.credentials.vault import Application, TokenPair

CODE_LIFE = "The code in it lives one minute and works once."


def consent(settings: Settings, application: Application, code: str | None, *, browser: bool) -> TokenPair:
    """Send a person to the consent page and change the code that comes back for tokens."""
    from cmam.clock import SystemClock
    from cmam.credentials.oauth import OAuthClient, code_from, consent_address, new_challenge

    api = settings.api
    client = OAuthClient(api.oauth_url, api.ca_file)
    if code is not None:
        # The question was asked elsewhere, so there is no verifier of ours that would fit.
        found = code_from(code, None)
        return client.exchange(application, found, api.redirect_uri, None, now=SystemClock().now())
    challenge = new_challenge()
    address = consent_address(api.oauth_url, application.client_id, api.redirect_uri, challenge)
    say("Open this page, sign in with the cTrader ID that owns the accounts, tick them and allow access:")
    click.echo(address)
    sys.stdout.flush()
    if browser:
        _open_browser(address)
    found = _await_code(api.redirect_uri, challenge)
    return client.exchange(application, found, api.redirect_uri, challenge, now=SystemClock().now())


def _open_browser(address: str) -> None:
    """Open a browser where there is one with a screen; its own chatter stays off our streams."""
    import subprocess
    import webbrowser

    if sys.platform == "darwin":
        subprocess.run(["open", address], check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return
    if not any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")):
        return
    try:
        webbrowser.open(address)
    except (webbrowser.Error, OSError):
        say("No browser could be opened here: open the address by hand.")


def _await_code(redirect_uri: str, challenge: Challenge) -> Secret:
    """Wait for the redirect, or for somebody who pastes it, whichever comes first."""
    from cmam.clock import SystemClock
    from cmam.credentials.loopback import OPEN_FOR_S, Loopback, LoopbackRefused, listens_here
    from cmam.credentials.oauth import code_from, code_of_redirect

    if not listens_here(redirect_uri):
        return code_from(_paste(), challenge)
    try:
        listener = Loopback(redirect_uri, challenge.state)
    except LoopbackRefused as refused:
        if not is_interactive():
            raise
        say(str(refused))
        return code_from(_paste(), challenge)
    clock = SystemClock()
    with listener:
        if not is_interactive():
            say(
                f"Waiting for the answer on {redirect_uri}, for {OPEN_FOR_S / 60:.0f} minutes. Without a browser here: "
                "`--code`; with tokens at hand: `--token-file`."
            )
            return code_of_redirect(listener.wait(lambda: clock.monotonic() / 1_000_000), challenge)
        say(
            f"Waiting for the answer on {redirect_uri}. If the browser is elsewhere, paste the address it ended on "
            f"here. {CODE_LIFE}"
        )
        deadline = clock.monotonic() + int(OPEN_FOR_S * 1_000_000)
        while (left := deadline - clock.monotonic()) > 0:
            ready, _, _ = select.select([listener, sys.stdin], [], [], left / 1_000_000)
            if sys.stdin in ready:
                line = sys.stdin.readline()
                if not line:
                    raise click.Abort
                if line.strip():
                    return code_from(line, challenge)
            elif ready and (found := listener.take()) is not None:
                return code_of_redirect(found, challenge)
    raise LoopbackRefused(
        f"Nobody came back from the consent page within {OPEN_FOR_S / 60:.0f} minutes: run `cmam account add` again."
    )


def _paste() -> str:
    """Ask for the code, with its one-minute life said beside the question."""
    if not is_interactive():
        fail("Nobody is here to paste the code: give it with --code within its one minute.", Exit.USAGE)
    say(f"After you allowed access, copy the address that the browser shows. {CODE_LIFE}")
    return str(click.prompt("Address or code", hide_input=False, err=True))


def take_in(me: Face, settings: Settings, pair: TokenPair, *, yes: bool) -> None:
    """Look at what a pair opens, show it, say what it would cost, keep it."""
    from cmam import office
    from cmam.consent import keep, look, losses, only_read

    store = office.secrets_of(me.home, settings.secrets)
    vault = store.load()
    seen = look(settings.api, vault.application, pair)
    _show_seen(seen)
    if not pair.refresh:
        say(
            "These tokens came without a refresh token: cmam cannot renew them, and their accounts stop when the "
            "access token ends. Is it named `refresh_token` (CMAM_REFRESH_TOKEN)? Else consent anew before then."
        )
    registry = office.read_registry(me.home)
    for loss in losses(vault, registry, seen):
        used = f"; it is used by {', '.join(loss.profiles)}" if loss.profiles else ""
        say(
            f"This consent leaves out {loss.account.shown}{used}. The provider may end its earlier access: tick it too "
            "if you still want it."
        )
        if loss.profiles and is_interactive() and not yes and not click.confirm("Go on all the same?", err=True):
            fail("Nothing was stored. Run `cmam account add` again and tick every account.")
    if weaker := only_read(vault, registry, seen):
        _agree_to_reading(weaker, yes=yes)
    if is_interactive() and not yes and not click.confirm("Store these accounts?", default=True, err=True):
        fail("Nothing was stored.")
    keep(me.home, store, seen, command="cmam account add")
    say(f"{counted(len(seen.consent.accounts), 'account')} stored.")


def _agree_to_reading(weaker: Sequence[Loss], *, yes: bool) -> None:
    """Have somebody say that followers are to lose their right to trade: their copies could not even be closed."""
    for loss in weaker:
        say(
            f"This consent lets {loss.account.shown} only be read, in the place of what is kept; it follows in "
            f"{', '.join(loss.profiles)}: nothing could be opened or closed there any more."
        )
    if is_interactive() and not yes and click.confirm("Go on all the same?", err=True):
        return
    if not yes:
        fail(
            "Nothing was stored. Run `cmam account add` and allow full access; if these are to be read only, say --yes."
        )


def _show_seen(seen: Seen) -> None:
    from cmam.domain.values.quantities import decimal_text

    rows = [
        {
            "ctid": account.account,
            "login": account.login,
            "broker": account.broker,
            "currency": account.currency,
            "environment": "live" if account.is_live else "demo",
            "type": account.account_type,
            "balance": decimal_text(account.balance, account.money_digits) if account.account_type else None,
            "trading": account.may_open,
        }
        for account in seen.consent.accounts
    ]
    print_rows(
        rows,
        ["ctid", "login", "broker", "environment", "type", "balance", "currency", "trading"],
        empty="no account",
        spare=("type", "login"),
        numbers=frozenset({"ctid", "login", "balance"}),
    )
    for text in seen.unread:
        say(f"could not be read now, and is added all the same: {text}")
