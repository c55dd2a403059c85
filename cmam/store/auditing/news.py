"""What becomes of copies, told while it happens: of each record of an account the little that a person wants to hear.

Pure: from what was believed before and after a record. What was decided, asked and answered in between stays in the
record, where `audit` finds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from cmam.domain.belief.copies import Copy, CopyState
from cmam.domain.belief.view import AccountView, resolve
from cmam.domain.events import AttemptDecided, ChangeDecided, CopyFinished, IntentOverdue, IntentSettled, Outcome
from cmam.domain.values.ids import AccountId, LinkId, ProfileId, SourceKey
from cmam.domain.values.quantities import Price, Side, Volume
from cmam.domain.values.reasons import Reason, Verdict
from cmam.store.folding.fold import AccountStep
from cmam.store.projection.rows import record_id
from cmam.store.projection.rows_of_copies import touched_copies


class What(StrEnum):
    """What became of a copy, in a word."""

    COPIED = "copied"
    ADDED = "added"
    REDUCED = "reduced"
    CLOSED = "closed"
    PLACED = "placed"
    AMENDED = "amended"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    MOVED = "moved"
    SKIPPED = "skipped"
    WAITING = "waiting"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """One thing that became of one copy.

    `volume` is the follower's: what was traded, rests or was asked for, 0 where nothing was; of a skip and of an open
    that waits the leader's. `price` is that of the fill, of the close or at which an order rests. `request` is what was
    asked for, `record` the name under which `audit explain` tells of it.
    """

    at_us: int
    what: What
    profile: ProfileId
    link: LinkId
    source: SourceKey
    leader: AccountId
    follower: AccountId
    symbol: str
    side: Side
    volume: Volume
    digits: int
    reason: str = ""
    request: str = ""
    price: Price | None = None
    stop: Price | None = None
    target: Price | None = None
    leader_position: int | None = None
    position: int | None = None
    order: int | None = None
    record: str = ""


_ENDS = {
    CopyState.REFUSED: What.REFUSED,
    CopyState.EXPIRED: What.EXPIRED,
    CopyState.CANCELLED: What.CANCELLED,
    CopyState.CLOSED: What.CANCELLED,
}
"""What is said of a copy that ends before it has held anything."""


def news_of(step: AccountStep) -> Iterator[News]:
    """What a record of an account's stream tells of its copies."""
    match step.record.event:
        case ChangeDecided() as event:
            yield from _decided(step, event)
        case AttemptDecided(verdict=Verdict.SKIP) as event:
            copy = step.before.copy(step.before.key_of((event.link, event.source)))
            if copy is not None:
                reason = event.reason.value if event.reason is not None else ""
                yield _of(step, copy, What.SKIPPED, copy.leader_opened, reason=reason)
        case IntentSettled(outcome=Outcome.REFUSED) as event:
            yield from _asked(step, event.intent, What.REFUSED, event.reason)
        case IntentOverdue() as event:
            yield from _asked(step, event.intent, What.UNKNOWN, event.why)
    for key in touched_copies(step.before, step.after):
        now = step.after.copy(key)
        if now is not None:
            yield from _became(step, step.before.copies.get(key), now)


def told(news: Iterable[News]) -> list[News]:
    """News of one moment, without what was over before anybody could read it: a close has its reason from the record
    that follows it, an open that has waited for some milliseconds has not waited, and one that its broker did not fill
    within its range is one that slipped."""
    found: list[News] = []
    last: dict[tuple[LinkId, SourceKey], int] = {}
    for one in news:
        key = (one.link, one.source)
        before = found[last[key]] if key in last else None
        if one.what is What.CLOSED and not one.volume:
            if before is not None and before.what is What.CLOSED and not before.reason:
                found[last[key]] = replace(before, reason=one.reason)
            continue
        has_slipped = before is not None and before.what is What.REFUSED and one.reason == Reason.SLIPPAGE.value
        if before is not None and (before.what is What.WAITING or has_slipped):
            del found[last[key]]
            last = {other: place - (place > last[key]) for other, place in last.items()}
        last[key] = len(found)
        found.append(one)
    return found


