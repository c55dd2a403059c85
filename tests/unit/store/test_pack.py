"""Evidence packs: they verify without the store, hide what they should, and every change to one is found."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cmam.store.auditing import pack
from cmam.store.auditing.audit import Audit
from cmam.store.auditing.filters import Filters
from cmam.store.auditing.pack import Exported, export_pack, key_path
from cmam.store.auditing.pack_check import verify_pack
from cmam.store.errors import StoreBroken, StoreUnavailable
from cmam.store.logfile.chain import parse_log_head
from cmam.store.logfile.log import EventLog
from cmam.store.projection.projector import project_to_head
from cmam.store.proof.verify import Fault

from .world import FIRST, LEADER, SECOND, World, a_day

SKIPS = Filters(reason="below_minimum")
SALT = bytes(range(32))


@pytest.fixture(scope="module")
def audit() -> Audit:
    """The past of a whole day."""
    return Audit.of(a_day().log)


def test_a_pack_of_everything_verifies_without_the_store(audit: Audit, tmp_path: Path) -> None:
    """The records, their chains, and the head and digest they stand for, in one file of JSON lines."""
    made = export_pack(audit, tmp_path / "all.pack")
    assert (made.head, made.open, made.copies, made.decisions) == (audit.log.log_head(), made.records, 3, 16)
    result = verify_pack(tmp_path / "all.pack", parse_log_head(str(made.head)), digest=made.digest)
    assert result.is_whole
    assert (result.records, result.hidden, result.checkpoints) == (audit.log.position(), 0, 1)


def test_a_slice_opens_what_it_rests_on_and_proves_the_rest(audit: Audit, tmp_path: Path) -> None:
    """Decisions, their causes, settings, specs and checkpoints are open; other copies are hashes in their places."""
    made = export_pack(audit, tmp_path / "skips.pack", Filters(account=SECOND, reason="below_minimum"))
    assert 0 < made.open < made.records == audit.log.position()
    result = verify_pack(tmp_path / "skips.pack", audit.log.log_head())
    assert result.is_whole
    assert (result.open, result.open + result.hidden) == (made.open, made.records)
    lines = [json.loads(line) for line in (tmp_path / "skips.pack").read_text().splitlines()]
    opened = {(line["stream"], line["topic"]) for line in lines if "state" in line}
    assert (f"account:{LEADER}", "account.execution_seen") in opened
    assert (f"account:{SECOND}", "account.symbol_spec_seen") in opened
    assert ("profile:pr0f1l", "profile.link_added") in opened
    assert ("app", "app.checkpointed") in opened
    assert not any(stream == f"account:{FIRST}" for stream, _ in opened)
    assert {line["list"] for line in lines if "list" in line} == {"decisions", "settings"}


def test_references_hide_every_account_and_login_and_keep_the_chain(audit: Audit, tmp_path: Path) -> None:
    """No id is left, places and links still prove themselves, and the key shows that each text is what was hashed."""
    path = tmp_path / "anonymous.pack"
    made = export_pack(audit, path, Filters(account=FIRST), salt=SALT)
    text = path.read_text()
    numbers = {number for line in audit.accounts() for number in (line["account"], line["login"])}
    assert len(numbers) == 6
    for line in text.splitlines():
        found = set(json.dumps(json.loads(line)).replace(":", " ").replace('"', " ").replace(",", " ").split())
        assert not found & {str(number) for number in numbers}
    blind = verify_pack(path, made.head, digest=made.digest)
    assert (blind.is_whole, blind.anonymous, blind.texts_checked) == (True, True, False)
    seeing = verify_pack(path, key=key_path(path))
    assert (seeing.is_whole, seeing.texts_checked) == (True, True)
    assert key_path(path).stat().st_mode & 0o077 == 0


def test_references_differ_from_pack_to_pack(audit: Audit, tmp_path: Path) -> None:
    """Two packs cannot be laid side by side to tell who is who."""
    export_pack(audit, tmp_path / "one.pack", salt=SALT)
    export_pack(audit, tmp_path / "two.pack", salt=SALT[::-1])
    first, second = (json.loads(key_path(tmp_path / f"{name}.pack").read_text()) for name in ("one", "two"))
    assert sorted(first["references"].values()) == sorted(second["references"].values())
    assert not set(first["references"]) & set(second["references"])


Ruin = Callable[[list[str]], None]


def _replace(old: str, new: str) -> Ruin:
    def ruin(lines: list[str]) -> None:
        at = next(n for n, line in enumerate(lines) if old in line and "state" in line and n > 20)
        lines[at] = lines[at].replace(old, new)

    return ruin


def _swap(lines: list[str]) -> None:
    lines[20], lines[24] = lines[24], lines[20]


def _unhash(lines: list[str]) -> None:
    at = next(n for n, line in enumerate(lines) if '"hashes"' in line)
    found = json.loads(lines[at])
    found["hashes"][0] = "00" * 32
    lines[at] = json.dumps(found) + "\n"


RUINS: dict[str, Ruin] = {
    "a word": _replace("EURUSD", "EURUSX"),
    "a moment": _replace('\\"at_us\\":1577', '\\"at_us\\":1578'),
    "a version": _replace('"version":', '"version":1'),
    "a stream": _replace('"stream":"account:2002"', '"stream":"account:2001"'),
    "dropped": lambda lines: lines.pop(22) and None,
    "swapped": _swap,
    "cut": lambda lines: lines.__delitem__(slice(-4, -1)),
    "digest gone": lambda lines: lines.pop() and None,
    "head": lambda lines: lines.__setitem__(0, lines[0].replace('"head":"', '"head":"1')),
    "a list": lambda lines: lines.__setitem__(-3, lines[-3].replace("Main", "Mine")),
}


@pytest.mark.parametrize("ruin", RUINS, ids=list(RUINS))
@pytest.mark.parametrize("filters", [Filters(), Filters(account=SECOND)], ids=["all", "slice"])
def test_a_changed_pack_is_found(audit: Audit, tmp_path: Path, ruin: str, filters: Filters) -> None:
    """Any change to a record, a hash, the order, a list or the end shows, even without a head kept elsewhere."""
    path = tmp_path / "ruined.pack"
    export_pack(audit, path, filters)
    lines = path.read_text().splitlines(keepends=True)
    before = list(lines)
    RUINS[ruin](lines)
    assert lines != before
    path.write_text("".join(lines))
    assert not verify_pack(path).is_whole


def test_a_changed_record_is_named_even_where_the_digest_was_made_anew(audit: Audit, tmp_path: Path) -> None:
    """The digest alone is no proof; the chain names the record."""
    for filters in (Filters(), Filters(account=SECOND)):
        path = tmp_path / "forged.pack"
        export_pack(audit, path, filters)
        lines = path.read_text().splitlines(keepends=True)
        at = next(n for n, line in enumerate(lines) if '\\"verdict\\":\\"skip\\"' in line)
        lines[at] = lines[at].replace('\\"verdict\\":\\"skip\\"', '\\"verdict\\":\\"none\\"')
        record = json.loads(lines[at])
        _seal(lines)
        path.write_text("".join(lines))
        result = verify_pack(path)
        assert not result.is_whole
        first = result.findings[0]
        assert first.fault in (Fault.CHANGED, Fault.HEAD, Fault.REORDERED)
        assert first.position >= record["position"]


def test_an_exchanged_hash_is_found_where_the_digest_was_made_anew(audit: Audit, tmp_path: Path) -> None:
    """What was left out cannot be exchanged for something else."""
    path = tmp_path / "forged.pack"
    export_pack(audit, path, SKIPS)
    lines = path.read_text().splitlines(keepends=True)
    _unhash(lines)
    _seal(lines)
    path.write_text("".join(lines))
    assert not verify_pack(path).is_whole


def _seal(lines: list[str]) -> None:
    """Make the digest fit again, as a forger would."""
    import hashlib

    digest = hashlib.sha256("".join(lines[:-1]).encode()).hexdigest()
    lines[-1] = json.dumps({"digest": digest}) + "\n"


@pytest.mark.parametrize(
    "content",
    [
        "",
        "hello\n",
        '{"format": "other"}\n',
        '{"format":"cmam evidence 2","head":"x"}\n',
        pytest.param('{"format":' + "[" * 100_000, id="brackets"),
    ],
)
def test_what_is_no_pack_is_said_so(tmp_path: Path, content: str) -> None:
    """A wrong file is not a broken log."""
    (tmp_path / "pack").write_text(content)
    with pytest.raises(StoreBroken, match="not an evidence pack"):
        verify_pack(tmp_path / "pack")


def test_a_pipe_without_a_writer_is_no_pack_and_a_device_not_read(tmp_path: Path) -> None:
    """Nobody waits for a pipe that was left behind, and a device has no end."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StoreBroken, match="not an evidence pack"):
        verify_pack(tmp_path / "pipe")
    with pytest.raises(StoreUnavailable, match="this is a device"):
        verify_pack(Path("/dev/zero"))


