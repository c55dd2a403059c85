"""A trader on a running sandbox: by hand, or by a script."""
