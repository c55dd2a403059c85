"""The promise of events.db.sample: what a released cmam stored, today's verifies, replays and prints as it did then."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from cmam.domain.events import ChangeDecided, Checkpointed, ExecutionSeen, Reconciled
from cmam.domain.trials.cures import KNOBS
from cmam.domain.values.quantities import Volume, units_text
from cmam.domain.values.reasons import Reason
from cmam.store.auditing.audit import Audit
from cmam.store.auditing.explain import explain
from cmam.store.auditing.totals import totals
from cmam.store.folding.fold import fold
from cmam.store.logfile.chain import parse_log_head
from cmam.store.logfile.log import EventLog
from cmam.store.past import replay
from cmam.store.past.digest import replay_digest
from cmam.store.proof.verify import verify
from cmam.store.records.envelope import Recorded, event_classes
from cmam.store.what_if import Asked, what_if
from scripts import make_sample

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
    assert not list(audit.query("SELECT * FROM projection_errors", ()))
    assert audit.log.position() > 100


def test_the_sample_replays_as_it_was_decided(audit: Audit) -> None:
    """Every decision, request and outcome comes out again, byte for byte."""
    result = replay.verify(audit.log.read_all())
    assert result.is_identical, str(result.differences[0])
    assert result.decisions > 20


def test_every_decision_of_the_sample_explains_itself(audit: Audit) -> None:
    """Today's code decides each as it was decided, its sum comes out, and a skip has its cures."""
    verdicts = set()
    for decision in list(audit.decisions()):
        (story,) = explain(audit, decision["decision_id"])
        assert story["reproduced"], decision["decision_id"]
        assert all(attempt["reproduced"] for attempt in story["attempts"])
        assert story["arithmetic"] is None or story["arithmetic"]["holds"]
        if decision["verdict"] == "skip" and Reason(decision["reason"]) in KNOBS:
            assert story["cures"], decision["decision_id"]
        verdicts.add(decision["verdict"])
    assert verdicts == {"copy", "skip", "none"}


