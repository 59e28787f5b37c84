"""A shop that sends mail about its orders."""
