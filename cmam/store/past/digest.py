"""One line that stands for a whole replay: what today's code derives from a log, and where it leaves every account.

Two machines, hash seeds, time zones or versions agree exactly when their digests do. Fields that came into being after
a record was written are left out, so that an old log keeps its digest for as long as its decisions do.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any

from cmam.domain.belief.copies import Copy
from cmam.domain.belief.view import AccountView
from cmam.domain.events import Event
from cmam.store.past.replay import Replay
from cmam.store.records.envelope import Recorded, said_in
from cmam.store.records.sameness import spoken


def replay_digest(records: Iterable[Recorded]) -> str:
    """Replay a log and digest it, as 64 hex digits; what differs from the record changes the digest."""
    whole = hashlib.sha256()

    def take(*line: Any) -> None:
        text = json.dumps(line, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        whole.update(f"{text}\n".encode())

    def derived(record: Recorded, computed: Event) -> None:
        take(record.stream, record.version, computed.TOPIC, spoken(computed, said_in(record.state, record.event)))

    replay = Replay(derived)
    result = replay.run(records)
    take("result", result.records, result.inputs, result.derived, result.decisions)
    for difference in result.differences:
        take("difference", difference.stream, difference.version, difference.computed)
    for number, view in sorted(replay.views.items()):
        take("account", int(number), *_state(view))
    return whole.hexdigest()


def _state(view: AccountView) -> Iterator[Any]:
    """What is believed of an account, in the words that every version of cmam has."""
    yield [view.version, view.health.value, view.balance, view.flatten_account]
    yield [[int(key), int(held.volume), held.side.value, held.price] for key, held in sorted(view.positions.items())]
    yield [[int(key), int(order.volume), order.side.value] for key, order in sorted(view.orders.items())]
    yield [_copy(copy) for _, copy in sorted(view.copies.items())]
    yield [_copy(copy) for _, copy in sorted(view.finished.items())]
    yield [[str(name), intent.state.value, int(intent.filled)] for name, intent in sorted(view.intents.items())]
    yield [[*map(str, key), latch.reaction, latch.value, latch.limit] for key, latch in sorted(view.latches.items())]
    yield [[str(link), cursor.version, cursor.index] for link, cursor in sorted(view.cursors.items())]


def _copy(copy: Copy) -> list[Any]:
    return [
        str(copy.link),
        str(copy.source),
        copy.state.value,
        copy.side.value,
        int(copy.volume),
        int(copy.opened_volume),
        copy.goal.target_numerator,
        copy.goal.target_denominator,
        copy.open_price,
        copy.close_price,
        copy.reason.value if copy.reason is not None else None,
    ]
