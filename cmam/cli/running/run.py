"""`cmam start`, `status`, `pause`, `resume`: the running system, from its own terminal and from others."""

from __future__ import annotations

import logging
import logging.handlers
import os
import resource
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cmam.cli.face.exits import Exit, Last, fail
from cmam.cli.face.talk import (
    counted,
    give_way,
    heed_ctrl_z,
    in_a_line,
    is_orphaned,
    is_screen,
    legible,
    print_json,
    say,
    stop_here,
)
from cmam.cli.face.verbs import Face, Verb, carry_out, face
from cmam.cli.running.target import one_target

if TYPE_CHECKING:
    from rich.live import Live

    from cmam.actors.operating.ending import Ended, LeftOpen
    from cmam.actors.threads.runtime import Latch
    from cmam.cli.running.beside import Beside
    from cmam.cli.showing.log_lines import LogLines
    from cmam.clock import Clock
    from cmam.system import Ready

LEFT_SHOWN_MAX = 20
"""So many copies are named at the end; more are counted."""
SAME_REQUEST_US = 100_000
"""The same signal again so soon after the first is its echo: nobody presses Ctrl-C twice so fast."""
WATCH_S = 0.5
"""How often `status --watch` and the live screen look: often enough to follow, too rarely to cost."""
REST = 9
"""So many times as long as one look takes the processor it rests: a thousand accounts take a tenth of it, not all."""
RESIZE_S = 0.1
"""How often a live screen that rests asks for the size of its window."""


# --- start ----------------------------------------------------------------------------------------------------------


@click.command(cls=Verb)
@click.option("--profile", "profiles", multiple=True, metavar="NAME", help="Only these profiles; may be repeated.")
@click.option("--plain", "view", flag_value="plain", help="Log lines (the default where nothing can be drawn).")
@click.option("--live", "view", flag_value="live", help="A live screen (the default on a terminal).")
def start(profiles: tuple[str, ...], view: str | None) -> None:
    """Copy trades, in the foreground, until Ctrl-C.

    It copies for all enabled profiles, unless some are named. The first Ctrl-C (or SIGTERM) ends in order: nothing new
    is opened, what is committed is sent, and what stays open is listed. The second exits at once. SIGUSR1 prints every
    thread's stack.
    """
    from cmam import bootstrap, office
    from cmam.actors.threads.runtime import Latch
    from cmam.cli.running.beside import Beside
    from cmam.clock import SystemClock

    me = face()
    settings = office.settings_of(me.home)
    office.expect_home(me.home, settings)
    if settings.api.warning:
        say(settings.api.warning)
    is_live = view == "live" or (view is None and sys.stderr.isatty() and is_screen() and not me.as_json)
    stop = Latch()
    stops: list[None] = []
    beside: list[Beside] = []

    told_long: list[int] = []

    def long(records: int) -> None:
        if told_long:  # a log that is new here is read to be checked, and again
            return
        told_long.append(records)
        tell = say if is_live else lines.say  # the screen comes after it
        tell(
            f"Reading {records:,} records first, as the first start after an update or on a copied log does; "
            "nothing is copied or closed until that is done."
        )

    def ready(found: Ready) -> None:
        lines.say(
            f"Running: {counted(found.accounts, 'account')}, {counted(found.profiles, 'profile')}, "
            f"{counted(found.links, 'link')}. Ctrl-C ends it in order; `cmam status` in another terminal."
        )
        if not found.links:
            lines.say("Nothing is copied: no profile is enabled; see `cmam profile list`, `cmam profile enable -h`.")
        names = office.names_of(me.home) if found.alone else {}
        for account, text in found.alone:
            lines.say(f"{names.get(account, account)}: {text}")
        beside.append(Beside(me.home.root, SystemClock(), found.position, is_live=is_live))
        beside[0].tend()
        heed_ctrl_z(lambda: stops.append(None))

    def is_over(_: object) -> bool:
        if stops:
            stops.clear()
            beside[0].put_away()
            say("Stopped by Ctrl-Z: nothing is copied or closed until `fg` lets it go on.")
            stop_here()
            lines.say("It goes on.")
        for one in beside:
            one.tend()
        return is_orphaned()

    left: list[str] = []  # said once the screen has given the terminal back, and all that was copied is told

    def ended(found: Ended) -> None:
        left.extend(left_lines(found, office.names_of(me.home), office.managed_links(me.home)))

    lines, log_file = _logging(me, quiet=is_live)
    code = int(Exit.REFUSED)
    try:
        with _signals(stop, log_file):
            code = bootstrap.run(
                me.home,
                settings,
                command="cmam start",
                stop=stop,
                profiles=profiles,
                on_long=long,
                on_ready=ready,
                on_end=ended,
                is_done=is_over,
            )
        left.append("Ended in order." if code == 0 else "Ended by a fault; the log above says which.")
    finally:
        try:
            left[:0] = _end_all(beside)
        finally:
            for line in left:
                lines.say(line)
        if not lines.end():
            os._exit(code)  # nobody reads what we say: the interpreter's own end would wait for that for ever
    raise click.exceptions.Exit(Last(code))


