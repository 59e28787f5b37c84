"""The history that is configured: opened, and put right."""

from mailer.operate.history.opening import opened

__all__ = ["opened"]
