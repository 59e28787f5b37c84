"""The whole way on one machine: a real Redis-protocol server, a real worker, a mail server that keeps."""

import random
import threading
import time
from contextlib import ExitStack
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Final, Self

from aiosmtpd.controller import Controller

from mailer.config import Settings, configured, current
from mailer.local import Folder, LocalWorker

START_ATTEMPTS: Final = 20
WAIT: Final = 30.0
"""Seconds that `Live.wait_for` waits unless told otherwise: a worker starts in two."""

_READING: Final = policy.default


class Live:
    """Mail that is really sent, and kept: *received* are the messages that the mail server has.

    The process's configuration is used, with the servers of this folder in it; every account that it has,
    or ``primary``, leads to the mail server here. Wants ``pip install 'celery-mailer[testing]'``.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = ExitStack()
        self._arrived = threading.Condition()
        self._received: list[EmailMessage] = []
        self.settings: Settings

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            server = _listening(self)
            stack.callback(server.stop)
            local = Folder(self._folder)
            url = stack.enter_context(local.entered())
            file = self._written(url, server.port)
            stack.enter_context(configured(self.settings))
            log = self._folder / "worker.log"
            stack.enter_context(LocalWorker(url, log, config=file, concurrency=1))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stack.close()

    @property
    def received(self) -> list[EmailMessage]:
        """What has arrived so far; ``X-RcptTo`` names whom each came for."""
        with self._arrived:
            return list(self._received)

    def wait_for(self, number: int, seconds: float = WAIT) -> list[EmailMessage]:
        """Wait until *number* messages have arrived, and return all. Raises `TimeoutError`."""
        deadline = time.monotonic() + seconds
        with self._arrived:
            while len(self._received) < number:
                left = deadline - time.monotonic()
                if left <= 0 or not self._arrived.wait(left):
                    raise TimeoutError(
                        f"{len(self._received)} of {number} messages arrived in {seconds:.0f} s; "
                        f"what the worker says is in {self._folder / 'worker.log'}"
                    )
            return list(self._received)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        """Keep a message: aiosmtpd calls this."""
        message = message_from_bytes(envelope.content.replace(b"\r\n", b"\n"), policy=_READING)
        assert isinstance(message, EmailMessage)
        message["X-RcptTo"] = ", ".join(envelope.rcpt_tos)
        with self._arrived:
            self._received.append(message)
            self._arrived.notify_all()
        return "250 2.0.0 kept"

    def _written(self, url: str, port: int) -> Path:
        """The configuration as a file, for the worker; and as settings, for this process."""
        own = current()
        names = list(own.accounts) or ["primary"]
        account = {"url": f"smtp://127.0.0.1:{port}"}
        self.settings = Settings.model_validate(
            {
                "redis": url,
                "templates": own.templates.absolute(),
                "sender": own.sender,
                "accounts": dict.fromkeys(names, account),
            }
        )
        file = self._folder / "mailer.toml"
        tables = [f'[accounts."{name}"]\nurl = "{account["url"]}"\n' for name in names]
        file.write_text(f'redis = "{url}"\n' + "".join(tables), encoding="utf-8")
        return file


def _listening(live: Live) -> Controller:
    for _ in range(START_ATTEMPTS):
        port = random.randrange(20_000, 30_000)  # noqa: S311 - nothing is to be guessed
        controller = Controller(live, hostname="127.0.0.1", port=port)
        try:
            controller.start()
        except OSError:  # somebody listens there
            continue
        return controller
    raise TimeoutError("no port to listen on was found between 20000 and 30000")
