"""A process of its own that tells the application: what goes wrong there does not harm the worker.

The application's function may hang, end its process or take all memory; a server may answer one octet a
minute. A process that takes longer than its limit is killed, and a new one is started for the next
delivery.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from threading import Timer
from typing import Any, Final

from mailer.errors import EventsNotTakenError
from mailer.worker.telling.frames import read_frame, write_frame

START: Final = 60.0
"""Seconds in which it must have begun: it loads the application's code."""

ENDS: Final = 5.0
"""Seconds that it has to end when it is no longer needed."""


class Helper:
    """One process that does as *orders* say (see `ways`); *limit* is in seconds, for each delivery."""

    def __init__(self, orders: Mapping[str, Any], limit: float) -> None:
        self._orders = dict(orders, limit=limit)
        self._limit = limit
        self._process: subprocess.Popen[bytes] | None = None

    def check(self) -> None:
        """Start it, to see whether it can. Raises `EventsNotTakenError` that says why it cannot."""
        self._begun()

    def tell(self, body: bytes) -> None:
        """Have it deliver *body*. Raises `EventsNotTakenError` unless it was taken."""
        answer = self._ask(self._begun(), body, self._limit)
        if not answer["taken"]:
            raise EventsNotTakenError(answer["why"], answer.get("wait", 0.0))

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        with suppress(OSError):
            process.stdin.close()
        try:
            process.wait(ENDS)
        except subprocess.TimeoutExpired:
            _kill(process)
        self._reaped(process)

    def _begun(self) -> subprocess.Popen[bytes]:
        process = self._process
        if process is not None and process.poll() is None:
            return process
        self.close()
        self._process = process = subprocess.Popen(
            [sys.executable, "-m", "mailer.worker.telling.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        answer = self._ask(process, self._orders, START)
        if not answer["taken"]:
            self.close()
            raise EventsNotTakenError(answer["why"])
        return process

    def _ask(self, process: subprocess.Popen[bytes], what: Any, limit: float) -> dict[str, Any]:
        assert process.stdin is not None
        assert process.stdout is not None
        timer = Timer(limit, _kill, (process,))
        timer.daemon = True
        timer.start()
        try:
            write_frame(process.stdin, what)
            return dict(read_frame(process.stdout))
        except (OSError, EOFError):
            late = not timer.is_alive()
            with suppress(subprocess.TimeoutExpired):
                process.wait(ENDS)
            _kill(process)
            code = process.wait()
            self.close()
            if late:
                raise EventsNotTakenError(f"no answer within {limit:g} s") from None
            raise EventsNotTakenError(f"its process ended in the middle: {_how(code)}") from None
        finally:
            timer.cancel()

    @staticmethod
    def _reaped(process: subprocess.Popen[bytes]) -> None:
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill it with all processes that it has started."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _how(code: int) -> str:
    return f"exit status {code}" if code >= 0 else f"signal {-code}"
