r"""How text becomes quoted-printable, whole or in chunks that can be spliced.

RFC 2045 section 6.7 with three additions. Each line end becomes CRLF. A dot or ``From `` at the start of
a line is encoded, so that neither dot-stuffing nor an mbox changes the line. Control characters are
encoded.

A *chunk* is text encoded on its own so that any chunk may follow any other: it starts at the start
of a line and ends with a line break, a soft one (``=`` CRLF) where the text has none there.
Chunks that are put together decode to their texts put together. So a template's constant text is encoded
once, and a recipient's values are put between.
"""

import binascii
import re
from typing import Final

LINE: Final = 76
_SOFT: Final = b"=\r\n"

# Characters. Up to this length the Python below is faster than the C function with the checks after it.
_SHORT: Final = 400
# What is encoded at the start of a line: dot-stuffing would double the one, an mbox put ">" before the
# other.
_GUARDED: Final = (".", "From ")
_AT_LINE_START: Final = re.compile(rb"^(?:\.|From )", re.MULTILINE)
_BLANK_TOO_FAR: Final = re.compile(rb"^([^\n]{74,})(=20|=09)$", re.MULTILINE)
_SURROGATES: Final = re.compile("[\ud800-\udfff]")


def normal(text: str) -> str:
    r"""Return *text* with ``\n`` for every line end and U+FFFD for a lone surrogate.

    UTF-8 cannot write such a character. It comes from JSON that was cut in the middle of a pair.
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    try:
        text.encode()
    except UnicodeEncodeError:
        text = _SURROGATES.sub("\ufffd", text)
    return text


def encode(text: str) -> bytes:
    """Return normal *text* in quoted-printable; lines are at most 76 characters long."""
    octets = binascii.b2a_qp(text.encode(), istext=True)
    if b"=20\n" in octets or b"=09\n" in octets or octets.endswith((b"=20", b"=09")):
        # The C function counts a blank at the end of a line as one octet and writes three: too long a
        # line.
        octets = _BLANK_TOO_FAR.sub(rb"\1=\n\2", octets)
    if b"\n." in octets or b"\nFrom " in octets or octets.startswith((b".", b"From ")):
        octets = b"\n".join(map(_guarded, octets.split(b"\n")))
    return octets.replace(b"\n", b"\r\n")


class _Written(dict[str, str]):
    """Characters as quoted-printable writes them within a line; each is written when first asked for."""

    def __missing__(self, character: str) -> str:
        octets = normal(character).encode()
        plain = len(octets) == 1 and 0x20 <= octets[0] < 0x7F and character != "="
        written = character if plain else "".join([f"={octet:02X}" for octet in octets])
        if len(self) < _WRITTEN_KEPT:
            self[character] = written
        return written


_WRITTEN: Final = _Written()
_WRITTEN_KEPT: Final = 10_000


class UnspliceableError(ValueError):
    """A text with a carriage return: the other half of a line end may be in the text after it."""


def chunk(text: str) -> bytes:
    """Return *text* as a chunk, empty for no text. Raises `UnspliceableError` for a carriage return."""
    # Most values are short: names, numbers, URLs.
    if len(text) < _SHORT and "\n" not in text and "\r" not in text:
        if text.isascii() and text.isprintable():
            plain = str.replace(text, "=", "=3D")  # unbound: markup's own would escape
        else:
            plain = "".join(map(_WRITTEN.__getitem__, text))
        if not plain.startswith(_GUARDED) and not plain.endswith(" "):
            if len(plain) < LINE:
                return plain.encode() + _SOFT if plain else b""
            lines = _cut(plain)
            if lines is not None:
                return "=\r\n".join(lines).encode() + _SOFT
    if "\r" in text:
        raise UnspliceableError
    octets = encode(normal(text))
    if octets.endswith(b"\n"):
        return octets
    last = octets[octets.rfind(b"\n") + 1 :]
    if len(last) < LINE:
        return octets + _SOFT
    # The last line is full and has no room for the "=": three octets or more go to the next line.
    cut = LINE - 3
    while b"=" in last[cut - 2 : cut]:
        cut -= 1
    return octets[: cut - LINE] + _SOFT + _guarded(last[cut:]) + _SOFT


def _cut(plain: str) -> list[str] | None:
    """Cut a long line, but no escape; None when a line would begin with a dot or ``From ``."""
    lines: list[str] = []
    start = 0
    while len(plain) - start >= LINE:
        end = start + LINE - 1
        escape = plain.find("=", end - 2, end)
        end = end if escape < 0 else escape
        if plain.startswith(_GUARDED, end):
            return None
        lines.append(plain[start:end])
        start = end
    lines.append(plain[start:])
    return lines


def _guarded(line: bytes) -> bytes:
    """Encode the first octet of a line that begins with a dot or ``From ``, within 76 characters."""
    done: list[bytes] = []
    while _AT_LINE_START.match(line):
        escaped = b"=%02X" % line[0]
        if len(line) + 2 <= LINE:
            line = escaped + line[1:]
            break
        done.append(escaped + b"=\n")
        line = line[1:]
    return b"".join(done) + line


def spliced(chunks: bytes) -> bytes:
    """Return chunks that were put together as a body: a soft line break at its end becomes a hard one."""
    if chunks.endswith(_SOFT):
        return chunks[:-3] + b"\r\n"
    return chunks or b"\r\n"


def finished(text: str) -> str:
    """Return *text* as a body has it: `normal`, and ending in a line break."""
    text = normal(text)
    return text if text.endswith("\n") else text + "\n"
