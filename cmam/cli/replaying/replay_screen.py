"""`cmam replay --speed` at a terminal: the past on a screen, with keys to stop, step and go elsewhere in it."""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cmam.cli.face.rows import console
from cmam.cli.face.talk import heed_ctrl_z, stop_here

if TYPE_CHECKING:
    from rich.console import RenderableType

    from cmam.store.past.player import Player
    from cmam.store.records.envelope import Recorded

FRAME_S = 0.1
SKIP_US = 10_000_000
FAR_US = 600_000_000
RECORDS_LEAST = 3
"""So many of the last records are seen in any window: they are what is played."""
HELP = "space stop/go · ←→ 10 s · PgUp/PgDn 10 min · ↑↓ pace · n record · d decision · Home/End · q leave"
KEYS = {
    "\x1b[C": "forward",
    "\x1b[D": "back",
    "\x1b[A": "faster",
    "\x1b[B": "slower",
    "\x1b[5~": "far_back",
    "\x1b[6~": "far_forward",
    "\x1b[H": "start",
    "\x1b[1~": "start",
    "\x1b[F": "end",
    "\x1b[4~": "end",
    " ": "pause",
    "+": "faster",
    "-": "slower",
    "l": "forward",
    "h": "back",
    "n": "record",
    "d": "decision",
    "g": "start",
    "G": "end",
    "q": "quit",
    "\x03": "quit",
}
"""What terminals send, and what it asks of the player."""


def play(player: Player, total: int) -> None:
    """Play until the end or until somebody leaves; at the end the screen stays for those who have a keyboard."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # its default would leave the terminal without echo
    while _is_stopped(player, total):
        stop_here()


def _is_stopped(player: Player, total: int) -> bool:
    """Play on a screen, which is gone at the return; whether Ctrl-Z asked for that."""
    from rich.live import Live

    from cmam.clock import SystemClock

    stops: list[None] = []
    heed_ctrl_z(lambda: stops.append(None))
    clock = SystemClock()
    last = clock.monotonic()
    with _keyboard() as keyboard, Live(console=console(), screen=True, auto_refresh=False) as live:
        try:
            while not stops:
                live.update(_screen(player, total), refresh=True)
                for word in _pressed(keyboard):
                    if word == "quit":
                        return False
                    obey(player, word)
                now = clock.monotonic()
                player.pass_time(now - last)
                last = now
                if player.is_over and keyboard is None:
                    return False
        except KeyboardInterrupt:
            return False
    return True


def obey(player: Player, word: str) -> None:
    """Do what a key asks for."""
    match word:
        case "pause":
            player.is_paused = not player.is_paused
        case "forward" | "back":
            player.skip(SKIP_US if word == "forward" else -SKIP_US)
        case "far_forward" | "far_back":
            player.skip(FAR_US if word == "far_forward" else -FAR_US)
        case "faster":
            player.faster()
        case "slower":
            player.slower()
        case "record":
            player.is_paused = True
            player.step()
        case "decision":
            player.is_paused = True
            player.to_next_decision()
        case "start":
            player.to_start()
        case "end":
            player.to_end()
        case _:
            pass


def words_of(text: str) -> Iterator[str]:
    """What a burst of key presses asks for; what means nothing is passed over."""
    while text:
        for length in (4, 3, 1):
            word = KEYS.get(text[:length])
            if word is not None and len(text[:length]) == length:
                yield word
                text = text[length:]
                break
        else:
            text = text[1:]


@contextmanager
def _keyboard() -> Iterator[int | None]:
    """Standard input key by key, put back as it was; None where it is no terminal."""
    if not sys.stdin or not sys.stdin.isatty():
        yield None
        return
    import termios
    import tty

    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    tty.setcbreak(number)
    try:
        yield number
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)


def _pressed(keyboard: int | None) -> Iterator[str]:
    """What was asked for within a frame; waits that long where nothing is."""
    if keyboard is None:
        select.select([], [], [], FRAME_S)
        return
    readable, _, _ = select.select([keyboard], [], [], FRAME_S)
    if readable:
        yield from words_of(os.read(keyboard, 256).decode(errors="ignore"))


# --- the screen -----------------------------------------------------------------------------------------------------


def _screen(player: Player, total: int) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    from cmam import office
    from cmam.cli.face.tables import Window
    from cmam.cli.replaying.moment_screen import moment_screen
    from cmam.store.text import iso

    out, moment = console(), player.moment
    at = (iso(player.now_us) or "")[:19].replace("T", " ")
    pace = "stopped" if player.is_paused else "at the end" if player.is_over else _pace(player.speed)
    headline = Text.assemble((at, "bold"), f"  record {moment.fold.position} of {total}  ", (pace, "bold green"))
    if moment.fold.position and not moment.is_running:
        headline.append("  cmam did not run", style="yellow")
    share = moment.fold.position * (out.width - 2) // max(1, total)
    bar = Text.assemble(("━" * share, "cyan"), ("╌" * (out.width - 2 - share), "dim"))
    top = Group(headline, bar, Text(HELP, style="dim", no_wrap=True, overflow="ellipsis"))
    body = moment_screen(office.document_of_moment(moment), top)
    room = max(RECORDS_LEAST, out.height - len(out.render_lines(body, pad=False)) - 1)
    return Group(Window(body, RECORDS_LEAST + 1), *[_line(record) for record in list(player.recent)[-room:]])


def _pace(speed: float) -> str:
    if speed <= 0:
        return "as fast as it goes"
    return f"{speed:g} × its own pace"


def _line(record: Recorded) -> RenderableType:
    from cmam.cli.showing.record_line import record_line

    line = record_line(record)
    line.no_wrap, line.overflow = True, "ellipsis"
    return line
