"""What a change of a leader asks of a copy of which a restored log knows less than has been done."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.belief.copies import Copy, CopyState, Restored
from cmam.domain.belief.restored import answered, is_anothers, touched, wanted_after
from cmam.domain.belief.view import AccountView
from cmam.domain.events import Goal
from cmam.domain.values.changes import ChangeKind
from cmam.domain.values.ids import AccountId, LinkId, ProfileId, SourceKey
from cmam.domain.values.quantities import Side, Volume
from cmam.domain.values.rules.newest import RULES
from cmam.domain.values.rules.sight import UNDECIDED_AT_BACKUPS
from tests.factories import a_change, a_spec

SPEC = a_spec(step_volume=Volume(10_000), min_volume=Volume(30_000))
KNOWN = 100_000


def _copy(held: int, target: int, *, round_up: bool = False) -> Copy:
    """A copy of which the log knew 100 000."""
    return Copy(
        link=LinkId("link"), profile=ProfileId("profile"), source=SourceKey("p9"), state=CopyState.OPEN,
        leader=AccountId(1), leader_position=None, leader_order=None, leader_symbol="EURUSD", leader_digits=5,
        symbol=SPEC.symbol, side=Side.BUY, decided_us=1, volume=Volume(held),
        goal=Goal(target_numerator=target, leader_volume=Volume(2), round_up=round_up),
        restored=Restored(KNOWN, 1, Volume(KNOWN), 5),
    )  # fmt: skip


def _wanted(held: int, target: int, *, after: int, round_up: bool = False, rules: int = RULES) -> int:
    """What is wanted of a copy of which the log knew 100 000, once its leader has gone from 2 to `after`."""
    copy = _copy(held, target, round_up=round_up)
    view = AccountView(account=AccountId(2), rules=rules, specs={SPEC.symbol: SPEC})
    kind = ChangeKind.GREW if after > 2 else ChangeKind.REDUCED
    change = replace(a_change(kind, spec=SPEC), before=Volume(2), after=Volume(after), restored=True)
    wanted = wanted_after(view, copy, change, 2)
    assert wanted_after(view, replace(copy, restored=None), change, 2) == copy.target * after / 2
    assert wanted_after(view, copy, replace(change, restored=False), 2) == copy.target * after / 2
    return int(wanted)


@pytest.mark.parametrize(
    ("held", "wanted"),
    [(100_000, 50_000), (50_000, 50_000), (40_000, 40_000)],
)
def test_a_half_that_was_closed_already_is_not_closed_again(held: int, wanted: int) -> None:
    """What is below it, a person has taken."""
    assert _wanted(held, held, after=1) == wanted


def test_what_is_rounded_up_may_be_short_by_less_than_the_least_close() -> None:
    """That much is no person's: by former rules it was, and one step too many was closed."""
    assert _wanted(20_001, 20_001, after=1, round_up=True) == 50_000
    assert _wanted(20_000, 20_000, after=1, round_up=True) == 20_000
    assert _wanted(20_001, 20_001, after=1, round_up=True, rules=UNDECIDED_AT_BACKUPS - 1) == 20_001


def test_what_was_added_already_is_not_added_again() -> None:
    """More than was known counts towards it; what has become less grows as its leader does."""
    assert [_wanted(held, held, after=4) for held in (150_000, 250_000, 50_000, KNOWN)] == [
        200_000,
        250_000,
        100_000,
        200_000,
    ]


def test_what_the_log_knew_goes_along_with_the_first_look_and_ends_with_news() -> None:
    """A half that the look has found halves it; a change that is told later has found nobody's answer."""
    view = AccountView(account=AccountId(2), rules=RULES)
    copy = _copy(50_000, 50_000)
    change = replace(a_change(ChangeKind.REDUCED, spec=SPEC), before=Volume(2), after=Volume(1), restored=True)
    halved = answered(view, copy, change).restored
    assert halved is not None
    assert halved.target == KNOWN / 2
    assert answered(view, copy, replace(change, restored=False)).restored is None


def test_what_a_person_takes_after_the_first_look_is_taken_of_what_the_log_knew() -> None:
    """At that look it may have been an answer."""
    view, copy = AccountView(account=AccountId(2), rules=RULES, at_us=6), _copy(KNOWN, KNOWN)
    known = touched(view, copy, KNOWN, KNOWN // 4).restored
    assert known is not None
    assert (known.target, known.volume) == (KNOWN / 4, KNOWN // 4)
    assert touched(replace(view, at_us=5), copy, KNOWN, KNOWN // 4) == copy


@pytest.mark.parametrize(
    ("name", "is_so"), [("1", False), ("2", False), ("2-2", False), ("2-3", True), ("3", False), ("4", True)]
)
def test_a_name_is_anothers_by_its_number_or_by_its_part(name: str, is_so: bool) -> None:
    """The rest of the last growth has the number of that, and a part that was given or was not."""
    copy = replace(_copy(1, 1), last_seq=3, part_seq=2, part=2)
    assert is_anothers(copy, f"cm1.store.link.p9.{name}") is is_so
