"""A turn in the making: its view, and the events derived so far, each folded as it comes."""

from __future__ import annotations

from dataclasses import dataclass

from cmam.domain.belief.copies import CopyKey
from cmam.domain.belief.view import AccountView
from cmam.domain.events import Event, IntentRecorded
from cmam.domain.folds.account import evolve
from cmam.domain.values.commands import Command
from cmam.domain.values.ids import ChangeKey, StoreId
from cmam.domain.values.naming import intent_id, label_of
from cmam.domain.values.quantities import Volume
from cmam.domain.values.replacing import replace
from cmam.domain.wanted.needs import Nets


@dataclass(frozen=True)  # no slots: see replacing.py
class Turn:
    """The view after a turn, the derived events in their order, and the view before them, the fact just folded."""

    view: AccountView
    derived: tuple[Event, ...]
    folded: AccountView | None = None

    @property
    def intents(self) -> tuple[IntentRecorded, ...]:
        """The requests that may leave once the turn is durable."""
        return tuple([event for event in self.derived if isinstance(event, IntentRecorded)])


class TurnInTheMaking:
    """Collects the derived events of one turn, folding each as it comes."""

    def __init__(self, view: AccountView, now_us: int, store: StoreId) -> None:
        self.view = view
        self.now_us = now_us
        self.store = store
        self._derived: list[Event] = []
        self._nets: Nets | None = None

    def add(self, event: Event) -> None:
        """Derive one more event."""
        self.view = evolve(self.view, event, self.now_us)
        self._derived.append(event)

    @property
    def nets(self) -> Nets:
        """What concerns whole nets, as of now."""
        if self._nets is None or self._nets.view is not self.view:
            self._nets = Nets(self.view)
        return self._nets

    def turn(self, folded: AccountView | None = None) -> Turn:
        """The turn, once it is made."""
        return Turn(self.view, tuple(self._derived), folded)

    def intend(
        self,
        key: CopyKey,
        command: Command,
        *,
        change: ChangeKey | None = None,
        not_after_us: int = 0,
        is_rest: bool = False,
    ) -> None:
        """Record a request under its derived name: the rest of another has that one's number, and its own part."""
        copy = self.view.copies.get(key)
        seq, part = (copy.last_seq if copy is not None else 0) + 1, 0
        if is_rest and copy is not None and copy.part_seq:
            seq, part = copy.part_seq, copy.part + 1
        label = label_of(self.store, *key)
        position = self.view.positions.get(command.position) if command.position is not None else None
        self.add(
            IntentRecorded(
                intent=intent_id(self.store, *key, seq, part),
                link=key[0],
                source=key[1],
                seq=seq,
                part=part,
                command=replace(command, label=label) if command.kind.adds_risk else command,
                change=change,
                volume_before=position.volume if position is not None else Volume(0),
                not_after_us=not_after_us,
            )
        )
