"""Worlds, policies and days drawn from a seed, and the facts of them as the oracle wants them."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction

from cmam.openapi._pb.OpenApiModelMessages_pb2 import LIMIT, STOP
from cmam.sandbox import units
from cmam.sandbox.books.ledger import BUY
from cmam.sandbox.trading.margin import SUM
from tests.oracle.rules import Account, Holding, Symbol
from tests.rulebook import TABLE_HEAD, Case, Rulebook

F = Fraction


def _forex(base: str, quote: str, lot: str, least: str, step: str, most: str, digits: int, **more: object) -> Symbol:
    pip = F(1, 100) if quote == "JPY" else F(1, 10_000)
    digits = digits - 2 if quote == "JPY" else digits
    sizes = F(lot), F(least), F(step), F(most)
    return Symbol(base + quote, base, quote, *sizes, digits, pip, **more)


_PAIRS = (("EUR", "USD"), ("GBP", "USD"), ("USD", "JPY"), ("EUR", "GBP"))


def _named(symbols: list[Symbol]) -> dict[str, Symbol]:
    return {symbol.name: symbol for symbol in symbols}


def _brokers() -> dict[str, dict[str, Symbol]]:
    """The table of `tests/rulebook.py` in the oracle's words, written by hand."""
    plain = ("100000", "1000", "1000", "10000000", 5)
    three, fee = F(3), F("0.007")
    metal = Symbol("XAUUSD", "XAU", "USD", F(100), F(1), F(1), F(10_000), 2, F(1))
    index = Symbol("GER40", "GER40", "EUR", F(1), F("0.01"), F("0.01"), F(1000), 1, F(1))
    gold = Symbol("GOLD", "XAU", "USD", F(10), F("0.3"), F("0.3"), F(10_000), 2, F(1))
    dax = Symbol("DAX", "GER40", "EUR", F(25), F("0.07"), F("0.07"), F(1000), 1, F(1))
    odd = []
    for base, quote in _PAIRS:
        far = {"stop_distance": F("0.0060"), "target_distance": F("0.0040")} if base + quote == "EURUSD" else {}
        found = _forex(base, quote, "100000", "2100", "700", "98700", 4, percent=F("0.00004"), **far)
        odd.append(replace(found, name=f"{base}/{quote}"))
    dear = {"percent": F("0.0005"), "least_commission": (F(4), "GBP"), "fee": fee}
    tiers = ((F(50_000), 100), (F(90_000_000), 10))
    return {
        "Lead": _named([*(_forex(*pair, *plain) for pair in _PAIRS), metal, index]),
        "Same": _named([*(_forex(*pair, *plain, per_lot=three) for pair in _PAIRS[:3]), gold, dax]),
        "Mini": _named([_forex(*pair, "10000", "300", "300", "45000", 5) for pair in _PAIRS]),
        "Odd": _named(odd),
        "Dear": _named(
            [
                _forex(
                    *pair, "100000", "1", "1", "10000000", 5, **dear, **({"tiers": tiers} if pair == _PAIRS[0] else {})
                )
                for pair in _PAIRS[:3]
            ]
        ),
    }


BROKERS = _brokers()
LEADERS = ("EURUSD", "GBPUSD", "USDJPY", "EURGBP", "XAUUSD", "GER40")


def account(book: Rulebook, ctid: int) -> Account:
    """What an account and its prices are at the broker right now."""
    floor = book.broker.floor
    books = floor.accounts[ctid]
    symbols = BROKERS[books.spec.broker]
    scale = 10**books.spec.money_digits
    quotes = {
        quote.symbol.name: (F(quote.bid, units.PRICE), F(quote.ask, units.PRICE))
        for quote in floor.venue_of(books).quotes.values()
    }
    holdings = tuple(
        Holding(
            floor.symbol(books, held.symbol_id).name,
            held.side == BUY,
            F(held.volume, units.VOLUME),
            F(held.price, units.PRICE),
            F(held.commission + held.swap, scale),
            F(held.used_margin, scale),
        )
        for held in books.open_positions()
    )
    resting = tuple(
        (floor.symbol(books, order.symbol_id).name, F(order.volume, units.VOLUME))
        for order in books.orders.values()
        if order.kind in (LIMIT, STOP)
    )
    leverage = books.leverage_cents // 100
    balance, is_larger = F(books.balance, scale), books.spec.margin_type != SUM
    return Account(books.spec.currency, balance, leverage, symbols, quotes, holdings, resting, is_larger)


