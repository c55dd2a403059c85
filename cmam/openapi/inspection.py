"""Looking an account over, and emptying it, from a command: an `Enquiry` that asks more and may close and cancel.

What it learns comes back as the domain's own values and facts, so that a command can fold them as the running system
does. Must not know why it is asked, nor which positions are whose.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cmam.config.settings import Endpoint
from cmam.domain.events import AssetName, SymbolListSeen, TraderSeen
from cmam.domain.values.ids import AccountId, AssetId, SymbolId
from cmam.domain.values.quantities import Quote
from cmam.domain.values.symbols import SymbolName, SymbolSpec
from cmam.domain.values.trades import Deal, Order, Position
from cmam.openapi import answers, catalogue, pages, requests, translate
from cmam.openapi._pb import OpenApiMessages_pb2 as messages
from cmam.openapi.enquiry import SPECS_PER_REQUEST, Enquiry
from cmam.openapi.envelope import Envelope
from cmam.openapi.quotes import QuoteBoard
from cmam.openapi.transport import Transport

HISTORY_PAUSE_S = 0.25
"""Between two historical requests, of which a connection may make five a second (wire.md#requests-a-second)."""
WEEK_MS = 604_800_000
"""The longest span of deals and orders that one request may cover (wire.md#spans)."""
PAGES_MAX = 20
"""So many pages of deals, and of orders, are read at most."""
QUOTE_LOOKS = 20
QUOTE_LOOK_S = 0.1
"""How often, and at which distance, quotes are waited for: two seconds in all."""


@dataclass(frozen=True, slots=True)
class Held:
    """What an account holds at one moment."""

    positions: tuple[Position, ...]
    orders: tuple[Order, ...]


class Inspection(Enquiry):
    """An enquiry into accounts that it has authorised; `now_us` is when a quote that arrives is seen."""

    def __init__(
        self,
        transport: Transport,
        endpoint: Endpoint,
        now_us: Callable[[], int],
        *,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        super().__init__(transport, endpoint, wait=wait)
        self._now_us = now_us
        self._board = QuoteBoard()

    # --- what an account is ---------------------------------------------------------------------------------------

    def symbols(self, account: int) -> SymbolListSeen:
        """Its broker's symbols and assets; raises Refused."""
        of = AccountId(account)
        assets = translate.asset_names(self._ask(requests.ask_assets(of), messages.ProtoOAAssetListRes).asset)
        names = translate.symbol_names(self._ask(requests.ask_symbols(of), messages.ProtoOASymbolsListRes).symbol)
        digest = hashlib.sha256(repr((names, assets)).encode()).hexdigest()[:16]
        return SymbolListSeen(digest=digest, symbols=names, assets=assets)

    def trader(self, account: int, assets: Iterable[AssetName], *, is_live: bool) -> TraderSeen:
        """What it is and holds; raises Refused."""
        known = {asset.asset: asset for asset in assets}
        wire = self._ask(requests.ask_trader(AccountId(account)), messages.ProtoOATraderRes).trader
        return translate.trader_seen(wire, known, is_live=is_live)

    def specs(
        self, account: int, names: Sequence[SymbolName], assets: Mapping[AssetId, AssetName]
    ) -> tuple[SymbolSpec, ...]:
        """What some of its symbols allow; raises Refused."""
        by_id = {name.symbol: name for name in names}
        found: list[SymbolSpec] = []
        ids = sorted(by_id)
        batches = [ids[start : start + SPECS_PER_REQUEST] for start in range(0, len(ids), SPECS_PER_REQUEST)]
        while batches:
            batch = batches.pop(0)
            answer = self._ask(requests.ask_specs(AccountId(account), batch), messages.ProtoOASymbolByIdRes)
            if not answer.symbol and len(batch) > 1:  # it may not know one of them (wire.md#symbols)
                batches[:0] = [batch[: len(batch) // 2], batch[len(batch) // 2 :]]
            found += [
                translate.symbol_spec(wire, by_id[SymbolId(wire.symbolId)], assets)
                for wire in answer.symbol
                if SymbolId(wire.symbolId) in by_id
            ]
        return tuple(found)

    def held(self, account: int) -> Held:
        """Its open positions and pending orders; raises Refused."""
        answer = self._ask(requests.ask_state(AccountId(account)), messages.ProtoOAReconcileRes)
        return Held(
            tuple(translate.position(wire) for wire in answer.position),
            tuple(order for wire in answer.order if (order := translate.order(wire)).is_resting),
        )

    # --- what it did ----------------------------------------------------------------------------------------------

    def deals(self, account: int, from_ms: int, to_ms: int) -> tuple[Deal, ...]:
        """Its deals of a span of at most a week, oldest first; raises Refused."""
        found: list[Deal] = []
        of, past = AccountId(account), pages.of_deals(from_ms, to_ms)
        while past.has_more and past.read < PAGES_MAX:
            self._wait(HISTORY_PAUSE_S)
            answer = self._ask(requests.ask_deals(of, past.from_ms, past.to_ms), messages.ProtoOADealListRes)
            page, has_more = answers.read_deals(answer)
            found += past.take(page, has_more=has_more)
        return tuple(sorted(found, key=lambda deal: (deal.executed_ms, deal.deal)))

    def past_orders(self, account: int, from_ms: int, to_ms: int) -> tuple[Order, ...]:
        """Its orders by last update, newest first, of a span of at most a week; raises Refused."""
        found: list[Order] = []
        of, past = AccountId(account), pages.of_orders(from_ms, to_ms)
        while past.has_more and past.read < PAGES_MAX:
            self._wait(HISTORY_PAUSE_S)
            answer = self._ask(requests.ask_orders(of, past.from_ms, past.to_ms), messages.ProtoOAOrderListRes)
            page, has_more = answers.read_orders(answer)
            found += past.take(page, has_more=has_more)
        return tuple(found)

    # --- quotes ---------------------------------------------------------------------------------------------------

    def quotes(self, account: int, symbols: Iterable[SymbolId]) -> dict[SymbolId, Quote]:
        """The present quotes of some symbols, those that the server shows within two seconds; raises Refused."""
        wanted = sorted(set(symbols))
        if not wanted:
            return {}
        feed = f"account {account}"
        self._board.carry(AccountId(account), feed)
        for start in range(0, len(wanted), SPECS_PER_REQUEST):
            some = wanted[start : start + SPECS_PER_REQUEST]
            self._ask(requests.subscribe_spots(AccountId(account), some), messages.ProtoOASubscribeSpotsRes)
        found: dict[SymbolId, Quote] = {}
        for _ in range(QUOTE_LOOKS):
            # A question that costs little: while its answer is awaited, the spots before it are read.
            self._ask(messages.ProtoOAVersionReq(), messages.ProtoOAVersionRes)
            seen = {symbol: self._board.quote(feed, symbol) for symbol in wanted}
            found = {symbol: quote for symbol, quote in seen.items() if quote is not None}
            if len(found) == len(wanted):
                break
            self._wait(QUOTE_LOOK_S)
        return found

    def _overhear(self, envelope: Envelope) -> None:
        if envelope.payload_type == catalogue.SPOT:
            self._board.receive(envelope, self._now_us())

    # --- emptying -------------------------------------------------------------------------------------------------

    def close(self, account: int, position: Position) -> None:
        """Ask for the whole close of a position; what became of it is told by `held`. Raises Refused."""
        self._command(
            messages.ProtoOAClosePositionReq(
                ctidTraderAccountId=account, positionId=position.position, volume=position.volume
            )
        )

    def cancel(self, account: int, order: Order) -> None:
        """Ask for the cancel of a pending order; what became of it is told by `held`. Raises Refused."""
        self._command(messages.ProtoOACancelOrderReq(ctidTraderAccountId=account, orderId=order.order))

    def _command(self, message: Any) -> None:
        self._ask(message, messages.ProtoOAExecutionEvent)
