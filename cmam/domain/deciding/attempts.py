"""Opens that had to wait, looked at again: when they may be, what they need to know, and what becomes of them.

The waiting ends in one of three ways: the open passes all gates of now and goes out, a gate ends it, or its time is
over (`timing.py`). Each look is a recorded fact, `CopyWoken`, made only when something can have changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from functools import lru_cache

from cmam.domain.belief.copies import Copy, CopyState
from cmam.domain.belief.restless import restless
from cmam.domain.belief.view import AccountView, is_turning
from cmam.domain.deciding.decision import Decision
from cmam.domain.deciding.draft import Draft
from cmam.domain.deciding.opens import add_now, open_now
from cmam.domain.deciding.pendings import decide_amended, place_now
from cmam.domain.events import CopyOverdue, CopyWoken, Health, Inputs, Wait
from cmam.domain.market.conversion import Rates
from cmam.domain.profiles.link import LinkSettings
from cmam.domain.profiles.policy import Policy, policy_of
from cmam.domain.values.changes import Change, ChangeKind
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.ids import LinkId, StoreId
from cmam.domain.values.quantities import Quote
from cmam.domain.values.reasons import Reason, Verdict
from cmam.domain.values.replacing import replace
from cmam.domain.values.rules.levels import QUOTES_AFTER_FILLS
from cmam.domain.values.rules.nets import REFUSED_FOR_ONE_SIDE
from cmam.domain.values.rules.opens import STOPS_IN_TIME
from cmam.domain.values.rules.resting import FILLS_GO_ON, PEOPLE_SHRINK
from cmam.domain.wanted import targets
from cmam.domain.wanted.needs import levels_of

POLL_US = 250_000
"""How often an open that waits for a price is looked at."""

QUOTES_POLL_US = 25_000
"""How often an open is looked at that waits for the first quotes of a feed."""

TO_COME_US = 1_000_000
"""What is so far ahead of the newest record is of a clock that was set back, and not of two threads."""

InputsOf = Callable[[Copy, LinkSettings], Inputs]


def wakes(
    view: AccountView, links: Mapping[LinkId, LinkSettings], inputs_of: InputsOf, now_us: int
) -> tuple[CopyWoken | CopyOverdue, ...]:
    """The waiting opens that may be possible now, and copies whose stop the market has passed, as facts to be recorded
    and stepped through one by one."""
    if view.health is not Health.RECONCILED:
        return ()
    passed = _passed_stops(view, links, inputs_of)
    return (*_wakes(view, links, inputs_of, now_us), *passed, *_targets(view, links, inputs_of, now_us))


def _passed_stops(
    view: AccountView, links: Mapping[LinkId, LinkSettings], inputs_of: InputsOf
) -> Iterator[CopyOverdue]:
    """Copies whose stop the broker refuses because the follower's market is beyond it already: they are closed."""
    for copy in restless(view.copies):
        settings, spec = links.get(copy.link), view.specs.get(copy.symbol)
        position = view.positions.get(copy.position) if copy.position is not None else None
        is_refused = copy.trouble.startswith(CommandKind.AMEND_PROTECTION.value)
        if not is_refused or settings is None or spec is None or position is None or not copy.is_wanted:
            continue
        if copy.side is not position.side and view.rules >= REFUSED_FOR_ONE_SIDE:
            continue  # a share against its net: what was refused is of the others
        quote = inputs_of(copy, settings).quotes.get(spec.name) if copy.change is not None else None
        stop = levels_of(spec, copy, position, view.rules).stop
        if _is_older(view, copy, quote):
            continue
        if quote is not None and stop is not None and (quote.exit(copy.side) - stop) * copy.side.sign <= 0:
            yield CopyOverdue(link=copy.link, source=copy.source, what="stop_passed")


