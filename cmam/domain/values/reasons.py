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
    NO_GUARANTEED_STOP = "no_guaranteed_stop"
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
        "The profile, the leader or the follower is paused. Closes, cancels, stops and targets go on.",
        "Whether the link was paused when the change was decided.",
        "`cmam resume`, before the change.",
    ),
    Reason.MANAGE_ONLY: ReasonRow(
        "The follower may close but not open, because its broker or its consent does not allow more.",
        "The account's access rights and the scope of its token.",
        "Full access from the broker, or a consent to trading (`cmam account add`).",
    ),
    Reason.IGNORE_NEW: ReasonRow(
        "`ignore_new` is on: cmam manages the copies there are, and opens and adds nothing.",
        "`ignore_new`.",
        "`ignore_new=off`.",
    ),
    Reason.OTHER_COPIER: ReasonRow(
        "Another copier has a live copy of this leader's trade here: its position carries another store's label.",
        "The labels of the follower's positions and orders.",
        "Stop the other copier, or take its copies over with `cmam profile adopt`.",
    ),
    Reason.SET_ASIDE: ReasonRow(
        "cmam failed on this change again and again: a fault of cmam. It left the change out and goes on.",
        "The record `account.message_set_aside` before it, which holds the change and the error.",
        "Nothing. Compare the account with its leader by hand, and report the error.",
    ),
    Reason.NO_COPY: ReasonRow(
        "The leader changed a trade that was never copied here.", "The copies of the link.", _NOTHING
    ),
    Reason.COPY_FINISHED: ReasonRow(
        "The copy had already ended: it was refused, or closed by a stop, a target, a person, a guard or a stop-out.",
        "The finished copies of the link.",
        "`reopen=on` opens a trade once more after a person, a stop or a target closed its copy.",
    ),
    Reason.SOURCE_GONE: ReasonRow(
        "The leader had already closed or cancelled it before it could be copied.",
        "The leader's later changes of the same source.",
        "Nothing: the leader no longer holds it.",
    ),
    Reason.ALREADY_THERE: ReasonRow("The copy already is as it should be.", "The copy's goal.", _NOTHING),
    Reason.CARRIED: ReasonRow(
        "The part to close is smaller than one step or the symbol's minimum. It is carried until it can be closed.",
        "The copy's volume, its exact target, the symbol's step and minimum.",
        "`partial_rounding=up`.",
    ),
    Reason.COVERED: ReasonRow(
        "The leader's position grew, and the copy already holds that much more than its target. Nothing is bought; the "
        "target grows.",
        "The copy's volume, its exact target before and after.",
        _NOTHING,
    ),
    Reason.DUPLICATE: ReasonRow("This trade already has a live copy.", "The copies of the link.", _NOTHING),
    Reason.SCALE_IN_OFF: ReasonRow(
        "The leader's position grew, and `scale_in` is off.", "`scale_in`.", "`scale_in=on`."
    ),
    Reason.TRAILS_ITSELF: ReasonRow(
        "The leader's trailing stop moved. The copy trails its own stop.", "`copy_trailing`.", _NOTHING
    ),
    Reason.TRAILING_STEP: ReasonRow(
        "The leader's trailing stop moved by less than `trailing_step`, or too soon, or away from the market.",
        "`trailing_step`, the copy's stop, the time of its last move.",
        "A smaller `trailing_step`.",
    ),
    Reason.UNMAPPED_SYMBOL: ReasonRow(
        "cmam could not tell with certainty which of the follower's symbols is meant.",
        "Names, base and quote assets, lot size, units and mid prices of the candidates.",
        "A row in the symbol table: `cmam profile symbols NAME load FILE.csv`.",
    ),
    Reason.SYMBOL_EXCLUDED: ReasonRow(
        "The profile does not copy this symbol.",
        "`symbols.include`, `symbols.exclude`.",
        "Name it in `symbols.include`, or take it out of `symbols.exclude`.",
    ),
    Reason.SYMBOL_DISABLED: ReasonRow(
        "The follower's symbol is disabled, may only be closed, or has another number than when the copy that "
        "would grow was opened.",
        "The symbol's enabled flag, trading mode and number.",
        "None here: the broker has to allow trading in it.",
    ),
    Reason.SYMBOL_CHANGED: ReasonRow(
        "The follower's broker changed the symbol's lot size, digits or step, or the leader's broker its lot size and "
        "the link counts in lots, and nobody has confirmed it yet.",
        "The symbol as it was and as it is.",
        "`cmam account confirm-symbol ID SYMBOL`, which shows both.",
    ),
    Reason.SIDE_EXCLUDED: ReasonRow(
        "`side` leaves out the leader's side of this trade.",
        "`side`, the leader's side before reverse.",
        "`side=both`.",
    ),
    Reason.SHORT_SELLING: ReasonRow(
        "The copy would be short and the symbol cannot be sold short.",
        "The symbol's enableShortSelling, the copy's own side.",
        "Another symbol; `side=buy` says so beforehand.",
    ),
    Reason.ORDER_TYPE_EXCLUDED: ReasonRow(
        "Orders of this type are not copied, or cannot be reversed.",
        "`order_types`, `reverse`, the type of the leader's original order.",
        "Name the type in `order_types`. For fills of such orders, `copy_on_fill=on`.",
    ),
    Reason.LABEL_EXCLUDED: ReasonRow(
        "Neither label nor comment of the leader's trade fits the filter.", "`label`.", "`label=any`."
    ),
    Reason.OUTSIDE_HOURS: ReasonRow("It is outside the link's hours or days.", "`hours`, `days`.", "Wider hours."),
    Reason.NETTED_TAKEN: ReasonRow(
        "The follower is netted, and already holds a position in this symbol that this link did not open; or an order "
        "copied from another leader rests or is under way there.",
        "The follower's positions and the shares of the link.",
        "Close the other position.",
    ),
    Reason.FILLS_INTO_NET: ReasonRow(
        "The leader's account is netted and holds this symbol, or his order names a position that he holds, or has "
        "opened one by a part already when cmam learns of it. When it fills, it adds to that position, reduces or "
        "turns it, and cmam copies that change. Until then nothing rests here.",
        "The leader's positions and orders.",
        "Nothing. An order that he places for a position of its own is copied as an order.",
    ),
    Reason.TOO_OLD: ReasonRow(
        "The change is older than `max_age`, or `sync_max_age` where `sync_open` opens it.",
        "The leader's time, our time, the measured offset of the broker's clock.",
        "A longer `max_age`.",
    ),
    Reason.CLOCK: ReasonRow(
        "cmam does not know the broker's clock to within five seconds, so it cannot tell how old the change is.",
        "The measured offset and its uncertainty.",
        "A steadier line.",
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
        "The broker had no price within `max_slippage`.",
        "`max_slippage`, the market range sent.",
        "A larger `max_slippage`.",
    ),
    Reason.LEVEL_PASSED: ReasonRow(
        "The follower's price is already beyond the leader's stop or target.",
        "The leader's level, the shift, the follower's quote.",
        "A price on the right side of the level.",
    ),
    Reason.LEVEL_WRONG_SIDE: ReasonRow(
        "A stop or target would be on the wrong side of the entry, or a stop at 0 or below, where no price ever is.",
        "The leader's levels, offsets, `fixed_sl`, `reverse`, the entry.",
        "Other offsets, or a nearer `fixed_sl`.",
    ),
    Reason.NO_STOP: ReasonRow(
        "`risk_percent` needs a stop, and none came within `stop_wait`.",
        "The leader's levels, `stop_wait`.",
        "A stop in the leader's order, `fixed_sl`, or `volume.without_stop`.",
    ),
    Reason.NO_STOP_REVERSED: ReasonRow(
        "With `reverse` the copy's stop is the leader's target, and he has none.",
        "The leader's target, `reverse`.",
        "`fixed_sl`, or `reverse_without_stop=on`.",
    ),
    Reason.STOP_REQUIRED: ReasonRow(
        "The copy would have no stop, or would grow without one, and `require_stop` is on. An account of limited risk "
        "asks for one too, and an add there never has one.",
        "The copy's final stop, `require_stop`, the account's kind.",
        "A stop in the leader's trade, or `fixed_sl`. Nothing helps an add at limited risk.",
    ),
    Reason.NO_GUARANTEED_STOP: ReasonRow(
        "The copy's stop would have to be guaranteed, and the follower's symbol offers no guaranteed stops. An account "
        "of limited risk asks for one with every open, `copy_guaranteed` where the leader's stop is guaranteed.",
        "The symbol's guaranteedStopLoss, the account's kind, `copy_guaranteed`, the leader's stop.",
        "A symbol with guaranteed stops. `copy_guaranteed=off` where the account is not of limited risk.",
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
        "The stop is on the winning side of the entry, so there is no risk to size by.",
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
        "A number that the size needs is missing, not above zero, or too old. cmam waits three seconds for a new feed, "
        "and, while the change is young enough, for what a broker has yet to tell. The last quote of a closed market "
        "is never too old for what is held there.",
        "The inputs named in the working, `input_max_age`.",
        "Live quotes, and both accounts' money.",
    ),
    Reason.NO_RATE: ReasonRow(
        "The size needs the leader's currency in the follower's, and no symbols of the follower's broker lead from one "
        "to the other. An example is a leader's account in cents.",
        "The leader's currency and the follower's, the follower's enabled symbols.",
        "`volume.currency=raw`, with the exchange rate counted into `volume.amount` (100 from US cents to US dollars); "
        "or `volume.mode=multiplier`.",
    ),
    Reason.LOTS_UNCONFIRMED: ReasonRow(
        "The two brokers' lot sizes differ for this symbol, and nobody has confirmed that lots are meant.",
        "Both lot sizes, `volume.basis`, `volume.lots_confirmed`, the symbol table.",
        "`volume.basis=units`, or name the symbol in `volume.lots_confirmed`.",
    ),
    Reason.BAD_FORMULA: ReasonRow(
        "The formula gave no usable number: it divides by zero, or the result is far too large.",
        "`volume.formula` and its inputs.",
        "Another formula.",
    ),
    Reason.RAISE_TOO_FAR: ReasonRow(
        "Raising to the minimum would multiply the volume by more than `raise_risk_max`.",
        "The exact volume, the minimum, `raise_risk_max`.",
        "A larger `raise_risk_max` or `volume.amount`.",
    ),
    Reason.SANITY: ReasonRow(
        "The volume is far too large beside the leader's, or for the account.",
        "`sanity.max_times_leader`, `sanity.max_leverage`, both notionals, equity.",
        "A smaller `volume.amount`; or set the check to `off`.",
    ),
    Reason.MAX_POSITIONS: ReasonRow(
        "The follower has as many positions as it may.",
        "`max_positions`, positions open, resting and in flight, a person's too.",
        "A larger `max_positions`.",
    ),
    Reason.MAX_LOTS: ReasonRow(
        "The follower would hold more lots than it may, or a copy would grow beyond `volume.max`.",
        "`max_lots_open`, `max_lots_symbol`: lots open, resting, in flight, a person's too, and longs and "
        "shorts of a net apart; `volume.max`: the target.",
        "A larger cap.",
    ),
    Reason.MARGIN: ReasonRow(
        "The free margin does not cover the margin that this needs and its reserve (`margin_reserve`).",
        "Equity, used and reserved margin, leverage and its tiers, the broker's own reckoning, `margin_reserve`.",
        "More free margin, or smaller volumes.",
    ),
    Reason.GUARD: ReasonRow(
        "A guard of the follower has tripped and has not been re-armed.",
        "The latches of the link; the working names the guard.",
        "`cmam rearm NAME`, once the guard's condition no longer holds.",
    ),
    Reason.EQUITY_UNKNOWN: ReasonRow(
        "A guard needs the equity, or what its day began with, and cmam does not know it; or its percentage is of"
        " nothing or less, which is no limit. Nothing opens until it does.",
        "Quotes of all open positions and of the conversion to the deposit currency, or the broker's own results; the"
        " day's anchor; what moved the balance while the account was out of sight.",
        "Live quotes. If the beginning of the day cannot be found out, `cmam rearm NAME --guard day`.",
    ),
    Reason.FLATTENED: ReasonRow(
        "Somebody asked for a flatten. Nothing opens until `cmam rearm`.", "The latches of the link.", "`cmam rearm`."
    ),
    Reason.REFUSED: ReasonRow(
        "The broker refused the request. Its own code stands beside the reason.",
        "The broker's answer.",
        "See the code in `docs/refusals.md`.",
    ),
    Reason.UNKNOWN_OUTCOME: ReasonRow(
        "cmam could not find out what became of the request.",
        "Reconcile and order history.",
        "Look at the account at the broker.",
    ),
    Reason.EXPIRED: ReasonRow(
        "The request or the order came too late: it waited too long, or its expiry passed.",
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
        "The leader was out of sight for longer than `leader_blind` allows, so its copies were closed.",
        "`leader_blind`, the leader's health.",
        "`leader_blind=hold`, or a longer span.",
    ),
    Reason.CLOSED_BY_LEADER: ReasonRow(
        "The leader closed his position or took his order back, and the copy followed.",
        "The leader's change.",
        "Nothing.",
    ),
    Reason.CLOSED_BY_LEVEL: ReasonRow(
        "The copy's own stop or target was hit.", "The follower's protective order.", "Nothing."
    ),
    Reason.CLOSED_BY_STOP_OUT: ReasonRow(
        "The broker stopped the follower out. Nothing opens until it is re-armed.",
        "The stop-out flag of the closing order.",
        "More margin, then `cmam rearm NAME`.",
    ),
    Reason.CLOSED_BY_HUMAN: ReasonRow(
        "Somebody closed the copy or cancelled its order by hand.", "A close that was not ours.", "`reopen=on`."
    ),
    Reason.CLOSED_BY_GUARD: ReasonRow("A guard closed the copy.", "The latch.", "Another limit."),
    Reason.CLOSED_BY_FLATTEN: ReasonRow("A flatten closed the copy.", "The command.", "Nothing."),
    Reason.LOG_LOST: ReasonRow(
        "The log was lost, and the broker's history shows that this trade had a copy which had already ended.",
        "The follower's order history, the labels of the store.",
        "Nothing: what was copied once is not copied again.",
    ),
    Reason.RELEASED: ReasonRow(
        "The profile was disabled or deleted, or lost this follower; its copy was closed or its order cancelled.",
        "The command.",
        "`--leave`, and `--keep-pendings` for orders that rest.",
    ),
}
