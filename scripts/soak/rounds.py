"""What a kill run is made of: kills at a gap or between, what comes to rest after them, and the laws that must hold.

Everything waits for facts; how long at most follows from what a process costs on this machine at this moment.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from doomed import GAPS
from outside import Outside
from processes import Stage
from terminal import Leader

from cmam.domain.events import CopyFinished, CopyTouched
from cmam.domain.values.reasons import Reason
from tests.chaos import checks, course_checks, level_checks

LEADER, FOLLOWERS = 41_000_001, (41_000_002, 41_000_005)
"""The second follower is a netted account."""
PLACES = ("gap",) * 4 + ("starting", "running", "running")
VICTIMS = ("copier",) * 4 + ("broker", "both")
SUBSCRIBES = "2127"
MESSAGES_MAX = 6
"""So many messages of a gap at most are let pass before somebody dies there."""
STARTING_S, RUNNING_S = 1.2, 1.0
"""Within so many seconds of a start, or of being ready, somebody dies."""
PATIENCE_S, PATIENCE_STARTS = 300.0, 300.0
"""How long to wait for a fact that must come: five minutes, or 300 times what a start took here, if that is longer."""
LOOK_S = 0.1


def nobody_else(run: Any) -> None:
    """No person is at the followers' terminals: nothing may be laid to one."""
    for account in FOLLOWERS:
        touched = run.events(account, CopyTouched)
        assert not touched, f"{touched[0]}, and nobody was there"
        ended = [e for e in run.events(account, CopyFinished) if e.reason is Reason.CLOSED_BY_HUMAN]
        assert not ended, f"{ended[0]}, and nobody was there"


Law = Callable[[Any], None]
AT_ONCE: tuple[Law, ...] = (checks.nothing_twice, nobody_else)
"""What no waiting heals."""
IN_THE_END: tuple[Law, ...] = (
    checks.nothing_lost,
    checks.at_rest,
    checks.sized,
    checks.protected,
    checks.explained,
    level_checks.levelled,
    course_checks.never_more,
)


@dataclass
class Run:
    """One run: its stage and leader, and what has been counted."""

    stage: Stage
    leader: Leader
    chance: random.Random
    kills: Counter[str] = field(default_factory=Counter)
    gaps: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    longest_rest_s: float = 0.0

    @property
    def patience_s(self) -> float:
        """How long to wait for what must come: by this machine's speed, so that a slow one looks like no violation."""
        return max(PATIENCE_S, PATIENCE_STARTS * self.stage.start_s)

    def total(self) -> int:
        """How many kills there were."""
        return self.kills.total()

    # --- killing --------------------------------------------------------------------------------------------------

    def kill_once(self, place: str = "", victim: str = "", gap: str = "") -> None:
        """Kill somebody somewhere, and start again what died."""
        place, victim = place or self.chance.choice(PLACES), victim or self.chance.choice(VICTIMS)
        if place == "gap":
            gap = gap or min(GAPS, key=lambda name: (self.gaps[name], self.chance.random()))
            place = self._kill_at(gap, victim)
        else:
            if place == "running":
                self.wait(self.stage.is_ready)
            time.sleep(self.chance.random() * (STARTING_S if place == "starting" else RUNNING_S))
        if victim in ("copier", "both"):
            self.stage.kill_copier()
        if victim in ("broker", "both"):
            self.stage.kill_broker()
            self.stage.start_broker()
        if victim in ("copier", "both"):
            self.stage.start_copier()
        self.kills[f"{victim}, {place}"] += 1

    def _kill_at(self, gap: str, victim: str) -> str:
        """Have somebody die at a gap; one that is not reached is counted, and whoever was to die there dies now."""
        self.stage.doom(gap, self.chance.randrange(1, MESSAGES_MAX), victim)
        is_reached = self.wait(lambda: self.stage.is_dead(victim))
        self.stage.spare()
        if is_reached:
            self.gaps[gap] += 1
            return "at a gap"
        self.missed[gap] += 1
        return "running"

    def wait(self, is_so: Callable[[], bool]) -> bool:
        """Wait for a fact; answers whether it came."""
        deadline = time.monotonic() + self.patience_s
        while not is_so():
            if time.monotonic() > deadline:
                return False
            time.sleep(LOOK_S / 10)
        return True

    # --- judging --------------------------------------------------------------------------------------------------

    def come_to_rest(self, at_once: Sequence[Law] = AT_ONCE, in_the_end: Sequence[Law] = IN_THE_END) -> list[str]:
        """Pause the trading and hold what is there against the laws, until they hold or patience ends."""
        began = time.monotonic()
        if not self.leader.pause(self.patience_s):
            return ["the leader did not come to a pause: nothing can be judged"]
        problems, position = ["the copier was never ready"], -1
        while time.monotonic() < began + self.patience_s:
            if self.stage.is_ready():
                before, position = position, self.stage.position()
                if position == before:
                    problems = self._broken((*at_once, *in_the_end))
                    if not problems or self._broken(at_once):
                        break
            time.sleep(LOOK_S)
        self.stage.count()
        self.longest_rest_s = max(self.longest_rest_s, time.monotonic() - began)
        return problems

    def _broken(self, laws: Sequence[Law]) -> list[str]:
        """What the first broken law says; those after it suppose that it holds."""
        seen = self.outside()
        return next((problems for law in laws if (problems := look(seen, law))), [])

    def outside(self) -> Outside:
        """What can be read from outside."""
        return Outside(self.stage.home, self.stage.state_file, self.stage.counted, (LEADER, *FOLLOWERS))

    def judged_at_the_end(self) -> list[str]:
        """The slower laws, once: the chains, the replay, the rate as the broker counted it, and who ended of itself."""
        problems = [*look(self.outside(), checks.replayable), *self.stage.faults]
        if not self.executed():
            problems.append("nothing was copied at all")
        problems += [f"the gap {gap} was never reached" for gap in sorted(self.missed) if not self.gaps[gap]]
        busiest = self.busiest()
        return problems + ([f"polite: {busiest} requests in one second"] if busiest > checks.REQUESTS_MAX else [])

    def busiest(self) -> int:
        """The most requests in one second on a connection of ours, as the brokers counted."""
        seconds = [
            connection["busiest_second_with_heartbeats"]
            for stats in self.stage.counted
            for connection in stats["connections"]
            if SUBSCRIBES in connection["requests_by_type"]  # ours, and not the leader's terminal
        ]
        return max(seconds, default=0)

    def executed(self) -> int:
        """How many orders were executed on followers."""
        return sum(1 for account in FOLLOWERS for order in self.outside().orders(account) if order.executed)


def look(seen: Outside, law: Law) -> list[str]:
    """What one law says now, as sentences."""
    try:
        law(seen)
    except AssertionError as error:
        return [f"{law.__name__}: {error}"[:400]]
    return []


def prepared(options: argparse.Namespace, folder: Path, followers: Sequence[int] = FOLLOWERS) -> Run:
    """A broker, a configured copier and a leader, none of them trading yet."""
    stage = Stage(folder, options.settle, options.lag, options.stray, options.fill_ms)
    create = ["profile", "create", "soak", "--leader", str(LEADER)]
    create += [word for account in followers for word in ("--follower", str(account))]
    stage.set_up([[*create, "--set", "max_age=10m"]])
    return Run(stage, Leader(stage, LEADER, random.Random(f"{options.seed}:leader")), random.Random(options.seed))
