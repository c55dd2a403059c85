"""When a guard trips: equity of this moment against limits, anchors and peaks, and what is to be put on record.

`watch` is asked on a timer and after executions, only where a guard is set. It gives facts for the account's stream;
what follows from them (closing, cancelling, locking out) is derived there. What must hold for a while before it counts
is kept in `Memory`, which dies with the process: a trip needs its confirmation anew, a latch never does. Without equity
nothing trips: opens stop instead (`opening.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta, timezone
from fractions import Fraction
from zoneinfo import ZoneInfo

from cmam.domain.choices import Anchor, Lockout, PeakKind, PercentOf, Reaction
from cmam.domain.conversion import Rates
from cmam.domain.equity import equity, equity_symbols
from cmam.domain.events import EquityPeaked, Event, GuardDayBegan, GuardTripped, Health
from cmam.domain.ids import LinkId
from cmam.domain.latches import day_begun
from cmam.domain.link import LinkSettings
from cmam.domain.policy import Policy
from cmam.domain.quantities import Quote, floor_fraction
from cmam.domain.reading import Amount, ResetAt
from cmam.domain.view import AccountView, GuardDay

PEAK_RECORDED_US = 10_000_000
"""A new high is put on record at most this often, and before any trip."""

MISSED_US = 60_000_000
"""A day's beginning that we learn of later than this was missed: its anchor is unknown."""

QUOTES_TO_CONFIRM = 2
"""A condition that holds on so many different quotes needs no more time."""

DAILY = ("daily_loss", "daily_drawdown", "daily_target")
REJECTIONS = "rejections"

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


@dataclass(frozen=True, slots=True)
class Watched:
    """The facts to be recorded, and what to remember until the next look."""

    facts: tuple[Event, ...]
    memory: Memory


def needs_watch(links: Iterable[LinkSettings]) -> bool:
    """Whether any link has a guard at all."""
    return any(link.policy.has_equity_guard or link.policy.max_rejections is not None for link in links)


def watch(view: AccountView, links: Iterable[LinkSettings], quote_of: QuoteOf, memory: Memory, now_us: int) -> Watched:
    """Look once at all guards of an account."""
    if view.health is not Health.RECONCILED:
        return Watched((), Memory())
    quotes = {name: quote for name in equity_symbols(view) if (quote := quote_of(name)) is not None}
    facts: list[Event] = []
    breaches: dict[Breach, Since] = {}
    peaks = dict(memory.peaks)
    for link in links:
        facts.extend(_rejections(view, link, now_us))
        if not link.policy.has_equity_guard:
            continue
        rates = Rates(view, quotes, now_us, link.policy.input_max_age_ms)
        worth = _minor(view, equity(rates))
        began = _new_day(view, link, worth, now_us)
        day = view.days.get(link.link)
        if began is not None:
            facts.append(began)
            day = day_begun(began, day)
            peaks.pop(link.link, None)
        if worth is None or day is None:
            continue
        day, peaked = _peak(link.link, day, worth, peaks, now_us)
        tripped = list(_trips(view, link, day, worth, memory, breaches, quotes, now_us))
        due_us = peaks.get(link.link, (0, 0))[1] + PEAK_RECORDED_US
        if peaked and (tripped or now_us >= due_us):
            facts.append(EquityPeaked(link=link.link, equity=day.peak_today or worth))
            peaks[link.link] = (day.peak_today or worth, now_us)
        facts.extend(tripped)
    return Watched(tuple(facts), Memory(breaches, peaks))


def _minor(view: AccountView, value: Fraction | None) -> int | None:
    return None if value is None else floor_fraction(value * 10**view.money_digits)


def _bonus(view: AccountView, policy: Policy) -> int:
    return view.trader.bonus if policy.guard_bonus and view.trader is not None else 0


# --- days ---------------------------------------------------------------------------------------------------------


def day_of(reset: ResetAt, now_us: int) -> tuple[int, int]:
    """When the present day began and when the next one does, in us.

    An hour that the clock skips begins the day at the next instant there is; one that comes twice begins it once.
    """
    moment = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=now_us)  # noqa: UP017
    today = moment.astimezone(ZoneInfo(reset.zone)).date()
    starts = [_instant(reset, today + timedelta(days=offset)) for offset in (-1, 0, 1, 2)]
    began = max(start for start in starts if start <= now_us)
    return began, min(start for start in starts if start > now_us)


