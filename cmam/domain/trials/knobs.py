"""What can be turned in a case so that it gets past a reason: settings and inputs, each as little as needed.

Every knob tries values by running the decision again. What a knob is good for is told by the table in `cures.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace as dataclass_replace
from fractions import Fraction

from cmam.domain.deciding.arithmetic import fraction_text
from cmam.domain.events import Standing
from cmam.domain.market.mapping import candidates
from cmam.domain.profiles.hours import is_within_hours
from cmam.domain.profiles.policy import BY_NAME
from cmam.domain.profiles.reading import number, span_ms
from cmam.domain.trials.cases import Alteration, Case, Knob, Tried, by_setting, first_of, gets_past, least
from cmam.domain.values.changes import Change
from cmam.domain.values.ids import SymbolId
from cmam.domain.values.quantities import PRICE_SCALE, Price, Quote, Side, Volume, price_text, units_text
from cmam.domain.values.reasons import Reason
from cmam.domain.values.symbols import SymbolSpec, TradingMode
from cmam.domain.values.trades import AccessRights, AccountType
from cmam.domain.values.trades import OrderType as OrderKind

GRID = 10**6
"""Settings that are numbers are tried in millionths."""
PIPS = LOTS = 100
"""Pips and lots in hundredths: distances are rounded to the nearest anyway."""
WEEK_MINUTES = 7 * 24 * 60

# --- settings -------------------------------------------------------------------------------------------------------


def choice(name: str, *values: str) -> Knob:
    """The first of some values of a setting that helps."""
    return lambda case, reason: first_of(case, reason, name, values)


def up(name: str, grid: int = GRID) -> Knob:
    """A larger number, by the least that helps; one that is off counts from 0."""
    return _number(name, 1, grid)


def down(name: str, grid: int = GRID) -> Knob:
    """A smaller number, by the least that helps."""
    return _number(name, -1, grid)


def _number(name: str, sign: int, grid: int) -> Knob:
    def knob(case: Case, reason: Reason) -> Tried | None:
        text = case.setting(name)
        try:
            was = number("0" if text == "off" else text)
        except ValueError:
            return None
        at = int(was * grid) if sign > 0 else -int(-was * grid)

        def value(steps: int) -> str:
            return fraction_text(Fraction(at + sign * steps, grid))

        def make(steps: int) -> Case | None:
            return case.with_setting(name, value(steps))

        steps = least(make, reason, limit=max(1, at - 1) if sign < 0 else 1 << 40)
        return by_setting(case, name, value(steps)) if steps is not None else None

    return knob


def longer(name: str) -> Knob:
    """A longer span, by the least number of milliseconds that helps."""

    def knob(case: Case, reason: Reason) -> Tried | None:
        was = span_ms(case.setting(name))

        def make(more: int) -> Case | None:
            return case.with_setting(name, f"{was + more}ms")

        more = least(make, reason, limit=365 * 86_400_000)
        return by_setting(case, name, f"{was + more}ms") if more is not None else None

    return knob


def listed(name: str, word: Callable[[Change], str], *, empty: str) -> Knob:
    """A list with one word more in it; where the list says all, nothing helps."""

    def knob(case: Case, reason: Reason) -> Tried | None:
        text = case.setting(name)
        if text == BY_NAME[name].default and empty != text:
            return None
        words = () if text == empty else tuple(part.strip() for part in text.split(","))
        return first_of(case, reason, name, (",".join((*words, word(case.change))),))

    return knob


def not_excluded(case: Case, reason: Reason) -> Tried | None:
    """`symbols.exclude` without the leader's symbol."""
    words = [part.strip() for part in case.setting("symbols.exclude").split(",")]
    left = [one for one in words if one.upper() != name_of(case.change).upper()]
    return first_of(case, reason, "symbols.exclude", (",".join(left) or "none",))


