"""Another cmam on a copy of this home: requests under this store's name that this log never asked for.

A folder that was copied to a second machine gives both the same names, so labels do not tell the two apart. The log
does: it knows each number that it has given to a request, and one position for each copy. What goes beyond that was
asked by somebody else, or by a life of this store of which the log was restored from a backup knows nothing. Either way
nothing may be opened before a person has looked. Pure; the actor records what is found here as a latch.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from cmam.domain.belief.copies import CopyKey
from cmam.domain.belief.refused import was_refused
from cmam.domain.belief.restored import is_anothers
from cmam.domain.belief.view import AccountView
from cmam.domain.events import ExecutionSeen, GuardTripped
from cmam.domain.guarding.latches import TWIN
from cmam.domain.profiles.choices import Reaction
from cmam.domain.profiles.link import LinkSettings
from cmam.domain.repair.strays import is_claimed, strays
from cmam.domain.values.ids import IntentId, LinkId, OrderId, PositionId, SourceKey
from cmam.domain.values.naming import Mark, number_of, read_label
from cmam.domain.values.trades import Order

Seen = tuple[frozenset[PositionId], frozenset[OrderId]]
"""The positions and the orders that an account was known to have."""


def twin_in_report(view: AccountView, links: Collection[LinkSettings], fact: ExecutionSeen) -> str:
    """What an execution shows that only another cmam can have asked for, in words; empty where there is nothing.

    `view` is the follower just before the fact. An order that the broker was long in taking is no sign: its request is
    on record.
    """
    order, deal = fact.order, fact.deal
    mark = read_label(order.client_order_id) if order is not None else None
    if order is None or mark is None or order.closing:
        return ""
    intent = view.intents.get(IntentId(order.client_order_id))
    if intent is not None and (intent.order is None or intent.order == order.order):
        return ""  # the one that is on its way, as almost always
    settings = _of(mark, view, links)
    if settings is None:
        return ""
    name = f"order {order.order}, {order.client_order_id},"
    if not _is_known(view, settings, mark):
        return f"{name} is of a copy that this log never made"
    copy = view.copies.get(view.key_of((settings.link, SourceKey(mark.source))))
    if copy is None:
        return ""
    if was_refused(view, copy.key, order.client_order_id):
        return ""
    number = number_of(order.client_order_id)
    if number > copy.last_seq and LinkId(mark.link) == copy.link:
        return f"{name} has a number that this log never gave"
    if intent is not None:
        is_other = intent.attempt == 1
        return f"{name} is a second order under one name, beside order {intent.order}" if is_other else ""
    is_second = deal is not None and deal.is_execution and deal.deal not in view.deals and deal.close is None
    if not is_second or copy.position is None or deal is None or copy.order == order.order:
        return ""
    if copy.share:
        if _is_counted(view, order):
            return ""
        spec = view.specs.get(copy.symbol)
        is_full = spec is not None and copy.target - copy.volume < spec.step_volume
        return f"{name} filled though its share was whole" if is_full else ""
    is_beside = deal.position != copy.position
    return f"{name} opened position {deal.position} beside position {copy.position}" if is_beside else ""


def seen(view: AccountView) -> Seen:
    """Which positions and orders are known of, before a snapshot is asked for."""
    return frozenset(view.positions), frozenset(view.orders)


def twin_in_snapshot(view: AccountView, links: Collection[LinkSettings], before: Seen) -> str:
    """What came under this store's name while the account was out of sight and this log never asked for, in words.

    What was known `before` was seen before, and a log in its first life has nothing to compare with. No clock is asked:
    the broker's may be behind ours, by nobody knows how much until quotes have come.
    """
    positions, orders = before
    for stray in strays(view) if view.in_sight_us else ():
        settings = _of(stray.mark, view, links)
        is_old = stray.position.position in positions if stray.position is not None else True
        is_old = stray.order.order in orders if stray.order is not None else is_old
        if settings is None or is_old or _is_known(view, settings, stray.mark):
            continue
        what = f"position {stray.position.position}" if stray.position is not None else ""
        what = what or (f"order {stray.order.order}" if stray.order is not None else "")
        return f"{what}, {stray.label}, is of a copy that this log never made"
    return ""


def twin_in_orders(view: AccountView, links: Collection[LinkSettings], orders: Iterable[Order]) -> str:
    """What orders that filled out of sight show that only another cmam can have asked for, in words.

    What they opened or added to need not show it: a net bears the label of its first order alone, and an add that of
    its copy.
    """
    for order in orders:
        mark = read_label(order.client_order_id)
        settings = _of(mark, view, links) if mark is not None else None
        if mark is None or settings is None:
            continue
        name = f"order {order.order}, {order.client_order_id},"
        if not _is_known(view, settings, mark):
            return f"{name} is of a copy that this log never made"
        copy = view.copies.get(view.key_of((settings.link, SourceKey(mark.source))))
        if copy is not None and is_anothers(copy, order.client_order_id) and LinkId(mark.link) == copy.link:
            return f"{name} has a number that this log never gave"
    return ""


def latched(view: AccountView, links: Collection[LinkSettings]) -> Iterator[GuardTripped]:
    """The latches that close all links of an account for opens, where they are not closed already."""
    for settings in links:
        if (settings.link, TWIN) not in view.latches:
            yield GuardTripped(link=settings.link, guard=TWIN, reaction=Reaction.OPEN_ONLY_OFF.value)


def in_words(evidence: str) -> str:
    """The sentence for a person: what was seen, and what to do."""
    return (
        f"Somebody else uses this store's name: {evidence}. Nothing opens until `cmam rearm`. If another cmam runs on "
        "a copy of this home, stop it first. If this log was restored from a backup, look first at what is open."
    )


def _of(mark: Mark, view: AccountView, links: Collection[LinkSettings]) -> LinkSettings | None:
    """The link of this store that a label speaks of; copies of other stores are not ours even when adopted."""
    known = {settings.link for settings in links}
    for settings in links:
        if mark.store == settings.store and is_claimed(mark, view, settings, known - {settings.link}):
            return settings
    return None


def _is_known(view: AccountView, settings: LinkSettings, mark: Mark) -> bool:
    """Whether the log has ever had a copy of that source, under the link's name or the one in the label."""
    source = SourceKey(mark.source)
    keys: tuple[CopyKey, ...] = ((settings.link, source), (LinkId(mark.link), source))
    return any(view.copy(key) is not None or view.intents_of(view.key_of(key)) for key in keys)


def _is_counted(view: AccountView, order: Order) -> bool:
    """Whether a history has told already how much of an order is filled: its request was settled by that, and the deals
    that it counted may be told after it, as where a part filled between the snapshot and the history."""
    return any(one.order == order.order and one.executed_volume >= order.executed_volume for one in view.past_orders)
