"""What becomes of copies as lines, each with its time, leader, follower, symbol, side and volume; many alike as one.

From news to text. Where they go to is the caller's business; no sign in them needs more than ASCII.
"""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from cmam.cli.face.talk import in_a_line
from cmam.domain.values.quantities import Price, price_text, units_text
from cmam.store.auditing.news import News, What
from cmam.store.text import iso

ALIKE_MAX = 3
"""So many followers have a line each; of more that did the same one line tells the sum."""
NAMES_SHOWN = 3
LINES_MAX = 20
"""So many lines one moment makes at most; what is left is counted."""

TEXT_BEGINS = 24
"""Behind the time and the word for what happened."""
TEXT_LEAST = 40
"""A narrower terminal has no room to begin a line there that goes on."""
_COMMAND = re.compile(r"cmam audit explain \S+")
_HARD = "\xa0"
"""No wrapping comes between two words that this stands between."""

_OF_LEADER = (What.SKIPPED, What.WAITING)
"""Of these the volume is the leader's."""


def lines(news: Sequence[News], names: Mapping[int, str]) -> list[str]:
    """What one moment brought, the first first; `names` are those that a person gave his accounts."""
    groups: dict[tuple[Any, ...], list[News]] = {}
    for one in news:
        groups.setdefault(_kind(one), []).append(one)
    found: list[str] = []
    left: list[News] = []
    for group in groups.values():
        count = len(group) if len(group) <= ALIKE_MAX else 1
        if len(found) + count > LINES_MAX:
            left += group
        elif len(group) <= ALIKE_MAX:
            found += [_line(one, names) for one in group]
        else:
            found.append(_sum(group, names))
    if left:
        counts = Counter(one.what.value for one in left)
        what = ", ".join(f"{count} {word}" for word, count in sorted(counts.items()))
        found.append(f"{clock_time(left[-1].at_us)} ... and {len(left)} more: {what}; {_lists(left)}")
    return [in_a_line(line) for line in found]


def on_screen(line: str, width: int) -> str:
    """A line for a terminal: what is longer goes on between words, under where its text begins, and the command at its
    end stays in one piece, to be copied."""
    if len(line) <= width:
        return line
    kept = _COMMAND.sub(lambda found: found[0].replace(" ", _HARD), line)
    under = " " * (TEXT_BEGINS if width >= TEXT_LEAST + TEXT_BEGINS else 2)
    found = textwrap.fill(kept, width, subsequent_indent=under, break_long_words=False, break_on_hyphens=False)
    return found.replace(_HARD, " ")


def document(one: News, names: Mapping[int, str], profiles: Mapping[str, str]) -> dict[str, Any]:
    """One line of `--json`: each thing by itself, whole."""
    return {
        "at": iso(one.at_us),
        "what": one.what.value,
        "profile": profiles.get(one.profile, str(one.profile)),
        "leader": int(one.leader),
        "leader_name": names.get(int(one.leader)),
        "follower": int(one.follower),
        "follower_name": names.get(int(one.follower)),
        "symbol": one.symbol,
        "side": one.side.value,
        "volume": units_text(one.volume),
        "request": one.request or None,
        "reason": one.reason or None,
        "price": _price(one.price, one),
        "stop": _price(one.stop, one),
        "target": _price(one.target, one),
        "leader_position": one.leader_position,
        "follower_position": one.position,
        "follower_order": one.order,
        "record": one.record,
    }


def clock_time(at_us: int) -> str:
    """The time of day in UTC, as the log lines beside it and every list have it."""
    return datetime.fromtimestamp(at_us / 1_000_000, UTC).strftime("%H:%M:%S.%f")[:-3] + "Z"


def _kind(one: News) -> tuple[Any, ...]:
    """What has to be equal for two to be told together: of one leader's trade, the same and for the same reason."""
    mine = one.volume if one.what in _OF_LEADER else 0
    return (one.what, one.leader, one.source, one.symbol, one.side, one.request, one.reason, mine)


def _line(one: News, names: Mapping[int, str]) -> str:
    place = ""
    if one.what is What.PLACED:
        place = f", order {one.order}"
    elif one.position is not None and one.what not in _OF_LEADER:
        place = f", position {one.position}"
    more = f"; cmam audit explain {one.record}" if one.what in _OF_LEADER else ""
    who = f"{_name(one.follower, names)} from {_name(one.leader, names)}"
    return f"{_start(one)} {who}: {_trade([one])}{place}{_why(one)}{more}"


def _sum(group: Sequence[News], names: Mapping[int, str]) -> str:
    first = group[0]
    followers = list(dict.fromkeys(_name(one.follower, names) for one in group))
    more = len(followers) - NAMES_SHOWN
    shown = ", ".join(followers[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
    who = f"{len(followers)} followers of {_name(first.leader, names)}"
    return f"{_start(first)} {who}: {_trade(group)}{_why(first)} ({shown})"


def _lists(left: Sequence[News]) -> str:
    """Where what is not shown stands: an open that is skipped is no copy."""
    are_decisions = {one.what in _OF_LEADER for one in left}
    if len(are_decisions) > 1:
        return "`cmam audit copies` and `cmam audit decisions` have them all"
    return f"`cmam audit {'decisions' if True in are_decisions else 'copies'}` has them all"


def _start(one: News) -> str:
    return f"{clock_time(one.at_us)} {one.what.value:<9}"


def _trade(group: Sequence[News]) -> str:
    """What was traded or asked for: the request, side, volume, symbol and prices."""
    first = group[0]
    volume = first.volume if first.what in _OF_LEADER else sum(one.volume for one in group)
    units = units_text(volume).removesuffix(".00") if volume else ""
    sides = [first.request.replace("_", " "), first.side.value, units, first.symbol]
    if len(group) > 1 and first.what not in _OF_LEADER and volume:
        sides.append("in all")
    what = " ".join(filter(None, sides))
    if (prices := _span(group, (one.price for one in group))) is not None:
        what += f" at {prices}"
    if first.what is What.MOVED:
        stops = _span(group, (one.stop for one in group))
        targets = _span(group, (one.target for one in group))
        what += f", {f'stop {stops}' if stops else 'no stop'}, {f'target {targets}' if targets else 'no target'}"
    return what


def _span(group: Sequence[News], prices: Iterable[Price | None]) -> str | None:
    found = sorted(price for price in prices if price is not None)
    if not found:
        return None
    least, most = price_text(found[0], group[0].digits), price_text(found[-1], group[0].digits)
    return least if least == most else f"{least} to {most}"


def _why(one: News) -> str:
    match one.what:
        case What.WAITING:
            return f", for {one.reason}"
        case What.UNKNOWN:
            return f", {one.reason}: the broker is asked"
        case _:
            return f", {one.reason}" if one.reason else ""


def _name(account: int, names: Mapping[int, str]) -> str:
    return names.get(int(account), str(account))


def _price(price: Price | None, one: News) -> str | None:
    return price_text(price, one.digits) if price is not None else None
