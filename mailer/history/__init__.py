"""What became of every message, for years: the one door to SQL."""

from mailer.history.database import History, open_history

__all__ = ["History", "open_history"]
