"""What an account holds and is worth right now, and what happened to it lately, as its broker says: for `account show`.

The broker's own profit and margin, not ours: they are only added up, as the account counts them. Money is in minor
units of the account, which has `money_digits`, whatever an answer counts in; times in ms UTC. Must not know how it is
shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cmam.domain.market.equity import bound
from cmam.domain.values.ids import AccountId
from cmam.domain.values.trades import Deal, MarginType, Order, Position
from cmam.openapi import requests, translate
from cmam.openapi._pb import OpenApiMessages_pb2 as messages
from cmam.openapi.enquiry import SPECS_PER_REQUEST, Enquiry
from cmam.openapi.fields import in_digits
from cmam.openapi.refusals import clean

HISTORY_MS = 7 * 86_400_000
"""A week: the longest span that one request for deals or cash flow may cover (wire.md#spans)."""


@dataclass(frozen=True, slots=True)
class Worth:
    """Positions with their net profit by position id, pending orders, used margin; `names` are the symbols' names."""

    positions: tuple[Position, ...]
    orders: tuple[Order, ...]
    profits: Mapping[int, int]
    margin: int
    money_digits: int
    names: Mapping[int, str]

    @property
    def profit(self) -> int:
        """The floating profit of all positions: equity is the balance and this."""
        return sum(self.profits.values())


@dataclass(frozen=True, slots=True)
class Flow:
    """One deposit or withdrawal, in minor units of its account."""

    at_ms: int
    delta: int
    balance: int
    note: str


class Portfolio(Enquiry):
    """An enquiry into one account that it has authorised."""

    def worth(self, account: int, counted: MarginType, money_digits: int) -> Worth:
        """What it holds and what that is worth, its margin as the account counts it; raises Refused."""
        of = AccountId(account)
        state = self._ask(requests.ask_state(of), messages.ProtoOAReconcileRes)
        profits = self._ask(
            messages.ProtoOAGetPositionUnrealizedPnLReq(ctidTraderAccountId=account),
            messages.ProtoOAGetPositionUnrealizedPnLRes,
        )
        light = self._ask(requests.ask_symbols(of), messages.ProtoOASymbolsListRes).symbol
        positions = tuple(translate.position(wire) for wire in state.position)
        minor = in_digits(profits, money_digits)
        margins = (
            (held.symbol, held.side, in_digits(wire, money_digits)(held.used_margin))
            for held, wire in zip(positions, state.position, strict=True)
        )
        return Worth(
            positions=positions,
            orders=tuple(translate.order(wire) for wire in state.order),
            profits={found.positionId: minor(found.netUnrealizedPnL) for found in profits.positionUnrealizedPnL},
            margin=bound(margins, counted),
            money_digits=money_digits,
            names={int(name.symbol): name.name for name in translate.symbol_names(light)},
        )

    def digits(self, account: int, symbols: Iterable[int], listed: Iterable[int]) -> dict[int, int]:
        """How many digits the prices of some of its symbols have, by the symbol's id; raises Refused.

        Only what the broker lists is asked for: of a symbol that is no more nobody tells them, and with its id among
        them a broker may tell of none of the others either (wire.md#symbols).
        """
        ids = sorted(set(symbols) & set(listed))
        batches = [ids[start : start + SPECS_PER_REQUEST] for start in range(0, len(ids), SPECS_PER_REQUEST)]
        answers = (
            self._ask(requests.ask_specs(AccountId(account), batch), messages.ProtoOASymbolByIdRes) for batch in batches
        )
        return {wire.symbolId: wire.digits for answer in answers for wire in answer.symbol}

    def deals(self, account: int, now_ms: int) -> tuple[Deal, ...]:
        """Its executions of the last week, newest first; raises Refused."""
        answer = self._ask(
            requests.ask_deals(AccountId(account), now_ms - HISTORY_MS, now_ms), messages.ProtoOADealListRes
        )
        return tuple(translate.deal(wire) for wire in answer.deal)

    def flows(self, account: int, now_ms: int, money_digits: int) -> tuple[Flow, ...]:
        """Its deposits and withdrawals of the last week, oldest first; raises Refused."""
        answer = self._ask(
            messages.ProtoOACashFlowHistoryListReq(
                ctidTraderAccountId=account, fromTimestamp=now_ms - HISTORY_MS, toTimestamp=now_ms
            ),
            messages.ProtoOACashFlowHistoryListRes,
        )
        changes = (
            (translate.balance_change(wire), in_digits(wire, money_digits), clean(wire.externalNote, 60))
            for wire in answer.depositWithdraw
        )
        flows = (
            Flow(at_ms=change.changed_ms, delta=minor(change.delta), balance=minor(change.balance), note=note)
            for change, minor, note in changes
        )
        return tuple(sorted(flows, key=lambda flow: flow.at_ms))  # in which order they are told is not known
