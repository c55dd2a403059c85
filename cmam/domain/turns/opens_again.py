"""Opens that came to nothing: how often and how soon they are asked for again, and what ends their copies."""

from __future__ import annotations

from collections.abc import Iterator

from cmam.domain.belief.copies import Copy, Intent
from cmam.domain.belief.view import AccountView
from cmam.domain.events import CopyFinished, Event
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.reasons import Reason
from cmam.domain.values.rules.resting import FILLS_GO_ON

ATTEMPTS_MAX = 2
"""How often one open may be sent: again only after proof that the first never arrived."""

RETRY_OPEN_US = 1_000_000
"""How long a temporarily refused open waits before it passes the gates again."""

LINE_LOST = "the connection "
"""What the reason begins with when an open did not leave because there was no line."""

LIKE_ANOTHER = "something just like it, without a name of ours, has come since: it may be this, and is not sent again"
"""Why an open that counts as absent is given up, where its broker may not keep names."""


def is_open(copy: Copy | None, intent: Intent) -> bool:
    """Whether a request adds risk and may wait: what a netted share gives up is sent as an order, but it is a close."""
    kind = intent.command.kind
    is_add = kind is CommandKind.ADD and (copy is None or intent.command.side is copy.side)
    return is_add or kind in (CommandKind.OPEN, CommandKind.PLACE)


def is_open_instead(view: AccountView, copy: Copy | None, intent: Intent) -> bool:
    """Whether an order that does not rest has been filled at the leader's: then his fill is an open like any other."""
    is_fill = copy is not None and copy.leader_filled and copy.is_wanted and copy.position is None
    return is_fill and intent.command.kind is CommandKind.PLACE and view.rules >= FILLS_GO_ON


def end_of_open(view: AccountView, intent: Intent, reason: Reason) -> Iterator[Event]:
    """The end of a copy whose open came to nothing."""
    copy = view.copies.get(intent.key)
    is_first = intent.command.kind in (CommandKind.OPEN, CommandKind.PLACE)
    if is_first and copy is not None and copy.position is None:
        ending = copy.ending if copy.ending is not None and reason is Reason.EXPIRED else reason
        yield CopyFinished(link=copy.link, source=copy.source, reason=ending)
