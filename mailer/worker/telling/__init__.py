"""The application is told what becomes of its messages."""