def test_what_stands_after_the_digest_is_no_part_of_a_pack(audit: Audit, tmp_path: Path) -> None:
    """Neither digest nor signature vouches for a line behind them, so it is not read as if they did."""
    path = tmp_path / "all.pack"
    export_pack(audit, path)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines, lines[-2]]))
    with pytest.raises(StoreBroken, match=rf"Line {len(lines) + 1} .*it comes after the digest"):
        verify_pack(path)


@pytest.mark.parametrize("garbage", ["{garbage", pytest.param('{"x":' * 100_000, id="brackets")])
def test_a_line_of_garbage_is_named(audit: Audit, tmp_path: Path, garbage: str) -> None:
    """The line is named; nothing is guessed."""
    path = tmp_path / "all.pack"
    export_pack(audit, path)
    lines = path.read_text().splitlines(keepends=True)
    lines.insert(40, f"{garbage}\n")
    path.write_text("".join(lines))
    with pytest.raises(StoreBroken, match="Line 41"):
        verify_pack(path)


def test_bytes_turned_anywhere_are_found(audit: Audit, tmp_path: Path) -> None:
    """Two hundred packs with one bit of one byte turned: none of them passes."""
    path = tmp_path / "all.pack"
    made: Exported = export_pack(audit, path, Filters(account=SECOND))
    whole = path.read_bytes()
    assert verify_pack(path, digest=made.digest).is_whole
    rng = random.Random(8)
    for _ in range(200):
        broken = bytearray(whole)
        broken[rng.randrange(len(whole))] ^= 1 << rng.randrange(7)
        path.write_bytes(bytes(broken))
        try:
            assert not verify_pack(path, digest=made.digest).is_whole
        except StoreBroken:
            continue


def test_no_list_of_a_pack_is_later_than_its_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A projector that lives goes on while a pack is written: what it brings has no record in the pack."""
    with closing(EventLog.open(tmp_path)) as log:
        world = World(log=log).set_up()
        world.leader_opens(10_000_000)
        write = pack._write_records

        def slowly(*given: Any) -> int:
            world.leader_opens(10_000_000)
            project_to_head(tmp_path)
            return write(*given)

        monkeypatch.setattr(pack, "_write_records", slowly)
        path = tmp_path / "evidence.pack"
        with Audit.open(tmp_path) as audit:
            before = len(list(audit.decisions()))
            made = export_pack(audit, path)
            assert len(list(audit.decisions())) == 2 * before
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    told = {line["line"]["decision_id"] for line in lines if line.get("list") == "decisions"}
    recorded = {f"{line['stream'].removeprefix('account:')}.{line['version']}" for line in lines if "stream" in line}
    assert len(told) == made.decisions == before
    assert told <= recorded
