"""Guards: the days they count by, what they keep over a restart, and when they trip."""
