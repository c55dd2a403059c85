"""A log that is damaged at its end is refused by name, and what lies before it is copied out and started on."""

from __future__ import annotations

import base64
import errno
import json
import random
import sqlite3
import tracemalloc
from contextlib import closing
from pathlib import Path

import pytest

from cmam.cli.main import run
from cmam.domain.events import AlertRaised, FlattenRequested, ProfileState, ProfileStateChanged
from cmam.domain.values.ids import LinkId
from cmam.store.errors import StoreBroken, StoreUnavailable
from cmam.store.logfile.chain import checkpoint
from cmam.store.logfile.log import EventLog
from cmam.store.proof.tail import check_tail
from cmam.store.proof.verify import verify
from cmam.store.records.envelope import Pending
from cmam.store.upkeep.salvage import LEFT_OUT, put_in_place, salvage

FACTS = 40


def _fact(stream: str, version: int) -> Pending:
    return Pending(stream, version, version, AlertRaised(kind="k", text=f"{stream} {version} " + "x" * 300))


def _store(home: Path, checkpoints: tuple[int, ...] = (20,)) -> None:
    """Two streams side by side, with checkpoints on the way."""
    with closing(EventLog.open(home)) as log:
        for version in range(1, FACTS + 1):
            log.append([_fact("account:1", version), _fact("account:2", version)])
            if version in checkpoints:
                at = log.head("app").version + 1
                log.append([Pending("app", at, version, checkpoint(log.heads(), log.log_head()))])


def _change(home: Path, position: int, old: str, new: str) -> None:
    with closing(sqlite3.connect(home / "events.db")) as db:
        db.execute("UPDATE stored_events SET state = replace(state, ?, ?) WHERE rowid = ?", (old, new, position))
        db.commit()


def _check(home: Path) -> str:
    """What the start would say of a store; nothing where it is sound."""
    try:
        with closing(EventLog.open(home)) as log:
            check_tail(log)
    except StoreBroken as error:
        return str(error)
    return ""


def test_a_whole_log_is_sound_with_and_without_checkpoints(tmp_path: Path) -> None:
    """Nothing is found where nothing is wrong, wherever the last checkpoint stands."""
    for number, checkpoints in enumerate(((), (20,), (10, 40))):
        home = tmp_path / str(number)
        _store(home, checkpoints)
        assert _check(home) == ""


@pytest.mark.parametrize("position", [50, 61, 78])
def test_a_changed_record_after_the_last_checkpoint_is_named(tmp_path: Path, position: int) -> None:
    """The start is refused with the first bad record's stream, version and position, and the way on."""
    _store(tmp_path)
    _change(tmp_path, position, "xxx", "xyx")
    said = _check(tmp_path)
    assert f"position {position}" in said
    assert "cmam salvage FILE" in said


def test_a_change_before_the_last_checkpoint_is_left_to_verify(tmp_path: Path) -> None:
    """What a checkpoint vouches for is not walked through at each start; `audit verify` finds it."""
    _store(tmp_path)
    _change(tmp_path, 7, "xxx", "xyx")
    assert _check(tmp_path) == ""
    with closing(EventLog.read_only(tmp_path)) as log:
        assert verify(log.raw()).findings[0].position == 7


@pytest.mark.parametrize("topic", ["account.alert_raised", "app.checkpointed"])
def test_a_record_that_is_no_json_any_more_is_named(tmp_path: Path, topic: str) -> None:
    """Also where it is the last checkpoint itself: then the one before it is where the check begins."""
    _store(tmp_path, (10, 30))
    with closing(sqlite3.connect(tmp_path / "events.db")) as db:
        (position,) = db.execute("SELECT max(rowid) FROM stored_events WHERE topic = ?", (topic,)).fetchone()
    _change(tmp_path, position, "{", "[")
    said = _check(tmp_path)
    assert f"position {position}" in said


def _tear(home: Path, page: int) -> None:
    """Overwrite one page of the file, as a failing disk does."""
    path = home / "events.db"
    content = bytearray(path.read_bytes())
    size = int.from_bytes(content[16:18], "big")
    content[page * size : (page + 1) * size] = b"\x5a" * size
    path.write_bytes(content)


def _salvaged(home: Path, path: Path) -> int:
    """How many records could be copied; 0 where not even the beginning can be read."""
    try:
        return salvage(home, path).records
    except StoreBroken:
        return 0


def test_any_torn_page_is_refused_or_harmless_and_all_before_it_is_copied(tmp_path: Path) -> None:
    """Whatever page is torn: no start rests on it unsaid, and a salvage is a whole log, equal up to where it ends."""
    _store(tmp_path / "whole", ())
    with closing(EventLog.read_only(tmp_path / "whole")) as log:
        rows = list(log.raw())
    size = (tmp_path / "whole" / "events.db").stat().st_size // 4_096
    refused = 0
    for page in random.Random(1).sample(range(1, size), 12):
        home = tmp_path / f"torn{page}"
        home.mkdir()
        (home / "events.db").write_bytes((tmp_path / "whole" / "events.db").read_bytes())
        _tear(home, page)
        said = _check(home)
        refused += bool(said)
        found = _salvaged(home, tmp_path / f"good{page}.db")
        assert bool(said) or found == len(rows)
        if not found:
            continue
        with closing(EventLog.read_file(tmp_path / f"good{page}.db")) as good:
            assert list(good.raw()) == rows[:found]
            assert verify(good.raw()).is_whole
    assert refused >= 4


