"""What a refusal means: every error code of the Open API in one table, with what to do about it.

The wire carries a code's *name*. One row says its kind, when the same request may go out again, a sentence for a person
and the cure. Names outside the table have been seen; they count as permanent (wire.md#refusals). Two texts are
recognised inside INVALID_REQUEST, which tells nothing by itself; no other description is ever read by the program.

Knows no bytes and no session. What a kind means for an open or for a close is decided in the domain: a close that is
refused is never given up.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """What a refusal says about the request."""

    PERMANENT = "permanent"
    """No, and asking again changes nothing."""
    CORRECTABLE = "correctable"
    """No to these numbers; other ones may do."""
    TEMPORARY = "temporary"
    """Not now."""
    SESSION = "session"
    """The application or the account is not authorised on this connection."""
    TOKEN = "token"
    """The access token is no longer good."""
    MAINTENANCE = "maintenance"
    """The server is being worked on."""
    UNKNOWN = "unknown"
    """No proof either way: only a look at the broker's state tells."""
    DONE = "done"
    """What was asked for is already so."""
    GONE = "gone"
    """The position or order is not there: done, for whoever wanted it gone, once a reconcile agrees."""


class Retry(StrEnum):
    """When the same request may go out again."""

    NEVER = "never"
    AFTER_CORRECTION = "after_correction"
    SHORTLY = "shortly"
    BACK_OFF = "back_off"
    RETRY_AFTER = "retry_after"
    NEXT_SESSION = "next_session"
    AFTER_MAINTENANCE = "after_maintenance"
    AFTER_AUTHORISATION = "after_authorisation"
    AFTER_REFRESH = "after_refresh"
    AFTER_PROOF = "after_proof"


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of the table. `cure` is what a person can do, or what cmam does without one."""

    code: str
    kind: Kind
    retry: Retry
    sentence: str
    cure: str


# fmt: off
_RULES: Final = (
    # The common layer.
    Rule("UNKNOWN_ERROR", Kind.UNKNOWN, Retry.AFTER_PROOF,
         "The broker failed without saying why.",
         "cmam looks at the account's state before anything is sent again."),
    Rule("UNSUPPORTED_MESSAGE", Kind.PERMANENT, Retry.NEVER,
         "The server does not know this kind of request.",
         "Check that host and port are those of the Open API, or of a proxy that passes every message on."),
    Rule("INVALID_REQUEST", Kind.PERMANENT, Retry.NEVER,
         "The broker found a value or a state that it does not accept.",
         "The broker's own words say which one."),
    Rule("TIMEOUT_ERROR", Kind.UNKNOWN, Retry.AFTER_PROOF,
         "The execution took too long and was given up by the broker.",
         "cmam looks at the account's state before anything is sent again."),
    Rule("ENTITY_NOT_FOUND", Kind.PERMANENT, Retry.NEVER,
         "The broker does not know this id.",
         "cmam looks at the account's state, since what it was may be gone; ids differ between brokers."),
    Rule("CANT_ROUTE_REQUEST", Kind.TEMPORARY, Retry.BACK_OFF,
         "The request could not be routed to the broker's server.",
         "Live accounts belong on the live host and demo accounts on the demo host; if that is right, the "
         "broker is being worked on, mostly at weekends, and cmam tries again."),
    Rule("FRAME_TOO_LONG", Kind.PERMANENT, Retry.NEVER,
         "The message was too large for the server.",
         "Ask for a shorter span or fewer symbols at once."),
    Rule("MARKET_CLOSED", Kind.TEMPORARY, Retry.NEXT_SESSION,
         "The market of this symbol is closed.",
         "Closes and protection go out again when it opens."),
    Rule("CONCURRENT_MODIFICATION", Kind.TEMPORARY, Retry.SHORTLY,
         "The order is just being executed or changed.",
         "cmam reads its state and tries again."),
    Rule("BLOCKED_PAYLOAD_TYPE", Kind.TEMPORARY, Retry.RETRY_AFTER,
         "The server takes no requests of this kind for a while.",
         "cmam waits as long as the server asked; if it comes often, lower `--max-requests`."),
    # Sessions, applications, tokens.
    Rule("OA_AUTH_TOKEN_EXPIRED", Kind.TOKEN, Retry.AFTER_REFRESH,
         "The access token has expired.",
         "cmam refreshes it; if that fails, run `cmam account add` and consent again."),
    Rule("ACCOUNT_NOT_AUTHORIZED", Kind.SESSION, Retry.AFTER_AUTHORISATION,
         "The account is not authorised on this connection.",
         "cmam authorises it and asks once more."),
    Rule("RET_NO_SUCH_LOGIN", Kind.PERMANENT, Retry.NEVER,
         "The account no longer exists.",
         "Remove it with `cmam account remove`, or ask the broker."),
    Rule("ALREADY_LOGGED_IN", Kind.DONE, Retry.NEVER,
         "The account is already authorised on this connection.",
         "Nothing has to be done."),
    Rule("INCORRECT_BOUNDARIES", Kind.CORRECTABLE, Retry.AFTER_CORRECTION,
         "The span of time is wrong or too long.",
         "Ask for a week at most."),
    Rule("RET_ACCOUNT_DISABLED", Kind.PERMANENT, Retry.NEVER,
         "The broker has disabled the account.",
         "Ask the broker to enable it."),
    Rule("CONNECTIONS_LIMIT_EXCEEDED", Kind.TEMPORARY, Retry.BACK_OFF,
         "The application has too many connections open.",
         "Stop other programs that use the same application; cmam needs one for demo and one for live."),
    Rule("CH_CLIENT_AUTH_FAILURE", Kind.PERMANENT, Retry.NEVER,
         "The application was refused.",
         "Either client id or secret is wrong (run `cmam api configure`), or the application is not Active "
         "yet, which takes up to three working days after it was submitted."),
    Rule("CH_CLIENT_NOT_AUTHENTICATED", Kind.SESSION, Retry.AFTER_AUTHORISATION,
         "The application is not authorised on this connection.",
         "cmam connects anew."),
    Rule("CH_CLIENT_ALREADY_AUTHENTICATED", Kind.DONE, Retry.NEVER,
         "The application is already authorised on this connection.",
         "Nothing has to be done."),
    Rule("CH_ACCESS_TOKEN_INVALID", Kind.TOKEN, Retry.AFTER_REFRESH,
         "The access token is wrong, expired or was taken back.",
         "cmam refreshes it; if that fails, run `cmam account add` and consent again."),
    Rule("CH_SERVER_NOT_REACHABLE", Kind.TEMPORARY, Retry.BACK_OFF,
         "The broker's trading service is down.",
         "cmam tries again until it is back."),
    Rule("CH_CTID_TRADER_ACCOUNT_NOT_FOUND", Kind.PERMANENT, Retry.NEVER,
         "The server does not know this account.",
         "Run `cmam account add` again: accounts opened after the consent need a new one."),
    Rule("CH_OA_CLIENT_NOT_FOUND", Kind.PERMANENT, Retry.NEVER,
         "The server does not know this client id.",
         "Copy it again from the applications page and run `cmam api configure`."),
    Rule("REQUEST_FREQUENCY_EXCEEDED", Kind.TEMPORARY, Retry.RETRY_AFTER,
         "The server counted too many requests.",
         "cmam waits and sends fewer; if it comes often, lower `--max-requests` or stop other programs on this"
         " connection."),
    Rule("SERVER_IS_UNDER_MAINTENANCE", Kind.MAINTENANCE, Retry.AFTER_MAINTENANCE,
         "The server is under maintenance.",
         "cmam comes back when it is over."),
    Rule("CHANNEL_IS_BLOCKED", Kind.PERMANENT, Retry.NEVER,
         "The server takes no operations for this account.",
         "Ask the broker why the account is blocked for the Open API."),
    # Market data.
    Rule("NOT_SUBSCRIBED_TO_SPOTS", Kind.CORRECTABLE, Retry.AFTER_CORRECTION,
         "Quotes of this symbol are not subscribed.",
         "cmam subscribes and asks again."),
    Rule("ALREADY_SUBSCRIBED", Kind.DONE, Retry.NEVER,
         "These quotes are already subscribed.",
         "Nothing has to be done."),
    Rule("SYMBOL_NOT_FOUND", Kind.PERMANENT, Retry.NEVER,
         "The broker does not know this symbol.",
         "Run `cmam profile check`; symbols are found by name at each start."),
    Rule("UNKNOWN_SYMBOL", Kind.PERMANENT, Retry.NEVER,
         "The broker does not know this symbol.",
         "Run `cmam profile check`; symbols are found by name at each start."),
    Rule("NO_QUOTES", Kind.TEMPORARY, Retry.BACK_OFF,
         "There are no quotes to execute at.",
         "cmam tries again while the change is young enough."),
    # Trading.
    Rule("NOT_ENOUGH_MONEY", Kind.PERMANENT, Retry.NEVER,
         "The account's free margin is not enough for this order.",
         "Deposit, close something, or copy smaller volumes."),
    Rule("MAX_EXPOSURE_REACHED", Kind.PERMANENT, Retry.NEVER,
         "The broker's exposure limit of this symbol and side is reached.",
         "Close something there, or copy smaller volumes."),
    Rule("POSITION_NOT_FOUND", Kind.GONE, Retry.NEVER,
         "The position is not open.",
         "It was closed already; cmam reconciles to be sure."),
    Rule("ORDER_NOT_FOUND", Kind.GONE, Retry.NEVER,
         "The order is not there.",
         "It was filled or ended already; cmam reconciles to see which."),
    Rule("POSITION_NOT_OPEN", Kind.GONE, Retry.NEVER,
         "The position is not open.",
         "It was closed already; cmam reconciles to be sure."),
    Rule("POSITION_LOCKED", Kind.TEMPORARY, Retry.SHORTLY,
         "The position is in a state that forbids this.",
         "cmam reads its state and tries again."),
    Rule("TOO_MANY_POSITIONS", Kind.PERMANENT, Retry.NEVER,
         "The account holds as many positions and orders as it may.",
         "Close some, or set `max_positions` on the link."),
    Rule("TRADING_BAD_VOLUME", Kind.CORRECTABLE, Retry.AFTER_CORRECTION,
         "The volume is below the minimum, above the maximum or off the step.",
         "cmam reads the symbol again and corrects once."),
    Rule("TRADING_BAD_STOPS", Kind.CORRECTABLE, Retry.AFTER_CORRECTION,
         "A stop loss or take profit is on the wrong side of the market.",
         "cmam computes it again from the present quote."),
    Rule("TRADING_BAD_PRICES", Kind.CORRECTABLE, Retry.AFTER_CORRECTION,
         "The price is not one the symbol can have.",
         "cmam reads the symbol again and corrects once."),
    Rule("TRADING_BAD_STAKE", Kind.PERMANENT, Retry.NEVER,
         "The stake is not valid for spread betting.",
         "Spread-betting accounts are not supported."),
    Rule("PROTECTION_IS_TOO_CLOSE_TO_MARKET", Kind.CORRECTABLE, Retry.AFTER_CORRECTION,
         "A level is closer to the market than the broker allows.",
         "cmam leaves a target out until the market lets it be set. For a stop, set `bad_stop = widen` on the link."),
    Rule("TRADING_BAD_EXPIRATION_DATE", Kind.PERMANENT, Retry.NEVER,
         "The order's expiry is not valid.",
         "It lies in the past or too far away."),
    Rule("PENDING_EXECUTION", Kind.TEMPORARY, Retry.SHORTLY,
         "Another order of this position is being executed.",
         "cmam waits a moment, reads the position and tries again."),
    Rule("TRADING_DISABLED", Kind.TEMPORARY, Retry.BACK_OFF,
         "The broker has stopped trade in this symbol.",
         "Closes and protection go out again until it is allowed."),
    Rule("TRADING_NOT_ALLOWED", Kind.PERMANENT, Retry.NEVER,
         "The account may not trade.",
         "It is read-only, or the consent was for viewing only: run `cmam account add` and consent to trading."),
    Rule("UNABLE_TO_CANCEL_ORDER", Kind.TEMPORARY, Retry.SHORTLY,
         "The order cannot be cancelled in its present state.",
         "cmam reads its state first."),
    Rule("UNABLE_TO_AMEND_ORDER", Kind.TEMPORARY, Retry.SHORTLY,
         "The order cannot be amended in its present state.",
         "cmam reads its state first."),
    Rule("SHORT_SELLING_NOT_ALLOWED", Kind.PERMANENT, Retry.NEVER,
         "This symbol cannot be sold short.",
         "Exclude the symbol, or copy buys only."),
    Rule("WORSE_GSL_NOT_ALLOWED", Kind.PERMANENT, Retry.NEVER,
         "A guaranteed stop may not be moved to more risk.",
         "The old stop stays."),
    Rule("SYMBOL_HAS_HOLIDAY", Kind.TEMPORARY, Retry.NEXT_SESSION,
         "The symbol has a holiday.",
         "Closes and protection go out again when it is over."),
)
# fmt: on

RULES: Final = {rule.code: rule for rule in _RULES}

UNLISTED: Final = {
    code: Rule(
        code, Kind.GONE, Retry.NEVER, "The position is not open.", "It was closed already; cmam reconciles to be sure."
    )
    for code in ("ALREADY_CLOSED", "POSITION_NOT_FOUND_OR_NOT_OPENED")
}
"""What servers have said that no list of the API has."""

NOTHING_TO_AMEND: Final = Rule(
    "INVALID_REQUEST", Kind.DONE, Retry.NEVER, "The levels are already as asked for.", "Nothing has to be done."
)

_TEXTS: Final = (
    ("not authorized", RULES["ACCOUNT_NOT_AUTHORIZED"]),  # "Trading account is not authorized", wire.md#garbage
    ("nothing to amend", NOTHING_TO_AMEND),  # wire.md#levels: what was asked for is so
)


def rule_for(code: str, description: str = "") -> Rule:
    """The row of a code; a code that nobody knows is permanent, for no second try could be justified."""
    if code == "INVALID_REQUEST":
        folded = description.casefold()
        for words, rule in _TEXTS:
            if words in folded:
                return rule
    return (
        RULES.get(code)
        or UNLISTED.get(code)
        or Rule(
            code,
            Kind.PERMANENT,
            Retry.NEVER,
            f"The broker refused with {code or 'an empty code'}, which cmam does not know.",
            "The broker's own words may say more; please report the code.",
        )
    )


def meaning(code: str) -> str:
    """What a code means, for a person who reads it where something is asked for again; and what he can do himself."""
    rule = rule_for(code)
    return f"{rule.sentence} {rule.cure}" if rule.kind is Kind.PERMANENT else rule.sentence
