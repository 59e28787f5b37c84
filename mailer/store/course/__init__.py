"""How a campaign stands, when it begins, and what of it was changed since it was enqueued."""
