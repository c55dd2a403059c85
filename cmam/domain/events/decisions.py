"""What was decided for a link on a change of its leader.

A decision names all that it rested on, so that it can be computed again. It does not know how its request fared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cmam.domain.events.values import Event, Goal, Inputs, Step, Wait
from cmam.domain.values.changes import Change
from cmam.domain.values.ids import ChangeKey, LinkId, ProfileId, SourceKey, SymbolId
from cmam.domain.values.quantities import Side, Volume
from cmam.domain.values.reasons import Reason, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesBegan(Event):
    """From here on the account's record is derived by these rules; before the first of these by the oldest, 1."""

    TOPIC: ClassVar[str] = "account.rules_began"
    rules: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRestored(Event):
    """A backup was put in the place of the log, which then ended at `position`: what is found at the next look may be
    of a life of this store of which the log knows nothing."""

    TOPIC: ClassVar[str] = "account.log_restored"
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeDecided(Event):
    """A leader's change met its one decision for a link: copy, skip or none, with all that it rested on.

    `cause_version` and `cause_index` say which event of the leader's stream it was, and which change of that event.
    `working` is the arithmetic down to the last rounding, `not_after_us` the moment after which an open is too late.
    """

    TOPIC: ClassVar[str] = "account.change_decided"
    IS_DERIVED: ClassVar[bool] = True
    link: LinkId
    profile: ProfileId
    change: Change
    cause_version: int
    cause_index: int
    settings_version: int
    verdict: Verdict
    reason: Reason | None = None
    volume: Volume = Volume(0)
    symbol: SymbolId | None = None
    side: Side | None = None
    goal: Goal | None = None
    working: tuple[Step, ...] = ()
    inputs: Inputs = Inputs()
    not_after_us: int = 0
    wait: Wait | None = None
    wait_until_us: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptDecided(Event):
    """An open that had to wait was looked at again, and now goes out, waits on or ends.

    It belongs to the change that was decided before (`change`); the gates, the size and the levels are those of now.
    """

    TOPIC: ClassVar[str] = "account.attempt_decided"
    IS_DERIVED: ClassVar[bool] = True
    link: LinkId
    source: SourceKey
    change: ChangeKey
    wait: Wait
    settings_version: int
    verdict: Verdict
    reason: Reason | None = None
    volume: Volume = Volume(0)
    goal: Goal | None = None
    working: tuple[Step, ...] = ()
    not_after_us: int = 0
