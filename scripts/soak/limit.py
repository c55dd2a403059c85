"""The honest limit: what an order does that is longer under way than the settling time. `kill.py --late` shows it.

First what is under way when the copier dies arrives within the settling time: nothing may come of that. Then it
arrives only after the next copier has asked the broker, found nothing, and taken the order for absent: it is in the
books twice. What must hold even then: cmam finds each by its label and names it, and once a person has closed what is
too many, every other law holds.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rounds import FOLLOWERS, IN_THE_END, Run, nobody_else, prepared
from terminal import OPENS, close

from cmam.domain.events import FindingKind, FindingsMade, IntentSettled, Outcome
from cmam.domain.values.ids import AccountId

FOLLOWER = FOLLOWERS[0]
GAP = "written"
"""Where the copier dies: its order has left, and nothing has come back."""


def shown(options: argparse.Namespace, folder: Path) -> int:
    """Run both halves and say what came of them; answers how many violations there were."""
    began = time.monotonic()
    run = prepared(options, folder, (FOLLOWER,))
    run.leader.does = OPENS
    try:
        run.stage.start_copier()
        run.leader.start()
        violations = _within(run, options.kills // 2)
        _say("within", run, options, violations, f"{_doubled(run)} orders are in the books twice")
        violations += _beyond(run, options.kills - options.kills // 2, options)
        violations += run.judged_at_the_end()
    finally:
        run.leader.stop()
        run.stage.end()
    print(
        f"{run.total()} kills, {time.monotonic() - began:.0f} s; violations: {len(violations)}", *violations, sep="\n  "
    )
    if not violations:
        print("All other laws hold. The limit is as described: settle_s must be longer than an order may be under way.")
    return len(violations)


def _within(run: Run, kills: int) -> list[str]:
    for _ in range(kills):
        run.leader.go()
        run.kill_once("gap", "copier", GAP)
    found = run.come_to_rest()
    return found + ([] if run.stage.line.strays else ["nothing was under way when the copier died: nothing was shown"])


def _beyond(run: Run, kills: int, options: argparse.Namespace) -> list[str]:
    """Kill, hold what is under way until it has been taken for absent, let it go, and see what cmam says of it."""
    line, problems = run.stage.line, list[str]()
    absent = _absent(run)
    line.delays_s.clear()
    for _ in range(kills):
        line.hold()
        run.leader.go()
        run.kill_once("gap", "copier", GAP)
        run.leader.pause(run.patience_s)
        if not run.wait(lambda: run.stage.is_ready() and not _is_open(run)):
            problems.append("requests of unknown outcome were never settled")
        line.let_go()
        run.wait(lambda: not line.is_holding)
    absent = _absent(run) - absent
    doubled = _doubled(run)
    if not run.wait(lambda: set(_too_many(run)) <= _named(run)):
        problems.append(f"never named as duplicates: {sorted(set(_too_many(run)) - _named(run))}")
    extra = _too_many(run)
    for position in extra:
        close(run.stage, FOLLOWER, position)
    problems += run.come_to_rest((nobody_else,), IN_THE_END)
    shortest = min(line.delays_s, default=0.0)
    _say("beyond", run, options, problems, f"{absent} orders were taken for absent, {doubled} are in the books twice")
    print(f"  cmam named {len(extra)} positions as too many, and a person closed them")
    if shortest < options.settle:
        problems.append(f"what strayed was {shortest:.1f} s late, less than the settling time: nothing was shown")
    return problems + ([] if doubled else ["no order was doubled: the limit was not shown"])


def _say(where: str, run: Run, options: argparse.Namespace, problems: Sequence[str], what: str) -> None:
    delays = run.stage.line.delays_s
    late = f"{min(delays, default=0.0):.1f} to {max(delays, default=0.0):.1f} s after its sender had died"
    print(f"{where} the settling time of {options.settle} s: {len(delays)} pieces arrived {late}; {what}; ", end="")
    print(f"{len(problems)} violations", flush=True)


def _absent(run: Run) -> int:
    """How many requests were taken for absent so far."""
    return sum(event.outcome is Outcome.ABSENT for event in run.outside().events(FOLLOWER, IntentSettled))


def _is_open(run: Run) -> bool:
    view = run.outside().view(FOLLOWER)
    return view is None or bool(view.intents)


def _doubled(run: Run) -> int:
    """How many orders of ours the broker has executed more than once."""
    executed = Counter(order.client_order_id for order in run.outside().orders(FOLLOWER) if order.executed)
    return sum(count > 1 for name, count in executed.items() if name.startswith("cm1."))


def _too_many(run: Run) -> list[int]:
    """The positions that carry the label of a copy which has another one."""
    seen = run.outside()
    view = seen.folded().accounts[AccountId(FOLLOWER)]
    ours = {copy.position for copy in view.copies.values()}
    labels = Counter(held.label for held in seen.holds(FOLLOWER))
    return [held.position for held in seen.holds(FOLLOWER) if labels[held.label] > 1 and held.position not in ours]


def _named(run: Run) -> set[int]:
    """The positions that cmam has named as duplicates."""
    made = run.outside().events(FOLLOWER, FindingsMade)
    found = [finding for event in made for finding in event.findings if finding.kind is FindingKind.DUPLICATE]
    return {int(finding.position) for finding in found if finding.position is not None}
