"""What workers tell each other of themselves."""
