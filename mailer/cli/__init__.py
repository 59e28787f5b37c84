"""Commands for people and scripts: they parse and print, and decide nothing."""

from mailer.cli.main import main

__all__ = ["main"]
