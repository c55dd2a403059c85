"""Views of the past: enough of them, spread out, and what they were."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlite_utils import Database

from cmam.store.folding.snapshot import kept_view
from cmam.store.past.reliving import Past
from cmam.store.projection import projector, spacing
from cmam.store.projection.projector import Projector
from cmam.store.projection.views_file import VIEWS_NAME, open_views

from .world import FIRST, World


def _kept(views: Database) -> list[int]:
    return [row[0] for row in views.execute("SELECT version FROM folds WHERE stream = 'account:2001' ORDER BY 1")]


def _long_world() -> World:
    world = World().set_up()
    for _ in range(20):
        world.leader_closes(world.leader_opens())
    return world


def test_old_views_are_kept_all_along_a_log_and_are_what_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long a log grows, a fold from the nearest kept view is short, and gives what folding all gives."""
    world = _long_world()
    monkeypatch.setattr(projector, "PAGE", 10)
    monkeypatch.setattr(spacing, "EVERY", 15)
    monkeypatch.setattr(spacing, "STRETCH_BYTES", 1_000_000)
    views = open_views(world.log, tmp_path / VIEWS_NAME)
    Projector(world.log, views).project()
    versions = _kept(views)
    head = world.views[FIRST].version
    gaps = [after - before for before, after in zip([0, *versions], [*versions, head], strict=True)]
    assert max(gaps) <= 15 + 2 * 10
    assert len(versions) >= 6
    for version in versions:
        kept = kept_view(views, "account:2001", version + 1)
        assert kept == Past(world.log).view_before(FIRST, version + 1)
    assert kept_view(views, "account:2001", versions[0]) is None


def test_snapshots_are_thinned_to_their_bytes_and_stay_spread_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kept far more often than they are worth, they go where they stand closest, down to what the bytes allow."""
    world = _long_world()
    monkeypatch.setattr(projector, "PAGE", 10)
    monkeypatch.setattr(projector, "SNAPSHOT_EVERY", 10)
    monkeypatch.setattr(spacing, "EVERY", 5)
    monkeypatch.setattr(spacing, "BYTES_MAX", 1)
    views = open_views(world.log, tmp_path / VIEWS_NAME)
    Projector(world.log, views).project()
    versions, head = _kept(views), world.views[FIRST].version
    assert len(versions) == spacing.SNAPSHOTS_MIN
    assert versions[-1] >= head - 10
    gaps = [after - before for before, after in zip([0, *versions], versions, strict=False)]
    assert max(gaps) <= 3 * head / spacing.SNAPSHOTS_MIN
    monkeypatch.setattr(spacing, "EVERY", 10 * head)
    spacing.thin(views, "account:2001")
    assert _kept(views) == versions[-1:]


def test_a_large_view_is_kept_more_rarely() -> None:
    """An account is due again after its spacing and a record for each so many bytes of its view, not before."""
    known = spacing.Spacing()
    assert not known.is_due("account:1", 700)
    assert known.is_due("account:1", 700 + spacing.EVERY)
    known.was_kept("account:1", 10_000, 300 * spacing.STRETCH_BYTES)
    assert not known.is_due("account:1", 10_000 + spacing.EVERY + 299)
    assert known.is_due("account:1", 10_000 + spacing.EVERY + 300)