def _targets(
    view: AccountView, links: Mapping[LinkId, LinkSettings], inputs_of: InputsOf, now_us: int
) -> Iterator[CopyOverdue]:
    """Copies whose target was left out: what the market lets be set by now, and what it has reached meanwhile."""
    for copy in restless(view.copies):
        settings, lack = links.get(copy.link), targets.lacking(view, copy)
        if lack is None or settings is None or copy.change is None or not _may_look(view, copy):
            continue
        quotes, age_ms_max = inputs_of(copy, settings).quotes, settings.policy.input_max_age_ms
        quote = Rates(view, quotes, now_us, age_ms_max).quote(lack.spec.name)
        if quote is None or _is_older(view, copy, quote):
            continue
        if targets.ahead(copy.side, lack.level, quote) <= 0:
            yield CopyOverdue(link=copy.link, source=copy.source, what="target_passed")
        elif not lack.is_due and now_us >= copy.target_at_us and lack.may_be_set(quote):
            yield CopyOverdue(link=copy.link, source=copy.source, what="target")


def _is_older(view: AccountView, copy: Copy, quote: Quote | None) -> bool:
    """Whether a quote was seen before the copy filled: it tells nothing of a market that has jumped to that fill.

    A fill that is yet to come was booked by a clock that has been set back since, and no quote of now is older.
    """
    if quote is None or quote.seen_us >= copy.opened_us or view.rules < QUOTES_AFTER_FILLS:
        return False
    return copy.opened_us <= view.at_us + TO_COME_US


def _may_look(view: AccountView, copy: Copy) -> bool:
    """Whether what becomes of a target that is left out is not told by a request that is under way."""
    return not copy.awaits_protection and not view.intents_of(copy.key)


def _wakes(
    view: AccountView, links: Mapping[LinkId, LinkSettings], inputs_of: InputsOf, now_us: int
) -> Iterator[CopyWoken]:
    for copy in restless(view.copies):
        settings = links.get(copy.link)
        if settings is None or not _is_ready(view, copy, now_us):
            continue
        woken = CopyWoken(
            link=copy.link,
            source=copy.source,
            inputs=inputs_of(copy, settings),
            settings=settings.settings,
            settings_version=settings.version,
        )
        if attempt(view, copy, woken, settings, now_us) is not None:
            yield woken


def as_now(
    fact: CopyWoken | CopyOverdue, view: AccountView, links: Mapping[LinkId, LinkSettings], inputs_of: InputsOf
) -> CopyWoken | CopyOverdue:
    """One of those facts when the ones before it have been taken: what they have opened needs quotes of its own."""
    copy, link = view.copies.get((fact.link, fact.source)), links.get(fact.link)
    if not isinstance(fact, CopyWoken) or copy is None or copy.change is None or link is None:
        return fact
    return replace(fact, inputs=inputs_of(copy, link))


def next_wake(view: AccountView, now_us: int, is_reading: Callable[[Copy], bool]) -> int | None:
    """When `wakes` should be asked again, in us, or None where nothing waits and no target is left out.

    `is_reading` says for which copies the broker has yet to answer: that comes as a message, while quotes come unheard.
    """
    loose = restless(view.copies) if view.copies else ()
    if view.health is not Health.RECONCILED or not loose:
        return None
    moments = [
        max(
            _not_before_us(copy),
            now_us + (QUOTES_POLL_US if _is_urgent(copy) and not is_reading(copy) else POLL_US),
        )
        for copy in loose
        if copy.wait is not None and _is_ready(view, copy, max(now_us, _not_before_us(copy)))
    ]
    if any(targets.lacking(view, copy) is not None and _may_look(view, copy) for copy in loose):
        moments.append(now_us + POLL_US)  # the market may reach it, however long it is not asked for
    return min(moments, default=None)


def _is_urgent(copy: Copy) -> bool:
    """Whether a copy waits for quotes to open, and not for those of a quiet symbol to rest on as its leader's order."""
    return copy.wait is Wait.QUOTES and not copy.awaits_amend


def _not_before_us(copy: Copy) -> int:
    """When what was refused may be asked for again, of what a copy waits for; 0 where nothing was."""
    return copy.again_us if copy.wait is Wait.REMAINDER else copy.retry_at_us


def _is_ready(view: AccountView, copy: Copy, now_us: int) -> bool:
    """Whether what a copy waits for may have come about."""
    if copy.wait is None or not copy.is_wanted or copy.change is None or view.intents_of(copy.key):
        return False
    match copy.wait:
        case Wait.TURN:
            return copy.state is CopyState.WAITING and not is_turning(view, copy.link, copy.change)
        case Wait.CANCEL:
            return copy.ended_order and copy.leader_filled
        case Wait.REMAINDER:
            return copy.position is not None and now_us >= copy.again_us
        case Wait.QUOTES if copy.awaits_amend:
            return copy.order in view.orders
        case _:
            return now_us >= copy.retry_at_us


