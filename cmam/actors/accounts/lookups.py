"""When an account looks up what is unknown, and how: what a snapshot shows does not wait for the orders of the past."""

from __future__ import annotations

from collections.abc import Iterator

from cmam.actors.asking.preparation import Kind
from cmam.clock import SECOND_US
from cmam.domain.belief.parts import are_to_be_read
from cmam.domain.belief.proofs import looks_due
from cmam.domain.belief.view import AccountView

LOOKUP_US = 5 * SECOND_US
"""How soon after one look-up the next of its kind may follow."""
PART_US = SECOND_US
"""The same where a close waits for it: no sooner is one that was refused asked for again."""
KINDS = (Kind.READBACK, Kind.LOOKUP, Kind.REFRESH)


class Lookups:
    """Which look-ups are due, and since when; a history that was refused keeps no other look waiting."""

    def __init__(self, settle_us: int) -> None:
        self._settle_us = settle_us
        self._begun_us: dict[Kind, int] = {}
        self._past_from_us = 0

    def due(self, view: AccountView) -> Iterator[tuple[int, Kind]]:
        """The kinds of looks that what is unknown asks for, with their moments, the most urgent first: a close or a
        level that was lost is in what a snapshot shows."""
        for kind, moment in zip(KINDS, looks_due(view, self._settle_us), strict=True):
            if moment is not None:
                is_for_close = kind is Kind.REFRESH and are_to_be_read(view)
                at_us = max(moment, self._begun_us.get(kind, 0) + (PART_US if is_for_close else LOOKUP_US))
                yield max(at_us, self._past_from_us) if kind is Kind.LOOKUP else at_us, kind

    def begun(self, kind: Kind, now_us: int) -> None:
        """Note that a look was begun."""
        self._begun_us[kind] = now_us

    def refused(self, until_us: int) -> None:
        """The orders of the past are refused until then."""
        self._past_from_us = until_us

    def told(self) -> None:
        """The orders of the past are told, or there is a new line over which they may be."""
        self._past_from_us = 0

    def lacks_past(self, view: AccountView) -> bool:
        """Whether orders of the past are needed and were refused."""
        return self._past_from_us > 0 and looks_due(view, self._settle_us).history is not None
