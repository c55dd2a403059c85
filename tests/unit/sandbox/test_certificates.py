"""The sandbox's own authority: kept, private, and made anew when it is damaged."""

from __future__ import annotations

from pathlib import Path

from cmam.sandbox.certificates import CA_KEY_FILE, certificate_authority


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
