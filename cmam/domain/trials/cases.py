"""A decision as a case that can be tried again: all it rested on, and what one altered input or setting makes of it.

It asks the rules themselves, by running them again, and knows none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from dataclasses import replace as dataclass_replace
from typing import Any

from cmam.domain.belief.copies import Copy
from cmam.domain.belief.view import AccountView
from cmam.domain.deciding.attempts import attempt
from cmam.domain.deciding.decide import decide
from cmam.domain.deciding.decision import Decision
from cmam.domain.events import CopyWoken, Inputs
from cmam.domain.profiles.link import LinkSettings
from cmam.domain.profiles.policy import BY_NAME, Policy, check_settings, policy_of
from cmam.domain.values.changes import Change
from cmam.domain.values.reasons import Reason, Verdict
from cmam.domain.values.replacing import replace

STEPS_MAX = 1 << 40
"""The farthest that a search goes from where a number stands, in steps of its grid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """All that one decision rested on. With `waiting`, it was about an open that had waited since an earlier one."""

    view: AccountView
    change: Change
    link: LinkSettings
    inputs: Inputs
    now_us: int
    waiting: Copy | None = None

    def run(self) -> Decision | None:
        """Decide it; None where it would go on waiting."""
        if self.waiting is None:
            return decide(self.view, self.change, self.link, self.inputs, self.now_us)
        woken = CopyWoken(
            link=self.link.link,
            source=self.waiting.source,
            inputs=self.inputs,
            settings=self.link.settings,
            settings_version=self.link.version,
        )
        return attempt(self.view, self.waiting, woken, self.link, self.now_us)

    @property
    def policy(self) -> Policy:
        """The policy that holds for the symbol."""
        return self.link.policy.for_symbol(self.change.symbol.name)

    def setting(self, name: str) -> str:
        """What a setting says, by its default where nobody set it."""
        return self.link.settings.get(name, BY_NAME[name].default)

    def with_setting(self, name: str, value: str) -> Case | None:
        """The same under another setting; None where that could not be saved."""
        settings = {**self.link.settings, name: value}
        if any(fault.name == name for fault in check_settings(settings)):
            return None
        link = dataclass_replace(self.link, settings=settings, policy=policy_of(settings))
        return dataclass_replace(self, link=link)

    def with_inputs(self, **changes: Any) -> Case:
        """The same with other inputs."""
        return dataclass_replace(self, inputs=dataclass_replace(self.inputs, **changes))

    def with_view(self, **changes: object) -> Case:
        """The same on an account of which something else is true."""
        return dataclass_replace(self, view=replace(self.view, **changes))

    def with_change(self, **changes: Any) -> Case:
        """The same for a leader who did it otherwise; an open that waited remembers the change in its copy."""
        change = dataclass_replace(self.change, **changes)
        waiting = dataclass_replace(self.waiting, change=change) if self.waiting is not None else None
        return dataclass_replace(self, change=change, waiting=waiting)

    def at(self, now_us: int) -> Case:
        """The same at another moment, with every quote as old as it was."""
        later = now_us - self.now_us
        quotes = {
            name: dataclass_replace(quote, seen_us=quote.seen_us + later) for name, quote in self.inputs.quotes.items()
        }
        return dataclass_replace(self.with_inputs(quotes=quotes), now_us=now_us)


def reason_of(decision: Decision | None) -> Reason | None:
    """The reason of a decision; None where it copies or waits on."""
    return decision.reason if decision is not None else None


def copies(decision: Decision | None) -> bool:
    """Whether something would have been copied."""
    return decision is not None and decision.verdict is Verdict.COPY


@dataclass(frozen=True, slots=True, kw_only=True)
class Alteration:
    """One thing that was otherwise: a setting by its name, or an input in words; what it was, and what it is now."""

    what: str
    was: str
    needs: str
    is_setting: bool = False

    def __str__(self) -> str:
        return f"{self.what}={self.needs} (was {self.was})" if self.is_setting else f"{self.needs} ({self.was})"


Tried = tuple[Alteration, Case]
Knob = Callable[[Case, Reason], "Tried | None"]
"""Turns one thing as little as needed, so that a case gets past a reason; None where it cannot."""


def gets_past(case: Case | None, reason: Reason) -> bool:
    """Whether a case is not stopped by this reason any more."""
    return case is not None and reason_of(case.run()) is not reason


def least(make: Callable[[int], Case | None], reason: Reason, limit: int = STEPS_MAX) -> int | None:
    """The fewest steps, from one up, that get past a reason; None where none do. What passes goes on passing."""
    far = 1
    while not gets_past(make(far), reason):
        if far >= limit:
            return None
        far = min(far * 2, limit)
    near = far // 2
    while far - near > 1:
        middle = (near + far) // 2
        if gets_past(make(middle), reason):
            far = middle
        else:
            near = middle
    return far


def by_setting(case: Case, name: str, value: str) -> Tried | None:
    """A case under another value of a setting, told as an alteration."""
    altered = case.with_setting(name, value)
    if altered is None:
        return None
    return Alteration(what=name, was=case.setting(name), needs=value, is_setting=True), altered


def first_of(case: Case, reason: Reason, name: str, values: Mapping[str, None] | tuple[str, ...]) -> Tried | None:
    """The first of some values of a setting that gets past a reason."""
    for value in values:
        tried = by_setting(case, name, value)
        if tried is not None and value != case.setting(name) and gets_past(tried[1], reason):
            return tried
    return None
