"""What a person is told of what a broker lets a follower do no longer, before anything has to be skipped for it."""

from __future__ import annotations

import pytest

from cmam.domain.belief import limits
from tests.person import LEADER
from tests.whole import SAME_BROKER, Whole

LOT = 10_000_000


def told(whole: Whole, account: int, kind: str) -> list[str]:
    """What `status` shows of such limits on an account."""
    view = whole.view(account)
    assert view is not None
    return [text for known, text in view.alerts.items() if known == kind]


def let(whole: Whole, incident: str, **given: str) -> None:
    """Let the broker do something, and everybody hear of it."""
    whole.broker.set_fault(incident, given)
    whole.stepper.network.collect()
    whole.run(3)


@pytest.mark.parametrize(
    ("rights", "words"), [("CLOSE_ONLY", "close, and open nothing"), ("NO_TRADING", "trade nothing")]
)
def test_an_account_that_may_open_nothing_is_named_until_it_may(rights: str, words: str) -> None:
    """On a follower, also where it happened while nobody looked; a leader of whom nothing is asked is left alone."""
    whole = Whole(seed=3)
    whole.start_ready()
    let(whole, "access", account=str(LEADER), rights=rights)
    let(whole, "access", account=str(SAME_BROKER), rights=rights)
    (text,) = told(whole, SAME_BROKER, limits.RIGHTS)
    assert words in text
    assert not told(whole, LEADER, limits.RIGHTS)
    whole.kill()
    whole.broker.set_fault("access", {"account": str(SAME_BROKER), "rights": "FULL_ACCESS"})
    whole.start_ready()
    whole.run(3)
    assert not told(whole, SAME_BROKER, limits.RIGHTS)
    whole.kill()
    whole.broker.set_fault("access", {"account": str(SAME_BROKER), "rights": rights})
    whole.start_ready()
    whole.run(3)
    assert told(whole, SAME_BROKER, limits.RIGHTS) == [text]


def test_symbols_that_have_changed_are_named_until_they_are_confirmed() -> None:
    """With the command that does it, as it stands in the alert."""
    whole = Whole(seed=1)
    whole.start_ready()
    whole.person.buy(LOT)
    whole.run(2)
    let(whole, "symbol", broker="Alpha Markets", symbol="EURUSD", set="step_volume=1000000")
    (text,) = told(whole, SAME_BROKER, limits.SYMBOLS)
    assert text.endswith("until `cmam account confirm-symbol 41000002 EURUSD`.")
    refused = whole.command({"command": "symbol.confirm", "account": str(SAME_BROKER), "symbol": "EUR"})
    assert str(refused["error"]).endswith("has no symbol 'EUR'; changed there and not confirmed: EURUSD")
    whole.command({"command": "symbol.confirm", "account": str(SAME_BROKER), "symbol": "EURUSD"})
    refused = whole.command({"command": "symbol.confirm", "account": str(SAME_BROKER), "symbol": "eurusd.b"})
    assert "; like it there: EURUSD" in str(refused["error"])
    whole.run(1)
    assert not told(whole, SAME_BROKER, limits.SYMBOLS)
    whole.person.buy(LOT)
    whole.run(2)
    assert len(whole.person.holds(SAME_BROKER)) == 2
