"""Verify: every way to change a log that it promises to find, and the first bad record named."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from cmam.store.auditing.audit import verify_log
from cmam.store.logfile.chain import LogHead, checkpoint, parse_log_head
from cmam.store.logfile.log import EventLog
from cmam.store.proof.verify import Fault, Verified, verify
from cmam.store.records.envelope import Pending

from .facts import T0, a_fact, a_log_of, facts, rows_of, write_checkpoint


def _log() -> EventLog:
    """Two streams of six, written in turns, with checkpoints at positions 9 and 16 and two facts after the last."""
    log = EventLog.in_memory()
    for version in range(1, 5):
        log.append([a_fact(version), a_fact(version, "account:2")])
    write_checkpoint(log)
    for version in range(5, 8):
        log.append([a_fact(version), a_fact(version, "account:2")])
    write_checkpoint(log)
    log.append([a_fact(8), a_fact(8, "account:2")])
    return log


def _after(*statements: str) -> Verified:
    log = _log()
    for statement in statements:
        log.connection.execute(statement)
    return verify(log.raw())


def _first(result: Verified) -> tuple[Fault, str, int]:
    finding = result.findings[0]
    return (finding.fault, finding.stream, finding.version)


def test_a_log_as_it_was_written_is_whole() -> None:
    """Nothing is found where nothing was done, and what was seen is counted."""
    result = verify(_log().raw())
    assert result.is_whole
    assert (result.records, result.streams, result.checkpoints, result.covered) == (18, 3, 2, 16)


@pytest.mark.parametrize("version", [1, 2, 4, 5, 6, 7])
def test_a_changed_record_is_named(version: int) -> None:
    """One word changed in any record that a later one or a checkpoint covers is found there."""
    change = "UPDATE stored_events SET state = replace(state, 'note', 'Note') "
    result = _after(change + f"WHERE originator_id = 'account:1' AND originator_version = {version}")
    assert _first(result) == (Fault.CHANGED, "account:1", version)
    assert len(result.findings) == 1


def test_a_changed_topic_is_named() -> None:
    """The topic is part of what is hashed."""
    result = _after("UPDATE stored_events SET topic = 'account.alert_healed' WHERE rowid = 3")
    assert _first(result) == (Fault.CHANGED, "account:1", 2)


def test_a_changed_link_is_named() -> None:
    """A record whose `prev` was changed is the bad one, not the one it points to."""
    log = _log()
    wrong = "0" * 10
    log.connection.execute(f"UPDATE stored_events SET state = json_set(state, '$.prev', '{wrong}') WHERE rowid = 5")
    assert _first(verify(log.raw())) == (Fault.CHANGED, "account:1", 3)


@pytest.mark.parametrize("part", ["data", "prev"])
def test_a_changed_checkpoint_is_named_and_not_the_one_after_it(part: str) -> None:
    """The next checkpoint knows the one before it twice, by `prev` and among its heads: both say who was changed."""
    log = _log()
    write_checkpoint(log)
    change = "'$.at_us', 7" if part == "data" else "'$.prev', 'x'"
    log.connection.execute(f"UPDATE stored_events SET state = json_set(state, {change}) WHERE rowid = 16")
    result = verify(log.raw())
    assert _first(result) == (Fault.CHANGED, "app", 2)


def test_a_dropped_record_is_found() -> None:
    """A row taken out leaves a hole in its stream and in the log."""
    result = _after("DELETE FROM stored_events WHERE rowid = 5")
    assert {finding.fault for finding in result.findings} == {Fault.MISSING}
    assert result.findings[0].stream == "account:2"  # the row behind the hole in the log
    assert any("version 3 of its stream is missing" in finding.text for finding in result.findings)


def test_a_dropped_record_whose_traces_were_covered_is_found() -> None:
    """Closing the gap by renumbering what follows breaks the chain."""
    result = _after(
        "DELETE FROM stored_events WHERE rowid = 5",
        "UPDATE stored_events SET originator_version = originator_version - 1 "
        "WHERE originator_id = 'account:1' AND originator_version > 3",
        "UPDATE stored_events SET rowid = rowid - 1 WHERE rowid > 5",
    )
    assert result.findings[0].fault is Fault.CHANGED


def test_swapped_records_are_found() -> None:
    """Two records of a stream in each other's place do not fit their neighbours."""
    result = _after(
        "UPDATE stored_events SET originator_version = -2 WHERE rowid = 3",
        "UPDATE stored_events SET originator_version = 2 WHERE rowid = 5",
        "UPDATE stored_events SET originator_version = 3 WHERE originator_version = -2",
    )
    assert not result.is_whole
    assert result.findings[0].stream == "account:1"


def test_records_moved_in_the_log_are_found() -> None:
    """The order among streams is covered too, by the next checkpoint."""
    result = _after(
        "UPDATE stored_events SET rowid = 1000 WHERE rowid = 3",
        "UPDATE stored_events SET rowid = 3 WHERE rowid = 4",
        "UPDATE stored_events SET rowid = 4 WHERE rowid = 1000",
    )
    assert _first(result) == (Fault.REORDERED, "app", 1)
    assert len(result.findings) == 1


