"""What is said of a broker's margin calls, and when one is over: margin has come down to a threshold of the account.

A broker tells that a threshold was reached, and nothing when that is over (wire.md#margin-that-changes): then nothing
is held, or the margin level is clearly above it as cmam reckons it, or nothing was told for long. The broker's word
counts: where cmam reckoned more than the threshold when it was told, it has to have risen clearly above that. Levels
and thresholds are in hundredths of a percent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from cmam.domain.belief.view import AccountView
from cmam.domain.market.conversion import Rates
from cmam.domain.market.equity import equity, equity_symbols, money, used_margin
from cmam.domain.turns.leader import QUOTE_AGE_MS
from cmam.domain.values.quantities import Quote, decimal_text, floor_fraction

KIND = "margin_call "
"""What the kinds of these alerts begin with; the threshold in hundredths of a percent follows."""

SILENT_US = 1_800_000_000
"""A margin call that is not told again for so long is over where no level can be reckoned, or is above the threshold at
all: brokers tell of one every ten minutes at most (wire.md#margin-that-changes)."""

CLEAR = Fraction(11, 10)
"""So much of what it has to be above a level is clearly above it: a broker that has called a moment ago says nothing of
one that falls again."""


@dataclass(frozen=True, slots=True)
class Call:
    """When a threshold was told of last, by a clock that only goes on, and the level as cmam reckoned it then."""

    at_us: int
    level: int | None = None


def margin_level(view: AccountView, quote_of: Callable[[str], Quote | None], now_us: int) -> int | None:
    """Equity in hundredths of a percent of what positions bind; None without a margin or a quote that it rests on."""
    quotes = {name: quote for name in equity_symbols(view) if (quote := quote_of(name)) is not None}
    whole, margin = equity(Rates(view, quotes, now_us, QUOTE_AGE_MS)), money(view, used_margin(view))
    return None if whole is None or margin <= 0 else floor_fraction(whole * 10_000 / margin)


def in_words(threshold: int, level: int | None) -> str:
    """What is said of a margin call."""
    reckoned = "" if level is None else f" It is at {decimal_text(level, 2)} % as cmam reckons it"
    if level is not None:
        reckoned += "; the broker's word counts." if level > threshold else "."
    return (
        f"The broker calls for margin: the margin level has come down to {decimal_text(threshold, 2)} %.{reckoned} If "
        "it falls further, the broker closes positions: pay in, or close some."
    )


def called(view: AccountView) -> tuple[str, ...]:
    """The kinds of the alerts about margin calls."""
    return tuple(kind for kind in view.alerts if kind.startswith(KIND))


def over(view: AccountView, level: int | None, calls: Mapping[str, Call], now_us: int) -> Iterator[str]:
    """The kinds of those that are over at a margin level; `now_us` is by the clock of the calls."""
    for kind in called(view):
        if not view.positions or _is_over(int(kind.removeprefix(KIND)), level, calls[kind], now_us):
            yield kind


def _is_over(threshold: int, level: int | None, call: Call, now_us: int) -> bool:
    is_silent = now_us - call.at_us >= SILENT_US
    if level is None or is_silent:
        return is_silent and (level is None or level > threshold)
    return level > max(threshold, call.level or 0) * CLEAR
