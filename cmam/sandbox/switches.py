"""What the evidence leaves open, as switches whose defaults are the likelier answers, and some conveniences.

What is known stands in `docs/wire.md`, under the names above each group. Faults are another thing (`faults.py`): they
break what works.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from cmam.sandbox.near import ALL_SWITCHES, no_such


@dataclass(frozen=True, slots=True)
class Switches:
    """How this sandbox behaves where the real server's behaviour varies or is unknown."""

    # Trading (wire.md#market-ranges, wire.md#netted-accounts, wire.md#refusals)
    fill_delay_ms: int = 130
    """Between ORDER_ACCEPTED and ORDER_FILLED; 0 sends both at once."""
    absolute_levels_on_market: str = "order_error"
    """Carrier of the refusal of absolute levels on a market order: order_error (2132) or error (2142)."""
    market_range_outside: str = "cancelled"
    """A market range that the price has left: cancelled or rejected."""
    ioc_limit_rests: bool = False
    """Whether an IOC limit order rests like a GTC one, as was once reported."""
    netted_reversal: str = "new_position"
    """A netted position that changes side: new_position (the old one closes) or same_position (the id is kept)."""
    close_above_volume: str = "refuse"
    """A close above the open volume: refuse (TRADING_BAD_VOLUME) or close_all."""
    cancel_refused_by: str = "order_error"
    """Carrier of a refused cancel of an order under execution: order_error (2132) or execution (2126, type 8)."""
    refuse_repeated_client_order_id: bool = False
    """The broker is not known to refuse them."""
    view_scope_code: str = "TRADING_NOT_ALLOWED"
    """Error code for trading with a token of scope `accounts`."""
    server_cancels_carry_id: bool = True
    """Whether protective-order events that a request caused carry its clientMsgId (recorded for the partial close)."""
    trailing_step_points: int = 1
    """Smallest move of a trailing stop, in points of the symbol."""
    conversion_side: str = "bid"
    """Quote that converts money: bid or mid."""
    trader_event_on_balance: bool = True
    """Whether a deposit, a withdrawal or a bonus is followed by a TraderUpdatedEvent."""
    stop_out_interval_ms: int = 500
    """How often margin levels are looked at while positions are open."""

    # Sessions (wire.md#silence, wire.md#garbage, wire.md#hosts)
    idle_timeout_ms: int = 30_000
    unauthorised_timeout_ms: int = 30_000
    heartbeat_after_ms: int = 25_000
    account_not_authorised_code: str = "INVALID_REQUEST"
    """Or ACCOUNT_NOT_AUTHORIZED."""
    without_spots_code: str = "NOT_SUBSCRIBED_TO_SPOTS"
    """Code for live bars or depth without spots; INVALID_REQUEST was seen live."""
    connections_max: int = 0
    """Connections of one application; 0 is unlimited (today's number is not published)."""
    unknown_type_carrier: str = "error"
    """Carrier of UNSUPPORTED_MESSAGE: error (2142) or common (50)."""

    # Tokens (wire.md#tokens, wire.md#consents, wire.md#sessions-that-end)
    access_token_s: int = 2_628_000
    code_s: int = 60
    refresh_drops_sessions: bool = True
    """A refresh sends 2147 and 2164 to the sessions of the old token and ends them."""
    refresh_keeps_access_token: bool = False
    """Whether the old access token goes on working after a refresh."""
    consent_kills_earlier: bool = False
    """Whether a new consent ends the earlier grants of that user and application (documentation yes, live test no)."""
    consent_returns_state: bool = False
    """Whether the redirect with the code brings `state` back (it was seen not to)."""
    token_error_status: int = 200
    """HTTP status of a refusal by the token endpoint, whose errorCode is what counts."""
    consent_drops_unticked: bool = False
    """Whether accounts not ticked again are lost from the earlier grants."""

    # Limits (wire.md#requests-a-second, wire.md#spans)
    requests_per_second: int = 50
    historical_per_second: int = 5
    rate_window: str = "sliding"
    """sliding (at most N in any second), bucket (N, refilled at N a second) or fixed (N in each clock second)."""
    rate_refusal: str = "BLOCKED_PAYLOAD_TYPE"
    """Or REQUEST_FREQUENCY_EXCEEDED, the older form."""
    retry_after_s: int = 1
    trading_limits: bool = True
    """The limits per minute on demo accounts."""
    span_limits: bool = True
    """Refuse spans that are too long with INCORRECT_BOUNDARIES."""

    # Market
    tick_interval_ms: int = 0
    """Mean time between two ticks of a walking feed; 0 takes each feed's own."""
    history_days: int = 30
    """How far back bars and ticks go before the start."""
    history_rows_max: int = 20_000
    """Finished orders, deals and cash-flow rows kept for an account; the oldest go first."""


class UnknownSwitch(ValueError):
    """A switch that does not exist, or a value it cannot take."""


_CHOICES = {
    "absolute_levels_on_market": ("order_error", "error"),
    "market_range_outside": ("cancelled", "rejected"),
    "netted_reversal": ("new_position", "same_position"),
    "close_above_volume": ("refuse", "close_all"),
    "cancel_refused_by": ("order_error", "execution"),
    "conversion_side": ("bid", "mid"),
    "account_not_authorised_code": ("INVALID_REQUEST", "ACCOUNT_NOT_AUTHORIZED"),
    "without_spots_code": ("NOT_SUBSCRIBED_TO_SPOTS", "INVALID_REQUEST"),
    "unknown_type_carrier": ("error", "common"),
    "rate_window": ("sliding", "bucket", "fixed"),
    "rate_refusal": ("BLOCKED_PAYLOAD_TYPE", "REQUEST_FREQUENCY_EXCEEDED"),
}
_RANGES = {"heartbeat_after_ms": (1, 2**31 - 1), "token_error_status": (200, 599), "history_days": (0, 3_660)}
_WORDS = {"true": True, "on": True, "yes": True, "1": True, "false": False, "off": False, "no": False, "0": False}


def with_switches(switches: Switches, **texts: str) -> Switches:
    """Set switches from text, as a command line has them; raises UnknownSwitch with one clear sentence."""
    changed: dict[str, object] = {}
    for name, text in texts.items():
        known = [field.name for field in fields(switches)]
        if name not in known:
            raise UnknownSwitch(no_such("switch", name, known, ALL_SWITCHES))
        changed[name] = _read(name, getattr(switches, name), text)
    return replace(switches, **changed)  # type: ignore[arg-type]  # checked field by field above


def _read(name: str, present: object, text: str) -> object:
    if isinstance(present, bool):
        if text.lower() not in _WORDS:
            raise UnknownSwitch(f"expected on or off for {name}, found {text!r}")
        return _WORDS[text.lower()]
    if isinstance(present, int):
        least, most = _RANGES.get(name, (0, 2**31 - 1))
        if not (text.isascii() and text.isdigit() and len(text) <= 10 and least <= int(text) <= most):
            raise UnknownSwitch(f"expected a whole number from {least} to {most} for {name}, found {text!r}")
        return int(text)
    allowed = _CHOICES.get(name)
    if allowed is not None and text not in allowed:
        raise UnknownSwitch(f"expected {' or '.join(allowed)} for {name}, found {text!r}")
    return text
