"""What the passing of time makes of an account: facts to be recorded, and when to look again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from cmam.domain.belief.asked import gone
from cmam.domain.belief.copies import Copy, IntentState
from cmam.domain.belief.nameless import ALIKE, is_alike_gone
from cmam.domain.belief.refused import is_doubted
from cmam.domain.belief.restless import restless
from cmam.domain.belief.view import AccountView, InVain
from cmam.domain.events import AlertHealed, AlertRaised, CopyOverdue, Event, GuardRearmed, Health, IntentOverdue, Wait
from cmam.domain.folds.joining import PROTECTION_US
from cmam.domain.profiles.choices import HumanLevels, PendingOutside
from cmam.domain.profiles.hours import is_within_hours
from cmam.domain.profiles.link import LinkSettings
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.ids import IntentId, LinkId, SourceKey, from_base36
from cmam.domain.values.quantities import price_text
from cmam.domain.values.rules.levels import CLOSING_NEED_NO_LEVELS
from cmam.domain.values.rules.opens import UNLISTED_CODES
from cmam.domain.wanted import targets
from cmam.domain.wanted.needs import needed

ANSWER_US = 10_000_000
"""How long a request may stay unanswered before its outcome counts as unknown."""

NO_ANSWER = "no answer"
"""Why it counts as unknown then."""

WAIT_OVER_US = 1_000_000
"""What waited may be looked at once more when its time is over, before it is given up."""

REPEAT_US = 900_000_000
"""How often the alert about a refused close, cancel or level is said again."""

TROUBLE = "refused "
"""What the kinds of alerts about refused closes, cancels and levels begin with."""

TARGET = "target "
"""What the kinds of alerts about targets that are left out begin with."""


IsLed = Callable[[Copy], bool]
"""Whether what its leader does is told to a copy at this moment."""


def _always(_copy: Copy) -> bool:
    return True


def due(view: AccountView, now_us: int, is_led: IsLed = _always) -> tuple[Event, ...]:
    """The facts that the passing of time has made, to be recorded and stepped through one by one."""
    facts: list[Event] = [
        IntentOverdue(intent=intent, why=NO_ANSWER) for intent, moment in _unanswered(view) if now_us >= moment
    ]
    for copy in restless(view.copies):
        facts.extend(
            CopyOverdue(link=copy.link, source=copy.source, what=what)
            for what, moment in _moments(view, copy, is_led)
            if now_us >= moment
        )
    facts.extend(fact for fact, moment in _beside_copies(view) if now_us >= moment)
    facts.extend(_alerts(view, now_us))
    return tuple(facts)


def next_due(view: AccountView, is_led: IsLed = _always) -> int | None:
    """When `due` will next have something to say, in us, or None."""
    moments = [moment for _, moment in _unanswered(view)] if view.intents else []
    loose = restless(view.copies) if view.copies else ()
    for copy in loose:
        moments.extend(moment for _, moment in _moments(view, copy, is_led))
        if copy.trouble:
            moments.append(_next_repeat(copy, view.at_us))
    if view.in_vain or view.latches:
        moments.extend(moment for _, moment in _beside_copies(view))
    if (loose or view.in_vain or view.alerts) and any(True for _ in _alerts(view, view.at_us)):
        moments.append(view.at_us)
    return min(moments, default=None)


def _unanswered(view: AccountView) -> Iterator[tuple[IntentId, int]]:
    """Which requests have left, and until when their answers are waited for."""
    for intent in gone(view.intents):
        if intent.state in (IntentState.SENT, IntentState.ACCEPTED):
            yield intent.intent, intent.moved_us + ANSWER_US


def _beside_copies(view: AccountView) -> Iterator[tuple[Event, int]]:
    """What is told of anything but requests and copies, and when: the next try of what is no copy, a lock that ends."""
    for source, vain in view.in_vain.items():
        if vain.at_us:
            yield CopyOverdue(link=vain.link, source=source, what="close"), vain.at_us
    for (link, guard), latch in view.latches.items():
        if latch.until_us:
            yield GuardRearmed(link=link, guard=guard), latch.until_us


def _moments(view: AccountView, copy: Copy, is_led: IsLed) -> Iterator[tuple[str, int]]:
    """What a copy waits for, and until when; out of sight the broker's levels are waited for until a reconcile, and a
    leader who is not heard may have filled."""
    if copy.retry_at_us and copy.wait is not Wait.RETRY:
        yield "retry", copy.retry_at_us
    elif copy.awaits_protection and copy.opened_us and view.health is Health.RECONCILED:
        yield "levels", max(copy.opened_us + PROTECTION_US, copy.levels_until_us)
    if copy.close_at_us:
        yield "close", copy.close_at_us
    is_resting = copy.order is not None and not copy.ended_order
    if copy.leader_filled and is_resting and not copy.grace_over:
        yield "grace", copy.filled_us + copy.goal.grace_us
    if is_resting and copy.goal.outside_us and not copy.leader_filled and copy.goal.terms is not None:
        yield "hours", copy.goal.outside_us
    if copy.ahead_since_us and is_led(copy):
        yield "ahead", copy.ahead_since_us + copy.goal.ahead_us
    is_held_back = (copy.wait is Wait.TURN and copy.position is not None) or (copy.wait is Wait.CANCEL and is_resting)
    if copy.wait is not None and copy.wait_until_us and not is_held_back:
        yield "wait", copy.wait_until_us + WAIT_OVER_US


def outside(view: AccountView, links: Mapping[LinkId, LinkSettings], now_us: int) -> Iterator[CopyOverdue]:
    """What rests outside its link's hours as they are set now, which may not be those by which it was placed."""
    for copy in restless(view.copies):
        link = links.get(copy.link)
        is_resting = copy.order is not None and not copy.ended_order and copy.goal.terms is not None
        if link is None or not is_resting or copy.leader_filled or link.policy.pending_outside is PendingOutside.KEEP:
            continue
        if not is_within_hours(link.policy, now_us):
            yield CopyOverdue(link=copy.link, source=copy.source, what="hours")


