"""A run once more by its record: an account moment by moment, and the settings that each decision was taken under.

Laws about every moment, and laws about what a decision led to, read a run through this.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from cmam.domain.belief.copies import CopyKey
from cmam.domain.belief.view import AccountView
from cmam.domain.events import AttemptDecided, ChangeDecided, CopyWoken, Event, Inputs, IntentRecorded
from cmam.domain.folds.account import evolve
from cmam.domain.profiles.link import LinkSettings, ProfileView, evolve_profile
from cmam.domain.profiles.setting_table import SETTINGS
from cmam.domain.values.changes import Change
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.reasons import Reason, Verdict
from tests.whole import Whole

DEFAULTS = {setting.name: setting.default for setting in SETTINGS}


@dataclass(frozen=True, slots=True)
class Terms:
    """The settings of a link as texts, read one by one."""

    texts: Mapping[str, str]

    def text(self, name: str) -> str:
        """A setting as it is, its default where nobody set it."""
        return self.texts.get(name, DEFAULTS[name]).strip().lower()

    def is_on(self, name: str) -> bool:
        """Whether a switch is on."""
        return self.text(name) == "on"

    def number(self, name: str) -> Fraction | None:
        """A number, or none where it is off."""
        text = self.text(name)
        return None if text == "off" else Fraction(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One record of an account, and what was believed before and after it."""

    before: AccountView
    event: Event
    after: AccountView
    at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A decision about a change, at once or after a wait, with what it rested on and the request it led to, if any."""

    link: LinkSettings
    terms: Terms
    key: CopyKey
    change: Change
    verdict: Verdict
    reason: Reason | None
    inputs: Inputs
    before: AccountView
    at_us: int
    is_attempt: bool
    request: IntentRecorded | None


def gives_up(one: Taken) -> bool:
    """Whether a netted share gives up volume by this: a close that is sent as an order. Nobody caps a close."""
    assert one.request is not None
    copy = one.before.copies.get(one.key)
    return one.request.command.kind is CommandKind.ADD and copy is not None and one.request.command.side != copy.side


def course(whole: Whole, account: int) -> Iterator[Moment]:
    """An account's record, one moment after the other."""
    view = AccountView(account=account)
    for recorded in whole.log.read_stream(f"account:{account}"):
        before, view = view, evolve(view, recorded.event, recorded.at_us)
        yield Moment(before=before, event=recorded.event, after=view, at_us=recorded.at_us)


class Settings:
    """What each link was to do at each version of its profile's settings."""

    def __init__(self, whole: Whole) -> None:
        self._by_version: dict[tuple[str, str, int], Mapping[str, str]] = {}
        for profile in {link.profile for link in whole.folded().registry.links()}:
            view = ProfileView(profile=profile)
            for recorded in whole.log.read_stream(f"profile:{profile}"):
                view = evolve_profile(view, recorded.event)
                for link in view.links.values():
                    self._by_version[profile, link.link, view.version] = {**view.settings, **link.settings}

    def at(self, link: LinkSettings, version: int) -> Terms:
        """The settings of a link at one version."""
        return Terms(self._by_version[link.profile, link.link, version])


def taken(whole: Whole, account: int) -> Iterator[Taken]:
    """Every decision of a follower with the request that it led to: what was recorded right behind it."""
    links = {link.link: link for link in whole.folded().registry.links()}
    settings, moments = Settings(whole), list(course(whole, account))
    inputs = Inputs()
    for moment, behind in zip(moments, [*moments[1:], None], strict=True):
        event = moment.event
        if isinstance(event, CopyWoken):
            inputs = event.inputs
        if not isinstance(event, ChangeDecided | AttemptDecided) or event.link not in links:
            continue
        link = links[event.link]
        if isinstance(event, ChangeDecided):
            change, inputs, source = event.change, event.inputs, event.change.source
        else:
            source = event.source
            waiting = moment.before.copies[event.link, source].change
            assert waiting is not None
            change = waiting
        request = behind.event if behind is not None and isinstance(behind.event, IntentRecorded) else None
        is_own = request is not None and request.change == change.key and request.link == event.link
        yield Taken(
            link=link,
            terms=settings.at(link, event.settings_version),
            key=(event.link, request.source if request is not None and is_own else source),
            change=change,
            verdict=event.verdict,
            reason=event.reason,
            inputs=inputs,
            before=moment.before,
            at_us=moment.at_us,
            is_attempt=isinstance(event, AttemptDecided),
            request=request if is_own else None,
        )
