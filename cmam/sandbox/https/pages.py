"""The pages a person sees when an application asks for access: values in, HTML out.

No script, nothing fetched from elsewhere, readable with a keyboard, a screen reader and in the dark. Knows no broker
and no protocol; every text that comes from outside goes through `escape`.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from html import escape
from typing import Final

SCOPES: Final[Mapping[str, tuple[str, str, tuple[str, ...]]]] = {
    "accounts": (
        "see your accounts",
        "Read only",
        ("See balances, positions, orders and history", "It cannot place, change or close anything"),
    ),
    "trading": (
        "trade on your accounts",
        "Full access",
        ("See balances, positions, orders and history", "Open, change and close positions and orders"),
    ),
}
"""What each scope allows, in words: ending of "… wants to", short name, what it means."""

STYLE: Final = """
:root{color-scheme:light dark;--page:#eef1f5;--card:#fff;--ink:#17202b;--soft:#556172;--line:#d5dce5;--hover:#f4f7fa;
--brand:#12705a;--brand-ink:#fff;--brand-dim:#e3f2ee;--warn:#fff6df;--warn-line:#d9a520;--bad:#b3261e;--bad-dim:#fdecea}
@media (prefers-color-scheme:dark){:root{--page:#11161c;--card:#1a2129;--ink:#e8edf3;--soft:#9eabba;--line:#313c49;
--hover:#222b35;--brand:#4fc3a1;--brand-ink:#06261d;--brand-dim:#17332c;--warn:#33290f;--warn-line:#d9a520;
--bad:#ff8a80;--bad-dim:#3a1d1b}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:flex;flex-direction:column;align-items:center;padding:2.5rem 1rem;
background:var(--page);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{width:100%;max-width:34rem;background:var(--card);border:1px solid var(--line);border-radius:14px;padding:2rem;
box-shadow:0 10px 30px rgb(20 30 45/.08)}
.badge{display:inline-block;margin:0 0 1rem;padding:.1rem .65rem;border:1px solid var(--warn-line);border-radius:99px;
background:var(--warn);font-size:.8rem;letter-spacing:.02em}
h1{margin:0 0 .5rem;font-size:1.5rem;line-height:1.25;text-wrap:balance}
p{margin:.25rem 0 1rem}
main>p:last-child{margin-bottom:0}
.soft{color:var(--soft)}
.after{margin:1rem 0 0;font-size:.9rem}
.scope{margin:1rem 0 1.25rem;padding:.8rem 1rem;border-radius:10px;background:var(--brand-dim)}
.scope strong{display:block}
.scope ul{margin:.25rem 0 0;padding-left:1.2rem}
.error{padding:.7rem 1rem;border:1px solid var(--bad);border-radius:10px;background:var(--bad-dim)}
fieldset{margin:0 0 1.25rem;padding:0;border:0;min-width:0}
legend{padding:0;margin-bottom:.5rem;font-weight:600}
.row{display:flex;align-items:center;gap:.9rem;width:100%;padding:.7rem .9rem;border:1px solid var(--line);
border-bottom-width:0;cursor:pointer;background:none;color:inherit;font:inherit;text-align:left;text-decoration:none}
.row:first-of-type{border-radius:10px 10px 0 0}
.row:last-of-type{border-bottom-width:1px;border-radius:0 0 10px 10px}
.row:first-of-type:last-of-type{border-radius:10px}
.row:hover{background:var(--hover)}
.row input{width:1.15rem;height:1.15rem;flex:none;margin:0;accent-color:var(--brand)}
.row .grow{flex:1;min-width:0}
.row b{font-weight:600}
.row small{display:block;color:var(--soft);font-size:.85rem}
.row .sum{white-space:nowrap;font-variant-numeric:tabular-nums}
.tag{margin-left:.25rem;padding:0 .45rem;border:1px solid var(--warn-line);border-radius:99px;background:var(--warn);
font-size:.75rem;vertical-align:.06em}
.actions{display:flex;flex-wrap:wrap;gap:.75rem}
.actions button{flex:1 1 10rem;padding:.75rem 1rem;border:1px solid var(--line);border-radius:10px;background:none;
color:inherit;font:inherit;font-weight:600;cursor:pointer}
.actions button.primary{border-color:var(--brand);background:var(--brand);color:var(--brand-ink)}
.actions button:hover{filter:brightness(1.08)}
:focus-visible{outline:3px solid var(--brand);outline-offset:2px}
a{color:var(--brand)}
code{overflow-wrap:anywhere;font-size:.9em}
@media (max-width:32rem){body{padding:1rem .75rem}main{padding:1.25rem}.row{flex-wrap:wrap;row-gap:0}
.row .grow{flex-basis:70%}.row .sum{flex-basis:100%;padding-left:2.05rem}}
footer{margin-top:1rem;max-width:34rem;color:var(--soft);font-size:.85rem;text-align:center}
"""
STYLE_HASH: Final = "sha256-" + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()


@dataclass(frozen=True, slots=True)
class AccountRow:
    """One account as the page shows it."""

    ctid: int
    login: int
    broker: str
    currency: str
    is_live: bool
    is_netted: bool
    balance: str


@dataclass(frozen=True, slots=True)
class UserRow:
    """One cTrader ID as the page shows it."""

    id: int
    name: str
    accounts: int


def consent_page(
    *,
    application: str,
    scope: str,
    user: str,
    accounts: Sequence[AccountRow],
    hidden: Mapping[str, str],
    returns_to: str,
    ticked: frozenset[int],
    change_user: str | None,
    error: str | None = None,
) -> str:
    """Ask one person which accounts an application may use."""
    ending, short, meaning = SCOPES[scope]
    other = f' · <a href="{escape(change_user)}">use another cTrader ID</a>' if change_user is not None else ""
    alert = f'<p class="error" role="alert">{escape(error)}</p>' if error is not None else ""
    fields = "".join(f'<input type="hidden" name="{escape(k)}" value="{escape(v)}">' for k, v in hidden.items())
    lines = "".join(f"<li>{escape(line)}</li>" for line in meaning)
    body = f"""<h1>{escape(application)} wants to {escape(ending)}</h1>
<p class="soft">Signed in as <b>{escape(user)}</b>{other}</p>
<div class="scope"><strong>{escape(short)}</strong><ul>{lines}</ul></div>
{alert}<form method="post" action="/apps/auth">{fields}
<fieldset><legend>Accounts it may use</legend>
{"".join(_account_row(account, account.ctid in ticked) for account in accounts)}</fieldset>
<div class="actions"><button class="primary" name="decision" value="allow">Allow access</button>
<button name="decision" value="deny">Deny</button></div></form>
<p class="soft after">You return to <code>{escape(returns_to)}</code></p>"""
    return _page(f"{application} asks for access", body)


def user_page(*, application: str, scope: str, users: Sequence[tuple[UserRow, str]]) -> str:
    """Ask whose accounts they are; `users` are rows with the address that each leads to."""
    ending = SCOPES[scope][0]
    rows = "".join(
        f'<a class="row" href="{escape(address)}"><span class="grow"><b>{escape(user.name)}</b>'
        f"<small>{user.accounts} account{'' if user.accounts == 1 else 's'}</small></span>"
        f'<span aria-hidden="true">→</span></a>'
        for user, address in users
    )
    body = f"""<h1>{escape(application)} wants to {escape(ending)}</h1>
<p class="soft">Choose the cTrader ID to continue with. No password is asked: this is a sandbox.</p>
<nav aria-label="cTrader IDs">{rows}</nav>"""
    return _page(f"{application} asks for access", body)


def error_page(title: str, explanation: str) -> str:
    """Say why there is nothing to agree to."""
    return _page(title, f'<h1>{escape(title)}</h1><p role="alert">{escape(explanation)}</p>')


def front_page(addresses: Sequence[tuple[str, str]]) -> str:
    """Say what this server is, to somebody who opens its address in a browser."""
    rows = "".join(f"<li>{escape(name)}: <code>{escape(address)}</code></li>" for name, address in addresses)
    return _page(
        "cmam sandbox",
        "<h1>This is a cmam sandbox</h1><p>A broker for tests that speaks the Open API. It listens at</p>"
        f"<ul>{rows}</ul>",
    )


def content_security_policy(form_targets: Sequence[str] = ()) -> str:
    """Allow our own style and our own form, and for the form's redirect the application it returns to."""
    targets = " ".join(("'self'", *form_targets))
    return (
        f"default-src 'none'; style-src '{STYLE_HASH}'; form-action {targets}; base-uri 'none'; frame-ancestors 'none'"
    )


def _account_row(account: AccountRow, is_ticked: bool) -> str:
    kind = "netted" if account.is_netted else "hedged"
    checked = " checked" if is_ticked else ""
    live = ' <span class="tag">Live</span>' if account.is_live else ""
    return (
        f'<label class="row"><input type="checkbox" name="account" value="{account.ctid}"{checked}>'
        f'<span class="grow"><b>{escape(account.broker)} {account.login}</b>{live}'
        f"<small>{'Live' if account.is_live else 'Demo'} · {kind} · account {account.ctid}</small></span>"
        f'<span class="sum">{Decimal(account.balance):,} {escape(account.currency)}</span></label>'
    )


def _page(title: str, body: str) -> str:
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)} · cmam sandbox</title><style>{STYLE}</style></head>
<body><main><p class="badge">Sandbox: no real money</p>
{body}</main>
<footer>cmam sandbox. A broker for tests; not run by or connected with Spotware.</footer></body></html>
"""
