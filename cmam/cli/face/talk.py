"""How a command talks: sentences on stderr, JSON on stdout; and whether anybody is there to answer."""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import signal
import sys
import textwrap
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TextIO

import click

ENDS_WITH_STDIN = "CMAM_ENDS_WITH_STDIN"
"""Variable by which a command tells another that it starts: end when the pipe that is your stdin ends."""


NICENESS = 10


PLACE_BYTES = 8
"""A position of the log on the pipe by which one that follows it says how far it has told: big-endian."""


STDIN = 0


NAME = "cmam: "
"""What an error begins with."""


WORD_SHOWN_MAX = 200
"""Of a longer word an error shows only so much: who pasted a file for a name wants the sentence, not the file."""


UNSHOWN = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff](?<![^\x00-\x7f]\ufe0f)(?!(?<=\ufe0f)\u20e3)"
)
"""Signs that move the cursor, colour a terminal or turn the direction of what follows, and those that nobody sees: with
one in it a name passes for another. The one that has an emoji drawn in colour is left behind one."""


def legible(text: str) -> str:
    """What somebody else wrote, as a label or a comment, without what would make a terminal do something."""
    return UNSHOWN.sub("\N{REPLACEMENT CHARACTER}", text)


def in_a_line(text: str) -> str:
    """Legible, and of one line: a name with a line break in it would write one of its own."""
    return legible(text).replace("\n", "\N{REPLACEMENT CHARACTER}")


def shortened(text: str) -> str:
    """A sentence about something that was typed, legible however long that was."""
    return re.sub(
        rf"\S{{{WORD_SHOWN_MAX + 1},}}", lambda word: f"{word[0][:WORD_SHOWN_MAX]}… ({len(word[0])} characters)", text
    )


def say(text: str, *, error: bool = False, dim: bool = False) -> None:
    """Talk to the person, on stderr; that nobody listens any more, as at a closed terminal, ends nothing."""
    found = wrapped(legible(NAME + shortened(text) if error else text))
    if dim:
        found = click.style(found, dim=True)
    if error:
        colour = None if os.environ.get("NO_COLOR") else "red"
        found = click.style(NAME, fg=colour, bold=True) + found.removeprefix(NAME)
    with suppress(OSError):
        click.echo(found, err=True)


def show(text: str) -> None:
    """What a command was asked for, on stdout, with what others wrote in it."""
    click.echo(wrapped(legible(text), on=sys.stdout))


def say_remarks(answer: Mapping[str, Any]) -> None:
    """What a command did as it was asked to, and was most likely not meant."""
    for text in answer.get("remarks", ()):
        say(f"Note: {text}")


def say_unheard(answer: Mapping[str, Any]) -> None:
    """Which accounts a command did not reach, though others did what was asked."""
    for text in answer.get("unheard", ()):
        say(text, error=True)


def wrapped(text: str, on: TextIO | None = None) -> str:
    """Text for a terminal (stderr's, unless another is named), wrapped between words; an address stays whole, to be
    copied. A pipe has whole lines."""
    if not (on or sys.stderr).isatty():
        return text
    width = shutil.get_terminal_size().columns
    return "\n".join(_folded(line, width) for line in text.split("\n"))


def _folded(line: str, width: int) -> str:
    if len(line) <= width:
        return line
    indent = line[: len(line) - len(line.lstrip())]
    return textwrap.fill(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def counted(number: int, noun: str) -> str:
    """A number with its noun, as people say it."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun[:-1]}ies" if noun.endswith("y") else f"{number} {noun}s"


def is_orphaned(wait_s: float = 0.0) -> bool:
    """Tell whether who started us and holds our stdin is gone, or goes within so many seconds; only where it has said
    that we end with it: otherwise nobody waits."""
    if not os.environ.get(ENDS_WITH_STDIN):
        return False
    readable, _, _ = select.select([STDIN], [], [], wait_s)
    return bool(readable) and not os.read(STDIN, 1)


def give_way() -> None:
    """Run after everything else on this machine: who trades comes before who looks on."""
    with suppress(OSError):
        os.nice(NICENESS)


def heed_ctrl_z(asked: Callable[[], object]) -> None:
    """Hear of a Ctrl-Z instead of stopping in the middle of a screen; one that whoever started us ignores stays so."""
    if signal.getsignal(signal.SIGTSTP) is not signal.SIG_IGN:
        signal.signal(signal.SIGTSTP, lambda *_: asked())


def stop_here() -> None:
    """Stop as Ctrl-Z asks, with the terminal given back: the shell shows its prompt on whatever screen it finds.
    Returns once the shell lets us go on."""
    heard = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTSTP)
    signal.signal(signal.SIGTSTP, heard)


def say_place(pipe: int, position: int) -> None:
    """Tell whoever started us how far we have told; who has gone, or does not listen, holds nothing up."""
    with suppress(OSError):
        os.write(pipe, position.to_bytes(PLACE_BYTES))


def print_json(document: Mapping[str, Any]) -> None:
    """One JSON document, or one line of JSON lines, on stdout; escaped where stdout cannot hold every sign, and where a
    sign would make a terminal do something."""
    is_narrow = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "") != "utf8"
    text = json.dumps(document, ensure_ascii=is_narrow)
    click.echo(UNSHOWN.sub(lambda sign: json.dumps(sign[0])[1:-1], text))


def is_dumb() -> bool:
    """Whether the terminal says that it cannot move its cursor; the names are those that rich goes by."""
    return os.environ.get("TERM", "").lower() in ("dumb", "unknown")


def is_screen() -> bool:
    """Whether stdout is a terminal on which something can be drawn in one place; a dumb one takes lines, as a pipe."""
    return sys.stdout.isatty() and not is_dumb()


def is_interactive() -> bool:
    """Whether somebody can answer a question: nothing prompts when stdin is no terminal."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()
