"""Targets nearer to the market than a follower's broker takes: left out, and set as soon as the market lets them be.

A broker looks at both levels of a request together and refuses all of it for one. A target that is left out holds up
neither an open nor a stop; its leader's own close ends the copy all the same. Folds and judgements; nothing is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cmam.domain.belief.copies import Copy, LeftOut
from cmam.domain.belief.view import AccountView, put
from cmam.domain.events import Goal
from cmam.domain.values.commands import Command, CommandKind
from cmam.domain.values.quantities import Price, Quote, Side
from cmam.domain.values.replacing import replace
from cmam.domain.values.rules.levels import EITHER_IS_NEAR, TARGETS_LEFT_OUT
from cmam.domain.values.symbols import SymbolSpec
from cmam.domain.values.trades import Position
from cmam.domain.wanted.levels import least_distance, wanted_levels
from cmam.domain.wanted.needs import left_out_of, wanted_of

TOO_NEAR = ("PROTECTION_IS_TOO_CLOSE_TO_MARKET", "TRADING_BAD_STOPS")
"""Refusals for which a target may be to blame, or a stop: no code says which of the two (wire.md#levels)."""

WHY = "too near to the market for the follower's symbol: it is set as soon as that lets it be"

HELD_UP = "held up by the stop that goes with it, which its broker refuses: it is set as soon as that is"
"""Why a target is left out whose stop was refused without it, too."""

EITHER = (
    "refused as too near to the market, itself or the stop that goes with it: it is set as soon as both are far enough"
)
"""Why a target is left out that its broker refused together with a stop: which of the two it meant is not known."""

ASK_FIRST_US = 1_000_000
"""Delay before a target that was refused may be asked for again; doubled with each refusal of the same."""
ASK_LAST_US = 60_000_000


def ahead(side: Side, level: int, quote: Quote) -> int:
    """How far the market has yet to go to a target, in 1e-8; 0 or less where it is there."""
    return (level - quote.exit(side)) * side.sign


def is_far(spec: SymbolSpec, side: Side, level: int, quote: Quote) -> bool:
    """Whether a target is as far from the market as the follower's symbol asks for."""
    least = least_distance(spec, quote.exit(side), spec.tp_distance)
    return ahead(side, level, quote) >= max(least, spec.tick)


@dataclass(frozen=True, slots=True)
class Lack:
    """A copy that should have a target at `level` and is without: its symbol, its position, the stop beside it.

    `is_due` says that it may be asked for already.
    """

    spec: SymbolSpec
    position: Position
    level: Price
    stop: Price | None
    is_due: bool

    def may_be_set(self, quote: Quote) -> bool:
        """Whether the broker may take the target now: it looks at the stop that goes with it, too."""
        position, spec = self.position, self.spec
        points = max(spec.sl_distance, spec.gsl_distance) if position.guaranteed else spec.sl_distance
        least = max(least_distance(spec, quote.exit(position.side), points), spec.tick)
        is_stop_far = self.stop is None or -ahead(position.side, self.stop, quote) >= least
        return is_stop_far and is_far(spec, position.side, self.level, quote)


def lacking(view: AccountView, copy: Copy) -> Lack | None:
    """The target that a copy should have and is without; None where it lacks none."""
    spec, left = view.specs.get(copy.symbol), copy.left_out
    position = view.positions.get(copy.position) if copy.position is not None else None
    if left is None or left.level is None or spec is None or position is None or not copy.goal.has_levels:
        return None
    wanted = wanted_of(view, spec, copy, position)
    is_lacked = copy.is_wanted and wanted.target == left.level and position.target != left.level
    return Lack(spec, position, left.level, wanted.stop, left.is_due) if is_lacked else None


def why(view: AccountView, copy: Copy, lack: Lack) -> str:
    """Why a copy is without its target, in words: a stop that was refused alone is not the target's fault, and of two
    that were refused together nobody knows which it was."""
    if copy.trouble.startswith(CommandKind.AMEND_PROTECTION.value):
        return HELD_UP
    is_refused = copy.target_at_us > 0  # else it was too near by a quote, and not asked for
    return EITHER if is_refused and lack.stop is not None and view.rules >= EITHER_IS_NEAR else WHY


# --- folds ----------------------------------------------------------------------------------------------------------


def opened_without(goal: Goal, command: Command) -> LeftOut | None:
    """What a request to open or place leaves out of the goal that it is for."""
    wants = goal.leader_target is not None or goal.fixed_target is not None
    return LeftOut() if wants and command.relative_target is None else None


def filled(view: AccountView, copy: Copy) -> Copy:
    """A copy that has just filled: from its first fill on it is known where a target lies that was left out."""
    spec = view.specs.get(copy.symbol)
    if copy.left_out is None or copy.left_out.level is not None or spec is None:
        return copy
    level = wanted_levels(spec, copy.side, copy.goal, copy.open_price).target
    return replace(copy, left_out=None if level is None else LeftOut(level))


def moved(view: AccountView, copy: Copy, former: Goal, quotes: Mapping[str, Quote]) -> Copy:
    """A copy that has a new goal: what was left out of the former is of no interest; a target that is too near by the
    quote of this moment is not even asked for."""
    if view.rules < TARGETS_LEFT_OUT or copy.position is None or _terms_of(former) == _terms_of(copy.goal):
        return copy
    spec, position = view.specs.get(copy.symbol), view.positions.get(copy.position)
    copy = replace(copy, left_out=None, target_at_us=0)
    if spec is None or position is None or not copy.goal.has_levels:
        return copy
    level, quote = wanted_of(put(view, copy), spec, copy, position).target, quotes.get(spec.name)
    if level is None or quote is None or level == position.target or is_far(spec, copy.side, level, quote):
        return copy
    return replace(copy, left_out=LeftOut(level))


def _terms_of(goal: Goal) -> tuple[object, ...]:
    """All of a goal that says where its target lies."""
    return (goal.leader_target, goal.fixed_target, goal.shift, goal.keeps_target, goal.has_levels)


def refused(view: AccountView, copy: Copy, command: Command, at_us: int) -> Copy | None:
    """A copy of which levels were refused as too near, without the target that they had; None where they had none.

    First the target that is wanted is left out, then the one that the position shows: after that it is the stop.
    """
    if view.rules < TARGETS_LEFT_OUT:
        return None
    if command.kind is CommandKind.AMEND_ORDER:
        return _rests_without(copy, command)
    spec = view.specs.get(copy.symbol)
    position = view.positions.get(copy.position) if copy.position is not None else None
    if command.kind is not CommandKind.AMEND_PROTECTION or command.target is None or spec is None or position is None:
        return None
    wanted = wanted_of(view, spec, copy, position).target
    left = left_out_of(view, copy, wanted)
    if command.target == wanted:
        count = 0 if left is None else left.refusals + 1
        delay = min(ASK_FIRST_US << min(count, 10), ASK_LAST_US)
        return replace(copy, left_out=LeftOut(wanted, count), target_at_us=at_us + delay)
    return None if left is None or left.is_bare else replace(copy, left_out=replace(left, is_bare=True))


def cleared(view: AccountView, copy: Copy, command: Command) -> Copy:
    """A copy whose stop was refused without its target, too: one that stands was not to blame, and goes with the next
    stop, or the broker would take it away."""
    position = view.positions.get(copy.position) if copy.position is not None else None
    is_standing = copy.left_out is not None and position is not None and position.target == copy.left_out.level
    is_alone = command.kind is CommandKind.AMEND_PROTECTION and command.target is None
    return replace(copy, left_out=None, target_at_us=0) if is_alone and is_standing else copy


def _rests_without(copy: Copy, command: Command) -> Copy | None:
    terms = copy.goal.terms
    if terms is None or command.relative_target is None or terms.relative_target != command.relative_target:
        return None
    goal = replace(copy.goal, terms=replace(terms, relative_target=None))
    return replace(copy, goal=goal, left_out=LeftOut())


def taken(copy: Copy, target: Price | None) -> Copy:
    """A copy whose broker has confirmed a target: it is left out no more."""
    is_it = copy.left_out is not None and target is not None and copy.left_out.level == target
    return replace(copy, left_out=None, target_at_us=0) if is_it else copy


def due(copy: Copy) -> Copy:
    """A copy whose target the market lets be asked for now."""
    left = copy.left_out
    return copy if left is None else replace(copy, left_out=replace(left, is_due=True))
