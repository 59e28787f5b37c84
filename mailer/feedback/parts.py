"""A message cut into its MIME parts: tolerant, bounded, linear in its length.

The parser of the standard library takes a second for a megabyte of short lines or of nested
boundaries. This one looks only where a report can be, and stops at the bounds below.
"""

import binascii
import codecs
import quopri
import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

MAX_OCTETS: Final = 1 << 20
"""A longer message is cut: what matters stands in front."""
MAX_PARTS: Final = 50
MAX_DEPTH: Final = 8
MAX_HEADER_OCTETS: Final = 1 << 16
MAX_HEADERS: Final = 300
MAX_TEXT: Final = 1 << 16
"""Octets of one part that are decoded and looked at."""

_FOLD: Final = re.compile(r"\n[ \t]+")
_WORD: Final = re.compile(r"=\?([^?\s]{1,40})\?([bBqQ])\?([^?\n]{0,1000})\?=(?:[ \t]+(?==\?))?")
_PARAMETER: Final = re.compile(
    r";\s{0,20}([A-Za-z0-9*_-]{1,30})\s{0,5}=\s{0,5}(?:\"([^\"]{0,300})\"|([^\s;\"]{1,300}))"
)
_NAME: Final = re.compile(r"[!-9;-~]{1,100}[ \t]{0,5}:")
_BOUNDARY: Final = re.compile(rb"(?:^|\n)--([^\s]{1,70}) ?\nContent-[TD]", re.IGNORECASE)
_REFUSED_CODECS: Final = frozenset(
    {"punycode", "idna", "unicode_escape", "raw_unicode_escape", "undefined"}
)
"""Python's own escapes and what decodes in quadratic time: no mail is written in them."""


class Headers:
    """A header block: values by name, whatever the case."""

    def __init__(self, block: str) -> None:
        self._values: dict[str, list[str]] = {}
        for line in _FOLD.sub(" ", block).split("\n", MAX_HEADERS)[:MAX_HEADERS]:
            name, colon, value = line.partition(":")
            if colon and len(name) < 100:
                self._values.setdefault(name.strip().lower(), []).append(value.strip()[:4000])

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def get(self, name: str) -> str:
        """The first value, as it stands; empty when there is none."""
        return self._values.get(name, ("",))[0]

    def all(self, name: str) -> list[str]:
        """Every value of that name."""
        return self._values.get(name, [])

    def words(self, name: str) -> str:
        """The first value with its encoded words (RFC 2047) decoded."""
        return decoded_words(self.get(name))


@dataclass(frozen=True, slots=True)
class Part:
    """One leaf: a text, a delivery status, a returned message. *body* is still encoded."""

    headers: Headers
    kind: str
    parameters: Mapping[str, str]
    body: bytes

    @property
    def octets(self) -> bytes:
        """The first 64 KiB of the body, its transfer encoding undone."""
        return decoded_body(
            self.body[: MAX_TEXT * 2], self.headers.get("content-transfer-encoding")
        )[:MAX_TEXT]

    @property
    def text(self) -> str:
        """The body as text, whatever its character set claims to be."""
        return decoded_text(self.octets, self.parameters.get("charset", ""))


def headers_of(octets: bytes) -> Headers:
    """Read the header block at the front of *octets*."""
    return Headers(_head(octets)[0])


def parts_of(octets: bytes) -> tuple[Headers, tuple[Part, ...]]:
    """Cut a message into its headers and its leaves, in their order. A returned message is a leaf."""
    octets = octets[:MAX_OCTETS].replace(b"\r\n", b"\n")
    if octets.startswith((b"From ", b">From ")):  # the first line of an mbox entry
        octets = octets.partition(b"\n")[2]
    head, body = _head(octets.lstrip(b"\n"))
    headers = Headers(head)
    found: list[Part] = []
    _collect(headers, body, 0, found)
    return headers, tuple(found)


