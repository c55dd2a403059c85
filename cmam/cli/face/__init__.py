"""What all commands share: options, words, lists, exit codes."""