def left_lines(found: Ended, names: Mapping[int, str], managed: Set[str] | None = None) -> list[str]:
    """What is said at the end: the copies that stay open at their brokers, and first those that no stop protects.

    `managed` are the links that a start manages, all if it is not known: what was left to a person is told apart.
    """
    lines = list(_unsettled_lines(found))
    if not found.left:
        return [*lines, "Nothing else of ours is left open." if found.under_way else "Nothing of ours is left open."]
    alone = {one for one in found.left if managed is not None and one.link not in managed and not one.is_ending}
    lines.append(_left_in_all(found.left, alone))
    shown = sorted(found.left, key=lambda one: (one.has_stop, one.account, one.symbol))[:LEFT_SHOWN_MAX]
    lines += [_left_line(one, names, is_alone=one in alone) for one in shown]
    if len(found.left) > len(shown):
        lines.append(f"  … and {len(found.left) - len(shown)} more; `cmam audit copies` lists them all")
    return lines


def _unsettled_lines(found: Ended) -> Iterator[str]:
    """What the next start has to ask the brokers for."""
    if found.unrecorded or found.is_stuck:
        yield f"{counted(found.unrecorded, 'fact')} could not be recorded; the next start asks the brokers instead."
    if found.under_way:
        kinds = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in Counter(found.under_way).items())
        yield (
            f"Under way: {counted(len(found.under_way), 'request')} ({kinds}) that no broker has answered yet. What "
            "came of them is asked by the next start, and is not in what follows."
        )


def _left_in_all(left: Sequence[LeftOpen], alone: Set[LeftOpen]) -> str:
    """How much is left open, how much of it has no stop, and who manages it: `alone` is what no start does."""
    held = sum(bool(one.position) for one in left)
    rests = len(left) - held
    what = [counted(held, "position")] * bool(held) + [counted(rests, "resting order")] * bool(rests)
    bare = sum(bool(one.position) and not one.has_stop for one in left)
    without = f", {bare} without a stop at the broker" if bare else ", all with a stop at the broker" * bool(held)
    said = f"Left open: {' and '.join(what)}{without}."
    if len(alone) == len(left):
        them = "it" if len(left) == 1 else "them"
        return f"{said} A start does not manage {them}: the profile is off or deleted. Close {them} at the broker."
    if alone:
        apart = f"{counted(len(alone), 'copy')} of profiles that are off or deleted must be closed at the broker."
        return f"{said} {apart} The others are managed again from the next start on."
    return f"{said} {'It is' if len(left) == 1 else 'They are'} managed again from the next start on."


def _left_line(one: LeftOpen, names: Mapping[int, str], *, is_alone: bool) -> str:
    from cmam.domain.values.quantities import units_text

    place = f"position {one.position}" if one.position else f"order {one.order}"
    stop = "" if one.has_stop else "  NO STOP at the broker"
    name = names.get(int(one.account), str(one.account))
    volume = units_text(one.volume).removesuffix(".00")
    managed = "  not managed" if is_alone else ""
    return in_a_line(f"  {name}: {one.side} {volume} {one.symbol}, {place}{stop}{managed}")


def ender(stop: Latch, clock: Clock, leave: Callable[[int], None]) -> Callable[[int, Any], None]:
    """What to do on a signal: the first asks for an end in order, a later SIGINT or SIGTERM takes it at once.

    A wrapper (make, timeout) often hands on what its whole group has got already: the same signal a moment later is the
    same request. A closed terminal only ever asks.
    """
    asked, asked_us = 0, 0

    def handle(number: int, _frame: Any) -> None:
        nonlocal asked, asked_us
        if not stop.is_open:
            asked, asked_us = number, clock.monotonic()
            stop.open()
        elif number != signal.SIGHUP and (number != asked or clock.monotonic() - asked_us >= SAME_REQUEST_US):
            leave(128 + number)

    return handle


