"""Signatures with a key of the user's: an SSH signature over a few bytes, which `ssh-keygen -Y verify` checks as well.

Ed25519 only. The key is read for one signature and not kept; what it signs is a head, or the digest of an evidence
pack. Whoever checks needs the public key and neither cmam nor us.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from cmam.config.files import open_to_read
from cmam.store.errors import StoreUnavailable

NAMESPACE = "cmam"
"""What the signature is for: one made for something else does not pass here."""
KIND = b"ssh-ed25519"

KEY_BYTES_MAX = 1_000_000
"""Far more than any key."""
_PEM = b"-----BEGIN PUBLIC KEY-----"
_MAGIC, _HASH = b"SSHSIG", b"sha512"
_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"

Passphrase = Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature that fits what it stands for, and the key that made it: `SHA256:…`, as ssh-keygen prints it."""

    fingerprint: str


def sign(content: bytes, key_file: Path, passphrase: Passphrase | None = None) -> str:
    """Sign bytes with the Ed25519 key in a file; raises StoreUnavailable in a sentence."""
    key = _private(key_file, passphrase)
    blob = _public_blob(key.public_key())
    signature = _string(KIND) + _string(key.sign(_message(content)))
    outer = _MAGIC + (1).to_bytes(4, "big")
    outer += b"".join(map(_string, (blob, NAMESPACE.encode(), b"", _HASH, signature)))
    return "\n".join((_BEGIN, *textwrap.wrap(base64.b64encode(outer).decode(), 70), _END)) + "\n"


def check(content: bytes, signature: str, public: Path | None = None) -> Signed | None:
    """The signature's key, if it is one over these bytes, and, where a public key is given, by that one; else None."""
    expected = _public_file(public) if public is not None else None
    try:
        body = signature.strip().removeprefix(_BEGIN).removesuffix(_END)
        outer = base64.b64decode("".join(body.split()), validate=True)
        if not outer.startswith(_MAGIC + (1).to_bytes(4, "big")):
            return None
        blob, namespace, _, hashed, inner = _strings(outer[len(_MAGIC) + 4 :], 5)
        kind, raw = _strings(blob, 2)
        inner_kind, made = _strings(inner, 2)
        is_ours = (namespace, hashed, kind, inner_kind) == (NAMESPACE.encode(), _HASH, KIND, KIND)
        if not is_ours or (expected is not None and expected != blob):
            return None
        Ed25519PublicKey.from_public_bytes(raw).verify(made, _message(content))
    except (InvalidSignature, ValueError, binascii.Error):
        return None
    return Signed(_fingerprint(blob))


def _fingerprint(blob: bytes) -> str:
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def _message(content: bytes) -> bytes:
    """What is really signed: its purpose and its hash, so that no signature means something else elsewhere."""
    parts = (NAMESPACE.encode(), b"", _HASH, hashlib.sha512(content).digest())
    return _MAGIC + b"".join(map(_string, parts))


def _private(path: Path, passphrase: Passphrase | None) -> Ed25519PrivateKey:
    content = _read(path)
    is_ssh = b"OPENSSH" in content[:64]
    load = serialization.load_ssh_private_key if is_ssh else serialization.load_pem_private_key
    try:
        try:
            key = load(content, None)
        except (TypeError, ValueError) as error:  # how each format says that a passphrase is wanted
            if passphrase is None or "password" not in str(error).lower():
                raise
            key = load(content, passphrase())
    except (TypeError, ValueError, UnsupportedAlgorithm) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise StoreUnavailable(
            f"{path} cannot be used to sign: expected an Ed25519 private key in OpenSSH's or PEM's form ({why}). "
            "`ssh-keygen -t ed25519` makes one."
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise StoreUnavailable(f"{path} cannot be used to sign: expected an Ed25519 key, found another kind.")
    return key


def _public_file(path: Path) -> bytes:
    """The public side of a key, in either form in which the private side may sign."""
    content = _read(path)
    try:
        if content.lstrip().startswith(_PEM):
            key = serialization.load_pem_public_key(content)
            if not isinstance(key, Ed25519PublicKey):
                raise ValueError("another kind of key")
            return _public_blob(key)
        words = content.split()
        blob = base64.b64decode(words[1], validate=True)
        if words[0] != KIND or _strings(blob, 2)[0] != KIND:
            raise ValueError(words[0])
    except (IndexError, ValueError, UnsupportedAlgorithm, binascii.Error) as error:
        raise StoreUnavailable(
            f"{path} is no public Ed25519 key: expected a line that begins with ssh-ed25519, as ssh-keygen writes it, "
            "or PEM, as `openssl pkey -pubout` does."
        ) from error
    return blob


def _read(path: Path) -> bytes:
    try:
        with open_to_read(path) as file:
            return file.read(KEY_BYTES_MAX)
    except OSError as error:
        raise StoreUnavailable(f"The key {path} cannot be read: {error.strerror or error}.") from error


def _public_blob(key: Ed25519PublicKey) -> bytes:
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return _string(KIND) + _string(raw)


def _string(content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + content


def _strings(content: bytes, count: int) -> list[bytes]:
    """So many length-prefixed strings and nothing after them; raises ValueError."""
    found = []
    for _ in range(count):
        size = int.from_bytes(content[:4], "big")
        if len(content) < 4 + size:
            raise ValueError("it ends too early")
        found.append(content[4 : 4 + size])
        content = content[4 + size :]
    if content:
        raise ValueError("it goes on too long")
    return found
