"""Heads kept outside the store, in a file of one line, with a signature of the owner's beside it if wanted."""

from __future__ import annotations

from pathlib import Path

from cmam.store.errors import StoreBroken, StoreUnavailable
from cmam.store.logfile.chain import LogHead, parse_log_head
from cmam.store.logfile.files import new_file
from cmam.store.proof.signing import Passphrase, check, sign

HEAD_BYTES_MAX = 4_096
"""A head is one line of some eighty characters: more than this is another file, however large."""


def signature_path(path: Path) -> Path:
    """Where the signature of a head's file lies."""
    return path.with_name(path.name + ".sig")


def write_head(path: Path, head: LogHead, key: Path | None, passphrase: Passphrase | None = None) -> str | None:
    """Write a head to a file, signed where a key is given; answers the key's fingerprint."""
    content = f"{head}\n".encode()
    signature = sign(content, key, passphrase) if key is not None else None
    with new_file(path) as fresh:
        fresh.write_bytes(content)
    if signature is None:
        return None
    with new_file(signature_path(path)) as fresh:
        fresh.write_text(signature, encoding="ascii")
    signed = check(content, signature)
    assert signed is not None
    return signed.fingerprint


def read_head(path: Path, signer: Path | None = None) -> tuple[LogHead, str | None]:
    """A head from its file and who signed it, if anybody did.

    Raises StoreBroken where a signature beside it does not fit, or, with `signer`, is not by that key or not there.
    """
    try:
        with path.open("rb") as file:
            content = file.read(HEAD_BYTES_MAX)
        beside = signature_path(path)
        signature = beside.read_text(encoding="ascii") if beside.exists() else None
    except (OSError, UnicodeDecodeError) as error:
        raise StoreUnavailable(f"The head {path} cannot be read: {error}.") from error
    try:
        head = parse_log_head(content.decode(errors="replace"))
    except ValueError as error:
        raise StoreBroken(f"{path} holds no head: {error}.") from None
    if signature is None:
        if signer is not None:
            raise StoreBroken(f"{path} is not signed: expected its signature in {beside}.")
        return head, None
    signed = check(content, signature, signer)
    if signed is None:
        by = f" by the key of {signer}" if signer is not None else ""
        raise StoreBroken(
            f"The signature {beside} does not fit {path}{by}: one of them was changed, or another signed."
        )
    return head, signed.fingerprint
