"""The trading floor: orders checked, accepted, executed, triggered and ended, and how that is reported."""
