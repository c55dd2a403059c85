"""What guards keep: their days, their peaks and the latches that stay closed over any restart.

Folds only; when a guard trips is worked out in `guards.py`. A deposit or withdrawal moves every anchor and peak; what
positions earn or cost moves none.
"""

from __future__ import annotations

from collections.abc import Collection

from cmam.domain.belief.copies import Copy
from cmam.domain.belief.particulars import explained
from cmam.domain.belief.view import AccountView, GuardDay, Latch, put
from cmam.domain.events import (
    CopiesReleased,
    DayHistorySeen,
    EquityPeaked,
    FlattenRequested,
    GuardDayBegan,
    GuardInitialNamed,
    GuardRearmed,
    GuardTripped,
    StopOutSeen,
)
from cmam.domain.profiles.choices import Reaction, Scope
from cmam.domain.values.ids import LinkId
from cmam.domain.values.quantities import decimal_text
from cmam.domain.values.reasons import Reason
from cmam.domain.values.replacing import replace
from cmam.domain.values.rules.guards import (
    BALANCES_TELL,
    BONUSES_ARE_TOLD,
    CHARGES_ARE_RESULTS,
    DAYS_ANEW,
    HEIGHTS_ARE_SEEN,
    LOCKS_END_IN_TIME,
    NAMED_AS_SET,
    STOP_OUTS_LATCH,
    WHOLE_ACCOUNT,
)
from cmam.domain.values.rules.resting import PARTS_REST
from cmam.domain.values.trades import BalanceChange

BY_EQUITY = (
    "min_equity",
    "take_equity",
    "daily_loss",
    "daily_drawdown",
    "daily_target",
    "total_loss",
    "trailing_drawdown",
)
"""The guards that look at equity: their values and limits are money."""
REJECTIONS = "rejections"
STOP_OUT = "stop_out"
FLATTEN = "flatten"
TWIN = "same_store"
"""The latches that no setting names; the last where somebody else uses this store's name (`twins.py`)."""

NOBODY = LinkId("")
"""Whose latch it is where a whole account was flattened that follows nobody."""

DAY = "day"
"""Re-arming the day begins one anew, where its anchor was missed."""


def in_words(latch: Latch, view: AccountView) -> str:
    """What a latch does, and at which value it closed."""
    match latch.guard:
        case guard if guard in BY_EQUITY:
            value, limit = (decimal_text(minor, view.money_digits) for minor in (latch.value, latch.limit))
            return f"{latch.reaction}: {value} against {limit} {view.currency}".rstrip()
        case guard if guard == REJECTIONS:
            return f"{latch.reaction}: {latch.value} refusals in a row"
        case _:
            return latch.reaction


def take_cash(view: AccountView, change: BalanceChange) -> AccountView:
    """Take the balance after money was moved; what guards count from moves with it, but for what positions earned or
    cost. An older report changes nothing."""
    if change.bonus and view.rules >= BONUSES_ARE_TOLD:
        return view if view.trader is None else replace(view, trader=replace(view.trader, bonus=change.balance))
    is_next = 0 < view.balance_version == change.balance_version - 1
    moving = paid(change, view.rules, view.balance if is_next else None)
    if not change.bonus and change.balance_version in view.unexplained:
        moved = {link: _moved(day, moving) for link, day in view.days.items()}
        return explained(replace(view, days=moved), change.balance_version)
    if change.balance_version < view.balance_version:
        return view
    is_known = change.balance_version == view.balance_version and change.balance_version > 0
    delta = 0 if is_known else moving
    days = {link: _moved(day, delta) for link, day in view.days.items()} if delta else view.days
    if change.bonus:
        trader = view.trader
        if trader is not None and not is_known:
            trader = replace(trader, bonus=max(0, trader.bonus + delta))
        return replace(view, trader=trader, balance_version=max(view.balance_version, change.balance_version))
    return replace(view, balance=change.balance, balance_version=change.balance_version, days=days)


def paid(change: BalanceChange, rules: int, before: int | None) -> int:
    """How much of a movement of money came or went, in minor units: nothing of what positions earned or cost."""
    return 0 if change.is_result and rules >= CHARGES_ARE_RESULTS else moved_by(change, rules, before)


def moved_by(change: BalanceChange, rules: int, before: int | None) -> int:
    """By how much the balance moved, in minor units: from the one of the version `before`, where that is known. The
    sign that a movement is told with rests on the name of its operation (`translate.py`)."""
    return change.delta if before is None or rules < BALANCES_TELL else change.balance - before


def take_history(view: AccountView, event: DayHistorySeen) -> AccountView:
    """Take what moved the balance while the account was out of sight: money that came and went moves the guards."""
    for change in event.money:
        if change.balance_version in view.unexplained:
            view = take_cash(view, change)
    return replace(view, unexplained=())


