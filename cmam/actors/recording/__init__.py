"""From facts to a log that holds them: one writer, and what waits while it cannot write."""
