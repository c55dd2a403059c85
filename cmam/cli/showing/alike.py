"""Sentences about many accounts that differ by whom they are about and by numbers alone: one in full, the others named.

It knows what such a sentence looks like, not what it means. `--json` has each of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from cmam.cli.face.talk import counted

ALIKE_MAX = 3
"""So many that are alike stand in full."""
NAMES_SHOWN = 5

_LISTS = re.compile(r"(Its copies|Without a stop at the broker): .*?(?=\. |\.$)")
"""What names the copies of an account."""
_NUMBERS = re.compile(r"\d[\d.,:TZ-]*")


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence: whose it is, empty for one of nobody; its kind, and the number and the copy that it may name."""

    who: str
    text: str
    kind: str = ""
    account: int | None = None
    source: str = ""


def gathered(sentences: Iterable[Sentence]) -> list[list[Sentence]]:
    """Those that are alike together, each group where its first one stands; those of nobody are alone."""
    groups: dict[tuple[object, ...], list[Sentence]] = {}
    for number, one in enumerate(sentences):
        key = (one.kind, _shape(one)) if one.who else (number,)
        groups.setdefault(key, []).append(one)
    return list(groups.values())


def told(group: list[Sentence], cure: str = "") -> list[str]:
    """A group in lines: few in full, of more the first in full, and how many more there are and whose."""
    if len(group) <= ALIKE_MAX:
        return [_whole(one) for one in group]
    more = group[1:]
    names = list(dict.fromkeys(one.who for one in more))
    left = len(names) - NAMES_SHOWN
    shown = ", ".join(names[:NAMES_SHOWN]) + (f" and {counted(left, 'other account')}" if left > 0 else "")
    line = f"{len(more)} more like it: {shown}; `cmam status --json` has each."
    return [_whole(group[0]), f"{line} {cure}".strip()]


def _whole(one: Sentence) -> str:
    return f"{one.who}: {one.text}" if one.who else one.text


def _shape(one: Sentence) -> str:
    """The sentence without what may differ among those that say the same of others."""
    text = _LISTS.sub(r"\1", one.text)
    if one.source:
        text = re.sub(rf"\S+ {re.escape(one.source)}\b", "COPY", text)
    if one.account is not None:
        text = re.sub(rf"\b{one.account}\b", "ITSELF", text)
    return _NUMBERS.sub("N", text)
