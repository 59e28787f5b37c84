"""Octets to a server and back: sockets, TLS, what may block, what is logged of it."""
