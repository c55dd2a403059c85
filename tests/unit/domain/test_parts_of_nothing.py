"""Guards whose percentage is of nothing: an account without money, or one whose gains were taken out."""

from __future__ import annotations

import pytest

from cmam.domain.events import ExecutionSeen, RulesBegan
from cmam.domain.guarding.guards import Memory, out_of_reach, watch
from cmam.domain.values.reasons import Reason, Verdict
from cmam.domain.values.trades import BalanceChange, ExecutionKind
from tests.factories import LINK, LOT, Pair, a_view, some_settings


class Watched(Pair):
    """A pair whose guards are looked at; `tripped` are those that did, each with its limit."""

    def looks(self) -> list[tuple[str, int]]:
        """Look long enough for a trigger to be confirmed, and record what is found."""
        memory, tripped = Memory(), []
        for _ in range(3):
            found = watch(self.view, (self.link,), self.quote, memory, self.now_us)
            memory = found.memory
            for fact in found.facts:
                self.fact(fact)
                tripped += [(fact.guard, fact.limit)] if hasattr(fact, "limit") else []
            self.now_us += 500_000
        return tripped

    def moves(self, cents: int) -> None:
        """Money comes, or goes."""
        balance, version = self.view.balance + cents, self.view.balance_version + 1
        name = "deposit" if cents > 0 else "withdraw"
        change = BalanceChange(operation=name, delta=cents, balance=balance, balance_version=version)
        self.fact(ExecutionSeen(kind=ExecutionKind.DEPOSIT_WITHDRAW, balance=change))


GUARDS = ("daily_loss", "daily_drawdown", "daily_target", "total_loss", "trailing_drawdown")


@pytest.mark.parametrize("guard", GUARDS)
def test_an_account_without_money_locks_nothing_and_opens_nothing(guard: str) -> None:
    """5% of nothing is no limit: it was 0, which a loss of 0 reached, and after the first deposit nothing was copied
    until somebody re-armed. With 10,000 paid in it is 500."""
    pair = Watched({guard: "5%", "margin_reserve": "off"}, view=a_view(balance=0))
    assert pair.looks() == []
    refused = pair.opens()
    assert (refused.reason, refused.working[-1].name) == (Reason.EQUITY_UNKNOWN, guard)
    pair.moves(1_000_000)
    assert pair.looks() == []
    assert pair.tell(pair.change(source="p2")).verdict is Verdict.COPY
    pair.answer()
    pair.quotes["EURUSD"] = ("1.10600", "1.10602") if guard == "daily_target" else ("1.09400", "1.09402")
    assert pair.looks() == [(guard, 50_000)]


@pytest.mark.parametrize("guard", GUARDS)
def test_gains_that_are_taken_out_close_nothing(guard: str) -> None:
    """1,000 at first, 10,000 by now, of which 9,000 are taken out: the initial balance counts -8,000, and 10% of that
    is no limit. It was -800, which every loss and every gain had reached: all copies were closed."""
    settings = {guard: "10%", "guard.percent_of": "initial", "guard.initial": "1000", "margin_reserve": "off"}
    pair = Watched({**settings, "volume.amount": "0.01"})
    pair.looks()
    assert pair.opens().verdict is Verdict.COPY
    pair.answer()
    pair.moves(-900_000)
    assert (pair.view.days[LINK].initial, pair.looks()) == (-800_000, [])
    refused = pair.tell(pair.change(source="p2"))
    assert (refused.reason, refused.working[-1].value) == (Reason.EQUITY_UNKNOWN, "-8000.00")
    pair.link = some_settings({**settings, "guard.initial": "1050"})
    assert pair.looks() == []
    assert pair.tell(pair.change(source="p3")).verdict is Verdict.COPY


def test_a_limit_below_the_smallest_money_is_that() -> None:
    """A tenth of a cent counts as one: nothing is lost yet, and a copy that stands at a loss of its spread trips."""
    pair = Watched({"daily_loss": "0.001"})
    assert pair.looks() == []
    pair.opens(LOT // 100)
    pair.answer()
    assert pair.looks() == [("daily_loss", 1)]


def test_older_records_opened_all_the_same() -> None:
    """What was decided before stays as it was."""
    pair = Watched({"total_loss": "5%", "margin_reserve": "off"}, view=a_view(balance=0))
    pair.looks()
    pair.fact(RulesBegan(rules=14))
    assert pair.opens().verdict is Verdict.COPY


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"total_loss": "500"}, [("total_loss", -800_000, -850_000)]),
        ({"total_loss": "5%"}, []),
        ({"trailing_drawdown": "500", "guard.stop_at_initial": "on"}, [("trailing_drawdown", -800_000, -800_000)]),
        ({"trailing_drawdown": "500"}, []),
        ({"daily_loss": "500"}, []),
    ],
)
def test_a_guard_that_sank_with_gains_that_were_taken_out_is_named(
    settings: dict[str, str], told: list[tuple[str, int, int]]
) -> None:
    """1,000 at first, 9,000 of 10,000 taken out: by the rule it holds at -8,500, which is nowhere. Who names another
    initial balance hears no more of it; of a percentage an open that is skipped tells."""
    pair = Watched({**settings, "guard.initial": "1000"})
    pair.looks()
    assert out_of_reach(pair.view, pair.link) == ()
    pair.moves(-900_000)
    assert list(out_of_reach(pair.view, pair.link)) == told
    pair.link = some_settings({**settings, "guard.initial": "1050"})
    pair.looks()
    assert out_of_reach(pair.view, pair.link) == ()
