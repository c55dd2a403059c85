"""A record: how a fact becomes bytes and bytes a fact, in every form that was ever written."""
