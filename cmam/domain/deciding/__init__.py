"""Copy or skip, how much, at which price, with which levels: what a follower makes of a change of its leader."""
