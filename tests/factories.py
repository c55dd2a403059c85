"""What tests of the domain are made of: sensible defaults, and a follower with a broker that answers as recorded.

`Pair` is one leader, one follower and the follower's broker in memory. The broker's event sequences are those of
`docs/wire.md` (wire.md#opens to wire.md#levels); nothing is answered until `answer` is called, so that a test decides
what comes early, late, twice or never.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction

from cmam.domain.belief.copies import Copy
from cmam.domain.belief.proofs import looks_due
from cmam.domain.belief.view import AccountView
from cmam.domain.deciding.attempts import next_wake, wakes
from cmam.domain.deciding.inputs import gather
from cmam.domain.events import (
    AssetName,
    ChangeDecided,
    Event,
    ExecutionSeen,
    Health,
    HealthChanged,
    Inputs,
    IntentDropped,
    IntentRecorded,
    IntentSent,
    Reconciled,
    RequestRefused,
    RulesBegan,
    SymbolListSeen,
    SymbolSpecSeen,
    TraderSeen,
)
from cmam.domain.folds.account import evolve
from cmam.domain.profiles.link import LinkSettings
from cmam.domain.profiles.policy import check_settings, policy_of
from cmam.domain.turns.making import Turn
from cmam.domain.turns.settling import SETTLE_US
from cmam.domain.turns.timing import due
from cmam.domain.turns.turn import decide_change, step
from cmam.domain.values.changes import Change, ChangeKind, LeaderMoney, LeaderSymbol
from cmam.domain.values.commands import Command, CommandKind
from cmam.domain.values.ids import (
    AccountId,
    AssetId,
    ChangeKey,
    DealId,
    IntentId,
    LinkId,
    OrderId,
    PositionId,
    ProfileId,
    SourceKey,
    StoreId,
    SymbolId,
    order_source,
    position_source,
)
from cmam.domain.values.quantities import PRICE_SCALE, Distance, Price, Quote, Side, Volume
from cmam.domain.values.rules.newest import RULES
from cmam.domain.values.symbols import SymbolName, SymbolSpec
from cmam.domain.values.trades import (
    AccountType,
    CloseDetail,
    Deal,
    ExecutionKind,
    Order,
    OrderStatus,
    OrderType,
    Position,
    PositionStatus,
    TimeInForce,
    Trader,
)

LEADER, FOLLOWER = AccountId(1001), AccountId(2001)
STORE, LINK, PROFILE = StoreId("st0re"), LinkId("l1nk01"), ProfileId("pr0f1l")
T0_US = 1_600_000_000_000_000
SECOND_US = 1_000_000
LOT = 10_000_000
"""100,000 units in 1/100 unit."""

ASSETS = {"EUR": 1, "USD": 2, "GBP": 3, "JPY": 4, "XAU": 5}


def price(text: str) -> Price:
    """A price from its decimal text."""
    return Price(int(Fraction(text) * PRICE_SCALE))


def a_spec(name: str = "EURUSD", symbol: int = 1, **changes: object) -> SymbolSpec:
    """A symbol whose name is base and quote, of 100,000 units a lot and 1,000 a step."""
    base, quote = name[:3], name[3:6]
    spec = SymbolSpec(
        symbol=SymbolId(symbol),
        name=name,
        base=AssetId(ASSETS.get(base, 0)),
        quote=AssetId(ASSETS.get(quote, 0)),
        base_name=base,
        quote_name=quote,
    )
    return replace(spec, **changes)


def a_quote(bid: str, ask: str, at_us: int = T0_US) -> Quote:
    """A quote seen at a moment."""
    return Quote(bid=price(bid), ask=price(ask), server_ms=at_us // 1_000, seen_us=at_us)


def a_leader_symbol(spec: SymbolSpec) -> LeaderSymbol:
    """A symbol as a leader's change tells it."""
    return LeaderSymbol(
        name=spec.name,
        digits=spec.digits,
        pip_position=spec.pip_position,
        lot_size=spec.lot_size,
        base=spec.base_name,
        quote=spec.quote_name,
        measurement_units=spec.measurement_units,
    )


