"""The page that explains one decision."""

from __future__ import annotations

import pytest

from cmam.cli.auditing.story import beside


def test_what_a_leader_wrote_into_a_label_reaches_no_terminal_but_as_words(capsys: pytest.CaptureFixture[str]) -> None:
    """It could clear the follower's screen, or write over what stands there."""
    beside("what", 'opened: label "a\x1b[2J\x07b\x9b1Ac", comment "grün 1.5 €"')
    shown = capsys.readouterr().out
    mark = "\N{REPLACEMENT CHARACTER}"
    assert shown.rstrip() == f'  what      opened: label "a{mark}[2J{mark}b{mark}1Ac", comment "grün 1.5 €"'
