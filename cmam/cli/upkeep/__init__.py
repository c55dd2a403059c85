"""Commands about the log as a file: copied, put back, put aside, salvaged."""
