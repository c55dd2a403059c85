"""The market: hours, quotes, bars and ticks of each feed."""