def rounding_raise(case: Case, reason: Reason) -> Tried | None:
    """`raise` in place of `skip`, what happens above the maximum as it is."""
    return first_of(case, reason, "volume.rounding", (case.setting("volume.rounding").replace("skip", "raise"),))


def table_row(case: Case, reason: Reason) -> Tried | None:
    """A row in the symbol table: a symbol of the follower's that is the same by what is traded, or by its name.

    Names that merely look alike are none: gold and silver differ by a letter, and a row is copied as it stands.
    """
    wanted = case.change.symbol
    name = wanted.name
    alike = [
        spec.name
        for spec in case.view.specs.values()
        if wanted.base and (spec.base_name, spec.quote_name) == (wanted.base, wanted.quote)
    ]
    named = [entry.name for entry in candidates(case.view, name) if entry.symbol in case.view.specs]
    for candidate in dict.fromkeys((*alike, *named)):
        text = case.setting("symbols.table").strip() or "leader_symbol,follower_symbol"
        columns = text.splitlines()[0].count(",")
        rows = [row for row in text.splitlines() if row.split(",")[0].strip().upper() != name.upper()]
        rows.append(f"{name},{candidate}" + "," * (columns - 1))
        altered = case.with_setting("symbols.table", "\n".join(rows) + "\n")
        if altered is not None and gets_past(altered, reason):
            told = Alteration(
                what="symbols.table", was="no such row", needs=f"the row {name},{candidate}", is_setting=False
            )
            return told, altered
    return None


# --- the moment and the prices --------------------------------------------------------------------------------------


def sooner(case: Case, reason: Reason) -> Tried | None:
    """An earlier decision, by the least number of milliseconds that helps."""
    age_ms = case.now_us // 1_000 + case.inputs.clock_offset_ms - case.change.at_ms
    if age_ms <= 0:
        return None
    less = least(lambda ms: case.at(case.now_us - ms * 1_000), reason, limit=age_ms)
    if less is None:
        return None
    told = Alteration(what="age", was=f"it was {age_ms} ms old", needs=f"a change at most {age_ms - less} ms old")
    return told, case.at(case.now_us - less * 1_000)


