"""Mailboxes in foreign text."""

import re
from typing import Final

_LOCAL: Final = r"[^\s<>\"'(),:;\[\]|\\@]{1,64}"
_DOMAIN: Final = r"[^\W_](?:[\w.-]{0,250}[^\W_])?"
MAILBOX: Final = re.compile(rf"{_LOCAL}@(?:{_DOMAIN}|\[[\d.]{{7,15}}\])")
_QUOTED: Final = re.compile(rf'"[^"\n]{{1,64}}"@{_DOMAIN}')
_COMMENT: Final = re.compile(r"\([^()]{0,200}\)")
_HEX: Final = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")
_XTEXT: Final = re.compile(r"\+([0-9A-F]{2})")
_PREFIXES: Final = ("smtp=", "mailto:", "mailboxname=")
_SPACE: Final = re.compile(r"\s+")


def mailboxes(text: str) -> list[str]:
    """Every mailbox in *text*, in order, each once."""
    if "@" not in text:
        return []
    return list(dict.fromkeys(clean(found) for found in MAILBOX.findall(text[:4000])))


def clean(mailbox: str) -> str:
    """A mailbox without what notices put around it."""
    mailbox = mailbox.strip("<>\"' ").rstrip(".")
    for prefix in _PREFIXES:
        if mailbox[: len(prefix)].lower() == prefix:
            return mailbox[len(prefix) :]
    return mailbox


def recipient_field(value: str) -> str | None:
    """The mailbox in an Original- or Final-Recipient field (RFC 3464, section 2.3); None without one.

    The address type may be missing, the address in angle brackets, quoted, followed by a comment, in
    xtext or with Unicode escapes (RFC 6533, section 3).
    """
    kind, semicolon, rest = value.partition(";")
    address = (rest if semicolon and "@" not in kind else value).strip()
    if "utf-8" in kind.lower():
        address = _HEX.sub(lambda match: _letter(match[1]), address)
    if "+" in address and ("@" not in address or "+40" in address or "+2B" in address):
        address = unxtext(address)
    if quoted := _QUOTED.search(address):
        return quoted[0]
    address = _COMMENT.sub("", address[:1000])
    found = MAILBOX.search(address) or MAILBOX.search(_SPACE.sub("", address))
    return clean(found[0]) if found else None


def unxtext(value: str) -> str:
    """Undo xtext (RFC 3461, section 4)."""
    return _XTEXT.sub(lambda match: chr(int(match[1], 16)), value)


def _letter(digits: str) -> str:
    number = int(digits, 16)
    return chr(number) if number < 0x110000 and not 0xD800 <= number < 0xE000 else ""
