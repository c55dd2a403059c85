"""Trading accounts: each the only writer of its stream, as a leader, as a follower, or both."""
