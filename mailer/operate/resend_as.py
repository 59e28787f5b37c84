"""How a finished mail gets another sender.

A dead letter's messages are composed already; where the server refuses their sender, an operator may
send them in another's name. Signatures are no hindrance: workers sign what leaves, afterwards.
"""

import re
from dataclasses import replace
from typing import Final

from mailer.compose import words
from mailer.compose.headers import one_mailbox
from mailer.errors import InputError
from mailer.mail.message import Message

_END_OF_HEADERS: Final = b"\r\n\r\n"
_FROM: Final = re.compile(
    rb"^From:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*", re.IGNORECASE | re.MULTILINE
)
_SENDER: Final = re.compile(
    rb"^Sender:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*", re.IGNORECASE | re.MULTILINE
)


def with_sender(message: Message, sender: str) -> Message:
    """Return *message* with *sender* (``Shop <news@shop.example>``) in From and as reverse-path.

    A null reverse-path stays null. Message-ID and all else stay as they are. Raises `InputError` for
    what is no mailbox.
    """
    name, mailbox = one_mailbox("sender", sender)
    first, *rest = message.content
    if not isinstance(first, bytes) or _END_OF_HEADERS not in first:
        raise InputError(f"message {message.message_id} has no headers that can be changed")
    head, end, body = first.partition(_END_OF_HEADERS)
    field = words.fold_mailboxes("From", [(name, mailbox)]).encode("ascii")
    head, changed = _FROM.subn(lambda _: field, head + b"\r\n", count=1)
    if not changed:
        raise InputError(f"message {message.message_id} has no From to change")
    head = _SENDER.sub(b"", head)
    return replace(
        message,
        content=(head + end[2:] + body, *rest),
        reverse_path=words.addr_spec("From", mailbox) if message.reverse_path else "",
    )
