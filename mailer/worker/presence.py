"""A worker tells the others every few seconds that it lives, and which accounts and payloads it knows.

So no other worker makes a dead letter of what this one could send (see `mailer.deliver.unable`).
"""

import os
import platform
import uuid
from typing import Final

from mailer.config import Settings
from mailer.mail.payload import VERSION
from mailer.store.connection import Client
from mailer.store.workers.able import Able

NAME_LENGTH: Final = 60
"""Characters of the host's name in a worker's name."""


def new_name() -> str:
    """A name for this worker that no other has: host, process, and a token, as hosts may be cloned."""
    return f"{platform.node()[:NAME_LENGTH]}.{os.getpid()}.{uuid.uuid4().hex[:8]}"


class Presence:
    """The duty of *worker*'s main process. Times are seconds since the epoch."""

    def __init__(self, settings: Settings, client: Client, worker: str) -> None:
        self._able = Able(client)
        self._accounts = tuple(settings.accounts)
        self._worker = worker

    def sweep(self, now: float) -> None:
        """Say that the worker lives."""
        self._able.announce(self._worker, self._accounts, VERSION, now)

    def end(self) -> None:
        """Say that it ends."""
        self._able.retire(self._worker)
