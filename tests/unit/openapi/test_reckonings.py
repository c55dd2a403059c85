"""What a broker reckons, in minor units of the account, whatever its answers count in."""

from __future__ import annotations

from typing import Any

import pytest

from cmam.domain.values.ids import SymbolId
from cmam.openapi import reckonings
from cmam.openapi._pb import OpenApiMessages_pb2 as messages
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.openapi.errors import RemoteError

ME = 41_000_001


def _results(money_digits: int, net: int) -> messages.ProtoOAGetPositionUnrealizedPnLRes:
    row = model.ProtoOAPositionUnrealizedPnL(positionId=7, grossUnrealizedPnL=net, netUnrealizedPnL=net)
    return messages.ProtoOAGetPositionUnrealizedPnLRes(
        ctidTraderAccountId=ME, positionUnrealizedPnL=[row], moneyDigits=money_digits
    )


@pytest.mark.parametrize(
    ("told_in", "net", "own", "expected"),
    [
        (2, -1_250, 2, -1_250),
        (8, -1_250_000_000, 2, -1_250),
        (8, -1_254_999_999, 2, -1_255),
        (2, -1_250, 8, -1_250_000_000),
        (2, 1_250, 0, 12),
        (0, -12, 2, -1_200),
    ],
)
def test_results_are_in_the_minor_units_of_the_account(told_in: int, net: int, own: int, expected: int) -> None:
    """A loss of 12.50 that is told in eight digits was one of 12.5 millions to a guard of an account of two."""
    (found,) = reckonings.results_reader(own)(_results(told_in, net)).results
    assert found.net == expected


@pytest.mark.parametrize(
    ("told", "expected"),
    [({"moneyDigits": 4}, (33, 34)), ({"moneyDigits": 2}, (3_333, 3_367)), ({}, (3_333, 3_367))],
)
def test_expected_margins_are_in_the_minor_units_of_the_account(told: Any, expected: tuple[int, int]) -> None:
    """An answer that names no digits counts as its account does."""
    row = model.ProtoOAExpectedMargin(volume=100_000, buyMargin=3_333, sellMargin=3_367)
    answer = messages.ProtoOAExpectedMarginRes(ctidTraderAccountId=ME, margin=[row], **told)
    (found,) = reckonings.margin_reader(SymbolId(1), 2)(answer).margins
    assert (found.buy, found.sell) == expected


def test_results_in_digits_that_no_integer_holds_are_no_answer() -> None:
    """Nobody could reckon with them."""
    with pytest.raises(RemoteError):
        reckonings.results_reader(2)(_results(1_000, 1))
