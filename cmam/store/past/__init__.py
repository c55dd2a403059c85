"""The past told again: replays, moments, decisions as they were met, by one process or by many."""
