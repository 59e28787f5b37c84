"""`python examples/demo`: the whole job on one machine, in less than a minute."""

import contextlib
import signal
import sys


def run() -> int:
    """Run the demo; an interrupt ends it quietly from its first moment on."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        from show import main  # noqa: PLC0415 - imports take a while, and may be interrupted

        return main()
    except KeyboardInterrupt:
        return 130


with contextlib.suppress(BrokenPipeError):
    sys.exit(run())
