"""Why a change was not copied, or ended otherwise than wished: a closed enumeration.

Each reason has a row in `docs/reasons.md` with when it applies, what it rests on and what would have let it through;
a test holds the table complete.
"""

from __future__ import annotations

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
    ACCOUNT_NOT_READY = "account_not_ready"
    # Nothing to do.
    NO_COPY = "no_copy"
    COPY_FINISHED = "copy_finished"
    SOURCE_GONE = "source_gone"
    ALREADY_THERE = "already_there"
    CARRIED = "carried"
    DUPLICATE = "duplicate"
    # The symbol and the kind of trade.
    UNMAPPED_SYMBOL = "unmapped_symbol"
    SYMBOL_EXCLUDED = "symbol_excluded"
    SYMBOL_DISABLED = "symbol_disabled"
    ORDER_TYPE_EXCLUDED = "order_type_excluded"
    # The moment.
    TOO_OLD = "too_old"
    LEVEL_PASSED = "level_passed"
    # The size.
    BELOW_MINIMUM = "below_minimum"
    STALE_INPUT = "stale_input"
    # The broker.
    REFUSED = "refused"
    UNKNOWN_OUTCOME = "unknown_outcome"
    EXPIRED = "expired"
    CLOSED_BY_LEADER = "closed_by_leader"
    CLOSED_BY_LEVEL = "closed_by_level"
    CLOSED_BY_STOP_OUT = "closed_by_stop_out"
    CLOSED_BY_HUMAN = "closed_by_human"
