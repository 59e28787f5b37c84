"""A mail server that keeps what it gets, as messages, with whom each came for."""

import asyncio
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, Self

from aiosmtpd.controller import Controller

from tests.conftest import free_port
from tests.servers.waiting import eventually


class KeepingServer:
    """Takes all mail, without a login. Use as a context manager.

    *kept* are pairs of forward-path and message, in the order of their arrival. *slow* seconds pass
    before the reply to a final dot.
    """

    def __init__(self) -> None:
        self.kept: list[tuple[str, EmailMessage]] = []
        self.slow = 0.0
        self.port = free_port()
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port, ready_timeout=60)

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._controller.stop()

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        """Keep a message: aiosmtpd calls this."""
        await asyncio.sleep(self.slow)
        message = message_from_bytes(envelope.content, policy=policy.default)
        self.kept.extend((mailbox, message) for mailbox in envelope.rcpt_tos)
        return "250 2.0.0 kept"

    def mailboxes(self) -> list[str]:
        """Whom mail came for, sorted: one that got two stands there twice."""
        return sorted(mailbox for mailbox, _ in self.kept)

    def wait_for(self, number: int, within: float = 60.0) -> list[tuple[str, EmailMessage]]:
        """Wait until *number* messages have come, and return them."""
        eventually(lambda: len(self.kept) >= number, within)
        return list(self.kept)
