"""A copy that the broker shows and the record lacked, taken into the view: the fold of `CopyRebuilt`.

What is taken in, and with which goal, is worked out in `rebuilding.py`; here it only finds its place.
"""

from __future__ import annotations

from cmam.domain.belief.copies import Copy, CopyState
from cmam.domain.belief.shares import rejoined
from cmam.domain.belief.view import AccountView, put
from cmam.domain.events import CopyRebuilt, Wait
from cmam.domain.guarding.latches import TWIN, with_rest_ended
from cmam.domain.profiles.choices import Reaction
from cmam.domain.values.ids import position_source
from cmam.domain.values.reasons import Reason
from cmam.domain.values.replacing import replace
from cmam.domain.values.rules.guards import LOCKED_WHEN_FOUND
from cmam.domain.values.rules.nets import REBUILT_SHARES_REJOIN

LATE_FILL_US = 30_000_000
"""How long after its grace a resting copy may still be met by the market, where its leader's order filled unseen."""


def take_rebuilt(view: AccountView, event: CopyRebuilt, at_us: int) -> AccountView:
    """Take a copy into the record as the broker shows it. Its requests are numbered from the moment on, so that no name
    is given twice whatever was asked before."""
    key = (event.link, event.source)
    if key in view.copies:
        return view
    former = view.finished.get(key)
    is_over = event.position is None and event.order is None
    copy = Copy(
        link=event.link,
        profile=event.profile,
        source=event.source,
        state=_state(event),
        leader=event.leader,
        leader_position=event.leader_position,
        leader_order=event.leader_order,
        leader_symbol=event.leader_symbol,
        leader_digits=event.leader_digits,
        symbol=event.symbol,
        side=event.side,
        goal=event.goal,
        decided_us=at_us,
        leader_opened=event.goal.leader_volume,
        position=event.position,
        order=event.order,
        volume=event.volume,
        opened_volume=event.volume,
        open_price=event.open_price,
        opened_us=event.opened_us or at_us,
        last_seq=max(former.last_seq if former is not None else 0, at_us // 1_000_000),
        settings_version=event.settings_version,
        change=event.change,
        leader_filled=event.leader_filled,
        filled_us=at_us if event.leader_filled else 0,
        ahead_since_us=at_us if _is_ahead(event) else 0,
        stopped_out=former.stopped_out if former is not None else False,
        reopened=former.reopened if former is not None else False,
        reason=event.reason if is_over else None,
        ending=None if is_over else event.reason,
        closed_us=at_us if is_over else 0,
        share=event.share,
    )
    if event.leader_filled and event.position is None and event.order is not None:
        until_us = at_us + event.goal.grace_us + LATE_FILL_US
        copy = replace(copy, wait=Wait.CANCEL, wait_until_us=until_us, not_after_us=until_us)
    if event.leader_position is not None and event.source.startswith("o"):
        alias = (event.link, position_source(event.leader_position))
        view = replace(view, chains={**view.chains, alias: key})
    if is_over:
        return replace(view, finished={**view.finished, key: copy})
    is_locked = view.rules >= LOCKED_WHEN_FOUND
    latches = view.locked(event.link) if is_locked else view.latched(event.link)
    if any(latch.reaction == Reaction.FLATTEN for latch in latches):
        goal = replace(copy.goal, target_numerator=0, target_denominator=1, terms=None)
        copy = replace(copy, goal=goal, wait=None, ending=copy.ending or Reason.CLOSED_BY_FLATTEN)
    elif is_locked and any(latch.guard != TWIN for latch in latches):
        copy = with_rest_ended(view, copy)  # of a twin what rests may be the other's
    held = view.positions.get(event.position) if event.position is not None else None
    if held is not None:
        copy = replace(copy, seen_stop=held.stop, seen_target=held.target)
        if held.position not in view.by_position:
            view = replace(view, by_position={**view.by_position, held.position: key})
    view = put(view, copy)
    return rejoined(view, copy.symbol) if copy.share and view.rules >= REBUILT_SHARES_REJOIN else view


def _state(event: CopyRebuilt) -> CopyState:
    if event.position is not None:
        return CopyState.OPEN
    return CopyState.RESTING if event.order is not None else CopyState.CLOSED


def _is_ahead(event: CopyRebuilt) -> bool:
    return event.source.startswith("o") and event.position is not None and not event.leader_filled
