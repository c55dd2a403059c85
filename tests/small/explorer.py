"""Depth first through all that may happen in a small world; what was seen before is not gone through again."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from hashlib import blake2b

from tests.small.laws import broken, wrong_at_end
from tests.small.world import Setting, World, begin, moves

STORY_MAX = 200


@dataclass
class Found:
    """What an exploration came to."""

    moments: int = 0
    ends: int = 0
    wrong: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)


def explore(setting: Setting, *, most: int = 0, wrongs: int = 1) -> Found:
    """Go through a world; at most so many moments where that is not 0, and until so many things were found wrong."""
    found, seen = Found(), set[bytes]()
    waiting: list[World] = [begin(setting)]
    while waiting and not 0 < most <= found.moments:
        world = waiting.pop()
        found.moments += 1
        if text := broken(world):
            found.wrong.append((text, world.story))
        else:
            after = [replace(later, story=(*world.story, name)) for name, later in moves(world)]
            if not after:
                found.ends += 1
                if text := wrong_at_end(world):
                    found.wrong.append((text, world.story))
            for later in reversed(after):
                if len(later.story) > STORY_MAX:
                    found.wrong.append(("it has no end", later.story))
                    continue
                key = blake2b(later.identity, digest_size=12).digest()
                if key not in seen:
                    seen.add(key)
                    waiting.append(later)
        if len(found.wrong) >= wrongs:
            break
    return found
