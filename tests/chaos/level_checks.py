"""What must hold of stops and targets after any run: each copy's are where its leader's put them, and no record says
that a person was at a copy where none was.

Judged by the books of the two brokers: what the follower's position shows, beside what the leader's position shows.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from cmam.domain.belief.view import AccountView
from cmam.domain.events import ChangeDecided, CopyTouched, ExecutionSeen, Reconciled, StopOutSeen
from cmam.domain.profiles.link import LinkSettings
from cmam.domain.values.naming import read_label
from cmam.domain.values.quantities import PRICE_SCALE
from tests.person import Held
from tests.whole import Whole

LEVELS = ("stop", "target")
BY_HAND = re.compile(r"human \w+ on (\d+) ?(\d*)")


def levelled(whole: Whole) -> None:
    """Where the leader's position has a stop or a target at its broker the copy has one at its own, moved by what the
    settings say and by nothing else, and where his has none it has none."""
    for link, view, copy, theirs, ours in _pairs(whole):
        if copy.trouble or ours.trailing or theirs.trailing or is_outside(whole, link, copy):
            continue
        spec = view.specs[copy.symbol]
        shift = copy.goal.shift or 0 if link.settings.get("levels", "shift") == "shift" else 0
        for name in LEVELS:
            found, source = _scaled(getattr(ours, name)), _scaled(getattr(theirs, name))
            words = f"the {name} of {copy.key} is {found}, his {source}, the shift {shift}"
            assert bool(found) == bool(source), words
            assert not found or abs(found - source - shift) <= spec.tick, words


def _pairs(whole: Whole) -> Iterator[tuple[LinkSettings, AccountView, Any, Held, Held]]:
    """Each copy that nobody else touched, with its leader's position and its own as the brokers hold them."""
    for link in whole.folded().registry.links():
        view = whole.view(link.follower)
        assert view is not None
        theirs = {held.position: held for held in whole.person.holds(link.leader)}
        ours = {held.position: held for held in whole.person.holds(link.follower)}
        touched = {
            (event.link, event.source) for event in whole.events(link.follower, CopyTouched) if event.what in LEVELS
        }
        for copy in view.copies.values():
            source = theirs.get(copy.leader_position or 0)
            is_whole = copy.link == link.link and not copy.share and copy.position is not None
            if is_whole and source is not None and copy.key not in touched:
                yield link, view, copy, source, ours[copy.position]


def _scaled(price: float) -> int:
    return int(Fraction(str(price)) * PRICE_SCALE)


def is_outside(whole: Whole, link: LinkSettings, copy: Any) -> bool:
    """Whether a change of these levels was skipped, and its reason is on record."""
    return any(
        event.link == link.link and event.verdict == "skip" and event.change.position == copy.leader_position
        for event in whole.events(link.follower, ChangeDecided)
    )


def hands_of(drawn: Sequence[str]) -> Mapping[int, set[int]]:
    """By account, the positions that people had their hands on; 0 stands for one that they opened."""
    hands: dict[int, set[int]] = defaultdict(set)
    for word in drawn:
        found = BY_HAND.match(word)
        if found is not None:
            hands[int(found[1])].add(int(found[2] or 0))
    return hands


def touched_by_people(whole: Whole, drawn: Sequence[str]) -> None:
    """No record says that somebody was at a copy's position where nobody had his hands on it.

    What a net holds is not known for a while where its broker's clock was set back: it is left out then. So are copies
    that the broker has stopped out, which may have been in parts, and nets that it may have stopped out unseen.
    """
    is_vague = any(word.startswith("their clock") for word in drawn)
    hands = hands_of(drawn)
    for link in whole.folded().registry.links():
        view = whole.view(link.follower)
        assert view is not None
        has_lost = any(word.startswith(f"{link.follower} loses") for word in drawn)
        if view.is_netted() and (is_vague or has_lost or hands[link.follower]):
            continue
        stopped_out = {(event.link, event.source) for event in whole.events(link.follower, StopOutSeen)}
        for event in whole.events(link.follower, CopyTouched):
            if event.link == link.link and (event.link, event.source) not in stopped_out:
                positions = _positions_of(whole, link.follower, event)
                assert positions & hands[link.follower], f"nobody was at {positions}: {event}"


def _positions_of(whole: Whole, account: int, touched: CopyTouched) -> set[int]:
    """The positions that a copy has had, one after the other, by the labels of what was executed and shown."""
    shown = [event.position for event in whole.events(account, ExecutionSeen) if event.position is not None]
    shown += [position for event in whole.events(account, Reconciled) for position in event.positions]
    found = set()
    for position in shown:
        mark = read_label(position.label)
        if mark is not None and (mark.link, mark.source) == (touched.link, touched.source):
            found.add(position.position)
    return found
