"""A file that goes with a message, and how it is written there.

A file is read and encoded once, however many messages have it. Its media type may have parameters: a
calendar invitation is ``text/calendar; method=REQUEST`` (RFC 6047 section 2.4). A message as an
attachment, ``message/rfc822``, is not encoded (RFC 2046 section 5.2.1).

The file's name is written twice: in Content-Disposition as RFC 2231 says, and in ASCII as the ``name``
of Content-Type, for readers that do not know RFC 2231. It is not written as a second ``filename``,
because some parsers report two of them as a defect.
"""

import binascii
import mimetypes
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import IO, Final

from mailer.compose import words
from mailer.errors import AttachmentError, HeaderError

_TYPE: Final = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,127}/[A-Za-z0-9!#$&^_.+-]{1,127}")
_PARAMETER: Final = re.compile(
    r"\s*;\s*([A-Za-z0-9!#$%&+.^_`{|}~-]{1,60})\s*=\s*(?:\"((?:[^\"\\\r\n]|\\.)*)\"|([^\s\";]+))"
)
_MESSAGE: Final = "message/rfc822"
# RFC 5321 section 4.5.3.1.6: a content that is not encoded must have no longer line.
_LONGEST_LINE: Final = 998
_UNKNOWN: Final = "application/octet-stream"
_MAX_FILENAME: Final = 200
_LINE: Final = 76


@dataclass(frozen=True)
class Attachment:
    """A file: its name, its media type and its bytes.

    Make one by `from_path`, `from_bytes` or `from_stream`. *filename* is a bare name of at most 200
    octets in UTF-8; *content_type* is a media type, with its parameters. Equal attachments are stored
    once. With *alternative* it is not a file but another form of the message, beside text and HTML:
    Outlook and Gmail want a calendar invitation so.

    Raises `AttachmentError` for a name or a type that no header field can hold, and for the types
    ``multipart/*`` and ``message/*``, except a ``message/rfc822`` that needs no encoding.
    """

    filename: str
    content_type: str
    content: bytes = field(repr=False)
    alternative: bool = False

    def __post_init__(self) -> None:
        """Refuse what no header can say."""
        name = self.filename
        if not name or name in {".", ".."} or re.search(r"[/\\]", name):
            raise AttachmentError(f"an attachment's name must be a bare file name, not {name!r}")
        if len(name.encode("utf-8", "replace")) > _MAX_FILENAME:
            raise AttachmentError(f"an attachment's name is longer than {_MAX_FILENAME} octets")
        try:
            words.check_text("Content-Disposition", name)
        except HeaderError as error:
            raise AttachmentError(f"an attachment's name cannot be written: {error}") from error
        if self.media_type.startswith("multipart/") or (
            self.media_type.startswith("message/") and self.media_type != _MESSAGE
        ):
            raise AttachmentError(f"attachment {name!r}: a {self.media_type} cannot be attached")
        if self.media_type == _MESSAGE and not _is_seven_bit(self.content):
            raise AttachmentError(
                f"attachment {name!r}: a {_MESSAGE} must be ASCII with lines of at most "
                f"{_LONGEST_LINE} characters (RFC 2046 section 5.2.1); attach it as {_UNKNOWN}"
            )

    @classmethod
    def from_path(
        cls,
        path: str | Path,
        filename: str | None = None,
        content_type: str | None = None,
        *,
        alternative: bool = False,
    ) -> "Attachment":
        """Read the file at *path*, now.

        Its name is *filename*, or else the path's. Its type is *content_type*, or else what
        `mimetypes` says of the name. Raises `AttachmentError` when it cannot be read.
        """
        path = Path(path)
        # A pipe or a device may be read for ever, and a row may name one.
        if path.exists() and not path.is_file() and not path.is_dir():
            raise AttachmentError(f"cannot attach {path}: it is a pipe or a device, and no file")
        try:
            content = path.read_bytes()
        except OSError as error:
            raise AttachmentError(f"cannot attach {path}: {error.strerror}") from error
        return cls.from_bytes(content, filename or path.name, content_type, alternative=alternative)

    @classmethod
    def from_bytes(
        cls,
        content: bytes,
        filename: str,
        content_type: str | None = None,
        *,
        alternative: bool = False,
    ) -> "Attachment":
        """Attach *content* under the name *filename*."""
        filename = unicodedata.normalize("NFC", filename)
        content = bytes(content)
        return cls(filename, content_type or _type_of(filename, content), content, alternative)

    @classmethod
    def from_stream(
        cls, stream: IO[bytes], filename: str, content_type: str | None = None
    ) -> "Attachment":
        """Read *stream*, a binary file, from its current position to its end."""
        content = stream.read()
        if not isinstance(content, bytes):
            raise AttachmentError(f"attachment {filename!r}: open the stream in binary mode")
        return cls.from_bytes(content, filename, content_type)

    @cached_property
    def _type(self) -> tuple[str, list[tuple[str, str]]]:
        """The media type and its parameters. Raises `AttachmentError` where it is no media type."""
        found = _TYPE.match(self.content_type.strip())
        rest = self.content_type.strip()[found.end() :] if found else ""
        parameters = []
        while found and rest.strip(" ;"):
            parameter = _PARAMETER.match(rest)
            if parameter is None:
                found = None
                break
            name, inner, bare = parameter.groups()
            parameters.append((name, re.sub(r"\\(.)", r"\1", inner) if bare is None else bare))
            rest = rest[parameter.end() :]
        if found is None:
            raise AttachmentError(
                f"attachment {self.filename!r}: {self.content_type!r} is no media type"
            )
        return found[0].lower(), parameters

    @property
    def media_type(self) -> str:
        """The media type without parameters, in lower case."""
        return self._type[0]

    @cached_property
    def encoded(self) -> bytes:
        """The content as it stands in a message: base64 in lines of 76 characters that end in CRLF.

        A ``message/rfc822`` is not encoded: only its line ends become CRLF.
        """
        return (
            with_crlf(self.content) if self.media_type == _MESSAGE else base64_lines(self.content)
        )

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of name, type and content, in hex."""
        place = "alternative" if self.alternative else ""
        digest = sha256(f"{self.filename}\0{self.content_type}\0{place}".encode())
        digest.update(self.content)
        return digest.hexdigest()

    def headers(self, content_id: str | None = None) -> list[tuple[str, str]]:
        """Return name and value of each MIME header field of the part.

        With *content_id* (without angle brackets) the part is inline, to be shown by the HTML.
        """
        value, parameters = self._type
        if not any(name.lower() == "name" for name, _ in parameters):
            parameters = [*parameters, ("name", ascii_filename(self.filename))]
        encoding = "7bit" if value == _MESSAGE else "base64"
        fields = [
            ("Content-Type", _parameters(value, parameters)),
            ("Content-Transfer-Encoding", encoding),
        ]
        if not self.alternative:
            disposition = "inline" if content_id else "attachment"
            named = _parameters(disposition, [("filename", self.filename)])
            fields.append(("Content-Disposition", named))
        if content_id:
            fields.append(("Content-ID", f"<{content_id}>"))
        return fields


def guessed_type(filename: str) -> str:
    """Return the media type that *filename* suggests.

    A compressed file has the type of the compression, not of what was compressed: ``list.csv.gz`` is
    ``application/gzip``.
    """
    guessed, encoding = mimetypes.guess_type(filename, strict=False)
    if encoding or not guessed:
        return {"gzip": "application/gzip"}.get(encoding or "", _UNKNOWN)
    return guessed


def _type_of(filename: str, content: bytes) -> str:
    """Return the media type of a file: by its name, as far as its content allows.

    Messages and multiparts may not be encoded (RFC 2046 section 5.2.1). One that would have to be is
    attached as ``application/octet-stream``. Text in UTF-8 names its charset; without it a reader
    assumes another one.
    """
    guessed = guessed_type(filename)
    if guessed == _MESSAGE and _is_seven_bit(content):
        return guessed
    if guessed.startswith(("message/", "multipart/")):
        return _UNKNOWN
    if guessed.startswith("text/") and not content.isascii():
        try:
            content.decode()
        except UnicodeDecodeError:
            return guessed
        return f"{guessed}; charset=utf-8"
    return guessed


def _is_seven_bit(content: bytes) -> bool:
    lines = content.replace(b"\r\n", b"\n").split(b"\n")
    plain = content.isascii() and b"\0" not in content
    return plain and max(map(len, lines)) <= _LONGEST_LINE


def with_crlf(octets: bytes) -> bytes:
    """Return lines of text with CRLF at the end of each, the last one too."""
    octets = re.sub(rb"\r\n|\r|\n", b"\r\n", octets)
    return octets if octets.endswith(b"\r\n") or not octets else octets + b"\r\n"


def ascii_filename(filename: str) -> str:
    """Return *filename* in ASCII: accents are dropped, other characters beyond ASCII become ``_``."""
    plain = [unicodedata.normalize("NFKD", character) for character in filename]
    letters = [piece.encode("ascii", "ignore").decode() or "_" for piece in plain]
    return re.sub(r'["\\=?]', "_", "".join(letters))


def base64_lines(octets: bytes) -> bytes:
    """Return *octets* in base64 as a MIME body, ending in CRLF (nothing for nothing)."""
    encoded = binascii.b2a_base64(octets, newline=False)
    lines = [encoded[start : start + _LINE] for start in range(0, len(encoded), _LINE)]
    return b"".join([line + b"\r\n" for line in lines])


def _parameters(value: str, parameters: list[tuple[str, str]]) -> str:
    written = words.fold_parameters("X", value, parameters)
    return written.removeprefix("X: ").replace("\r\n", "")


def attached(files: Iterable[Attachment]) -> tuple[Attachment, ...]:
    """Return *files* as they are; raise `AttachmentError` where one is no `Attachment`.

    A path is refused instead of opened: the caller may have it from a stranger, and it could name any
    file of this machine.
    """
    found = tuple(files)
    for file in found:
        if not isinstance(file, Attachment):
            raise AttachmentError(
                f"attachments hold {type(file).__name__} instead of Attachment; "
                "make one of a file with Attachment.from_path(…)"
            )
    return found
