"""What is said of a broker's margin calls, and when one is over: margin has come down to a threshold of the account.

A broker tells that a threshold was reached, and nothing when that is over (FACTS §4.4 S): then nothing is held, or the
margin level is above it again as cmam reckons it, or nothing was told for long of what cannot be reckoned. Levels and
thresholds are in hundredths of a percent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from cmam.domain.belief.view import AccountView
from cmam.domain.market.conversion import Rates
from cmam.domain.market.equity import equity, equity_symbols, money, used_margin
from cmam.domain.turns.leader import QUOTE_AGE_MS
from cmam.domain.values.quantities import Quote, decimal_text, floor_fraction

KIND = "margin_call "
"""What the kinds of these alerts begin with; the threshold in hundredths of a percent follows."""

SILENT_US = 1_800_000_000
"""Where no level can be reckoned, a margin call that is not told again for so long is over: brokers tell of one every
ten minutes at most (FACTS §4.4 S)."""


def margin_level(view: AccountView, quote_of: Callable[[str], Quote | None], now_us: int) -> int | None:
    """Equity in hundredths of a percent of what positions bind; None without a margin or a quote that it rests on."""
    quotes = {name: quote for name in equity_symbols(view) if (quote := quote_of(name)) is not None}
    whole, margin = equity(Rates(view, quotes, now_us, QUOTE_AGE_MS)), money(view, used_margin(view))
    return None if whole is None or margin <= 0 else floor_fraction(whole * 10_000 / margin)


def in_words(threshold: int, level: int | None) -> str:
    """What is said of a margin call."""
    reckoned = "" if level is None else f" It is at {decimal_text(level, 2)} % as cmam reckons it."
    return (
        f"The broker calls for margin: equity has come down to {decimal_text(threshold, 2)} % of what positions bind."
        f"{reckoned} Further down the broker closes positions: pay in, or close some."
    )


def called(view: AccountView) -> tuple[str, ...]:
    """The kinds of the alerts about margin calls."""
    return tuple(kind for kind in view.alerts if kind.startswith(KIND))


def over(view: AccountView, level: int | None, silent_us: Mapping[str, int]) -> Iterator[str]:
    """The kinds of those that are over; `silent_us` says for how long each has not been told again."""
    for kind in called(view):
        is_above = level is not None and level > int(kind.removeprefix(KIND))
        is_forgotten = level is None and silent_us[kind] >= SILENT_US
        if not view.positions or is_above or is_forgotten:
            yield kind
