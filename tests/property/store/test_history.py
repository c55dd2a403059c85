"""Laws over whole histories: whatever a leader does, the log replays, verifies and projects to one answer."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from cmam.store.auditing.audit import Audit
from cmam.store.past import replay
from cmam.store.projection import projector, schema
from cmam.store.projection.projector import Projector
from cmam.store.projection.views_file import open_views
from cmam.store.proof.verify import verify
from tests.unit.store.world import FIRST, LEADER, SECOND, World

ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["open", "stop", "part", "close", "refuse", "silence", "answer", "checkpoint"]),
        st.integers(0, 9),
    ),
    min_size=1,
    max_size=12,
)


def _history(actions: list[tuple[str, int]]) -> World:
    world = World().set_up()
    for what, number in actions:
        held = sorted(world.views[LEADER].positions)
        match what:
            case "open":
                world.leader_opens(100_000 * (number + 1) ** 3)
            case "refuse":
                world.refuses ^= {FIRST}
            case "silence":
                world.silent ^= {SECOND}
            case "answer":
                world.refuses.clear()
                world.silent.clear()
            case "checkpoint":
                world.write_checkpoint()
            case _ if not held:
                world.leader_opens()
            case "stop":
                world.leader_moves_stop(held[number % len(held)], f"1.0{number}000")
            case "part":
                position = held[number % len(held)]
                volume = world.views[LEADER].positions[position].volume
                world.leader_closes(position, max(1, volume * (number + 1) // 11))
            case "close":
                world.leader_closes(held[number % len(held)])
    return world


@settings(max_examples=30)
@given(ACTIONS, st.integers(1, 60))
def test_any_history_has_one_answer(actions: list[tuple[str, int]], page: int) -> None:
    """It verifies, replays byte for byte, meets one decision per change and link, and projects alike in any pages."""
    world = _history(actions)
    assert verify(world.log.raw()).is_whole
    result = replay.verify(world.log.read_all())
    assert result.is_identical, str(result.differences[0])
    audit = Audit.of(world.log)
    met = [(line["change"], line["follower"]) for line in audit.decisions()]
    assert len(met) == len(set(met)) == 2 * len({change for change, _ in met})
    assert [copy["copy_id"] for copy in audit.copies()] == [
        line["copy_id"] for line in audit.decisions() if line["kind"] == "opened" and line["verdict"] == "copy"
    ]
    whole, projector.PAGE = projector.PAGE, page
    try:
        views = open_views(world.log, None)
        Projector(world.log, views).project()
    finally:
        projector.PAGE = whole
    for table in (schema.COPIES, schema.ORDERS, schema.ACCOUNTS, schema.DECISIONS):
        assert list(views.table(table).rows) == list(audit.views.table(table).rows)
