"""Django's email backend: what `django.core.mail` sends is queued, and workers deliver it."""

from collections.abc import Sequence
from typing import Any

from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.message import EmailMessage

from mailer.django.configuration import configured
from mailer.errors import MailerError
from mailer.produce.messages import send_message

KIND = "django"
"""What such messages are shown under: the campaign ``send.django``."""


class EmailBackend(BaseEmailBackend):  # type: ignore[misc] # Django is untyped
    """Queues each message, with everything that it has: alternatives, attachments, headers, Bcc.

    *account* names the login that sends; a message may name another by an ``account`` attribute, and a
    ``key`` attribute makes it one however often it is sent. Both arguments may stand in the ``OPTIONS``
    of an entry in ``MAILERS``. Importing it starts nothing.
    """

    def __init__(
        self,
        fail_silently: bool = False,  # noqa: FBT001, FBT002 - Django's backends take it by position
        *,
        account: str = "primary",
        **options: Any,
    ) -> None:
        # Django 6.1 takes what its own class is handed for an option that nobody knows.
        super().__init__(**options)
        self.fail_silently = fail_silently
        self._account = account

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Queue *email_messages*; returns how many were queued.

        Raises `MailerError` for one that cannot be sent, unless *fail_silently*: then it is not counted.
        """
        return sum(self._queued(message) for message in email_messages)

    def _queued(self, message: EmailMessage) -> bool:
        recipients = message.recipients()
        if not recipients:
            return False  # as Django's own backends do
        try:
            send_message(
                message.message(),
                from_addr=message.from_email or None,
                to_addrs=recipients,
                account=getattr(message, "account", self._account),
                kind=KIND,
                key=getattr(message, "key", None),
                settings=configured(),
            )
        except MailerError:
            if not self.fail_silently:
                raise
            return False
        return True
