"""A second broker, written from the published facts of the wire alone, with habits that the sandbox has not."""
