"""Exchange with the rest of the world: files of other programs, source text."""
