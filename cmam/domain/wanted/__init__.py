"""What a copy is to look like at its broker, and what it needs so that it does: levels, targets, reductions."""
