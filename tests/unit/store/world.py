"""A small world for the tests of audit, projector and replay: a leader, followers, a broker, and a log of it all.

It does what the account actors do, in their order and with their causes, through the same pure functions; the broker
answers at once. So what stands in its log is what a running system would have put there.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from cmam.domain.belief.view import AccountView
from cmam.domain.events import (
    AccountAdded,
    ChangeDecided,
    Event,
    ExecutionSeen,
    Health,
    HealthChanged,
    Inputs,
    IntentRecorded,
    IntentSent,
    LinkAdded,
    ProfileCreated,
    Reconciled,
    StoreCreated,
    SymbolListSeen,
    SymbolSpecSeen,
    TraderSeen,
)
from cmam.domain.profiles.link import LinkSettings, ProfileView, evolve_profile, link_settings
from cmam.domain.turns.leading import changes
from cmam.domain.turns.turn import decide_change, step
from cmam.domain.values.changes import Change
from cmam.domain.values.commands import Command, CommandKind
from cmam.domain.values.ids import (
    AccountId,
    DealId,
    LinkId,
    OrderId,
    PositionId,
    ProfileId,
    StoreId,
    SymbolId,
)
from cmam.domain.values.quantities import PRICE_SCALE, Price, Quote, Side, Volume
from cmam.domain.values.symbols import SymbolName, SymbolSpec
from cmam.domain.values.trades import (
    CloseDetail,
    Deal,
    ExecutionKind,
    Order,
    OrderStatus,
    OrderType,
    Position,
    PositionStatus,
    Trader,
)
from cmam.store.logfile.chain import checkpoint
from cmam.store.logfile.log import EventLog
from cmam.store.records.envelope import Pending

LEADER, FIRST, SECOND = AccountId(1001), AccountId(2001), AccountId(2002)
STORE = StoreId("st0re")
PROFILE = ProfileId("pr0f1l")
LINKS = {FIRST: LinkId("l1nk01"), SECOND: LinkId("l1nk02")}
T0 = 1_577_836_800_000_000


def _gross(held: Position, volume: int, at: Price) -> int:
    """What a close of EURUSD earns an account in EUR, in cents: the way of the price, in dollars, at the price then."""
    return round((at - (held.price or at)) * held.side.sign * volume / at)


def price(text: str) -> Price:
    """A price from its decimal text."""
    whole, _, part = text.partition(".")
    return Price(int(whole) * PRICE_SCALE + int(part.ljust(8, "0")))


def _spec(account: AccountId) -> SymbolSpec:
    """EURUSD, under another number at every broker, and with a larger smallest volume at the second follower's."""
    minimum = Volume(100_000) if account != SECOND else Volume(10_000_000)
    return SymbolSpec(symbol=SymbolId(account % 1_000), name="EURUSD", min_volume=minimum, step_volume=minimum)


