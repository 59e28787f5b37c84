"""Commands for people and scripts: they parse and print, and decide nothing."""

import sys

try:
    from mailer.cli.main import main
except KeyboardInterrupt:  # Ctrl-C while the command line loads, before it could say so itself
    sys.stderr.write("mailer: interrupted\n")
    raise SystemExit(130) from None

__all__ = ["main"]
