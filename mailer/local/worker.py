"""A Celery worker of one's own, as a child that cannot outlive its parent."""

import os
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import Final, Self

from mailer.errors import LocalServerError
from mailer.local.guard import command

STOP_TIMEOUT: Final = 40.0
"""Seconds for the worker to finish its transactions and hang up."""

RESTARTS: Final = 3
"""Deaths of the worker within `_PERIOD` seconds that are met with a restart."""

_PERIOD: Final = 60.0


class LocalWorker:
    """``celery -A mailer worker`` against the embedded server at *url*.

    Its words go to *log*. *config* is the configuration file it reads, None for the usual search.
    """

    def __init__(  # noqa: PLR0913 - where it runs, and how
        self,
        url: str,
        log: Path,
        *,
        config: Path | None = None,
        concurrency: int | None = None,
        level: str = "WARNING",
        history: str | None = None,
    ) -> None:
        self._history = history
        self._url = url
        self._log = log
        self._config = config
        self._options = ["--loglevel", level]
        if concurrency is not None:
            self._options += ["--concurrency", str(concurrency)]
        self._process: subprocess.Popen[bytes] | None = None
        self._deaths: deque[float] = deque(maxlen=RESTARTS)

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def ensure(self) -> None:
        """Start it again if it died. Raises `LocalServerError` when it dies again and again."""
        if self._process is None or self._process.poll() is None:
            return
        now = time.monotonic()
        if len(self._deaths) == RESTARTS and now - self._deaths[0] < _PERIOD:
            raise LocalServerError(f"the worker dies again and again: {self._last_words()}")
        self._deaths.append(now)
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._start()

    def stop(self) -> None:
        """Have it finish what it is sending and end; a second interrupt kills it."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        try:
            process.terminate()
            process.wait(STOP_TIMEOUT)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            process.terminate()
            process.wait()
        finally:
            process.stdin.close()

    def _start(self) -> None:
        words = [sys.executable, "-m", "celery", "-A", "mailer", "worker"]
        words += ["--hostname", f"local-{os.getpid()}@%h", "--without-gossip", "--without-mingle"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own words
                command("--while-stdin", *words, *self._options),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=self._environment(),
            )

    def _environment(self) -> dict[str, str]:
        """What the worker is told."""
        environment = dict(os.environ)
        environment |= {"MAILER_REDIS": self._url, "MAILER_BROKER": self._url}
        if self._history is not None:
            environment["MAILER_HISTORY__URL"] = self._history
        if self._config is not None:
            environment["MAILER_CONFIG"] = str(self._config.absolute())
        return environment

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return f"{lines[-1].strip() if lines else 'no words'} (see {self._log})"
