"""The command line: click and rich, and only here. A command parses, calls one function, prints."""
