"""When a guard trips: equity of this moment against limits, anchors and peaks, and what is to be put on record.

`watch` is asked on a timer and after executions, only where a guard is set. It gives facts for the account's stream;
what follows from them (closing, cancelling, locking out) is derived there. What must hold for a while before it counts
is kept in `Memory`, which dies with the process: a trip needs its confirmation anew, a latch never does. Without equity
nothing trips: opens stop instead (`opening.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction

from cmam.domain.belief.view import AccountView, GuardDay
from cmam.domain.events import EquityPeaked, Event, GuardDayBegan, GuardInitialNamed, GuardTripped, Health
from cmam.domain.guarding.days import anchor_of, day_of, initial_of, peak_before
from cmam.domain.guarding.latches import BY_EQUITY, REJECTIONS, day_begun, initial_named, peaked_at
from cmam.domain.market.conversion import Rates
from cmam.domain.market.equity import equity, equity_symbols, told_equity
from cmam.domain.market.sessions import is_open
from cmam.domain.profiles.choices import Lockout, PeakKind, PercentOf, Reaction
from cmam.domain.profiles.link import LinkSettings
from cmam.domain.profiles.policy import Policy
from cmam.domain.profiles.reading import Amount
from cmam.domain.values.ids import LinkId
from cmam.domain.values.quantities import Quote, floor_fraction
from cmam.domain.values.rules.guards import NAMED_AS_SET

PEAK_RECORDED_US = 10_000_000
"""A new high is put on record after so long, before any trip and before a day ends."""

PEAK_PARTS = 10
"""And at once where it is higher than the one on record by so large a part of a drawdown's limit: a process that is
killed forgets no more than that."""

MISSED_US = 60_000_000
"""A day's beginning that we learn of later than this was missed: its anchor is unknown."""

AHEAD_US = 86_400_000_000
"""A day that begins further ahead than this is of a clock that was wrong: it would last until that moment comes, and
count from what the account was worth once. One that was wrong by less makes a day longer, and begins none twice."""

QUOTES_TO_CONFIRM = 2
"""A condition that holds on so many different quotes needs no more time."""

DAILY = ("daily_loss", "daily_drawdown", "daily_target")
BY_HEIGHT = ("daily_drawdown", "trailing_drawdown")
BY_PERCENT = (*DAILY, "total_loss", "trailing_drawdown")
"""The guards whose limit may be a percentage."""

QuoteOf = Callable[[str], Quote | None]
Breach = tuple[LinkId, str]


@dataclass(frozen=True, slots=True)
class Since:
    """Since when a condition holds, and on how many different quotes."""

    since_us: int
    quotes: int = 1
    newest_us: int = 0


@dataclass(frozen=True, slots=True)
class Memory:
    """What a watch remembers between two looks."""

    breaches: Mapping[Breach, Since] = field(default_factory=dict)
    peaks: Mapping[LinkId, tuple[int, int]] = field(default_factory=dict)
    """How much higher than the day's peak on record equity has been, and when one was recorded last. Money that comes
    or goes moves the peak on record, and what is above it stays what it is."""


@dataclass(frozen=True, slots=True)
class Watched:
    """The facts to be recorded, and what to remember until the next look; `is_dark` where quotes for equity lack, and
    the broker's own reckoning would help."""

    facts: tuple[Event, ...]
    memory: Memory
    is_dark: bool = False


def needs_watch(links: Iterable[LinkSettings]) -> bool:
    """Whether any link has a guard at all."""
    return any(link.policy.has_equity_guard or link.policy.max_rejections is not None for link in links)