def test_a_log_that_is_longer_than_memory_is_salvaged(tmp_path: Path) -> None:
    """A page of it at a time is held, and not the whole: else the way on ends where the machine is small."""
    event = AlertRaised(kind="k", text="x" * 4_000)
    with closing(EventLog.open(tmp_path)) as log:
        log.append([Pending("account:1", version, version, event) for version in range(1, 4_001)])
    _change(tmp_path, 2_001, "xxx", "xyx")
    tracemalloc.start()
    found = salvage(tmp_path, tmp_path / "good.db")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (found.records, found.left_out) == (2_000, 2_000)
    assert most < (tmp_path / "events.db").stat().st_size // 2


def test_what_is_salvaged_starts_and_the_rest_is_kept_as_text(tmp_path: Path) -> None:
    """The damaged store is exchanged for its good part and kept; what came after is there for people, to the byte."""
    _store(tmp_path)
    _change(tmp_path, 61, "xxx", "xyx")
    with closing(EventLog.read_only(tmp_path)) as log:
        damaged = list(log.raw())
    good = tmp_path / "good.db"
    found = salvage(tmp_path, good)
    assert (found.records, found.left_out) == (60, len(damaged) - 60)
    lines = [json.loads(line) for line in (tmp_path / f"good.db{LEFT_OUT}").read_text().splitlines()]
    assert [base64.b64decode(line["state_base64"]) for line in lines] == [raw.state for raw in damaged[60:]]
    kept = put_in_place(tmp_path, good)
    assert _check(tmp_path) == ""
    with closing(EventLog.open(tmp_path)) as log:
        assert list(log.raw()) == damaged[:60]
        at = log.head("account:1").version + 1
        assert log.append([_fact("account:1", at)]) == 61
        assert verify(log.raw()).is_whole
    with closing(EventLog.damaged(kept)) as log:
        assert list(log.raw()) == damaged


def test_what_no_broker_can_tell_again_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A flatten and a pause among the records that are left out hold no more, and nothing said so: the next start would
    have opened again."""
    _store(tmp_path, ())
    said = (FlattenRequested(links=(LinkId("l1nk01"),)), ProfileStateChanged(state=ProfileState.PAUSED))
    with closing(EventLog.open(tmp_path)) as log:
        log.append([Pending("account:1", FACTS + 1, 1, said[0]), Pending("profile:pr0f1l", 1, 1, said[1])])
    assert salvage(tmp_path, tmp_path / "whole.db").forgotten == {}
    _change(tmp_path, 61, "xxx", "xyx")
    assert run(["--home", str(tmp_path), "salvage", str(tmp_path / "good.db")]) == 0
    assert "flatten (1), pause or other state of a profile (1)" in capsys.readouterr().err


def test_a_salvaged_log_on_another_disk_takes_the_place_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name cannot be moved from disk to disk: the file is copied first, beside the log, which keeps its name."""
    home = tmp_path / "home"
    _store(home)
    _change(home, 61, "xxx", "xyx")
    good = tmp_path / "good.db"
    salvage(home, good)
    rename = Path.rename

    def across(path: Path, target: Path) -> Path:
        if path == good:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", across)
    kept = put_in_place(home, good)
    assert kept.exists()
    assert not good.exists()
    assert _check(home) == ""
    assert sorted(path.name for path in home.iterdir() if "whole" in path.name) == []


def test_a_store_that_was_cut_off_gives_what_is_left_of_it(tmp_path: Path) -> None:
    """A file that lost its end is refused at start; its beginning is copied."""
    _store(tmp_path / "home", ())
    path = tmp_path / "home" / "events.db"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    assert "cut off" in _check(tmp_path / "home")
    assert 0 < _salvaged(tmp_path / "home", tmp_path / "good.db") < 2 * FACTS


def test_nothing_is_written_over(tmp_path: Path) -> None:
    """A salvage never takes the place of a file that is there, nor of what an earlier one has left out."""
    _store(tmp_path)
    (tmp_path / f"good.db{LEFT_OUT}").write_text("what could be read behind the first bad record\n")
    for name in ("events.db", "good.db"):
        with pytest.raises(StoreUnavailable, match="free to write"):
            salvage(tmp_path, tmp_path / name)


def test_every_command_that_would_rest_on_a_damaged_end_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1 and a sentence with the way on, which works: salvage, exchange, and the same command is taken."""
    _store(tmp_path)
    _change(tmp_path, 61, "xxx", "xyx")
    assert run(["--home", str(tmp_path), "pause", "--all"]) == 1
    assert "position 61" in capsys.readouterr().err
    good = str(tmp_path / "good.db")
    assert run(["--home", str(tmp_path), "--json", "salvage", good, "--replace"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["records"], document["left_out"]) == (60, 21)
    assert Path(document["damaged"]).exists()
    assert run(["--home", str(tmp_path), "pause", "--all"]) == 1  # there is no profile, and nothing else is wrong
    assert "no enabled profile" in capsys.readouterr().err
