"""Replay: what was derived is derived again, byte for byte, and whatever differs is named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import msgspec
import pytest

from cmam.domain.events import ChangeDecided, IntentRecorded, LinkSettingsChanged
from cmam.domain.values.ids import AccountId, PositionId
from cmam.domain.values.quantities import Volume
from cmam.store.folding.fold import fold
from cmam.store.past import replay
from cmam.store.records.envelope import Decoding, Pending, Raw, Recorded, encode_whole

from .world import FIRST, LEADER, LINKS, SECOND, World, a_day


def _records(world: World) -> list[Recorded]:
    return list(world.log.read_all())


def test_a_day_comes_out_as_it_was_recorded() -> None:
    """Every decision, request and outcome, from the inputs alone."""
    result = replay.verify(_records(a_day()))
    assert result.is_identical
    assert (result.decisions, result.records) == (16, 75)
    assert result.derived > result.decisions


def test_settings_that_changed_later_do_not_change_the_past() -> None:
    """A decision is derived again under the settings it was made by."""
    world = a_day()
    world.write_profile(LinkSettingsChanged(link=LINKS[FIRST], settings={"volume.amount": "3"}))
    world.leader_opens(1_000_000)
    assert replay.verify(_records(world)).is_identical


def _changed(records: list[Recorded], kind: type, **fields: object) -> Iterator[Recorded]:
    """The records, the first of a kind with other fields."""
    done = False
    for record in records:
        if not done and isinstance(record.event, kind):
            done = True
            yield msgspec.structs.replace(record, event=replace(record.event, **fields))
        else:
            yield record


def test_a_decision_with_another_volume_is_named() -> None:
    """The difference says where, what was recorded, and what comes out."""
    result = replay.verify(_changed(_records(a_day()), ChangeDecided, volume=Volume(1)))
    first = result.differences[0]
    assert (first.stream, first.topic) == (f"account:{FIRST}", "account.change_decided")
    assert '"volume":1,' in first.recorded
    assert '"volume":5000000,' in first.computed


def _without(records: list[Recorded], kind: type, drop: str, **data: object) -> Iterator[Recorded]:
    """The records, those of a kind stored without a field, as a version that did not have it would have."""
    for record in records:
        if isinstance(record.event, kind):
            whole = Pending(record.stream, record.version, record.at_us, record.event, record.cause, record.settings)
            envelope = json.loads(encode_whole(whole, record.code, record.prev))
            envelope["data"].pop(drop)
            envelope["data"].update(data)
            raw = Raw(record.position, record.stream, record.version, record.topic, json.dumps(envelope).encode())
            yield Decoding().read(raw)
        else:
            yield record


def test_fields_that_came_later_are_not_held_against_an_older_record() -> None:
    """An older record does not speak of them; of what it speaks, everything must come out."""
    records = _records(a_day())
    assert replay.verify(_without(records, IntentRecorded, "volume_before")).is_identical
    assert not replay.verify(_without(records, IntentRecorded, "volume_before", seq=77)).is_identical
    assert not replay.verify(_without(records, ChangeDecided, "goal", verdict="skip")).is_identical


def test_what_a_record_leaves_out_is_held_against_it() -> None:
    """Since form 2 a missing field is a field at its default: taking one away changes what the record says."""
    records = _records(a_day())
    place, record = next(
        (n, r) for n, r in enumerate(records) if isinstance(r.event, IntentRecorded) and r.event.volume_before
    )
    assert isinstance(record.event, IntentRecorded)
    words = f',"volume_before":{record.event.volume_before}'.encode()
    assert words in record.state
    raw = Raw(record.position, record.stream, record.version, record.topic, record.state.replace(words, b""))
    (first, *_) = replay.verify([*records[:place], Decoding().read(raw), *records[place + 1 :]]).differences
    assert (first.stream, first.version) == (record.stream, record.version)


def test_a_request_that_nothing_leads_to_is_named() -> None:
    """A forged or repeated request does not pass, wherever it stands."""
    records = _records(a_day())
    place = next(n for n, record in enumerate(records) if isinstance(record.event, IntentRecorded))
    twice = [*records[: place + 1], records[place], *records[place + 1 :]]
    (first, *_) = replay.verify(twice).differences
    assert "nothing that came before it leads to it" in first.why


def test_what_should_have_followed_and_is_missing_is_named() -> None:
    """A request that was decided but is not on record shows at its decision."""
    records = _records(a_day())
    place = next(n for n, record in enumerate(records) if isinstance(record.event, IntentRecorded))
    (first, *_) = replay.verify(records[:place] + records[place + 1 :]).differences
    assert "account.intent_recorded follows from it, but is not recorded" in first.why
    assert first.topic == "account.change_decided"


def test_a_change_that_met_no_decision_is_named() -> None:
    """A link that passed over one of its leader's changes lost a trade: the next decision shows it."""
    world = World().set_up()
    world.leader_opens(1_000_000)
    links, world.links = world.links, tuple
    world.leader_opens(2_000_000)
    world.links = links
    world.leader_opens(3_000_000)
    differences = replay.verify(_records(world)).differences
    assert len(differences) == 2
    assert all("met no decision before it" in difference.why for difference in differences)


