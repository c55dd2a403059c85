"""What the operator commands: accounts and profiles made, changed, switched and ended."""
