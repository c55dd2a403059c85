"""A long life in a short time: a store that has traded for days, made from one that has just begun.

What it did so far is written again as if days ago, and trades follow through the domain's own functions: opens with
stops, partial and full closes. All of them are over at the end, so a broker that knows nothing of them agrees. Views
and snapshots are those of the projector, made as it makes them. Knows nothing of what is measured with it.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import stage

from cmam.config.home import Home
from cmam.domain.events import Checkpointed, Health, HealthChanged
from cmam.domain.values.ids import AccountId, SymbolId
from cmam.store.folding.fold import Fold, fold
from cmam.store.logfile.chain import CHECKPOINT_EVENTS, Head, LogHead, checkpoint
from cmam.store.logfile.log import EventLog
from cmam.store.projection.projector import project_to_head
from cmam.store.records.envelope import Pending
from tests.unit.store.world import World

TRADE_US = 20_000_000
"""From one of the leader's trades to the next."""
TRADE_EVENTS = 20
"""At least so many records a trade leaves: all of them lie in the past."""
BATCH = 500
"""Records in one transaction."""
FIRST_ID = 10_000_000
"""The broker's numbers in that time: none that it gives to anything else."""
PASSING = ("*.lock", "lock", "control*", "run", "*.db*")
"""What belongs to the store that goes on living, not to its copy."""


def grown(folder: Path, life: Home, events: int, *, is_past: bool = True) -> Home:
    """A copy of a store that has so many records, as if it had gone on like that for days; its views at their head.

    Where it must be over by now, its real beginning is moved back, and its few decisions, which rest on their time, do
    not come out again in a replay; otherwise it goes on from where it is, into days to come.
    """
    home = Home(folder / f"life-of-{events}")
    shutil.copytree(life.root, home.root, ignore=shutil.ignore_patterns(*PASSING))
    began_us = stage.CLOCK.now() - events // TRADE_EVENTS * (TRADE_US + 1_000_000) - TRADE_US
    with (
        closing(EventLog.read_only(life.root)) as source,
        closing(EventLog.open(home.root, durability="none")) as log,
    ):
        ended_us = trade_on(log, _write_again(source, log, began_us if is_past else None), events)
        assert not is_past or ended_us < stage.CLOCK.now(), "expected a past, found it reaching into the future"
        log.write_checkpoint(stage.CLOCK.now())
    project_to_head(home.root)
    return home


def _write_again(source: EventLog, log: EventLog, began_us: int | None) -> Fold:
    """The records of a store as if it had begun then, or as they are; answers what they come to."""
    shift = 0 if began_us is None else None
    for record in source.read_all():
        if shift is None:
            assert began_us is not None
            shift = began_us - record.at_us
        event = record.event
        if isinstance(event, Checkpointed):
            event = checkpoint(log.heads(), log.log_head())
        moved = record.at_us + shift
        log.append([Pending(record.stream, record.version, moved, event, record.cause, record.settings)])
    return fold(log.read_all())


def trade_on(log: EventLog, known: Fold, events: int) -> int:
    """Let the leader of the only profile trade until the log has so many records; answers when that was, in us."""
    (profile,) = known.registry.live_profiles()
    assert profile.leader is not None
    together = _Together(log)
    world = _Life(
        log=together,  # type: ignore[arg-type]  # it stands in for a log
        now=known.at_us,
        views=dict(known.accounts),
        profile=profile,
        leader=profile.leader,
        store=known.registry.store,
        _last_id=FIRST_ID,
    )
    world.all_are(Health.RECONCILED)
    number = checked = 0
    while together.position < events:
        number += 1
        world.tick(TRADE_US)
        volume = 10_000_000 + (number % 7) * 1_000_000
        position = world.leader_opens(volume)
        world.leader_moves_stop(position, "1.09000")
        if number % 3:
            world.leader_closes(position, volume // 2 // 100_000 * 100_000)
        world.leader_closes(position)
        if together.position - checked >= CHECKPOINT_EVENTS:
            checked = together.position
            world.write_checkpoint()
    world.all_are(Health.DOWN)
    together.flush()
    return world.now


class _Life(World):
    """The world with the numbers of the sandbox."""

    def all_are(self, health: Health) -> None:
        """All sessions come up, or go down at the end."""
        for account in list(self.views):
            self.fact(account, HealthChanged(health=health))

    def symbol(self, _account: AccountId) -> SymbolId:
        return SymbolId(stage.SYMBOL)

    def balance_version(self, account: AccountId) -> int:
        return self.views[account].balance_version + 1


class _Together:
    """A log that takes many appends as one: nobody waits for any of them."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._waiting: list[Pending] = []
        self.position = log.position()

    def append(self, batch: Iterable[Pending]) -> int:
        before = len(self._waiting)
        self._waiting += batch
        self.position += len(self._waiting) - before
        if len(self._waiting) >= BATCH:
            self.flush()
        return self.position

    def flush(self) -> None:
        self._log.append(self._waiting)
        self._waiting = []
        if self._log.is_tidy_due():
            self._log.tidy()

    def head(self, stream: str) -> Head:
        self.flush()
        return self._log.head(stream)

    def heads(self) -> Mapping[str, Head]:
        self.flush()
        return self._log.heads()

    def log_head(self) -> LogHead:
        self.flush()
        return self._log.log_head()
