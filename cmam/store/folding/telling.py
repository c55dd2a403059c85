"""Which of an account's records was the last that told followers a change: who stands there or later missed nothing.

Kept beside the snapshots, so that a start need not read a leader's past to learn that there was none. It asks the same
function that told the change when it happened.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cmam.domain.events import ExecutionSeen, Reconciled, TrailingStopMoved
from cmam.domain.turns.leading import changes
from cmam.domain.values.ids import AccountId
from cmam.store.folding.fold import AccountStep, RegistryStep

Place = tuple[int, int]
"""A record of a stream, and which of the changes that it told."""

TELLING = (ExecutionSeen, Reconciled, TrailingStopMoved)
"""The facts that may tell followers a change."""
NOTHING: Place = (0, 0)


@dataclass(slots=True)
class Told:
    """Of each account the place of the last change that its record told, as far as it was folded."""

    places: dict[AccountId, Place] = field(default_factory=dict)

    def take(self, step: AccountStep | RegistryStep) -> None:
        """Take notice of one more record."""
        if isinstance(step, AccountStep) and isinstance(step.record.event, TELLING):
            found = changes(step.before, step.after, step.record.event)
            if found:
                self.places[step.after.account] = (step.record.version, len(found) - 1)

    def of(self, account: AccountId) -> Place:
        """The last place of an account, before its first record where it has told nothing."""
        return self.places.get(account, NOTHING)
