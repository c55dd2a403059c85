"""The broker's books: who may do what, orders, positions, deals and money."""
