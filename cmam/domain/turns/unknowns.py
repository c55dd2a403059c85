"""Requests whose outcome nobody knows: since when, what will be asked and when, and what follows from each answer.

An unknown outcome is a state with a deadline and a procedure: silence is never success and never failure. What settles
it is told by `settling.py`; this says it beforehand, in words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cmam.domain.belief.asked import gone
from cmam.domain.belief.copies import Intent, IntentState
from cmam.domain.belief.proofs import is_shown
from cmam.domain.belief.view import AccountView
from cmam.domain.events import Health
from cmam.domain.turns.opens_again import ATTEMPTS_MAX
from cmam.domain.values.commands import CommandKind

ASKS = "positions and orders, and the order history for the request's own name"
"""What the broker is asked about an unknown outcome that a snapshot alone does not tell."""

SHOWN = "positions and orders"
"""What it is asked about one that a snapshot shows."""

_ABSENT: Mapping[CommandKind, str] = {
    CommandKind.CLOSE: "not closed: asked for again",
    CommandKind.AMEND_PROTECTION: "not amended: asked for again",
    CommandKind.AMEND_ORDER: "not amended: asked for again",
    CommandKind.CANCEL: "not cancelled: asked for again",
    CommandKind.ADD: "absent: given up",
}

AGAIN = "absent: sent once more while its gates let it, else given up"
GIVEN_UP = "absent: given up"


@dataclass(frozen=True, slots=True)
class Unknown:
    """One request without a known outcome. Times in us; `ask_us` is when its absence begins to prove anything."""

    intent: Intent
    since_us: int
    ask_us: int
    why: str
    asks: str
    then: str
    waits_for: str


def unknowns(view: AccountView) -> Iterator[Unknown]:
    """The requests of an account whose outcome is not known, oldest first."""
    for intent in sorted(gone(view.intents), key=lambda intent: (intent.moved_us, intent.intent)):
        if intent.state is IntentState.UNKNOWN:
            is_there = view.health is Health.RECONCILED
            yield Unknown(
                intent=intent,
                since_us=intent.moved_us,
                ask_us=intent.ask_us,
                why=intent.why,
                asks=SHOWN if is_shown(view, intent) else ASKS,
                then=f"found: it counts; {_absent(intent)}",
                waits_for="the settling time" if is_there else "the account, which is out of sight",
            )


def _absent(intent: Intent) -> str:
    known = _ABSENT.get(intent.command.kind)
    if known is not None:
        return known
    return AGAIN if intent.attempt < ATTEMPTS_MAX else GIVEN_UP
