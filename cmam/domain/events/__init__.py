"""Every fact that the store keeps, in the past tense, each kind in the room of what it is about.

Events are frozen, slotted dataclasses that know no store: `store/logfile/log.py` wraps, chains and writes them. `TOPIC`
is the name under which an event is stored for ever; an event is never edited, only succeeded, and new fields have
defaults. Fields are int, str, bool, Enum, NewType of these, tuple, nested dataclass, `| None` and mappings with sorted
keys.

A stream of an account alternates between *inputs* (what the broker or the timer said) and what was *derived* from them
(decisions, intents, outcomes). Derived events follow the input they came from, so that a replay can compute them again.

Everybody imports from here. An event that is not named here does not exist for the store: a test holds that all are.
"""

# ruff: noqa: I001, RUF022 - rooms and names stand in the order in which documents show them: that of their declaration

from __future__ import annotations

from cmam.domain.events.values import (
    Event,
    Step,
    Terms,
    Goal,
    Standing,
    Inputs,
    Wait,
)
from cmam.domain.events.broker import (
    Health,
    HealthChanged,
    TraderSeen,
    AssetName,
    SymbolListSeen,
    SymbolSpecSeen,
    ExecutionSeen,
    RequestRefused,
    TrailingStopMoved,
    Reconciled,
    ClosesSeen,
    LeverageTier,
    LeverageSeen,
    ExpectedMargin,
    MarginSeen,
    PositionResult,
    ResultsSeen,
    DayHistorySeen,
    QuotesSampled,
)
from cmam.domain.events.decisions import (
    RulesBegan,
    LogRestored,
    ChangeDecided,
    AttemptDecided,
)
from cmam.domain.events.intents import (
    IntentRecorded,
    IntentSent,
    IntentDropped,
    IntentOverdue,
    Outcome,
    IntentSettled,
)
from cmam.domain.events.copies import (
    CopyOverdue,
    CopyWoken,
    CopiesReleased,
    CopyAdopted,
    CopyRebuilt,
    StopOutSeen,
    CopyTouched,
    CopyFinished,
)
from cmam.domain.events.guards import (
    GuardDayBegan,
    EquityPeaked,
    GuardInitialNamed,
    GuardTripped,
    GuardRearmed,
    FlattenRequested,
    SymbolConfirmed,
)
from cmam.domain.events.findings import (
    FindingKind,
    Remedy,
    Finding,
    FindingsMade,
    AlertRaised,
    MessageSetAside,
    AlertHealed,
)
from cmam.domain.events.profiles import (
    ProfileCreated,
    LinkAdded,
    LinkSettingsChanged,
    LinkRemoved,
    ProfileState,
    ProfileStateChanged,
    ProfileSettingsChanged,
    ProfileRenamed,
    ProfileDeleted,
)
from cmam.domain.events.accounts import (
    ApiConfigured,
    AccountAdded,
    AccountAliased,
    AccountTagged,
    AccountPaused,
    AccountRemoved,
)
from cmam.domain.events.system import (
    StoreCreated,
    SystemStarted,
    SystemStopped,
    ActorRestarted,
    ActorStuck,
    Checkpointed,
)
from cmam.domain.events.connections import (
    ConnectionUp,
    ConnectionDown,
    MessageUnreadable,
    RequestsBlocked,
    LimiterMeasured,
)

__all__ = [
    "Event",
    "Step",
    "Terms",
    "Goal",
    "Standing",
    "Inputs",
    "Wait",
    "Health",
    "HealthChanged",
    "TraderSeen",
    "AssetName",
    "SymbolListSeen",
    "SymbolSpecSeen",
    "ExecutionSeen",
    "RequestRefused",
    "TrailingStopMoved",
    "Reconciled",
    "ClosesSeen",
    "LeverageTier",
    "LeverageSeen",
    "ExpectedMargin",
    "MarginSeen",
    "PositionResult",
    "ResultsSeen",
    "DayHistorySeen",
    "QuotesSampled",
    "RulesBegan",
    "LogRestored",
    "ChangeDecided",
    "AttemptDecided",
    "IntentRecorded",
    "IntentSent",
    "IntentDropped",
    "IntentOverdue",
    "Outcome",
    "IntentSettled",
    "CopyOverdue",
    "CopyWoken",
    "CopiesReleased",
    "CopyAdopted",
    "CopyRebuilt",
    "StopOutSeen",
    "CopyTouched",
    "CopyFinished",
    "GuardDayBegan",
    "EquityPeaked",
    "GuardInitialNamed",
    "GuardTripped",
    "GuardRearmed",
    "FlattenRequested",
    "SymbolConfirmed",
    "FindingKind",
    "Remedy",
    "Finding",
    "FindingsMade",
    "AlertRaised",
    "MessageSetAside",
    "AlertHealed",
    "ProfileCreated",
    "LinkAdded",
    "LinkSettingsChanged",
    "LinkRemoved",
    "ProfileState",
    "ProfileStateChanged",
    "ProfileSettingsChanged",
    "ProfileRenamed",
    "ProfileDeleted",
    "ApiConfigured",
    "AccountAdded",
    "AccountAliased",
    "AccountTagged",
    "AccountPaused",
    "AccountRemoved",
    "StoreCreated",
    "SystemStarted",
    "SystemStopped",
    "ActorRestarted",
    "ActorStuck",
    "Checkpointed",
    "ConnectionUp",
    "ConnectionDown",
    "MessageUnreadable",
    "RequestsBlocked",
    "LimiterMeasured",
]
