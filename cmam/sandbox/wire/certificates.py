"""The sandbox's own certificate authority: made once, kept in the home folder, trusted only where its file is given.

Clients that check certificates (as they should) are handed `ca.pem`; the server's own certificate is issued anew at
each start and never written down. Knows nothing of sockets or messages.
"""

from __future__ import annotations

import errno
import os
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

CA_FILE = "ca.pem"
CA_KEY_FILE = "ca-key.pem"
NAMES_ALWAYS = ("localhost", "127.0.0.1", "::1")
ANY_ADDRESS = frozenset({"0.0.0.0", "::"})
VALID_DAYS = 397
"""Life of the server's certificate from its start: some systems refuse longer ones, whoever signed them."""
NO_FILE = "this is a folder or a device, and no file"
ORGANISATION = "cmam sandbox (for tests only)"


def write_private(path: Path, content: bytes) -> None:
    """Put `content` into `path` in one step, readable by its owner only; where a link leads, it stays one.

    Raises OSError, also where something else than a file stands there: root could put a file in the place of /dev/null.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, NO_FILE, str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def certificate_authority(folder: Path) -> tuple[trustme.CA, Path]:
    """Load the authority kept in `folder`, or make it; gives it and the file that clients are to trust.

    A folder with half of the pair, or with files that do not belong together, gets a new authority: nothing but old
    copies of `ca.pem` depends on it.
    """
    ca_file, key_file = folder / CA_FILE, folder / CA_KEY_FILE
    try:
        return trustme.CA.from_pem(ca_file.read_bytes(), key_file.read_bytes()), ca_file
    except (FileNotFoundError, ValueError):
        authority = trustme.CA(organization_name=ORGANISATION, organization_unit_name="certificate authority")
    for private in (folder.parent, folder):
        private.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(key_file, authority.private_key_pem.bytes())
    write_private(ca_file, authority.cert_pem.bytes())
    return authority, ca_file


def server_context(authority: trustme.CA, bind: str, now_us: int) -> ssl.SSLContext:
    """Make the TLS side of the listeners, valid for localhost, 127.0.0.1, ::1 and the address they are bound to."""
    now = datetime.fromtimestamp(now_us / 1_000_000, tz=UTC)
    names = list(NAMES_ALWAYS)
    if bind not in ANY_ADDRESS and bind not in names:
        names.append(bind)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Nobody resumes here, and a client that reads in one thread while it writes in another without a lock can lose its
    # first message to the tickets that would arrive at that moment.
    context.num_tickets = 0
    authority.issue_cert(
        *names,
        organization_name=ORGANISATION,
        common_name="localhost",
        not_before=now - timedelta(days=1),
        not_after=now + timedelta(days=VALID_DAYS),
    ).configure_cert(context)
    return context
