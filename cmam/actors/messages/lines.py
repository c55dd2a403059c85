"""What a connection is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cmam.domain.values.ids import AccountId


@dataclass(frozen=True, slots=True)
class Arrived:
    """A frame's envelope that the reader did not deliver itself."""

    generation: int
    envelope: Any
    received_us: int


@dataclass(frozen=True, slots=True)
class LeaderArrived(Arrived):
    """One of an account that led when the line came up."""


@dataclass(frozen=True, slots=True)
class AnswersSeen:
    """These came at that moment: the message id and payload type of each answer among what the reader delivers.

    That they came frees slots of the budget, before anybody has read what they say. Refusals are not among them: what
    they forbid is to be known before anything else leaves.
    """

    generation: int
    answers: tuple[tuple[str, int], ...]
    received_us: int
    blocks: int = 0
    """How often the server had blocked a kind of request on this line before."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The reader's connection ended."""

    generation: int
    why: str
    is_permanent: bool = False
    is_nobody_there: bool = False


@dataclass(frozen=True, slots=True)
class Write:
    """Write these to this line, in order: each a `Submit`, an `Ask` or an `Urge`. Told by the limiter only."""

    line: int
    what: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class AccountsWanted:
    """The accounts that this connection shall keep authorised, all of them."""

    accounts: tuple[AccountId, ...]


@dataclass(frozen=True, slots=True)
class AccountRestarted:
    """An account's actor was started again and knows nothing of its session."""

    account: AccountId


@dataclass(frozen=True, slots=True)
class TokensChanged:
    """These accounts have a fresh token: authorise them with it."""

    accounts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class QuotesWanted:
    """An account asks for the quotes of these symbols of its broker's feed."""

    account: AccountId
    feed: str
    symbols: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Begin:
    """Everybody you may speak to has a name now."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Come to an orderly end."""

    reason: str = ""
