"""Why a change was not copied, or ended otherwise than wished: a closed enumeration, each with its row of explanation.

The rows say when a reason applies, what it rests on and what would have let the change through; `docs/reasons.md` is
written from them, `audit explain` prints them, and a test holds them complete.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What a follower makes of a change: act on it, decline it, or find nothing to do."""

    COPY = "copy"
    SKIP = "skip"
    NONE = "none"


class Reason(StrEnum):
    """The one word beside every skip, none and refusal."""

    # The link and its state.
    PAUSED = "paused"
    MANAGE_ONLY = "manage_only"
    IGNORE_NEW = "ignore_new"
    ACCOUNT_NOT_READY = "account_not_ready"
    OTHER_COPIER = "other_copier"
    SET_ASIDE = "set_aside"
    # Nothing to do.
    NO_COPY = "no_copy"
    COPY_FINISHED = "copy_finished"
    SOURCE_GONE = "source_gone"
    ALREADY_THERE = "already_there"
    CARRIED = "carried"
    COVERED = "covered"
    DUPLICATE = "duplicate"
    SCALE_IN_OFF = "scale_in_off"
    TRAILS_ITSELF = "trails_itself"
    TRAILING_STEP = "trailing_step"
    # The symbol and the kind of trade.
    UNMAPPED_SYMBOL = "unmapped_symbol"
    SYMBOL_EXCLUDED = "symbol_excluded"
    SYMBOL_DISABLED = "symbol_disabled"
    SYMBOL_CHANGED = "symbol_changed"
    SIDE_EXCLUDED = "side_excluded"
    SHORT_SELLING = "short_selling"
    ORDER_TYPE_EXCLUDED = "order_type_excluded"
    LABEL_EXCLUDED = "label_excluded"
    OUTSIDE_HOURS = "outside_hours"
    NETTED_TAKEN = "netted_taken"
    FILLS_INTO_NET = "fills_into_net"
    # The moment.
    TOO_OLD = "too_old"
    CLOCK = "clock"
    PRICE_AWAY = "price_away"
    NOT_BETTER = "not_better"
    SPREAD = "spread"
    WOULD_FILL = "would_fill"
    SLIPPAGE = "slippage"
    # The levels.
    LEVEL_PASSED = "level_passed"
    LEVEL_WRONG_SIDE = "level_wrong_side"
    NO_STOP = "no_stop"
    NO_STOP_REVERSED = "no_stop_reversed"
    STOP_REQUIRED = "stop_required"
    STOP_TOO_CLOSE = "stop_too_close"
    STOP_TOO_TIGHT = "stop_too_tight"
    STOP_NOT_A_RISK = "stop_not_a_risk"
    # The size.
    BELOW_MINIMUM = "below_minimum"
    STALE_INPUT = "stale_input"
    NO_RATE = "no_rate"
    LOTS_UNCONFIRMED = "lots_unconfirmed"
    BAD_FORMULA = "bad_formula"
    RAISE_TOO_FAR = "raise_too_far"
    SANITY = "sanity"
    # Caps, margin, guards.
    MAX_POSITIONS = "max_positions"
    MAX_LOTS = "max_lots"
    MARGIN = "margin"
    GUARD = "guard"
    EQUITY_UNKNOWN = "equity_unknown"
    FLATTENED = "flattened"
    # The broker, and how copies end.
    REFUSED = "refused"
    UNKNOWN_OUTCOME = "unknown_outcome"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    AHEAD = "ahead"
    LEADER_BLIND = "leader_blind"
    CLOSED_BY_LEADER = "closed_by_leader"
    CLOSED_BY_LEVEL = "closed_by_level"
    CLOSED_BY_STOP_OUT = "closed_by_stop_out"
    CLOSED_BY_HUMAN = "closed_by_human"
    CLOSED_BY_GUARD = "closed_by_guard"
    CLOSED_BY_FLATTEN = "closed_by_flatten"
    LOG_LOST = "log_lost"
    RELEASED = "released"


@dataclass(frozen=True, slots=True)
class ReasonRow:
    """When a reason applies, what it rests on, and what would have let the change through."""

    when: str
    inputs: str
    cure: str


