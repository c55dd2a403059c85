"""Histograms: every span is counted once, in the bucket whose bounds hold it."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from cmam.store.auditing.histogram import BOUNDS_US, Bucket, coarser, histogram

spans = st.lists(st.integers(-10, 10**10) | st.sampled_from(BOUNDS_US), max_size=60)


def test_bounds_grow_by_at_most_two_thirds() -> None:
    """Log-spaced: no bucket is more than 1.7 times as wide as where it begins, from 10 us to 100 s."""
    assert (BOUNDS_US[0], BOUNDS_US[-1]) == (10, 100_000_000)
    ratios = [upper / lower for lower, upper in pairwise(BOUNDS_US)]
    assert min(ratios) > 1.3
    assert max(ratios) < 1.7


@given(spans)
def test_every_span_is_in_the_bucket_that_holds_it(found: list[int]) -> None:
    """Nothing is counted twice or lost, both ends hold something, and neighbours touch; the same two in one."""
    for buckets in (histogram(found), coarser(histogram(found))):
        for bucket in buckets:
            held = [
                span
                for span in found
                if (bucket.from_us <= span or not bucket.from_us)
                and (bucket.below_us is None or span < bucket.below_us)
            ]
            assert bucket.count == len(held)
        assert sum(bucket.count for bucket in buckets) == len(found)
        assert all(one.below_us == other.from_us for one, other in pairwise(buckets))
        assert not buckets or (buckets[0].count and buckets[-1].count)


def test_two_in_one_go_by_one_two_five() -> None:
    """1 to 1.5 and 1.5 to 2 are 1 to 2; 2 to 3 and 3 to 5 are 2 to 5; 5 to 7 and 7 to 10 are 5 to 10."""
    fine = histogram([1_000, 1_500, 2_000, 3_000, 5_000, 7_000])
    assert [bucket.from_us for bucket in fine] == [1_000, 1_500, 2_000, 3_000, 5_000, 7_000]
    assert coarser(fine) == [Bucket(1_000, 2_000, 2), Bucket(2_000, 5_000, 2), Bucket(5_000, 10_000, 2)]
