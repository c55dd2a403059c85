"""`views.db`: the tables that audits read, filled by a projector beside the trading."""
