"""What every list of `cmam audit` shares: its filters, each wrong one answered by a sentence, and how it is shown."""

from __future__ import annotations

import difflib
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from cmam.cli.face.rows import print_rows
from cmam.cli.face.talk import legible, print_json, say
from cmam.cli.face.verbs import WholeRange, face
from cmam.clock import SECOND_US, SystemClock

if TYPE_CHECKING:
    from cmam.store.auditing.audit import Audit
    from cmam.store.auditing.filters import Filters

NUMBERS = frozenset(
    {
        "leader_volume", "volume", "open_price", "close_price", "leader_position", "follower_position", "slippage_pips",
        "count", "p50_ms", "p90_ms", "p99_ms", "max_ms", "p50", "p90", "p99", "max", "filled", "balance", "positions",
        "copies", "settings_version", "result", "leader_result", "entry_price", "price", "net",
    }
)  # fmt: skip
OF_ACCOUNTS = frozenset({"account", "leader", "follower"})
"""Whose values are numbers of accounts."""
DAYS = {"today": 0, "yesterday": 1}
"""Days by name, of UTC as every time that is shown, and how many days ago they began."""
NOW = "now"
"""The moment at which it is asked, as a beginning and as an end."""
DAY_US = 86_400 * SECOND_US
LAST_MAX = 2**62
"""More lines than this nobody has: whoever asks for more gets all."""
SCREEN_ROWS = 200
"""A table for eyes shows the newest so many, unless more are asked for; files and pipes get all."""
Command = Callable[..., None]
LINES_MAX = 2**31 - 1
"""More than any list has; SQLite counts no further than twice as many digits."""
CSV = "Print CSV, with a header."
as_csv = click.option("--csv", is_flag=True, help=CSV)
newest = click.option("--last", metavar="N", type=WholeRange(1, LINES_MAX), help="Only the newest so many.")
_OF_A_LOG = (
    click.option("--text", metavar="WORDS", help="Only with these words in label, comment, reason or note."),
    newest,
)


@contextmanager
def opened() -> Iterator[Audit]:
    """The past of this home, up to the last committed record."""
    from cmam.store.auditing.audit import Audit

    with Audit.open(face().home.root) as found:
        if found.behind:
            say(f"The views lag {found.behind} records behind the log; ask again in a moment for all of them.")
        yield found


def filtered(
    *, state: str = "", verdict: bool = False, is_log: bool = True, csv: str = CSV
) -> Callable[[Command], Command]:
    """Give a command the filters of its list; all that are given hold together. `is_log`: its lines have words, and
    come one after the other."""

    def decorate(function: Command) -> Command:
        options = [
            click.option(
                "--since",
                metavar="TIME",
                help="From this moment on, ISO 8601 (UTC unless it says otherwise), or yesterday, today.",
            ),
            click.option("--until", metavar="TIME", help="Up to this moment, or now; a day alone means all of it."),
            click.option("--profile", metavar="NAME", help="Only this profile."),
            click.option("--account", metavar="ID", help="Only this account, as leader or follower."),
            click.option("--symbol", metavar="NAME", help="Only this symbol, by the leader's name."),
            click.option("--reason", metavar="REASON", help="Only with this reason."),
            *(_OF_A_LOG if is_log else ()),
        ]
        if state:
            options.append(click.option("--state", metavar="STATE", help=f"Only in this state: {state}."))
        if verdict:
            kinds = click.Choice(["copy", "skip", "none"])
            options.append(click.option("--verdict", type=kinds, help="Only with this verdict."))
        for option in (click.option("--csv", is_flag=True, help=csv), *reversed(options)):
            function = option(function)
        return function

    return decorate


def copy_states() -> Sequence[str]:
    """Where a copy can stand."""
    from cmam.domain.belief.copies import CopyState
    from cmam.store.projection.rows_of_copies import UNKNOWN

    return (*(state.value for state in CopyState), UNKNOWN)


def order_states() -> Sequence[str]:
    """Where a request can stand, and how it can end."""
    from cmam.domain.belief.copies import IntentState
    from cmam.domain.events import Outcome

    return (*(state.value for state in IntentState), "settled", *(outcome.value for outcome in Outcome))


def asked(given: Mapping[str, Any], *, reasons: bool = False, states: Sequence[str] = ()) -> Filters:
    """The filters of a command; raises a usage error of one sentence for what cannot be."""
    from cmam import office
    from cmam.domain.operating.asking import find_in_history, find_profile
    from cmam.store.auditing.filters import Filters

    registry = office.read_registry(face().home)
    account, name = given.get("account"), given.get("profile")
    if account is not None:
        account = int(find_in_history(registry, account).account)
    if name is not None and registry.profiles:
        deleted = {profile.name.lower(): profile.name for profile in registry.profiles.values() if profile.deleted}
        name = deleted.get(name.lower()) or find_profile(registry, name).name  # SQLite lowers no letter but A to Z
    since, until = moment(given.get("since")), last_moment(given.get("until"))
    if since is not None and until is not None and since > until:
        raise click.UsageError(f"--since must be before --until; {given['since']} is after {given['until']}.")
    last = given.get("last")
    text = given.get("text")
    if text is not None and not text.strip():
        raise click.UsageError("--text needs at least one word.")
    if reasons:
        _one_of("--reason", given.get("reason"), _reasons())
    if states:
        _one_of("--state", given.get("state"), states)
    return Filters(
        since_us=since,
        until_us=until,
        profile=name,
        account=account,
        symbol=given.get("symbol"),
        reason=given.get("reason"),
        state=given.get("state"),
        verdict=given.get("verdict"),
        text=text,
        last=None if last is None else min(last, LAST_MAX),
    )


