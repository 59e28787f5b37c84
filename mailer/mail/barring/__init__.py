"""When people get no more mail, and which mail."""
