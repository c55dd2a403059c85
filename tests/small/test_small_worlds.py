"""All orders of small worlds, with one fault each: nothing is done twice, nothing is lost, nothing closed that stays.

`python scripts/soak/small_worlds.py` goes through all worlds, with two faults each.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.values.commands import CommandKind
from cmam.domain.values.rules.closes import REFUSED_PARTS_ARE_READ
from cmam.domain.values.rules.sight import ACCEPTED_SHOW_AHEAD
from tests.small.explorer import explore
from tests.small.hands import Hand
from tests.small.world import Setting
from tests.small.worlds import PROFILES, hedged, netted, resting

ENDS_MIN = 30
WORLDS = {
    "hedged: open, close": hedged("open, close"),
    "hedged: open, stop, stop": hedged("open, stop, stop"),
    "hedged: open, add, part of the old": hedged("open, add, part of the old"),
    "hedged: open, add, stop": hedged("open, add, stop", cuts=False, lies=(CommandKind.ADD,)),
    "hedged: open, part, add": hedged("open, part, add"),
    "hedged: open, add, part, add": hedged("open, add, part, add", cuts=False),
    "hedged: open, part, close": hedged("open, part, close"),
    "netted: two, one closes": netted("two, one closes", cuts=False),
    "netted: two sides, one closes": netted("two sides, one closes", cuts=False),
    "two profiles: open, part": netted("open, part", amounts=PROFILES),
    "resting: order, a part filled": resting("order", fills=(2,), cuts=False),
    "resting: order, fill": resting("order, fill", cuts=False),
    "a person closes half: open": hedged("open", hands=(Hand.HALF,), cuts=False, lies=()),
}


@pytest.mark.parametrize("name", WORLDS)
def test_every_order_of_a_small_world_comes_out_right(name: str) -> None:
    """Whatever is lost, late, told twice, refused, cut or of before: in the end the broker holds what is right."""
    found = explore(WORLDS[name])
    assert not found.wrong, "\n".join((found.wrong[0][0], *found.wrong[0][1]))
    assert found.ends > ENDS_MIN


@pytest.mark.parametrize(
    ("setting", "rules", "wrong"),
    [
        (hedged("open, part", cuts=False), REFUSED_PARTS_ARE_READ, "2000000 is held, 6000000 is right"),
        (
            hedged("open, add, part of the old", faults=2, cuts=False, lies=()),
            ACCEPTED_SHOW_AHEAD,
            "8000000 is held, 4000000 is right",
        ),
    ],
)
def test_what_was_wrong_by_the_rules_of_before_is_found(setting: Setting, rules: int, wrong: str) -> None:
    """The laws are no empty words: what these worlds have told first is told again by the rules before its mending."""
    found = explore(replace(setting, rules=rules - 1))
    assert [text.partition(": ")[2] for text, _ in found.wrong] == [wrong]
