"""`cmam demo`: a broker, a leader, three followers and a trader on one screen; no account, half a minute."""

from __future__ import annotations

import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from cmam.cli.face.exits import Exit
from cmam.cli.face.rows import console, new_table
from cmam.cli.face.talk import is_screen, print_json, say
from cmam.cli.face.verbs import FiniteRange, Verb, face

if TYPE_CHECKING:
    from cmam.cli.demo.demo_stage import Stage
    from cmam.config.home import Home

LINES_SHOWN = 6
COPIES_SHOWN = 14
AROUND = LINES_SHOWN + 8
"""The lines of the screen that are no copies, the table's own head and edges among them."""
NUMBERS = frozenset({"position", "its copy", "leader", "copy", "price", "stop", "target"})


@click.command(cls=Verb)
@click.option("--pace", type=FiniteRange(0, 1, min_open=True), default=1.0, hidden=True, help="For tests.")
def demo(pace: float) -> None:
    """See it work: a broker of its own, a leader, three followers at two brokers in two currencies.

    Runs in HOME/demo, which is emptied first. Ends with what was copied, what was skipped and why, the timings, and a
    replay of every decision. Exit code 0 if all copies closed with their leader and the replay is identical.
    """
    from cmam.cli.demo.demo_stage import play, raised

    me = face()
    home = me.home.demo
    me.home.prepare()
    with _terminable(), raised(home, say) as stage, _shown(as_json=me.as_json) as show:
        play(stage, show, pace)
    summary = _summarise(home, stage)
    if me.as_json:
        print_json(summary)
    else:
        tell(home, _names(stage), summary)
    raise click.exceptions.Exit(Exit.DONE if summary["all_is_well"] else Exit.REFUSED)


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM ends the demo as Ctrl-C does: what was started is ended."""

    def interrupt(_number: int, _frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


# --- while it plays -------------------------------------------------------------------------------------------------


@contextmanager
def _shown(*, as_json: bool) -> Iterator[Callable[[Stage], None]]:
    """A live screen on a terminal, lines anywhere else, nothing beside JSON."""
    if as_json:
        yield lambda _: None
        return
    if not is_screen():
        yield _Lines().show
        return
    from rich.live import Live

    with Live(console=console(), auto_refresh=False, transient=True) as live:
        yield lambda stage: live.update(_screen(stage, live.console.height), refresh=True)


class _Lines:
    """Says each new thing once."""

    def __init__(self) -> None:
        self._said = 0

    def show(self, stage: Stage) -> None:
        """Say what the trader did and what became of the copies since the last time, as `start` without a screen."""
        from cmam.cli.showing.copy_lines import lines
        from cmam.store.auditing.news import told

        for line in stage.said[self._said :]:
            click.echo(f"trader  {line}")
        self._said = len(stage.said)
        for line in lines(told(stage.news), _names(stage)):
            click.echo(f"  {line}")
        stage.news.clear()
        sys.stdout.flush()


def _screen(stage: Stage, height: int) -> Any:
    """What fits into a window of so many lines: the newest copies, and how many there are."""
    from rich.console import Group
    from rich.text import Text

    names = _names(stage)
    table = new_table()
    for heading in ("follower", "symbol", "side", "leader", "copy", "state", "price", "stop", "target"):
        table.add_column(heading, justify="right" if heading in NUMBERS else "left", no_wrap=True)
    copies = stage.copies()
    shown = copies[-max(1, min(COPIES_SHOWN, height - AROUND)) :]
    for account, _, copy in shown:
        view = stage.folded.accounts[account]
        position = view.positions.get(copy.position) if copy.position is not None else None
        digits = copy.leader_digits
        table.add_row(
            names[account],
            copy.leader_symbol,
            copy.side.value,
            _units(copy.leader_opened),
            _units(copy.volume or copy.opened_volume),
            _coloured(copy.state.value),
            _price(copy.open_price, digits),
            _price(position.stop if position else None, digits),
            _price(position.target if position else None, digits),
        )
    newest = len(stage.said) - 1
    said = [
        Text(line, style="bold" if number == newest else "dim", no_wrap=True, overflow="ellipsis")
        for number, line in enumerate(stage.said)
    ]
    held = "what the followers hold" + (f", the last {len(shown)} of {len(copies)}" * (len(shown) < len(copies)))
    return Group(
        Text("cmam demo", style="bold green"),
        Text("the trader, on the leader's account:", style="dim"),
        *said[-LINES_SHOWN:],
        Text(""),
        Text(f"{held}:", style="dim"),
        table,
    )


def _coloured(word: str) -> Any:
    from rich.text import Text

    from cmam.cli.face.rows import STYLES

    return Text(word, style=STYLES.get(word, ""))


def _names(stage: Stage) -> dict[Any, str]:
    return {account: known.shown for account, known in stage.folded.registry.accounts.items()}


def _units(volume: int) -> str:
    from cmam.domain.values.quantities import units_text

    return units_text(volume).removesuffix(".00")


def _price(value: int | None, digits: int) -> str:
    from cmam.domain.values.quantities import price_text

    return "–" if value is None else price_text(value, digits)


# --- afterwards -----------------------------------------------------------------------------------------------------


def _summarise(home: Home, stage: Stage) -> dict[str, Any]:
    """What the record says of it all."""
    from cmam.store.auditing.audit import Audit
    from cmam.store.auditing.timings import timings
    from cmam.store.past.replay import verify

    with Audit.open(home.root) as past:
        copies = list(past.copies())
        decisions = list(past.decisions())
        spans = {line["stage"]: line for line in timings(past) if line["account"] == "all"}
        replayed = verify(past.log.read_all())
        chains = past.verify()
    skips = Counter(line["reason"] for line in decisions if line["verdict"] == "skip")
    opened = [copy for copy in copies if copy["follower_position"]]
    return {
        "home": str(home.root),
        "copies": copies,
        "copied": len(opened),
        "closed": sum(copy["state"] == "closed" for copy in opened),
        "decisions": len(decisions),
        "skips": dict(sorted(skips.items())),
        "skipped": [line for line in decisions if line["verdict"] == "skip"],
        "report_to_socket": spans.get("report_to_socket"),
        "written_to_answered": spans.get("written_to_answered"),
        "busiest_second": stage.busiest_second,
        "rate_refusals": stage.rate_refusals,
        "replay": "identical" if replayed.is_identical else "different",
        "chains": "whole" if chains.is_whole else "broken",
        "alerts": list(stage.alerts),
        "all_is_well": bool(opened)
        and all(copy["state"] == "closed" for copy in opened)
        and replayed.is_identical
        and chains.is_whole,
    }


def tell(home: Home, names: Mapping[Any, str], summary: dict[str, Any]) -> None:
    """Print the summary of a demo for people; `names` are those of its accounts."""
    out = console()
    table = new_table("what was copied")
    for heading in ("follower", "position", "its copy", "symbol", "side", "leader", "copy", "state"):
        table.add_column(heading, justify="right" if heading in NUMBERS else "left")
    for copy in summary["copies"]:
        table.add_row(
            names[copy["follower"]],
            str(copy["leader_position"]),
            str(copy["follower_position"] or "–"),
            copy["symbol"],
            copy["side"],
            copy["leader_volume"].removesuffix(".00"),
            copy["volume"].removesuffix(".00"),
            _coloured(copy["state"]),
        )
    out.print(table)
    if summary["skipped"]:
        skips = new_table("what was skipped, and why")
        for heading in ("follower", "change", "symbol", "reason"):
            skips.add_column(heading)
        for line in summary["skipped"]:
            skips.add_row(names[line["follower"]], line["kind"], line["symbol"], line["reason"])
        out.print(skips)
    click.echo(
        f"copied: {summary['copied']}, all closed with their leader: {_yes(summary['copied'] == summary['closed'])}"
    )
    skipped = ", ".join(f"{count} × {reason}" for reason, count in summary["skips"].items()) or "nothing"
    click.echo(f"skipped: {skipped}")
    span = summary["report_to_socket"]
    if span:
        click.echo(
            "from the leader's report to the follower's socket, the record on disk first:\n"
            f"  p50 {span['p50_ms']} ms, p99 {span['p99_ms']} ms ({span['count']} requests)"
        )
    click.echo(
        f"busiest second at the broker: {summary['busiest_second']} of 50 requests, {summary['rate_refusals']} refused"
    )
    click.echo(f"chains: {summary['chains']}")
    click.echo(f"replay: {summary['replay']}")
    for text in summary["alerts"]:
        click.echo(f"! {text}")
    click.echo("")
    click.echo("Look closer:")
    program = sys.argv[0] if sys.argv[0].endswith("cmam") else f"{sys.executable} -m cmam"
    looks = [
        "audit copies",
        *(f"audit explain {line['decision_id']}" for line in summary["skipped"][:1]),
        "audit timings",
    ]
    for look in looks:
        click.echo(f"  {program} --home {home.root} {look}")


def _yes(is_so: bool) -> str:
    return "yes" if is_so else "NO"
