"""What `cmam start` does around the running system: the last line of defence for secrets in log lines."""

from __future__ import annotations

import logging

import pytest

from cmam.cli.run import _Masked

TOKEN = "an-access-token-of-somebody"


@pytest.mark.parametrize(
    ("text", "args", "shown"),
    [
        (f"sent {TOKEN}", (), "sent ••••"),
        ("sent %s twice: %s", (TOKEN, TOKEN), "sent •••• twice: ••••"),
        ("%r of %d", ({"token": TOKEN}, 7), "{'token': '••••'} of 7"),
        ("short words stay: %s", ("ab",), "short words stay: ab"),
        ("100% of nothing", (), "100% of nothing"),
    ],
)
def test_a_secret_leaves_a_log_line_as_a_mask(text: str, args: tuple[object, ...], shown: str) -> None:
    """Wherever it stands, in the text or in what is put into it; a secret of a few letters would mask half of all."""
    record = logging.LogRecord("cmam", logging.INFO, "", 0, text, args, None)
    assert _Masked((TOKEN, "ab")).filter(record)
    assert record.getMessage() == shown
