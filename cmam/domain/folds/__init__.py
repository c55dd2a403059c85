"""How belief changes: each fact folded into the view of its account. `account.evolve` is the way in."""
