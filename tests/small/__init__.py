"""Small worlds, all of them: what one leader does to one follower, in every order that a few faults can bring about."""
