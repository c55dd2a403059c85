"""The copy rules written a second time from their description, and drawn days of leaders that are held against them."""
