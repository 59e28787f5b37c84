"""Providers' webhooks: a request is verified, then read into events."""
