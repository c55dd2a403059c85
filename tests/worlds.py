"""Worlds that are larger than the built-in one: brokers with thousands of symbols, and with a crowd of accounts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from cmam import sandbox
from cmam.actors.asking.listing import QUOTED_MAX
from cmam.sandbox.serving.world_file import load_world
from cmam.sandbox.world import World

BUILT_IN = Path(sandbox.__file__).parent / "worlds" / "default.toml"
FIRST = 1_001
"""The first symbol of those that `long_list` adds."""


def long_list(count: int) -> World:
    """The built-in world, with so many symbols more at its first broker, of which only the last tick."""
    text = BUILT_IN.read_text()
    names = [f"IDX{n:04d}" for n in range(count)]
    feeds = "".join(
        f'{name} = {{ base = "{name}", quote = "USD", price = "{1_000 + n}.0", spread = "0.6", step = "0.3",'
        f' interval_ms = {900 if n > QUOTED_MAX else 3_600_000}, digits = 1, pip = 0, kind = "index" }}\n'
        for n, name in enumerate(names)
    )
    feeds += (
        'EURPLN = { base = "EUR", quote = "PLN", price = "4.2500", spread = "0.0010", step = "0.0002",'
        " interval_ms = 900, digits = 4, pip = 4 }\n"
        'WIG20 = { base = "WIG20", quote = "PLN", price = "2400.0", spread = "0.6", step = "0.3",'
        ' interval_ms = 900, digits = 1, pip = 0, kind = "index" }\n'
    )
    names += ["EURPLN", "WIG20"]
    symbols = "".join(f'    {{ feed = "{name}", id = {FIRST + n} }},\n' for n, name in enumerate(names))
    kinds, first = "[kinds.forex]\n", '    { feed = "EURUSD", id = 1 },\n'
    assert kinds in text
    assert first in text
    return load_world(text.replace(kinds, f"{feeds}\n{kinds}", 1).replace(first, first + symbols, 1))


def crowded(accounts: Sequence[int]) -> World:
    """The built-in world, with these accounts more at its first broker."""
    return in_currencies(dict.fromkeys(accounts, ("USD", "100000.00")))


def in_currencies(accounts: Mapping[int, tuple[str, str]]) -> World:
    """The same, each in its currency and with its balance."""
    text = "".join(
        f'[[accounts]]\nctid = {ctid}\nlogin = {ctid - 34_000_000}\nbroker = "Alpha Markets"\nowner = "maria"\n'
        f'currency = "{currency}"\nbalance = "{balance}"\n\n'
        for ctid, (currency, balance) in accounts.items()
    )
    return load_world(BUILT_IN.read_text().replace("[[applications]]", f"{text}[[applications]]", 1))
