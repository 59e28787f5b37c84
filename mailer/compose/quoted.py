r"""How text becomes quoted-printable, whole or in chunks that can be spliced.

RFC 2045 section 6.7 with three additions: lines end in CRLF and any other line end becomes one; a
dot or ``From `` at the start of a line is encoded, so that neither dot-stuffing nor an mbox has
anything to do; control characters are encoded.

A *chunk* is text encoded on its own so that any chunk may follow any other: it starts at the start
of a line and ends with a line break, a soft one (``=`` CRLF) where the text has none there.
Decoding chunks that were put together gives the texts put together. That is what lets a template's
constant text be encoded once and a recipient's values be put between.
"""

import binascii
import re
from typing import Final

LINE: Final = 76
_SOFT: Final = b"=\r\n"

# Up to this length the Python below is faster than what it takes to check the C function's work.
_SHORT: Final = 400
# What is encoded at the start of a line, for dot-stuffing's and for mboxes' sake.
_GUARDED: Final = (".", "From ")
_AT_LINE_START: Final = re.compile(rb"^(?:\.|From )", re.MULTILINE)
_BLANK_TOO_FAR: Final = re.compile(rb"^([^\n]{74,})(=20|=09)$", re.MULTILINE)
_SURROGATES: Final = re.compile("[\ud800-\udfff]")


def normal(text: str) -> str:
    r"""Return *text* with ``\n`` for every line end and U+FFFD for what UTF-8 cannot say.

    A lone surrogate comes from JSON that was cut in the middle of a character.
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
        # The C function counts a blank at the end as one octet and writes three.
        octets = _BLANK_TOO_FAR.sub(rb"\1=\n\2", octets)
    if b"\n." in octets or b"\nFrom " in octets or octets.startswith((b".", b"From ")):
        octets = b"\n".join(map(_guarded, octets.split(b"\n")))
    return octets.replace(b"\n", b"\r\n")


class _Written(dict[str, str]):
    """Characters as quoted-printable writes them within a line, worked out when first met."""

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
    """A carriage return, which may be half of a line end that goes on in the next text."""


def chunk(text: str) -> bytes:
    """Return *text* as a chunk; nothing for no text. Raises `UnspliceableError`."""
    # Names, numbers, URLs: most values are a line or two of what is not worth a call to C.
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
    # The last line is full: there is no room for the "=", so three octets or more move down.
    cut = LINE - 3
    while b"=" in last[cut - 2 : cut]:
        cut -= 1
    return octets[: cut - LINE] + _SOFT + _guarded(last[cut:]) + _SOFT


def _cut(plain: str) -> list[str] | None:
    """Cut a long line, escapes left whole; None when a line would begin with what is guarded."""
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
    """Encode the first octet of a line that begins with a dot or ``From ``, keeping it in bounds."""
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
    """Return chunks that were put together as a body: it ends in a line break of its own."""
    if chunks.endswith(_SOFT):
        return chunks[:-3] + b"\r\n"
    return chunks or b"\r\n"


def finished(text: str) -> str:
    """Return *text* as a body says it: normal, and ending in a line break."""
    text = normal(text)
    return text if text.endswith("\n") else text + "\n"
