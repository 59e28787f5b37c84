"""How the octets of a recipient list become lines of text.

Lists come out of Excel, Outlook and databases in several encodings. One with a byte order mark, UTF-16
by its zero octets, and UTF-8 are known for certain. What is none of these is read as Windows-1252
(as Mac Roman where lines end in a bare CR, as old Excel for Mac writes), and the caller is told, for it
is a guess.
"""

import codecs
import io
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Final

from mailer.errors import InputError

BLOCK: Final = 1 << 16
"""Octets that are read at a time."""

LONGEST_LINE: Final = 1 << 24
"""Characters: beyond it a file is not a list, and memory must not grow with it."""

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    # Before UTF-16, whose mark its own begins with.
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LINE: Final = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_NAMES: Final = {"cp1252": "Windows-1252", "mac_roman": "Mac Roman"}

Notice = Callable[[str], object]


def lines_of(
    blocks: Iterable[bytes], name: str, encoding: str | None, notice: Notice, *, whole: bool
) -> Iterator[str]:
    """Yield the lines of *blocks*, each with its line end: LF, CRLF or CR.

    *encoding* is what the caller knows; None means to find out. *whole* says that *blocks* may be gone
    through twice, so that the guess is made after a look at everything. *notice* is told of a
    guess. Raises `InputError` for an octet that the encoding does not have, with its line.
    """
    head, rest = _head(blocks)
    encoding = known(encoding) if encoding else _recognised(head)
    if encoding is None:
        encoding = _guessed(blocks if whole else (head,), head)
        if encoding != "utf-8":
            notice(
                f"{name} is not UTF-8: read as {_NAMES[encoding]} "
                "(if names look wrong, say --encoding)"
            )
    octets = chain((head,), rest)
    for number, line in enumerate(_split(_decoded(octets, name, encoding), name), 1):
        yield line.removeprefix("\ufeff") if number == 1 else line


def text_lines(pieces: Iterable[str], name: str) -> Iterator[str]:
    """Yield the lines of text that is decoded already."""
    for number, line in enumerate(_split(pieces, name), 1):
        yield line.removeprefix("\ufeff") if number == 1 else line


def _head(blocks: Iterable[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Return enough of the first octets to tell the encoding by, and the blocks after them."""
    rest = iter(blocks)
    head = next(rest, b"")
    while len(head) < len(codecs.BOM_UTF32_LE) and (more := next(rest, b"")):
        head += more
    return head, rest


def known(encoding: str) -> str:
    """The name of *encoding* as Python has it. Raises `InputError`."""
    try:
        return codecs.lookup(encoding).name
    except LookupError:
        raise InputError(
            f"there is no encoding {encoding!r}; known are utf-8, utf-16, windows-1252, "
            "iso-8859-15, windows-1250, mac-roman and what else Python knows"
        ) from None


def _recognised(head: bytes) -> str | None:
    """Return the encoding that the first octets tell for certain, or None."""
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    # Column names are mostly ASCII: in UTF-16 every second octet of them is zero.
    start = head[:200]
    even, odd = start[0::2], start[1::2]
    if len(start) >= 4 and odd.count(0) > 0.7 * len(odd) and not even.count(0):
        return "utf-16-le"
    if len(start) >= 4 and even.count(0) > 0.7 * len(even) and not odd.count(0):
        return "utf-16-be"
    return None


def _guessed(blocks: Iterable[bytes], head: bytes) -> str:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for block in blocks:
            decoder.decode(block)
    except UnicodeDecodeError:
        return "mac_roman" if b"\r" in head and b"\n" not in head else "cp1252"
    return "utf-8"


def _decoded(blocks: Iterable[bytes], name: str, encoding: str) -> Iterator[str]:
    decoder = io.IncrementalNewlineDecoder(
        codecs.getincrementaldecoder(encoding)(), translate=False
    )
    number = 1
    block = b""
    try:
        for block in blocks:
            text = decoder.decode(block)
            yield text
            number += max(text.count("\n"), text.count("\r"))
        yield decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        before = error.object[: error.start]
        number += max(before.count(b"\n"), before.count(b"\r"))
        shown = _NAMES.get(encoding, encoding.upper())
        raise InputError(
            f"{name}, line {number}: octet 0x{error.object[error.start]:02x} is not {shown}; "
            "save the file as UTF-8, or say --encoding"
        ) from None


def _split(pieces: Iterable[str], name: str) -> Iterator[str]:
    """Cut text into lines; what it holds meanwhile is one line, of bounded length."""
    pending: list[str] = []
    length = 0
    for piece in pieces:
        found = _LINE.findall(piece)
        if not found:
            continue
        last = found.pop()
        for line in found:
            yield "".join([*pending, line])
            pending, length = [], 0
        pending.append(last)
        length += len(last)
        if length > LONGEST_LINE:
            raise InputError(f"{name}: a line of more than {LONGEST_LINE} characters; no list")
        if last.endswith(("\r", "\n")):
            yield "".join(pending)
            pending, length = [], 0
    if pending:
        yield "".join(pending)
