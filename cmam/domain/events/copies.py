"""What befell a copy besides decisions and requests.

Told by timers, people and the broker's doings: it waited, was touched, adopted, rebuilt, released, or came to its end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from cmam.domain.events.values import Event, Goal, Inputs
from cmam.domain.values.changes import Change
from cmam.domain.values.ids import AccountId, LinkId, OrderId, PositionId, ProfileId, SourceKey, SymbolId
from cmam.domain.values.quantities import Price, Side, Volume
from cmam.domain.values.reasons import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyOverdue(Event):
    """Something that was to happen to a copy by itself has not, and is now asked for again."""

    TOPIC: ClassVar[str] = "account.copy_overdue"
    link: LinkId
    source: SourceKey
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyWoken(Event):
    """Something that waited may be possible now: the inputs of this moment, and the link's settings, for what follows.

    The settings stand here because what is derived from this fact must be derivable from it again.
    """

    TOPIC: ClassVar[str] = "account.copy_woken"
    link: LinkId
    source: SourceKey
    inputs: Inputs
    settings: Mapping[str, str]
    settings_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiesReleased(Event):
    """Links ended while copies of theirs were live: these are closed, or left as they are at the broker.

    Copied orders that rest are cancelled either way, unless they were to be kept; an open on its way is taken back.
    """

    TOPIC: ClassVar[str] = "account.copies_released"
    links: tuple[LinkId, ...]
    close: bool = False
    keep_pendings: bool = False
    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyAdopted(Event):
    """Copies of another store, or of a lost log, were taken over by an explicit command."""

    TOPIC: ClassVar[str] = "account.copy_adopted"
    link: LinkId
    store: str
    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyRebuilt(Event):
    """A copy that the broker shows and the record lacked was taken in by its label, of a lost log or an adopted store.

    `goal` is what it shall be from now on: what it is, with the leader's levels of now. `change` is his position as if
    opened just now, None where that is gone. Without position and order it is known to have ended. `reason` says why,
    or why the copy had ended before this arrived.
    """

    TOPIC: ClassVar[str] = "account.copy_rebuilt"
    link: LinkId
    profile: ProfileId
    source: SourceKey
    store: str
    label: str
    leader: AccountId
    leader_position: PositionId | None
    leader_order: OrderId | None
    leader_symbol: str
    leader_digits: int
    leader_filled: bool
    symbol: SymbolId
    side: Side
    goal: Goal
    settings_version: int
    position: PositionId | None = None
    order: OrderId | None = None
    volume: Volume = Volume(0)
    open_price: Price | None = None
    opened_us: int = 0
    share: bool = False
    change: Change | None = None
    reason: Reason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StopOutSeen(Event):
    """The broker stopped a copy out, whole or in part: it is never added to again, and its link opens nothing more."""

    TOPIC: ClassVar[str] = "account.stop_out_seen"
    IS_DERIVED: ClassVar[bool] = True
    link: LinkId
    source: SourceKey


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyTouched(Event):
    """Somebody else changed a copy: `what` is volume, stop, target, trailing or order. It is respected, not undone.

    `reason` says why a share lost all its volume where an order of it is still under way; None is a person.
    With `log_lost` it tells what orders of ours have made of a share that a log restored from a backup does not know.
    """

    TOPIC: ClassVar[str] = "account.copy_touched"
    IS_DERIVED: ClassVar[bool] = True
    link: LinkId
    source: SourceKey
    what: str
    before: int = 0
    after: int = 0
    reason: Reason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyFinished(Event):
    """A copy came to its end; its source never counts as missing again."""

    TOPIC: ClassVar[str] = "account.copy_finished"
    IS_DERIVED: ClassVar[bool] = True
    link: LinkId
    source: SourceKey
    reason: Reason
