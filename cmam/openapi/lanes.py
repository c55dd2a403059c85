"""What waits to be sent, and in which order it leaves: lanes, and fairness inside a lane.

    lane      what                                         may use the reserved slot
    SESSION   heartbeats, the application's authorisation  yes
    CLOSE     reductions of exposure                       yes
    PROTECT   stops and targets, pending amendments        yes
    CANCEL    cancelled pendings                           yes
    AGAIN     amendments of what was amended just before   only when another slot is free within 20 ms
    LOOK      what an authorised account holds, before     only then too
              anything of it can be closed
    JOIN      accounts to be authorised                    only then too
    OPEN      what adds exposure                           only then too
    QUERY     questions, every fifth slot beside opens     only then too; historical ones have their own five a second
    IDLE      questions nobody waits for, one in 1,000     only then too; one historical a second

Order is kept inside an account and a lane, for each kind of request; a kind that may not leave (blocked by the server,
or out of its historical five) does not hold up the others. Between accounts of a lane turns are taken, and so they are
between AGAIN and all lanes below it. Knows no time.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from cmam.openapi import catalogue


class Lane(IntEnum):
    """Who goes first; the order is the priority."""

    SESSION = 0
    CLOSE = 1
    PROTECT = 2
    CANCEL = 3
    AGAIN = 4
    LOOK = 5
    JOIN = 6
    OPEN = 7
    QUERY = 8
    IDLE = 9

    @property
    def may_use_reserve(self) -> bool:
        """Whether the slot that is kept in the middle of a burst is for this lane."""
        return self <= Lane.CANCEL

    @property
    def may_age(self) -> bool:
        """Whether what waits here may go back for having waited too long: what lowers or protects risk never does."""
        return self >= Lane.OPEN or self is Lane.LOOK

    @property
    def waits_out(self) -> bool:
        """Whether what leaves here waits until a line that stands still moves on, or is given up: no close, no stop,
        and nothing that an account needs before it can close may be kept for so long."""
        return self >= Lane.OPEN


LANE_OF: Final = {
    catalogue.HEARTBEAT: Lane.SESSION,
    catalogue.APPLICATION_AUTH: Lane.SESSION,  # nothing of anybody leaves without it
    catalogue.CLOSE_POSITION: Lane.CLOSE,
    catalogue.AMEND_PROTECTION: Lane.PROTECT,
    catalogue.AMEND_ORDER: Lane.PROTECT,  # a resting copy that fills at old terms is a wrong copy
    catalogue.CANCEL_ORDER: Lane.CANCEL,
    catalogue.ACCOUNT_AUTH: Lane.JOIN,  # its closes wait for it, yet a thousand of them must leave one close a slot
    catalogue.REFRESH_TOKEN: Lane.JOIN,
    catalogue.NEW_ORDER: Lane.OPEN,
}
"""The lane of a payload type where the sender names none; everything else is a question."""


def lane_of(payload_type: int) -> Lane:
    """The lane in which a kind of request waits unless told otherwise."""
    return LANE_OF.get(payload_type, Lane.QUERY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One frame that wants to leave. `name` is unique for ever; `merge` names the target whose newest amend counts.

    `not_after_us` is the moment after which it goes back unsent, None for never. `goes_first` gives its account the
    next turn of its lane. `data` is the sender's own.
    """

    name: str
    lane: Lane
    payload_type: int
    account: int = 0
    merge: str = ""
    not_after_us: int | None = None
    goes_first: bool = False
    data: object = field(default=None, repr=False, compare=False)

    @property
    def deadline_us(self) -> int | None:
        """When it is too late for it, None in a lane where it never is."""
        return self.not_after_us if self.lane.may_age else None

    @property
    def merge_key(self) -> tuple[int, int, str] | None:
        """What it shares with the items that it replaces or is replaced by."""
        return (self.account, self.payload_type, self.merge) if self.merge else None


class LaneQueue:
    """The items that wait in one lane, each under a number that grows with its age in the queue."""

    def __init__(self) -> None:
        self._accounts: OrderedDict[int, dict[int, OrderedDict[int, Item]]] = OrderedDict()
        self._kinds: Counter[int] = Counter()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def kinds(self) -> Iterator[int]:
        """The payload types of which something waits."""
        return (kind for kind, count in self._kinds.items() if count)

    def put(self, number: int, item: Item) -> None:
        """Add an item; a number that waits already keeps its place and gets the new item."""
        waiting = self._accounts.setdefault(item.account, {}).setdefault(item.payload_type, OrderedDict())
        if number not in waiting:
            self._kinds[item.payload_type] += 1
            self._count += 1
        waiting[number] = item
        if item.goes_first:
            self.hurry(item.account)

    def hurry(self, account: int) -> None:
        """Give an account the next turn, if anything of it waits."""
        if account in self._accounts:
            self._accounts.move_to_end(account, last=False)

    def remove(self, number: int, item: Item) -> None:
        """Take out an item that waits under `number`."""
        kinds = self._accounts[item.account]
        del kinds[item.payload_type][number]
        self._kinds[item.payload_type] -= 1
        self._count -= 1
        if not kinds[item.payload_type]:
            del kinds[item.payload_type]
        if not kinds:
            del self._accounts[item.account]

    def pop(self, may_leave: Callable[[int], bool]) -> tuple[int, Item] | None:
        """Take the oldest whose kind may leave, of the account whose turn it is; None if there is none."""
        kinds = {kind for kind in self.kinds() if may_leave(kind)}
        if not kinds:
            return None
        for account, waiting in self._accounts.items():
            heads = [next(iter(waiting[kind].items())) for kind in waiting.keys() & kinds]
            if heads:
                number, item = min(heads, key=lambda head: head[0])
                self._accounts.move_to_end(account)
                self.remove(number, item)
                return number, item
        return None
