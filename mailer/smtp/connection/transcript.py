"""What was said lately in a session: for the report of a failure, and for the debug log.

Neither ever shows credentials or content; a report does not show local parts of addresses either.
"""

import logging
import re
from collections import deque

from mailer.smtp.reply import Reply

REMEMBERED = 24
"""How many writes and replies are remembered."""

log = logging.getLogger("mailer.smtp.dialogue")

_LOCAL_PART = re.compile(r"[^\s<>@:\"]+@(?=[\w\[])")

Said = str | bytes | memoryview


class Transcript:
    """The memory of one session; *name* stands before each line of the debug log, None means no log."""

    __slots__ = ("_heard_or_said", "_name")

    def __init__(self, name: str | None = None) -> None:
        self._name = name
        self._heard_or_said: deque[str | bytes | int | Reply] = deque(maxlen=REMEMBERED)

    def said(self, what: Said) -> None:
        """Note what the client wrote: a line as it may be shown, commands, or a view of a content."""
        note = len(what) if isinstance(what, memoryview) else what
        self._heard_or_said.append(note)
        if self._name is not None:
            self._log(note)

    def heard(self, reply: Reply) -> None:
        """Note a reply of the server."""
        self._heard_or_said.append(reply)
        if self._name is not None:
            self._log(reply)

    def lines(self) -> tuple[str, ...]:
        """Return the last lines, each with `C:` or `S:` before it, without local parts."""
        return tuple(
            _LOCAL_PART.sub("***@", line) for note in self._heard_or_said for line in _lines(note)
        )

    def _log(self, note: str | bytes | int | Reply) -> None:
        for line in _lines(note):
            log.debug("%s %s", self._name, line)


def _lines(note: str | bytes | int | Reply) -> list[str]:
    if isinstance(note, Reply):
        return [f"S: {note}"]
    if isinstance(note, int):
        return [f"C: <content of {note} octets>"]
    text = note if isinstance(note, str) else note.decode("utf-8", "replace")
    return [f"C: {line}" for line in text.splitlines()]
