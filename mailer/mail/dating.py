"""How a message's Date is written, so that whoever sends it can put the time of leaving in its place.

Days of quotas, windows and schedules pass between composing and sending, and servers refuse what is a
week old. So the worker writes the Date anew, in place: our form has 31 octets whatever the time. What is
stored stays readable by every version; a worker that does not know of this sends the Date as composed.

A Date of the caller's own is never touched. It may read exactly as ours does, so it is then written with
two blanks behind the colon, which means the same (RFC 5322 section 3.3) and which ours never has.
"""

import re
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from typing import Final

_BEGINS: Final = b"\r\nDate: "
_LENGTH: Final = 31
_FORM: Final = rb"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d \+0000"
_OURS: Final = re.compile(_FORM + rb"\r\n")
_LIKE_OURS: Final = re.compile(rb"(\A|\r\n)Date: (?=" + _FORM + rb"(?:\r\n|\Z))")
_END_OF_HEADERS: Final = b"\r\n\r\n"


def written(when: float) -> str:
    """The time *when* (seconds since the epoch) in our form: ``Thu, 01 Jan 1970 00:00:00 +0000``."""
    return _written(int(when))


@lru_cache(64)
def _written(second: int) -> str:
    return format_datetime(datetime.fromtimestamp(second, UTC))


def stamped(head: bytes, when: float) -> tuple[bytes | memoryview, ...]:
    """*head*, which begins with a message's header section, with *when* as its Date, in pieces to join.

    Where the Date is the caller's own, or there is none, it is *head* as it is.
    """
    start = head.find(_BEGINS) + len(_BEGINS)
    if start < len(_BEGINS) or not _OURS.match(head, start):
        return (head,)
    if head.find(_END_OF_HEADERS, 0, start) >= 0:  # a line of the body
        return (head,)
    view = memoryview(head)
    return view[:start], written(when).encode(), view[start + _LENGTH :]


def kept(content: bytes) -> bytes:
    """*content*, whose Date is its caller's, so that no worker takes that for ours."""
    head, end, body = content.partition(_END_OF_HEADERS)
    return _LIKE_OURS.sub(rb"\1Date:  ", head, count=1) + end + body
