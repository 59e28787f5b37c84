"""Messages out of files: one message, an mbox, a Maildir."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from mailer.feedback.parts import MAX_OCTETS

_SEEN: Final = ":2,S"


@dataclass(frozen=True, slots=True)
class Found:
    """One message: where it was found, its octets, and its file in a Maildir's ``new``."""

    place: str
    octets: bytes
    new: Path | None = None

    def acknowledge(self) -> None:
        """It is recorded: out of ``new`` it moves to ``cur``. Nothing is deleted."""
        if self.new is None:
            return
        target = self.new.parent.parent / "cur" / f"{self.new.name.partition(':')[0]}{_SEEN}"
        self.new.rename(target)


def messages(place: Path) -> Iterator[Found]:
    """Every message at *place*: a file, an mbox, the ``new`` of a Maildir, or the files of a folder.

    Raises `OSError` where it cannot be read.
    """
    if (place / "new").is_dir() and (place / "cur").is_dir():
        for file in sorted((place / "new").iterdir()):
            if file.is_file():  # a pipe would be waited for; what another reader has moved is gone
                yield Found(str(file), _head(file), file)
    elif place.is_dir():
        for file in sorted(place.iterdir()):
            if file.is_file():
                yield from messages(file)
    else:
        with place.open("rb") as stream:
            yield from stream_messages(stream, str(place))


def stream_messages(stream: BinaryIO, name: str) -> Iterator[Found]:
    """The messages in *stream*: an mbox begins with ``From ``, anything else is one message."""
    first = stream.readline(MAX_OCTETS)
    if not first.startswith(b"From "):
        yield Found(name, first + stream.read(MAX_OCTETS - len(first)))
        while stream.read(MAX_OCTETS):
            pass  # whoever writes into a pipe must not meet its end too early
        return
    number, size = 1, 0
    lines: list[bytes] = []
    before = b""
    for line in stream:
        if line.startswith(b"From ") and not before.strip():
            yield Found(f"{name}:{number}", b"".join(lines))
            number, lines, size = number + 1, [], 0
        elif size < MAX_OCTETS:
            lines.append(line)
            size += len(line)
        before = line
    yield Found(f"{name}:{number}", b"".join(lines))


def _head(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(MAX_OCTETS)
