"""What would happen, before anything does: how a leader's symbols map, and which of its recent trades could be copied.

A pure report over two views; nothing here sends or decides anything. Shown by `cmam profile check`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from cmam.domain.changes import Change, ChangeKind
from cmam.domain.conversion import Rates
from cmam.domain.decide import decide
from cmam.domain.equity import notional
from cmam.domain.events import Inputs, Step
from cmam.domain.ids import SymbolId
from cmam.domain.leading import symbol_of
from cmam.domain.link import LinkSettings
from cmam.domain.mapping import symbol_for
from cmam.domain.quantities import PRICE_SCALE, Quote, Volume
from cmam.domain.reasons import REASONS, Reason, Verdict
from cmam.domain.sizing import fraction_text
from cmam.domain.symbols import SymbolSpec
from cmam.domain.view import AccountView

AGE_IGNORED_MS = 10**15


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A symbol at one broker. Volumes in 1/100 unit; worths are of one lot, in the account's currency."""

    name: str
    digits: int
    lot_size: Volume
    min_volume: Volume
    max_volume: Volume
    step_volume: Volume
    pip_position: int
    currency: str
    lot_worth: str = ""
    pip_worth: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One of the leader's symbols with the follower's beside it; `how` is row, exact or alike, `why` what keeps them
    apart. `warnings` are differences that a person should see."""

    leader: Side
    follower: Side | None
    how: str
    why: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One of the leader's recent trades as this follower would have met it today, its age aside."""

    change: Change
    verdict: Verdict
    reason: Reason | None
    volume: Volume
    working: tuple[Step, ...]

    @property
    def cure(self) -> str:
        """What would have let it through."""
        return REASONS[self.reason].cure if self.reason is not None else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The mapping of symbols, and the leader's recent trades."""

    symbols: tuple[Line, ...]
    trials: tuple[Trial, ...]

    @property
    def unmapped(self) -> tuple[str, ...]:
        """The leader's symbols that would not be copied."""
        return tuple(line.leader.name for line in self.symbols if line.follower is None)


def check(
    leader: AccountView,
    view: AccountView,
    settings: LinkSettings,
    *,
    leader_quotes: Mapping[str, Quote],
    quotes: Mapping[str, Quote],
    recent: Iterable[Change] = (),
    now_us: int,
) -> Report:
    """Hold a leader against a follower: every symbol the leader holds, rests in or recently traded."""
    trades = tuple(recent)
    names = {change.symbol.name for change in trades}
    for symbol in (*_held(leader), *(order.symbol for order in leader.orders.values())):
        names.add(symbol_of(leader, symbol).name)
    names.update(row.leader_symbol for row in settings.policy.symbols_table)
    symbols = tuple(
        line
        for name in sorted(names)
        if (line := _line(leader, view, settings, name, leader_quotes, quotes, now_us)) is not None
    )
    trials = tuple(
        _trial(view, settings, change, quotes, leader_quotes.get(change.symbol.name), now_us)
        for change in trades
        if change.kind in (ChangeKind.OPENED, ChangeKind.ORDER_PLACED)
    )
    return Report(symbols=symbols, trials=trials)


def _held(leader: AccountView) -> Iterable[SymbolId]:
    return (position.symbol for position in leader.positions.values())


def _line(
    leader: AccountView,
    view: AccountView,
    settings: LinkSettings,
    name: str,
    leader_quotes: Mapping[str, Quote],
    quotes: Mapping[str, Quote],
    now_us: int,
) -> Line | None:
    entry = leader.names.get(name)
    spec = leader.specs.get(entry.symbol) if entry is not None else None
    if spec is None:
        return None
    theirs = _side(leader, spec, leader_quotes, now_us)
    mapped = symbol_for(view, symbol_of(leader, spec.symbol), settings.policy, quotes, leader_quotes.get(name))
    if mapped.spec is None:
        return Line(leader=theirs, follower=None, how=mapped.how, why=mapped.why)
    own = mapped.spec
    mine = _side(view, own, quotes, now_us)
    return Line(leader=theirs, follower=mine, how=mapped.how, warnings=tuple(_warnings(spec, own, settings)))


def _side(view: AccountView, spec: SymbolSpec, quotes: Mapping[str, Quote], now_us: int) -> Side:
    newest = max((quote.seen_us for quote in quotes.values()), default=now_us)
    rates = Rates(view, quotes, newest, AGE_IGNORED_MS)
    worth = notional(rates, spec, spec.lot_size)
    rate = Fraction(1) if spec.quote_name == view.currency else rates.rate(spec.quote_name, view.currency, high=True)
    pip = None if rate is None else Fraction(spec.pip * spec.lot_size, PRICE_SCALE * 100) * rate
    return Side(
        name=spec.name,
        digits=spec.digits,
        lot_size=spec.lot_size,
        min_volume=spec.min_volume,
        max_volume=spec.max_volume,
        step_volume=spec.step_volume,
        pip_position=spec.pip_position,
        currency=view.currency,
        lot_worth="" if worth is None else _money(worth),
        pip_worth="" if pip is None else _money(pip),
    )


def _money(value: Fraction) -> str:
    return fraction_text(Fraction(round(value * 100), 100))


def _warnings(leader: SymbolSpec, own: SymbolSpec, settings: LinkSettings) -> Iterable[str]:
    if leader.lot_size != own.lot_size and leader.name not in settings.policy.lots_confirmed:
        yield "the lots differ in size: set volume.basis=units, or confirm the symbol in volume.lots_confirmed"
    if (leader.base_name, leader.quote_name) != (own.base_name, own.quote_name):
        yield (
            f"the leader trades {leader.base_name} in {leader.quote_name}, the follower {own.base_name} in "
            f"{own.quote_name}"
        )
    if leader.measurement_units != own.measurement_units:
        yield f"the units differ: {leader.measurement_units or 'none'} and {own.measurement_units or 'none'}"
    if leader.pip_position != own.pip_position:
        yield "a pip differs in size; all pips of the settings are the follower's"
    if not own.enabled:
        yield "the follower's symbol is disabled"


def _trial(
    view: AccountView,
    settings: LinkSettings,
    change: Change,
    quotes: Mapping[str, Quote],
    leader_quote: Quote | None,
    now_us: int,
) -> Trial:
    """The trade again, as if it happened now on an account that holds no copy of it."""
    bare = replace(view, copies={}, finished={}, chains={}, intents={})
    fresh = replace(change, at_ms=now_us // 1_000, late=False, synced=False)
    inputs = Inputs(standing=settings.standing, quotes=dict(sorted(quotes.items())), leader_quote=leader_quote)
    found = decide(bare, fresh, settings, inputs, now_us)
    return Trial(change=change, verdict=found.verdict, reason=found.reason, volume=found.volume, working=found.working)
