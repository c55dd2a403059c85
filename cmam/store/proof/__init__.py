"""Proof that a log is what was written: chains checked, heads kept elsewhere, signatures."""
