"""What becomes of copies while their leader or their own account is out of sight: held and named, or closed in time.

Pure: the shell says since when an account is out of sight; what comes out are facts for the follower's stream.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cmam.domain.belief.copies import Copy
from cmam.domain.belief.view import AccountView
from cmam.domain.events import AlertHealed, AlertRaised, CopyOverdue, Event
from cmam.domain.profiles.link import LinkSettings
from cmam.domain.values.ids import AccountId, LinkId

REPEAT_US = 300_000_000
"""How often the alert about an account that is out of sight is said again."""

KIND = "blind "
"""What the kinds of these alerts begin with; the account's number follows."""


def watch_blind(
    view: AccountView,
    links: Mapping[LinkId, LinkSettings],
    blind_since_us: Mapping[AccountId, int],
    now_us: int,
    *,
    quiet_us: int = 0,
) -> tuple[Event, ...]:
    """The facts that follow from leaders, or this follower itself, being out of sight since these moments; nobody is
    told before it has lasted for `quiet_us`."""
    return tuple(_facts(view, links, blind_since_us, now_us, quiet_us))


def _facts(
    view: AccountView, links: Mapping[LinkId, LinkSettings], since: Mapping[AccountId, int], now_us: int, quiet_us: int
) -> Iterator[Event]:
    for account, since_us in sorted(since.items()):
        copies = [copy for copy in view.copies.values() if account in (copy.leader, view.account)]
        if not copies:
            continue
        kind, text = f"{KIND}{account}", _text(view, account, copies, since_us, now_us)
        if now_us - since_us >= quiet_us and view.alerts.get(kind) != text:
            yield AlertRaised(kind=kind, text=text)
        for copy in copies:
            link = links.get(copy.link)
            after_ms = link.policy.leader_blind_ms if link is not None else None
            is_over = after_ms is not None and now_us - since_us >= after_ms * 1_000
            if account == copy.leader and is_over and copy.is_wanted:
                yield CopyOverdue(link=copy.link, source=copy.source, what="blind")
    for kind in view.alerts:
        if kind.startswith(KIND) and AccountId(int(kind.removeprefix(KIND) or 0)) not in since:
            yield AlertHealed(kind=kind)


def _text(view: AccountView, account: AccountId, copies: list[Copy], since_us: int, now_us: int) -> str:
    """The copies by name, and those whose stop does not stand at the broker; said anew every five minutes."""
    names = ", ".join(f"{copy.leader_symbol} {copy.source}" for copy in copies)
    bare = [copy for copy in copies if copy.position is not None and _is_bare(view, copy)]
    without = (
        f" Without a stop at the broker: {', '.join(f'{c.leader_symbol} {c.source}' for c in bare)}." if bare else ""
    )
    minutes = (now_us - since_us) // REPEAT_US * (REPEAT_US // 60_000_000)
    how_long = f"has been out of sight for {minutes} minutes or more" if minutes else "is out of sight"
    return f"Account {account} {how_long}. Its copies: {names}.{without}"


def _is_bare(view: AccountView, copy: Copy) -> bool:
    held = view.positions.get(copy.position) if copy.position is not None else None
    return held is not None and held.stop is None
