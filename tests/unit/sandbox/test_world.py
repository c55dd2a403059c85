"""Worlds from TOML: the built-in one keeps its promises, and what is wrong with a file is said in one sentence."""

from __future__ import annotations

from decimal import Decimal

import pytest

from cmam.sandbox.serving.toml_table import WorldError
from cmam.sandbox.serving.world_file import default_world, load_world
from cmam.sandbox.world import NETTED

SMALL = """
[feeds]
EURUSD = { base = "EUR", quote = "USD", price = "1.1", spread = "0.0001", step = "0.00001", digits = 5, pip = 4 }

[kinds.forex]
lot_size = 10_000_000
min_volume = 100_000
step_volume = 100_000
max_volume = 1_000_000_000

[[brokers]]
name = "One"
symbols = [{ feed = "EURUSD", id = 1 }]

[[users]]
name = "ann"
id = 1

[[accounts]]
ctid = 1
login = 10
broker = "One"
currency = "USD"
balance = "1000.50"

[[applications]]
client_id = "id"
client_secret = "secret"
"""


def test_the_built_in_world_is_what_is_promised() -> None:
    """Three brokers, leader first, its followers on two brokers in two currencies, a netted account, unlike symbols."""
    world = default_world()
    leader, *others = world.accounts
    assert len(world.brokers) == 3
    assert (leader.currency, leader.kind) == ("USD", 0)
    assert {follower.broker for follower in others[:3]} == {"Alpha Markets", "Beta Capital"}
    assert {follower.currency for follower in others[:3]} == {"EUR", "JPY"}
    assert any(account.kind == NETTED for account in world.accounts)
    assert any(account.live for account in world.accounts)
    names = [{symbol.name for symbol in broker.symbols} for broker in world.brokers]
    assert "EURUSD" in names[0]
    assert "EURUSD.b" in names[1]
    assert "GER40" in names[0]
    assert "DE30" in names[1]
    digits = {symbol.digits for broker in world.brokers for symbol in broker.symbols}
    assert {2, 5} <= digits
    lots = {s.lot_size for broker in world.brokers for s in broker.symbols if s.feed == "EURUSD"}
    assert len(lots) > 1
    assert {application.state for application in world.applications} == {"Active", "Submitted"}


def test_a_small_world_takes_its_defaults() -> None:
    """Leverage 1:100, hedged, demo, two decimals, round the clock."""
    world = load_world(SMALL)
    (account,) = world.accounts
    assert (account.balance, account.leverage_cents, account.live, account.owner) == (100_050, 10_000, False, "ann")
    (symbol,) = world.brokers[0].symbols
    assert (symbol.name, symbol.schedule, symbol.swap_long) == ("EURUSD", ((0, 604_800),), Decimal(0))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[feeds]", "[feeds", "expected a world in TOML"),
        ('broker = "One"', 'broker = "Two"', "expected one of the brokers"),
        ('balance = "1000.50"', 'balance = "1000.505"', "at most 2 decimals"),
        ('balance = "1000.50"', 'balance = "a lot"', "expected a decimal number for 'balance'"),
        ("ctid = 1", "ctid = 0", "whole number from 1"),
        ("ctid = 1", "", "expected a value for 'ctid'"),
        ("min_volume = 100_000", "min_volume = 150_000", "multiple of step_volume"),
        ("digits = 5", "digits = 6", "from 0 to 5"),
        ('feed = "EURUSD", id = 1', 'feed = "EURCHF", id = 1', "expected one of the feeds EURUSD"),
        ("id = 1 }]", "id = 1 }, { feed = 'EURUSD', id = 1, name = 'B' }]", "expected each value once, found 1"),
        ('currency = "USD"', 'currency = "CHF"', "expected symbols of One that convert USD to CHF"),
        ("id = 1 }]", "id = 1, leverage_id = 3 }]", "expected an id of 'leverages'"),
        ("id = 1 }]", "id = 1, zone = 'Mars/Phobos' }]", "IANA time zone"),
        ("id = 1 }]", "id = 1, schedule = [[5, 3]] }]", "ascending"),
        ("id = 1 }]", "id = 1, mode = 'MAYBE' }]", "ENABLED or"),
        ("id = 1 }]", "id = 1, holidays = [{ name = 'x', date = 'soon' }] }]", "expected a date"),
        ('currency = "USD"', 'currency = "USD"\ntype = "nettet"', "hedged or netted or spread_betting"),
        ('client_secret = "secret"', 'client_secret = "secret"\nstate = "Great"', "Active or Submitted"),
        (
            "pip = 4 }",
            'pip = 4 }\nX = { base = "X", quote = "Y", cross = ["mul", "EURUSD", "Z"], digits = 1, pip = 1 }',
            "Z",
        ),
        ('[[users]]\nname = "ann"\nid = 1', "users = []", "users"),
        (
            'name = "ann"\nid = 1',
            'name = "ann"\nid = 1\n[[users]]\nname = "eve"\nid = 1',
            "users .id.: .* found 1 twice",
        ),
        ('currency = "USD"', 'currency = "USD"\nlevrage = 500', r"^accounts\[0\]: .*such as leverage.*'levrage'"),
        ("id = 1 }]", "id = 1, comission = '3' }]", r"^brokers\[0\].symbols\[0\]: .*such as commission"),
        ("[feeds]", "[[acounts]]\n[feeds]", "^expected a key such as accounts.*; found 'acounts': there are accounts"),
        ("id = 1 }]", "id = 1, mode = ['ENABLED'] }]", "ENABLED or"),
        ("id = 1 }]", "id = 1, sl_distance = 4_294_967_296 }]", "from 0 to 2147483647 for 'sl_distance'"),
        ('currency = "USD"', 'currency = "USD"\nleverage = 100_000_000', "from 1 to 21474836 for 'leverage'"),
        ("id = 1 }]", f"id = 1, depth = [{2**63}] }}]", "list of volumes"),
        ('price = "1.1"', 'price = "0"', "EURUSD: expected a number from 0.00000001 to 10000000 for 'price'"),
        ('price = "1.1"', "price = 1e999999999", "expected a decimal number for 'price'"),
        ('spread = "0.0001"', 'spread = "-0.0001"', "from 0 to 10000000 for 'spread'"),
        ('price = "1.1"', "price = 1e99999999999999999999", "expected a world in TOML"),
        ('balance = "1000.50"', 'balance = "99999999999999"', "to 10000000000000 for 'balance'"),
    ],
)
def test_a_world_that_cannot_be_played(old: str, new: str, words: str) -> None:
    """WorldError names the place, what was expected and what was found."""
    assert old in SMALL
    with pytest.raises(WorldError, match=words):
        load_world(SMALL.replace(old, new, 1))
