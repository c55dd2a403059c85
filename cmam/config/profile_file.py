"""Profiles in a TOML file: read with all faults at once, and written so that they read back as the same.

Knows the file's shape and nothing of what a setting may be; `domain/operating/applying.py` judges the values and says
what is different. Settings may be written `volume.amount = 0.5` or `"volume.amount" = "0.5"`.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from cmam.config.files import open_to_read

FILE_BYTES_MAX = 4_000_000
PROFILES_MAX = 1_000
DEPTH_MAX = 4
"""A setting's name has two parts; deeper tables are a mistake that is named, not followed."""

PROFILE_KEYS = ("name", "leader", "state", "settings", "follower")
FOLLOWER_KEYS = ("account", "settings")
STATES = ("running", "paused", "stopped")

_BARE = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


class ProfileFileInvalid(Exception):
    """A file that is not profiles: each fault with its place, what was found and what is allowed, one a line."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


def read_profile_file(path: Path) -> list[dict[str, Any]]:
    """The profiles of a file, or of stdin where the path is `-`; raises ProfileFileInvalid with every fault of its
    shape."""
    return profiles_of(_text_of(path), path)


def profiles_of(text: str, path: Path) -> list[dict[str, Any]]:
    """The profiles of a text, and the path that its faults name; raises ProfileFileInvalid with every one of them."""
    try:
        document = tomllib.loads(text.removeprefix("\ufeff"), parse_float=Decimal)
    except (ValueError, RecursionError) as error:  # no TOML, a number of thousands of digits, thousands of brackets
        raise ProfileFileInvalid([f"{path}: this is not TOML: {error}"]) from None
    faults: list[str] = []
    for key in document:
        if key != "profile":
            faults.append(f"{key}: expected only [[profile]] at the top of the file")
    entries = document.get("profile", [])
    if isinstance(entries, dict):
        raise ProfileFileInvalid([*faults, f"{path}: expected [[profile]] in two brackets, found [profile] in one"])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries) or not entries:
        raise ProfileFileInvalid([*faults, f"{path}: there is no [[profile]] in it"])
    if len(entries) > PROFILES_MAX:
        raise ProfileFileInvalid([f"{path}: expected at most {PROFILES_MAX} profiles, found {len(entries)}"])
    profiles = [_profile(entry, number, faults) for number, entry in enumerate(entries, start=1)]
    if faults:
        raise ProfileFileInvalid(faults)
    return profiles


def _text_of(path: Path) -> str:
    try:
        data = sys.stdin.buffer.read(FILE_BYTES_MAX + 1) if str(path) == "-" else _bytes_of(path)
        if len(data) > FILE_BYTES_MAX:
            raise ProfileFileInvalid([f"{path}: the file is larger than {FILE_BYTES_MAX} bytes"])
        return data.decode("utf-8")
    except OSError as error:
        raise ProfileFileInvalid([f"{path} cannot be read: {error.strerror or error}"]) from None
    except UnicodeDecodeError:
        raise ProfileFileInvalid([f"{path}: this is not text in UTF-8"]) from None


def _bytes_of(path: Path) -> bytes:
    with open_to_read(path) as file:
        return file.read(FILE_BYTES_MAX + 1)


def _profile(entry: Mapping[str, Any], number: int, faults: list[str]) -> dict[str, Any]:
    name = entry.get("name")
    where = f"profile {name!r}" if isinstance(name, str) and name else f"profile number {number}"
    faults += [f"{where}: {_unknown(key, PROFILE_KEYS)}" for key in entry if key not in PROFILE_KEYS]
    if not isinstance(name, str) or not name.strip():
        faults.append(f"{where}, name: expected a text, found {_shown(name)}")
    state = entry.get("state")
    if state is not None and state not in STATES:
        faults.append(f"{where}, state: expected {', '.join(STATES)}, found {_shown(state)}")
    followers = entry.get("follower", [])
    if not isinstance(followers, list) or not all(isinstance(one, dict) for one in followers) or not followers:
        faults.append(f"{where}: there is no [[profile.follower]]")
        followers = []
    return {
        "name": name.strip() if isinstance(name, str) else "",
        "leader": _account(entry.get("leader"), f"{where}, leader", faults),
        "state": state,
        "settings": _settings(entry.get("settings", {}), where, faults),
        "followers": [_follower(one, where, at, faults) for at, one in enumerate(followers, start=1)],
    }


def _follower(entry: Mapping[str, Any], where: str, number: int, faults: list[str]) -> dict[str, Any]:
    account = entry.get("account")
    here = f"{where}, follower {account if account is not None else f'number {number}'}"
    faults += [f"{here}: {_unknown(key, FOLLOWER_KEYS)}" for key in entry if key not in FOLLOWER_KEYS]
    return {
        "account": _account(account, f"{here}, account", faults),
        "settings": _settings(entry.get("settings", {}), here, faults),
    }


def _unknown(key: str, known: tuple[str, ...]) -> str:
    hint = "; a setting belongs under settings" if key not in known else ""
    return f"expected {', '.join(known)}, found {key!r}{hint}"


def _account(value: Any, where: str, faults: list[str]) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int)) or not str(value).strip():
        faults.append(f"{where}: expected a ctid, an alias or broker:login, found {_shown(value)}")
        return ""
    return str(value).strip()


def _shown(value: Any) -> str:
    """A value as it stands in the file."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case Decimal():
            return str(value)
        case _:
            return repr(value)


