"""Parts of which the close was refused: where a server may have done it all the same, what is left is read first."""

from __future__ import annotations

from cmam.domain.belief.copies import Copy, Intent
from cmam.domain.belief.restless import restless
from cmam.domain.belief.view import AccountView
from cmam.domain.values.codes import UNTOUCHED
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.rules.closes import REFUSED_PARTS_ARE_READ


def may_be_done(view: AccountView, copy: Copy | None, intent: Intent, code: str) -> bool:
    """Whether a request that was refused with a code closes a part that may be closed all the same. Of a copy that ends
    nothing too much can be closed, a share has its own ledger, and some codes say that nobody has set about it."""
    command = intent.command
    if command.kind is not CommandKind.CLOSE or command.whole or copy is None or copy.share:
        return False
    return code not in UNTOUCHED and view.rules >= REFUSED_PARTS_ARE_READ


def are_to_be_read(view: AccountView) -> bool:
    """Whether a close waits for a look that tells how much of such a part is left."""
    return any(copy.refused_part for copy in restless(view.copies))
