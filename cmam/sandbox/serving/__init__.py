"""A sandbox server from its options and its world to its end."""
