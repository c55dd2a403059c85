"""What the operator, the keeper of the tokens and the supervisor are told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cmam.actors.messages.accounts import Record


@dataclass(frozen=True, slots=True)
class Operate:
    """A command of a person, with where its answer goes. Told by the control listener."""

    request: dict[str, Any]
    answer: Callable[[dict[str, Any]], None] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Alert:
    """To an account: raise this alert, or heal it where there is no text."""

    kind: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class StoreDown:
    """The store does not take what it is given; nothing that adds risk may leave."""

    why: str


@dataclass(frozen=True, slots=True)
class StoreUp:
    """The store has taken all that waited."""


@dataclass(frozen=True, slots=True)
class NotFoldedBack:
    """What is recorded stays beside the store's file, which does not take it; `why` is empty once it does again."""

    why: str


@dataclass(frozen=True, slots=True)
class StreamUnread:
    """What an account is to go on from cannot be read; `why` is empty once it can."""

    stream: str
    why: str


@dataclass(frozen=True, slots=True)
class TokenDead:
    """The server does not take this account's token; `again`: nor has it since it last did not."""

    account: int
    again: bool = False


@dataclass(frozen=True, slots=True)
class Refresh:
    """Get new tokens now for every consent that opens one of these accounts; `answer` hears what came of it."""

    accounts: tuple[int, ...]
    answer: Callable[[dict[str, Any]], None] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reload:
    """The secrets were changed by a command: read them again."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """An actor has come to its orderly end."""

    name: str


@dataclass(frozen=True, slots=True)
class Ordered:
    """To the supervisor: hand this order on to an account, at once or as soon as it is there again."""

    name: str
    order: Record


@dataclass(frozen=True, slots=True)
class SetAside:
    """What is known of a message that an account must not take again: its name, itself, and what it did."""

    name: str
    content: str = field(repr=False)
    error: str
    tries: int
