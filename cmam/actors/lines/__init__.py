"""Connections to the API: bytes in, bytes out, nothing but through the limit, and who is told what came."""