def _moved(day: GuardDay, delta: int) -> GuardDay:
    return replace(
        day,
        anchor=None if day.anchor is None else day.anchor + delta,
        initial=day.initial + delta,
        peak_today=None if day.peak_today is None else day.peak_today + delta,
        peak_ever=None if day.peak_ever is None else day.peak_ever + delta,
        peak_begun=None if day.peak_begun is None else day.peak_begun + delta,
    )


def begin_day(view: AccountView, event: GuardDayBegan) -> AccountView:
    """Begin a day; one that takes the place of a day far ahead ends what was locked to the end of that."""
    if view.rules >= LOCKS_END_IN_TIME:
        late = {
            key: replace(latch, until_us=event.next_us)
            for key, latch in view.latches.items()
            if key[0] == event.link and key[1] != REJECTIONS and latch.until_us > event.next_us
        }
        view = replace(view, latches={**view.latches, **late}) if late else view
    return replace(view, days={**view.days, event.link: day_begun(event, view.days.get(event.link), view.rules)})


def day_begun(event: GuardDayBegan, known: GuardDay | None, rules: int) -> GuardDay:
    """A new day: a new anchor and a new peak of the day; the peaks of all days stay. One that is worked out afterwards
    keeps what was seen of it."""
    today = event.equity if event.equity is not None else event.anchor
    if rules >= HEIGHTS_ARE_SEEN:
        is_same = known is not None and known.began_us == event.began_us and not known.anew
        seen = (event.equity, known.peak_today if known is not None and is_same else None)
        today = max((peak for peak in seen if peak is not None), default=None)
    ever = [peak for peak in (event.peak, event.equity) if peak is not None]
    begun = [peak for peak in (known.peak_begun if known is not None else None, event.equity) if peak is not None]
    return GuardDay(
        began_us=event.began_us,
        next_us=event.next_us,
        anchor=event.anchor,
        initial=known.initial if known is not None and known.initial else event.initial,
        peak_today=today,
        peak_ever=max(ever, default=None),
        peak_begun=max(begun, default=None),
        named=known.named if known is not None and known.initial else 0 if rules >= NAMED_AS_SET else event.initial,
    )


def name_initial(view: AccountView, event: GuardInitialNamed) -> AccountView:
    """Count from another initial balance from now on."""
    day = view.days.get(event.link)
    if day is None:
        return view
    return replace(view, days={**view.days, event.link: initial_named(day, event)})


def initial_named(day: GuardDay, event: GuardInitialNamed) -> GuardDay:
    """A day that counts from another initial balance."""
    return replace(day, initial=event.initial, named=0 if event.is_off else event.initial)


def raise_peak(view: AccountView, event: EquityPeaked) -> AccountView:
    """Note a new high."""
    day = view.days.get(event.link)
    if day is None:
        return view
    return replace(view, days={**view.days, event.link: peaked_at(day, event.equity)})


def peaked_at(day: GuardDay, equity: int) -> GuardDay:
    """A day on which equity has been so high."""
    today = equity if day.peak_today is None else max(day.peak_today, equity)
    ever = equity if day.peak_ever is None else max(day.peak_ever, equity)
    return replace(day, peak_today=today, peak_ever=ever)


def close_latch(view: AccountView, event: GuardTripped, at_us: int) -> AccountView:
    """Close a latch; with `flatten` every copy's target becomes nothing, and resting copies end with any latch."""
    latch = Latch(
        link=event.link,
        guard=event.guard,
        reaction=event.reaction,
        scope=event.scope,
        since_us=at_us,
        until_us=event.until_us,
        value=event.value,
        limit=event.limit,
    )
    view = replace(view, latches={**view.latches, (event.link, event.guard): latch})
    if event.reaction == Reaction.FLATTEN:
        if event.scope == Scope.ACCOUNT:
            view = replace(view, flatten_account=True)
        links = tuple({copy.link for copy in view.copies.values()}) if event.scope == Scope.ACCOUNT else (event.link,)
        return close_copies(view, links, Reason.CLOSED_BY_GUARD)
    if event.guard == TWIN:
        return view  # what rests may be the other's: it is no reason to take his orders away
    is_whole = event.scope == Scope.ACCOUNT and view.rules >= WHOLE_ACCOUNT
    for link in sorted({copy.link for copy in view.copies.values()}) if is_whole else (event.link,):
        view = end_resting(view, link)
    return view


def open_latch(view: AccountView, event: GuardRearmed) -> AccountView:
    """Open one latch of a link, or all of them."""
    if event.guard == DAY:
        return replace(view, days=_anew(view, event.link))
    kept = {
        key: latch for key, latch in view.latches.items() if key[0] != event.link or event.guard not in ("", key[1])
    }
    refused = {link: count for link, count in view.refused_opens.items() if link != event.link}
    is_sweeping = view.flatten_account and _still_sweeps(view, kept.values())
    return replace(view, latches=kept, refused_opens=refused, flatten_account=is_sweeping)


