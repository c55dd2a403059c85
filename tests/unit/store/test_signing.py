"""Signatures with a key of the user's: they fit one content, one key and one purpose, and OpenSSH agrees."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cmam.store.auditing.audit import Audit
from cmam.store.auditing.pack import export_pack
from cmam.store.auditing.pack_check import verify_pack
from cmam.store.errors import StoreBroken, StoreUnavailable
from cmam.store.proof.heads import read_head, signature_path, write_head
from cmam.store.proof.signing import check, sign

from .world import a_day

ENCODING, FORMAT = serialization.Encoding, serialization.PrivateFormat


def a_key(folder: Path, name: str, number: int, *, pem: bool = False, passphrase: bytes | None = None) -> Path:
    """A key of the user's and its public half, as ssh-keygen or openssl would write them."""
    key = Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)
    shut = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    form = FORMAT.PKCS8 if pem else FORMAT.OpenSSH
    (folder / name).write_bytes(key.private_bytes(ENCODING.PEM, form, shut))
    ours, of_pem = key.public_key(), (ENCODING.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    of_ssh = ours.public_bytes(ENCODING.OpenSSH, serialization.PublicFormat.OpenSSH)
    (folder / f"{name}.pub").write_bytes(ours.public_bytes(*of_pem) if pem else of_ssh + b" ann@example\n")
    return folder / name


@pytest.mark.parametrize("pem", [False, True])
def test_a_signature_fits_its_content_and_key_only(tmp_path: Path, pem: bool) -> None:
    """Another content, another key and a turned character are refused."""
    mine, other = a_key(tmp_path, "mine", 1, pem=pem), a_key(tmp_path, "other", 2)
    made = sign(b"12:ab\n", mine)
    signed = check(b"12:ab\n", made, tmp_path / "mine.pub")
    assert signed is not None
    assert signed.fingerprint.startswith("SHA256:")
    assert check(b"12:ac\n", made) is None
    assert check(b"12:ab\n", made, tmp_path / "other.pub") is None
    assert check(b"12:ab\n", sign(b"12:ab\n", other), tmp_path / "mine.pub") is None
    for at in range(40, len(made) - 40, 7):
        turned = made[:at] + ("A" if made[at] != "A" else "B") + made[at + 1 :]
        assert check(b"12:ab\n", turned) is None
    assert check(b"12:ab\n", "") is None


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no ssh-keygen on this machine")
def test_openssh_checks_it_without_us(tmp_path: Path) -> None:
    """Whoever does not trust cmam needs none of it."""
    key = a_key(tmp_path, "mine", 3)
    (tmp_path / "sig").write_text(sign(b"12:ab\n", key))
    (tmp_path / "allowed").write_text("ann " + (tmp_path / "mine.pub").read_text())
    command = ["ssh-keygen", "-Y", "verify", "-f", "allowed", "-I", "ann", "-n", "cmam", "-s", "sig"]
    for content, code in ((b"12:ab\n", 0), (b"12:ac\n", 255)):
        found = subprocess.run(command, cwd=tmp_path, input=content, capture_output=True, check=False)
        assert found.returncode == code, found.stderr


def test_a_key_with_a_passphrase_asks_for_it(tmp_path: Path) -> None:
    """It is asked once, and only where it is needed."""
    asked: list[int] = []

    def answer() -> bytes:
        asked.append(1)
        return b"open sesame"

    key = a_key(tmp_path, "shut", 4, pem=True, passphrase=b"open sesame")
    assert check(b"x", sign(b"x", key, answer)) is not None
    sign(b"x", a_key(tmp_path, "plain", 5), answer)
    assert asked == [1]
    with pytest.raises(StoreUnavailable, match="cannot be used to sign"):
        sign(b"x", key, lambda: b"wrong")


def test_what_is_no_key_is_said_so(tmp_path: Path) -> None:
    """One sentence each: a missing file, a file of something else, another kind of key."""
    (tmp_path / "text").write_text("hello\n")
    other = generate_private_key(SECP256R1())
    pem = other.private_bytes(ENCODING.PEM, FORMAT.PKCS8, serialization.NoEncryption())
    (tmp_path / "ec").write_bytes(pem)
    os.mkfifo(tmp_path / "pipe")  # without a writer, who would be waited for
    (tmp_path / "device").symlink_to("/dev/zero")
    no_key = "expected an Ed25519 private key"
    said_of = {"none": "cannot be read", "text": no_key, "ec": "another kind", "pipe": no_key, "device": "is a device"}
    for name, said in said_of.items():
        with pytest.raises(StoreUnavailable, match=said):
            sign(b"x", tmp_path / name)
    with pytest.raises(StoreUnavailable, match="no public Ed25519 key"):
        check(b"x", sign(b"x", a_key(tmp_path, "mine", 6)), tmp_path / "text")


def test_a_public_key_of_another_kind_is_said_so(tmp_path: Path) -> None:
    """As openssl writes it, and as it leaves it when its disk is full."""
    made = sign(b"12:ab\n", a_key(tmp_path, "mine", 1))
    of_pem = (ENCODING.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    other = generate_private_key(SECP256R1()).public_key().public_bytes(*of_pem)
    for content in (other, other[:60], b""):
        (tmp_path / "other.pub").write_bytes(content)
        with pytest.raises(StoreUnavailable, match="is no public Ed25519 key"):
            check(b"12:ab\n", made, tmp_path / "other.pub")


def test_a_head_in_a_file_is_read_with_its_signature(tmp_path: Path) -> None:
    """A changed head, a changed signature, another signer and a missing signature are each refused."""
    head = a_day().log.log_head()
    mine = a_key(tmp_path, "mine", 7)
    a_key(tmp_path, "other", 8)
    path = tmp_path / "head"
    signer = write_head(path, head, mine)
    assert read_head(path, tmp_path / "mine.pub") == (head, signer)
    with pytest.raises(StoreBroken, match="does not fit"):
        read_head(path, tmp_path / "other.pub")
    path.write_text(path.read_text().replace(":", ":0", 1)[:-2] + "\n")
    with pytest.raises(StoreBroken, match="does not fit"):
        read_head(path)
    assert write_head(path, head, None) is None
    signature_path(path).unlink()
    assert read_head(path) == (head, None)
    with pytest.raises(StoreBroken, match="not signed"):
        read_head(path, tmp_path / "mine.pub")


def test_a_file_that_holds_no_head_or_cannot_be_read_is_said_so(tmp_path: Path) -> None:
    """Another file than the one that was kept, a folder, and a signature that is no text."""
    path = tmp_path / "head"
    path.write_text("my notes\n")
    with pytest.raises(StoreBroken, match="holds no head"):
        read_head(path)
    with pytest.raises(StoreUnavailable, match="cannot be read"):
        read_head(tmp_path)
    signature_path(path).write_bytes(b"\xff")
    with pytest.raises(StoreUnavailable, match="cannot be read"):
        read_head(path)


def test_a_signed_pack_names_its_signer_and_no_other(tmp_path: Path) -> None:
    """The signature stands for the digest, and so for all of it."""
    mine = a_key(tmp_path, "mine", 9)
    a_key(tmp_path, "other", 10)
    path = tmp_path / "day.pack"
    export_pack(Audit.of(a_day().log), path, key=mine)
    assert verify_pack(path).signer.startswith("SHA256:")
    assert verify_pack(path, signer=tmp_path / "mine.pub").is_whole
    assert not verify_pack(path, signer=tmp_path / "other.pub").is_whole
    path.write_text(path.read_text().replace("Main", "Mine", 1))
    assert not verify_pack(path, signer=tmp_path / "mine.pub").is_whole
    export_pack(Audit.of(a_day().log), path)
    assert not verify_pack(path, signer=tmp_path / "mine.pub").is_whole
