"""A broker changes what it says of a symbol while nobody listens: cmam is down, or the line is cut."""

from __future__ import annotations

import pytest

from cmam.actors import messages as m
from cmam.actors.accounts.account import AccountActor
from cmam.actors.asking.preparation import Kind
from cmam.domain.events import ChangeDecided
from cmam.domain.values.reasons import Reason
from tests.whole import SAME_BROKER, Whole

LOT = 10_000_000


@pytest.mark.parametrize("gap", ["restart", "cut"])
def test_a_symbol_that_changed_out_of_sight_is_met_as_it_is_now(gap: str) -> None:
    """No event comes twice: what was read before the gap is read again, and opens wait for a person's word."""
    whole = Whole(seed=1)
    whole.start_ready()
    whole.person.buy(LOT)
    whole.run(2)
    assert len(whole.person.holds(SAME_BROKER)) == 1
    if gap == "restart":
        whole.kill()
    else:
        whole.stepper.network.cut_all()
    whole.broker.set_fault("symbol", {"broker": "Alpha Markets", "symbol": "EURUSD", "set": "step_volume=1000000"})
    if gap == "restart":
        whole.start_ready()
    whole.run(30)
    whole.person.buy(LOT)
    whole.run(2)
    last = whole.events(SAME_BROKER, ChangeDecided)[-1]
    assert (last.reason, len(whole.person.holds(SAME_BROKER))) == (Reason.SYMBOL_CHANGED, 1)


def test_a_symbol_that_changes_while_the_books_are_compared_is_read_afterwards() -> None:
    """The word of it comes in the middle of the look of once a minute: it is not lost for that."""
    whole = Whole(seed=1)
    whole.start_ready()
    whole.person.buy(LOT)
    whole.run(2)
    account = whole.stepper.directory.actor(m.account_name(SAME_BROKER))
    assert isinstance(account, AccountActor)
    account._questions.prepare(Kind.REFRESH)
    whole.broker.set_fault("symbol", {"broker": "Alpha Markets", "symbol": "EURUSD", "set": "step_volume=1000000"})
    whole.run(5)
    whole.person.buy(LOT)
    whole.run(2)
    assert whole.events(SAME_BROKER, ChangeDecided)[-1].reason is Reason.SYMBOL_CHANGED


def test_a_change_of_one_symbol_lets_no_open_in_another_wait() -> None:
    """The account looks at everything once more: what was known on this line is known still, its worth too."""
    whole = Whole(seed=1)
    whole.start_ready()
    whole.run(5)
    whole.broker.set_fault("error", {"type": "2121", "code": "BLOCKED_PAYLOAD_TYPE", "account": str(SAME_BROKER)})
    whole.broker.set_fault("symbol", {"broker": "Alpha Markets", "symbol": "GBPUSD", "set": "step_volume=1000000"})
    whole.stepper.network.collect()
    whole.person.buy(LOT)
    whole.run(2)
    assert [(told.wait, told.inputs.reading) for told in whole.events(SAME_BROKER, ChangeDecided)] == [(None, False)]
    assert len(whole.person.holds(SAME_BROKER)) == 1
