"""What a record changes in the table of copies: whole rows, and what was seen where a copy was decided. Pure.

It decides nothing: where a copy stands is what the domain's fold says.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from cmam.domain.belief.copies import Copy, CopyKey, CopyState, IntentState
from cmam.domain.belief.view import AccountView, resolve
from cmam.domain.events import (
    ChangeDecided,
    ClosesSeen,
    CopyWoken,
    Inputs,
)
from cmam.domain.folds.afterwards import of_position
from cmam.domain.values.changes import ChangeKind
from cmam.domain.values.quantities import Price, Quote, decimal_text, units_text
from cmam.domain.values.reasons import Reason
from cmam.store.folding.fold import AccountStep
from cmam.store.projection import schema
from cmam.store.projection.rows import LIFE, Change, Row, copy_id
from cmam.store.text import iso, price

UNKNOWN = "unknown"
"""The state of a copy whose opening request has no answer: neither yes nor no is proven."""


def touched_copies(before: AccountView, after: AccountView) -> tuple[CopyKey, ...]:
    """The copies of which anything that is shown may have changed."""
    keys: set[CopyKey] = set()
    if before.copies is not after.copies:
        keys |= {key for key, copy in after.copies.items() if copy is not before.copies.get(key)}
        keys |= before.copies.keys() - after.copies.keys()
    elif before.finished is not after.finished:  # told of one that was over by then
        keys |= {key for key, copy in after.finished.items() if copy is not before.finished.get(key)}
    if before.intents is not after.intents:
        was, now = before.intents, after.intents
        keys |= {intent.key for name, intent in now.items() if intent is not was.get(name)}
        keys |= {intent.key for name, intent in was.items() if name not in now}
    if before.unpriced is not after.unpriced:
        for position in set(before.unpriced) - set(after.unpriced):
            keys |= {copy.key for copy in of_position(after, position)}
    return tuple(sorted(keys))


def copy_row(step: AccountStep, key: CopyKey, store: str) -> Row:
    """All that is shown of a copy after a record that touched it."""
    copy = step.after.copy(key)
    assert copy is not None, f"expected a copy that is known, found none of {key}"
    return _copy(step, copy, store)


def former_lives(step: AccountStep, store: str) -> Iterator[tuple[str, Row]]:
    """Copies that a record begins anew, under the names they have: their rows until then, each with the name of its
    own that it bears from now on, which ends with the number of its last request."""
    for key, copy in step.after.copies.items() if step.after.copies is not step.before.copies else ():
        before = step.before.copies.get(key)
        if copy is before or copy.position is not None or (before is not None and before.position is None):
            continue
        ended = step.after.finished.get(key) or step.before.finished.get(key)
        if ended is not None and ended.position is not None:
            row = _copy(step, ended, store)
            yield row["copy_id"], row | {"copy_id": f"{row['copy_id']}{LIFE}{ended.last_seq}"}


def told_afterwards(step: AccountStep, event: ClosesSeen, store: str) -> Iterator[Change]:
    """What is told of a copy that has begun anew since stands in the row of what it was before."""
    for copy in of_position(step.after, event.position):
        if copy.state.is_end and copy.key in step.after.copies:
            row = _copy(step, copy, store)
            yield schema.COPIES, row | {"copy_id": f"{row['copy_id']}{LIFE}{copy.last_seq}"}


def begun(step: AccountStep, event: ChangeDecided, store: str) -> Iterator[Change]:
    """What a new copy was decided at: both markets, and what the leader wrote on the trade."""
    key = resolve(step.after, event.link, event.change)
    copy = step.after.copies.get(key)
    if copy is None or key in step.before.copies:
        return
    theirs = event.inputs.leader_quote or event.change.quote
    row: Row = {"label": event.change.label or None, "comment": event.change.comment or None}
    if event.change.kind is not ChangeKind.ORDER_PLACED:  # what an order fills at was decided by its price, not by us
        row |= _markets(step, copy, event.inputs, theirs)
    yield schema.COPIES, {"copy_id": copy_id(store, *key), **row}


def woken(step: AccountStep, event: CopyWoken, store: str) -> Iterator[Change]:
    """The markets at which an open that waited was looked at again: the last look is the one that opened it."""
    copy = step.after.copies.get((event.link, event.source))
    if copy is None or copy.position is not None or copy.goal.terms is not None:
        return
    theirs = event.inputs.leader_quote or (copy.change.quote if copy.change is not None else None)
    yield schema.COPIES, {"copy_id": copy_id(store, *copy.key), **_markets(step, copy, event.inputs, theirs)}


def _markets(step: AccountStep, copy: Copy, inputs: Inputs, theirs: Quote | None) -> Row:
    """The follower's quote at the decision, the leader's at its change; nothing where there was none."""
    spec = step.after.specs.get(copy.symbol)
    mine = inputs.quotes.get(spec.name) if spec is not None else None
    # What the leader's fill is held against is its own market of that moment, where the change told it.
    at_change = copy.change.quote if copy.change is not None and copy.change.quote is not None else theirs
    digits = copy.leader_digits
    return {
        "decided_bid": price(mine.bid, digits) if mine is not None else None,
        "decided_ask": price(mine.ask, digits) if mine is not None else None,
        "leader_bid": price(at_change.bid, digits) if at_change is not None else None,
        "leader_ask": price(at_change.ask, digits) if at_change is not None else None,
    }


def _state(view: AccountView, copy: Copy) -> str:
    """Where a copy stands; one that ended before it had anything was not closed, whoever ended it."""
    if copy.state is CopyState.CLOSED and copy.position is None and copy.reason is not Reason.LOG_LOST:
        return CopyState.CANCELLED.value
    is_unknown = copy.state is CopyState.OPENING and any(
        intent.state is IntentState.UNKNOWN for intent in view.intents_of(copy.key)
    )
    return UNKNOWN if is_unknown else copy.state.value


def _copy(step: AccountStep, copy: Copy, store: str) -> Row:
    spec = step.after.specs.get(copy.symbol)
    digits = spec.digits if spec is not None else copy.leader_digits
    return {
        "copy_id": copy_id(store, copy.link, copy.source),
        "profile_id": copy.profile,
        "link": copy.link,
        "source": copy.source,
        "leader": int(copy.leader),
        "follower": int(step.after.account),
        "leader_position": copy.leader_position,
        "follower_position": copy.position,
        "leader_order": copy.leader_order,
        "follower_order": copy.order,
        "symbol": copy.leader_symbol,
        "follower_symbol": spec.name if spec is not None else None,
        "side": copy.side.value,
        "leader_volume": units_text(copy.leader_opened),
        "volume": units_text(copy.opened_volume),
        "held": units_text(copy.volume),
        "target": _exact_units(copy.target),
        "drift": _exact_units(copy.residue),
        "state": _state(step.after, copy),
        "wait": copy.wait.value if copy.wait is not None and not copy.state.is_end else None,
        "decided_at": iso(copy.decided_us),
        "opened_at": iso(copy.opened_us),
        "closed_at": iso(copy.closed_us),
        "leader_price": price(copy.goal.leader_price, copy.leader_digits),
        "open_price": price(copy.open_price, digits),
        "close_price": price(copy.close_price, digits),
        "slippage_pips": _slippage(copy, spec.pip if spec is not None else None),
        "pip": price(Price(spec.pip), copy.leader_digits) if spec is not None else None,
        "reason": copy.reason.value if copy.reason is not None else None,
        "settings_version": copy.settings_version,
        "decided_us": copy.decided_us,
        "opened_us": copy.opened_us or None,
        "closed_us": copy.closed_us or None,
        "position": step.record.position,
    }


def _exact_units(target: Fraction) -> str:
    """A target in units: as a decimal where it is a whole number of hundredths, else as the exact fraction."""
    if target.denominator == 1:
        return units_text(target.numerator)
    units = target / 100
    return f"{units.numerator}/{units.denominator}"


def _slippage(copy: Copy, pip: int | None) -> str | None:
    """How much worse than its leader the copy was filled, in pips of the follower; negative is better.

    By the two fills: the shift of its levels is none with `levels = price`, and of a late open that of its decision.
    """
    if copy.open_price is None or copy.goal.leader_price is None or not pip:
        return None
    tenths = Fraction((copy.open_price - copy.goal.leader_price) * copy.side.sign * 10, pip)
    return decimal_text(round(tenths), 1)