def _instant(reset: ResetAt, day: date) -> int:
    zone = ZoneInfo(reset.zone)
    naive = datetime(day.year, day.month, day.day, reset.minute // 60, reset.minute % 60)  # noqa: DTZ001
    first = _utc_us(naive.replace(tzinfo=zone, fold=0))
    if _local(first, zone) == naive:
        return first
    low, high = _utc_us(naive.replace(tzinfo=zone, fold=1)), first
    while high - low > 1_000_000:
        middle = (low + high) // 2
        if _local(middle, zone) >= naive:
            high = middle
        else:
            low = middle
    return high // 1_000_000 * 1_000_000


def _utc_us(moment: datetime) -> int:
    return round((moment - datetime(1970, 1, 1, tzinfo=timezone.utc)) / timedelta(microseconds=1))  # noqa: UP017


def _local(at_us: int, zone: ZoneInfo) -> datetime:
    moment = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=at_us)  # noqa: UP017
    return moment.astimezone(zone).replace(tzinfo=None)


def _new_day(view: AccountView, link: LinkSettings, worth: int | None, now_us: int) -> GuardDayBegan | None:
    """The day that has begun, if one has: its anchor is known only where equity was seen at its beginning."""
    known = view.days.get(link.link)
    if known is not None and now_us < known.next_us:
        return None
    began_us, next_us = day_of(link.policy.guard_reset, now_us)
    is_first = known is None
    if worth is None and now_us - began_us <= MISSED_US:
        return None
    is_seen = is_first or now_us - began_us <= MISSED_US
    anchor = None
    if is_seen and worth is not None:
        match link.policy.guard_anchor:
            case Anchor.BALANCE:
                anchor = view.balance
            case Anchor.EQUITY:
                anchor = worth
            case Anchor.HIGHER:
                anchor = max(view.balance, worth)
    initial = link.policy.guard_initial
    return GuardDayBegan(
        link=link.link,
        began_us=began_us,
        next_us=next_us,
        balance=view.balance,
        equity=worth if is_seen else None,
        anchor=anchor,
        initial=view.balance if initial is None else floor_fraction(initial * 10**view.money_digits),
        peak=_peak_before(known),
    )


def _peak_before(known: GuardDay | None) -> int | None:
    if known is None:
        return None
    return max((peak for peak in (known.peak_ever, known.peak_today) if peak is not None), default=None)


def _peak(
    link: LinkId, day: GuardDay, worth: int, peaks: dict[LinkId, tuple[int, int]], now_us: int
) -> tuple[GuardDay, bool]:
    """The day with its true peak, and whether that is higher than what is on record."""
    remembered, recorded_us = peaks.get(link, (day.peak_today or worth, now_us - PEAK_RECORDED_US))
    highest = max(remembered, worth, day.peak_today if day.peak_today is not None else worth)
    peaks[link] = (highest, recorded_us)
    is_new = day.peak_today is None or highest > day.peak_today
    ever = highest if day.peak_ever is None else max(day.peak_ever, highest)
    return replace(day, peak_today=highest, peak_ever=ever), is_new


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
    anchor = initial if policy.guard_percent_of is PercentOf.INITIAL else day.anchor

    def limit_of(asked: Amount, base: int | None) -> int | None:
        return None if base is None else floor_fraction(asked.of(Fraction(base, scale)) * scale)

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
        bound = limit_of(asked, initial if guard == "total_loss" else anchor)
        if bound is None:
            continue
        if guard == "trailing_drawdown" and policy.guard_stop_at_initial:
            start = min(start, initial + bound)
        moved = (worth - start) * sign
        yield Condition(guard, moved, bound, moved >= bound, reaction)


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
        since = before or Since(now_us, 1, newest)
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


def still_holds(
    view: AccountView, link: LinkSettings, quote_of: QuoteOf, now_us: int, guard: str = ""
) -> tuple[Condition, ...]:
    """The conditions that forbid to re-arm: those of closed latches that hold at this moment."""
    day = view.days.get(link.link)
    quotes = {name: quote for name in equity_symbols(view) if (quote := quote_of(name)) is not None}
    worth = _minor(view, equity(Rates(view, quotes, now_us, link.policy.input_max_age_ms)))
    if day is None or worth is None:
        return ()
    return tuple(
        found
        for found in conditions(view, link.policy, day, worth)
        if found.holds and (link.link, found.guard) in view.latches and guard in ("", found.guard)
    )
