"""An update in the middle of trading: the newest cmam goes on with what an older one has begun.

An older one is this one by the rules of then; what the kept samples say of older forms stands in `tests/samples`.
"""

from __future__ import annotations

import pytest

from cmam.actors.accounts import account
from cmam.domain.events import AlertRaised, ChangeDecided, IntentRecorded, RulesBegan
from cmam.domain.values.rules.newest import RULES
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.store.past.replay import verify
from tests.oracle.gaps import GapDay
from tests.whole import SAME_BROKER, Whole

LOT = 10_000_000


def an_older(monkeypatch: pytest.MonkeyPatch, rules: int) -> None:
    """Whatever starts from now on is a cmam of then."""
    monkeypatch.setattr(account, "RULES", rules)


@pytest.mark.parametrize("rules", [2, 9])
def test_an_order_that_a_person_has_moved_stays_where_he_left_it(monkeypatch: pytest.MonkeyPatch, rules: int) -> None:
    """Its leader had amended his before that, and was followed. An older cmam did not keep what it was told of his
    order; at the first start of a newer one that passed for news, and his price was set again."""
    an_older(monkeypatch, rules)
    whole = Whole(seed=3)
    whole.start_ready()
    order = whole.person.place(model.LIMIT, LOT, price=1.05)
    whole.run(2)
    whole.person.amend_order(order, limitPrice=1.045, volume=LOT)
    whole.run(2)
    (ours,) = whole.person.rests(SAME_BROKER)
    assert ours.limitPrice == 1.045
    whole.person.amend_order(ours.orderId, account=SAME_BROKER, limitPrice=1.04, volume=LOT)
    whole.run(70)
    whole.kill()
    before = [len(whole.events(SAME_BROKER, kind)) for kind in (ChangeDecided, IntentRecorded, AlertRaised)]
    an_older(monkeypatch, RULES)
    whole.start_ready()
    whole.run(70)
    (ours,) = whole.person.rests(SAME_BROKER)
    assert ours.limitPrice == 1.04
    assert [len(whole.events(SAME_BROKER, kind)) for kind in (ChangeDecided, IntentRecorded, AlertRaised)] == before
    whole.person.amend_order(order, limitPrice=1.03, volume=LOT)
    whole.run(5)
    (ours,) = whole.person.rests(SAME_BROKER)
    assert ours.limitPrice == 1.03
    assert [event.rules for event in whole.events(SAME_BROKER, RulesBegan)] == [rules, RULES]
    assert verify(whole.log.read_all()).is_identical


def test_a_day_of_an_older_cmam_goes_on_as_the_newest_rules_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every copy that it had opened is followed through gaps, parts, growth and levels to its end."""
    an_older(monkeypatch, 5)
    day = GapDay(219, 12)
    day.book.begin()
    for _ in range(2):
        day._move()
        day._open()
    day.book.kill()
    an_older(monkeypatch, RULES)
    day.book.start()
    day.book.go(25)
    day.wrong.clear()
    for _ in range(3):
        day._move()
        day.chance.choice(day._acts())()
    while day.held:
        day._close()
    assert day.wrong == []
    assert not any(day.book.held(case.name) for case in day.cases)
    assert verify(day.book.log.read_all()).is_identical
