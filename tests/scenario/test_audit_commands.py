"""The audit's commands on the sample's day, as a person types them: lists, totals, proof, evidence and keeping."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import shutil
from contextlib import closing
from pathlib import Path

import pytest
from rich.console import Console

from cmam import office
from cmam.cli.face import rows
from cmam.config.home import Home
from cmam.domain.events import ProfileDeleted, ProfileRenamed
from cmam.store.logfile.lock import StoreLock
from cmam.store.logfile.log import EventLog
from tests.scenario.guide import Person
from tests.unit.store.world import World


@pytest.fixture
def person(tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> Person:
    """Somebody whose home holds the sample's log."""
    found = Person(tmp_path / "home", capsys)
    found.home.mkdir(mode=0o700)
    shutil.copy(root / "events.db.sample", found.home / "events.db")
    return found


def test_lists_come_as_tables_as_json_and_as_csv(person: Person) -> None:
    """The same lines in each form; filters that leave nothing say so."""
    lines = person.types("audit", "decisions", "--verdict", "skip", "--json").lines
    assert lines
    table = list(csv.DictReader(io.StringIO(person.types("audit", "decisions", "--verdict", "skip", "--csv").out)))
    assert [row["decision_id"] for row in table] == [line["decision_id"] for line in lines]
    shown = person.types("audit", "decisions", "--verdict", "skip", "--last", "2")
    assert lines[-1]["decision_id"] in shown.out
    assert lines[-3]["decision_id"] not in shown.out
    assert person.types("audit", "decisions", "--symbol", "eurusd", "--last", "1", "--json").lines
    assert "Nothing fits" in person.types("audit", "copies", "--text", "unheard-of").err


@pytest.mark.parametrize("what", ["copies", "decisions", "orders", "notes", "timings"])
def test_people_read_the_names_of_accounts_and_programs_their_numbers(person: Person, what: str) -> None:
    """A person knows an account by its alias, as `status` shows it; what programs read stays as it is."""
    assert person.types("account", "alias", "42000003", "Piggy").code == 0
    assert "Piggy" in person.types("audit", what).out
    told = person.types("audit", what, "--json").out
    assert "Piggy" not in told
    assert "42000003" in told


@pytest.mark.parametrize("width", [40, 60, 70, 80])
@pytest.mark.parametrize("what", ["copies", "decisions", "orders", "settings", "notes", "results"])
def test_on_every_screen_a_line_says_whose_it_is(
    person: Person, monkeypatch: pytest.MonkeyPatch, what: str, width: int
) -> None:
    """Who has many followers reads a line by its account; on a narrow screen other columns go first."""
    monkeypatch.setattr(rows, "console", lambda: Console(width=width, color_system=None))
    lines = person.types("audit", what, "--json").lines
    assert any(line.get("account") or line.get("follower") for line in lines)
    shown = person.types("audit", what).out
    assert re.search(r"\b(account|follower)\b", shown)
    names = {known.shown.rpartition(":")[2] for known in office.read_registry(Home(person.home)).accounts.values()}
    assert any(name in shown for name in names)


def test_notes_tell_money_and_moments_as_people_write_them(person: Person) -> None:
    """The beginning of a guard's day has its balance in whole units and its end as a time; --json has the fact."""
    days = [line for line in person.types("audit", "notes", "--json").lines if line["what"] == "guard_day_began"]
    cents = str(days[0]["data"]["balance"])
    assert days[0]["money_digits"] == 2
    shown = " ".join(person.types("audit", "notes").out.split())
    assert f"balance {cents[:-2]}.{cents[-2:]}" in shown
    assert cents not in shown
    assert "began_us" not in shown
    assert re.search(r"began \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z, next \d{4}-", shown)


def test_a_log_without_a_fault_is_not_to_be_exchanged(person: Person, tmp_path: Path) -> None:
    """`salvage` says that nothing had to be salvaged, and leads nobody to put a copy in the place of a whole log."""
    said = person.types("salvage", str(tmp_path / "copy.db"))
    assert said.code == 0
    assert "Every record is good" in said.err
    assert "--replace" not in said.err