def test_a_record_put_in_at_the_end_of_a_stream_before_a_checkpoint_is_found() -> None:
    """A forged record with a right `prev` shows at the next checkpoint."""
    log = a_log_of(facts(3))
    counted = checkpoint(log.heads(), log.log_head())
    forged = a_log_of(facts(4), [Pending("app", 1, T0, counted)])
    assert verify(forged.raw()).is_whole  # written after it was counted: allowed
    missing = a_log_of(facts(2), [Pending("app", 1, T0, counted)])
    assert _first(verify(missing.raw()))[0] is Fault.CUT_OFF


def test_a_stream_put_in_before_a_checkpoint_is_found() -> None:
    """A whole stream that the next checkpoint does not know was not written by us."""
    log = a_log_of(facts(2), facts(2, "account:3"))
    event = checkpoint({"account:1": log.head("account:1")}, log.log_head())
    log.append([Pending("app", 1, T0, event)])
    assert _first(verify(log.raw()))[0] is Fault.FOREIGN


def test_the_end_of_a_stream_cut_off_below_a_surviving_checkpoint_is_found() -> None:
    """What a checkpoint covers cannot be cut off as long as the checkpoint stands."""
    result = _after("DELETE FROM stored_events WHERE originator_id = 'account:1' AND originator_version >= 7")
    assert Fault.CUT_OFF in {finding.fault for finding in result.findings}


def test_an_end_cut_off_with_its_checkpoint_shows_against_a_kept_head_only() -> None:
    """This is the limit of the chain alone, and what an exported head is for."""
    log = _log()
    kept = log.log_head()
    log.connection.execute("DELETE FROM stored_events WHERE rowid > 12")
    assert verify(log.raw()).is_whole
    assert _first(verify(log.raw(), kept))[0] is Fault.CUT_OFF


def test_a_log_written_anew_shows_against_a_kept_head() -> None:
    """Everything forged from the first record on fits itself, but not the head that was kept."""
    kept = _log().log_head()
    forged = a_log_of(facts(30))
    assert verify(forged.raw()).is_whole
    assert _first(verify(forged.raw(), kept))[0] is Fault.HEAD


def test_a_kept_head_agrees_with_a_log_that_has_grown_since() -> None:
    """A head stays good for ever: it speaks of the log up to its position."""
    log = _log()
    kept = parse_log_head(str(log.log_head()))
    log.append(facts(5, "account:9"))
    assert verify(log.raw(), kept).is_whole


def test_damage_is_found_next_to_what_it_breaks() -> None:
    """A record that is no JSON any more is named, and the one after it is not blamed."""
    result = _after("UPDATE stored_events SET state = substr(state, 2) WHERE rowid = 5")
    assert [(finding.fault, finding.version) for finding in result.findings] == [(Fault.DAMAGED, 3)]


def test_faults_in_two_places_are_both_found() -> None:
    """One fault does not blind verify for the rest of the log, or of the same stream."""
    change = "UPDATE stored_events SET state = replace(state, 'note', 'Note') WHERE originator_id = 'account:1' AND "
    result = _after(change + "originator_version = 2", change + "originator_version = 6")
    assert [(finding.fault, finding.version) for finding in result.findings] == [(Fault.CHANGED, 2), (Fault.CHANGED, 6)]


@pytest.mark.parametrize("text", ["", "12", "x:00", "-1:" + "0" * 64, "5:" + "0" * 63])
def test_a_head_that_is_none_is_refused(text: str) -> None:
    """A typing error in a head is said to be one; it does not pass for a broken log."""
    with pytest.raises(ValueError, match="expected a head"):
        parse_log_head(text)


def test_a_head_reads_back_as_it_was_written() -> None:
    """What is exported is what is held against the log."""
    head = LogHead(12, bytes(range(32)))
    assert parse_log_head(str(head)) == head


def test_rows_alone_are_enough() -> None:
    """Verify needs no store: the rows from an evidence pack do as well."""
    assert verify(iter(rows_of(_log()))).is_whole


def test_a_file_that_sqlite_cannot_look_through_is_broken(tmp_path: Path) -> None:
    """Records that can be read, in a file torn beside them: a finding like any other, and not an error of ours."""
    with closing(EventLog.open(tmp_path)) as log:
        log.append(facts(60))
    path = tmp_path / "events.db"
    with closing(sqlite3.connect(path)) as connection:
        (page_size,) = connection.execute("PRAGMA page_size").fetchone()
        sql = "SELECT rootpage FROM sqlite_master WHERE type = 'index'"
        (root,) = connection.execute(sql).fetchone()
    torn = bytearray(path.read_bytes())
    torn[(root - 1) * page_size : root * page_size] = b"\xff" * page_size
    path.write_bytes(torn)
    with closing(EventLog.read_only(tmp_path)) as log:
        found = verify_log(log)
    assert found.findings[0].fault is Fault.FILE


@pytest.mark.parametrize("state", ["{0}", '{{"data":{0}}}'])
def test_a_record_of_brackets_is_named(state: str) -> None:
    """A log is given by somebody: what no parser follows to its end is a finding like any other garbage."""
    brackets = "[" * 100_000
    result = _after(f"UPDATE stored_events SET state = '{state.format(brackets)}' WHERE rowid = 18")
    assert (result.findings[0].fault, result.findings[0].position) == (Fault.DAMAGED, 18)


def test_what_is_no_head_is_repeated_in_moderation() -> None:
    """Who names the store where a head was to be named wants the sentence, not the store."""
    with pytest.raises(ValueError, match="expected a head such as") as refused:
        parse_log_head("SQLite format 3 " * 1_000)
    assert len(str(refused.value)) < 200
