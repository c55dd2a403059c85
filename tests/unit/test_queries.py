"""docs/queries.md: every query runs on views made by `replay --to`, and says something where there is something."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlite_utils import Database

from cmam.store.logfile.log import EventLog
from cmam.store.projection.rebuild import metadata_path, rebuild
from cmam.store.projection.sql_views import DESCRIPTIONS, HIDDEN, SQL_VIEWS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "queries.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"## ([^\n]+)\n.*?```sql\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The views of the sample in a file, as `replay --to` makes them."""
    found = tmp_path_factory.mktemp("views") / "today.db"
    with closing(EventLog.read_file(ROOT / "events.db.sample")) as log:
        assert rebuild(log, found) == log.position()
    return found


@pytest.fixture
def views(path: Path) -> Iterator[Database]:
    """The file as a stranger's tool opens it: read-only."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    yield Database(connection)
    connection.close()


@pytest.mark.parametrize(("title", "sql"), QUERIES, ids=[title for title, _ in QUERIES])
def test_every_query_of_the_page_answers(views: Database, title: str, sql: str) -> None:
    """None is stale, and on the sample's day, in which everything happens, each has rows."""
    assert list(views.query(sql)), title


def test_the_page_asks_every_view(views: Database) -> None:
    """No view is there that nobody needs, and the table of the page names them all."""
    assert set(views.view_names()) == set(SQL_VIEWS)
    for name in SQL_VIEWS:
        assert f"`{name}`" in PAGE
        assert list(views.query(f"select count(*) from {name}"))


def test_no_view_loses_a_row(views: Database) -> None:
    """Joining names neither doubles nor drops anything."""
    for view, table in (("trades", "copies"), ("decided", "decisions"), ("requests", "orders")):
        (counts,) = views.query(f"select (select count(*) from {view}) a, (select count(*) from {table}) b")
        assert counts["a"] == counts["b"] > 0


def test_the_parts_of_slippage_add_up(views: Database) -> None:
    """Delay, spread and broker are the whole, to the rounding of each."""
    rows = list(views.query("select * from slippage where delay_pips is not null"))
    assert rows
    for row in rows:
        parts = (row["pips"], row["delay_pips"], row["spread_pips"], row["broker_pips"])
        assert "-0.0" not in map(str, parts), "no pip is none, whichever side it was not on"
        assert abs(row["pips"] - row["delay_pips"] - row["spread_pips"] - row["broker_pips"]) <= 0.02


def test_the_file_stands_alone_with_its_metadata(path: Path, views: Database) -> None:
    """No write-ahead log beside it, every table and view described or hidden, under the name of the file."""
    assert sorted(one.name for one in path.parent.iterdir()) == ["today-metadata.json", "today.db"]
    document = json.loads(metadata_path(path).read_text())
    tables = document["databases"]["today"]["tables"]
    shadows = {name for name in views.table_names() if name.startswith("search_")}
    assert set(tables) == (set(views.table_names()) | set(views.view_names())) - shadows
    assert set(tables) == set(DESCRIPTIONS) | set(HIDDEN)


def test_views_up_to_a_position_show_no_later_record(tmp_path: Path) -> None:
    """The tables as they would have stood then, and the same as when a projector stopped there."""
    with closing(EventLog.read_file(ROOT / "events.db.sample")) as log:
        assert rebuild(log, tmp_path / "half.db", until=150) == 150
    with closing(sqlite3.connect(tmp_path / "half.db")) as connection:
        for table in ("copies", "decisions", "orders", "settings"):
            (last,) = connection.execute(f"select max(position) from {table}").fetchone()
            assert last <= 150
