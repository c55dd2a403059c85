"""`cmam replay --what-if`: what is asked, understood; and what came out otherwise, as a table that fits a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cmam.cli.face.exits import Exit, fail
from cmam.cli.face.rows import console, new_table
from cmam.cli.face.talk import counted, print_json, say, show
from cmam.cli.face.verbs import face

if TYPE_CHECKING:
    from cmam.domain.operating.registry import Registry
    from cmam.store.records.envelope import Recorded

ROWS_MAX = 40
"""More rows than this are counted, not shown; `--json` has them all."""


def run_what_if(
    records: Callable[[str], Iterable[Recorded]],
    registry_then: Callable[[], Registry],
    given: Sequence[str],
    *,
    profile: str,
    follower: str,
) -> None:
    """Run the record again under other settings and print the difference; `records` opens it, with a word for why.

    `registry_then` has the accounts and profiles at its end.
    """
    from cmam.store.what_if import Asked, AskedInvalid, what_if

    settings, documents = _understood(given)
    registry = registry_then()
    try:
        asked = Asked.of(registry, settings, profile=profile, follower=follower, documents=documents)
    except AskedInvalid as invalid:
        is_empty = not any(found.links for found in registry.profiles.values())
        fail(str(invalid), Exit.REFUSED if is_empty else Exit.USAGE)
    found = what_if(lambda: records("what-if"), asked)
    found = {"what_if": {"settings": settings, "profile": profile or None, "follower": follower or None}, **found}
    if face().as_json:
        print_json(found)
    else:
        _print(found)


def _understood(given: Sequence[str]) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Settings, and the profiles of files; every fault at once."""
    from cmam.config.profile_file import ProfileFileInvalid, read_profile_file

    settings: dict[str, str] = {}
    documents: list[dict[str, Any]] = []
    faults: list[str] = []
    for text in given:
        name, sign, value = text.partition("=")
        if sign and not text.endswith(".toml"):
            if name.strip() in settings:
                faults.append(f"--what-if: expected each setting once, found {name.strip()} twice.")
            settings[name.strip()] = value.strip()
            continue
        if not text.endswith(".toml"):
            faults.append(f"--what-if: expected SETTING=VALUE or a FILE.toml, found {text}.")
            continue
        try:
            documents += read_profile_file(Path(text))
        except ProfileFileInvalid as invalid:
            faults += invalid.faults
    if faults:
        fail("\n".join(faults), Exit.USAGE)
    return settings, documents


# --- the table ------------------------------------------------------------------------------------------------------


def _print(found: Mapping[str, Any]) -> None:
    rows = found["differences"]
    days = f"{_moment(found['from'])} to {_moment(found['until'])}"
    if found["equal"]:
        show(f"No difference: {counted(found['trades'], 'trade')} from {days}, and each comes out as it did.")
        return
    show(f"{len(rows)} of {counted(found['trades'], 'trade')} from {days} come{'s' * (len(rows) == 1)} out otherwise.")
    is_one_day = str(found["from"])[:10] == str(found["until"])[:10]
    console().print(_trades(rows[:ROWS_MAX], is_one_day=is_one_day))
    if len(rows) > ROWS_MAX:
        say(f"and {len(rows) - ROWS_MAX} more; --json has them all.")
    console().print(_followers(found["followers"]))
    model = found["model"]
    if model["fills"] or model["without_a_price"]:
        say(
            f"This is a model. Of its {model['fills']} fills, {model['at_recorded_fills']} are at recorded fills, "
            f"{model['at_recorded_quotes']} at recorded quotes or levels, {model['at_leader_prices']} at the leader's "
            f"price; {model['without_a_price']} had no price on record."
        )


def _moment(text: str | None) -> str:
    return f"{text[:19].replace('T', ' ')} UTC" if text else ""


def _trades(rows: Sequence[Mapping[str, Any]], *, is_one_day: bool) -> Any:
    table = new_table()
    table.add_column("at (UTC)")
    for name in ("follower", "trade"):
        table.add_column(name, overflow="fold")
    for name in ("recorded", "what if", "result"):
        table.add_column(name, overflow="fold", justify="right")
    for row in rows:
        table.add_row(
            str(row["at"])[11:19] if is_one_day else str(row["at"])[5:16].replace("T", " "),
            row["account"],
            f"{row['side']} {_plain(row['leader_volume'])} {row['symbol']}",
            _outcome(row["recorded"]),
            _outcome(row["what_if"]),
            _signed(row["result_difference"]),
        )
    return table


def _outcome(told: Mapping[str, Any]) -> str:
    if told["volume"] != "0.00":
        return _plain(told["volume"])
    return str(told["reason"] or told["ended"] or told["verdict"] or "–")


def _plain(volume: str) -> str:
    return volume.removesuffix(".00")


def _signed(amount: str | None) -> str:
    if amount is None:
        return "unknown"
    return amount if amount.startswith("-") or not amount.strip("0.") else f"+{amount}"


def _followers(followers: Sequence[Mapping[str, Any]]) -> Any:
    table = new_table()
    table.add_column("follower", overflow="fold")
    for name in ("", "copied", "skipped", "volume", "result", "drawdown"):
        table.add_column(name, justify="left" if not name else "right")
    for one in followers:
        if all(one["recorded"][name] == one["what_if"][name] for name in one["recorded"]):
            continue
        for key, word in (("recorded", "recorded"), ("what_if", "what if"), ("difference", "difference")):
            sums = one[key]
            table.add_row(
                f"{one['account']} {one['currency']}" if key == "recorded" else "",
                word,
                str(sums["copied"]),
                str(sums["skipped"]),
                _plain(sums["volume"]),
                _signed(sums["result"]) if key == "difference" else sums["result"] or "unknown",
                _signed(sums["drawdown"]) if key == "difference" else sums["drawdown"],
            )
    return table
