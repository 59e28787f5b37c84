"""How a session proves who it is: AUTH (RFC 4954), its mechanisms, and access tokens."""
