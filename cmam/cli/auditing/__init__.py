"""Commands about the record: what was copied and why, how long it took, and its evidence."""
