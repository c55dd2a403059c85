"""Accounts of limited risk, where each order needs a guaranteed stop of its own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.events import AttemptDecided
from cmam.domain.values.changes import ChangeKind
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.ids import OrderId, PositionId, position_source
from cmam.domain.values.quantities import Side, Volume
from cmam.domain.values.reasons import Reason
from cmam.domain.values.rules.nets import GIVEN_UP_GUARANTEED
from cmam.domain.values.rules.newest import RULES
from cmam.domain.values.rules.opens import LIMITED_IN_ONE
from cmam.domain.values.symbols import SymbolSpec
from cmam.domain.values.trades import AccountType
from tests.factories import LOT, Pair, a_spec, a_view, price


def _limited(rules: int = RULES, spec: SymbolSpec | None = None, **settings: str) -> Pair:
    """A pair whose follower is of limited risk."""
    named = {key.replace("__", "."): value for key, value in settings.items()}
    view = a_view((spec,), limited_risk=True) if spec is not None else a_view(limited_risk=True)
    return Pair(named, view=replace(view, rules=rules))


@pytest.mark.parametrize("rules", [RULES, LIMITED_IN_ONE - 1])
def test_what_one_order_may_not_have_is_cut_off(rules: int) -> None:
    """Half a lot is the most of one order: no other part can be added, so that the copy is half of the leader's from
    its decision on. The rest was a skip of its own, a moment later."""
    pair = _limited(rules, a_spec(max_volume=Volume(LOT // 2)), volume__rounding="skip,split")
    decided = pair.opens(stop=price("1.09"))
    pair.answer()
    pair.passes(2_000_000)
    assert (len(pair.commands), pair.copy.volume) == (1, LOT // 2)
    assert [step.name for step in decided.working if step.name in ("capped", "split")][-1] == (
        "capped" if rules == RULES else "split"
    )
    skipped = [event.reason for event, _ in pair.said if isinstance(event, AttemptDecided)]
    assert skipped == ([] if rules == RULES else [Reason.STOP_REQUIRED])
    pair.reduces(LOT, LOT // 2)
    pair.answer()
    assert pair.copy.volume == LOT // 4


@pytest.mark.parametrize("rules", [RULES, LIMITED_IN_ONE - 1])
def test_what_is_cut_off_counts_in_no_cap(rules: int) -> None:
    """0.6 lots are the most in the symbol, and 0.5 are opened: that is no skip for the lot that was never to be."""
    pair = _limited(rules, a_spec(max_volume=Volume(LOT // 2)), volume__rounding="skip,split", max_lots_symbol="0.6")
    decided = pair.opens(stop=price("1.09"))
    assert decided.reason is (None if rules == RULES else Reason.MAX_LOTS)


@pytest.mark.parametrize("rules", [RULES, GIVEN_UP_GUARANTEED - 1])
def test_what_a_share_gives_up_against_its_net_carries_a_stop(rules: int) -> None:
    """Two lots bought and one sold: as the sell is closed, one is bought, with the stop of the buys. Below their
    average by 0.01, which is farther than the 0.005 that is the least."""
    spec = a_spec(gsl_distance=500)
    pair = Pair(
        view=replace(a_view((spec,), balance=10_000_000, kind=AccountType.NETTED, limited_risk=True), rules=rules)
    )
    for number, volume, side, stop in ((1, 2 * LOT, Side.BUY, "1.09"), (2, LOT, Side.SELL, "1.11")):
        pair.tell(
            pair.change(
                source=position_source(PositionId(number)),
                position=PositionId(number),
                origin=OrderId(number),
                side=side,
                volume=Volume(volume),
                after=Volume(volume),
                stop=price(stop),
            )
        )
        pair.answer(at="1.1")
    source = position_source(PositionId(2))
    pair.tell(
        pair.change(
            ChangeKind.CLOSED,
            source=source,
            position=PositionId(2),
            side=Side.SELL,
            volume=Volume(LOT),
            before=Volume(LOT),
            after=Volume(0),
        )
    )
    command = pair.commands[-1]
    assert (command.kind, command.side, command.volume, command.netted) == (CommandKind.ADD, Side.BUY, LOT, True)
    assert (command.relative_stop, command.guaranteed) == ((price("0.01"), True) if rules == RULES else (None, False))
