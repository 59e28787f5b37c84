"""A bulk mailer on Celery: every message sent once, fast, with an answer for every recipient."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailer.compose import Attachment, Unsubscribe
    from mailer.config import Settings, configure, load
    from mailer.errors import MailerError
    from mailer.operate.trace import trace
    from mailer.produce import reload
    from mailer.produce.campaign import Campaign, Status
    from mailer.produce.commit import on_commit
    from mailer.produce.messages import asend_mail, asend_message, send_mail, send_message
    from mailer.produce.receipt import Complaint, Receipt
    from mailer.produce.send import asend, send

    __version__: str

__all__ = [  # noqa: RUF022 - grouped: it doubles as a table of contents
    # Sending
    "Campaign",
    "send",
    "asend",
    "send_mail",
    "asend_mail",
    "send_message",
    "asend_message",
    "on_commit",
    # What goes along
    "Attachment",
    "Unsubscribe",
    # What comes back
    "Complaint",
    "Receipt",
    "Status",
    "trace",
    # Configuration
    "Settings",
    "configure",
    "load",
    "reload",
    # What can go wrong (see mailer.errors for each by name)
    "MailerError",
]

# Imported on first use: a worker process must not load templates' machinery, nor a producer servers'.
_HOMES = {
    "Attachment": "mailer.compose",
    "Campaign": "mailer.produce.campaign",
    "Complaint": "mailer.produce.receipt",
    "MailerError": "mailer.errors",
    "Receipt": "mailer.produce.receipt",
    "Settings": "mailer.config",
    "Status": "mailer.produce.campaign",
    "Unsubscribe": "mailer.compose",
    "trace": "mailer.operate.trace",
    "asend": "mailer.produce.send",
    "asend_mail": "mailer.produce.messages",
    "asend_message": "mailer.produce.messages",
    "configure": "mailer.config",
    "load": "mailer.config",
    "on_commit": "mailer.produce.commit",
    "reload": "mailer.produce",
    "send": "mailer.produce.send",
    "send_mail": "mailer.produce.messages",
    "send_message": "mailer.produce.messages",
}

if not TYPE_CHECKING:
    # Hidden from type checkers, which else believe that every name is here.
    def __getattr__(name: str) -> object:
        if name == "__version__":
            return import_module("importlib.metadata").version("celery-mailer")
        if name not in _HOMES:
            raise AttributeError(f"module 'mailer' has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_HOMES[name]), name)
        return value
