"""Drawn runs in which anything may break: what a seed draws, who does what, and what must hold whatever happened."""