def watch(
    view: AccountView,
    links: Iterable[LinkSettings],
    quote_of: QuoteOf,
    memory: Memory,
    now_us: int,
    *,
    is_known: bool = True,
) -> Watched:
    """Look once at all guards of an account; without what it is worth by its broker's word on this line there is
    nothing to look at: money may have come or gone."""
    if view.health is not Health.RECONCILED or not is_known:
        return Watched((), Memory(peaks=memory.peaks))
    quotes = {name: quote for name in equity_symbols(view) if (quote := quote_of(name)) is not None}
    facts: list[Event] = []
    breaches: dict[Breach, Since] = {}
    peaks = dict(memory.peaks)
    is_dark = False
    can_trip = _is_any_open(view, now_us)
    for link in links:
        facts.extend(_rejections(view, link, now_us))
        if not link.policy.has_equity_guard:
            continue
        worth, has_quotes = worth_of(view, link, quotes, now_us)
        is_dark = is_dark or not (has_quotes or view.doubted)
        day = view.days.get(link.link)
        began = _new_day(view, link, day, worth, now_us)
        if began is not None:
            above, _ = peaks.pop(link.link, (0, 0))
            if above and day is not None and day.peak_today is not None:
                last = EquityPeaked(link=link.link, equity=day.peak_today + above)
                facts.append(last)
                day = peaked_at(day, last.equity)
                began = replace(began, peak=peak_before(day))
            facts.append(began)
            day = day_begun(began, day, view.rules)
        named = _named_anew(view, link, day) if day is not None else None
        if day is not None and named is not None:
            facts.append(named)
            day = initial_named(day, named)
        if worth is None or day is None:
            continue
        day, peaked = _peak(link.link, day, worth, peaks, now_us)
        tripped = list(_trips(view, link, day, worth, memory, breaches, quotes, now_us)) if can_trip else []
        due_us = peaks.get(link.link, (0, 0))[1] + PEAK_RECORDED_US
        is_due = tripped or now_us >= due_us or day.anchor is None  # which may be rebuilt, peak and all
        if peaked and (is_due or _is_far_above(view, link, day, worth, peaks[link.link][0])):
            facts.append(EquityPeaked(link=link.link, equity=day.peak_today or worth))
            peaks[link.link] = (0, now_us)
        facts.extend(tripped)
    return Watched(tuple(facts), Memory(breaches, peaks), is_dark)


def worth_of(
    view: AccountView, link: LinkSettings, quotes: Mapping[str, Quote], now_us: int
) -> tuple[int | None, bool]:
    """Equity in minor units, and whether the quotes for it are there; without them by the broker's own reckoning.

    While nobody knows what moved the balance, equity says nothing: money that was taken out is no loss.
    """
    max_age_ms = link.policy.input_max_age_ms
    whole = equity(Rates(view, quotes, now_us, max_age_ms))
    has_quotes = whole is not None
    if whole is None:
        whole = told_equity(view, now_us, max_age_ms)
    return (None if view.unexplained else _minor(view, whole)), has_quotes


def _is_any_open(view: AccountView, now_us: int) -> bool:
    """Whether anything that is held trades now: what is out of session never trips a guard."""
    held = {position.symbol for position in view.positions.values()}
    specs = [view.specs[symbol] for symbol in held if symbol in view.specs]
    return not specs or any(is_open(spec, now_us) for spec in specs)


def _minor(view: AccountView, value: Fraction | None) -> int | None:
    return None if value is None else floor_fraction(value * 10**view.money_digits)


def _bonus(view: AccountView, policy: Policy) -> int:
    return view.trader.bonus if policy.guard_bonus and view.trader is not None else 0


# --- days ---------------------------------------------------------------------------------------------------------


def _new_day(
    view: AccountView, link: LinkSettings, known: GuardDay | None, worth: int | None, now_us: int
) -> GuardDayBegan | None:
    """The day that has begun, if one has: its anchor is known only where equity was seen at its beginning."""
    is_first = known is None or known.anew
    is_ahead = known is not None and known.began_us - now_us > AHEAD_US
    if known is not None and not is_first and not is_ahead and now_us < known.next_us:
        return None
    began_us, next_us = day_of(link.policy.guard_reset, now_us)
    # Another `guard.reset` may have begun a day before the last one ended: that end is when this one begins.
    since_us = began_us if known is None or is_ahead else max(began_us, known.next_us)
    is_seen = is_first or now_us - since_us <= MISSED_US
    if worth is None and is_seen:
        return None
    anchor = anchor_of(link.policy, view.balance, worth) if is_seen else None
    return GuardDayBegan(
        link=link.link,
        began_us=began_us,
        next_us=next_us,
        balance=view.balance,
        equity=worth if is_seen else None,
        anchor=anchor,
        initial=initial_of(view, link.policy),
        peak=peak_before(known),
    )