def _reasons() -> Sequence[str]:
    from cmam.domain.values.reasons import Reason

    return tuple(reason.value for reason in Reason)


def _one_of(option: str, found: str | None, allowed: Sequence[str]) -> None:
    if found is None or found in allowed:
        return
    near = difflib.get_close_matches(found, allowed, n=3, cutoff=0.4)
    hint = f"one such as {', '.join(near)}" if near else f"one of {', '.join(allowed[:12])}"
    more = ", … (docs/reasons.md)" if not near and len(allowed) > 12 else ""
    raise click.UsageError(f"{option}: expected {hint}{more}; found {found!r}.")


def moment(text: str | None) -> int | None:
    """Read a moment of an option, in us UTC; the name of a day is its first moment."""
    from cmam.store.text import parse_time

    return _read(text, 0, parse_time)


def last_moment(text: str | None) -> int | None:
    """Read the end of a span, in us UTC: a day or a millisecond that is given means all of it."""
    from cmam.store.text import parse_last

    return _read(text, DAY_US - 1, parse_last)


def _read(text: str | None, later_us: int, read: Callable[[str], int]) -> int | None:
    """A moment as it is written, or so much later than a day that is named begins."""
    if text is None:
        return None
    if text.strip().lower() == NOW:
        return SystemClock().now()
    if (ago := DAYS.get(text.strip().lower())) is not None:
        return _day(ago) + later_us
    try:
        return read(text)
    except ValueError as error:
        raise click.UsageError(f"{error}.") from None


def _day(ago: int) -> int:
    """The first moment of a day of UTC, so many days ago."""
    return (SystemClock().now() // DAY_US - ago) * DAY_US


def show(
    what: str,
    filters: Filters,
    given: Mapping[str, Any],
    columns: Sequence[str | tuple[str, str]],
    spare: Sequence[str],
    *,
    empty: str,
    row: Callable[[Mapping[str, Any]], dict[str, Any]] | None = None,
) -> None:
    """Print one list: JSON lines, CSV, or a table that fits the screen with the newest lines."""
    from dataclasses import replace

    from cmam.store.auditing.audit import KEYS

    with opened() as past:
        if given["csv"] or face().as_json:
            emit(getattr(past, what)(filters), KEYS[what], as_csv=given["csv"])
            return
        wanted = filters.last or SCREEN_ROWS
        found = list(islice(getattr(past, what)(replace(filters, last=wanted + 1)), wanted + 1))
    is_more = len(found) > wanted
    lines = found[-wanted:]
    shown = [row(line) if row is not None else line for line in lines]
    is_of_accounts = "alias" in columns  # which has numbers and names side by side
    numbers = NUMBERS | {"account"} if is_of_accounts else NUMBERS
    shown = shown if is_of_accounts else named(shown)
    print_rows(shown, columns, empty=nothing(filters, empty), numbers=numbers, spare=spare, brief=_brief_names())
    if is_more and filters.last is None:
        say(f"The newest {SCREEN_ROWS}; --last N shows more of them, --json and --csv all.")


def named(lines: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Lines for a person, each account by the name that he knows it by, as `status` shows it; programs get numbers."""
    from cmam import office

    names = office.names_of(face().home)
    return [
        {key: names.get(value, value) if key in OF_ACCOUNTS else value for key, value in line.items()} for line in lines
    ]


BRIEF_KINDS = {"amend_protection": "protect", "amend_order": "amend"}


def _brief_names() -> dict[str, str]:
    """For a narrow screen the login instead of broker:login, where no other account has the same, and short verbs."""
    from cmam import office

    names = office.names_of(face().home).values()
    logins = Counter(name.rpartition(":")[2] for name in names)
    return BRIEF_KINDS | {name: login for name in names if logins[login := name.rpartition(":")[2]] == 1}


def nothing(filters: Filters, empty: str) -> str:
    """What to say of a list without lines: that there is nothing at all, or nothing that fits."""
    from cmam.store.auditing.filters import NO_FILTERS

    return empty if filters == NO_FILTERS else "Nothing fits these filters."


def emit(lines: Iterable[Mapping[str, Any]], keys: Sequence[str], *, as_csv: bool) -> None:
    """Print every line with every key, for programs; a header of CSV stands over nothing too.

    A terminal is told nothing that would make it do something; a file or a pipe has every sign as it was written.
    """
    if not as_csv:
        for line in lines:
            print_json(line)
        return
    from cmam.store.auditing.export import write_csv

    is_screen = sys.stdout.isatty()
    shown = ({key: _legible(value) if is_screen else value for key, value in line.items()} for line in lines)
    write_csv(shown, sys.stdout, keys)


def _legible(value: Any) -> Any:
    return legible(value) if isinstance(value, str) else value
