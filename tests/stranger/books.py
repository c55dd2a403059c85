"""What a broker knows of an account: positions, orders, deals and money, hedged or netted.

Prices are integers in 1/100000, volumes in 1/100 unit, money in cents of US dollars, times in ms of the server's clock.
Nothing here knows the wire.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

BUY, SELL = 1, 2
MARKET, LIMIT, STOP, PROTECTIVE, RANGE, STOP_LIMIT = 1, 2, 3, 4, 5, 6
ACCEPTED, FILLED, REJECTED, EXPIRED, CANCELLED = 1, 2, 3, 4, 5
OPEN, CLOSED, CREATED = 1, 2, 3
POINT = 100_000


@dataclass(frozen=True, slots=True)
class Symbol:
    """What is traded, as one broker calls it."""

    number: int
    name: str
    base: int
    quote: int
    digits: int
    pip: int
    lot: int
    step: int
    spread: int
    """In 1/100000 of price."""

    @property
    def tick(self) -> int:
        return int(10 ** (5 - self.digits))


@dataclass(slots=True, eq=False)
class Order:
    """An order of any kind, and what became of it."""

    number: int
    kind: int
    symbol: Symbol
    side: int
    volume: int
    position: int
    at_ms: int
    sent_for: int = 0
    """The position that its sender named, also once it has turned a net into one of another number."""
    limit: int = 0
    stop: int = 0
    sl: int = 0
    tp: int = 0
    sl_away: int = 0
    tp_away: int = 0
    base_price: int = 0
    slippage: int = 0
    expires_ms: int = 0
    in_force: int = 2
    trailing: bool = False
    trigger: int = 1
    closing: bool = False
    stop_out: bool = False
    label: str = ""
    comment: str = ""
    name: str = ""
    """What its sender calls it: clientOrderId."""
    status: int = ACCEPTED
    executed: int = 0
    value: int = 0
    """The sum of price times volume of its deals."""
    updated_ms: int = 0
    keeps: int = 0
    """So much of it never fills."""
    is_filling: bool = False
    shown: int = 0
    """The position that it is told with, where that is not the one it fills into."""

    @property
    def average(self) -> Fraction:
        return Fraction(self.value, self.executed)


@dataclass(slots=True, eq=False)
class Position:
    """What is held; gone from the book once its volume is 0."""

    number: int
    symbol: Symbol
    side: int
    volume: int = 0
    price: Fraction = Fraction(0)
    sl: int = 0
    tp: int = 0
    trailing: bool = False
    trail: int = 0
    trigger: int = 1
    label: str = ""
    comment: str = ""
    opened_ms: int = 0
    updated_ms: int = 0
    closed_ms: int = 0
    swap: int = 0
    commission: int = 0
    protective: Order | None = None

    @property
    def is_long(self) -> bool:
        return self.side == BUY


@dataclass(frozen=True, slots=True)
class Closed:
    """What a deal realised."""

    entry: Fraction
    gross: int
    swap: int
    commission: int
    balance: int
    version: int
    volume: int


@dataclass(frozen=True, slots=True)
class Deal:
    """One execution."""

    number: int
    order: Order
    position: int
    side: int
    volume: int
    price: int
    at_ms: int
    commission: int
    closed: Closed | None = None
    sent: int = 0
    """What of the order was left to be executed by then."""
    is_missed: bool = False
    """Whether nobody took it: nothing was executed by it."""


@dataclass(slots=True, eq=False)
class Book:
    """One account. `orders` are those that rest or are being executed, `past` all that ended."""

    account: int
    broker: str
    netted: bool
    is_broke: bool = False
    """Nothing that needs margin is afforded."""
    closes_only: bool = False
    """Nothing may be opened on it."""
    is_thin: bool = False
    """Not all that is asked for at the market finds somebody."""
    shut: str = ""
    """The symbol in which nothing at all is taken now."""
    balance: int = 100_000_000_000
    version: int = 1
    positions: dict[int, Position] = field(default_factory=dict)
    orders: dict[int, Order] = field(default_factory=dict)
    past: dict[int, Order] = field(default_factory=dict)
    deals: list[Deal] = field(default_factory=list)
    missed: list[Deal] = field(default_factory=list)

    def net(self, symbol: Symbol) -> Position | None:
        """The one position in a symbol of a netted account."""
        return next((held for held in self.positions.values() if held.symbol is symbol), None)

    def grow(self, position: Position, order: Order, volume: int, price: int, at_ms: int) -> None:
        """Let a position open or grow."""
        whole = position.volume + volume
        position.price = (position.price * position.volume + Fraction(price * volume)) / whole
        position.volume = whole
        position.opened_ms = position.opened_ms or at_ms
        position.commission -= fee(volume)
        position.updated_ms = at_ms
        if position.number not in self.positions:
            position.label, position.comment = order.label, order.comment
            self.positions[position.number] = position

    def shrink(self, position: Position, volume: int, price: int, at_ms: int) -> Closed:
        """Let a position shrink or close: its share of swap and commission is booked."""
        share = Fraction(volume, position.volume)
        sign = 1 if position.is_long else -1
        gained = (price - position.price) * sign * volume / POINT
        if position.symbol.quote != 1:
            gained = gained * POINT / price
        swap, opening = round(position.swap * share), round(position.commission * share)
        self.balance += round(gained) + swap + opening - fee(volume)
        self.version += 1
        position.swap -= swap
        position.commission -= opening
        position.volume -= volume
        position.updated_ms = at_ms
        entry = position.price
        if not position.volume:
            position.closed_ms = at_ms
            self.positions.pop(position.number)
        return Closed(entry, round(gained), swap, opening - fee(volume), self.balance, self.version, volume)


def fee(volume: int) -> int:
    """Two and a half dollars for a hundred thousand units and side, away from zero, in cents."""
    return -(-volume * 250 // 10_000_000)
