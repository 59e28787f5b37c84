"""What people do about campaigns, accounts and dead letters."""