def _anew(view: AccountView, link: LinkId) -> dict[LinkId, GuardDay]:
    """The days of all links, one of them to begin again: what it counts from today is forgotten, and no more."""
    days = {of: day for of, day in view.days.items() if of != link}
    known = view.days.get(link)
    if known is not None and view.rules >= DAYS_ANEW:
        days[link] = replace(known, anchor=None, anew=True)
    return days


def _still_sweeps(view: AccountView, kept: Collection[Latch]) -> bool:
    """Whether a latch that stays closed is one that closes the whole account."""
    if view.rules < WHOLE_ACCOUNT:
        return bool(kept)
    return any(latch.scope == Scope.ACCOUNT and latch.reaction == Reaction.FLATTEN for latch in kept)


def flatten(view: AccountView, event: FlattenRequested, at_us: int) -> AccountView:
    """Latch first, so that no open is decided later; then every copy's target becomes nothing."""
    latches = dict(view.latches)
    links = event.links
    if event.whole_account and not links and view.rules >= WHOLE_ACCOUNT:
        links = (NOBODY,)
    for link in links:
        scope = Scope.ACCOUNT if event.whole_account else Scope.PROFILE
        latches[link, FLATTEN] = Latch(link=link, guard=FLATTEN, reaction=Reaction.FLATTEN, scope=scope, since_us=at_us)
    view = replace(view, latches=latches, flatten_account=view.flatten_account or event.whole_account)
    return close_copies(view, event.links, Reason.CLOSED_BY_FLATTEN)


def latch_stop_out(view: AccountView, event: StopOutSeen, at_us: int) -> AccountView:
    """A stop-out closes the link for opens until it is re-armed; the copy is never added to again."""
    latch = Latch(link=event.link, guard=STOP_OUT, reaction=Reaction.OPEN_ONLY_OFF, scope=Scope.PROFILE, since_us=at_us)
    view = replace(view, latches={**view.latches, (event.link, STOP_OUT): latch})
    key = view.key_of((event.link, event.source))
    copy = view.copies.get(key)
    if copy is not None:
        view = put(view, replace(copy, stopped_out=True, wait=None))
    return end_resting(view, event.link) if view.rules >= STOP_OUTS_LATCH else view


def close_copies(view: AccountView, links: tuple[LinkId, ...], reason: Reason) -> AccountView:
    """Set the target of every copy of these links to nothing."""
    copies = dict(view.copies)
    for key, copy in view.copies.items():
        if copy.link in links:
            goal = replace(copy.goal, target_numerator=0, target_denominator=1, terms=None)
            ending = copy.ending or reason
            copies[key] = replace(copy, goal=goal, wait=None, ending=ending, retry_at_us=0, close_at_us=0)
    return replace(view, copies=copies)


def release(view: AccountView, event: CopiesReleased) -> AccountView:
    """Close the copies of links that ended, or leave them; what rests or is on its way ends, unless it is kept."""
    kept = {
        key: copy
        for key, copy in view.copies.items()
        if event.keep_pendings and copy.position is None and copy.order is not None
    }
    if event.close:
        view = close_copies(view, event.links, Reason.RELEASED)
    for link in event.links:
        view = end_resting(view, link, Reason.RELEASED, also_parts=not event.keep_pendings)
    return replace(view, copies={**view.copies, **kept})


def end_resting(
    view: AccountView, link: LinkId, reason: Reason = Reason.CLOSED_BY_GUARD, *, also_parts: bool = True
) -> AccountView:
    """Let no copy of a link rest on, nor wait for its open; of one that has filled in part only the rest ends."""
    copies = dict(view.copies)
    for key, copy in view.copies.items():
        if copy.link == link:
            copies[key] = with_rest_ended(view, copy, reason, also_parts=also_parts)
    return replace(view, copies=copies)


def with_rest_ended(
    view: AccountView, copy: Copy, reason: Reason = Reason.CLOSED_BY_GUARD, *, also_parts: bool = True
) -> Copy:
    """A copy that rests no more, nor waits for its open; of one that has filled in part only the rest ends."""
    is_new = view.rules >= PARTS_REST
    if copy.position is None:
        goal = replace(copy.goal, terms=None, target_numerator=0, target_denominator=1)
        # what was refused before is no reason to wait with a cancel
        retry_at_us = 0 if is_new else copy.retry_at_us
        return replace(copy, goal=goal, wait=None, ending=copy.ending or reason, retry_at_us=retry_at_us)
    if is_new and also_parts and copy.goal.terms is not None and not copy.ended_order:
        return replace(copy, goal=replace(copy.goal, terms=None), retry_at_us=0)
    return copy