def test_a_home_without_a_log_is_not_given_one_to_archive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The folder is named, and stays as it was; `status` there says what comes first."""
    person = Person(tmp_path / "mistyped", capsys)
    said = person.types("archive")
    assert said.code == 1
    assert f"no event store in {person.home}" in said.err
    assert not person.home.exists()
    shown = " ".join(person.types("status").out.split())
    assert f"no account was added yet in {person.home}: `cmam api configure`" in shown
    assert "stored last" not in shown


@pytest.mark.parametrize("what", ["copies", "decisions", "orders", "settings", "notes", "totals", "timings"])
def test_an_empty_list_as_csv_is_its_header(person: Person, what: str) -> None:
    """A program that reads columns by name finds them where there is nothing to read, and the same ones as ever."""
    some = person.types("audit", what, "--csv").out.splitlines()
    none = person.types("audit", what, "--csv", "--since", "2100-01-01")
    assert none.code == 0
    assert none.out.splitlines() == some[:1]
    assert len(some) > 1


def test_what_a_line_shows_finds_the_line(person: Person) -> None:
    """Its moment as the end of a span, with all of that millisecond; its day alone; and the leader by his name."""
    line = person.types("audit", "decisions", "--last", "1", "--json").lines[0]
    for command in (("audit", "decisions"), ("audit", "copies")):
        assert person.types(*command, "--since", line["at"], "--until", line["at"], "--json").code == 0
    found = person.types("audit", "decisions", "--since", line["at"], "--until", line["at"], "--json").lines
    assert line in found
    day = line["at"][:10]
    assert line in person.types("audit", "decisions", "--since", day, "--until", day, "--json").lines
    whole = person.types("replay", "--json").lines
    at = whole[-1]["at"]
    assert person.types("replay", "--until", at, "--json").lines == whole
    assert person.types("audit", "orders", "--account", "lead", "--last", "1", "--json").lines


def test_an_account_that_was_removed_is_found_by_each_of_its_names(person: Person) -> None:
    """Its history stays, and so do its number, its login and the alias it had last; who has a name now comes first."""
    removed = [line for line in person.types("audit", "accounts", "--json").lines if line["removed"]]
    gone = removed[0]["account"]
    by_number = person.types("audit", "decisions", "--account", str(gone), "--json").lines
    assert by_number
    login = f"{removed[0]['broker'].upper()}:{removed[0]['login']}"
    assert person.types("audit", "decisions", "--account", login, "--json").lines == by_number
    refused = person.types("audit", "decisions", "--account", "nobody")
    assert refused.code == 2
    assert "there are:" in refused.err
    assert person.types("account", "show", login, "--offline").code == 2


@pytest.mark.parametrize("is_deleted", [False, True])
def test_a_profile_is_found_by_its_name_in_either_case(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], is_deleted: bool
) -> None:
    """In every alphabet, and also when it is deleted; one that never was is a mistake and not an empty list."""
    person = Person(tmp_path / "home", capsys)
    with closing(EventLog.open(person.home)) as log:
        world = World(log=log).set_up()
        world.leader_opens(10_000_000)
        world.write_profile(ProfileRenamed(name="Über ☃"))
        if is_deleted:
            world.write_profile(ProfileDeleted())
    for name in ("Über ☃", "über ☃", "ÜBER ☃"):
        assert len(person.types("audit", "copies", "--profile", name, "--json").lines) == 1
    assert person.types("audit", "copies", "--profile", "nonsense").code == 2


@pytest.mark.parametrize(
    "wrong",
    [
        ("audit", "copies", "--last", "9" * 20),
        ("audit", "copies", "--account", "9" * 20),
        ("audit", "settings", "--reason", "nonsense"),
        ("audit", "accounts", "--reason", "nonsense"),
        ("audit", "export", "x.csv", "--what", "settings", "--state", "open"),
        ("audit", "export", "x.csv", "--what", "accounts", "--text", "word"),
        ("audit", "export", "x.pack", "--reason", "nonsense"),
        ("audit", "export", "x.csv", "--state", "nonsense"),
    ],
)
def test_a_filter_that_cannot_be_is_a_sentence(person: Person, wrong: tuple[str, ...]) -> None:
    """Never left out in silence, which would show or give away more than was asked for, and never an error of ours."""
    found = person.types(*wrong)
    assert (found.code, "Something went wrong" in found.err) == (2, False)


def test_a_pack_has_what_its_filters_say(person: Person, tmp_path: Path) -> None:
    """Whatever is not asked for stays with its owner: a state and a verdict narrow a pack as they narrow the lists."""
    opened = {}
    for name, filters in {"all": (), "open": ("--state", "open"), "skip": ("--verdict", "skip")}.items():
        pack = tmp_path / f"{name}.pack"
        assert person.types("audit", "export", str(pack), *filters).code == 0
        assert person.types("audit", "verify", "--pack", str(pack)).code == 0
        lines = [json.loads(line) for line in pack.read_text().splitlines()]
        opened[name] = {line["line"]["copy_id"] for line in lines if line.get("list") == "copies"}
    wanted = {line["copy_id"] for line in person.types("audit", "copies", "--state", "open", "--json").lines}
    assert opened["open"] == wanted
    assert opened["skip"] < opened["all"]


def test_totals_are_told_for_people_and_for_programs(person: Person) -> None:
    """One page a group; the JSON has every number of it."""
    (whole,) = person.types("audit", "totals", "--by", "all", "--json").lines
    said = person.types("audit", "totals", "--by", "all").out
    assert f"{whole['decisions']}: {whole['copied']} copied, {whole['skipped']} skipped" in said
    assert whole["decisions"] == len(person.types("audit", "decisions", "--json").lines)
    assert "fill rate" in said
    assert whole["closes"] == sum(result["closes"] for result in whole["results"].values()) > 0
    for currency, result in whole["results"].items():
        assert f"{result['net']} {currency} of {result['closes']} closing deal" in said
    (cells,) = csv.DictReader(person.types("audit", "totals", "--by", "all", "--csv").out.splitlines())
    assert json.loads(cells["results"]) == whole["results"]
    assert (cells["net"], cells["currency"]) == (whole["net"] or "", whole["currency"] or "")
    assert person.types("audit", "totals", "--since", "today", "--json").lines == []


def test_a_skip_is_explained_for_people_and_for_programs(person: Person) -> None:
    """The page says what the JSON says: rule, sum, cures and who set what."""
    skip = person.types("audit", "decisions", "--verdict", "skip", "--reason", "margin", "--json").lines[-1]
    (story,) = person.types("audit", "explain", skip["decision_id"], "--json").lines
    said = " ".join(person.types("audit", "explain", skip["decision_id"]).out.split())
    assert story["rule"] in said
    assert story["arithmetic"]["text"] in said
    assert "copied if" in said
    needed = story["cures"][0]["alterations"][0]
    assert needed["needs"] in said
    assert any(row["user"] for row in story["set_by"])


def test_evidence_leaves_the_house_and_is_checked_elsewhere(person: Person, tmp_path: Path) -> None:
    """With references in place of ids; the digest that was printed is the one that is held against."""
    skip = person.types("audit", "decisions", "--verdict", "skip", "--json").lines[-1]
    pack = tmp_path / "evidence.pack"
    account = str(skip["follower"])
    said = person.types("audit", "export", str(pack), "--account", account, "--anonymous")
    digest = said.out.strip()
    assert account not in pack.read_text().replace(digest, "")
    elsewhere = Person(tmp_path / "elsewhere", person.capsys)
    (found,) = elsewhere.types("audit", "verify", "--pack", str(pack), "--digest", digest, "--json").lines
    assert (found["whole"], found["anonymous"], found["texts_checked"], found["anchored"]) == (True, True, False, True)
    key = ("--key", f"{pack}.key")
    assert elsewhere.types("audit", "verify", "--pack", str(pack), *key, "--json").lines[0]["texts_checked"] is True
    pack.write_text(pack.read_text().replace(skip["reason"], "paused", 1))
    broken = elsewhere.types("audit", "verify", "--pack", str(pack), *key)
    assert (broken.code, broken.out.startswith("BROKEN")) == (1, True)


def test_a_head_vouches_for_the_records_of_a_pack_and_not_for_its_lists(person: Person, tmp_path: Path) -> None:
    """Who changes a list and makes the digest anew is found by the digest that was kept; a head alone says so."""
    pack, head = tmp_path / "evidence.pack", person.types("audit", "head").out.strip()
    digest = person.types("audit", "export", str(pack)).out.strip()
    *lines, last = pack.read_bytes().splitlines(keepends=True)
    skip = b'"verdict":"skip"'
    place = next(n for n, line in enumerate(lines) if line.startswith(b'{"list":"decisions"') and skip in line)
    lines[place] = lines[place].replace(skip, b'"verdict":"copy"')
    forged = {**json.loads(last), "digest": hashlib.sha256(b"".join(lines)).hexdigest()}
    pack.write_bytes(b"".join(lines) + json.dumps(forged).encode() + b"\n")
    seen = person.types("audit", "verify", "--pack", str(pack), "--head", head)
    assert (seen.code, "compare the digest or the signer" in seen.err) == (0, True)
    (document,) = person.types("audit", "verify", "--pack", str(pack), "--head", head, "--json").lines
    assert (document["anchored"], document["lists_anchored"]) == (True, False)
    assert person.types("audit", "verify", "--pack", str(pack), "--digest", digest).code == 1


def test_a_head_in_a_file_finds_what_the_chain_alone_cannot(person: Person, tmp_path: Path) -> None:
    """The log of a moment before, put in place of today's, is whole by itself and not the one whose head was kept."""
    head = tmp_path / "head.txt"
    assert person.types("audit", "head", str(head)).out.strip() == head.read_text().strip()
    assert person.types("audit", "head", str(head)).code == 0
    other = tmp_path / "notes.txt"
    other.write_text("of a year")
    assert person.types("audit", "head", str(other)).code == 2
    assert other.read_text() == "of a year"
    position = int(head.read_text().partition(":")[0])
    head.write_text(f"{position + 1}:{'0' * 64}\n")
    said = person.types("audit", "verify", "--head", str(head))
    assert said.code == 1
    assert "its end was cut off" in said.out
    assert "Not seen by this" in person.types("audit", "verify").err


