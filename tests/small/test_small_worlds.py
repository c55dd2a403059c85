"""All orders of small worlds, with one fault each: nothing is done twice, nothing is lost, nothing closed that stays.

`python scripts/soak/small_worlds.py` goes through all worlds, with two faults each.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.values.commands import CommandKind
from cmam.domain.values.rules.closes import REFUSED_PARTS_ARE_READ
from cmam.domain.values.rules.nets import OPENS_ARE_NOT_CLOSED, OUR_CLOSES_SHOW_STOPS, UNSENT_HIDE_NOTHING
from cmam.domain.values.rules.sight import ACCEPTED_SHOW_AHEAD
from tests.small.explorer import explore
from tests.small.hands import Hand
from tests.small.world import MINI, Setting, begin, moves
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
    "netted resting: order, fill": resting("order, fill", netted=True, fills=(2,), cuts=False),
    "a person closes half of a net: open, part": netted("open, part", hands=(Hand.HALF,), cuts=False),
    "a person moves the stop of a net: open, part": netted("open, part", hands=(Hand.STOP,), cuts=False),
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
            netted("open, part", hands=(Hand.STOP,), cuts=False),
            OUR_CLOSES_SHOW_STOPS,
            "its stop is None, a person had set 109700000",
        ),
        (
            netted("two, one closes", hands=(Hand.STOP,), cuts=False),
            OPENS_ARE_NOT_CLOSED,
            "the net is 0, 6000000 is right",
        ),
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
    assert [text.rpartition(": ")[2] for text, _ in found.wrong] == [wrong]


STORY = (
    "the leader: opened",
    "open pdw.1 of 4000000: done",
    "the leader: opened",
    "open pgo.1 of 6000000: lost",
    "time passes to 10.003",
    "a person closes half",
    "time passes to 20.003",
    "a lookup begins",
    "the history is read",
    "a snapshot is taken",
    "it is told",
    "open pgo.1 of 6000000: done",
    "the leader: closed",
)


@pytest.mark.parametrize(("rules", "given_up"), [(UNSENT_HIDE_NOTHING, 2), (UNSENT_HIDE_NOTHING - 1, 4)])
def test_what_a_person_takes_is_booked_before_an_open_that_was_lost_goes_out_again(rules: int, given_up: int) -> None:
    """That turns the net, where nothing tells the loss any more: all that the share once had was sold."""
    world = begin(replace(netted("two sides, one closes", hands=(Hand.HALF,)), rules=rules))
    for name in STORY:
        world = next(later for told, later in moves(world) if told == name)
    (asked,) = world.unsent
    assert asked.command.volume == given_up * MINI
