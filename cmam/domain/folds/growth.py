"""What a copy is to grow by and does not hold yet: its target counts it from the decision on, and no longer where it
comes to nothing.

Growth waits with its copy until it is asked for, and from then on it is its request's, so that of two adds under way
each can come to nothing by itself. It is a part of the target: a part that the leader closes meanwhile is a part of it.
"""

from __future__ import annotations

from fractions import Fraction

from cmam.domain.belief.asked import with_intent
from cmam.domain.belief.copies import Copy, Intent
from cmam.domain.belief.view import AccountView, put
from cmam.domain.deciding.opens import in_flight_of
from cmam.domain.events import Goal, Wait
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.replacing import replace
from cmam.domain.values.rules.opens import GIVEN_UP_ONCE
from cmam.domain.values.symbols import SymbolSpec

WAITING = (Wait.REMAINDER, Wait.CANCEL)
"""What growth waits for: to be asked for, or for the end of the order that it was placed with."""


def waiting(copy: Copy) -> Fraction:
    """What a copy is to grow by that has been asked for nowhere."""
    return Fraction(*copy.growth) if copy.wait in WAITING else Fraction(0)


def of_request(intent: Intent) -> Fraction:
    """What of its copy's target a request stands for."""
    return Fraction(*intent.growth)


def with_waiting(copy: Copy, growth: Fraction) -> Copy:
    """A copy that is to grow by so much, and has asked for it nowhere."""
    return replace(copy, growth=(growth.numerator, growth.denominator))


def decided(known: Copy, copy: Copy) -> Copy:
    """A copy after an add is decided: what waited before waits, and what this has added to its target."""
    return with_waiting(copy, waiting(known) + max(Fraction(0), copy.target - known.target))


def asked_for(copy: Copy, intent: Intent) -> tuple[Copy, Intent]:
    """A copy whose growth is asked for: it is the request's from now on."""
    return with_waiting(copy, Fraction(0)), replace(intent, growth=copy.growth)


def in_proportion(view: AccountView, copy: Copy, share: Fraction) -> tuple[AccountView, Copy]:
    """A copy of which a part is closed: the same part of what it is to grow by is."""
    for intent in view.intents_of(copy.key):
        if growth := of_request(intent) * share:
            smaller = replace(intent, growth=(growth.numerator, growth.denominator))
            view = replace(view, intents=with_intent(view.intents, smaller))
    return view, with_waiting(copy, waiting(copy) * share)


def attempted(view: AccountView, copy: Copy, goal: Goal) -> Copy:
    """A copy that asks for what it waits to grow by; of an order that had filled in part, for what that lacks."""
    growth = max(Fraction(0), waiting(copy) + goal.target - copy.target)
    if copy.wait is Wait.CANCEL:
        growth = min(growth, max(Fraction(0), goal.target - _there(view, copy)))
    return with_waiting(copy, growth)


def settled(
    view: AccountView, copy: Copy, intent: Intent, *, has_filled: bool, waits_until_us: int | None
) -> AccountView:
    """A copy of which an open or an add is over: what it has not filled waits for another, where that may still be, or
    is given up."""
    spec = view.specs[copy.symbol]
    if has_filled and copy.wait not in WAITING and not _lacks_a_step(view, spec, copy):
        return put(view, copy)
    lacks = max(Fraction(0), copy.target - waiting(copy) - _there(view, copy))
    if not has_filled:
        growth = of_request(intent) if intent.command.kind is CommandKind.ADD else lacks
        return _given_up_with_others(view, copy, growth)
    if spec.floor_volume(int(lacks)) < max(spec.step, spec.min_volume):
        return put(view, copy)
    if waits_until_us is None:
        return put(view, given_up(view, copy, lacks))
    return put(view, waits_again(copy, lacks, waits_until_us))


def _given_up_with_others(view: AccountView, copy: Copy, growth: Fraction) -> AccountView:
    """A copy that will not grow by so much. What it lacks then is given up too, and was of the requests that are still
    under way, which had asked for the less: they stand for as much less, so that none of it is taken off twice."""
    over = given_up(view, copy, growth)
    more = copy.target - growth - over.target
    for intent in reversed(view.intents_of(copy.key)) if view.rules >= GIVEN_UP_ONCE else ():
        if (part := min(of_request(intent), more)) > 0:
            left, more = of_request(intent) - part, more - part
            less = replace(intent, growth=(left.numerator, left.denominator))
            view = replace(view, intents=with_intent(view.intents, less))
    return put(view, over)


def _lacks_a_step(view: AccountView, spec: SymbolSpec, copy: Copy) -> bool:
    """Whether a copy that waits for nothing lacks what can be asked for, told without a fraction: most lack nothing."""
    target, parts = copy.goal.target_numerator, copy.goal.target_denominator
    if parts <= 0:
        return True
    lacks = target // parts - copy.volume - view.unshown(copy) - in_flight_of(view, copy)
    return lacks > 0 and spec.floor_volume(lacks) >= max(spec.step, spec.min_volume)


def waits_again(copy: Copy, growth: Fraction, until_us: int) -> Copy:
    """A copy that waits to ask for so much, beside what it waits for already."""
    copy = with_waiting(copy, waiting(copy) + growth)
    return replace(copy, wait=Wait.REMAINDER, wait_until_us=until_us)


def given_up(view: AccountView, copy: Copy, growth: Fraction) -> Copy:
    """A copy that will not grow by so much: its target is what it was without, and what is above that is closed. What
    it lacks all the same is nowhere asked for, and given up with it."""
    spec = view.specs.get(copy.symbol)
    target = max(Fraction(0), copy.target - growth)
    there = _there(view, copy) + waiting(copy)
    lacks = target - there
    if lacks > 0 and (spec is None or spec.floor_volume(int(lacks)) >= max(spec.step, spec.min_volume)):
        target = there
    return with_target(copy, target)


def waited_in_vain(view: AccountView, copy: Copy) -> Copy:
    """A copy that waits to grow no more."""
    over = covered(copy)
    if copy.wait is Wait.CANCEL:
        return with_target(over, min(over.target, _there(view, over)))
    return given_up(view, over, waiting(copy))


def covered(copy: Copy) -> Copy:
    """A copy that has what it waited for, without an add."""
    return replace(with_waiting(copy, Fraction(0)), wait=None)


def with_target(copy: Copy, target: Fraction) -> Copy:
    """A copy that shall have so much."""
    goal = replace(copy.goal, target_numerator=target.numerator, target_denominator=target.denominator)
    return replace(copy, goal=goal)


def as_held(copy: Copy) -> Copy:
    """What was not filled is given up: the volume there is becomes the target."""
    return with_target(copy, min(copy.target, Fraction(copy.volume)))


def _there(view: AccountView, copy: Copy) -> Fraction:
    """What a copy holds, and what is under way to it."""
    return Fraction(copy.volume + view.unshown(copy) + in_flight_of(view, copy))
