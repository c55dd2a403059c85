"""Record against broker against leader: what differs, whose it is, and the one way in which that is repaired."""
