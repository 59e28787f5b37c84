"""What was said lately in a session: for the report of a failure, and for the debug log.

Neither ever shows credentials or content; a report does not show local parts of addresses either.
"""

import logging
import re
from collections import deque
from dataclasses import replace

from mailer.smtp.connection.masking import Mask, addresses_in, masked, without_addresses
from mailer.smtp.reply import Reply

REMEMBERED = 24
"""How many writes and replies are remembered."""

log = logging.getLogger("mailer.smtp.dialogue")

_LOCAL_PART = re.compile(r"[^\s<>@:\"]+@(?=[\w\[])")

Said = str | bytes | memoryview


class Transcript:
    """The memory of one session; *name* stands before each line of the debug log, None means no log."""

    __slots__ = ("_harmless", "_heard_or_said", "_mask", "_name")

    def __init__(self, name: str | None = None) -> None:
        self._name = name
        self._mask = Mask()
        self._harmless: dict[int, Reply] = {}
        self._heard_or_said: deque[str | bytes | int | Reply] = deque(maxlen=REMEMBERED)

    def conceal(self, *secrets: str) -> None:
        """Never show *secrets*, whoever says them: the session is about to write them."""
        self._mask.add(*secrets)
        self._harmless.clear()

    def said(self, what: Said) -> None:
        """Note what the client wrote: a line as it may be shown, commands, or a view of a content."""
        note = len(what) if isinstance(what, memoryview) else what
        self._heard_or_said.append(note)
        if self._name is not None:
            self._log(note)

    def heard(self, reply: Reply) -> Reply:
        """Note a reply of the server; return it without what was concealed.

        A challenge (3yz) is returned as it came: the login has to compute with it.
        """
        # Nearly all replies accept, many a second: a quick look is enough for them, once for each that
        # is the same object (the parser remembers the last ones).
        if self._harmless.get(id(reply)) is reply and self._name is None:
            self._heard_or_said.append(reply)
            return reply
        is_quiet = reply.code < 400 and reply.code != 334 and not self._mask.holds(reply.text)
        shown = reply if is_quiet else masked(reply, self._mask)
        self._heard_or_said.append(shown)
        if is_quiet and len(self._harmless) < REMEMBERED:
            self._harmless[id(reply)] = reply
        if self._name is not None:
            self._log(shown)
        return reply if 300 <= reply.code < 400 else shown

    def without_addresses(self, reply: Reply) -> Reply:
        """Return *reply* without the addresses of the commands that were said lately."""
        addresses = self._addresses()
        lines = tuple(without_addresses(line, addresses) for line in reply.lines)
        return reply if lines == reply.lines else replace(reply, lines=lines)

    def lines(self) -> tuple[str, ...]:
        """Return the last lines, each with `C:` or `S:` before it, without local parts."""
        addresses = self._addresses()
        return tuple(
            _shown(line, addresses) for note in self._heard_or_said for line in _lines(note)
        )

    def _addresses(self) -> list[str]:
        """The session's own: those in the commands that are remembered."""
        notes = (note for note in self._heard_or_said if isinstance(note, bytes))
        return [one for note in notes for one in addresses_in(note.decode("utf-8", "replace"))]

    def _log(self, note: str | bytes | int | Reply) -> None:
        for line in _lines(note):
            log.debug("%s %s", self._name, line)


def _shown(line: str, addresses: list[str]) -> str:
    # A domain helps whoever reads. What a server makes of an address otherwise is taken out whole.
    line = _LOCAL_PART.sub("***@", line)
    return without_addresses(line, addresses) if line.startswith("S:") else line


def _lines(note: str | bytes | int | Reply) -> list[str]:
    if isinstance(note, Reply):
        return [f"S: {note}"]
    if isinstance(note, int):
        return [f"C: <content of {note} octets>"]
    text = note if isinstance(note, str) else note.decode("utf-8", "replace")
    return [f"C: {line}" for line in text.splitlines()]
