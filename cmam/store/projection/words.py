"""What can be searched for by words: of each record the texts that people wrote or read, with what they belong to.

Pure. Each record gives its words once, since the projector takes each record once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from cmam.domain.belief.view import resolve
from cmam.domain.events import AlertRaised, AttemptDecided, ChangeDecided, Event, IntentSettled, RequestRefused, Step
from cmam.domain.values.reasons import Verdict
from cmam.store.folding.fold import AccountStep, RegistryStep
from cmam.store.projection.rows import copy_id, record_id
from cmam.store.projection.rows_of_accounts import NOTED

Words = tuple[str, str, str | None, str]
"""What kind of thing, its id, the copy it concerns if any, and its words."""


def words_of(step: AccountStep | RegistryStep, store: str) -> Iterator[Words]:
    """The words of one record; nothing for most."""
    if isinstance(step, RegistryStep):
        yield from _of_settings(step)
        return
    record = step.record
    match record.event:
        case ChangeDecided() as event:
            copy = copy_id(store, *resolve(step.after, event.link, event.change))
            yield from _of("decision", record_id(step.after.account, record.version), copy, _of_decision(event))
        case AttemptDecided() as event:
            copy = copy_id(store, *step.after.key_of((event.link, event.source)))
            texts = (event.reason or "", *_notes(event.working))
            yield from _of("attempt", record_id(step.after.account, record.version), copy, texts)
        case IntentSettled(intent=intent, reason=reason, outcome=outcome) if reason:
            yield from _of("order", intent, _copy_of(step, intent, store), (outcome.value, reason))
        case RequestRefused(intent=intent, error_code=code, description=description):
            yield from _of("order", intent, _copy_of(step, intent, store), ("refused", code, description))
        case AlertRaised(kind=kind, text=text):
            yield from _of("alert", str(record.position), None, (kind, text))
        case event if isinstance(event, NOTED):
            yield from _of("note", str(record.position), _noted(step, event, store), _plain(event))


def _of(kind: str, name: str, copy: str | None, texts: tuple[str, ...]) -> Iterator[Words]:
    words = " ".join(dict.fromkeys(text for text in texts if text))
    if words:
        yield kind, name, copy, words


def _of_decision(event: ChangeDecided) -> tuple[str, ...]:
    change = event.change
    named = (change.label, change.comment, change.symbol.name, change.key, event.reason.value if event.reason else "")
    return (*named, *(_notes(event.working) if event.verdict is not Verdict.COPY else ()))


def _notes(working: tuple[Step, ...]) -> tuple[str, ...]:
    """Why it was skipped stands in the last line of the working."""
    return (working[-1].name, working[-1].value, working[-1].note) if working else ()


def _copy_of(step: AccountStep, intent: str, store: str) -> str | None:
    known = next((found for name, found in step.before.intents.items() if name == intent), None)
    return copy_id(store, *step.after.key_of(known.key)) if known is not None else None


def _noted(step: AccountStep, event: Event, store: str) -> str | None:
    link, source = getattr(event, "link", None), getattr(event, "source", None)
    return copy_id(store, *step.after.key_of((link, source))) if link is not None and source is not None else None


def _plain(event: Event) -> tuple[str, ...]:
    what = event.TOPIC.removeprefix("account.").replace("_", " ")
    named = (getattr(event, name, "") for name in ("guard", "reaction", "what", "user", "store"))
    return (what, *(str(text) for text in named if text))


def _of_settings(step: RegistryStep) -> Iterator[Words]:
    record = step.record
    if not record.stream.startswith("profile:"):
        return
    event = record.event
    settings = getattr(event, "settings", {})
    texts = [f"{name} {value}" for name, value in settings.items()]
    what = event.TOPIC.removeprefix("profile.").replace("_", " ")
    named = (what, getattr(event, "name", ""), getattr(event, "user", ""), *texts)
    yield from _of("setting", str(record.position), None, named)


def match_of(text: str) -> str:
    """A person's words as a full-text query: all of them, each as the beginning of a word; "" where there are none."""
    words = (word for word in re.findall(r"\w+", text) if word.strip("_"))
    return " ".join(f'"{word}"*' for word in words)
