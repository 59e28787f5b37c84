"""What this worker cannot do, others may: it gives the batch back, waits longer each time, and says so.

An account that is not in this host's ``mailer.toml``, a secret that cannot be read here and now, a
payload of a newer version: in a rolling deploy, all three are there on the next host. If no living worker
can for minutes, it becomes a dead letter.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from random import random
from threading import Lock
from time import time
from typing import Final

from mailer.errors import MailerError
from mailer.store.workers.able import Able

log = logging.getLogger(__name__)

FIRST_WAIT: Final = 0.5
LONGEST_WAIT: Final = 30.0
"""Seconds for which a batch waits that was given back; doubled each time this process could not."""

OTHERS_WAIT: Final = 2.0
"""The same where another living worker may be able to."""

SECRET_AFTER: Final = 3600.0
"""Seconds that a secret may be out of reach: a vault that is sealed is opened again."""

TOLD_EVERY: Final = 60.0
"""Seconds between two lines in the log about the same thing."""


class UnableError(MailerError):
    """This worker cannot send the batch; another one may. Its arguments: *subject* and *why*."""

    def __init__(self, subject: str, why: str) -> None:
        super().__init__(subject, why)
        self.subject = subject
        self.why = why

    def __str__(self) -> str:
        return self.why


@dataclass(frozen=True, slots=True)
class Handed:
    """What becomes of a batch: others try it after *wait* seconds, or it is buried."""

    wait: float
    is_hopeless: bool


@dataclass(slots=True)
class _Lack:
    times: int = 0
    until: float = 0.0
    told: float = 0.0


class Unable:
    """What one process cannot do, told to all. *after* is how many seconds until nobody can."""

    def __init__(
        self, able: Able, worker: str, after: float, random: Callable[[], float] = random
    ) -> None:
        self._able = able
        self._worker = worker
        self._after = after
        self._random = random
        self._lock = Lock()
        self._lacks: dict[str, _Lack] = {}

    def check(self, subject: str) -> None:
        """Raise `UnableError` while it is too early to try *subject* again."""
        lack = self._lacks.get(subject)
        if lack is not None and time() < lack.until:
            raise UnableError(subject, f"{subject} is tried again in {lack.until - time():.0f} s")

    def could(self, subject: str) -> None:
        """It can: the next failure waits briefly again."""
        if self._lacks:
            self._lacks.pop(subject, None)

    def give_back(self, error: UnableError, ref: str) -> Handed:
        """This process cannot: what becomes of the batch *ref*."""
        now = time()
        with self._lock:
            lack = self._lacks.setdefault(error.subject, _Lack())
            if now >= lack.until:
                lack.times += 1
            # Jittered, so that the batches of a campaign do not all come back to the same worker at once.
            wait = min(FIRST_WAIT * 2 ** min(lack.times - 1, 16), LONGEST_WAIT)
            wait *= 0.5 + self._random()
            lack.until = max(lack.until, now + wait / 2)
            tells = now - lack.told >= TOLD_EVERY
            lack.told = now if tells else lack.told
        lasted = self._able.could_not(error.subject, self._worker, now)
        if not lasted:  # another worker may be able, and gets the batch soon
            wait = min(wait, OTHERS_WAIT * (0.5 + self._random()))
        after = SECRET_AFTER if error.subject.startswith("secret:") else self._after
        if tells:
            log.warning(
                "batch %s waits for a worker that can: %s (no worker could for %.0f s; after %.0f s it "
                "goes to the dead letters)",
                ref,
                error,
                lasted,
                after,
            )
        return Handed(wait, is_hopeless=lasted >= after)
