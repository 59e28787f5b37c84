"""The console: pages for the people who run campaigns, accounts and what needs a human."""
