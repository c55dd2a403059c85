"""The HTTPS port: consent page, tokens, and the control endpoint."""