def other_minute(case: Case, reason: Reason) -> Tried | None:
    """The nearest minute, before or after, that lies within the hours."""
    minute = 60_000_000
    whole = case.now_us - case.now_us % minute
    for away in range(1, WEEK_MINUTES):
        for moment in (whole - (away - 1) * minute - 1, whole + away * minute):
            if is_within_hours(case.policy, moment):
                shift = moment - case.now_us
                altered = case.at(moment).with_change(at_ms=case.change.at_ms + shift // 1_000)
                if gets_past(altered, reason):
                    words = f"{-(-abs(shift) // minute)} min {'earlier' if shift < 0 else 'later'}"
                    return Alteration(what="moment", was="outside hours", needs=words), altered
    return None


def certain_clock(case: Case, reason: Reason) -> Tried | None:
    """A clock whose offset is better known."""
    doubt = case.inputs.clock_doubt_ms
    less = least(lambda ms: case.with_inputs(clock_doubt_ms=doubt - ms), reason, limit=max(doubt, 1))
    if less is None:
        return None
    needs = f"the broker's clock known to {doubt - less} ms"
    return Alteration(what="clock_doubt_ms", was=f"known to {doubt} ms", needs=needs), case.with_inputs(
        clock_doubt_ms=doubt - less
    )


def _traded(case: Case) -> SymbolSpec | None:
    decision = case.run()
    return decision.symbol if decision is not None else None


def _moved(case: Case, spec: SymbolSpec, *, bid: int, ask: int) -> Case:
    quote = case.inputs.quotes[spec.name]
    fresh = dataclass_replace(quote, bid=Price(quote.bid + bid), ask=Price(quote.ask + ask))
    return case.with_inputs(quotes={**case.inputs.quotes, spec.name: fresh})


def narrower(case: Case, reason: Reason) -> Tried | None:
    """A narrower spread of the follower, the bid as it is."""
    spec = _traded(case)
    if spec is None or spec.name not in case.inputs.quotes:
        return None
    quote = case.inputs.quotes[spec.name]
    wide = quote.ask - quote.bid
    ticks = least(lambda n: _moved(case, spec, bid=0, ask=-n * spec.tick), reason, limit=max(1, wide // spec.tick))
    if ticks is None:
        return None
    needs = f"a spread of {_pips(spec, wide - ticks * spec.tick)} pips"
    told = Alteration(what="spread", was=f"it was {_pips(spec, wide)}", needs=needs)
    return told, _moved(case, spec, bid=0, ask=-ticks * spec.tick)


def better_price(case: Case, reason: Reason) -> Tried | None:
    """The follower's market elsewhere, in whichever direction helps sooner."""
    spec = _traded(case)
    if spec is None or spec.name not in case.inputs.quotes:
        return None
    quote = case.inputs.quotes[spec.name]
    found: list[tuple[int, int]] = []
    for sign in (-1, 1):

        def make(ticks: int, sign: int = sign) -> Case:
            return _moved(case, spec, bid=sign * ticks * spec.tick, ask=sign * ticks * spec.tick)

        limit = max(1, (quote.bid - 1) // spec.tick) if sign < 0 else 10**7
        ticks = least(make, reason, limit=limit)
        if ticks is not None:
            found.append((ticks, sign))
    if not found:
        return None
    ticks, sign = min(found)
    by = sign * ticks * spec.tick
    side = case.change.side.opposite if case.policy.reverse else case.change.side
    shown = price_text(Price(quote.entry(side) + by), spec.digits)
    word = "ask" if side is Side.BUY else "bid"
    told = Alteration(
        what="price",
        was=f"it was {price_text(quote.entry(side), spec.digits)}",
        needs=f"{spec.name} at an {word} of {shown}" if word == "ask" else f"{spec.name} at a {word} of {shown}",
    )
    return told, _moved(case, spec, bid=by, ask=by)


def fresh_quotes(case: Case, reason: Reason) -> Tried | None:
    """The quotes that were there, but seen just now."""
    quotes = {name: dataclass_replace(quote, seen_us=case.now_us) for name, quote in case.inputs.quotes.items()}
    altered = case.with_inputs(quotes=quotes)
    if not gets_past(altered, reason):
        return None
    oldest = max(((case.now_us - q.seen_us) // 1_000, name) for name, q in case.inputs.quotes.items())
    told = Alteration(
        what="quotes",
        was=f"{oldest[1]} was {oldest[0]} ms old",
        needs=f"quotes at most {case.policy.input_max_age_ms} ms old",
    )
    return told, altered


def present_quote(case: Case, reason: Reason) -> Tried | None:
    """A quote of the traded symbol where there was none: the leader's stands in for it."""
    spec, theirs = _traded(case), case.inputs.leader_quote or case.change.quote
    if spec is None or spec.name in case.inputs.quotes:
        return None
    at = case.change.price or case.change.limit_price or case.change.stop_price
    if theirs is None and at is not None:
        theirs = Quote(at, at, case.now_us // 1_000, case.now_us)
    if theirs is None:
        return None
    quote = dataclass_replace(theirs, seen_us=case.now_us)
    altered = case.with_inputs(quotes={**case.inputs.quotes, spec.name: quote}, leader_quote=quote)
    if not gets_past(altered, reason):
        return None
    return Alteration(what="quotes", was="there was none", needs=f"a quote of {spec.name}"), altered


# --- the leader's trade ---------------------------------------------------------------------------------------------


def larger_trade(case: Case, reason: Reason) -> Tried | None:
    """A larger trade of the leader, in steps of a thousandth of its lot."""
    step = max(1, case.change.symbol.lot_size // 1_000)

    def make(steps: int) -> Case:
        volume = Volume(case.change.volume + steps * step)
        return case.with_change(volume=volume, after=Volume(case.change.after + steps * step))

    steps = least(make, reason, limit=10**7)
    if steps is None:
        return None
    more = units_text(Volume(case.change.volume + steps * step))
    was = f"it was {units_text(case.change.volume)}"
    return Alteration(what="leader_volume", was=was, needs=f"a leader's trade of {more} units"), make(steps)


def leader_stop(case: Case, reason: Reason) -> Tried | None:
    """A stop, or where the copy is reversed a target, in the leader's order, at one of a few usual distances."""
    spec = _traded(case)
    price = case.change.price or case.change.limit_price or case.change.stop_price
    if spec is None or price is None:
        return None
    name = "target" if case.policy.reverse else "stop"
    sign = case.change.side.sign * (1 if name == "target" else -1)
    for pips in (10, 20, 50, 100, 200, 500):
        altered = case.with_change(**{name: Price(price + sign * pips * spec.pip)})
        if gets_past(altered, reason):
            told = Alteration(
                what=f"leader_{name}",
                was="it had none that helps",
                needs=f"a {name} {pips} pips from the leader's price",
            )
            return told, altered
    return None


# --- the account ----------------------------------------------------------------------------------------------------


def standing(case: Case, reason: Reason) -> Tried | None:
    """A link that is not paused."""
    altered = case.with_inputs(standing=Standing.RUNNING)
    if not gets_past(altered, reason):
        return None
    told = Alteration(what="standing", was=f"it was {case.inputs.standing.value}", needs="a running link")
    return told, altered


def full_access(case: Case, reason: Reason) -> Tried | None:
    """An account that its broker lets trade."""
    trader = case.view.trader
    if trader is None or trader.account_type is AccountType.SPREAD_BETTING:
        return None
    altered = case.with_view(trader=dataclass_replace(trader, access=AccessRights.FULL_ACCESS))
    altered = altered.with_inputs(standing=Standing.RUNNING)
    if not gets_past(altered, reason):
        return None
    was = "the consent lets only look" if trader.access is AccessRights.FULL_ACCESS else f"it was {trader.access.value}"
    return Alteration(what="access", was=was, needs="full access to trade"), altered


def more_money(case: Case, reason: Reason) -> Tried | None:
    """A larger balance of the follower, in whole units of its currency."""
    unit = 10**case.view.money_digits
    more = least(lambda n: case.with_view(balance=case.view.balance + n * unit), reason, limit=10**12)
    if more is None:
        return None
    currency = case.view.currency
    was = f"the balance was {fraction_text(Fraction(case.view.balance, unit))} {currency}"
    told = Alteration(what="balance", was=was, needs=f"{more} {currency} more in the account")
    return told, case.with_view(balance=case.view.balance + more * unit)


def rearmed(case: Case, reason: Reason) -> Tried | None:
    """No latch of the link."""
    latches = {
        key: latch
        for key, latch in case.view.latches.items()
        if latch.link != case.link.link and latch.scope != "account"
    }
    gone = sorted({latch.guard for key, latch in case.view.latches.items() if key not in latches})
    altered = case.with_view(latches=latches)
    if not gone or not gets_past(altered, reason):
        return None
    return Alteration(what="latch", was="it had tripped", needs=f"{', '.join(gone)} re-armed"), altered


def fewer_copies(case: Case, reason: Reason) -> Tried | None:
    """Fewer positions held, the newest let go first."""
    positions = sorted(case.view.positions)

    def make(count: int) -> Case:
        gone = set(positions[-count:])
        held = {number: position for number, position in case.view.positions.items() if number not in gone}
        copies = {key: copy for key, copy in case.view.copies.items() if copy.position not in gone}
        return case.with_view(positions=held, copies=copies)

    count = least(make, reason, limit=len(positions)) if positions else None
    if count is None:
        return None
    was = f"it held {len(positions)}"
    return Alteration(what="positions", was=was, needs=f"{count} position{'s' if count > 1 else ''} fewer"), make(count)


def netted_free(case: Case, reason: Reason) -> Tried | None:
    """No position of somebody else's in the symbol of a netted account, nor a copy of another leader's."""
    spec = _traded(case)
    if spec is None:
        return None
    held = {number: one for number, one in case.view.positions.items() if one.symbol != spec.symbol}
    copies = case.view.copies
    ours = {
        key: copy for key, copy in copies.items() if copy.symbol != spec.symbol or copy.leader == case.change.leader
    }
    altered = case.with_view(positions=held, copies=ours)
    if not gets_past(altered, reason):
        return None
    needs = f"no other position or order in {spec.name}"
    return Alteration(what="netted_position", was="another's was there", needs=needs), altered


def alone(case: Case, reason: Reason) -> Tried | None:
    """No trace of another copier."""
    bare = {number: dataclass_replace(one, label="") for number, one in case.view.positions.items()}
    orders = {number: dataclass_replace(one, label="") for number, one in case.view.orders.items()}
    altered = case.with_view(positions=bare, orders=orders).with_inputs(other_copier="")
    if not gets_past(altered, reason):
        return None
    return Alteration(what="other_copier", was="there was one", needs="no other copier on the account"), altered


def still_held(case: Case, reason: Reason) -> Tried | None:
    """A leader who still holds it."""
    altered = case.with_inputs(superseded=False)
    if not gets_past(altered, reason):
        return None
    return Alteration(what="source", was="it was gone", needs="a leader who still holds it"), altered


def confirmed(case: Case, reason: Reason) -> Tried | None:
    """A changed symbol that somebody has confirmed."""
    spec = _traded(case)
    is_leaders = case.change.lots_were and (spec is None or spec.symbol not in case.view.former_specs)
    altered = case.with_change(lots_were=Volume(0)) if is_leaders else case.with_view(former_specs={})
    if spec is None or not gets_past(altered, reason):
        return None
    account, name = case.view.account, spec.name
    if is_leaders:
        account, name = case.change.leader, case.change.symbol.name
    command = f"`cmam account confirm-symbol {account} {name}`"
    return Alteration(what="symbol", was="nobody had confirmed its change", needs=command), altered


def tradable(case: Case, reason: Reason) -> Tried | None:
    """A symbol that its broker lets trade, and sell short."""
    spec = _traded(case)
    if spec is None:
        return None
    is_shut = not spec.enabled or spec.trading_mode is not TradingMode.ENABLED
    fresh = dataclass_replace(spec, enabled=True, trading_mode=TradingMode.ENABLED, short_selling=True)
    specs = {**case.view.specs, SymbolId(spec.symbol): fresh}
    altered = case.with_view(specs=specs)
    if not gets_past(altered, reason):
        return None
    was, needs = (
        ("it was shut", f"{spec.name} open for trade") if is_shut else ("it is not", f"{spec.name} open to short sales")
    )
    return Alteration(what="symbol", was=was, needs=needs), altered


def guaranteed(case: Case, reason: Reason) -> Tried | None:
    """A symbol whose stops may be guaranteed."""
    spec = _traded(case)
    if spec is None:
        return None
    specs = {**case.view.specs, spec.symbol: dataclass_replace(spec, guaranteed_stops=True)}
    altered = case.with_view(specs=specs)
    if not gets_past(altered, reason):
        return None
    return Alteration(what="symbol", was="it has none", needs=f"{spec.name} with guaranteed stops"), altered


def kind_of(change: Change) -> str:
    """The type of the leader's original order, as `order_types` names it."""
    kind: OrderKind = change.origin_type
    return kind.value


def name_of(change: Change) -> str:
    """The leader's symbol."""
    return change.symbol.name


def _pips(spec: SymbolSpec, distance: int) -> str:
    return fraction_text(Fraction(distance, spec.pip)) if spec.pip else fraction_text(Fraction(distance, PRICE_SCALE))
