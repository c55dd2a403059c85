"""The days that guards count by: when one begins, what it counts from, and how one that nobody saw must have begun.

A day's beginning that nobody saw is worked out backwards: the balance then is the one now without what deals and
movements of money have made of it since. Equity then is known only where nothing was open.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from cmam.domain.belief.view import AccountView, GuardDay
from cmam.domain.events import DayHistorySeen, GuardDayBegan
from cmam.domain.guarding.latches import moved_by, paid
from cmam.domain.profiles.choices import Anchor
from cmam.domain.profiles.hours import instants, local
from cmam.domain.profiles.link import LinkSettings
from cmam.domain.profiles.policy import Policy
from cmam.domain.profiles.reading import ResetAt
from cmam.domain.values.ids import PositionId
from cmam.domain.values.quantities import floor_fraction


def day_of(reset: ResetAt, now_us: int) -> tuple[int, int]:
    """When the present day began and when the next one does, in us.

    An hour that the clock skips begins the day at the next instant there is; one that comes twice begins it once.
    """
    today = datetime.combine(local(now_us, reset.zone).date(), datetime.min.time())
    walls = [today + timedelta(days=offset, minutes=reset.minute) for offset in (-1, 0, 1, 2)]
    starts = [instants(wall, ZoneInfo(reset.zone))[0] for wall in walls]
    began = max(start for start in starts if start <= now_us)
    return began, min(start for start in starts if start > now_us)


def anchor_of(policy: Policy, balance: int, worth: int | None) -> int | None:
    """What a day counts from, in minor units, at this balance and equity; None where that is unknown."""
    match policy.guard_anchor:
        case Anchor.BALANCE:
            return balance if worth is not None else None
        case Anchor.EQUITY:
            return worth
        case Anchor.HIGHER:
            return None if worth is None else max(balance, worth)


def initial_of(view: AccountView, policy: Policy) -> int:
    """The balance that percentages of the initial one rest on, where none was kept before."""
    initial = policy.guard_initial
    return view.balance if initial is None else floor_fraction(initial * 10**view.money_digits)


def peak_before(known: GuardDay | None) -> int | None:
    """The highest equity of all days up to this one."""
    if known is None:
        return None
    return max((peak for peak in (known.peak_ever, known.peak_today) if peak is not None), default=None)


# --- a day that began unseen --------------------------------------------------------------------------------------


def missed(view: AccountView, links: Iterable[LinkSettings], now_us: int) -> tuple[LinkSettings, ...]:
    """The links whose guards do not know what the present day began with."""
    return tuple(
        link
        for link in links
        if link.policy.has_equity_guard
        and (day := view.days.get(link.link)) is not None
        and day.anchor is None
        and not day.anew
        and now_us < day.next_us
    )


def rebuilt(view: AccountView, link: LinkSettings, history: DayHistorySeen) -> GuardDayBegan | None:
    """The day as it must have begun, from all that was dealt and moved since; None where that cannot be told."""
    day = view.days[link.link]
    balance, moved = _balance_then(view, history, day.began_us)
    equity = balance if _was_flat(view, history, day.began_us) else None
    is_by_balance = link.policy.guard_anchor is Anchor.BALANCE
    anchor = balance if is_by_balance else equity
    if anchor is None:
        return None
    return GuardDayBegan(
        link=link.link,
        began_us=day.began_us,
        next_us=day.next_us,
        balance=balance + moved,
        equity=None if equity is None else equity + moved,
        anchor=anchor + moved,
        initial=day.initial or initial_of(view, link.policy),
        peak=peak_before(day),
    )


def _balance_then(view: AccountView, history: DayHistorySeen, began_us: int) -> tuple[int, int]:
    """The balance as the day began, and what came and went as money since."""
    steps: list[tuple[int, int, int]] = []
    moved = 0
    money = [change for change in history.money if not change.bonus]
    after = {change.balance_version: change.balance for change in money}
    after |= {deal.close.balance_version: deal.close.balance for deal in history.deals if deal.close is not None}
    for change in money:
        if _us(change.changed_ms, history) >= began_us:
            before = after.get(change.balance_version - 1) if change.balance_version > 1 else None
            step = change.balance - moved_by(change, view.rules, before)
            steps.append((change.changed_ms, change.balance_version, step))
            moved += paid(change, view.rules, before)
    for deal in history.deals:
        if deal.is_execution and deal.close is not None and _us(deal.executed_ms, history) >= began_us:
            before = deal.close.balance - deal.close.net
            steps.append((deal.executed_ms, deal.close.balance_version, before))
    return (min(steps)[2] if steps else view.balance), moved


def _was_flat(view: AccountView, history: DayHistorySeen, began_us: int) -> bool:
    """Whether nothing was open as the day began: what is held now, without what was dealt since, comes to nothing."""
    held: dict[PositionId, int] = {
        key: position.volume * position.side.sign for key, position in view.positions.items()
    }
    for deal in history.deals:
        if deal.is_execution and _us(deal.executed_ms, history) >= began_us:
            held[deal.position] = held.get(deal.position, 0) - deal.filled_volume * deal.side.sign
    return not any(held.values())


def _us(broker_ms: int, history: DayHistorySeen) -> int:
    """A moment of the broker by our clock."""
    return (broker_ms - history.offset_ms) * 1_000