def a_change(kind: ChangeKind = ChangeKind.OPENED, *, spec: SymbolSpec | None = None, **changes: object) -> Change:
    """The leader buys one lot of EURUSD at 1.10000."""
    change = Change(
        key=ChangeKey("deal:1"),
        kind=kind,
        source=position_source(PositionId(500)),
        leader=LEADER,
        at_ms=T0_US // 1_000,
        symbol=a_leader_symbol(spec or a_spec()),
        side=Side.BUY,
        position=PositionId(500),
        origin=OrderId(400),
        volume=Volume(LOT),
        after=Volume(LOT),
        price=price("1.1"),
        is_opening=kind is ChangeKind.OPENED,
        money=LeaderMoney(currency="USD", money_digits=2, balance=1_000_000, equity=1_000_000, free_margin=1_000_000),
        quote=a_quote("1.09999", "1.10001"),
    )
    return replace(change, **changes)


def some_settings(settings: Mapping[str, str] | None = None, **changes: object) -> LinkSettings:
    """The settings of a link, checked as a save checks them."""
    found = check_settings(settings or {})
    assert not found, "; ".join(map(str, found))
    link = LinkSettings(
        link=LINK,
        profile=PROFILE,
        profile_name="Main",
        leader=LEADER,
        follower=FOLLOWER,
        store=STORE,
        policy=policy_of(settings or {}),
        version=3,
        standing=Inputs().standing,
        settings=dict(settings or {}),
    )
    return replace(link, **changes)


QUOTES = {
    "EURUSD": ("1.09999", "1.10001"),
    "GBPUSD": ("1.29999", "1.30001"),
    "USDJPY": ("149.999", "150.001"),
    "EURGBP": ("0.84999", "0.85001"),
    "XAUUSD": ("1999.9", "2000.1"),
}


def a_view(
    specs: tuple[SymbolSpec, ...] = (),
    *,
    account: AccountId = FOLLOWER,
    currency: str = "USD",
    balance: int = 1_000_000,
    kind: AccountType = AccountType.HEDGED,
    **trader: object,
) -> AccountView:
    """An account that is reconciled and holds nothing: 10,000.00 in its currency, leverage 1:100."""
    specs = specs or (a_spec(), a_spec("GBPUSD", 2), a_spec("USDJPY", 3, digits=3, pip_position=2))
    who = Trader(account=account, balance=balance, leverage_cents=10_000, account_type=kind)
    facts: tuple[Event, ...] = (
        RulesBegan(rules=RULES),
        TraderSeen(trader=replace(who, **trader), currency=currency),
        SymbolListSeen(
            digest="d",
            symbols=tuple(SymbolName(symbol=s.symbol, name=s.name, base=s.base, quote=s.quote) for s in specs),
            assets=tuple(AssetName(asset=AssetId(number), name=name) for name, number in ASSETS.items()),
        ),
        *(SymbolSpecSeen(spec=spec) for spec in specs),
        Reconciled(positions=(), orders=()),
        HealthChanged(health=Health.RECONCILED),
    )
    view = AccountView(account=account)
    for fact in facts:
        view = evolve(view, fact, T0_US)
    return view


