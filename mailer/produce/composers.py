"""Templates of single messages: compiled once in each process, and again when a file has changed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from mailer.compose import Composer, Design, composer_of
from mailer.mail.dating import written
from mailer.mail.message import Message
from mailer.mail.recipients import Recipient
from mailer.produce.design import summary
from mailer.queues.connections import Kept, between_forks

KEPT: Final = 256
"""Compiled templates that a process keeps."""

# The Date of every message as it is composed; `stamped` replaces it by the time of the call.
_WHEN: Final = datetime(1970, 1, 1, tzinfo=UTC)
_WHEN_WRITTEN: Final = f"Date: {written(0)}\r\n".encode()

_OF_THE_CALL: Final[Mapping[str, Any]] = {"attachments": (), "headers": {}, "reply_to": None}
"""The fields of a design that differ from call to call, and their values where a call gives none."""

Stamp = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class Ready:
    """A composer, what is shown of its design, and times and sizes of its files when it was made."""

    composer: Composer
    summary: Mapping[str, Any]
    files: tuple[Path, ...]
    stamp: Stamp

    @classmethod
    def of(cls, design: Design, like: "Ready | None" = None) -> "Ready":
        """Compile the template of *design*, or use that of *like*. Raises `TemplateError`."""
        if like:
            made = composer_of(design, like.composer)
            return cls(made, summary(design, ""), like.files, like.stamp)
        made = composer_of(design)
        return cls(made, summary(design, ""), made.files, _stamp(made.files))

    @property
    def is_fresh(self) -> bool:
        """Whether no file was changed, added or removed since."""
        return _stamp(self.files) == self.stamp

    def compose(self, recipient: Recipient) -> Message:
        """The message, in one piece, with the Date of 1970; `stamped` writes the right one."""
        with between_forks:  # and one thread at a time: a composer must not be shared
            made = self.composer.compose(recipient)
        return replace(made, content=(made.joined(self.composer.shared),))


def composer(design: Design, *, reload: bool) -> Ready:
    """What composes the messages of *design*; with *reload*, from the files as they are now.

    The template is compiled once. Attachments, headers and Reply-To do not matter for that, as they
    differ from call to call. Raises `TemplateError` and `InputError` as `Composer` does.
    """
    design = replace(design, date=_WHEN)
    bare = replace(design, **_OF_THE_CALL)
    key = _key(bare)
    ready = _kept.get(key, lambda: Ready.of(bare))
    if reload and not ready.is_fresh:
        _kept.drop(key, ready)
        ready = _kept.get(key, lambda: Ready.of(bare))
    if all(getattr(design, name) == nothing for name, nothing in _OF_THE_CALL.items()):
        return ready
    with between_forks:
        return Ready.of(design, ready)


def forget() -> None:
    """Read all templates again at their next use."""
    _kept.clear()


def stamped(message: Message, message_id: str, now: float) -> Message:
    """*message* with the time *now* as its Date, and *message_id*."""
    (content,) = message.content
    assert isinstance(content, bytes)
    date = f"Date: {written(now)}\r\n".encode()
    # The first match is the header: the header section comes first, and no value in it holds a CRLF.
    content = content.replace(b"\r\n" + _WHEN_WRITTEN, b"\r\n" + date, 1)
    old, new = (f"\r\nMessage-ID: {one}\r\n".encode() for one in (message.message_id, message_id))
    return replace(message, content=(content.replace(old, new, 1),), message_id=message_id)


_kept: Final = Kept(KEPT)


def _key(design: Design) -> object:
    """All values of the design, as a key to look up."""
    return tuple(_hashable(getattr(design, name)) for name in Design.__slots__)


def _hashable(value: object) -> object:
    if isinstance(value, Mapping):
        return tuple((name, _hashable(inner)) for name, inner in value.items())
    return value


def _stamp(files: tuple[Path, ...]) -> Stamp:
    """Time and size of each file; a file that is gone has none."""
    found = []
    for file in files:
        try:
            seen = file.stat()
        except OSError:
            continue
        found.append((str(file), seen.st_mtime_ns, seen.st_size))
    return tuple(found)