FORMULAS = (
    "leader_lots * 0.5",
    "max(0.1, (equity - 5000) / (price * lot_units)) * 4/3",
    "min(leader_units / lot_units, 2) * balance / leader_balance",
    "leader_lots * equity / leader_equity * 1.7",
    "(free_margin - 100) / leader_free_margin * leader_lots",
    "leader_lots / (balance - balance)",
)

MODES = (
    {"volume.amount": "0.37"},
    {"volume.amount": "0.0731", "volume.basis": "units"},
    {"volume.amount": "1.9", "volume.basis": "units"},
    {"volume.amount": "1.1", "volume.basis": "notional"},
    {"volume.amount": "0.7", "volume.lots_confirmed": ",".join(LEADERS)},
    {"volume.mode": "fixed", "volume.amount": "0.47"},
    {"volume.mode": "fixed", "volume.amount": "0.031"},
    {"volume.mode": "balance_ratio", "volume.amount": "1.5", "volume.basis": "units"},
    {"volume.mode": "balance_ratio", "volume.amount": "1.5", "volume.currency": "raw"},
    {"volume.mode": "equity_ratio", "volume.amount": "0.9", "volume.basis": "units"},
    {"volume.mode": "equity_ratio", "volume.amount": "2.3", "volume.basis": "notional"},
    {"volume.mode": "free_margin_ratio", "volume.amount": "1.2", "volume.basis": "units"},
    {"volume.mode": "notional_multiplier", "volume.amount": "0.6"},
    {"volume.mode": "fixed_leverage", "volume.amount": "1.4"},
    {"volume.mode": "fixed_leverage", "volume.amount": "7"},
    {"volume.mode": "risk_percent", "volume.amount": "0.7"},
    {"volume.mode": "risk_percent", "volume.amount": "1.3", "risk_base": "equity", "risk_min_stop": "25"},
    {"volume.mode": "risk_percent", "volume.amount": "0.4", "volume.without_stop": "0.05"},
    *({"volume.mode": "formula", "volume.formula": formula} for formula in FORMULAS),
)

SELDOM = {
    "volume.rounding": ("raise,cap", "skip,split", "raise,split"),
    "raise_risk_max": ("2", "1", "30"),
    "volume.min": ("0.0213", "0.1"),
    "volume.max": ("0.1234", "0.5", "2"),
    "sanity.max_times_leader": ("1", "3", "off"),
    "sanity.max_leverage": ("2", "off"),
    "margin_reserve": ("off", "4"),
    "side": ("buy", "sell"),
    "order_types": ("limit,stop", "market"),
    "label": ("exact:abc", "prefix:ab"),
    "symbols.include": ("EURUSD,GBPUSD,XAUUSD",),
    "symbols.exclude": ("USDJPY",),
    "max_price_distance": ("0.5", "1.2"),
    "max_spread": ("1", "1.1", "2"),
    "levels": ("price",),
    "copy_sl": ("off",),
    "copy_tp": ("off",),
    "sl_offset": ("10", "-7.3", "0.44"),
    "tp_offset": ("6.1", "-12"),
    "fixed_sl": ("12", "75.5"),
    "fixed_tp": ("33", "80.5"),
    "require_stop": ("on",),
    "bad_stop": ("widen",),
    "reverse_without_stop": ("on",),
    "max_positions": ("1", "3"),
    "max_lots_open": ("0.5", "1.3"),
    "max_lots_symbol": ("0.4", "0.9"),
    "partial_rounding": ("up",),
}