def _settings(value: Any, where: str, faults: list[str]) -> dict[str, str]:
    if not isinstance(value, dict):
        faults.append(f"{where}, settings: expected a table of settings, found {_shown(value)}")
        return {}
    found: dict[str, str] = {}
    for name, setting in _flat(value, "", 0):
        text = _text(setting)
        if text is None:
            faults.append(f"{where}, {name}: expected a text, a number, true, false or a list of texts")
        elif name in found:
            faults.append(f"{where}, {name}: it is there twice")
        else:
            found[name] = text
    return found


def _flat(table: Mapping[str, Any], prefix: str, depth: int) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and depth < DEPTH_MAX and value:
            yield from _flat(value, f"{name}.", depth + 1)
        else:
            yield name, value


def _text(value: Any) -> str | None:
    match value:
        case bool():
            return "on" if value else "off"
        case str():
            return value
        case int():
            return str(value)
        case Decimal():
            return f"{value:f}" if value.is_finite() else str(value)
        case list() if value and all(isinstance(one, str) for one in value):
            return ",".join(value)
        case _:
            return None


# --- writing ----------------------------------------------------------------------------------------------------------


def write_profile_file(profiles: Iterable[Mapping[str, Any]]) -> str:
    """Write profiles, as `read_profile_file` gives them and with `shown` names as remarks, as TOML."""
    lines: list[str] = []
    for profile in profiles:
        lines += ["[[profile]]", f"name = {_quoted(profile['name'])}"]
        lines.append(f"leader = {_quoted(profile['leader'])}{_remark(profile.get('leader_shown'))}")
        lines.append(f"state = {_quoted(profile['state'])}")
        lines += _settings_lines("profile.settings", profile["settings"])
        for follower in profile["followers"]:
            lines += ["", "[[profile.follower]]"]
            lines.append(f"account = {_quoted(follower['account'])}{_remark(follower.get('shown'))}")
            lines += _settings_lines("profile.follower.settings", follower["settings"])
        lines.append("")
    return "\n".join(lines)


def _settings_lines(head: str, settings: Mapping[str, str]) -> list[str]:
    if not settings:
        return []
    return ["", f"[{head}]", *(f"{_key(name)} = {_value(value)}" for name, value in settings.items())]


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _quoted(name)


def _value(value: str) -> str:
    """A text; one of several lines, such as a symbol table, keeps its lines."""
    if "\n" in value and "'''" not in value and all(c.isprintable() or c in "\n\t" for c in value):
        return f"'''\n{value}'''"
    return _quoted(value)


def _quoted(text: str) -> str:
    # JSON's escapes are a subset of those of TOML's basic strings, but for DEL.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _remark(shown: str | None) -> str:
    clean = "".join(c for c in shown or "" if c.isprintable())
    return f"  # {clean}" if clean else ""
