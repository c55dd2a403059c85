"""Which accounts there are, and the way to the API.

No secret stands in them: a grant or an application is named by its keyed fingerprint.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from cmam.domain.events.values import Event
from cmam.domain.values.ids import AccountId


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiConfigured(Event):
    """The way to the API was configured. Credentials appear by keyed fingerprint only."""

    TOPIC: ClassVar[str] = "app.api_configured"
    settings: Mapping[str, str]
    application: str = ""
    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountAdded(Event):
    """An account became known, or what is known of it changed. `grant` is the fingerprint of the consent to it."""

    TOPIC: ClassVar[str] = "app.account_added"
    account: AccountId
    login: int = 0
    broker: str = ""
    is_live: bool = False
    can_trade: bool = True
    grant: str = ""
    currency: str = ""
    account_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountAliased(Event):
    """An account got a name of its owner's choice; empty takes it away."""

    TOPIC: ClassVar[str] = "app.account_aliased"
    account: AccountId
    alias: str
    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountTagged(Event):
    """An account's tags are now these."""

    TOPIC: ClassVar[str] = "app.account_tagged"
    account: AccountId
    tags: tuple[str, ...]
    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountPaused(Event):
    """An account takes no opens until it is resumed."""

    TOPIC: ClassVar[str] = "app.account_paused"
    account: AccountId
    paused: bool
    reason: str = ""
    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRemoved(Event):
    """An account is no longer cmam's; its history stays."""

    TOPIC: ClassVar[str] = "app.account_removed"
    account: AccountId
    user: str = ""
