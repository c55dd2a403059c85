"""Where settings come from and go to: `settings.toml`, with the environment over it.

An environment variable wins over the file and is never written into it. Must not know what the settings mean.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Collection, Mapping
from typing import Any

from cmam.config.files import open_to_read, refusal, write_whole
from cmam.config.home import Home
from cmam.config.settings import Problem, Settings, SettingsInvalid, as_document, check, names, notes

FILE_BYTES_MAX = 1_000_000
"""Far more than all settings with their notes."""

FILE = "settings.toml"
"""The name of a fault that is the whole file's."""

BOTH = {"CMAM_HOST": ("live_host", "demo_host"), "CMAM_PORT": ("live_port", "demo_port")}
"""Variables that speak of both environments at once, like the options --host and --port."""


def load_settings(home: Home, environment: Mapping[str, str]) -> Settings:
    """What holds now: defaults, the file over them, the environment over both; raises SettingsInvalid."""
    values, sources = _over(environment, *_stored(home))
    return check(values, sources=sources)


def settings_in_need(
    home: Home, environment: Mapping[str, str], needed: Collection[str], recorded: Mapping[str, str] | None = None
) -> tuple[Settings, tuple[Problem, ...]]:
    """What holds now, for what must not wait until a slip is mended: faults in what is not `needed` come back beside
    it, with the default in their place. Raises SettingsInvalid for the others, and where the file cannot be read,
    unless settings that a person had once are `recorded`: then the file is a fault like the others."""
    passed: list[Problem] = []
    try:
        stored = _stored(home)
    except SettingsInvalid as unreadable:
        if not recorded:
            raise
        passed += unreadable.problems
        stored = dict(recorded), {name: f"{name} as `cmam api configure` last recorded it" for name in recorded}
    values, sources = _over(environment, *stored)
    while True:
        try:
            return check(values, sources=sources), tuple(passed)
        except SettingsInvalid as invalid:
            if any(problem.name in needed for problem in invalid.problems):
                raise
            passed += invalid.problems
            for name in {problem.name for problem in invalid.problems}:
                del values[name]  # only what was given can be wrong


def _over(
    environment: Mapping[str, str], values: dict[str, Any], sources: dict[str, str]
) -> tuple[dict[str, Any], dict[str, str]]:
    """The environment over what is stored."""
    for variable, targets in BOTH.items():
        for name in targets if environment.get(variable) else ():
            values[name] = environment[variable]
            sources[name] = variable
    for name in names():
        variable = f"CMAM_{name.upper()}"
        if environment.get(variable):
            values[name] = environment[variable]
            sources[name] = variable
    return values, sources


def edit_settings(home: Home, changes: Mapping[str, Any]) -> Settings:
    """Change what is named, keep what is not, and write it if all of it is valid; raises SettingsInvalid.

    A value of None puts a setting back to its default. Nothing is written when anything is invalid.
    """
    values, sources = _stored(home)
    for name, value in changes.items():
        sources.pop(name, None)
        if value is None:
            values.pop(name, None)
        else:
            values[name] = value
    settings = check(values, look=True, sources=sources)
    home.prepare()
    write_whole(home.settings, _as_toml(settings).encode())
    return settings


def preview_settings(home: Home, changes: Mapping[str, Any]) -> Settings:
    """What `edit_settings` would write, without writing it; raises SettingsInvalid."""
    values, sources = _stored(home)
    values.update({name: value for name, value in changes.items() if value is not None})
    return check(values, look=True, sources={k: v for k, v in sources.items() if k not in changes})


def _stored(home: Home) -> tuple[dict[str, Any], dict[str, str]]:
    try:
        with open_to_read(home.settings) as file:
            values = tomllib.loads(file.read(FILE_BYTES_MAX).decode())
    except FileNotFoundError:
        return {}, {}
    except (OSError, ValueError, RecursionError) as error:  # no UTF-8, no TOML, a number of thousands of digits
        found = refusal(error, home.settings) if isinstance(error, OSError) else str(error)
        problem = Problem(FILE, found, "a readable TOML file", str(home.settings))
        raise SettingsInvalid((problem,)) from None
    return values, {name: f"{name} in {home.settings}" for name in values}


def _as_toml(settings: Settings) -> str:
    meanings = {note.name: note for note in notes()}
    lines = ["# Settings of cmam, written by `cmam api configure`. Secrets are kept elsewhere.", ""]
    for name, value in as_document(settings).items():
        if value == _typed(meanings[name].default, value):
            continue
        lines += [f"# {meanings[name].meaning}", f"{name} = {_toml_value(value)}", ""]
    return "\n".join(lines)


def _typed(default: str, like: str | int | bool) -> str | int | bool:
    if isinstance(like, bool):
        return default == "true"
    return int(default) if isinstance(like, int) else default


def _toml_value(value: str | int | bool) -> str:
    # JSON's escapes are a subset of those of TOML's basic strings, but for DEL.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
