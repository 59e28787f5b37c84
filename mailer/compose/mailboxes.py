"""How people write mailboxes, and what they mean: ``A&B Shop: News <news@shop.example>``.

RFC 5322 section 3.4 wants quotes around a display name with a colon, a comma or parentheses. Without them
the colon begins a group, the parentheses are a comment, and a parser that obeys returns a name cut short.
Nobody who writes a sender means that. Here all that stands before the angle brackets is the name.
"""

import re
from collections.abc import Iterator
from email.header import decode_header, make_header
from typing import Final

from mailer.compose import words
from mailer.errors import HeaderError

Mailbox = tuple[str | None, str]

_QUOTED: Final = r'"(?:[^"\\]|\\.)*"'
_PIECE: Final = re.compile(rf'{_QUOTED}|<[^<>]*>|,|[^",<]+|.', re.DOTALL)
_WHOLE_QUOTED: Final = re.compile(_QUOTED, re.DOTALL)

# Texts in which each quote has its other half, whether those within angle brackets count or not. There is
# one way to match each: with two, a fault at the end would try both of each bracket.
_ENDS: Final = r'"[^"\\]*+(?:\\.[^"\\]*+)*"'
_CLOSED: Final = [
    re.compile(rf'(?:{_ENDS}|[^"]++)*', re.DOTALL),
    re.compile(rf'(?:{_ENDS}|<[^<>]*+>|<(?![^<>]*+>)|[^"<]++)*', re.DOTALL),
]

# For a quote that nothing closes, and each escaped one after it, the whole rest is searched for an end.
_MOST_ESCAPED: Final = 100


def mailboxes(what: str, text: str) -> list[Mailbox]:
    """Return display name and addr-spec of each mailbox in *text*, separated by commas.

    Raises `HeaderError`, which names *what* it was for, when one of them cannot be meant.
    """
    words.check_text(what, text)
    if text.count('\\"') > _MOST_ESCAPED and not all(one.fullmatch(text) for one in _CLOSED):
        raise HeaderError(f"header {what}: there is a quote in it that nothing closes")
    found = [_mailbox(what, item) for item in _items(text)]
    if not found:
        raise HeaderError(f"header {what}: there is no address in it")
    for _, mailbox in found:
        words.addr_spec(what, mailbox, utf8=True)
    return found


def _items(text: str) -> Iterator[str]:
    """Cut *text* at the commas that separate mailboxes; one within a name belongs to the name."""
    pieces: list[str] = []
    has_address = False
    for piece in _PIECE.findall(text):
        if piece == "," and has_address:
            yield "".join(pieces)
            pieces, has_address = [], False
        else:
            pieces.append(piece)
            has_address = has_address or ("@" in piece and not _WHOLE_QUOTED.fullmatch(piece))
    item = "".join(pieces)
    if item.strip(" \t,"):
        yield item


def _mailbox(what: str, item: str) -> Mailbox:
    # By hand: a pattern with white space around each part tries it in all parts, for minutes.
    item = item.strip()
    name, bracket, rest = item.rpartition("<")
    if not bracket or not rest.endswith(">") or ">" in rest[:-1]:
        if re.search(r"[\s<>()]", _WHOLE_QUOTED.sub("", item)):
            raise HeaderError(f'header {what}: {item!r} is no mailbox: write "Name" <local@domain>')
        return None, item
    return _name(what, name.strip()), rest[:-1].strip()


def _name(what: str, written: str) -> str | None:
    if _WHOLE_QUOTED.fullmatch(written):
        return re.sub(r"\\(.)", r"\1", written[1:-1], flags=re.DOTALL) or None
    if "<" in written or ">" in written or "@" in _WHOLE_QUOTED.sub("", written):
        raise HeaderError(f"header {what}: put the name in quotes: {written!r}")
    if "=?" in written:
        written = str(make_header(decode_header(written)))
        words.check_text(what, written)
    return written or None
