"""Looking at accounts as their brokers show them now, on a connection of one's own, beside whatever runs.

For commands that report (`profile check`, `profile symbols`) and for the emergency exit. Folds what it learns over what
the log says, with the domain's own functions. Writes nothing. Must not know the command line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from cmam.clock import Clock
from cmam.config.home import Home
from cmam.config.settings import Endpoint, Settings
from cmam.credentials.vault import Vault
from cmam.domain.belief.view import AccountView
from cmam.domain.events import Health, HealthChanged, Reconciled, SymbolSpecSeen
from cmam.domain.folds.account import evolve
from cmam.domain.operating.asking import Refusal
from cmam.domain.operating.registry import KnownAccount
from cmam.domain.values.ids import AccountId
from cmam.domain.values.quantities import Quote
from cmam.domain.values.trades import Deal, Order
from cmam.office import secrets_of
from cmam.openapi.enquiry import Refused
from cmam.openapi.errors import CannotConnect, RemoteError
from cmam.openapi.inspection import WEEK_MS, Inspection
from cmam.openapi.transport import connect
from cmam.store.folding.fold import Fold


@dataclass(slots=True)
class Seen:
    """One account as it is now: what the log says, its view just before the broker's books are opened, and after.

    Quotes are by the name of the symbol. `why_not` says why the broker was not asked; all is the log's word then.
    """

    known: AccountView
    before: AccountView
    view: AccountView
    books: Reconciled | None = None
    quotes: Mapping[str, Quote] = field(default_factory=dict)
    deals: tuple[Deal, ...] = ()
    past_orders: tuple[Order, ...] = ()
    why_not: str = ""

    @property
    def is_live(self) -> bool:
        """Whether the broker was asked, and answered."""
        return not self.why_not


def from_log(folded: Fold, account: AccountId, why: str) -> Seen:
    """An account as far as the log knows it, and why no more is known."""
    view = folded.accounts.get(account) or AccountView(account=account)
    return Seen(view, view, view, why_not=why)


def look(
    home: Home,
    settings: Settings,
    folded: Fold,
    accounts: Iterable[AccountId],
    clock: Clock,
    *,
    history_of: AccountId | None = None,
    days: int = 7,
) -> dict[AccountId, Seen]:
    """Ask the brokers about some accounts; one that cannot be asked is what the log says of it, with the reason."""
    wanted = [folded.registry.accounts[account] for account in accounts if account in folded.registry.accounts]
    found: dict[AccountId, Seen] = {}
    for endpoint, here in by_endpoint(settings, wanted).items():
        try:
            with inspection(home, settings, endpoint, clock) as desk:
                vault = secrets_of(home, settings.secrets).load()
                for known in here:
                    days_here = days if known.account == history_of else 0
                    found[known.account] = _look_at(desk, vault, folded, known, clock, days_here)
        except (CannotConnect, Refused, RemoteError, Refusal) as error:
            for known in here:
                found.setdefault(known.account, from_log(folded, known.account, str(error)))
    return found


def by_endpoint(settings: Settings, accounts: Iterable[KnownAccount]) -> dict[Endpoint, list[KnownAccount]]:
    """The accounts by where they are reached."""
    found: dict[Endpoint, list[KnownAccount]] = {}
    for account in accounts:
        found.setdefault(settings.api.endpoint(is_live=account.is_live), []).append(account)
    return found


@contextmanager
def inspection(home: Home, settings: Settings, endpoint: Endpoint, clock: Clock) -> Iterator[Inspection]:
    """A connection on which the application is authorised; raises CannotConnect or Refused."""
    vault = secrets_of(home, settings.secrets).load()
    if vault.application is None:
        raise Refusal("there are no API credentials yet: enter them with `cmam api configure` first.")
    transport = connect(endpoint.host, endpoint.port, settings.api.ca_file)
    with Inspection(transport, endpoint, clock.now) as desk:
        desk.authorise_application(vault.application.client_id, vault.application.client_secret)
        yield desk


def authorise(desk: Inspection, vault: Vault, known: KnownAccount) -> str:
    """Open an account on a connection; empty, or why nothing here could. Raises Refused."""
    grant = vault.grant_of(known.account)
    if grant is None:
        return f"no consent opens {known.shown}: run `cmam account add` with the cTrader ID that owns it"
    desk.authorise_account(known.account, grant.pair.access)
    return ""


def _look_at(desk: Inspection, vault: Vault, folded: Fold, known: KnownAccount, clock: Clock, days: int) -> Seen:
    try:
        why = authorise(desk, vault, known)
    except Refused as refused:
        why = str(refused)
    if why:
        return from_log(folded, known.account, why)
    logged = folded.accounts.get(known.account) or AccountView(account=known.account)
    listed = desk.symbols(known.account)
    assets = {asset.asset: asset for asset in listed.assets}
    view, now = logged, clock.now()
    if listed.digest != logged.symbol_digest:
        view = evolve(view, listed, now)
    view = evolve(view, desk.trader(known.account, listed.assets, is_live=known.is_live), now)
    enabled = [name for name in listed.symbols if name.enabled]
    for spec in desk.specs(known.account, enabled, assets):
        view = evolve(view, SymbolSpecSeen(spec=spec), now)
    held = desk.held(known.account)
    now_ms = clock.now() // 1_000
    deals: tuple[Deal, ...] = ()
    orders: tuple[Order, ...] = ()
    if days:
        start_ms = now_ms - min(days * 86_400_000, WEEK_MS - 120_000)
        deals = desk.deals(known.account, start_ms, now_ms + 60_000)
        orders = desk.past_orders(known.account, start_ms, now_ms + 60_000)
    quotes = desk.quotes(known.account, [name.symbol for name in enabled])
    names = {name.symbol: name.name for name in listed.symbols}
    before = evolve(view, HealthChanged(health=Health.SUBSCRIBED), clock.now())
    books = Reconciled(positions=held.positions, orders=held.orders, deals=deals, past_orders=orders)
    view = evolve(before, books, clock.now())
    by_name = {names[symbol]: quote for symbol, quote in quotes.items()}
    return Seen(logged, before, view, books, by_name, deals, orders)