def _named_anew(view: AccountView, link: LinkSettings, day: GuardDay) -> GuardInitialNamed | None:
    """That `guard.initial` is another one than was counted from last, money that came and went apart, if it is."""
    if link.policy.guard_initial is None:
        is_off = bool(day.named) and view.rules >= NAMED_AS_SET
        return GuardInitialNamed(link=link.link, initial=day.initial, is_off=True) if is_off else None
    initial = initial_of(view, link.policy)
    return GuardInitialNamed(link=link.link, initial=initial) if day.named != initial else None


def _peak(
    link: LinkId, day: GuardDay, worth: int, peaks: dict[LinkId, tuple[int, int]], now_us: int
) -> tuple[GuardDay, bool]:
    """The day with its true peak, and whether that is higher than what is on record."""
    above, recorded_us = peaks.get(link, (0, now_us - PEAK_RECORDED_US))
    known = worth if day.peak_today is None else day.peak_today
    highest = max(known + above, worth)
    peaks[link] = (highest - known, recorded_us)
    is_new = day.peak_today is None or highest > day.peak_today
    ever = highest if day.peak_ever is None else max(day.peak_ever, highest)
    return replace(day, peak_today=highest, peak_ever=ever), is_new


def _is_far_above(view: AccountView, link: LinkSettings, day: GuardDay, worth: int, above: int) -> bool:
    """Whether the peak is so far above the one on record that a drawdown counted from that would be much too small."""
    found = conditions(view, link.policy, day, worth)
    return any(one.guard in BY_HEIGHT and above * PEAK_PARTS >= one.limit for one in found)


# --- trips --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Condition:
    """A guard as it stands: its value, its limit and whether the one has passed the other. In minor units."""

    guard: str
    value: int
    limit: int
    holds: bool
    reaction: Reaction


def conditions(view: AccountView, policy: Policy, day: GuardDay, worth: int) -> Iterator[Condition]:
    """How every guard that is set stands at this equity."""
    scale = 10**view.money_digits
    reaction = policy.guard_reaction
    whole = worth + _bonus(view, policy)
    if policy.min_equity is not None:
        limit = floor_fraction(policy.min_equity * scale)
        yield Condition("min_equity", whole, limit, whole < limit, Reaction.FLATTEN)
    if policy.take_equity is not None:
        limit = floor_fraction(policy.take_equity * scale)
        yield Condition("take_equity", whole, limit, whole > limit, Reaction.FLATTEN)
    initial = day.initial

    def limit_of(asked: Amount, base: int | None) -> int | None:
        if asked.is_percent and (base is None or base <= 0):
            return None  # a part of nothing is no limit: opens stop instead
        limit = asked.of(Fraction(base or 0, scale)) * scale  # money is money, whatever a day began with
        return max(floor_fraction(limit), 1)

    peak = day.peak_ever if policy.guard_peak is PeakKind.INTRADAY else day.peak_begun
    for guard, asked, start, sign in (
        ("daily_loss", policy.daily_loss, day.anchor, -1),
        ("daily_drawdown", policy.daily_drawdown, day.peak_today, -1),
        ("daily_target", policy.daily_target, day.anchor, 1),
        ("total_loss", policy.total_loss, initial, -1),
        ("trailing_drawdown", policy.trailing_drawdown, peak, -1),
    ):
        if asked is None or start is None:
            continue
        bound = limit_of(asked, _base(policy, day, guard))
        if bound is None:
            continue
        if guard == "trailing_drawdown" and policy.guard_stop_at_initial:
            start = min(start, initial + bound)
        moved = (worth - start) * sign
        yield Condition(guard, moved, bound, moved >= bound, reaction)


def _base(policy: Policy, day: GuardDay, guard: str) -> int | None:
    """What a guard's percentage is of, in minor units; None where that is not known."""
    is_of_initial = guard == "total_loss" or policy.guard_percent_of is PercentOf.INITIAL
    return day.initial if is_of_initial else day.anchor


def of_nothing(policy: Policy, day: GuardDay) -> tuple[tuple[str, int], ...]:
    """The guards whose percentage is of nothing or less, and can say no limit, each with what it would be of: of an
    account without money, or from which more was taken than the initial balance had."""
    bases = ((guard, _base(policy, day, guard)) for guard in BY_PERCENT if _is_percent(policy, guard))
    return tuple((guard, base) for guard, base in bases if base is not None and base <= 0)


