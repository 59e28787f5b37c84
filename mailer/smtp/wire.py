"""Which bytes may reach a server: the last check, whatever composed them.

1. Content: CRLF at every line's end, no bare CR, no bare LF, no NUL, no line above 998 octets. A bare
   LF before a dot is how mail is smuggled past a server that reads lines more liberally than ours.
2. Commands: no control characters, so no argument can end its line and begin another.
3. The end of data is written here and by nobody else, after every dot at a line's start was doubled.

All of it is done by C loops over the whole content: a Python loop per line would cost more than the
rest of a submission. Of messages that differ in a few values, what they share is looked through once
(`Skeleton`). Errors name no address.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from math import inf

import idna

from mailer.errors import WireError

MAX_TEXT_LINE = 998
"""Octets in a line without its CRLF (RFC 5321 section 4.5.3.1.6)."""
MAX_PATH = 254
"""Octets in a path without its brackets (RFC 5321 section 4.5.3.1.3)."""
END_OF_DATA = b".\r\n"

# Each begins with the one character that it looks for, which is found many times as fast as a choice
# of two. Counting CRs and LFs instead takes longer.
_BARE_CR = re.compile(rb"\r(?!\n)")
_BARE_LF = re.compile(rb"\n(?<!\r\n)")
_BARE_LF_OR_DOT = re.compile(rb"\n(?:\.|(?<!\r\n))")
_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_BETWEEN = b"|"
"""Stands between values that are looked at together: no line end, no dot, no NUL."""
_COMMAND = re.compile(rb"[ -~\x80-\xff]+\r\n")
# Dots anywhere: mailboxes like "a..b" and "a." exist, though RFC 5321 does not know them.
_ATEXT = r"A-Za-z0-9.!#$%&'*+/=?^_`{|}~\-"
_DOMAIN = r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*"
_PLAIN_MAILBOX = re.compile(rf"[{_ATEXT}]+@{_DOMAIN}")
_ASCII_DOMAIN = re.compile(rf"{_DOMAIN}|\[[!-Z^-~]+\]")
# A quoted string's blank and backslash pairs; beyond ASCII whatever is printable (RFC 6531).
_LOCAL_PART = re.compile(rf'[{_ATEXT}\x80-\U0010ffff]+|"(?:[ !#-\[\]-~\x80-\U0010ffff]|\\[ -~])*"')


def check_content(content: bytes) -> bool:
    """Raise `WireError` unless *content* may be sent; return whether any line begins with a dot."""
    if not content:
        raise WireError("the content is empty")
    size = len(content)
    has_dots = not is_plain(content)
    if has_dots and (_BARE_CR.search(content) or _BARE_LF.search(content)):
        raise WireError(f"the content has a bare CR or LF in line {_bare_line(content)}")
    if b"\0" in content:
        raise WireError("the content has a NUL octet")
    # Hop from one line's end to the last that is no farther than the longest line allows.
    position = 0
    while size - position > MAX_TEXT_LINE:
        end = content.rfind(b"\n", position, position + MAX_TEXT_LINE + 2)
        if end < 0:
            line = content.count(b"\n", 0, position) + 1
            raise WireError(f"line {line} of the content is longer than {MAX_TEXT_LINE} octets")
        position = end + 1
    return has_dots or content.startswith(b".")


def is_plain(content: bytes) -> bool:
    """Whether each CR and LF of *content* belongs to a line end, and no dot stands behind one."""
    return _BARE_LF_OR_DOT.search(content) is None and _BARE_CR.search(content) is None


class Skeleton:
    """Contents that are *pieces* put together, with a value of their own wherever None stands.

    What it cannot vouch for, `check_content` decides, as for any other content.
    """

    def __init__(self, pieces: Sequence[bytes | None]) -> None:
        constants = [piece for piece in pieces if piece is not None]
        self._is_sound = all(map(_is_sound, constants))
        self._longest = _room(pieces) if self._is_sound else -1.0

    def vouches(self, values: Sequence[bytes]) -> bool:
        """Whether the content with these *values* may leave: nothing to refuse, no dot to double.

        The same value need not be given twice. False says only that the content must be looked at.
        """
        if not self._is_sound or (values and max(map(len, values)) > self._longest):
            return False
        together = _BETWEEN.join((b"", *values, b""))
        return (
            is_plain(together)
            and b"\0" not in together
            # A value may stand at the beginning of a line.
            and _BETWEEN + b"." not in together
        )


def _is_sound(piece: bytes) -> bool:
    """Whether *piece* may stand between any values that are sound: nothing in it depends on them."""
    return is_plain(piece + _BETWEEN) and b"\0" not in piece and not piece.startswith(b".")


def _room(pieces: Sequence[bytes | None]) -> float:
    """How long each value may be, so that no line becomes too long whatever line breaks they hold."""
    room, octets, values = inf, 0, 0
    for piece in pieces:
        if piece is None:
            values += 1
            continue
        first, *rest = piece.split(b"\n")
        octets += len(first)
        for line in rest:
            room = min(room, _left(octets, values))
            octets, values = len(line), 0
    return min(room, _left(octets, values))


def _left(octets: int, values: int) -> float:
    left = MAX_TEXT_LINE - octets
    if values:
        return left // values
    return inf if left >= 0 else -1.0


def as_data(content: bytes, *, has_dots: bool) -> bytes:
    """Return checked *content* as DATA carries it: dots doubled, final dot added (section 4.5.2).

    *has_dots* is what `check_content` said of it.
    """
    if has_dots:
        content = content.replace(b"\r\n.", b"\r\n..")
        if content.startswith(b"."):
            content = b"." + content
    return content + (END_OF_DATA if content.endswith(b"\r\n") else b"\r\n" + END_OF_DATA)


def as_chunk(content: bytes) -> tuple[bytes, bytes]:
    """Return the BDAT command for checked *content* as one last chunk, and the chunk (RFC 3030)."""
    if not content.endswith(b"\r\n"):
        content += b"\r\n"
    return b"BDAT %d LAST\r\n" % len(content), content


def _bare_line(content: bytes) -> int:
    bare = _BARE.search(content)
    assert bare is not None, "a bare CR, or more of one than of the other"
    return content.count(b"\n", 0, bare.start()) + 1


def command(line: bytes) -> bytes:
    """Return *line*, which ends in CRLF; raise `WireError` if it holds any control character."""
    if _COMMAND.fullmatch(line) is None:
        raise WireError(
            f"a control character in the argument of {line[:4].decode('ascii', 'replace')}"
        )
    return line


def mailbox(address: str) -> tuple[bytes, bool]:
    """Return *address* as a path carries it, and whether it needs SMTPUTF8.

    A domain beyond ASCII becomes its A-labels (IDNA 2008 after UTS 46); a local part beyond ASCII
    stays and needs SMTPUTF8 (RFC 6531). Raise `WireError` if it is no mailbox.
    """
    if _PLAIN_MAILBOX.fullmatch(address):
        path, is_international = address.encode("ascii"), False
    else:
        local, _, domain = address.rpartition("@")
        if not _LOCAL_PART.fullmatch(local) or not local.isprintable():
            raise WireError("the local part of an address cannot be written in a command")
        path = f"{local}@{_ascii_domain(domain)}".encode()
        is_international = not local.isascii()
    if len(path) > MAX_PATH:
        raise WireError(f"an address of more than {MAX_PATH} octets")
    return path, is_international


@lru_cache(maxsize=64)
def sender(address: str) -> tuple[bytes, bool]:
    """Return what `mailbox` does, and remember it: senders are few."""
    return mailbox(address) if address else (b"", False)


def _ascii_domain(domain: str) -> str:
    if not domain.isascii():
        try:
            return idna.encode(domain, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError) as exc:
            raise WireError("the domain of an address is no internationalised domain name") from exc
    if not _ASCII_DOMAIN.fullmatch(domain):
        raise WireError("the domain of an address cannot be written in a command")
    return domain


def xtext(value: str) -> str:
    """Return *value* as the DSN parameters carry it (RFC 3461 section 4)."""
    if not value.isascii():
        raise WireError("a DSN parameter holds more than ASCII")
    return re.sub(r"[^!-*,-<>-~]", lambda char: f"+{ord(char[0]):02X}", value)
