"""What `status` says of latches: why nothing opens on a link, and until when."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.actors.status import Answered, latch_text, left_out
from cmam.domain.belief.view import Latch
from cmam.domain.events import LinkAdded, ProfileCreated, ProfileState, ProfileStateChanged
from cmam.domain.guarding.latches import FLATTEN, REJECTIONS, STOP_OUT, TWIN
from cmam.domain.operating.registry import PROFILE_PREFIX, Registry, evolve_registry
from cmam.domain.values.changes import ChangeKind
from cmam.domain.values.ids import AccountId, LinkId, ProfileId
from tests.factories import LOT, Pair, a_view

LATCH = Latch(link=LinkId("l1"), guard="daily_loss", reaction="flatten", scope="profile", since_us=1)
NOON_US = 1_772_366_400_000_000


@pytest.mark.parametrize(
    ("latch", "said"),
    [
        (
            replace(LATCH, value=1_300, limit=1_000),
            (
                "The guard daily_loss has tripped, 13.00 against 10.00 USD: its copies are closed, and nothing opens "
                "until `cmam rearm --account 2001`."
            ),
        ),
        (
            replace(LATCH, value=1_300, limit=1_000, reaction="open_only_off", until_us=NOON_US),
            "The guard daily_loss has tripped, 13.00 against 10.00 USD: nothing opens until 2026-03-01T12:00:00.000Z.",
        ),
        (
            replace(LATCH, guard=REJECTIONS, reaction="open_only_off", value=5, limit=5, until_us=NOON_US),
            "5 opens in a row were refused: nothing opens until 2026-03-01T12:00:00.000Z.",
        ),
        (
            replace(LATCH, guard=STOP_OUT, reaction="open_only_off"),
            "The broker has stopped a copy out: nothing opens until `cmam rearm --account 2001`.",
        ),
        (replace(LATCH, guard=FLATTEN), ""),
        (replace(LATCH, guard=TWIN, reaction="open_only_off"), ""),
    ],
)
def test_a_latch_is_told_in_words(latch: Latch, said: str) -> None:
    """What nobody asked for is told with its figures; a flatten was asked for, and a twin has an alert of its own."""
    assert latch_text(latch, a_view()) == said


def test_a_link_that_copies_nothing_can_be_told() -> None:
    """What is opened and not copied counts, with the last reason; what follows an open that was skipped does not."""
    copied, skipped = (Pair({"volume.amount": "0.5"}).opens(volume) for volume in (LOT, 100_000))
    found = Answered()
    for decided in (copied, skipped, skipped):
        found = found.then(decided, NOON_US)
    assert found.document() == {
        "copied": 1,
        "skipped": 2,
        "last_skip": {"reason": "below_minimum", "symbol": "EURUSD", "at": "2026-03-01T12:00:00.000Z"},
    }
    of_levels = replace(skipped, change=replace(skipped.change, kind=ChangeKind.PROTECTED))
    assert found.then(of_levels, NOON_US) is found


def test_copies_of_a_profile_that_was_left_out_of_a_start_are_an_alert() -> None:
    """They follow nobody until the next start; a start that follows nobody at all, as a flatten's, says nothing."""
    pair = Pair({"volume.amount": "0.5"})
    pair.opens(LOT)
    views = {pair.view.account: pair.view}
    registry = Registry()
    named = ProfileCreated(profile=ProfileId("p1"), name="grid", leader=AccountId(1001))
    added = LinkAdded(link=pair.link.link, follower=pair.view.account)
    for event in (named, added):
        registry = evolve_registry(registry, f"{PROFILE_PREFIX}p1", event)
    (own,) = registry.links()
    other = replace(own, link=LinkId("other"))
    (alert,) = left_out(registry, (other,), views)
    assert alert["account"] == pair.view.account
    assert alert["text"].startswith("grid was left out of this start, and its copies here (1) do not follow")
    for links, seen in (((own,), views), ((), views), ((other,), {})):
        assert not left_out(registry, links, seen)
    stopped = evolve_registry(registry, f"{PROFILE_PREFIX}p1", ProfileStateChanged(state=ProfileState.STOPPED))
    assert not left_out(stopped, (other,), views)
