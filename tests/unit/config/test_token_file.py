"""Tokens that a script brings."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from cmam.config.token_file import TokensInvalid, read_application, read_tokens


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


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_file_that_an_editor_on_windows_saved_is_read(tmp_path: Path, mark: str) -> None:
    """The byte order mark is no part of the JSON, nor of a secret that stands alone."""
    path = tmp_path / "given"
    path.write_text(f'{mark}{{"access_token": "a-token"}}\r\n', encoding="utf-8", newline="")
    assert read_tokens(path)[0].access.reveal() == "a-token"
    path.write_text(f"{mark}the-secret\r\n", encoding="utf-8", newline="")
    assert read_application(path).client_secret.reveal() == "the-secret"
    path.write_text(f'{mark}{{"client_id": "1", "client_secret": "s"}}', encoding="utf-8")
    assert read_application(path).client_secret.reveal() == "s"


@pytest.mark.parametrize("content", ['[{"access_token": "a"}]', '"quoted"', "x" * 1_001, "\x00" * 100, "two words", ""])
def test_another_file_does_not_take_the_place_of_the_secret(tmp_path: Path, content: str) -> None:
    """What was kept before would be lost with it, and the good secret stands on the provider's page alone."""
    path = tmp_path / "given"
    path.write_text(content)
    with pytest.raises(TokensInvalid, match="Expected a client secret on the first line"):
        read_application(path)


@pytest.mark.parametrize(
    ("content", "found"), [("", "nothing there"), ("x" * 2_000, "more than 1000 characters"), ("a b", "something else")]
)
def test_what_stands_in_place_of_a_secret_is_named_and_not_quoted(tmp_path: Path, content: str, found: str) -> None:
    """A file of one long line is not an empty one."""
    path = tmp_path / "given"
    path.write_text(content)
    with pytest.raises(TokensInvalid, match=f"found {found}"):
        read_application(path)


@pytest.mark.parametrize("sent", ["the-secret\n", '{"client_id": "1", "client_secret": "the-secret"}'])
def test_a_pipe_is_read_to_its_end_and_one_without_a_writer_not_waited_for(tmp_path: Path, sent: str) -> None:
    """`--secret-file <(pass show spotware)` is a way to give a secret, alone or as JSON: what a pipe brings comes once.
    A pipe that was left behind is an empty file."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(TokensInvalid, match="found nothing there"):
        read_application(pipe)
    reads, writes = os.pipe()
    os.write(writes, sent.encode())
    os.close(writes)
    try:
        assert read_application(Path(f"/dev/fd/{reads}")).client_secret.reveal() == "the-secret"
    finally:
        os.close(reads)
