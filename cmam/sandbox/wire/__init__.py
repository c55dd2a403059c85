"""The wire: bytes to messages and back on both ports, TLS, and faults of the line."""
