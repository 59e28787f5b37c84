"""Whether finished bytes are fit to leave: the last check before a message is stored.

It looks at the bytes alone and relies on none of the code that made them. `check_head` is quick enough
for every message (2 us). `faults` reads everything: for messages that callers made, for lint, and for
tests.
"""

import re
from typing import Final

from mailer.errors import HeaderError

# One way to match each line: with several, a fault in the last one would try all ways of all lines.
_FIELD: Final = re.compile(rb"[!-9;-~]+:(?: [ \t]*\S[^\r\n]*(?:\r\n[ \t]+\S[^\r\n]*)*)?\r\n")
_NAME: Final = re.compile(rb"^([!-9;-~]+):", re.MULTILINE)
_LONG: Final = re.compile(rb"[^\n]{1000,}")
_GLUED: Final = re.compile(rb"\?==\?")
_LONG_WORD: Final = re.compile(rb"=\?utf-8\?[bq]\?[^?\s]{64,}\?=")
_SINGLE: Final = (
    b"from to reply-to subject date message-id mime-version content-type list-unsubscribe "
    b"list-unsubscribe-post list-id"
).split()
_NEEDED: Final = b"from to date message-id mime-version content-type".split()


def check_head(head: str, count: int, *, utf8: bool) -> None:
    """Raise `HeaderError` unless *head* is *count* header fields and nothing else.

    One field more, or a line break that does not fold, means that a value has left its field.
    """
    breaks = head.count("\r\n")
    if (
        breaks != head.count("\n")
        or breaks != head.count("\r")
        or breaks - head.count("\r\n ") != count
        or "\0" in head
        or not head.endswith("\r\n")
        or not (utf8 or head.isascii())
    ):
        raise HeaderError(f"the header section is more than its {count} fields; nothing was sent")


def faults(content: bytes, *, utf8: bool = False) -> list[str]:
    """Return what is wrong with the octets of a whole message, in words; empty where all is right.

    *utf8* allows octets above 127 in the header section (RFC 6532); in the body they never stand.
    """
    found: list[str] = []
    head, gap, body = content.partition(b"\r\n\r\n")
    head += b"\r\n"
    if not gap:
        found.append("no empty line between header section and body")
    if content.count(b"\r\n") != content.count(b"\n") or b"\r" in content.replace(b"\r\n", b""):
        found.append("a CR or LF that is not part of a CRLF")
    if b"\0" in content:
        found.append("a NUL")
    if not (body.isascii() and (utf8 or head.isascii())):
        found.append("octets above 127")
    if _LONG.search(content):
        found.append("a line of more than 998 octets")
    if body and not body.endswith(b"\r\n"):
        found.append("no line break at the end")
    return found + _head_faults(head)


def _head_faults(head: bytes) -> list[str]:
    found: list[str] = []
    if not re.fullmatch(b"(?:" + _FIELD.pattern + b")+", head):
        found.append("a line in the header section that belongs to no field")
    if _GLUED.search(head) or _LONG_WORD.search(head):
        found.append("encoded-words that are glued together or too long")
    names = [name.lower() for name in _NAME.findall(head)]
    found += [f"{name.decode()} is there twice" for name in _SINGLE if names.count(name) > 1]
    found += [f"{name.decode()} is missing" for name in _NEEDED if name not in names]
    return found
