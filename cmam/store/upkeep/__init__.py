"""Care for the files: backups, archives, growth, and what can be saved of a damaged log."""