def _decided(step: AccountStep, event: ChangeDecided) -> Iterator[News]:
    """A skip, with its reason; and what waits. A copy is told once it is filled."""
    change = event.change
    if event.verdict is Verdict.SKIP:
        what, reason = What.SKIPPED, event.reason.value if event.reason is not None else ""
    elif event.verdict is Verdict.COPY and event.wait is not None:
        what, reason = What.WAITING, event.wait.value
    else:
        return
    link, source = resolve(step.after, event.link, change)
    yield News(
        at_us=step.record.at_us,
        what=what,
        profile=event.profile,
        link=link,
        source=source,
        leader=change.leader,
        follower=step.after.account,
        symbol=change.symbol.name,
        side=event.side or change.side,
        volume=change.volume or change.after,
        digits=change.symbol.digits,
        reason=reason,
        request=change.kind.value,
        leader_position=change.position,
        record=record_id(step.after.account, step.record.version),
    )


def _asked(step: AccountStep, name: str, what: What, why: str) -> Iterator[News]:
    """What came of a request, as far as it is trouble: that it was done is seen by the copy."""
    intent = next((one for one in step.before.intents.values() if one.intent == name), None)
    copy = step.before.copy(intent.key) if intent is not None else None
    if intent is None or copy is None:
        return
    kind = intent.command.kind.value
    yield _of(step, copy, what, intent.command.volume, reason=why, request=kind)


def _became(step: AccountStep, was: Copy | None, now: Copy) -> Iterator[News]:
    """What a record made of one copy."""
    held = was.volume if was is not None else Volume(0)
    reason = now.reason or now.ending
    why = reason.value if reason is not None else ""
    if now.volume > held:
        what = What.ADDED if held else What.COPIED
        more = Volume(now.volume - held)
        yield _of(step, now, what, more, price=None if held else now.open_price)
    elif now.volume < held:
        what = What.REDUCED if now.volume else What.CLOSED
        yield _of(step, now, what, Volume(held - now.volume), price=now.close_price, reason=why)
    elif now.state.is_end and was is not None and now.position is not None and was.reason is None and why:
        yield _of(step, now, What.CLOSED, Volume(0), reason=why)  # what the deal itself did not tell
    elif now.state.is_end and was is not None and now.position is None and not _is_told(step, now):
        yield _of(step, now, _ENDS[now.state], Volume(0), reason=why)
    if now.position is None and now.order is not None and not now.state.is_end:
        yield from _rests(step, was, now)
    elif now.volume and was is not None and now.applied is not None and now.applied != was.applied:
        yield _of(step, now, What.MOVED, now.volume, stop=now.applied.stop, target=now.applied.target)


def _is_told(step: AccountStep, now: Copy) -> bool:
    """Whether a refusal that ends a copy has been told: by this record, or by the one right before its end."""
    match step.record.event:
        case ChangeDecided() | AttemptDecided() | IntentSettled() | CopyFinished(reason=Reason.REFUSED):
            return now.state is CopyState.REFUSED
        case _:
            return False


def _rests(step: AccountStep, was: Copy | None, now: Copy) -> Iterator[News]:
    order = step.after.orders.get(now.order) if now.order is not None else None
    if order is None:
        return
    if was is None or was.order != now.order or was.order not in step.before.orders:
        yield _of(step, now, What.PLACED, order.volume, price=order.limit_price or order.stop_price)
    elif step.before.orders[order.order] is not order:
        old = step.before.orders[order.order]
        if (old.volume, old.limit_price, old.stop_price) != (order.volume, order.limit_price, order.stop_price):
            yield _of(step, now, What.AMENDED, order.volume, price=order.limit_price or order.stop_price)


def _of(
    step: AccountStep,
    copy: Copy,
    what: What,
    volume: Volume,
    *,
    reason: str = "",
    request: str = "",
    price: Price | None = None,
    stop: Price | None = None,
    target: Price | None = None,
) -> News:
    return News(
        at_us=step.record.at_us,
        what=what,
        profile=copy.profile,
        link=copy.link,
        source=copy.source,
        leader=copy.leader,
        follower=step.after.account,
        symbol=copy.leader_symbol,
        side=copy.side,
        volume=volume,
        digits=_digits(step.after, copy),
        reason=reason,
        request=request,
        price=price,
        stop=stop,
        target=target,
        leader_position=copy.leader_position,
        position=copy.position,
        order=copy.order,
        record=record_id(step.after.account, step.record.version),
    )


def _digits(view: AccountView, copy: Copy) -> int:
    spec = view.specs.get(copy.symbol)
    return spec.digits if spec is not None else copy.leader_digits
