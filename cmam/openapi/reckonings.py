"""What a broker reckons for us, asked and understood: results, margins, tiers of leverage, and money that moved.

Questions as requests and answers as facts of the domain; when they are asked is not known here. Money is in minor units
of the account (wire.md#money-of-an-account), also where an answer says that it counts in others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from google.protobuf.message import Message

from cmam.domain.events import ExpectedMargin, LeverageSeen, LeverageTier, MarginSeen, PositionResult, ResultsSeen
from cmam.domain.values.ids import AccountId, PositionId, SymbolId
from cmam.domain.values.quantities import Volume
from cmam.domain.values.trades import BalanceChange
from cmam.openapi import translate
from cmam.openapi._pb import OpenApiMessages_pb2 as messages
from cmam.openapi.fields import in_digits


def ask_results(account: AccountId) -> Message:
    """The floating result of every open position; at most once in 2 to 3 s (wire.md#money-of-an-account)."""
    return messages.ProtoOAGetPositionUnrealizedPnLReq(ctidTraderAccountId=account)


def results_reader(money_digits: int) -> Callable[[Any], ResultsSeen]:
    """What reads the net results of an account whose money has so many digits: gross, swap, fee and opening
    commission."""

    def read(wire: messages.ProtoOAGetPositionUnrealizedPnLRes) -> ResultsSeen:
        minor = in_digits(wire, money_digits)
        results = (
            PositionResult(position=PositionId(result.positionId), net=minor(result.netUnrealizedPnL))
            for result in wire.positionUnrealizedPnL
        )
        return ResultsSeen(results=tuple(sorted(results, key=lambda result: result.position)))

    return read


def ask_margin(account: AccountId, symbol: SymbolId, volumes: Iterable[int]) -> Message:
    """The margin that each of these volumes of a symbol would bind."""
    return messages.ProtoOAExpectedMarginReq(ctidTraderAccountId=account, symbolId=symbol, volume=list(volumes))


def margin_reader(symbol: SymbolId, money_digits: int) -> Callable[[Any], MarginSeen]:
    """What reads the answer about a symbol, which does not name it, of an account whose money has so many digits."""

    def read(wire: messages.ProtoOAExpectedMarginRes) -> MarginSeen:
        minor = in_digits(wire, money_digits)
        margins = (
            ExpectedMargin(volume=Volume(margin.volume), buy=minor(margin.buyMargin), sell=minor(margin.sellMargin))
            for margin in wire.margin
            if margin.volume > 0
        )
        return MarginSeen(symbol=symbol, margins=tuple(sorted(margins, key=lambda margin: margin.volume)))

    return read


def ask_leverage(account: AccountId, leverage: int) -> Message:
    """The tiers of a dynamic leverage."""
    return messages.ProtoOAGetDynamicLeverageByIDReq(ctidTraderAccountId=account, leverageId=leverage)


def read_leverage(wire: messages.ProtoOAGetDynamicLeverageByIDRes) -> LeverageSeen:
    """The tiers, lowest exposure first; one that nobody could reckon with is left out."""
    tiers = (
        LeverageTier(limit_cents=tier.volume, leverage=tier.leverage)
        for tier in wire.leverage.tiers
        if tier.leverage > 0
    )
    ordered = tuple(sorted(tiers, key=lambda tier: tier.limit_cents))
    return LeverageSeen(leverage=wire.leverage.leverageId, tiers=ordered)


def ask_money(account: AccountId, from_ms: int, to_ms: int) -> Message:
    """Deposits, withdrawals and what else moved the balance in a span of at most a week; historical."""
    return messages.ProtoOACashFlowHistoryListReq(ctidTraderAccountId=account, fromTimestamp=from_ms, toTimestamp=to_ms)


def read_money(wire: messages.ProtoOACashFlowHistoryListRes) -> tuple[BalanceChange, ...]:
    """The movements of money, oldest first."""
    found = (translate.balance_change(change) for change in wire.depositWithdraw)
    return tuple(sorted(found, key=lambda change: (change.changed_ms, change.balance_version)))
