"""A history that is read backwards: from where the next page is asked for, and when there is none."""

from __future__ import annotations

from collections.abc import Sequence

from cmam.openapi.pages import Pages

FROM_MS, TO_MS, PAGE = 100, 1_000, 3
Row = tuple[int, int]
"""A number, and a moment in ms."""


def _read(rows: Sequence[Row]) -> tuple[list[int], list[int]]:
    """The numbers that were told by a broker who gives `PAGE` at once, and until when each page was asked for."""
    pages: Pages[Row] = Pages(FROM_MS, TO_MS, lambda row: row[0], lambda row: row[1])
    told, asked = [], []
    while pages.has_more:
        asked.append(pages.to_ms)
        older = [row for row in sorted(rows, key=lambda row: -row[1]) if FROM_MS <= row[1] <= pages.to_ms]
        told += [row[0] for row in pages.take(tuple(older[:PAGE]), has_more=len(older) > PAGE)]
    return told, asked


def test_each_row_is_told_once_though_pages_overlap_by_a_millisecond() -> None:
    """More may have happened in the millisecond in which a page ended: that is asked for again, and told once."""
    told, asked = _read([(1, 900), (2, 800), (3, 700), (4, 700), (5, 600)])
    assert told == [1, 2, 3, 4, 5]
    assert asked == [TO_MS, 700]


def test_a_millisecond_that_fills_a_page_does_not_keep_the_reading() -> None:
    """A page of rows that all are known already is followed by one that ends a millisecond earlier."""
    told, asked = _read([(1, 700), (2, 700), (3, 700), (4, 700), (5, 600)])
    assert told == [1, 2, 3, 5]  # what the broker never shows nobody can read
    assert asked == [TO_MS, 700, 699]


def test_nothing_is_asked_for_before_the_span() -> None:
    """A broker that answers with what is older than asked for has come to the end, whatever it says of more."""
    pages: Pages[Row] = Pages(FROM_MS, TO_MS, lambda row: row[0], lambda row: row[1])
    assert pages.take(((1, FROM_MS - 1),), has_more=True) == ((1, FROM_MS - 1),)
    assert not pages.has_more
