"""The trading floor, what every trading action needs at hand: time, market, venues, timers, and whom to tell.

Knows no connection: events go to an account's listeners through the `Publish` port. Time is set from outside.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from typing import Protocol

from google.protobuf.message import Message

from cmam.sandbox import units
from cmam.sandbox.books import money
from cmam.sandbox.books.ledger import BUY, Account, Deal, MarginCall, Order, Position
from cmam.sandbox.faults import Faults
from cmam.sandbox.markets.chart import Chart
from cmam.sandbox.markets.market import Market
from cmam.sandbox.markets.recorded import Recording
from cmam.sandbox.switches import Switches
from cmam.sandbox.trading import reports
from cmam.sandbox.trading.venue import Quote, Venue
from cmam.sandbox.world import Symbol, World

EXECUTION_EVENT = 2126
ORDER_ACCEPTED, ORDER_FILLED, ORDER_REPLACED, ORDER_CANCELLED, ORDER_EXPIRED = 2, 3, 4, 5, 6
ORDER_REJECTED, ORDER_CANCEL_REJECTED, SWAP, DEPOSIT_WITHDRAW, ORDER_PARTIAL_FILL, BONUS = 7, 8, 9, 10, 11, 12
TIMERS_UNSWEPT = 1_000
"""So many timers, beyond twice those that were needed last, before the unneeded ones are looked for."""
MARGIN_CALL_LEVELS = ((61, 100.0), (62, 80.0), (63, 60.0))
"""Thresholds of the margin level in percent, as accounts start with them."""


class Publish(Protocol):
    """How an event reaches everybody who has the account open."""

    def __call__(self, account: Account, payload_type: int, message: Message, msg_id: str | None) -> None: ...


class Refused(Exception):
    """A request that is refused: error code by name, description for people, and the ids that the carrier states."""

    def __init__(
        self,
        code: str,
        description: str,
        *,
        order_id: int | None = None,
        position_id: int | None = None,
        as_error_res: bool = False,
        retry_after_s: int | None = None,
        maintenance_end_s: int | None = None,
    ) -> None:
        super().__init__(f"{code}: {description}")
        self.code = code
        self.description = description
        self.order_id = order_id
        self.position_id = position_id
        self.as_error_res = as_error_res
        self.retry_after_s = retry_after_s
        self.maintenance_end_s = maintenance_end_s


class Floor:
    """All venues under one clock."""

    def __init__(
        self,
        world: World,
        *,
        now_us: int,
        seed: int,
        switches: Switches,
        faults: Faults,
        publish: Publish,
        ticks: Mapping[str, Recording] | None = None,
        speed: float = 1.0,
    ) -> None:
        self.world = world
        self.now_us = now_us
        self.seed = seed
        self.speed = speed
        self.switches = switches
        self.faults = faults
        self.publish = publish
        self.stamp = reports.Stamp()
        self.market = Market(
            world.feeds, seed=seed, start_us=now_us, ticks=ticks, speed=speed, interval_ms=switches.tick_interval_ms
        )
        self.chart = Chart(self.market, seed=seed, start_us=now_us, days=switches.history_days)
        self.venues = {broker.name: Venue(broker, self.market.streams, now_us) for broker in world.brokers}
        self.accounts: dict[int, Account] = {}
        self._timers: list[tuple[int, int, Callable[[], None], Callable[[], bool] | None]] = []
        self._timer_count = 0
        self._timers_swept = TIMERS_UNSWEPT
        for spec in world.accounts:
            account = Account(spec, spec.balance, 1, spec.bonus, int(spec.access), spec.balance)
            account.leverage_cents = spec.leverage_cents
            account.margin_calls = [MarginCall(kind, level, now_us) for kind, level in MARGIN_CALL_LEVELS]
            self.accounts[spec.ctid] = account
            self.venues[spec.broker].accounts[spec.ctid] = account

    # Time.

    def at(self, due_us: int, action: Callable[[], None], *, while_needed: Callable[[], bool] | None = None) -> None:
        """Run `action` when the clock reaches `due_us`; actions of one moment run in the order in which they were set.

        What is far away and no longer needed, as `while_needed` says, is forgotten before its time.
        """
        self._timer_count += 1
        heapq.heappush(self._timers, (due_us, self._timer_count, action, while_needed))
        if len(self._timers) > self._timers_swept:
            self._timers = [timer for timer in self._timers if timer[3] is None or timer[3]()]
            heapq.heapify(self._timers)
            self._timers_swept = 2 * len(self._timers) + TIMERS_UNSWEPT

    def next_timer_us(self) -> int | None:
        """Say when the next action is due."""
        return self._timers[0][0] if self._timers else None

    def run_next_timer(self) -> None:
        """Run the earliest action."""
        heapq.heappop(self._timers)[2]()

    # Looking things up.

    def venue_of(self, account: Account) -> Venue:
        """Find the broker of an account."""
        return self.venues[account.spec.broker]

    def symbol(self, account: Account, symbol_id: int) -> Symbol:
        """Find a symbol of the account's broker that is still listed."""
        return self.venue_of(account).symbols[symbol_id]

    def quote(self, account: Account, symbol_id: int) -> Quote:
        """Find the present quote of a symbol at the account's broker."""
        return self.venue_of(account).quotes[symbol_id]

    def rate(self, account: Account, first: str, last: str) -> int:
        """Convert between assets at the present quotes; 1 where the broker has no chain."""
        return self.venue_of(account).rate(first, last, self.switches.conversion_side) or units.RATE

    # Money at the present quotes.

    def commission(self, account: Account, symbol: Symbol, volume: int, price: int) -> int:
        """Count one side's commission in the account's money; negative."""
        currency = account.spec.currency
        quote = self.rate(account, symbol.quote, currency)
        least = quote if symbol.min_commission_in_quote else self.rate(account, symbol.min_commission_asset, currency)
        return money.commission(
            symbol,
            volume,
            price,
            usd=self.rate(account, "USD", currency),
            base_usd=self.rate(account, symbol.base, "USD"),
            quote=quote,
            least=least,
            digits=account.spec.money_digits,
        )

    def margin(self, account: Account, symbol: Symbol, volume: int, rate: int) -> int:
        """Count the margin of a volume at a base-to-deposit rate, by the account's or the symbol's dynamic leverage."""
        digits, leverage = account.spec.money_digits, account.leverage_cents
        if symbol.leverage_id:
            tiers = dict(self.venue_of(account).spec.leverages)[symbol.leverage_id]
            return money.tiered_margin(volume, rate, self.rate(account, symbol.base, "USD"), tiers, leverage, digits)
        return money.margin(volume, rate, leverage, digits)

    def closing_price(self, account: Account, position: Position) -> int:
        """Give the price at which a position would close now: bid for a long one, ask for a short one."""
        quote = self.quote(account, position.symbol_id)
        return quote.bid if position.side == BUY else quote.ask

    def unrealised(self, account: Account, position: Position) -> tuple[int, int]:
        """Count gross and net profit of an open position; net has swap, fee and opening commission."""
        return _profit(account, position, self._valuation(account, position.symbol_id))

    def equity(self, account: Account) -> int:
        """Count balance, bonus and the net profit of all open positions."""
        valuations: dict[int, _Valuation] = {}
        total = account.balance + account.bonus
        for position in account.open_positions():
            valuation = valuations.get(position.symbol_id)
            if valuation is None:
                valuation = valuations[position.symbol_id] = self._valuation(account, position.symbol_id)
            total += _profit(account, position, valuation)[1]
        return total

    def _valuation(self, account: Account, symbol_id: int) -> _Valuation:
        symbol, quote = self.symbol(account, symbol_id), self.quote(account, symbol_id)
        return symbol, quote.bid, quote.ask, self.rate(account, symbol.quote, account.spec.currency)

    # Telling.

    def execution(
        self,
        account: Account,
        kind: int,
        *,
        order: Order | None = None,
        position: Position | None = None,
        deal: Deal | None = None,
        msg_id: str | None = None,
        is_server: bool = False,
        error_code: str | None = None,
    ) -> None:
        """Send an execution event to everybody who has the account open."""
        if not account.listeners:
            return
        digits = account.spec.money_digits
        event = reports.execution(
            account,
            kind,
            order=None if order is None else reports.order(order, self.symbol(account, order.symbol_id), self.stamp),
            position=None
            if position is None
            else reports.position(position, self.symbol(account, position.symbol_id), digits, self.stamp),
            deal=None if deal is None else reports.deal(deal, digits, self.stamp),
            is_server=is_server,
            error_code=error_code,
        )
        self.publish(account, EXECUTION_EVENT, event, msg_id)


_Valuation = tuple[Symbol, int, int, int]
"""What the positions of a symbol are valued at: bid, ask, and the rate from quote to deposit."""


def _profit(account: Account, position: Position, valuation: _Valuation) -> tuple[int, int]:
    symbol, bid, ask, rate = valuation
    price = bid if position.side == BUY else ask
    digits = account.spec.money_digits
    gross = money.gross_profit(position.side, position.price, price, position.volume, rate, digits)
    fee = money.conversion_fee(gross, symbol, account.spec.currency)
    return gross, gross + position.swap + position.commission + fee
