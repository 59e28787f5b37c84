"""A process that lives exactly as long as somebody needs it.

    guard.py --while-locked FILE COMMAND…
    guard.py --while-stdin COMMAND…

runs COMMAND and asks it to end (SIGTERM, then SIGKILL after a while) as soon as no process holds
a shared lock on FILE, or the other end of standard input is closed. The kernel gives up locks and
pipes of a killed process, so that even ``kill -9`` of the user leaves nothing behind. On Linux the
command also dies with its guard (PR_SET_PDEATHSIG).
"""

import ctypes
import fcntl
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

POLL: Final = 0.25
"""Seconds between two looks at the lock."""

GRACE: Final = 30.0
"""Seconds from SIGTERM to SIGKILL."""

_PR_SET_PDEATHSIG: Final = 1


def command(*words: str) -> list[str]:
    """The command line that runs *words* under this guard.

    The file runs by itself, isolated: a guard imports nothing but the standard library.
    """
    return [sys.executable, "-I", __file__, *words]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command until it ends or nobody needs it; gives its exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["--while-locked"]:
        needed, words = _locked(Path(words[1])), words[2:]
    elif words[:1] == ["--while-stdin"]:
        needed, words = _open_stdin, words[1:]
    else:
        raise SystemExit("guard: wants --while-locked FILE or --while-stdin, and a command")
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: asked.append(received))
    child = subprocess.Popen(  # noqa: S603 - our own words
        words,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=_die_with_parent,  # noqa: PLW1509 - a guard has one thread
    )
    while child.poll() is None and needed() and not asked:
        _wait(child)
    return _end(child, asked)


def _end(child: subprocess.Popen[bytes], asked: list[int]) -> int:
    """Ask *child* to end; kill its whole session when it does not, or when asked a second time."""
    if child.poll() is None:
        child.terminate()
        deadline = time.monotonic() + GRACE
        while child.poll() is None and time.monotonic() < deadline and len(asked) < 2:
            _wait(child)
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)
    return child.wait()


def _wait(child: subprocess.Popen[bytes]) -> None:
    try:
        child.wait(POLL)
    except subprocess.TimeoutExpired:
        return


def _locked(file: Path) -> Callable[[], bool]:
    """Whether somebody else holds *file*; once nobody does, this process keeps it locked."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def needed() -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False

    return needed


def _open_stdin() -> bool:
    """Whether the other end of standard input is still there; nothing is ever written to it."""
    readable, _, _ = select.select([0], [], [], 0)
    return not readable or bool(os.read(0, 1))


def _die_with_parent() -> None:
    """In the child, between fork and exec: have the kernel end it when the guard is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


if __name__ == "__main__":
    raise SystemExit(main())
