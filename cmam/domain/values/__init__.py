"""What all else is made of: names, quantities, orders and positions, changes, commands, and reasons."""
