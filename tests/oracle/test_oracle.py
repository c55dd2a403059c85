"""What followers hold after drawn days is what the copy rules say, worked out by an oracle that knows no copier."""

from __future__ import annotations

import pytest

from cmam.actors import account
from cmam.store.replay import verify
from tests.oracle.day import Day


@pytest.mark.parametrize("seed", [2, 5, 8, 16])
def test_a_drawn_day_is_copied_as_the_rules_say(seed: int) -> None:
    """Thirty policies, one leader: every open, order, part, growth and level, to the last step and tick."""
    day = Day(seed)
    day.run()
    assert day.wrong == []
    assert verify(day.book.log.read_all()).is_identical


def test_the_oracle_sees_what_is_not_by_the_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """By rules of number 4 large parts stayed open and growth was not cut off: the day of seed 8 has both."""
    monkeypatch.setattr(account, "RULES", 4)
    day = Day(8)
    day.run()
    assert any("grew by" in line for line in day.wrong)
    assert any("reduced from" in line for line in day.wrong)
