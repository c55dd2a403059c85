"""`cmam audit watch`: what is copied, skipped and closed, a line each while it happens, from any terminal.

It reads the log beside whoever writes it, in a process of its own: `cmam start --plain` has one of these beside it, as
the live screen is one, and a reader who takes nothing holds up this process and no other.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cmam.cli.auditing.audit_options import asked
from cmam.cli.face.talk import ENDS_WITH_STDIN, give_way, is_orphaned, print_json, say, say_place
from cmam.cli.face.verbs import Verb, face
from cmam.clock import SECOND_US

if TYPE_CHECKING:
    from cmam.domain.operating.registry import Registry
    from cmam.store.auditing.filters import Filters
    from cmam.store.auditing.news import News
    from cmam.store.folding.fold import Fold
    from cmam.store.logfile.log import EventLog

POLL_S = 0.4
"""How often the log is asked whether there is something new: one PRAGMA, a few microseconds."""
GATHER_S = 0.4
"""How long what began is gathered before it is told: a burst of followers is one line."""
MOMENT_US = round((POLL_S + GATHER_S) * SECOND_US)
"""So far apart at most are the records of what is told together: also where much is read at once, as after a pause."""
RETRY_S = 1.0


@click.command(cls=Verb)
@click.option("--profile", metavar="NAME", help="Only this profile.")
@click.option("--account", metavar="ID", help="Only this account, as leader or follower.")
@click.option("--from", "position", type=click.IntRange(0), hidden=True, help="From this record on.")
@click.option("--place", "pipe", type=click.IntRange(3), hidden=True, help="Say on this pipe how far it has told.")
def watch(profile: str | None, account: str | None, position: int | None, pipe: int | None) -> None:
    """What is copied, skipped, moved, closed and refused from now on, a line each, until Ctrl-C.

    `cmam start` without a screen prints the same. Many followers that do the same have one line with the sum; --json
    has each by itself.
    """
    from cmam.actors.threads.runtime import Latch
    from cmam.store.errors import StoreUnavailable

    me, filters = face(), asked({"profile": profile, "account": account})
    pause = Latch()
    if is_child := bool(os.environ.get(ENDS_WITH_STDIN)):
        give_way()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN if is_child else lambda *_: pause.open())
    teller = _Teller(me.home.root, filters, position, pipe, as_json=me.as_json)
    said = ""
    while not pause.is_open:
        try:
            teller.follow(is_orphaned if is_child else pause.wait)
            return
        except StoreUnavailable as error:
            if str(error) != said:
                say(f"! {error}")
            said = str(error)
            pause.wait(RETRY_S)
            if is_orphaned():
                return


class _Teller:
    """Tells what comes into a log, from where it was told last."""

    def __init__(
        self, home: Path, filters: Filters, position: int | None, pipe: int | None = None, *, as_json: bool
    ) -> None:
        self._home = home
        self._filters = filters
        self._position = position
        self._pipe = pipe
        self._as_json = as_json
        self._moment: list[News] = []

    def follow(self, is_over: Callable[[float], bool]) -> None:
        """Tell whatever comes until it is over, and then what is there still; raises StoreUnavailable."""
        from cmam.store.logfile.log import EventLog
        from cmam.store.past.beginning import believe
        from cmam.store.past.together import Hands

        with closing(EventLog.read_only(self._home)) as log:
            if self._position is None:
                self._position = log.position()
                say("Watching from now on, until Ctrl-C.")
            fold, seen, has_ended = believe(log, Hands(processes=1), self._position), -1, False
            while not has_ended:
                has_ended = is_over(POLL_S)
                log.expect_in_place()
                version = log.data_version()
                if version == seen and not has_ended:
                    continue
                seen = version
                self._read(log, fold)
                if self._moment and not has_ended:
                    has_ended = is_over(GATHER_S)
                    self._read(log, fold)
                self._tell(fold.registry)

    def _read(self, log: EventLog, fold: Fold) -> None:
        """Take in what is there, and tell of it all but the last moment, which may go on."""
        from cmam.store.auditing.news import news_of
        from cmam.store.folding.fold import AccountStep

        for record in log.read_all(self._position or 0):
            step = fold.take(record)
            news = list(news_of(step)) if isinstance(step, AccountStep) else []
            wanted = [one for one in news if self._is_wanted(one, fold.registry)]
            if wanted and self._moment and abs(wanted[0].at_us - self._moment[0].at_us) > MOMENT_US:
                self._tell(fold.registry)
            self._moment += wanted
            self._position = record.position

    def _is_wanted(self, one: News, registry: Registry) -> bool:
        filters = self._filters
        if filters.account is not None and filters.account not in (one.leader, one.follower):
            return False
        profile = registry.profiles.get(one.profile)
        return filters.profile is None or (profile is not None and profile.name == filters.profile)

    def _tell(self, registry: Registry) -> None:
        """Tell of the moment that has been read, and how far that is."""
        if self._moment:
            self._print(self._moment, registry)
            self._moment = []
        if self._pipe is not None and self._position is not None:
            say_place(self._pipe, self._position)

    def _print(self, news: list[News], registry: Registry) -> None:
        from cmam.cli.showing.copy_lines import document, lines, on_screen
        from cmam.store.auditing.news import told

        names: Mapping[int, str] = {int(known.account): known.shown for known in registry.accounts.values()}
        profiles: Mapping[Any, str] = {profile.profile: profile.name for profile in registry.profiles.values()}
        if self._as_json:
            for one in told(news):
                print_json(document(one, names, profiles))
        else:
            width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
            for line in lines(told(news), names):
                click.echo(line if width is None else on_screen(line, width))
        sys.stdout.flush()
