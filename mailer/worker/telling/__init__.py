"""How the application is told what becomes of its messages."""
