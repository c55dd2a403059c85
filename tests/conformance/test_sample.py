"""The promise of events.db.sample: what a released cmam stored, today's verifies, replays and prints as it did then."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from cmam.store import replay
from cmam.store.audit import Audit
from cmam.store.chain import parse_log_head
from cmam.store.log import EventLog

LISTS = ("copies", "decisions", "orders", "accounts", "settings")


@pytest.fixture(scope="module")
def audit(root: Path) -> Audit:
    """The sample's past."""
    return Audit.of(EventLog.read_file(root / "events.db.sample"))


@pytest.fixture(scope="module")
def printed(root: Path) -> Path:
    """What its audit printed when it was written."""
    return root / "tests" / "conformance" / "sample"


def test_the_sample_is_whole_against_the_head_that_was_kept(audit: Audit, printed: Path) -> None:
    """The format of the chain has not changed under it."""
    assert audit.verify(parse_log_head((printed / "head").read_text())).is_whole


def test_every_record_of_the_sample_is_understood(audit: Audit) -> None:
    """No event of an older version has become unknown."""
    assert not list(audit.projection_errors())
    assert audit.log.position() > 100


def test_the_sample_replays_as_it_was_decided(audit: Audit) -> None:
    """Every decision, request and outcome comes out again, byte for byte."""
    result = replay.verify(audit.log.read_all())
    assert result.is_identical, str(result.differences[0])
    assert result.decisions > 20


@pytest.mark.parametrize("name", LISTS)
def test_the_sample_prints_what_it_printed(audit: Audit, printed: Path, name: str) -> None:
    """Every key and value of every line; keys that lines have gained since come on top."""
    then = [json.loads(line) for line in (printed / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
    now = list(getattr(audit, name)())
    assert then
    assert [{key: line[key] for key in old} for line, old in zip(now, then, strict=True)] == then


def test_the_sample_can_be_written_on(root: Path, tmp_path: Path) -> None:
    """It opens as the store of a home, and its chains go on."""
    shutil.copy(root / "events.db.sample", tmp_path / "events.db")
    log = EventLog.open(tmp_path)
    before = log.position()
    log.append([])
    log.write_checkpoint(1)
    assert log.position() in (before, before + 1)
    log.close()