@contextmanager
def _signals(stop: Latch, log_file: Path | None) -> Iterator[None]:
    """The first signal asks for the end, the second takes it; SIGUSR1 writes stacks where the log goes."""
    from cmam.cli.running.stacks import write_stacks
    from cmam.clock import SystemClock

    handle = ender(stop, SystemClock(), os._exit)
    is_kept = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # as nohup wants it
    numbers = (signal.SIGINT, signal.SIGTERM, *(() if is_kept else (signal.SIGHUP,)))
    before: dict[int, Any] = {number: signal.signal(number, handle) for number in numbers}
    stacks = sys.__stderr__
    if log_file is not None:
        with suppress(OSError):  # on a full disk over the live screen: without a handler the signal would end us
            stacks = log_file.open("a", encoding="utf-8")
    show: Any = signal.SIG_IGN  # the signal's own default would end us where there is nowhere to write
    if stacks is not None:
        descriptor = stacks.fileno()
        show = lambda *_: write_stacks(descriptor)  # noqa: E731 - a handler, and no name of its own
    before[signal.SIGUSR1] = signal.signal(signal.SIGUSR1, show)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if stacks is not None and stacks is not sys.__stderr__:
            stacks.close()


class _Masked(logging.Filter):
    """The last line of defence: a text that is one of our secrets leaves as a mask, and no sign reaches the terminal
    that would make it do something."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        super().__init__()
        self._secrets = tuple(secret for secret in secrets if len(secret) >= 8)

    def filter(self, record: logging.LogRecord) -> bool:
        """Runs in the thread that writes log lines, not in the one that trades."""
        text = record.getMessage()
        masked = legible(text).replace("\n", "\n  ")  # what is further in is no line of ours, whatever it says
        for secret in self._secrets:
            masked = masked.replace(secret, "••••")
        if masked != text:
            record.msg, record.args = masked, ()
        return True


def _logging(me: Face, *, quiet: bool) -> tuple[LogLines, Path | None]:
    """Where log lines go: to stderr, or beside a live screen to the file that is named."""
    from cmam import office
    from cmam.cli.showing.log_lines import LogLines

    vault = office.secrets_of(me.home, office.settings_of(me.home).secrets).load()
    handler: logging.Handler
    file = me.home.root / "start.log" if quiet else None
    if file is not None:
        handler = _file_handler(file)
    else:
        handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Stamped(has_day=quiet))
    handler.addFilter(_Masked(tuple(secret.reveal() for secret in vault.secrets)))
    return LogLines(handler, logging.DEBUG if me.debug else logging.INFO), file


class _Stamped(logging.Formatter):
    """Lines with their time in UTC, as everything else that is shown; a file that is read days later has the day."""

    def __init__(self, *, has_day: bool) -> None:
        super().__init__("%(asctime)s %(message)s")
        self._has_day = has_day

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        from cmam.store.text import iso

        text = iso(int(record.created * 1_000_000)) or ""
        return text if self._has_day else text[11:]


def _file_handler(file: Path) -> logging.Handler:
    """Writes lines to a file for its owner alone; on a full disk it is made with the first that there is room for."""
    from cmam.store.logfile.lock import FULL

    try:
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
        os.chmod(file, 0o600)
    except OSError as error:
        if error.errno not in FULL:
            raise
    return logging.handlers.RotatingFileHandler(
        file, maxBytes=5_000_000, backupCount=2, delay=True, encoding="utf-8", errors="backslashreplace"
    )


def _end_all(beside: list[Beside]) -> list[str]:
    """End what runs beside, and give what is to be said of that."""
    said = [one.end() for one in beside]
    beside.clear()
    return list(filter(None, said))


# --- status ---------------------------------------------------------------------------------------------------------


@click.command(cls=Verb)
@click.option("--watch", is_flag=True, help="Keep looking, until Ctrl-C or until the system ends.")
def status(watch: bool) -> None:
    """Show connections, accounts, profiles, links, the rate budget and alerts; from any terminal.

    If no cmam runs, it shows what was stored last (`running: false`, exit code 0). If one runs and does not answer,
    `holder` names its process.
    """
    me = face()
    if watch:
        _watch(me)
        return
    document = document_of_home(me)
    if me.as_json:
        print_json(document)
        return
    from cmam.cli.face.rows import console
    from cmam.cli.showing.screen import status_screen

    console().print(status_screen(document))


def document_of_home(me: Face) -> dict[str, Any]:
    """What the running system says of itself, or what was stored last."""
    from cmam import office

    running = office.ask_running(me.home, {"command": "status"})
    document = running if running is not None else office.stored_status(me.home)
    holder = office.holder_of(me.home) if running is None else None
    return {
        **document,
        "home": str(me.home.root),
        "holder": holder,
        "views_behind": office.views_lag(me.home),
        "log": office.log_growth(me.home),
        "warnings": _warnings(me, is_running=running is not None),
    }


def _warnings(me: Face, *, is_running: bool) -> list[str]:
    """What a person should know of this home; a running system speaks of its disk itself, and knows its pace."""
    from cmam import office
    from cmam.config.settings import SettingsInvalid

    try:
        of_settings = office.settings_of(me.home).api.warning
    except SettingsInvalid as error:  # a slip of whoever edits the file: what trades has read it at its start
        of_settings = f"The next start is refused, since its settings are not valid. {error}"
    disk = "" if is_running else office.disk_shortage(me.home)
    return [warning for warning in (of_settings, disk) if warning]


def _watch(me: Face) -> None:
    """Draw the same screen again and again, or print it below what it was where nothing can be drawn; with --json one
    line each time."""
    from rich.live import Live

    from cmam.actors.threads.runtime import Latch
    from cmam.cli.face.rows import console
    from cmam.cli.showing.screen import LiveScreen, status_screen

    pause = Latch()
    for number in (signal.SIGINT, signal.SIGTERM):
        # An exception from a signal can fall into a place that swallows it; a latch is seen whenever it opens.
        signal.signal(number, lambda *_: pause.open())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # `start` holds it back until here
    give_way()
    if me.as_json:
        while not pause.is_open:
            print_json(document_of_home(me))
            sys.stdout.flush()
            pause.wait(WATCH_S)
        return
    was_running, stops = False, list[None]()
    out, shown = console(), ""
    with Live(console=out, screen=True, auto_refresh=False) if is_screen() else nullcontext() as live:
        if live is not None:
            heed_ctrl_z(lambda: stops.append(None))
        while not pause.is_open:
            used_s = _used_s()
            document = document_of_home(me)
            if live is not None:
                live.update(LiveScreen(document), refresh=True)
            else:
                with out.capture() as drawn:
                    out.print(status_screen(document))
                if drawn.get() != shown:
                    click.echo(shown := drawn.get())
            if was_running and not document["running"] and document["holder"] is None:
                break
            was_running = was_running or bool(document["running"])
            _rest(pause, max(WATCH_S, (_used_s() - used_s) * REST), live, document, stops)
            if live is not None and stops:
                stops.clear()
                live.stop()
                stop_here()
                live.start()
        has_ended = not pause.is_open
    if has_ended:  # the screen is gone with what it showed
        say("cmam has ended; `cmam status` shows what was stored last.")


def _rest(pause: Latch, rest_s: float, live: Live | None, document: Mapping[str, Any], stops: Sequence[None]) -> None:
    """Wait for the next look, or until it is asked to stop. Where the window gets another size meanwhile, fit what was
    seen last into it at once."""
    if live is None:
        pause.wait(rest_s)
        return
    from cmam.cli.showing.screen import LiveScreen

    size = live.console.size
    while rest_s > 0 and not stops and not pause.wait(min(rest_s, RESIZE_S)):
        rest_s -= RESIZE_S
        if live.console.size != size:
            size = live.console.size
            live.update(LiveScreen(document), refresh=True)


def _used_s() -> float:
    """How long this process has had a processor."""
    found = resource.getrusage(resource.RUSAGE_SELF)
    return found.ru_utime + found.ru_stime


# --- pause and resume -----------------------------------------------------------------------------------------------


def _switch(command: str, profile: str | None, account: str | None, everything: bool) -> Mapping[str, Any]:
    return carry_out({"command": command, **one_target(profile, account, everything)})


def _switched(answer: Mapping[str, Any], word: str) -> None:
    if face().as_json:
        print_json(answer)
        return
    names = answer.get("profiles")
    if names is None:
        say(f"{answer['account']} is {word}.")
    elif names:
        say(f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} {word}.")
    else:
        fail("There is no enabled profile.")


@click.command(cls=Verb)
@click.argument("profile", required=False)
@click.option("--account", metavar="ID", help="An account instead of a profile.")
@click.option("--all", "everything", is_flag=True, help="Every profile.")
def pause(profile: str | None, account: str | None, everything: bool) -> None:
    """Open nothing new; closes, cancels and stops go on. Stored, and obeyed at the next start if nothing runs."""
    _switched(_switch("pause", profile, account, everything), "paused")


@click.command(cls=Verb)
@click.argument("profile", required=False)
@click.option("--account", metavar="ID", help="An account instead of a profile.")
@click.option("--all", "everything", is_flag=True, help="Every profile.")
def resume(profile: str | None, account: str | None, everything: bool) -> None:
    """Open again; what the leader opened meanwhile is not opened later."""
    _switched(_switch("resume", profile, account, everything), "resumed")