def policy(chance: random.Random, seldom: float = 0.07) -> dict[str, str]:
    """Settings of a link."""
    settings = dict(chance.choice(MODES))
    if chance.random() < 0.3:
        settings["reverse"] = "on"
    for name, values in SELDOM.items():
        if chance.random() < seldom:
            settings[name] = chance.choice(values)
    for fixed, offset in (("fixed_sl", "sl_offset"), ("fixed_tp", "tp_offset")):
        if fixed in settings:
            settings.pop(offset, None)
    return settings


def follower(chance: random.Random, index: int, kind: str = "hedged") -> Case:
    """An account with money, and its settings; at some brokers with rows of a symbol table."""
    broker = chance.choice(("Same", "Mini", "Odd", "Dear"))
    currency = chance.choice(("USD", "USD", "EUR", "GBP", "JPY"))
    worth = chance.choice((2_000, 9_000, 50_000, 400_000))
    money = worth * (150 if currency == "JPY" else 1) + chance.randrange(0, 1_000)
    settings = policy(chance)
    rows = table(chance, broker, settings)
    if rows:
        settings["symbols.table"] = "\n".join([TABLE_HEAD, *rows]) + "\n"
    return Case(f"f{index}", broker, settings, None, currency, str(money), kind, leverage=chance.choice((30, 100, 500)))


OVERRIDES = {
    "volume_mode": "volume.mode",
    "volume_amount": "volume.amount",
    "min_volume": "volume.min",
    "max_volume": "volume.max",
    "copy_sl": "copy_sl",
    "copy_tp": "copy_tp",
}


def table(chance: random.Random, broker: str, settings: dict[str, str]) -> list[str]:
    """Rows of a symbol table, most of whose cells inherit."""
    if broker == "Same" and chance.random() < 0.6:
        rows = [("XAUUSD", "GOLD"), ("GER40", "DAX")]
    elif chance.random() < 0.2:
        rows = []
    else:
        return []
    for name in ("EURUSD", "GBPUSD", "USDJPY"):
        if chance.random() < 0.3:
            rows.append((name, name[:3] + "/" + name[3:] if broker == "Odd" else name))
    found = []
    for theirs, ours in rows:
        cells = dict.fromkeys(TABLE_HEAD.split(",")[2:], "")
        if chance.random() < 0.2:
            cells["copy_sl"] = chance.choice(("on", "off"))
        if chance.random() < 0.2:
            cells["copy_tp"] = chance.choice(("on", "off"))
        if chance.random() < 0.25:
            cells["volume_mode"], cells["volume_amount"] = chance.choice((("multiplier", "1.7"), ("fixed", "0.37")))
        elif chance.random() < 0.2:
            cells["volume_amount"] = "0.6"
        if chance.random() < 0.15:
            cells["min_volume"] = "0.02"
        if chance.random() < 0.15:
            cells["max_volume"] = "0.21"
        found.append(",".join([theirs, ours, *cells.values()]))
    return found


def mapped(case: Case) -> dict[str, str]:
    """The follower's name of each leader's symbol: by a row, else by its own name with the same lot."""
    symbols = BROKERS[case.broker]
    names = {}
    for name in LEADERS:
        for ours in symbols:
            if ours == name or ours.replace("/", "") == name:
                names[name] = ours
    if case.settings.get("symbols.mapping") == "file":
        names = {}
    for row in case.settings.get("symbols.table", "").splitlines()[1:]:
        theirs, ours, *_ = row.split(",")
        names[theirs] = ours
    return names


def settings_for(case: Case, symbol: str) -> dict[str, str]:
    """The settings that hold for a leader's symbol: a row's cells over the link's."""
    settings = dict(case.settings)
    for row in settings.pop("symbols.table", "").splitlines()[1:]:
        cells = dict(zip(TABLE_HEAD.split(","), row.split(","), strict=True))
        if cells["leader_symbol"] != symbol:
            continue
        for column, name in OVERRIDES.items():
            if cells[column]:
                settings[name] = cells[column]
        if cells["volume_amount"]:
            settings["volume.lots_confirmed"] = ",".join([settings.get("volume.lots_confirmed", ""), symbol])
    return settings