@dataclass
class World:
    """One leader and two followers. Every method is something that happens; the log grows by what follows from it."""

    log: EventLog = field(default_factory=EventLog.in_memory)
    now: int = T0
    amount: str = "0.5"
    tick_us: int = 10_000
    views: dict[AccountId, AccountView] = field(default_factory=dict)
    profile: ProfileView = field(default_factory=lambda: ProfileView(profile=PROFILE))
    refuses: set[AccountId] = field(default_factory=set)
    silent: set[AccountId] = field(default_factory=set)
    is_reading: bool = False
    """Whether followers still read what their symbols allow: opens and adds wait."""
    silent_links: bool = False
    store_is_slow: bool = False
    measures_all: bool = False
    """Whether what no decision led to has spans too, as what follows from a follower's own report has."""
    leader: AccountId = LEADER
    store: StoreId = STORE
    _last_id: int = 5_000

    # --- setting up ---------------------------------------------------------------------------------------------------

    def set_up(self) -> World:
        """A store, three accounts and a profile, all of it connected and reconciled."""
        self.write("app", StoreCreated(store=STORE))
        for account in (LEADER, FIRST, SECOND):
            self.write("app", AccountAdded(account=account, login=account + 7, broker="Alpha", currency="EUR"))
        self.write_profile(ProfileCreated(profile=PROFILE, name="Main", leader=LEADER))
        for follower, link in LINKS.items():
            self.write_profile(LinkAdded(link=link, follower=follower, settings={"volume.amount": self.amount}))
        for account in (LEADER, FIRST, SECOND):
            self.connect(account)
        return self

    def connect(self, account: AccountId) -> None:
        """The account's session comes up and finds nothing."""
        spec = _spec(account)
        names = (SymbolName(symbol=spec.symbol, name=spec.name),)
        self.fact(account, TraderSeen(trader=Trader(account=account, balance=1_000_000), currency="EUR"))
        self.fact(account, SymbolListSeen(digest="d", symbols=names))
        self.fact(account, SymbolSpecSeen(spec=spec))
        self.fact(account, Reconciled(positions=(), orders=()))
        self.fact(account, HealthChanged(health=Health.RECONCILED))

    # --- what the leader does -----------------------------------------------------------------------------------------

    def leader_opens(self, volume: int = 10_000_000, at: str = "1.10000", stop: str | None = None) -> PositionId:
        """The leader buys at the market."""
        position = self._position(self.leader, self._next(), Side.BUY, volume, at, stop)
        self._execute(self.leader, position, volume, at)
        return position.position

    def leader_grows(self, position: PositionId, volume: int, at: str = "1.10000") -> None:
        """The leader adds to a position."""
        held = self.views[self.leader].positions[position]
        grown = self._position(self.leader, position, held.side, held.volume + volume, at, None)
        self._execute(self.leader, replace(grown, stop=held.stop), volume, at)

    def leader_closes(self, position: PositionId, volume: int | None = None, at: str = "1.10500") -> None:
        """The leader closes a part of a position, or all of it."""
        held = self.views[self.leader].positions[position]
        self._close(self.leader, held, volume if volume is not None else held.volume, at)

    def person_closes(self, account: AccountId, volume: int, at: str = "1.10500") -> None:
        """Somebody closes a part of what an account holds, by hand."""
        (held,) = self.views[account].positions.values()
        self._close(account, held, volume, at)

    def leader_moves_stop(self, position: PositionId, stop: str) -> None:
        """The leader sets another stop."""
        held = self.views[self.leader].positions[position]
        moved = self._position(self.leader, held.position, held.side, held.volume, "0", stop, price_=held.price)
        order = Order(
            order=OrderId(self._next()),
            symbol=held.symbol,
            side=held.side,
            type=OrderType.PROTECTION,
            volume=held.volume,
        )
        self.fact(self.leader, ExecutionSeen(kind=ExecutionKind.ORDER_REPLACED, order=order, position=moved))

    # --- the broker ---------------------------------------------------------------------------------------------------

    def answer(self, account: AccountId, recorded: IntentRecorded) -> None:
        """What the broker makes of a request: it fills it, refuses it or says nothing, as the world is set."""
        self.tick()
        is_measured = recorded.change or self.measures_all
        spans = {"decided_us": 100, "committed_us": 900, "written_us": 1_000} if is_measured else {}
        if self.store_is_slow:  # it left before its record
            spans = {"decided_us": 100, "committed_us": 0, "written_us": 1_000_200}
        self.fact(account, IntentSent(intent=recorded.intent, **spans))
        if account in self.silent:
            return
        command, intent = recorded.command, recorded.intent
        if account in self.refuses:
            order = self._order(account, command, intent, OrderStatus.REJECTED)
            self.fact(
                account, ExecutionSeen(kind=ExecutionKind.ORDER_REJECTED, order=order, error_code="NOT_ENOUGH_MONEY")
            )
            return
        match command.kind:
            case CommandKind.OPEN | CommandKind.ADD:
                at = "1.10010"
                found = command.position or self._next()
                known = self.views[account].positions.get(PositionId(found))
                volume = command.volume + (known.volume if known is not None else 0)
                position = self._position(account, found, command.side, volume, at, None)
                self._execute(account, position, command.volume, at, command=command, intent=intent)
            case CommandKind.CLOSE:
                assert command.position is not None
                held = self.views[account].positions[command.position]
                self._close(account, held, min(command.volume, held.volume), "1.10480", command=command, intent=intent)
            case CommandKind.AMEND_PROTECTION:
                assert command.position is not None
                held = self.views[account].positions[command.position]
                moved = Position(
                    position=held.position,
                    symbol=held.symbol,
                    side=held.side,
                    volume=held.volume,
                    price=held.price,
                    stop=command.stop,
                    target=command.target,
                    updated_ms=self.now // 1_000,
                )
                order = self._order(account, command, intent, OrderStatus.ACCEPTED)
                seen = ExecutionSeen(
                    kind=ExecutionKind.ORDER_REPLACED, order=order, position=moved, client_msg_id=intent
                )
                self.fact(account, seen)

    def _order(self, account: AccountId, command: Command, intent: str, status: OrderStatus) -> Order:
        return Order(
            order=OrderId(self._next()),
            symbol=command.symbol,
            side=command.side,
            type=OrderType.PROTECTION if command.kind is CommandKind.AMEND_PROTECTION else OrderType.MARKET,
            volume=command.volume,
            status=status,
            executed_volume=command.volume if status is OrderStatus.FILLED else Volume(0),
            client_order_id=intent,
            label=command.label,
            updated_ms=self.now // 1_000,
        )

    def _execute(
        self,
        account: AccountId,
        position: Position,
        volume: int,
        at: str,
        *,
        command: Command | None = None,
        intent: str = "",
    ) -> None:
        order = Order(
            order=OrderId(self._next()),
            symbol=position.symbol,
            side=position.side,
            type=OrderType.MARKET,
            volume=Volume(volume),
            status=OrderStatus.FILLED,
            executed_volume=Volume(volume),
            client_order_id=intent,
            position=position.position,
            updated_ms=self.now // 1_000,
        )
        deal = Deal(
            deal=DealId(self._next()),
            order=order.order,
            position=position.position,
            symbol=position.symbol,
            side=position.side,
            volume=Volume(volume),
            filled_volume=Volume(volume),
            price=price(at),
            executed_ms=self.now // 1_000,
        )
        seen = ExecutionSeen(
            kind=ExecutionKind.ORDER_FILLED, order=order, position=position, deal=deal, client_msg_id=intent
        )
        self.fact(account, seen)

    def _close(
        self,
        account: AccountId,
        held: Position,
        volume: int,
        at: str,
        *,
        command: Command | None = None,
        intent: str = "",
    ) -> None:
        left = held.volume - volume
        order = Order(
            order=OrderId(self._next()),
            symbol=held.symbol,
            side=held.side.opposite,
            type=OrderType.MARKET,
            volume=Volume(volume),
            status=OrderStatus.FILLED,
            executed_volume=Volume(volume),
            position=held.position,
            closing=True,
            client_order_id=intent,
            updated_ms=self.now // 1_000,
        )
        gross = _gross(held, volume, price(at))
        detail = CloseDetail(
            entry_price=held.price or Price(0),
            gross=gross,
            swap=0,
            commission=0,
            balance=1_000_000 + gross,
            closed_volume=Volume(volume),
            balance_version=self.balance_version(account),
        )
        deal = Deal(
            deal=DealId(self._next()),
            order=order.order,
            position=held.position,
            symbol=held.symbol,
            side=order.side,
            volume=Volume(volume),
            filled_volume=Volume(volume),
            price=price(at),
            executed_ms=self.now // 1_000,
            close=detail,
        )
        position = Position(
            position=held.position,
            symbol=held.symbol,
            side=held.side,
            volume=Volume(left),
            status=PositionStatus.OPEN if left else PositionStatus.CLOSED,
            price=held.price,
            stop=held.stop if left else None,
            updated_ms=self.now // 1_000,
        )
        seen = ExecutionSeen(
            kind=ExecutionKind.ORDER_FILLED, order=order, position=position, deal=deal, client_msg_id=intent
        )
        self.fact(account, seen)

    def _position(
        self,
        account: AccountId,
        position: int,
        side: Side,
        volume: int,
        at: str,
        stop: str | None,
        price_: Price | None = None,
    ) -> Position:
        return Position(
            position=PositionId(position),
            symbol=self.symbol(account),
            side=side,
            volume=Volume(volume),
            price=price_ if price_ is not None else price(at),
            stop=price(stop) if stop is not None else None,
            updated_ms=self.now // 1_000,
        )

    def symbol(self, account: AccountId) -> SymbolId:
        """The number of EURUSD at the account's broker."""
        return _spec(account).symbol

    def balance_version(self, _account: AccountId) -> int:
        """The number of the next change of an account's balance."""
        return self._next()

    def _next(self) -> int:
        self._last_id += 1
        return self._last_id

    # --- what the actors do -------------------------------------------------------------------------------------------

    def tick(self, us: int | None = None) -> None:
        """Time passes."""
        self.now += self.tick_us if us is None else us

    def write(self, stream: str, *events: Event) -> None:
        """Facts of the operator's streams."""
        self.tick()
        version = self.log.head(stream).version
        self.log.append([Pending(stream, version + n, self.now, event) for n, event in enumerate(events, 1)])

    def write_profile(self, event: Event) -> None:
        """A fact of the profile."""
        self.profile = evolve_profile(self.profile, event)
        self.write(f"profile:{PROFILE}", event)

    def write_checkpoint(self) -> None:
        """The operator puts the heads of all chains on record."""
        self.write("app", checkpoint(self.log.heads(), self.log.log_head()))

    def links(self) -> tuple[LinkSettings, ...]:
        """The links as they stand now."""
        return link_settings(self.profile, self.store, paused_accounts=frozenset())

    def fact(self, account: AccountId, event: Event) -> None:
        """An input of an account: folded, recorded with what follows from it, told to followers."""
        self.tick()
        before = self.views.get(account) or AccountView(account=account)
        turn = step(before, event, self.store, self.now)
        self.views[account] = turn.view
        stream, version = f"account:{account}", before.version + 1
        facts = [Pending(stream, version, self.now, event)]
        own = (stream, version)
        facts += [Pending(stream, version + n, self.now, one, own) for n, one in enumerate(turn.derived, 1)]
        self.log.append(facts)
        for recorded in turn.intents:
            self.answer(account, recorded)
        if account == self.leader and turn.folded is not None and not self.silent_links:
            told = changes(before, turn.folded, event)
            for index, change in enumerate(told):
                for link in self.links():
                    self.decide(link, change, version, index)

    def decide(self, link: LinkSettings, change: Change, version: int, index: int) -> None:
        """A follower makes up its mind about a change of its leader."""
        self.tick()
        before = self.views[link.follower]
        quotes = {"EURUSD": Quote(price("1.10000"), price("1.10010"), self.now // 1_000, self.now)}
        turn = decide_change(
            before, link, change, (version, index), Inputs(quotes=quotes, reading=self.is_reading), self.now
        )
        self.views[link.follower] = turn.view
        stream = f"account:{link.follower}"
        cause, own = (f"account:{self.leader}", version), (stream, before.version + 1)
        self.log.append(
            [
                Pending(
                    stream,
                    before.version + n,
                    self.now,
                    event,
                    cause if isinstance(event, ChangeDecided) else own,
                    link.version,
                )
                for n, event in enumerate(turn.derived, 1)
            ]
        )
        for recorded in turn.intents:
            self.answer(link.follower, recorded)


def a_day() -> World:
    """A day of trade: an open, a stop set and moved, a partial and a full close, a skip, a refusal, a silence."""
    world = World().set_up()
    one = world.leader_opens()
    world.leader_moves_stop(one, "1.09000")
    world.leader_moves_stop(one, "1.09500")
    world.leader_closes(one, 4_000_000)
    world.write_checkpoint()
    world.leader_closes(one)
    world.refuses.add(FIRST)
    world.leader_opens(3_000_000)
    world.refuses.clear()
    world.silent.add(FIRST)
    world.leader_opens(2_000_000)
    world.silent.clear()
    world.leader_opens(100_000)
    return world
