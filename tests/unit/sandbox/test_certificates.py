"""The sandbox's own authority: kept, private, and made anew when it is damaged."""

from __future__ import annotations

import contextlib
import os
import ssl
import time
from pathlib import Path
from typing import Any

import pytest

from cmam.clock import SystemClock
from cmam.sandbox.wire.certificates import CA_KEY_FILE, certificate_authority, server_context, write_private


def test_the_authority_is_kept_and_the_certificate_covers_this_machine(tmp_path: Path) -> None:
    """A second start trusts what the first one handed out; a damaged pair is made anew."""
    first, ca_file = certificate_authority(tmp_path / "home" / "sandbox")
    again, _ = certificate_authority(tmp_path / "home" / "sandbox")
    assert first.cert_pem.bytes() == again.cert_pem.bytes() == ca_file.read_bytes()
    assert ca_file.parent.stat().st_mode & 0o077 == 0
    assert (ca_file.parent / CA_KEY_FILE).stat().st_mode & 0o077 == 0
    (ca_file.parent / CA_KEY_FILE).write_text("damaged")
    renewed, _ = certificate_authority(tmp_path / "home" / "sandbox")
    assert renewed.cert_pem.bytes() != first.cert_pem.bytes()


def test_the_servers_certificate_is_young_and_names_every_way_to_this_machine(tmp_path: Path) -> None:
    """Systems that refuse certificates of more than 398 days take it, under each name and address."""
    authority, _ = certificate_authority(tmp_path)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    server = server_context(authority, "127.0.0.9", SystemClock().now())
    for name in ("localhost", "127.0.0.1", "::1", "127.0.0.9"):
        shown = handshake(server, client, name)
        born, dies = (ssl.cert_time_to_seconds(str(shown[key])) for key in ("notBefore", "notAfter"))
        assert dies - born <= 398 * 86_400
        assert born < time.time() < dies
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server, client, "127.0.0.8")


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> dict[str, Any]:
    """Shake hands in memory; gives the certificate that the client saw."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(to_client, to_server, server_hostname=name)
    answering = server.wrap_bio(to_server, to_client, server_side=True)
    for side in (asking, answering, asking, answering):
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()
    found = asking.getpeercert()
    assert found
    return dict(found)


def test_what_is_no_file_is_left_as_it_is_and_a_link_stays_one(tmp_path: Path) -> None:
    """`--ready-file /dev/null` as root must not take that from the whole machine; a state lies where its link leads."""
    pipe, link, far = tmp_path / "pipe", tmp_path / "link", tmp_path / "far"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="no file"):
        write_private(pipe, b"new")
    assert pipe.is_fifo()
    far.write_bytes(b"old")
    link.symlink_to(far)
    write_private(link, b"new")
    assert link.is_symlink()
    assert far.read_bytes() == b"new"
    assert sorted(tmp_path.iterdir()) == [far, link, pipe]
