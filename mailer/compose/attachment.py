"""Which files go with a message, and how they stand in it.

A file is read and encoded once, however many messages bear it. Names are written so that every
reader finds one: RFC 2231 in Content-Disposition, and an ASCII fallback as Content-Type's
``name``, which is where readers look that do not know RFC 2231 (two ``filename`` parameters in one
field is what some parsers call a defect).
"""

import binascii
import mimetypes
import re
import unicodedata
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import IO, Final

from mailer.compose import words
from mailer.errors import AttachmentError, HeaderError

_TYPE: Final = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,127}/[A-Za-z0-9!#$&^_.+-]{1,127}")
_UNKNOWN: Final = "application/octet-stream"
_MAX_FILENAME: Final = 200
_LINE: Final = 76


@dataclass(frozen=True)
class Attachment:
    """A file: its name, its media type and its bytes.

    Make one by `from_path`, `from_bytes` or `from_stream`. Equal attachments are stored once.
    """

    filename: str
    content_type: str
    content: bytes = field(repr=False)

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
        if not _TYPE.fullmatch(self.content_type):
            raise AttachmentError(f"attachment {name!r}: {self.content_type!r} is no media type")

    @classmethod
    def from_path(
        cls, path: str | Path, filename: str | None = None, content_type: str | None = None
    ) -> "Attachment":
        """Read the file at *path*, now.

        Its name is *filename* or the path's, its type *content_type* or what `mimetypes` makes of
        the name. Raises `AttachmentError` when it cannot be read.
        """
        path = Path(path)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise AttachmentError(f"cannot attach {path}: {error.strerror}") from error
        return cls.from_bytes(content, filename or path.name, content_type)

    @classmethod
    def from_bytes(
        cls, content: bytes, filename: str, content_type: str | None = None
    ) -> "Attachment":
        """Attach *content* under the name *filename*."""
        filename = unicodedata.normalize("NFC", filename)
        return cls(filename, content_type or guessed_type(filename), bytes(content))

    @classmethod
    def from_stream(
        cls, stream: IO[bytes], filename: str, content_type: str | None = None
    ) -> "Attachment":
        """Attach what *stream*, a binary file, holds from where it stands to its end."""
        content = stream.read()
        if not isinstance(content, bytes):
            raise AttachmentError(f"attachment {filename!r}: open the stream in binary mode")
        return cls.from_bytes(content, filename, content_type)

    @cached_property
    def encoded(self) -> bytes:
        """The content in base64, lines of 76 characters that end in CRLF."""
        return base64_lines(self.content)

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of name, type and content, in hex."""
        digest = sha256(f"{self.filename}\0{self.content_type}\0".encode())
        digest.update(self.content)
        return digest.hexdigest()

    def headers(self, content_id: str | None = None) -> list[tuple[str, str]]:
        """Return the MIME header fields of the part; with *content_id* it is shown inline."""
        fallback = ascii_filename(self.filename)
        disposition = "inline" if content_id else "attachment"
        fields = [
            ("Content-Type", _parameters(self.content_type, "name", fallback)),
            ("Content-Transfer-Encoding", "base64"),
            ("Content-Disposition", _parameters(disposition, "filename", self.filename)),
        ]
        if content_id:
            fields.append(("Content-ID", f"<{content_id}>"))
        return fields


def guessed_type(filename: str) -> str:
    """Return the media type that *filename* suggests.

    Messages and multiparts may not be base64 (RFC 2046 section 5.2.1), so an ``.eml`` is attached
    as octets, and compressed files are what compressed them, not what they hold.
    """
    guessed, encoding = mimetypes.guess_type(filename, strict=False)
    if encoding or not guessed or guessed.startswith(("message/", "multipart/")):
        return {"gzip": "application/gzip"}.get(encoding or "", _UNKNOWN)
    return guessed


def ascii_filename(filename: str) -> str:
    """Return *filename* in ASCII: accents dropped, the rest as ``_``."""
    plain = [unicodedata.normalize("NFKD", character) for character in filename]
    letters = [piece.encode("ascii", "ignore").decode() or "_" for piece in plain]
    return re.sub(r'["\\=?]', "_", "".join(letters))


def base64_lines(octets: bytes) -> bytes:
    """Return *octets* in base64 as a MIME body, ending in CRLF (nothing for nothing)."""
    encoded = binascii.b2a_base64(octets, newline=False)
    lines = [encoded[start : start + _LINE] for start in range(0, len(encoded), _LINE)]
    return b"".join([line + b"\r\n" for line in lines])


def _parameters(value: str, key: str, content: str) -> str:
    field = words.fold_parameters("X", value, [(key, content)])
    return field.removeprefix("X: ").replace("\r\n", "")