def test_backup_archive_restore_and_what_status_says(person: Person, tmp_path: Path) -> None:
    """Put aside and continued, put back without deleting; refused while somebody holds the store."""
    copy = tmp_path / "copy.db"
    assert person.types("backup", str(copy)).code == 0
    decided = person.types("audit", "decisions", "--json").out
    (done,) = person.types("archive", "--json").lines
    assert Path(done["part"]).parent == person.home / "archive"
    assert person.types("audit", "decisions", "--json").out == decided
    assert person.types("replay", "--verify").code == 0
    assert person.types("audit", "verify").code == 0
    (status,) = person.types("status", "--json").lines
    assert status["log"]["archived_bytes"] > status["log"]["bytes"] > 0
    assert "archived" in person.types("status").out
    assert person.types("restore", str(copy)).code == 1
    (back,) = person.types("restore", str(copy), "--replace", "--json").lines
    assert Path(back["replaced"]).exists()
    assert person.types("audit", "decisions", "--json").out == decided
    with StoreLock(person.home).acquire(since="now", command="cmam start"):
        for command in (("archive",), ("restore", str(copy), "--replace")):
            assert person.types(*command).code == 4
        assert person.types("backup", str(tmp_path / "again.db")).code == 0


@pytest.mark.parametrize("name", ["copies.csv", "copies.jsonl", "copies.pack", "copies.db"])
def test_an_older_export_is_replaced_and_no_other_file(person: Person, tmp_path: Path, name: str) -> None:
    """A script of every night writes the same name again; a mistyped one cost a person another file."""
    file = tmp_path / name
    command = ("replay", "--until", "40", "--to") if name == "copies.db" else ("audit", "export", "--last", "1")
    for _ in range(2):
        assert person.types(*command, str(file)).code == 0
    if name == "copies.csv":
        assert person.types("audit", "export", str(file), "--what", "orders").code == 2
    file.write_text("my own words\n")
    said = person.types(*command, str(file))
    assert (said.code, "is something else than" in said.err) == (2, True)
    assert file.read_text() == "my own words\n"
    file.write_text("")  # as mktemp makes it
    assert person.types(*command, str(file)).code == 0


