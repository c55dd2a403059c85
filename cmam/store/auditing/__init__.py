"""What is asked of the past: lists, stories, sums, durations, and packs of evidence."""