def set_anew(view: AccountView, links: Mapping[LinkId, LinkSettings]) -> Iterator[CopyOverdue]:
    """What copies were told as they were opened or placed, and their links say otherwise now: a person's levels count
    from here on, and an order rests beyond the hours by which it was placed."""
    for copy in view.copies.values():
        link = links.get(copy.link)
        if link is None or not copy.is_wanted:
            continue
        if link.policy.human_levels is HumanLevels.PIN and not copy.goal.pins:
            yield CopyOverdue(link=copy.link, source=copy.source, what="pins")
        ends_us = copy.goal.outside_us
        keeps = link.policy.pending_outside is PendingOutside.KEEP
        if ends_us and (keeps or is_within_hours(link.policy, ends_us)):
            yield CopyOverdue(link=copy.link, source=copy.source, what="hours_set")


def _next_repeat(copy: Copy, now_us: int) -> int:
    """When the alert about a refusal is said again."""
    return copy.trouble_us + ((now_us - copy.trouble_us) // REPEAT_US + 1) * REPEAT_US


_REFUSED = {
    CommandKind.CLOSE: "close",
    CommandKind.ADD: "close",
    CommandKind.CANCEL: "cancel the order of",
    CommandKind.AMEND_PROTECTION: "move the levels of",
    CommandKind.AMEND_ORDER: "amend the order of",
}
"""What is refused, in words; an add only where a netted share gives up what it held against the net."""


def _told(trouble: str, rules: int) -> tuple[str, str]:
    """What was refused, and with which code; a server may give none."""
    kind, _, code = trouble.partition(": ")
    return kind, code or ("an empty code" if rules >= UNLISTED_CODES else "")


def _refusal(copy: Copy, since: str, rules: int) -> str:
    """Which copy, what is refused and with which code, since when, and what stands meanwhile."""
    kind, code = _told(copy.trouble, rules)
    which = f"the copy of {copy.leader_symbol} {copy.source}"
    text = f"The broker refuses to {_REFUSED.get(CommandKind(kind), kind)} {which}: {code}{since}"
    if kind == CommandKind.AMEND_PROTECTION:
        return f"protection_refused: {text}; its old levels stand, and cmam asks again."
    return f"{text}; cmam asks again."


def _is_over(view: AccountView, copy: Copy) -> bool:
    """Whether what was refused is not even asked for any more: the leader has undone what it was for, or the net of a
    share has turned. While requests are under way it is as it was."""
    is_waiting = copy.retry_at_us or copy.close_at_us or copy.doubt or copy.refused_part
    if is_waiting or view.health is not Health.RECONCILED:
        return False
    if any(intent.command.symbol == copy.symbol for intent in view.intents.values()):
        return f"{TROUBLE}{copy.link} {copy.source}" not in view.alerts
    return not any(True for _ in needed(view, copy.key, view.at_us))


def _is_moot(view: AccountView, copy: Copy) -> bool:
    """Whether what was refused are levels of a copy that is being closed, which needs none."""
    is_of_levels = copy.trouble.startswith(CommandKind.AMEND_PROTECTION.value)
    return is_of_levels and not copy.is_wanted and view.rules >= CLOSING_NEED_NO_LEVELS


def _lack(view: AccountView, copy: Copy) -> str:
    """Which target a copy is without, and what it has instead; empty where it lacks none."""
    lack = targets.lacking(view, copy)
    if lack is None:
        return ""
    shown, digits = lack.position.target, lack.spec.digits
    held = "no target" if shown is None else f"its old target of {price_text(shown, digits)}"
    level, why = price_text(lack.level, digits), targets.why(view, copy, lack)
    return f"The copy of {copy.leader_symbol} {copy.source} has {held}: {level} is {why}."


def _refusal_of_other(source: SourceKey, vain: InVain, rules: int) -> str:
    """What is refused of something that is no copy, and is to be closed or cancelled all the same."""
    kind, code = _told(vain.why, rules)
    which = f"{'position' if source.startswith('x') else 'order'} {from_base36(source[1:])}"
    return f"The broker refuses to {kind} {which}, which is no copy: {code}; cmam asks again."


def _alerts(view: AccountView, now_us: int) -> Iterator[Event]:
    """Refusals of what lowers risk are told to a person at once, and taken back when they are over, as is a target that
    is left out; of a position or an order that may be gone it is told first whether it is."""
    wanted: dict[str, str] = {}
    for copy in restless(view.copies):
        may_be_gone = copy.position in view.doubted or copy.order in view.doubted_orders
        if copy.trouble and not may_be_gone and not _is_moot(view, copy) and not _is_over(view, copy):
            minutes = (now_us - copy.trouble_us) // REPEAT_US * (REPEAT_US // 60_000_000)
            since = f", for {minutes} minutes or more" if minutes else ""
            wanted[f"{TROUBLE}{copy.link} {copy.source}"] = _refusal(copy, since, view.rules)
        if text := _lack(view, copy):
            wanted[f"{TARGET}{copy.link} {copy.source}"] = text
    for source, vain in view.in_vain.items():
        if vain.why and not is_doubted(view, source):
            wanted[f"{TROUBLE}{vain.link} {source}"] = _refusal_of_other(source, vain, view.rules)
    for kind, text in wanted.items():
        if view.alerts.get(kind) != text:
            yield AlertRaised(kind=kind, text=text)
    for kind in view.alerts:
        is_over = kind.startswith((TROUBLE, TARGET)) and kind not in wanted
        if is_over or (kind.startswith(ALIKE) and is_alike_gone(view, kind)):
            yield AlertHealed(kind=kind)