def test_one_output_has_one_form(person: Person) -> None:
    """Of --csv and --json the first was printed, and a program that had asked for the other was not told."""
    for command in (("audit", "copies", "--csv", "--json"), ("--json", "audit", "timings", "--csv")):
        said = person.types(*command)
        assert (said.code, "not both" in said.err, said.out) == (2, True, "")


def test_the_views_of_a_moment_are_made_for_sql(person: Person, tmp_path: Path) -> None:
    """A file of their own, named in the metadata beside it."""
    (made,) = person.types("replay", "--to", str(tmp_path / "noon.db"), "--until", "300", "--json").lines
    assert made["position"] == 300
    assert "noon" in json.loads(Path(made["metadata"]).read_text())["databases"]


def test_what_a_broker_told_after_the_consent_is_shown_too(person: Person) -> None:
    """An account that could not be read as it was added has its currency and type from the record."""
    lines = {line["ctid"]: line for line in person.types("account", "list", "--json").lines}
    assert {line["currency"] for line in lines.values()} == {"USD", "EUR"}
    assert all(line["type"] in ("hedged", "netted") for line in lines.values())
    assert "EUR" in person.types("account", "list").out
    shown = person.types("account", "show", "42000004", "--offline", "--json").lines[0]
    assert (shown["currency"], shown["type"]) == (lines[42_000_004]["currency"], lines[42_000_004]["type"])
