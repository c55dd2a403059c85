"""What must hold at every moment of a run, by the record: what was doubled for a minute only is gone at its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from fractions import Fraction

from cmam.domain.belief.copies import Copy, CopyKey
from cmam.domain.belief.view import AccountView
from cmam.domain.events import CopyTouched
from cmam.domain.folds.account import evolve
from cmam.domain.profiles.link import LinkSettings
from tests.whole import Whole


def never_more(whole: Whole) -> None:
    """At no moment has a link two copies of one position of its leader, nor more of one than he ever had of it.

    Not of shares: a close that meets a net which has turned meanwhile makes its share larger, until the next execution
    tells (seed 3250).
    """
    links = {link.link: link for link in whole.folded().registry.links()}
    for account in {link.follower for link in links.values()}:
        most: dict[CopyKey, int] = {}
        by_hand: set[CopyKey] = set()
        for view in _course(whole, account, by_hand):
            open_copies = [copy for copy in view.copies.values() if copy.volume > 0 and copy.link in links]
            sources = Counter((copy.link, copy.leader_position) for copy in open_copies if copy.leader_position)
            doubled = [source for source, count in sources.items() if count > 1]
            assert not doubled, f"two copies at once of {doubled} at version {view.version} of {account}"
            for copy in view.copies.values():
                most[copy.key] = max(most.get(copy.key, 0), copy.goal.leader_volume)
            for copy in open_copies:
                if copy.key not in by_hand and not copy.share:
                    _assert_no_larger(view, copy, links[copy.link], most[copy.key])


def _assert_no_larger(view: AccountView, copy: Copy, link: LinkSettings, theirs: int) -> None:
    spec, amount = view.specs[copy.symbol], Fraction(link.settings.get("volume.amount", "1"))
    slack = max(spec.min_volume, spec.step_volume)
    words = f"{copy.key} has {copy.volume} at version {view.version} of {view.account}: he never had more than {theirs}"
    assert copy.volume < theirs * amount + slack, words


def _course(whole: Whole, account: int, by_hand: set[CopyKey]) -> Iterator[AccountView]:
    """The account after each of its records; `by_hand` gets the copies that somebody else has touched by then."""
    view = AccountView(account=account)
    for recorded in whole.log.read_stream(f"account:{account}"):
        view = evolve(view, recorded.event, recorded.at_us)
        if isinstance(recorded.event, CopyTouched):
            by_hand.add((recorded.event.link, recorded.event.source))
        yield view