@pytest.mark.parametrize("name", LISTS)
def test_the_sample_prints_what_it_printed(audit: Audit, printed: Path, name: str) -> None:
    """Every key and value of every line; keys that lines have gained since come on top."""
    then = [json.loads(line) for line in (printed / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
    now = list(getattr(audit, name)())
    assert then
    assert [{key: line[key] for key in old} for line, old in zip(now, then, strict=True)] == then


def test_what_requests_of_the_sample_filled_is_what_their_deals_say(audit: Audit) -> None:
    """Summed up from the brokers' events alone; an order that rested counts as what it was asked for by its request."""
    deals: dict[str, dict[int, int]] = {}
    for record in audit.log.read_all():
        match record.event:
            case ExecutionSeen(order=order, deal=deal) if order is not None and deal is not None:
                deals.setdefault(order.client_order_id, {})[int(deal.deal)] = deal.filled_volume
            case Reconciled(past_orders=past):
                for order in past:
                    deals.setdefault(order.client_order_id, {0: order.executed_volume})
    lines = [line for line in audit.orders() if line["kind"] in ("open", "add", "place")]
    filled = {line["intent"]: line["filled"] for line in lines}
    assert filled == {name: units_text(Volume(sum(deals.get(name, {}).values()))) for name in filled}
    placed = [line for line in lines if line["kind"] == "place"]
    assert {line["filled"] == "0.00" for line in placed} == {True, False}, "expected one that filled and one that not"
    (total,) = totals(audit, by=["all"])
    meant = [line for line in lines if line["filled"] != "0.00" or line["kind"] != "place"]
    assert total["fill_rate"] == f"{sum(float(one['filled']) / float(one['volume']) for one in meant) / len(meant):.4f}"


def test_the_sample_can_be_written_on(root: Path, tmp_path: Path) -> None:
    """It opens as the store of a home, and its chains go on."""
    shutil.copy(root / "events.db.sample", tmp_path / "events.db")
    log = EventLog.open(tmp_path)
    before = log.position()
    log.append([])
    log.write_checkpoint(1)
    assert log.position() in (before, before + 1)
    log.close()


# --- a day with everything ------------------------------------------------------------------------------------------


def test_the_sample_has_every_kind_of_event_and_is_small(root: Path, audit: Audit) -> None:
    """Each kind at least once, a checkpoint as the last word, in a file of at most 1 MiB."""
    records = list(audit.log.read_all())
    missing = {kind.__name__ for kind in event_classes()} - {type(record.event).__name__ for record in records}
    assert not missing
    assert isinstance(records[-1].event, Checkpointed)
    assert (root / "events.db.sample").stat().st_size <= make_sample.BYTES_MAX


def test_the_same_code_writes_the_same_sample(root: Path, tmp_path: Path) -> None:
    """The day from its seed gives the committed records, and with the same SQLite the same file to the byte."""
    fresh = tmp_path / "events.db"
    make_sample.write_sample(fresh)
    made, committed = (list(EventLog.read_file(path).raw()) for path in (fresh, root / "events.db.sample"))
    changed = "the day comes out otherwise: if that is meant, `make sample` writes it anew"
    assert [raw.topic for raw in made] == [raw.topic for raw in committed], changed
    assert made == committed, changed
    was_written_by = int.from_bytes((root / "events.db.sample").read_bytes()[96:100], "big")
    if was_written_by == _number(sqlite3.sqlite_version):
        assert fresh.read_bytes() == (root / "events.db.sample").read_bytes()


def _number(version: str) -> int:
    major, minor, patch = map(int, version.split("."))
    return major * 1_000_000 + minor * 1_000 + patch


def test_reading_the_sample_leaves_it_as_it_was(root: Path, audit: Audit) -> None:
    """It is never opened in place: no byte of it changes and nothing is put beside it, whatever is read."""
    sample = root / "events.db.sample"
    before = hashlib.sha256(sample.read_bytes()).hexdigest()
    log = EventLog.read_file(sample)
    assert replay.verify(log.read_all()).is_identical
    log.close()
    assert verify(audit.log.raw()).is_whole
    assert hashlib.sha256(sample.read_bytes()).hexdigest() == before
    assert not list(root.glob("events.db.sample-*"))


# --- this sample and those of released versions -----------------------------------------------------------------------


def _samples(root: Path) -> Iterator[tuple[Path, Path]]:
    """Each sample with the file of its digest: today's, and one for every released version."""
    yield root / "events.db.sample", root / "tests" / "conformance" / "sample" / "digest"
    for kept in sorted((root / "tests" / "samples").glob("*.db")):
        yield kept, kept.with_suffix(".digest")


def test_every_sample_replays_to_its_committed_digest(root: Path) -> None:
    """What was derived then is derived now, and leaves every account where it was left: also for old formats."""
    for sample, digest in _samples(root):
        log = EventLog.read_file(sample)
        assert verify(log.raw()).is_whole, sample
        assert replay.verify(log.read_all()).is_identical, sample
        assert replay_digest(log.read_all()) == digest.read_text(encoding="utf-8").strip(), sample
        log.close()


def test_a_what_if_with_the_settings_that_were_is_empty_for_every_sample(root: Path) -> None:
    """Also where copies were touched, rebuilt, adopted, stopped out, flattened and released."""
    for sample, _ in _samples(root):
        log = EventLog.read_file(sample)
        found = what_if(log.read_all, Asked.of(fold(log.read_all()).registry, {}))
        assert found["equal"], found["differences"][:1]
        assert all(one["recorded"] == one["what_if"] for one in found["followers"])
        assert found["model"]["fills"] == 0
        log.close()


def test_a_decision_that_changes_changes_the_digest(audit: Audit) -> None:
    """One volume, of one decision, is enough."""

    def changed() -> Iterator[Recorded]:
        is_done = False
        for record in audit.log.read_all():
            if not is_done and isinstance(record.event, ChangeDecided) and record.event.volume:
                is_done = True
                yield msgspec.structs.replace(record, event=replace(record.event, volume=Volume(1)))
            else:
                yield record

    assert replay_digest(changed()) != replay_digest(audit.log.read_all())


def test_a_released_sample_is_kept_with_its_digest_and_never_again(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`make_sample.py --keep VERSION` copies it beside the older ones; a second time it refuses."""
    monkeypatch.setattr(make_sample, "KEPT", tmp_path)
    make_sample.keep("9.9.9")
    assert (tmp_path / "9.9.9.db").read_bytes() == (root / "events.db.sample").read_bytes()
    kept = (tmp_path / "9.9.9.digest").read_text(encoding="utf-8")
    assert kept == (root / "tests" / "conformance" / "sample" / "digest").read_text(encoding="utf-8")
    with pytest.raises(SystemExit, match="never written again"):
        make_sample.keep("9.9.9")


_DIGEST = (
    "import locale, pathlib, sys; locale.setlocale(locale.LC_ALL, '');"
    "from cmam.store.past.digest import replay_digest; from cmam.store.logfile.log import EventLog;"
    "print(replay_digest(EventLog.read_file(pathlib.Path(sys.argv[1])).read_all()))"
)


@pytest.mark.parametrize(
    ("seed", "zone", "locale"), [("1", "Pacific/Auckland", "C.UTF-8"), ("4242", "America/St_Johns", "POSIX")]
)
def test_the_digest_is_the_same_wherever_it_is_made(root: Path, seed: str, zone: str, locale: str) -> None:
    """Under other hash seeds, time zones and locales, by every Python from 3.11 that is found and can run cmam."""
    committed = (root / "tests" / "conformance" / "sample" / "digest").read_text(encoding="utf-8").strip()
    environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": locale, "PYTHONPATH": str(root)}
    for python in _pythons():
        said = subprocess.run(
            [python, "-c", _DIGEST, str(root / "events.db.sample")],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert said.stdout.strip() == committed, python


def _pythons() -> list[str]:
    """This Python, and every other one that has what cmam needs."""
    found = [sys.executable]
    for minor in range(11, 20):
        other = shutil.which(f"python3.{minor}")
        if other is None or os.path.realpath(other) == os.path.realpath(sys.executable):
            continue
        probe = [other, "-c", "import eventsourcing, msgspec, sqlite_utils"]
        if subprocess.run(probe, capture_output=True, check=False).returncode == 0:
            found.append(other)
    return found
