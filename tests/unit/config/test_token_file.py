"""Tokens that a script brings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cmam.config.token_file import TokensInvalid, read_tokens


@pytest.mark.parametrize(("name", "value"), [("expires_in", 10**18), ("expires_in", -1), ("expires_at", 1e300)])
def test_an_end_that_no_token_has_is_refused_in_one_sentence(tmp_path: Path, name: str, value: float) -> None:
    """Kept, it would end every list of accounts that shows it."""
    path = tmp_path / "tokens.json"
    path.write_text(json.dumps({"access_token": "a-token", name: value}))
    with pytest.raises(TokensInvalid, match="expires_at as ISO 8601") as refused:
        read_tokens(path)
    assert "a-token" not in str(refused.value)


def test_a_life_of_a_month_is_taken(tmp_path: Path) -> None:
    """As the provider's own answer says it."""
    path = tmp_path / "tokens.json"
    path.write_text(json.dumps({"accessToken": "a-token", "expiresIn": 2_628_000}))
    (given,) = read_tokens(path)
    assert given.expires_in_s == 2_628_000
