"""The log as a file: made, locked, appended to, chained, read, and put aside in segments."""
