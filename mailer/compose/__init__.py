"""How a campaign's messages are composed: template and row in, finished mail out."""

from mailer.compose.attachment import Attachment, attached
from mailer.compose.composer import Composer
from mailer.compose.design import Design
from mailer.compose.fenced.composer import composer_of
from mailer.compose.headers import verp_key
from mailer.compose.policy import MAIL, MAIL_UTF8
from mailer.compose.unsubscribe import Unsubscribe, Unsubscribed, read_token

__all__ = [
    "MAIL",
    "MAIL_UTF8",
    "Attachment",
    "Composer",
    "Design",
    "Unsubscribe",
    "Unsubscribed",
    "attached",
    "composer_of",
    "read_token",
    "verp_key",
]
