"""The copy rules of stops that trail and of levels that people move, written a second time from their description."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from tests.oracle.rules import DEFAULTS, Standing, Symbol, carried_levels

Level = Fraction | None


@dataclass(frozen=True, slots=True)
class Levels:
    """A position's stop and target as prices, and whether the stop trails."""

    stop: Level
    target: Level
    trails: bool = False


def is_tighter(level: Level, than: Level, copy: Standing, *, is_stop: bool) -> bool:
    """Whether a level lies nearer to the market than another, where none is the farthest."""
    if level is None or than is None:
        return level is not None
    return (level > than) is (copy.is_long is is_stop) and level != than


def _is_near(level: Level, other: Level, symbol: Symbol | None) -> bool:
    """Whether two levels are the same but for some ticks that a stop may have trailed, where the symbol is given."""
    if level is None or other is None or symbol is None:
        return level == other
    return abs(level - other) <= 3 * symbol.tick


@dataclass(slots=True)
class Touched:
    """What becomes of a copy's levels by these settings, whoever moves what."""

    settings: Mapping[str, str]

    def text(self, name: str) -> str:
        return self.settings.get(name, DEFAULTS[name])

    def number(self, name: str) -> Fraction:
        return Fraction(self.text(name))

    @property
    def is_reversed(self) -> bool:
        return self.text("reverse") == "on"

    @property
    def trails_itself(self) -> bool:
        """Whether the leader's trailing becomes the copy's own."""
        return self.text("copy_trailing") == "on" and not self.is_reversed and self.copies("stop")

    def copies(self, name: str) -> bool:
        """Whether that level of the copy's is one of the leader's."""
        return self.text("copy_sl" if name == "stop" else "copy_tp") == "on"

    def carried(self, copy: Standing, his: Levels, symbol: Symbol) -> dict[str, Level]:
        """The leader's levels as the copy's."""
        stop, target = carried_levels(copy, his.stop, his.target, symbol, self.settings)
        return {"stop": stop, "target": target}

    def of(self, moved: set[str]) -> set[str]:
        """Which of the copy's levels those of the leader's are."""
        if not self.is_reversed:
            return moved
        return {{"stop": "target", "target": "stop"}.get(name, name) for name in moved}

    def amended(
        self, copy: Standing, has: Levels, pins: set[str], was: Levels, his: Levels, moved: set[str], symbol: Symbol
    ) -> list[Levels]:
        """What a copy's levels may be once the leader has moved these of his, which are now as told."""
        carried = self.carried(copy, his, symbol)
        speaks = "trails" in moved and self.trails_itself
        found: dict[str, list[Level]] = {}
        for name, level, had in (("stop", carried["stop"], has.stop), ("target", carried["target"], has.target)):
            is_stop = name == "stop"
            if not self.copies(name):
                found[name] = [had]
            elif name not in self.of(moved):
                found[name] = [had]
                has_ended = is_stop and was.trails and not his.trails and has.trails and self.trails_itself
                if has_ended and is_tighter(level, had, copy, is_stop=True) and not pins & {"stop", "trails"}:
                    found[name] = [level]  # his broker has trailed farther than its own: that is where it ends
                # It trails by no broker of its own, or less far: his has trailed past it, and is what holds then.
                may_lag = is_stop is not self.is_reversed and ("trails" in moved or his.trails)
                if may_lag and is_tighter(level, had, copy, is_stop=is_stop):
                    found[name].append(level)
            elif name in pins or (is_stop and "trails" in pins and has.trails and not speaks):
                found[name] = [level if is_tighter(level, had, copy, is_stop=is_stop) else had]
            else:
                found[name] = [level]
                is_kept = (
                    is_stop
                    and has.trails
                    and self.trails_itself
                    and not is_tighter(was.stop, his.stop, copy, is_stop=True)
                )
                if is_kept and is_tighter(had, level, copy, is_stop=True):
                    found[name].append(had)  # it has come farther than his
        trails = has.trails
        if carried["stop"] is None and not speaks:
            trails = has.trails
        elif self.trails_itself and (speaks or "trails" not in pins):
            trails = his.trails
        elif self.text("human_levels") == "leader" and self.copies("stop") and carried["stop"] is not None:
            trails = False
        return [
            Levels(stop, target, trails and stop is not None) for stop in found["stop"] for target in found["target"]
        ]

    def pins_left(
        self, copy: Standing, pins: set[str], got: Levels, his: Levels, moved: set[str], symbol: Symbol
    ) -> set[str]:
        """What is a person's still after the leader has moved these."""
        carried = self.carried(copy, his, symbol)
        taken = {
            name
            for name, level in (("stop", got.stop), ("target", got.target))
            if name in self.of(moved)
            and self.copies(name)
            and _is_near(level, carried[name], symbol if name == "stop" and got.trails else None)
        }
        if "trails" in moved and self.trails_itself:
            taken.add("trails")
        return pins - taken

    def pinned(self, had: Levels, now: Levels, his: Levels) -> set[str]:
        """Which levels are a person's after he has moved them."""
        if self.text("human_levels") == "leader":
            return set()
        found = {name for name in ("stop", "target", "trails") if getattr(had, name) != getattr(now, name)}
        return found | ({"stop"} if had.trails and not now.trails and now.stop is not None else set())

    def touched(
        self, copy: Standing, had: Levels, now: Levels, pins: set[str], his: Levels, symbol: Symbol
    ) -> list[Levels]:
        """What a copy's levels may be after a person has moved them from those to these."""
        if self.text("human_levels") == "pin" or had == now:
            return [now]
        carried = self.carried(copy, his, symbol)
        found: dict[str, list[Level]] = {}
        for name in ("stop", "target"):
            person, before, level = getattr(now, name), getattr(had, name), carried[name]
            if not self.copies(name) or level is None or person == before:
                found[name] = [person]
            else:
                found[name] = [level]
                if his.trails or is_tighter(before, level, copy, is_stop=name == "stop"):
                    found[name].append(before)  # he follows in steps, and what has trailed farther stays
                if his.trails and self.trails_itself and is_tighter(person, before, copy, is_stop=True):
                    found[name].append(person)  # no amend loosens a stop that trails
        trails = [now.trails]
        if had.trails != now.trails and self.copies("stop") and carried["stop"] is not None:
            trails = [his.trails and self.trails_itself]
        return [
            Levels(stop, target, t and stop is not None)
            for stop in found["stop"]
            for target in found["target"]
            for t in trails
        ]