@lru_cache(maxsize=256)
def _policy(settings: tuple[tuple[str, str], ...]) -> Policy:
    return policy_of(dict(settings))


def settings_of(view: AccountView, copy: Copy, woken: CopyWoken, store: StoreId) -> LinkSettings:
    """A link's settings as the fact that woke one of its copies tells them."""
    return LinkSettings(
        link=copy.link,
        profile=copy.profile,
        profile_name="",
        leader=copy.leader,
        follower=view.account,
        store=store,
        policy=_policy(tuple(sorted(woken.settings.items()))),
        version=woken.settings_version,
        standing=woken.inputs.standing,
        settings=woken.settings,
    )


def attempt(view: AccountView, copy: Copy, woken: CopyWoken, settings: LinkSettings, now_us: int) -> Decision | None:
    """What becomes of a waiting open now; None where it waits on."""
    change = copy.change
    if change is None or copy.wait is None:
        return None
    wait = copy.wait
    if copy.awaits_amend:
        return _amended(view, copy, change, settings, woken, now_us)
    if wait is Wait.REMAINDER or (wait is Wait.CANCEL and copy.position is not None):
        change = replace(change, after=copy.goal.leader_volume)
        draft = _draft(view, copy, settings, woken, now_us)
        draft.change = change
        grown = add_now(draft, copy, copy.target)
        return grown if grown.wait is None else None
    draft = _draft(view, copy, settings, woken, now_us)
    if wait is Wait.CANCEL and view.rules >= PEOPLE_SHRINK:
        draft.by_hand = min(Fraction(1), Fraction(*copy.by_hand))
    is_fill = change.kind is not ChangeKind.ORDER_PLACED and view.rules >= FILLS_GO_ON
    if wait is Wait.CANCEL or is_fill:
        draft.change = replace(change, volume=change.after)
    decision = place_now(draft) if change.kind is ChangeKind.ORDER_PLACED else open_now(draft)
    if decision.wait is None:
        return decision
    if decision.wait is Wait.QUOTES:
        return None
    is_own_wait = decision.wait is Wait.STOP and wait is not Wait.STOP and view.rules >= STOPS_IN_TIME
    is_over = now_us >= (decision.wait_until_us if is_own_wait else copy.wait_until_us)
    if not is_over:
        return None
    if decision.wait is Wait.STOP:
        return _without_stop(view, copy, settings, woken, now_us)
    return Decision(verdict=Verdict.SKIP, reason=Reason.NOT_BETTER, symbol=decision.symbol, working=decision.working)


def _amended(
    view: AccountView, copy: Copy, change: Change, settings: LinkSettings, woken: CopyWoken, now_us: int
) -> Decision | None:
    """What becomes of an order that its leader has amended, now that quotes may have come; None where it waits on."""
    amended = replace(change, kind=ChangeKind.ORDER_AMENDED)
    draft = Draft(view=view, change=amended, settings=settings, inputs=woken.inputs, now_us=now_us)
    decision = decide_amended(draft, copy)
    return None if decision.wait is not None else replace(decision, not_after_us=copy.not_after_us)


def _draft(view: AccountView, copy: Copy, settings: LinkSettings, woken: CopyWoken, now_us: int) -> Draft:
    assert copy.change is not None
    others = {key: other for key, other in view.copies.items() if key != copy.key}
    is_open = copy.position is not None
    return Draft(
        view=view if is_open else replace(view, copies=others),
        change=copy.change,
        settings=settings,
        inputs=woken.inputs,
        now_us=now_us,
        wait=copy.wait,
        leaves_target=copy.wait is Wait.RETRY and copy.left_out is not None and copy.left_out.refusals > 0,
    )


def _without_stop(view: AccountView, copy: Copy, settings: LinkSettings, woken: CopyWoken, now_us: int) -> Decision:
    """No stop came in time: the lots of `volume.without_stop`, or nothing."""
    draft = _draft(view, copy, settings, woken, now_us)
    draft.stop_wait_over = True
    return open_now(draft)
