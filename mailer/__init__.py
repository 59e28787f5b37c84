"""A bulk mailer on Celery: every message sent once, fast, with an answer for every recipient."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mailer.compose import Attachment
    from mailer.config import Settings, load
    from mailer.errors import MailerError
    from mailer.produce.campaign import Campaign, Status
    from mailer.produce.receipt import Complaint, Receipt
    from mailer.produce.send import send

__all__ = [  # noqa: RUF022 - grouped: it doubles as a table of contents
    # Sending
    "Campaign",
    "send",
    # What goes along
    "Attachment",
    # What comes back
    "Complaint",
    "Receipt",
    "Status",
    # Configuration
    "Settings",
    "load",
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
    "load": "mailer.config",
    "send": "mailer.produce.send",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("importlib.metadata").version("mailer")
    if name not in _HOMES:
        raise AttributeError(f"module 'mailer' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
