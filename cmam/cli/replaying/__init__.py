"""Commands about the past: rebuilt, watched, derived again, or as it would have been."""
