"""Reads a world from TOML, or the built-in one, and says in one sentence what is wrong with it.

A symbol takes its values from its row, else from the broker's table of its kind, else from the world's, else from its
feed. Knows nothing of how a world is played.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from importlib import resources
from typing import Any

from cmam.sandbox import units
from cmam.sandbox.serving.toml_table import Layer, Table, WorldError
from cmam.sandbox.world import (
    AccessRights,
    Account,
    Application,
    Asset,
    Broker,
    Category,
    CommissionType,
    Feed,
    Holiday,
    SwapType,
    Symbol,
    TradingMode,
    User,
    World,
)

WEEK_S = 604_800
INT32_MAX = 2**31 - 1
"""The most that the wire has room for where it counts in 32 bits."""
DIGITS_MAX = 5
"""Spots travel in 1/100000, so a symbol with more decimals could not be quoted."""
ACCOUNT_KINDS = ("hedged", "netted", "spread_betting")
MARGIN_TYPES = ("max", "sum", "net")
STOP_OUT_STRATEGIES = ("most_margin_first", "most_losing_first")
APPLICATION_STATES = ("Active", "Submitted")
DAYS = ("never", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
CURRENCY_DIGITS = {"JPY": 0, "KRW": 0, "BTC": 8, "ETH": 8}


def default_world() -> World:
    """Read the built-in world: three brokers, eight accounts."""
    return load_world(resources.files("cmam.sandbox").joinpath("worlds/default.toml").read_text(encoding="utf-8"))


def load_world(text: str) -> World:
    """Read a world from TOML; raises WorldError with the first fault."""
    try:
        document = tomllib.loads(text, parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError) as fault:  # no TOML, numbers beyond all, thousands of brackets
        raise WorldError(f"expected a world in TOML, found a fault: {fault}") from None
    layer = Layer(document)
    world = _Reader(layer).world()
    layer.check()
    return world


class _Reader:
    """Reads one document; keeps what later tables refer to."""

    def __init__(self, document: Layer) -> None:
        self._top = Table("", (document,))
        self._kinds = self._top.tables("kinds")
        self._feeds: dict[str, Feed] = {}

    def world(self) -> World:
        for name, row in self._top.tables("feeds").items():
            self._feeds[name] = self._feed(name, Table(f"feeds.{name}", (row,)))
        for feed in self._feeds.values():
            for other in feed.cross[1:] if feed.cross else ():
                if other not in self._feeds or self._feeds[other].cross:
                    raise WorldError(
                        f"feeds.{feed.name}: expected a feed with a price of its own in 'cross', found {other!r}"
                    )
        users = tuple(User(row.text("name"), row.number("id", least=1)) for row in self._top.rows("users", needed=True))
        _unique("users (name)", [user.name for user in users])
        _unique("users (id)", [user.id for user in users])
        account_rows = self._top.rows("accounts", needed=True)
        currencies = {row.text("currency") for row in account_rows}
        brokers = tuple(self._broker(row, currencies) for row in self._top.rows("brokers", needed=True))
        _unique("brokers", [broker.name for broker in brokers])
        accounts = tuple(self._account(row, brokers, users) for row in account_rows)
        for account in accounts:
            _check_conversions(account, next(broker for broker in brokers if broker.name == account.broker))
        _unique("accounts (ctid)", [account.ctid for account in accounts])
        _unique("accounts (broker and login)", [(account.broker, account.login) for account in accounts])
        applications = tuple(self._application(row) for row in self._top.rows("applications", needed=True))
        _unique("applications", [application.client_id for application in applications])
        return World(tuple(self._feeds.values()), brokers, users, accounts, applications)

    def _feed(self, name: str, row: Table) -> Feed:
        cross = None
        if row.has("cross"):
            value = row.raw("cross")
            is_right = isinstance(value, list) and len(value) == 3 and value[0] in ("mul", "div")
            if not is_right or not all(isinstance(part, str) for part in value):
                raise WorldError(f'{row.where}: expected ["mul" or "div", feed, feed] for \'cross\', found {value!r}')
            cross = (value[0], value[1], value[2])
        return Feed(
            name=name,
            base=row.text("base"),
            quote=row.text("quote"),
            price=row.fixed("price", units.PRICE, "0" if cross else None, least=0 if cross else 1),
            spread=row.fixed("spread", units.PRICE, "0", least=0),
            step=row.fixed("step", units.PRICE, "0", least=0),
            interval_ms=row.number("interval_ms", 500, least=1),
            digits=row.number("digits", most=DIGITS_MAX),
            pip=row.number("pip", most=DIGITS_MAX),
            kind=row.text("kind", "forex"),
            cross=cross,
        )

    def _broker(self, row: Table, currencies: set[str]) -> Broker:
        name = row.text("name")
        where = f"broker {name}"
        own_kinds = row.tables("kinds")
        symbol_rows = row.rows("symbols", needed=True)
        feeds = [self._feed_of(where, symbol_row) for symbol_row in symbol_rows]
        kinds = sorted({feed.kind for feed in feeds})
        categories = tuple(Category(10 + index, 1 + index, kind.capitalize()) for index, kind in enumerate(kinds))
        symbols = tuple(
            self._symbol(
                Table(
                    f"{where}, symbol {symbol_row.raw('name', feed.name)!r}",
                    (*symbol_row.layers, own_kinds.get(feed.kind, Layer({})), self._kinds.get(feed.kind, Layer({}))),
                ),
                feed,
                categories[kinds.index(feed.kind)].id,
                index,
            )
            for index, (symbol_row, feed) in enumerate(zip(symbol_rows, feeds, strict=True))
        )
        _unique(f"{where}, symbol ids", [symbol.id for symbol in symbols])
        _unique(f"{where}, symbol names", [symbol.name for symbol in symbols])
        leverages = tuple(self._leverage(leverage) for leverage in row.rows("leverages"))
        for symbol in symbols:
            if symbol.leverage_id and symbol.leverage_id not in dict(leverages):
                raise WorldError(
                    f"{where}, symbol {symbol.name!r}: expected an id of 'leverages' for 'leverage_id', "
                    f"found {symbol.leverage_id}"
                )
        first_asset = row.number("first_asset_id", 1, least=1)
        names = sorted(
            {symbol.base for symbol in symbols} | {symbol.quote for symbol in symbols} | currencies | {"USD"}
        )
        assets = tuple(Asset(first_asset + i, asset, CURRENCY_DIGITS.get(asset, 2)) for i, asset in enumerate(names))
        return Broker(
            name=name,
            short=row.text("short", name),
            symbols=symbols,
            assets=assets,
            classes=tuple((category.class_id, category.name) for category in categories),
            categories=categories,
            leverages=leverages,
            first_id=row.number("first_id", 1_000_000, least=1),
        )

    def _feed_of(self, where: str, row: Table) -> Feed:
        name = row.text("feed")
        if name not in self._feeds:
            raise WorldError(f"{where}: expected one of the feeds {', '.join(self._feeds)}, found {name!r}")
        return self._feeds[name]

    def _leverage(self, row: Table) -> tuple[int, tuple[tuple[int, int], ...]]:
        tiers = tuple(
            (tier.number("volume"), tier.number("leverage", least=1, most=INT32_MAX))
            for tier in row.rows("tiers", needed=True)
        )
        return row.number("id", least=1), tiers

    def _symbol(self, row: Table, feed: Feed, category: int, index: int) -> Symbol:
        step = row.number("step_volume", least=1)
        minimum, maximum = row.number("min_volume", least=1), row.number("max_volume", least=1)
        if minimum % step or minimum > maximum:
            raise WorldError(
                f"{row.where}: expected min_volume <= max_volume, a multiple of step_volume; found {minimum}"
            )
        depth = row.raw("depth", [])
        if not isinstance(depth, list) or not all(isinstance(level, int) and 0 < level < 2**62 for level in depth):
            raise WorldError(f"{row.where}: expected a list of volumes for 'depth', found {depth!r}")
        zone = row.zone("zone", "UTC")
        commission = row.member("commission_type", CommissionType, CommissionType.USD_PER_LOT)
        return Symbol(
            id=row.number("id", least=1),
            name=row.text("name", feed.name),
            feed=feed.name,
            base=feed.base,
            quote=feed.quote,
            description=row.text("description", f"{feed.base} vs {feed.quote}"),
            category=category,
            digits=row.number("digits", feed.digits, most=DIGITS_MAX),
            pip=row.number("pip", feed.pip, most=DIGITS_MAX),
            lot_size=row.number("lot_size", least=1),
            min_volume=minimum,
            max_volume=maximum,
            step_volume=step,
            max_exposure=row.number("max_exposure", 0),
            spread_markup=row.number("spread_markup", 0, most=INT32_MAX),
            commission_type=commission,
            commission_rate=row.fixed(
                "commission", 10**5 if commission is CommissionType.PERCENTAGE_OF_VALUE else 10**8, "0"
            ),
            min_commission=row.fixed("min_commission", 10**8, "0"),
            min_commission_asset=row.text("min_commission_asset", "USD"),
            min_commission_in_quote=row.flag("min_commission_in_quote", False),
            conversion_fee_rate=row.number("conversion_fee_rate", 0, most=INT32_MAX),
            swap_type=row.member("swap_type", SwapType, SwapType.PIPS),
            swap_long=row.decimal("swap_long", "0"),
            swap_short=row.decimal("swap_short", "0"),
            swap_triple_day=row.choice("swap_triple_day", DAYS, "wednesday"),
            swap_time_min=row.number("swap_time_min", 1259, most=1439),
            swap_period_h=row.number("swap_period_h", 24, least=1, most=INT32_MAX),
            swap_at_weekends=row.flag("swap_at_weekends", False),
            schedule=_schedule(row),
            zone=zone,
            holidays=tuple(_holiday(holiday, zone, number) for number, holiday in enumerate(row.rows("holidays"), 1)),
            mode=row.member("mode", TradingMode, TradingMode.ENABLED),
            enabled=row.flag("enabled", True),
            archived=row.flag("archived", False),
            short_selling=row.flag("short_selling", True),
            guaranteed=row.flag("guaranteed", False),
            guaranteed_charge=row.number("guaranteed_charge", 0),
            sl_distance=row.number("sl_distance", 0, most=INT32_MAX),
            tp_distance=row.number("tp_distance", 0, most=INT32_MAX),
            gsl_distance=row.number("gsl_distance", 0, most=INT32_MAX),
            distance_in_percent=row.flag("distance_in_percent", False),
            leverage_id=row.number("leverage_id", 0),
            units=row.text("units", feed.base),
            depth=tuple(depth),
            sorting=row.number("sorting", index + 1),
        )

    def _account(self, row: Table, brokers: Sequence[Broker], users: Sequence[User]) -> Account:
        broker = row.text("broker")
        if broker not in [known.name for known in brokers]:
            raise WorldError(f"{row.where}: expected one of the brokers of this world, found {broker!r}")
        owner = row.text("owner", users[0].name)
        if owner not in [user.name for user in users]:
            raise WorldError(f"{row.where}: expected one of the users of this world for 'owner', found {owner!r}")
        currency = row.text("currency")
        digits = row.number("money_digits", CURRENCY_DIGITS.get(currency, 2), most=8)
        leverage = row.number("leverage", 100, least=1, most=INT32_MAX // 100)
        return Account(
            ctid=row.number("ctid", least=1),
            login=row.number("login", least=1),
            broker=broker,
            owner=owner,
            currency=currency,
            kind=row.choice("type", ACCOUNT_KINDS, "hedged"),
            balance=row.fixed("balance", 10**digits),
            money_digits=digits,
            live=row.flag("live", False),
            leverage_cents=leverage * 100,
            max_leverage=row.number("max_leverage", leverage, least=1, most=INT32_MAX),
            access=row.member("access", AccessRights, AccessRights.FULL_ACCESS),
            swap_free=row.flag("swap_free", False),
            margin_type=row.choice("margin_type", MARGIN_TYPES, "sum"),
            stop_out_percent=row.number("stop_out_percent", 50),
            stop_out_strategy=row.choice("stop_out_strategy", STOP_OUT_STRATEGIES, "most_margin_first"),
            fair_stop_out=row.flag("fair_stop_out", True),
            limited_risk=row.flag("limited_risk", False),
            bonus=row.fixed("bonus", 10**digits, "0"),
            max_positions=row.number("max_positions", 2000, least=1),
            registered_ms=row.number("registered_ms", 1_546_300_800_000),
            access_token=row.text("access_token", "") or None,
            refresh_token=row.text("refresh_token", "") or None,
        )

    def _application(self, row: Table) -> Application:
        uris = row.raw("redirect_uris", ["http://127.0.0.1/"])
        if not isinstance(uris, list) or not uris or not all(isinstance(uri, str) for uri in uris):
            raise WorldError(f"{row.where}: expected a list of addresses for 'redirect_uris', found {uris!r}")
        return Application(
            client_id=row.text("client_id"),
            client_secret=row.text("client_secret"),
            redirect_uris=tuple(uris),
            state=APPLICATION_STATES[row.choice("state", APPLICATION_STATES, "Active")],
            name=row.text("name", "cmam"),
        )


def _check_conversions(account: Account, broker: Broker) -> None:
    """Refuse an account whose profits or commissions could not be converted into its currency."""
    traded = [symbol for symbol in broker.symbols if symbol.enabled and not symbol.archived]
    reached = {account.currency}
    while True:
        more = {asset for s in traded if {s.base, s.quote} & reached for asset in (s.base, s.quote)} - reached
        if not more:
            break
        reached |= more
    for symbol in traded:
        needed = {symbol.quote} | ({"USD"} if symbol.commission_rate else set())
        if needed - reached:
            raise WorldError(
                f"account {account.ctid}: expected symbols of {broker.name} that convert {min(needed - reached)} to "
                f"{account.currency}, as {symbol.name} needs; found none"
            )


def _schedule(row: Table) -> tuple[tuple[int, int], ...]:
    value = row.raw("schedule", [[0, WEEK_S]])
    pairs: list[Any] = value if isinstance(value, list) else [value]
    ends = [0]
    for pair in pairs:
        is_pair = isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, int) for part in pair)
        if not is_pair or not ends[-1] <= pair[0] < pair[1] <= WEEK_S:
            raise WorldError(
                f"{row.where}: expected ascending [start, end] seconds from Sunday 00:00 for 'schedule', found {pair!r}"
            )
        ends.append(pair[1])
    return tuple((pair[0], pair[1]) for pair in pairs)


def _holiday(row: Table, zone: str, number: int) -> Holiday:
    day = row.raw("date")
    if type(day) is not date:
        raise WorldError(f"{row.where}: expected a date such as 2026-12-25 for 'date', found {day!r}")
    return Holiday(
        id=row.number("id", number, least=1),
        name=row.text("name"),
        zone=row.zone("zone", zone),
        day=(day - date(1970, 1, 1)).days,
        is_recurring=row.flag("recurring", False),
        start_s=row.number("start_s", most=86_400) if row.has("start_s") else None,
        end_s=row.number("end_s", most=86_400) if row.has("end_s") else None,
    )


def _unique(what: str, values: Sequence[object]) -> None:
    for index, value in enumerate(values):
        if value in values[:index]:
            raise WorldError(f"{what}: expected each value once, found {value!r} twice")