_NOTHING = "Nothing; there is nothing to copy."

REASONS: Mapping[Reason, ReasonRow] = {
    Reason.PAUSED: ReasonRow(
        "The profile, the leader or the follower is paused; closes, cancels and levels go on.",
        "The link's standing when the change was decided.",
        "`cmam resume`, before the change.",
    ),
    Reason.MANAGE_ONLY: ReasonRow(
        "The follower may close but not open: its broker or its consent allows no more.",
        "The account's access rights and the scope of its token.",
        "Full access from the broker, or a consent to trading (`cmam account add`).",
    ),
    Reason.IGNORE_NEW: ReasonRow(
        "`ignore_new` is on: copies are managed, nothing is opened or added.", "`ignore_new`.", "`ignore_new=off`."
    ),
    Reason.ACCOUNT_NOT_READY: ReasonRow(
        "The follower was not connected and reconciled when the change had to be decided.",
        "The account's health.",
        "A working connection; see `cmam status`.",
    ),
    Reason.OTHER_COPIER: ReasonRow(
        "A live position of the follower carries the mark of another store for the same leader's position.",
        "The labels of the follower's positions and orders.",
        "Stop the other copier, or take its copies over with `cmam profile adopt`.",
    ),
    Reason.SET_ASIDE: ReasonRow(
        "The follower failed on this change again and again, a fault of cmam; the rest goes on without it.",
        "The record `account.message_set_aside` before it, which holds the change and the error.",
        "Nothing here: compare the account with its leader by hand, and report the error.",
    ),
    Reason.NO_COPY: ReasonRow(
        "The leader changed something that was never copied here.", "The copies of the link.", _NOTHING
    ),
    Reason.COPY_FINISHED: ReasonRow(
        "The copy has ended before: closed by a level, a person, a guard or a stop-out, or refused.",
        "The finished copies of the link.",
        "`reopen=on` opens a source once more after a person or a level closed its copy.",
    ),
    Reason.SOURCE_GONE: ReasonRow(
        "The leader had already closed or cancelled it when it could have been copied.",
        "The leader's later changes of the same source.",
        "Nothing; the leader no longer holds it.",
    ),
    Reason.ALREADY_THERE: ReasonRow("What was asked for is so already.", "The copy's goal.", _NOTHING),
    Reason.CARRIED: ReasonRow(
        "A reduction smaller than one step or the symbol's minimum is carried until it can be made.",
        "The copy's volume, its exact target, the symbol's step and minimum.",
        "`partial_rounding=up`.",
    ),
    Reason.COVERED: ReasonRow(
        "The leader's position grew; what the copy carries above its target covers the growth already: nothing is"
        " bought, and the target grows.",
        "The copy's volume, its exact target before and after.",
        _NOTHING,
    ),
    Reason.DUPLICATE: ReasonRow("The source has a live copy.", "The copies of the link.", _NOTHING),
    Reason.SCALE_IN_OFF: ReasonRow("The leader's position grew; `scale_in` is off.", "`scale_in`.", "`scale_in=on`."),
    Reason.TRAILS_ITSELF: ReasonRow(
        "The leader's trailing stop moved; the copy trails its own.", "`copy_trailing`.", _NOTHING
    ),
    Reason.TRAILING_STEP: ReasonRow(
        "The leader's trailing stop moved by less than a step, or too soon, or away from the market.",
        "`trailing_step`, the copy's stop, the time of its last move.",
        "A smaller `trailing_step`.",
    ),
    Reason.UNMAPPED_SYMBOL: ReasonRow(
        "No symbol of the follower could be matched with certainty.",
        "Names, base and quote assets, lot size, units and mid prices of the candidates.",
        "A row in the symbol table: `cmam profile symbols NAME load FILE.csv`.",
    ),
    Reason.SYMBOL_EXCLUDED: ReasonRow(
        "The profile does not copy this symbol.",
        "`symbols.include`, `symbols.exclude`.",
        "Naming it in `symbols.include`, or taking it out of `symbols.exclude`.",
    ),
    Reason.SYMBOL_DISABLED: ReasonRow(
        "The follower's symbol is disabled, may only be closed, or is listed under another number than it had when the "
        "copy that would grow was opened.",
        "The symbol's enabled flag and trading mode, its number.",
        "Trade in it being opened by the broker.",
    ),
    Reason.SYMBOL_CHANGED: ReasonRow(
        "Lot size, digits or step of the follower's symbol changed, or the lot size of the leader's where the link "
        "counts in lots, and nobody confirmed it yet.",
        "The symbol as it was and is.",
        "`cmam account confirm-symbol ID SYMBOL`, which shows both.",
    ),
    Reason.SIDE_EXCLUDED: ReasonRow(
        "The leader's side is not copied.", "`side`, the leader's side before reverse.", "`side=both`."
    ),
    Reason.SHORT_SELLING: ReasonRow(
        "The copy would be short and the symbol cannot be sold short.",
        "The symbol's enableShortSelling, the copy's own side.",
        "Another symbol; `side=buy` says so beforehand.",
    ),
    Reason.ORDER_TYPE_EXCLUDED: ReasonRow(
        "Orders of this type are not copied, or cannot be reversed.",
        "`order_types`, `reverse`, the type of the leader's original order.",
        "Naming the type in `order_types`; for fills of such orders, `copy_on_fill=on`.",
    ),
    Reason.LABEL_EXCLUDED: ReasonRow(
        "Neither label nor comment of the leader's trade fits the filter.", "`label`.", "`label=any`."
    ),
    Reason.OUTSIDE_HOURS: ReasonRow(
        "The moment lies outside the link's hours or days.", "`hours`, `days`.", "Wider hours."
    ),
    Reason.NETTED_TAKEN: ReasonRow(
        "The netted follower holds a position in this symbol that is not of this link, or an order copied from another "
        "leader rests or is under way there.",
        "The follower's positions and the shares of the link.",
        "Closing the other position.",
    ),
    Reason.FILLS_INTO_NET: ReasonRow(
        "The leader's account is netted and holds this symbol: what his order fills adds to that position, reduces or "
        "turns it, and is copied as that. Nothing of it rests meanwhile.",
        "The leader's positions and orders.",
        "Nothing; an order that rests while he does not hold the symbol is copied as one.",
    ),
    Reason.TOO_OLD: ReasonRow(
        "The change is older than `max_age`, or `sync_max_age` at a start.",
        "The leader's time, our time, the broker's measured clock offset.",
        "A longer `max_age`.",
    ),
    Reason.CLOCK: ReasonRow(
        "The offset of the broker's clock is uncertain by more than five seconds.",
        "The measured offset and its uncertainty.",
        "A steadier line; the age cannot be known.",
    ),
    Reason.PRICE_AWAY: ReasonRow(
        "The follower's price is too many pips worse than the leader's.",
        "`max_price_distance`, the follower's quote, the leader's price.",
        "A larger `max_price_distance`.",
    ),
    Reason.NOT_BETTER: ReasonRow(
        "The price did not become `wait_for_better` pips better in time.",
        "`wait_for_better`, the follower's quotes until `max_age`.",
        "A smaller `wait_for_better`.",
    ),
    Reason.SPREAD: ReasonRow(
        "The follower's spread is wider than `max_spread`.",
        "`max_spread`, the follower's quote.",
        "A larger `max_spread`.",
    ),
    Reason.WOULD_FILL: ReasonRow(
        "The pending order would fill at once at the follower's price.",
        "The order's price, the follower's quote.",
        "A price away from the follower's market.",
    ),
    Reason.SLIPPAGE: ReasonRow(
        "The broker found no price within `max_slippage`.",
        "`max_slippage`, the market range sent.",
        "A larger `max_slippage`.",
    ),
    Reason.LEVEL_PASSED: ReasonRow(
        "The follower's price is beyond the leader's stop or target already.",
        "The leader's level, the shift, the follower's quote.",
        "A price on the right side of the level.",
    ),
    Reason.LEVEL_WRONG_SIDE: ReasonRow(
        "A level lies on the wrong side of the entry.",
        "The leader's levels, offsets, `reverse`, the entry.",
        "Other offsets.",
    ),
    Reason.NO_STOP: ReasonRow(
        "`risk_percent` needs a stop, and none came within `stop_wait`.",
        "The leader's levels, `stop_wait`.",
        "A stop in the leader's order, `fixed_sl`, or `volume.without_stop`.",
    ),
    Reason.NO_STOP_REVERSED: ReasonRow(
        "Reversed, the copy's stop is the leader's target, and there is none.",
        "The leader's target, `reverse`.",
        "`fixed_sl`, or `reverse_without_stop=on`.",
    ),
    Reason.STOP_REQUIRED: ReasonRow(
        "The copy would have no stop, or has none as it grows, and `require_stop` asks for one; so does an account of "
        "limited risk, where an add never has one.",
        "The copy's final stop, `require_stop`, the account's kind.",
        "A stop of the leader's, or `fixed_sl`; nothing for an add at limited risk.",
    ),
    Reason.STOP_TOO_CLOSE: ReasonRow(
        "The stop is nearer than the follower's symbol allows.",
        "The symbol's minimum distance, the copy's stop and entry.",
        "`bad_stop=widen`.",
    ),
    Reason.STOP_TOO_TIGHT: ReasonRow(
        "The stop is too near for a size by risk.",
        "`risk_min_stop`, twice the spread, the symbol's minimum distance.",
        "A farther stop.",
    ),
    Reason.STOP_NOT_A_RISK: ReasonRow(
        "The stop lies on the winning side of the entry: no risk to size by.",
        "The copy's stop, the follower's entry price.",
        "A stop on the losing side.",
    ),
    Reason.BELOW_MINIMUM: ReasonRow(
        "Rounded down to the step, the volume is below the least allowed. Growth is kept, and goes out with what the "
        "leader adds next.",
        "The exact volume, the symbol's step and minimum, `volume.min`.",
        "A larger `volume.amount`, or `volume.rounding=raise`.",
    ),
    Reason.STALE_INPUT: ReasonRow(
        "Something that the size rests on is missing, not above zero, or too old. A young feed gets three seconds, and "
        "what a broker has yet to tell on a new line is waited for while the change is young enough.",
        "The inputs named in the working, `input_max_age`.",
        "Live quotes and known money of both accounts.",
    ),
    Reason.NO_RATE: ReasonRow(
        "The size rests on what one currency is worth in another, and no symbols of the follower's broker lead there, "
        "as from the cents of a leader's account that it does not know.",
        "The leader's currency and the follower's, the follower's enabled symbols.",
        "`volume.currency=raw` with what one currency is worth in the other counted into `volume.amount` (100 for US "
        "cents before US dollars), or `volume.mode=multiplier`.",
    ),
    Reason.LOTS_UNCONFIRMED: ReasonRow(
        "The two brokers' lots of this symbol differ in size, and nobody confirmed that lots are meant.",
        "Both lot sizes, `volume.basis`, `volume.lots_confirmed`, the symbol table.",
        "`volume.basis=units`, or naming the symbol in `volume.lots_confirmed`.",
    ),
    Reason.BAD_FORMULA: ReasonRow(
        "The formula has no value: it divides by zero or grows out of measure.",
        "`volume.formula` and its inputs.",
        "Another formula.",
    ),
    Reason.RAISE_TOO_FAR: ReasonRow(
        "Raising to the minimum would multiply the volume by more than `raise_risk_max`.",
        "The exact volume, the minimum, `raise_risk_max`.",
        "A larger `raise_risk_max` or `volume.amount`.",
    ),
    Reason.SANITY: ReasonRow(
        "The volume is out of all proportion to the leader's or to the account.",
        "`sanity.max_times_leader`, `sanity.max_leverage`, both notionals, equity.",
        "A smaller `volume.amount`, or the check typed `off`.",
    ),
    Reason.MAX_POSITIONS: ReasonRow(
        "The follower has as many positions as it may.",
        "`max_positions`, positions open, resting and in flight, a person's too.",
        "A larger `max_positions`.",
    ),
    Reason.MAX_LOTS: ReasonRow(
        "The follower would hold more lots than it may, or a copy grow beyond `volume.max`.",
        "`max_lots_open`, `max_lots_symbol`: lots open, resting, in flight, a person's too; `volume.max`: the target.",
        "A larger cap.",
    ),
    Reason.MARGIN: ReasonRow(
        "Free margin would not cover the expected margin with its reserve.",
        "Equity, used and reserved margin, leverage and its tiers, the broker's own reckoning, `margin_reserve`.",
        "More free margin, or smaller volumes.",
    ),
    Reason.GUARD: ReasonRow(
        "A guard of the follower has tripped and is not re-armed.",
        "The latches of the link; the working names the guard.",
        "`cmam rearm NAME`, once its condition no longer holds.",
    ),
    Reason.EQUITY_UNKNOWN: ReasonRow(
        "A guard needs equity or what its day began with, and it is unknown: no opens until it is known.",
        "Quotes of all open positions and of the conversion to the deposit currency, or the broker's own results; the"
        " day's anchor; what moved the balance while the account was out of sight.",
        "Live quotes; for a day whose beginning cannot be told, `cmam rearm NAME --guard day`.",
    ),
    Reason.FLATTENED: ReasonRow(
        "A flatten was asked for and nothing opens until it is lifted.", "The latches of the link.", "`cmam rearm`."
    ),
    Reason.REFUSED: ReasonRow(
        "The broker refused the request; its own code stands beside it.",
        "The broker's answer.",
        "See the code in `docs/refusals.md`.",
    ),
    Reason.UNKNOWN_OUTCOME: ReasonRow(
        "What became of the request could not be proved.", "Reconcile and order history.", "A look at the account."
    ),
    Reason.EXPIRED: ReasonRow(
        "The request or the order became too late: it waited longer than it may, or its expiry passed.",
        "`max_age`, the order's expiry, the time in the queue.",
        "A longer `max_age`.",
    ),
    Reason.CANCELLED: ReasonRow(
        "The copied pending order was cancelled before it filled.", "The follower's order.", "Nothing."
    ),
    Reason.AHEAD: ReasonRow(
        "The copy filled before the leader's order, which then did not fill in time.",
        "`pending_ahead`, the leader's order.",
        "A longer `pending_ahead`.",
    ),
    Reason.LEADER_BLIND: ReasonRow(
        "The leader could not be seen for as long as `leader_blind` allows, and its copies were closed.",
        "`leader_blind`, the leader's health.",
        "`leader_blind=hold`, or a longer span.",
    ),
    Reason.CLOSED_BY_LEADER: ReasonRow(
        "The leader closed or took his order back, and so did the copy.", "The leader's change.", "Nothing."
    ),
    Reason.CLOSED_BY_LEVEL: ReasonRow(
        "The copy's own stop or target was hit.", "The follower's protective order.", "Nothing."
    ),
    Reason.CLOSED_BY_STOP_OUT: ReasonRow(
        "The broker stopped the follower out; opens stay latched.",
        "The stop-out flag of the closing order.",
        "More margin, then `cmam rearm NAME`.",
    ),
    Reason.CLOSED_BY_HUMAN: ReasonRow(
        "Somebody closed the copy or cancelled its order by hand.", "A close that was not ours.", "`reopen=on`."
    ),
    Reason.CLOSED_BY_GUARD: ReasonRow("A guard closed the copy.", "The latch.", "Another limit."),
    Reason.CLOSED_BY_FLATTEN: ReasonRow("A flatten closed the copy.", "The command.", "Nothing."),
    Reason.LOG_LOST: ReasonRow(
        "The copy had ended before the log was lost; the broker's history shows that it was there.",
        "The follower's order history, the labels of the store.",
        "Nothing: a source that was copied is not copied again.",
    ),
    Reason.RELEASED: ReasonRow(
        "The profile or link was stopped or deleted, and its copy closed or its order cancelled with it.",
        "The command.",
        "`--leave`, and `--keep-pendings` for orders that rest.",
    ),
}
