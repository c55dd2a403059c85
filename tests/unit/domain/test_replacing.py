"""Values with some fields changed: the same as the standard library gives, only quicker."""

from __future__ import annotations

import dataclasses

import pytest

from cmam.domain.belief.copies import Cursor
from cmam.domain.belief.view import AccountView, in_the_making, lasting
from cmam.domain.events import Goal, Health
from cmam.domain.values.ids import AccountId
from cmam.domain.values.quantities import Volume
from cmam.domain.values.replacing import replace, without

VIEW = AccountView(account=AccountId(5), version=3, alerts={"session": "down"})


def test_a_view_is_changed_as_the_standard_library_would() -> None:
    """Named fields are new, all others are the same objects, and the old view is as it was."""
    changed = replace(VIEW, version=4, health=Health.RECONCILED)
    assert changed == dataclasses.replace(VIEW, version=4, health=Health.RECONCILED)
    assert changed.alerts is VIEW.alerts
    assert (VIEW.version, VIEW.health) == (3, Health.DOWN)
    assert replace(VIEW) == VIEW


def test_a_changed_view_is_as_frozen_as_any() -> None:
    """Nobody changes a view behind its reader's back."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        replace(VIEW, version=4).version = 5


def test_a_field_that_is_none_is_a_bug() -> None:
    """A misspelt field is found at once, not kept beside the right one."""
    with pytest.raises(AssertionError, match="verison"):
        replace(VIEW, verison=4)
    with pytest.raises(TypeError):
        replace(Cursor(version=1, index=0), verison=4)


def test_a_value_with_slots_is_left_to_the_standard_library() -> None:
    """It has no dict to copy, and is changed all the same."""
    assert replace(Cursor(version=1, index=0), version=2) == Cursor(version=2, index=0)


def test_a_view_in_the_making_is_changed_in_place_until_it_lasts() -> None:
    """Its maker changes its own copy without another; from then on it is as frozen as any."""
    making = in_the_making(VIEW)
    assert replace(making, version=4) is making
    made = lasting(making)
    assert made == dataclasses.replace(VIEW, version=4)
    assert VIEW.version == 3
    assert replace(made, version=5) is not made
    assert made.version == 4


def test_a_value_made_quickly_is_the_one_the_standard_library_makes() -> None:
    """Given fields, defaults in their order, and a clear complaint about what is missing or unknown."""
    goal = Goal(target_numerator=3, leader_volume=Volume(7))
    assert list(vars(goal)) == [field.name for field in dataclasses.fields(Goal)]
    assert (goal.target_numerator, goal.target_denominator, goal.leader_volume, goal.pins) == (3, 1, 7, True)
    assert goal == dataclasses.replace(goal)
    with pytest.raises(TypeError, match="lacks target_numerator"):
        Goal(leader_volume=Volume(7))
    with pytest.raises(TypeError, match="has no piins"):
        Goal(target_numerator=1, piins=True)


def test_a_key_is_left_out_of_a_copy() -> None:
    """The mapping that was given stays whole, in its order; without such a key it is the answer itself."""
    given = {"a": 1, "b": 2, "c": 3}
    assert list(without(given, "b").items()) == [("a", 1), ("c", 3)]
    assert without(given, "d") is given
    assert list(given) == ["a", "b", "c"]
