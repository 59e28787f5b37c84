"""What Redis forgets: campaigns that are over, and persons."""
