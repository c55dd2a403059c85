"""`cmam replay`: the past rebuilt from the log, watched, or held against itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cmam.cli.face.exits import Exit
from cmam.cli.face.rows import console
from cmam.cli.face.talk import is_screen, print_json, say, show
from cmam.cli.face.verbs import FiniteRange, Verb, face
from cmam.cli.replaying.replay_span import end_place, extent, place, refuse_impossible, refuse_turned

if TYPE_CHECKING:
    from cmam.domain.operating.registry import Registry
    from cmam.store.logfile.log import EventLog
    from cmam.store.records.envelope import Recorded


@click.command(cls=Verb)
@click.option("--from", "start", metavar="SEQ|TIME", help="Show from this position or moment on.")
@click.option("--until", "end", metavar="SEQ|TIME", help="Up to this position or moment.")
@click.option(
    "--speed",
    type=FiniteRange(0),
    default=0,
    show_default=True,
    help="1 is its own pace, on a screen at a terminal; 0 at once.",
)
@click.option("--verify", is_flag=True, help="Compute every decision again and compare; exit code 1 if one differs.")
@click.option("--state", "as_state", is_flag=True, help="What was believed at that moment.")
@click.option(
    "--what-if", "others", metavar="SETTING=VALUE|FILE.toml", multiple=True, help="The same days under other settings."
)
@click.option("--to", "target", metavar="FILE", type=click.Path(path_type=Path), help="Make the views anew into FILE.")
@click.option("--profile", default="", metavar="NAME", help="With --what-if: other settings for this profile only.")
@click.option("--follower", default="", metavar="ID", help="With --what-if: other settings for this follower only.")
def replay(
    start: str | None,
    end: str | None,
    speed: float,
    verify: bool,
    as_state: bool,
    others: tuple[str, ...],
    profile: str,
    follower: str,
    target: Path | None,
) -> None:
    """Rebuild the state from the log, watch it happen, verify it, or run it again under other settings.

    Reads no clock and no network. A what-if takes the recorded changes, quotes and specifications, and models the fills
    of what comes out otherwise; it ends with the difference of every trade and in total.
    """
    from cmam.store.logfile.log import EventLog
    from cmam.store.past.player import SPEED_MAX, SPEED_MIN

    if speed and not SPEED_MIN <= speed <= SPEED_MAX:  # beyond them no clock can count
        raise click.UsageError(f"expected --speed 0, or one from {SPEED_MIN:g} to {SPEED_MAX:g}; found {speed:g}.")
    if verify + as_state + bool(others) + (target is not None) > 1:
        raise click.UsageError("say only one of --verify, --state, --what-if and --to.")
    if start is not None and (verify or as_state or others or target is not None):
        raise click.UsageError("--from is only for records that are shown: a state rests on all before it.")
    if (profile or follower) and not others:
        raise click.UsageError("--profile and --follower need --what-if.")
    log = EventLog.read_only(face().home.root)
    try:
        refuse_impossible(log, start, end)
        if others:
            from cmam.cli.replaying.what_if import run_what_if

            run_what_if(
                lambda what: _upto(log, end, what),
                lambda: _registry(log, end),
                others,
                profile=profile,
                follower=follower,
            )
        elif target is not None:
            from cmam.cli.replaying.rebuilding import rebuild_views

            rebuild_views(log, target, *end_place(end))
        elif verify:
            _verify(log, end)
        elif as_state:
            _state(log, end)
        else:
            _watch(log, start, end, speed)
    finally:
        log.close()


def _upto(log: EventLog, end: str | None, what: str) -> Iterator[Recorded]:
    from cmam.cli.showing.progress import followed
    from cmam.store.past.replay import until

    position, at_us = end_place(end)
    return followed(until(log.read_all(), position=position, at_us=at_us), position or log.position(), what)


def _registry(log: EventLog, end: str | None) -> Registry:
    """The accounts and profiles at the end of what is replayed."""
    from cmam.store.past.beginning import organise

    return organise(log, _last(log, end))


def _last(log: EventLog, end: str | None) -> int:
    """The last record of what is replayed; where a moment was given, the log says which one that is."""
    from cmam.store.projection.rebuild import position_at

    position, at_us = end_place(end)
    if at_us is not None:
        position = position_at(log, at_us)
    head = log.position()
    return head if position is None else min(position, head)


# --- verify ---------------------------------------------------------------------------------------------------------


def _verify(log: EventLog, end: str | None) -> None:
    from cmam.cli.showing.progress import counted
    from cmam.store.past.together import Hands, verify_together

    last = _last(log, end)
    with counted(last, "verify") as advance:
        result = verify_together(log, last, Hands(progress=advance))
    document = {
        "identical": result.is_identical,
        "records": result.records,
        "inputs": result.inputs,
        "derived": result.derived,
        "decisions": result.decisions,
        "differences": [
            {
                "stream": found.stream,
                "version": found.version,
                "position": found.position,
                "topic": found.topic,
                "why": found.why,
                "recorded": found.recorded,
                "computed": found.computed,
            }
            for found in result.differences
        ],
        "more_differences": result.more_differences,
    }
    if face().as_json:
        print_json(document)
    else:
        word = "identical" if result.is_identical else "DIFFERENT"
        show(
            f"replay: {word} ({result.decisions} decisions and {result.derived} derived records computed again from "
            f"{result.records} records)"
        )
        for found in result.differences[:5]:
            show(f"{found}\n  recorded {found.recorded}\n  computed {found.computed}")
        left = len(result.differences) - 5 + result.more_differences
        if left > 0:
            say(f"and {left} more; --json lists them.")
    if not result.is_identical:
        raise click.exceptions.Exit(Exit.REFUSED)


# --- state ----------------------------------------------------------------------------------------------------------


def _state(log: EventLog, end: str | None) -> None:
    from rich.text import Text

    from cmam import office
    from cmam.cli.replaying.moment_screen import moment_screen
    from cmam.cli.showing.progress import counted
    from cmam.store.past.moment import moment_at
    from cmam.store.past.together import Hands
    from cmam.store.text import iso

    last = _last(log, end)
    with counted(last, "state") as advance:
        moment = moment_at(log, last, Hands(progress=advance))
    document = office.document_of_moment(moment)
    if face().as_json:
        print_json(document)
        return
    if not moment.fold.position:
        say("Nothing is on record up to there.")
        return
    say(f"What was believed at position {moment.fold.position}, {iso(moment.fold.at_us)}.")
    word = "cmam was running" if moment.is_running else "cmam did not run"
    console().print(moment_screen(document, Text(word, style="bold green" if moment.is_running else "bold yellow")))


# --- watch ----------------------------------------------------------------------------------------------------------


def _watch(log: EventLog, start: str | None, end: str | None, speed: float) -> None:
    from cmam.actors.threads.runtime import Latch
    from cmam.store.past.replay import spans

    if speed and not face().as_json and is_screen():
        _play(log, start, end, speed)
        return
    position, at_us = place(start)
    wanted = (
        record
        for record in _upto(log, end, "replay")
        if (position is None or record.position >= position) and (at_us is None or record.at_us >= at_us)
    )
    pause = Latch()
    count = 0
    for wait_us, record in spans(wanted, speed):
        if wait_us:
            pause.wait(wait_us / 1_000_000)
        count += 1
        _show(record)
    if not count:
        refuse_turned(log, start, end)
    say(f"{count} record{'s' if count != 1 else ''}." if count else f"No record is there: {extent(log)}.")


def _play(log: EventLog, start: str | None, end: str | None, speed: float) -> None:
    """On a screen of its own, from the given place on."""
    from cmam.cli.replaying.replay_screen import play
    from cmam.store.past.player import Player
    from cmam.store.past.replay import until

    last, last_us = end_place(end)
    player = Player(lambda after: until(log.read_all(after), position=last, at_us=last_us), speed=speed)
    position, at_us = place(start)
    if at_us is not None:
        player.seek(at_us)
    while position is not None and not player.is_over and player.moment.fold.position < position - 1:
        player.step()
    play(player, min(last, log.position()) if last is not None else log.position())


def _show(record: Recorded) -> None:
    from cmam.store.records.envelope import event_builtins
    from cmam.store.text import iso

    if face().as_json:
        print_json(
            {
                "position": record.position,
                "at": iso(record.at_us),
                "stream": record.stream,
                "version": record.version,
                "topic": record.topic,
                "data": event_builtins(record.event),
            }
        )
        return
    from cmam.cli.showing.record_line import record_line

    console().print(record_line(record), soft_wrap=True)
