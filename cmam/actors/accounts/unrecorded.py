"""What may leave before its record when the store is slow or silent, and how: the one exception to record, then send.

Whole closes of hedged copies and cancels leave a second after they were decided, as they were decided. A netted share's
whole close leaves once per process, after the position was read anew: the net may be another's by then. Nothing else
ever leaves unrecorded. Held by the account's actor and run in its turns; `Spent` outlives an actor that is replaced.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace

from cmam.actors import messages as m
from cmam.clock import SECOND_US
from cmam.domain.belief.copies import CopyKey, IntentState
from cmam.domain.belief.view import AccountView
from cmam.domain.events import IntentRecorded
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.ids import AccountId, IntentId
from cmam.domain.values.quantities import Volume
from cmam.domain.values.trades import Position

log = logging.getLogger(__name__)

UNCONFIRMED_US = SECOND_US
"""How long a whole close or a cancel waits for the store before it goes out all the same."""
SHARE = "share "
"""How the question for the net position of a share begins; the intent follows."""


class Spent:
    """The netted shares that were closed without a record in this process: each at most once."""

    def __init__(self) -> None:
        self._keys: set[tuple[AccountId, CopyKey]] = set()

    def take(self, account: AccountId, key: CopyKey) -> bool:
        """Use the one time there is for a share; whether it was still to be had."""
        is_free = (account, key) not in self._keys
        self._keys.add((account, key))
        return is_free


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A request whose record is on its way, and whether it closes a share."""

    submit: m.Submit
    key: CopyKey
    is_share: bool


class Unrecorded:
    """The requests of one account that will not wait for the store for ever."""

    def __init__(self, account: AccountId, spent: Spent) -> None:
        self._account = account
        self._spent = spent
        self._waiting: dict[str, _Waiting] = {}
        self._asking: set[str] = set()
        """The shares whose net was asked for, and not answered yet."""

    def watch(self, view: AccountView, recorded: IntentRecorded, submit: m.Submit) -> bool:
        """Note a request that falls under the exception; whether it does."""
        is_share = _closes_share(view, recorded)
        if not is_share and not _leaves_as_it_is(view, recorded):
            return False
        self._waiting[recorded.intent] = _Waiting(submit, (recorded.link, recorded.source), is_share)
        return True

    def confirmed(self, intent: str) -> None:
        """The record is on disk: the exception is not needed."""
        self._waiting.pop(intent, None)

    def overdue(self, intent: str, view: AccountView) -> m.Submit | str | None:
        """A second has passed: the request to send now, the question to ask first, or nothing to do."""
        waiting = self._waiting.get(intent)
        if waiting is None:
            return None
        if not _is_open(view, intent):
            del self._waiting[intent]
            return None
        if waiting.is_share:
            self._asking.add(intent)
            return f"{SHARE}{intent}"
        del self._waiting[intent]
        log.warning("! the store is slow: %s leaves before its record", intent)
        return waiting.submit

    def unread(self, question: str) -> bool:
        """The net of a share was not told; whether it is to be asked for again."""
        intent = question.removeprefix(SHARE)
        was_asked = intent in self._asking
        self._asking.discard(intent)
        return was_asked and intent in self._waiting

    @property
    def asking(self) -> tuple[str, ...]:
        """The questions for the nets of shares that are on their way."""
        return tuple(f"{SHARE}{intent}" for intent in sorted(self._asking))

    def position_read(self, question: str, positions: Iterable[Position], view: AccountView) -> m.Submit | None:
        """The net position as the broker shows it now: the share's close, never more than there is, or nothing."""
        intent = question.removeprefix(SHARE)
        self._asking.discard(intent)
        waiting = self._waiting.pop(intent, None)
        if waiting is None or not _is_open(view, intent):
            return None  # on record meanwhile, or settled: it leaves the usual way
        command = waiting.submit.command
        held = next((found for found in positions if found.position == command.position), None)
        if held is None or held.side is command.side or held.volume <= 0:
            return None  # nothing of ours is left on this side; the record will tell what became of it
        if not self._spent.take(self._account, waiting.key):
            return None
        log.warning("! the store is slow: %s, a share of a net position, leaves before its record", intent)
        volume = Volume(min(command.volume, held.volume))
        return replace(waiting.submit, command=replace(command, volume=volume))


def _is_open(view: AccountView, intent: str) -> bool:
    known = view.intents.get(IntentId(intent))
    return known is not None and known.state is IntentState.RECORDED


def _leaves_as_it_is(view: AccountView, recorded: IntentRecorded) -> bool:
    command = recorded.command
    is_whole = command.kind is CommandKind.CLOSE and command.whole and not view.is_netted()
    return is_whole or command.kind is CommandKind.CANCEL


def _closes_share(view: AccountView, recorded: IntentRecorded) -> bool:
    """Whether this takes a whole share out of a net that stands on its side: a close, never an order against it."""
    copy = view.copies.get((recorded.link, recorded.source))
    return recorded.command.kind is CommandKind.CLOSE and copy is not None and copy.share and not copy.is_wanted