def out_of_reach(view: AccountView, link: LinkSettings) -> tuple[tuple[str, int, int], ...]:
    """The guards that can hold at no equity above nothing, since more was taken out than they counted from: each with
    the initial balance as it counts now, and the equity at which it would hold, in minor units."""
    day, policy, scale = view.days.get(link.link), link.policy, 10**view.money_digits
    if day is None:
        return ()
    found = []
    if policy.total_loss is not None and not policy.total_loss.is_percent:
        found.append(("total_loss", day.initial - floor_fraction(policy.total_loss.of(Fraction(0)) * scale)))
    base = _base(policy, day, "trailing_drawdown") if _is_percent(policy, "trailing_drawdown") else 1
    if policy.trailing_drawdown is not None and policy.guard_stop_at_initial and base is not None and base > 0:
        found.append(("trailing_drawdown", day.initial))  # it rises no farther than to there
    return tuple((guard, day.initial, limit) for guard, limit in found if limit <= 0)


def _is_percent(policy: Policy, guard: str) -> bool:
    asked: object = getattr(policy, guard)
    return isinstance(asked, Amount) and asked.is_percent


def _trips(
    view: AccountView,
    link: LinkSettings,
    day: GuardDay,
    worth: int,
    memory: Memory,
    breaches: dict[Breach, Since],
    quotes: Mapping[str, Quote],
    now_us: int,
) -> Iterator[GuardTripped]:
    """Trip what has held long enough; remember what only began to hold."""
    newest = max((quote.seen_us for quote in quotes.values()), default=0)
    policy = link.policy
    for found in conditions(view, policy, day, worth):
        key = (link.link, found.guard)
        if not found.holds or key in view.latches:
            continue
        before = memory.breaches.get(key)
        since = before or Since(now_us, 1, now_us)  # a quote from before confirms nothing
        if newest > since.newest_us:
            since = replace(since, quotes=since.quotes + 1, newest_us=newest)
        breaches[key] = since
        is_confirmed = now_us - since.since_us >= policy.guard_confirm_ms * 1_000 or (
            before is not None and since.quotes >= QUOTES_TO_CONFIRM
        )
        if not is_confirmed:
            continue
        ends_with_day = policy.guard_lockout is Lockout.DAY and found.guard in DAILY
        yield GuardTripped(
            link=link.link,
            guard=found.guard,
            reaction=found.reaction.value,
            scope=policy.guard_scope.value,
            value=found.value,
            limit=found.limit,
            until_us=day.next_us if ends_with_day else 0,
            quotes=dict(sorted(quotes.items())),
        )


def _rejections(view: AccountView, link: LinkSettings, now_us: int) -> Iterator[GuardTripped]:
    limit = link.policy.max_rejections
    count = view.refused_opens.get(link.link, 0)
    if limit is None or count < limit or (link.link, REJECTIONS) in view.latches:
        return
    yield GuardTripped(
        link=link.link,
        guard=REJECTIONS,
        reaction=Reaction.OPEN_ONLY_OFF.value,
        value=count,
        limit=limit,
        until_us=now_us + link.policy.rejection_cooldown_ms * 1_000,
    )


def untold(view: AccountView, link: LinkSettings, quote_of: QuoteOf, now_us: int, guard: str = "") -> tuple[str, ...]:
    """The closed latches of which nobody can say now whether their conditions hold, since equity is unknown."""
    closed = {
        of
        for of in BY_EQUITY
        if (link.link, of) in view.latches and guard in ("", of) and getattr(link.policy, of) is not None
    }
    if not closed:
        return ()
    quotes = {name: quote for name in equity_symbols(view) if (quote := quote_of(name)) is not None}
    worth, _ = worth_of(view, link, quotes, now_us)
    return tuple(sorted(closed)) if worth is None else ()


def still_holds(
    view: AccountView, link: LinkSettings, quote_of: QuoteOf, now_us: int, guard: str = ""
) -> tuple[Condition, ...]:
    """The conditions that forbid to re-arm: those of closed latches that hold at this moment."""
    day = view.days.get(link.link)
    quotes = {name: quote for name in equity_symbols(view) if (quote := quote_of(name)) is not None}
    worth, _ = worth_of(view, link, quotes, now_us)
    if day is None or worth is None:
        return ()
    return tuple(
        found
        for found in conditions(view, link.policy, day, worth)
        if found.holds and (link.link, found.guard) in view.latches and guard in ("", found.guard)
    )
