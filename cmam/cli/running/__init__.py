"""Commands about the running system: start, look, pause, close everything, open again."""
