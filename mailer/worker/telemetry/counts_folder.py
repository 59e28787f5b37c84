"""Where the counts of a worker's processes lie together, so that one of them can serve the sum.

prometheus_client keeps them in files that it maps into memory. They are in the folder that the
environment variable `VARIABLE` names. The worker's main process makes one, and its children inherit the
name.
"""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
_PREFIX: Final = "mailer-metrics-"
_LOCK: Final = "in-use"


class CountsFolder:
    """A folder for as long as this worker lives. If the operator names one, that is used and kept."""

    def __init__(self) -> None:
        self._lock: int | None = None
        given = os.environ.get(VARIABLE)
        if given:
            self.path = Path(given)
            return
        _remove_left_ones()
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        # Locked while the worker lives. One that is killed leaves its folder; the next worker can lock
        # it, and so removes it.
        self._lock = os.open(self.path / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        os.environ[VARIABLE] = str(self.path)

    def remove(self) -> None:
        """The worker's main process ends: nobody asks for its counts any more."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
            os.environ.pop(VARIABLE, None)
            shutil.rmtree(self.path, ignore_errors=True)


def _remove_left_ones() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            lock = os.open(folder / _LOCK, os.O_RDWR)
        except OSError:
            continue  # another user's, or just being made
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue  # its worker lives
        else:
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)
