"""What can go wrong between two ends of a connection, as one tree of exceptions.

    WireError
    ├── LocalError        we broke the rules: the caller asked for what the session may not send
    ├── RemoteError       they broke the rules: bytes that are no frame, no envelope, or lack what they must have
    └── CannotConnect     there is no connection: the name, the port, the certificate; has a cure

After a LocalError or a RemoteError of a session, that session is closed. A broker that refuses something broke no rule:
refusals are values (`outcomes.py`), never exceptions. Knows no socket and no message.
"""

from __future__ import annotations

from enum import StrEnum


class WireError(Exception):
    """Something went wrong on the way to the broker or back."""


class LocalError(WireError):
    """We broke the rules of the protocol: a bug of ours, found before it left."""


class RemoteError(WireError):
    """The other side broke the rules of the protocol; nothing that follows can be trusted."""


class ConnectStep(StrEnum):
    """How far a connection had come when it failed, in the order in which a person would check."""

    NAME = "name"
    TRUST = "trust"
    PORT = "port"
    TLS = "tls"


class CannotConnect(WireError):
    """No connection came about. `str()` is one sentence of what failed; `cure` is what to do about it.

    `is_permanent` says that trying again changes nothing before somebody changes a setting.
    """

    def __init__(self, step: ConnectStep, sentence: str, cure: str, *, is_permanent: bool = False) -> None:
        super().__init__(f"{sentence} {cure}")
        self.step = step
        self.sentence = sentence
        self.cure = cure
        self.is_permanent = is_permanent

    @property
    def is_nobody_there(self) -> bool:
        """Whether nobody was met who could be asked too often: no name, or nobody at the port."""
        return self.step in (ConnectStep.NAME, ConnectStep.PORT)
