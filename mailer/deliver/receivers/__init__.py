"""What receivers ask of an account, looked at from where its keys and the DNS are."""
