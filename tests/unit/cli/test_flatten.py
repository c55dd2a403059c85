"""What `flatten` tells to type next is what opens the same again, typed as it stands."""

from __future__ import annotations

import shlex

import pytest

from cmam.cli.running.flatten import _words
from cmam.cli.running.target import one_target


@pytest.mark.parametrize(
    ("profile", "account", "everything"),
    [("main", None, False), ("my day trades", None, False), (None, "Alpha Markets:9000002", False), (None, None, True)],
)
def test_the_target_can_be_typed_again(profile: str | None, account: str | None, everything: bool) -> None:
    """A name with blanks was told as several words, which another command refuses."""
    typed = shlex.split(_words(one_target(profile, account, everything)))
    if profile is not None:
        assert typed == [profile]
    else:
        assert typed == (["--account", account] if account is not None else ["--all"])
