"""A batch, and what became of it."""
