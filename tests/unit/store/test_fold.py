"""The fold of a log: what is believed after some records, record by record or all at once."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from cmam.store.errors import StoreBroken
from cmam.store.folding.fold import Fold, fold, fold_log
from cmam.store.records.envelope import Recorded, UnknownEvent, fact_of

from .world import a_day


def _records() -> list[Recorded]:
    return list(a_day().log.read_all())


def _same(one: Fold, other: Fold) -> bool:
    return repr(one) == repr(other)


def test_many_records_at_once_come_to_what_they_come_to_one_by_one() -> None:
    """Accounts, registry, position and moment are the same, at every place in the log at which one stops."""
    records = _records()
    single = Fold()
    for count, record in enumerate(records, 1):
        single.take(record)
        assert _same(fold(records[:count]), single)


def test_a_fold_goes_on_where_it_stood() -> None:
    """In parts, in either way, it is the whole; what was believed before stays as it was."""
    records = _records()
    half = fold(records[:40])
    before = dict(half.accounts)
    shown = repr(before)
    half.run(map(fact_of, records[40:60]))
    for record in records[60:]:
        half.take(record)
    assert _same(half, fold(records))
    assert repr(before) == shown


def test_a_version_that_is_missing_is_passed_over() -> None:
    """A damaged record that could not be read leaves the versions after it as they are recorded."""
    records = [record for record in _records() if record.position != 50]
    single = Fold()
    for record in records:
        single.take(record)
    assert _same(fold(records), single)
    assert {number: view.version for number, view in fold(records).accounts.items()} == {
        number: view.version for number, view in fold(_records()).accounts.items()
    }


def test_what_was_folded_before_an_error_is_kept_whole() -> None:
    """A log that cannot be read further leaves views that last, as of the last record that was read."""
    records = _records()

    def broken() -> Iterator[Recorded]:
        yield from records[:50]
        raise OSError("the disk is gone")

    state = Fold()
    with pytest.raises(OSError, match="the disk is gone"):
        state.run(map(fact_of, broken()))
    assert _same(state, fold(itertools.islice(records, 50)))


def test_a_whole_log_is_folded_from_its_facts_alone() -> None:
    """What is read for a fold, without the rest of each record, comes to what the records come to."""
    log = a_day().log
    assert _same(fold_log(log), fold(log.read_all()))
    assert list(log.facts(30)) == [fact_of(record) for record in log.read_all(30)]


def test_a_record_that_cannot_be_understood_is_a_fact_of_unknown_meaning() -> None:
    """Of another kind than any, it counts in its stream; without an envelope the log is damaged, and says where."""
    log = a_day().log
    change = "UPDATE stored_events SET topic = 'account.of_tomorrow' WHERE rowid = 50"
    log.connection.execute(change)
    facts = list(log.facts())
    assert isinstance(facts[49][4], UnknownEvent)
    assert facts == [fact_of(record) for record in log.read_all()]
    log.connection.execute("UPDATE stored_events SET state = '{\"at_us\":1}' WHERE rowid = 50")
    with pytest.raises(StoreBroken, match="position 50 of"):
        list(log.facts())