@dataclass
class Pair:
    """A leader's changes, a follower's view and the follower's broker. `said` is every event of the follower."""

    settings: dict[str, str] = field(default_factory=dict)
    view: AccountView = field(default_factory=a_view)
    now_us: int = T0_US
    quotes: dict[str, tuple[str, str]] = field(default_factory=lambda: dict(QUOTES))
    link: LinkSettings = field(init=False)
    said: list[tuple[Event, int]] = field(default_factory=list)
    sent: list[IntentRecorded] = field(default_factory=list)
    held: dict[PositionId, Position] = field(default_factory=dict)
    resting: dict[OrderId, Order] = field(default_factory=dict)
    warming: bool = False
    reading: bool = False
    leader: AccountView | None = None
    """The leader as a later look at a waiting open sees it."""
    _answered: int = 0
    _last_id: int = 7_000
    _cause: int = 0

    def __post_init__(self) -> None:
        self.link = some_settings(self.settings)

    # --- the leader ---------------------------------------------------------------------------------------------------

    def tell(self, change: Change, **inputs: object) -> ChangeDecided:
        """Let the follower decide a change, with quotes of now."""
        self._cause += 1
        known = gather(
            self.view,
            change,
            self.link,
            self.quote,
            is_warming=lambda _found: self.warming,
            is_reading=self.reading,
            difference_of=self.difference,
        )
        turn = decide_change(
            self.view,
            self.link,
            change,
            (self._cause, 0),
            replace(known, **inputs),
            self.now_us,
        )
        self._take(turn)
        decided = turn.derived[0]
        assert isinstance(decided, ChangeDecided)
        return decided

    def quote(self, name: str) -> Quote | None:
        """The follower's quote of now."""
        found = self.quotes.get(name)
        return a_quote(*found, at_us=self.now_us) if found is not None else None

    def change(self, kind: ChangeKind = ChangeKind.OPENED, **changes: object) -> Change:
        """A change of the leader that happens now."""
        self._last_id += 1
        found = a_change(kind, at_ms=self.now_us // 1_000, key=ChangeKey(f"deal:{self._last_id}"))
        return replace(found, **changes)

    def opens(self, volume: int = LOT, **changes: object) -> ChangeDecided:
        """The leader opens position 500."""
        return self.tell(self.change(volume=Volume(volume), after=Volume(volume), **changes))

    def reduces(self, before: int, after: int, **changes: object) -> ChangeDecided:
        """The leader closes a part of position 500."""
        what = {"before": Volume(before), "after": Volume(after), "volume": Volume(before - after)}
        return self.tell(self.change(ChangeKind.REDUCED, **what, **changes))

    def grows(self, before: int, after: int, **changes: object) -> ChangeDecided:
        """The leader adds to position 500."""
        what = {"before": Volume(before), "after": Volume(after), "volume": Volume(after - before)}
        return self.tell(self.change(ChangeKind.GREW, **{"origin": OrderId(401), **what, **changes}))

    def closes(self, before: int = LOT, **changes: object) -> ChangeDecided:
        """The leader closes position 500 whole."""
        return self.tell(self.change(ChangeKind.CLOSED, before=Volume(before), after=Volume(0), **changes))

    def protects(self, stop: str | None = None, target: str | None = None, **changes: object) -> ChangeDecided:
        """The leader sets the levels of position 500."""
        levels = {
            "stop": price(stop) if stop is not None else None,
            "target": price(target) if target is not None else None,
        }
        return self.tell(self.change(ChangeKind.PROTECTED, before=Volume(LOT), **levels, **changes))

    def order(self, kind: ChangeKind = ChangeKind.ORDER_PLACED, **changes: object) -> ChangeDecided:
        """The leader's pending order 450: a buy limit of one lot at 1.09000."""
        what: dict[str, object] = {
            "source": order_source(OrderId(450)),
            "order": OrderId(450),
            "origin": OrderId(450),
            "origin_type": OrderType.LIMIT,
            "position": None,
            "limit_price": price("1.09"),
            "price": None,
            "after": Volume(0),
        }
        return self.tell(self.change(kind, **{**what, **changes}))

    def order_fills(self, after: int = LOT, **changes: object) -> ChangeDecided:
        """The leader's pending order 450 fills into position 500."""
        what: dict[str, object] = {
            "origin": OrderId(450),
            "origin_type": OrderType.LIMIT,
            "volume": Volume(after),
            "after": Volume(after),
            "price": price("1.09"),
            "is_opening": True,
        }
        return self.tell(self.change(**{**what, **changes}))

    # --- the follower -------------------------------------------------------------------------------------------------

    def fact(self, fact: Event) -> Turn:
        """Let the follower take a fact of its own."""
        turn = step(self.view, fact, STORE, self.now_us)
        self.said.append((fact, self.now_us))
        self._take(turn)
        return turn

    def _take(self, turn: Turn) -> None:
        self.view = turn.view
        self.said.extend((event, self.now_us) for event in turn.derived)
        self.sent.extend(turn.intents)

    def passes(self, us: int) -> None:
        """Time passes, and what falls due is recorded; then what waits is looked at."""
        self.now_us += us
        for fact in due(self.view, self.now_us):
            self.fact(fact)
        self.wake()

    def wake(self) -> None:
        """Look at what waits."""

        def look(copy: Copy, link: LinkSettings) -> Inputs:
            assert copy.change is not None
            quote = self.leader_quote()
            return gather(
                self.view,
                copy.change,
                link,
                self.quote,
                leader_quote=quote,
                leader=self.leader,
                is_warming=lambda _found: self.warming,
                is_reading=self.reading,
                difference_of=self.difference,
            )

        for fact in wakes(self.view, {LINK: self.link}, look, self.now_us):
            self.fact(fact)

    def leader_quote(self) -> Quote | None:
        """The leader's quote of EURUSD: the follower's own, for brokers that agree."""
        return self.quote("EURUSD")

    def difference(self, _name: str) -> Distance | None:
        """By how much a symbol usually is quoted above the leader's: nobody knows."""
        return None

    def next_wake(self) -> int | None:
        """When waiting opens want to be looked at again."""
        return next_wake(self.view, self.now_us, lambda _: self.reading)

    @property
    def copy(self) -> Copy:
        """The one copy, live or finished."""
        found = [*self.view.copies.values()] or [*self.view.finished.values()]
        assert len(found) == 1, f"expected one copy, found {len(found)}"
        return found[0]

    def copy_of(self, source: SourceKey) -> Copy | None:
        """The copy of a source."""
        return self.view.copy((LINK, source))

    @property
    def waiting(self) -> list[IntentRecorded]:
        """The requests that the broker has not answered."""
        return self.sent[self._answered :]

    @property
    def commands(self) -> list[Command]:
        """What the broker was asked, in order."""
        return [intent.command for intent in self.sent]

    # --- the follower's broker ----------------------------------------------------------------------------------------

    def answer(self, *, at: str | None = None, part: int | None = None, most: int = 0) -> None:
        """The broker answers everything that was asked, and what that leads to, as recorded; or so many of it."""
        rounds = 0
        while self._answered < len(self.sent) and not 0 < most <= rounds:
            rounds += 1
            assert rounds < 50, "the follower asks without end"
            intent = self.sent[self._answered]
            self._answered += 1
            for event in self.events_of(intent, at=at, part=part):
                self.fact(event)

    def send(self) -> None:
        """Everything that was asked goes out, and nothing is answered."""
        for intent in self.waiting:
            self.fact(IntentSent(intent=intent.intent))

    def refuse(self, code: str, *, temporary: bool = False, text: str = "", most: int = 0) -> None:
        """The broker refuses everything that was asked, once; or so many of it."""
        waiting = self.waiting[: most or None]
        self._answered += len(waiting)
        for intent in waiting:
            fact = RequestRefused(intent=intent.intent, error_code=code, description=text, is_temporary=temporary)
            self.fact(fact)

    def drop(self, reason: str = "withdrawn") -> None:
        """The limiter gives everything back unsent."""
        waiting, self._answered = self.waiting, len(self.sent)
        for intent in waiting:
            self.fact(IntentDropped(intent=intent.intent, reason=reason))

    def lose(self) -> list[IntentRecorded]:
        """What was asked never arrives, or its answer never does."""
        waiting, self._answered = self.waiting, len(self.sent)
        return waiting

    def _next(self) -> int:
        self._last_id += 1
        return self._last_id

    def events_of(self, intent: IntentRecorded, *, at: str | None = None, part: int | None = None) -> list[Event]:
        """What the broker says to one request; its own state changes as it speaks."""
        position, order = intent.command.position, intent.command.order
        if position is not None and position not in self.held:
            return [RequestRefused(intent=intent.intent, error_code="POSITION_NOT_FOUND")]
        if order is not None and order not in self.resting:
            return [RequestRefused(intent=intent.intent, error_code="ORDER_NOT_FOUND")]
        match intent.command.kind:
            case CommandKind.OPEN | CommandKind.ADD:
                return self._fill(intent, at, part)
            case CommandKind.CLOSE:
                assert intent.command.position is not None
                most = self.held[intent.command.position].volume
                return self.close(intent.command.position, min(intent.command.volume, most), name=intent.intent, at=at)
            case CommandKind.AMEND_PROTECTION:
                return self._amend(intent)
            case CommandKind.PLACE:
                return self._place(intent)
            case CommandKind.AMEND_ORDER:
                return self._amend_order(intent)
            case CommandKind.CANCEL:
                return self._cancel(intent)

    def _fill_price(self, side: Side, at: str | None, name: str) -> Price:
        if at is not None:
            return price(at)
        bid, ask = self.quotes.get(name, ("1.1", "1.1"))
        return price(ask if side is Side.BUY else bid)

    def _fill(self, intent: IntentRecorded, at: str | None, part: int | None) -> list[Event]:
        command = intent.command
        spec = self.view.specs[command.symbol]
        filled = command.volume if part is None else min(part, command.volume)
        paid = self._fill_price(command.side, at, spec.name)
        order = self._order(intent, OrderStatus.ACCEPTED, 0)
        netted = next((p for p in self.held.values() if p.symbol == command.symbol), None) if self._is_netted else None
        known = self.held.get(command.position) if command.position is not None else netted
        number = known.position if known is not None else PositionId(self._next())
        accepted = ExecutionSeen(
            kind=ExecutionKind.ORDER_ACCEPTED, order=replace(order, position=number), client_msg_id=intent.intent
        )
        position = self._booked(known, number, command, int(filled), paid)
        status = OrderStatus.FILLED if filled == command.volume else OrderStatus.CANCELLED
        done = replace(order, status=status, executed_volume=Volume(filled), execution_price=paid, position=number)
        deal = Deal(
            deal=DealId(self._next()),
            order=order.order,
            position=number,
            symbol=command.symbol,
            side=command.side,
            volume=command.volume,
            filled_volume=Volume(filled),
            price=paid,
            executed_ms=self.now_us // 1_000,
        )
        kind = ExecutionKind.ORDER_FILLED if status is OrderStatus.FILLED else ExecutionKind.ORDER_CANCELLED
        fill = ExecutionSeen(
            kind=kind, order=done, position=position, deal=deal if filled else None, client_msg_id=intent.intent
        )
        return [accepted, fill, *self._protect(number, command, paid)]

    @property
    def _is_netted(self) -> bool:
        return self.view.is_netted()

    def _booked(
        self, known: Position | None, number: PositionId, command: Command, filled: int, paid: Price
    ) -> Position:
        now_ms = self.now_us // 1_000
        if known is None:
            known = Position(
                position=number,
                symbol=command.symbol,
                side=command.side,
                volume=Volume(0),
                price=paid,
                label=command.label,
            )
        signed = filled if command.side is known.side else -filled
        left = known.volume + signed
        side = known.side if left >= 0 else known.side.opposite
        status = PositionStatus.OPEN if left else PositionStatus.CLOSED
        position = replace(known, side=side, volume=Volume(abs(left)), status=status, updated_ms=now_ms)
        if left:
            self.held[number] = position
        else:
            self.held.pop(number, None)
        return position

    def _order(self, intent: IntentRecorded, status: OrderStatus, executed: int) -> Order:
        command = intent.command
        return Order(
            order=OrderId(self._next()),
            symbol=command.symbol,
            side=command.side,
            type=command.order_type,
            volume=command.volume,
            status=status,
            executed_volume=Volume(executed),
            limit_price=command.limit_price,
            stop_price=command.stop_price,
            relative_stop=command.relative_stop,
            relative_target=command.relative_target,
            trailing=command.trailing,
            guaranteed=command.guaranteed,
            trigger=command.trigger,
            slippage_points=command.slippage_points,
            expires_ms=command.expires_ms,
            time_in_force=command.time_in_force or TimeInForce.IOC,
            client_order_id=intent.intent,
            label=command.label,
            updated_ms=self.now_us // 1_000,
        )

    def _protect(self, number: PositionId, command: Command | Order, paid: Price) -> list[Event]:
        held = self.held.get(number)
        if held is None or (command.relative_stop is None and command.relative_target is None):
            return []
        sign = command.side.sign
        stop = None if command.relative_stop is None else Price(paid - sign * command.relative_stop)
        target = None if command.relative_target is None else Price(paid + sign * command.relative_target)
        self.held[number] = replace(held, stop=stop, target=target, trailing=command.trailing)
        return [self.protective(ExecutionKind.ORDER_ACCEPTED, self.held[number], is_server=True)]

    def protective(self, kind: ExecutionKind, position: Position, *, is_server: bool, name: str = "") -> ExecutionSeen:
        """An event of a position's protective order."""
        status = OrderStatus.CANCELLED if kind is ExecutionKind.ORDER_CANCELLED else OrderStatus.ACCEPTED
        order = Order(
            order=OrderId(position.position + 100_000),
            symbol=position.symbol,
            side=position.side.opposite,
            type=OrderType.PROTECTION,
            volume=position.volume,
            status=status,
            closing=True,
            position=position.position,
            updated_ms=self.now_us // 1_000,
        )
        return ExecutionSeen(kind=kind, order=order, position=position, is_server_event=is_server, client_msg_id=name)

    def close(
        self,
        number: PositionId,
        volume: int,
        *,
        name: str = "",
        at: str | None = None,
        stop_out: bool = False,
        by_level: bool = False,
    ) -> list[Event]:
        """A position is closed, whole or in part: by us under our name, by a person, a level or a stop-out."""
        held = self.held[number]
        spec = self.view.specs[held.symbol]
        paid = self._fill_price(held.side.opposite, at, spec.name)
        left = held.volume - volume
        now_ms = self.now_us // 1_000
        order = Order(
            order=OrderId(self._next()),
            symbol=held.symbol,
            side=held.side.opposite,
            type=OrderType.PROTECTION if by_level else OrderType.MARKET,
            volume=Volume(volume),
            closing=True,
            stop_out=stop_out,
            position=number,
            client_order_id=f"server-{self._last_id}",
            updated_ms=now_ms,
        )
        after = replace(
            held,
            volume=Volume(left),
            status=PositionStatus.OPEN if left else PositionStatus.CREATED,
            updated_ms=now_ms,
        )
        deal = Deal(
            deal=DealId(self._next()),
            order=order.order,
            position=number,
            symbol=held.symbol,
            side=held.side.opposite,
            volume=Volume(volume),
            filled_volume=Volume(volume),
            price=paid,
            executed_ms=now_ms,
            close=CloseDetail(
                entry_price=held.price or paid,
                gross=0,
                swap=0,
                commission=0,
                balance=self.view.balance,
                closed_volume=Volume(volume),
                balance_version=self.view.balance_version,
            ),
        )
        is_server = stop_out or by_level
        events: list[Event] = []
        if not by_level:
            events.append(
                ExecutionSeen(
                    kind=ExecutionKind.ORDER_ACCEPTED,
                    order=order,
                    position=held,
                    client_msg_id=name,
                    is_server_event=is_server,
                )
            )
        done = replace(order, status=OrderStatus.FILLED, executed_volume=Volume(volume), execution_price=paid)
        events.append(
            ExecutionSeen(
                kind=ExecutionKind.ORDER_FILLED,
                order=done,
                position=after,
                deal=deal,
                client_msg_id=name,
                is_server_event=is_server,
            )
        )
        has_levels = held.stop is not None or held.target is not None
        if left:
            self.held[number] = after
            if has_levels:
                events.append(self.protective(ExecutionKind.ORDER_REPLACED, after, is_server=True, name=name))
        else:
            del self.held[number]
            if has_levels and not by_level:
                gone = replace(after, status=PositionStatus.CLOSED, closed_ms=now_ms)
                events.append(self.protective(ExecutionKind.ORDER_CANCELLED, gone, is_server=True))
        return events

    def _amend(self, intent: IntentRecorded) -> list[Event]:
        command = intent.command
        assert command.position is not None
        held = self.held[command.position]
        had = held.stop is not None or held.target is not None
        held = replace(
            held,
            stop=command.stop,
            target=command.target,
            trailing=command.trailing,
            updated_ms=self.now_us // 1_000,
        )
        self.held[command.position] = held
        kind = ExecutionKind.ORDER_REPLACED if had else ExecutionKind.ORDER_ACCEPTED
        if command.stop is None and command.target is None:
            kind = ExecutionKind.ORDER_CANCELLED
        return [self.protective(kind, held, is_server=False, name=intent.intent)]

    def _place(self, intent: IntentRecorded) -> list[Event]:
        order = self._order(intent, OrderStatus.ACCEPTED, 0)
        self.resting[order.order] = order
        return [ExecutionSeen(kind=ExecutionKind.ORDER_ACCEPTED, order=order, client_msg_id=intent.intent)]

    def _amend_order(self, intent: IntentRecorded) -> list[Event]:
        command = intent.command
        assert command.order is not None
        order = replace(
            self.resting[command.order],
            volume=command.volume,
            limit_price=command.limit_price,
            stop_price=command.stop_price,
            relative_stop=command.relative_stop,
            relative_target=command.relative_target,
            trailing=command.trailing,
            guaranteed=command.guaranteed,
            trigger=command.trigger,
            slippage_points=command.slippage_points,
            expires_ms=command.expires_ms,
            updated_ms=self.now_us // 1_000,
        )
        self.resting[command.order] = order
        return [ExecutionSeen(kind=ExecutionKind.ORDER_REPLACED, order=order, client_msg_id=intent.intent)]

    def _cancel(self, intent: IntentRecorded) -> list[Event]:
        assert intent.command.order is not None
        return self.order_ends(intent.command.order, OrderStatus.CANCELLED, name=intent.intent)

    def order_ends(self, number: OrderId, status: OrderStatus, *, name: str = "") -> list[Event]:
        """A resting order is cancelled or expires."""
        order = replace(self.resting.pop(number), status=status, updated_ms=self.now_us // 1_000)
        kind = ExecutionKind.ORDER_EXPIRED if status is OrderStatus.EXPIRED else ExecutionKind.ORDER_CANCELLED
        return [ExecutionSeen(kind=kind, order=order, client_msg_id=name)]

    def order_triggers(self, number: OrderId, *, volume: int | None = None, at: str = "1.09") -> list[Event]:
        """The follower's resting order fills, whole or in part; then the broker sets the stop and target it carried."""
        order = self.resting[number]
        filled = order.volume - order.executed_volume if volume is None else volume
        done = order.executed_volume + filled
        is_whole = done == order.volume
        position = PositionId(number + 50_000)
        known = self.held.get(position)
        now_ms = self.now_us // 1_000
        held = Position(
            position=position,
            symbol=order.symbol,
            side=order.side,
            volume=Volume((known.volume if known else 0) + filled),
            price=price(at),
            label=order.label,
            updated_ms=now_ms,
        )
        self.held[position] = held
        order = replace(
            order,
            status=OrderStatus.FILLED if is_whole else OrderStatus.ACCEPTED,
            executed_volume=Volume(done),
            execution_price=price(at),
            position=position,
            updated_ms=now_ms,
        )
        if is_whole:
            del self.resting[number]
        else:
            self.resting[number] = order
        deal = Deal(
            deal=DealId(self._next()),
            order=number,
            position=position,
            symbol=order.symbol,
            side=order.side,
            volume=order.volume,
            filled_volume=Volume(filled),
            price=price(at),
            executed_ms=now_ms,
        )
        kind = ExecutionKind.ORDER_FILLED if is_whole else ExecutionKind.ORDER_PARTIAL_FILL
        fill = ExecutionSeen(kind=kind, order=order, position=held, deal=deal)
        return [fill, *self._protect(position, order, price(at))]

    def hears(self, events: list[Event]) -> None:
        """The follower hears these events."""
        for event in events:
            self.fact(event)

    def reconciled(self, *, looked_up: bool = False, past_orders: tuple[Order, ...] = ()) -> Reconciled:
        """All that the broker holds now."""
        return Reconciled(
            positions=tuple(self.held.values()),
            orders=tuple(self.resting.values()),
            past_orders=past_orders,
            looked_up=looked_up,
            covers_from_ms=1 if looked_up else 0,
        )

    def intent(self, number: int = -1) -> IntentId:
        """The name of one of the requests."""
        return self.sent[number].intent


def lookup_due(view: AccountView, settle_us: int = SETTLE_US) -> int | None:
    """When the broker should be asked what became of unknown outcomes by any kind of look, or None."""
    return min((moment for moment in looks_due(view, settle_us) if moment is not None), default=None)
