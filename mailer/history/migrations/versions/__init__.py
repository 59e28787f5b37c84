"""Each step, the oldest first."""