def test_a_change_that_the_leader_never_told_is_named() -> None:
    """A decision must rest on what stands in the leader's stream."""
    records = _records(a_day())
    known = next(record.event for record in records if isinstance(record.event, ChangeDecided))
    forged = replace(known.change, position=PositionId(1))
    differences = replay.verify(_changed(records, ChangeDecided, change=forged)).differences
    assert any("tells" in difference.why and str(LEADER) in difference.why for difference in differences)


@pytest.mark.parametrize("leader", [SECOND, AccountId(77)])
def test_a_decision_about_another_leader_than_the_links_is_named(leader: AccountId) -> None:
    """Also about one that has no record here at all, and could tell nothing."""
    records = _records(a_day())
    for known in [record.event for record in records if isinstance(record.event, ChangeDecided)]:
        forged = [
            msgspec.structs.replace(one, event=replace(known, change=replace(known.change, leader=leader)))
            if one.event is known
            else one
            for one in records
        ]
        differences = replay.verify(forged).differences
        assert any(f"follows account {LEADER}" in difference.why for difference in differences)


def test_a_decision_in_another_accounts_stream_is_named() -> None:
    """A link joins one follower: what it decides stands in that one's stream."""
    records = _records(a_day())
    decided = next(one for one in records if isinstance(one.event, ChangeDecided) and one.stream == f"account:{FIRST}")
    last = max(one.version for one in records if one.stream == f"account:{SECOND}")
    moved = msgspec.structs.replace(decided, stream=f"account:{SECOND}", version=last + 1, position=len(records) + 1)
    differences = replay.verify([*records, moved]).differences
    assert any(f"joins account {FIRST}" in difference.why for difference in differences)


def test_the_state_at_a_moment_is_what_was_believed_then() -> None:
    """Folded up to a position or a time, both included."""
    world = a_day()
    records = _records(world)
    assert fold(records).accounts == world.views
    opened = next(record for record in records if isinstance(record.event, ChangeDecided))
    then = fold(replay.until(records, position=opened.position))
    assert then.position == opened.position
    assert [copy.state.value for copy in then.accounts[FIRST].copies.values()] == ["opening"]
    before = fold(replay.until(records, at_us=opened.at_us - 1))
    assert not before.accounts[FIRST].copies


def test_a_day_is_shown_at_a_multiple_of_its_own_pace() -> None:
    """Ten times as fast waits a tenth; as fast as possible waits never."""
    records = _records(a_day())
    whole = records[-1].at_us - records[0].at_us
    assert sum(wait for wait, _ in replay.spans(records, 1)) == whole
    assert sum(wait for wait, _ in replay.spans(records, 10)) == whole // 10
    assert {wait for wait, _ in replay.spans(records, 0)} == {0}
