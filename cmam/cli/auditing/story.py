"""What `audit explain` looks like: one decision as a page that can be read at 80 columns, the answer first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cmam.cli.auditing.audit_options import named
from cmam.cli.face.rows import console
from cmam.cli.face.talk import legible

INDENT = 12
"""Where the text beside the headings begins."""


def tell(story: Mapping[str, Any]) -> None:
    """Print one story."""
    from rich.text import Text

    (story,) = named([story])
    out = console()
    reason = f": {story['reason']}" if story["reason"] else ""
    out.print(Text.assemble((f"{story['decision_id']}  ", "bold"), (story["verdict"] + reason, "bold")))
    for heading, lines in _sections(story):
        for number, line in enumerate(lines):
            beside(heading if number == 0 else "", line)
    out.print()


def beside(heading: str, text: str) -> None:
    """Print a heading, and its text wrapped beside it."""
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=0)
    grid.add_column(width=INDENT, no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(Text(f"  {heading}", style="dim"), Text(legible(text)))
    console().print(grid)


def _sections(story: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    yield "who", [f"profile {story['profile']}, {story['leader']} → {story['follower']}"]
    yield "what", [_change(story["change"])]
    if story["rule"]:
        yield "rule", [story["rule"]]
    if days := sorted({one["at"][:10] for one in story["timeline"]}):
        yield "day", [days[0] + (f" to {days[-1]}" if len(days) > 1 else "") + ", times in UTC"]
    yield "when", list(_when(story["timeline"]))
    if story["working"]:
        yield "working", [_step(step) for step in story["working"]]
    if story["arithmetic"]:
        yield "size", list(_size(story["arithmetic"]))
    quotes = story["inputs"].get("quotes", {})
    if quotes:
        yield "quotes", [f"{name} {one['bid']} / {one['ask']}, {one['age_ms']} ms old" for name, one in quotes.items()]
    for attempt in story["attempts"]:
        yield "later", list(_attempt(attempt))
    yield from _cures(story)
    if story["set_by"]:
        yield "settings", [_setting(one, story["settings"]["version"]) for one in story["set_by"]]


def _change(change: Mapping[str, Any]) -> str:
    from cmam.store.auditing.timeline import in_words

    kind = change["kind"].replace("_", " ")
    told = in_words(change).removeprefix(kind).replace(".00 ", " ")
    named = "".join(f', {name} "{change[name]}"' for name in ("label", "comment") if change[name])
    return f"{kind}:{told} ({change['change']}){named}"


def _units(text: str) -> str:
    return text.removesuffix(".00")


def _when(timeline: list[Mapping[str, Any]]) -> Iterator[str]:
    for one in timeline:
        yield f"{one['at'][11:-1]} {one['after_ms']:>10} ms  {one['what'].replace('.00 ', ' ')}"


def _step(step: Mapping[str, Any]) -> str:
    return f"{step['name']} = {step['value']}" + (f"  ({step['note']})" if step["note"] else "")


def _size(sum_: Mapping[str, Any]) -> Iterator[str]:
    check = {True: "", False: "  DOES NOT HOLD", None: "  (numbers cut)"}[sum_["holds"]]
    yield f"{sum_['text']}{check}"
    yield from sum_["then"]
    yield f"decided: {_units(sum_['volume'])} units"


def _attempt(attempt: Mapping[str, Any]) -> Iterator[str]:
    reason = f": {attempt['reason']}" if attempt["reason"] else ""
    yield f"{attempt['at'][11:-1]}  {attempt['attempt_id']}  {attempt['verdict']}{reason}"
    for step in attempt["working"]:
        yield "  " + _step(step)
    for cure in attempt["cures"]:
        yield "  it would have gone through with " + _cure(cure)


def _cures(story: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    if story["verdict"] == "copy":
        return
    if story["cures"]:
        heading = "copied if" if story["reproduced"] else "today if"
        yield heading, [_cure(cure) for cure in story["cures"]]
    elif story["advice"]:
        yield "cure", [story["advice"]]
    if not story["reproduced"]:
        yield "note", ["today's code decides this otherwise: `cmam replay --verify` names the difference"]


def _cure(cure: Mapping[str, Any]) -> str:
    words = [
        f"{one['what']}={one['needs']} (was {one['was']})" if one["is_setting"] else f"{one['needs']} ({one['was']})"
        for one in cure["alterations"]
    ]
    volume = f" → {_units(cure['volume'])} units" if cure["volume"] != "0.00" else ""
    return " and ".join(words) + volume


def _setting(one: Mapping[str, Any], version: int) -> str:
    value = one["value"].strip().replace("\n", " / ")
    if one["version"] is None:
        return f"{one['setting']}={value} (default)"
    by = f" by {one['user']}" if one["user"] else ""
    return f"{one['setting']}={value}, set {one['at']}{by} (version {one['version']}, decided under {version})"
