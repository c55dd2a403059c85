"""How actors come to life, each on a thread or many on one, and how time reaches them."""
