"""What all messages of a campaign have in common.

A `Design` is data: it can be written down, compared and sent to another process. What it means is
the `Composer`'s to say.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from mailer.compose.attachment import Attachment
from mailer.compose.unsubscribe import Unsubscribe


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """A template with everything that is the same for every recipient.

    *sender* is a mailbox with or without display name; *return_path* the mailbox that bounces go
    to (the sender's when None), with *verp* one address for each recipient, made from it.
    *context* holds the template variables for all; a row's own fields lie over it.
    *language_field* names the row's field with a language tag (``de``, ``pt-BR``). It picks
    ``body.de.html`` and the way dates and numbers are written; *language* is for rows without one.

    *bulk* messages say so (``Precedence: bulk``); others are marked as automatic (``Auto-Submitted``,
    RFC 3834). A template that is not *trusted* runs in a sandbox, in a process of its own.
    *attachment_field* names the row's field with a file to attach, looked for below *attachments_path*
    only. *secret* seals unsubscribe tokens and VERP addresses. *date* is the Date of every message, so
    that one that is composed again is the same; None means the time when the composer was made.
    """

    campaign: str
    template: str
    sender: str
    templates_path: Path = Path("templates")
    context: Mapping[str, object] = field(default_factory=dict)
    reply_to: str | None = None
    return_path: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    attachments: Sequence[Attachment] = ()
    inline_images: Sequence[Attachment] = ()
    attachment_field: str | None = None
    attachments_path: Path | None = None
    language: str = "en"
    language_field: str = "language"
    unsubscribe: Unsubscribe | None = None
    list_id: str | None = None
    feedback_id: str | None = None
    secret: str | None = field(default=None, repr=False)
    verp: bool = False
    bulk: bool = True
    trusted: bool = True
    date: datetime | None = None
