"""Which exit code an error of the inner layers is. Each of these errors is one sentence already."""

from __future__ import annotations

from cmam.cli.face.exits import Exit, Failure
from cmam.config.home import HomeRefused
from cmam.config.settings import SettingsInvalid
from cmam.config.token_file import TokensInvalid
from cmam.consent import NothingOpened
from cmam.credentials.loopback import LoopbackRefused
from cmam.credentials.oauth import OAuthRefused, OAuthUnreachable
from cmam.credentials.secrets_file import SecretsRefused
from cmam.domain.operating.asking import Refusal
from cmam.openapi.enquiry import Refused
from cmam.openapi.errors import CannotConnect
from cmam.store.errors import StoreError, StoreHeld

CODES: tuple[tuple[type[Exception], Exit], ...] = (
    (StoreHeld, Exit.HELD),
    (StoreError, Exit.REFUSED),
    (SettingsInvalid, Exit.USAGE),
    (HomeRefused, Exit.REFUSED),
    (TokensInvalid, Exit.USAGE),
    (NothingOpened, Exit.REFUSED),
    (Refused, Exit.REFUSED),
    (SecretsRefused, Exit.REFUSED),
    (OAuthRefused, Exit.REFUSED),
    (OAuthUnreachable, Exit.UNREACHABLE),
    (LoopbackRefused, Exit.REFUSED),
    (CannotConnect, Exit.UNREACHABLE),
)


def code_of(error: Exception) -> Exit | None:
    """The exit code of an error that carries its own sentence; None for one that should not have happened."""
    if isinstance(error, Failure):
        return Exit(error.code)
    if isinstance(error, Refusal):
        return Exit(error.code) if error.code in set(Exit) else Exit.REFUSED
    return next((code for kind, code in CODES if isinstance(error, kind)), None)
