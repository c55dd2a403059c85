"""What carries a copier's label and is in no record: whose it is, told by the label alone.

A label names store, link and source (`naming.py`). A store's own links are known by their accounts, whatever log made
them; another store's are ours only once they were adopted.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from cmam.domain.belief.copies import Copy, CopyKey
from cmam.domain.belief.refused import order_surplus, position_surplus
from cmam.domain.belief.view import AccountView
from cmam.domain.events import Event, ExecutionSeen
from cmam.domain.profiles.link import LinkSettings
from cmam.domain.values.ids import LinkId, SourceKey
from cmam.domain.values.naming import Mark, links_of, read_label
from cmam.domain.values.trades import Order, Position


@dataclass(frozen=True, slots=True)
class Stray:
    """A position or a resting order with a copier's label that no copy of ours accounts for."""

    mark: Mark
    label: str
    position: Position | None = None
    order: Order | None = None


def strays(view: AccountView) -> tuple[Stray, ...]:
    """All that carries a copier's label and belongs to no copy on record, positions first."""
    copies = view.copies.values()
    held = {copy.position for copy in copies}
    resting = {copy.order for copy in copies}
    if view.surplus:  # it has no place in any record: it is being taken back
        held |= {position for position in view.positions if position_surplus(position) in view.surplus}
        resting |= {order for order in view.orders if order_surplus(order) in view.surplus}
    found: list[Stray] = []
    for number in sorted(view.positions):
        position = view.positions[number]
        mark = read_label(position.label)
        if mark is not None and number not in held:
            found.append(Stray(mark, position.label, position=position))
    for order in (view.orders[key] for key in sorted(view.orders)):
        mark = read_label(order.label)
        if mark is not None and order.order not in resting:
            found.append(Stray(mark, order.label, order=order))
    return tuple(found)


def is_nobodys(view: AccountView, fact: Event) -> bool:
    """Whether an execution, folded by now, has opened something under a copier's label that no copy accounts for."""
    if not isinstance(fact, ExecutionSeen) or fact.position is None or fact.deal is None or fact.deal.close is not None:
        return False
    number = fact.position.position
    is_there = number in view.positions and number not in view.by_position
    return is_there and read_label(fact.position.label) is not None


def is_claimed(mark: Mark, view: AccountView, settings: LinkSettings, others: Collection[LinkId]) -> bool:
    """Whether a label means a copy of this link: of this store or an adopted one, between the same two accounts.

    `others` are the account's other links, each of which claims what carries its very name.
    """
    if mark.store not in (settings.store, *view.adopted.get(settings.link, ())):
        return False
    link = LinkId(mark.link)
    return link == settings.link or (link not in others and link in links_of(settings.leader, settings.follower))


def duplicates(view: AccountView, stray: Stray, settings: LinkSettings) -> Copy | None:
    """The live copy of the same source that has a position of its own: this one is then one too many."""
    copy = view.copies.get(view.key_of((settings.link, SourceKey(stray.mark.source))))
    is_other = copy is not None and stray.position is not None and copy.position is not None and not copy.share
    return copy if is_other else None


def is_awaited(view: AccountView, key: CopyKey) -> bool:
    """Whether a request of ours that is under way may be what opened it."""
    copy = view.copies.get(key)
    return copy is not None or any(intent.command.kind.adds_risk for intent in view.intents_of(key))


def is_lacking(view: AccountView, settings: LinkSettings, others: Collection[LinkId]) -> bool:
    """Whether the broker shows anything of this link that the record lacks."""
    return any(
        is_claimed(stray.mark, view, settings, others)
        and not is_awaited(view, view.key_of((settings.link, SourceKey(stray.mark.source))))
        for stray in strays(view)
    )