def _collect(headers: Headers, body: bytes, depth: int, found: list[Part]) -> None:
    kind, parameters = _content_type(headers)
    boundary = parameters.get("boundary")
    reach = 2000 if kind.startswith("multipart/") else 200
    if (
        not boundary
        and kind.startswith(("multipart/", "text/plain"))
        and (guessed := _BOUNDARY.search(body, 0, reach))
    ):
        kind, boundary = (
            "multipart/mixed",
            guessed[1].decode("latin-1"),
        )  # the header was lost on the way
    if kind.startswith("multipart/") and boundary and depth < MAX_DEPTH:
        pieces = list(_pieces(body, boundary.encode("utf-8", "replace")))
        for piece in pieces:
            if len(found) >= MAX_PARTS:
                return
            head, inner = _head(piece)
            _collect(Headers(head), inner, depth + 1, found)
        if pieces:
            return
    if kind.startswith("multipart/"):
        kind = "text/plain"  # a multipart without its parts: read it as it stands
    found.append(Part(headers, kind, parameters, body))


def _pieces(body: bytes, boundary: bytes) -> Iterator[bytes]:
    """What stands between the delimiter lines; the last one may lack its end."""
    line = b"\n--" + boundary
    body = b"\n" + body
    start = body.find(line)
    for _ in range(MAX_PARTS):
        if start < 0:
            return
        begin = start + len(line)
        if body.startswith(b"--", begin):
            return
        end_of_line = body.find(b"\n", begin)
        if end_of_line < 0:
            return
        start = body.find(line, end_of_line)
        yield body[end_of_line + 1 : start if start >= 0 else len(body)]


def _head(octets: bytes) -> tuple[str, bytes]:
    """The header block as text, and what follows the first blank line."""
    if octets.startswith(b"\n"):
        return "", octets[1:]
    first = octets[:200].partition(b"\n")[0].decode("latin-1")
    if not _NAME.match(first):
        return "", octets  # no headers at all: the text begins at once
    end = octets.find(b"\n\n", 0, MAX_HEADER_OCTETS)
    block = octets[: end if end >= 0 else MAX_HEADER_OCTETS]
    rest = octets[end + 2 :] if end >= 0 else octets[MAX_HEADER_OCTETS:]
    try:
        return block.decode("utf-8"), rest
    except UnicodeDecodeError:
        return block.decode("latin-1"), rest


def _content_type(headers: Headers) -> tuple[str, dict[str, str]]:
    value = headers.get("content-type")
    kind = value.partition(";")[0].strip().lower() or "text/plain"
    parameters = {
        name.lower().rstrip("*"): quoted or plain
        for name, quoted, plain in _PARAMETER.findall(value)
    }
    return kind, parameters


def decoded_body(body: bytes, encoding: str) -> bytes:
    """Undo base64 or quoted-printable; what is broken comes back as far as it goes."""
    encoding = encoding.lower()
    if "quoted-printable" in encoding:
        return quopri.decodestring(body)
    if "base64" in encoding:
        return _base64(body)
    return body


def _base64(body: bytes) -> bytes:
    letters = re.sub(
        rb"[^A-Za-z0-9+/]", b"", body.partition(b"\n\n")[0] if b"\n\n" in body.strip() else body
    )
    try:
        return b64decode(
            letters[: len(letters) // 4 * 4 + (len(letters) % 4 > 1) * 4]
            + b"=" * (-len(letters) % 4)
        )
    except binascii.Error:
        return b""


def decoded_text(octets: bytes, charset: str) -> str:
    """Text out of *octets*: as declared, as it looks, or as UTF-8 with holes."""
    if b"\x1b$" in octets or b"\x1b(J" in octets:
        charset = "iso-2022-jp"  # often sent undeclared, and never anything else
    try:
        if codecs.lookup(charset or "utf-8").name in _REFUSED_CODECS:
            charset = "utf-8"
        return octets.decode(charset or "utf-8")
    except (LookupError, UnicodeError, ValueError):
        pass
    try:
        return octets.decode(charset or "utf-8", "replace")
    except (LookupError, UnicodeError, ValueError):
        return octets.decode("utf-8", "replace")


def decoded_words(value: str) -> str:
    """Undo the encoded words of a header (RFC 2047)."""
    if "=?" not in value:
        return value
    return _WORD.sub(_word, value)


def _word(match: re.Match[str]) -> str:
    charset, how, text = match.groups()
    raw = text.encode("latin-1", "replace")
    octets = _base64(raw) if how in "bB" else quopri.decodestring(raw.replace(b"_", b" "))
    return decoded_text(octets, charset.partition("*")[0])
