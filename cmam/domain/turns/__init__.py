"""One turn of an account: what follows from a fact, from the passing of time, and from what others did."""
