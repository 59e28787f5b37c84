"""Messages out of a POP3 mailbox: those whose unique ids were not recorded yet (RFC 1939, UIDL).

The protocol knows no bookmark: what was read is remembered by those ids, for as long as it lies there.
"""

import poplib
from collections.abc import Container, Iterator
from typing import Final

from mailer.feedback.intake.mailbox import TIMEOUT, Fetched, Mailbox
from mailer.feedback.parts import MAX_OCTETS

LINES: Final = 20_000
"""Lines that are asked for of a message that is larger than what is read of one."""

TROUBLES: Final = (OSError, poplib.error_proto)


class _Lines(poplib.POP3):
    """The library's session, which would give up at a line of 2,048 octets: mail has longer ones."""

    def _getline(self) -> tuple[bytes, int]:
        line: bytes = self.file.readline(MAX_OCTETS)
        if not line:
            raise poplib.error_proto("the server hung up")
        return line.strip(b"\r\n"), len(line)


class _SafeLines(_Lines, poplib.POP3_SSL):
    """The same over TLS."""


class Pop3:
    """A session with *mailbox*, from its login to `close`; only then messages go that were removed.

    Raises `IntakeError` when its server is away or refuses; it serves one session of a mailbox at a time.
    """

    def __init__(self, mailbox: Mailbox, password: str) -> None:
        self._mailbox = mailbox
        self._ids: dict[str, int] = {}
        self._sizes: dict[int, int] = {}
        session: poplib.POP3 | None = None
        try:
            session = (
                _SafeLines(mailbox.host, mailbox.port, timeout=TIMEOUT, context=mailbox.tls)
                if mailbox.secure
                else _Lines(mailbox.host, mailbox.port, timeout=TIMEOUT)
            )
            session.user(mailbox.user)
            session.pass_(password)
            for line in session.uidl()[1]:
                number, _, name = line.decode("utf-8", "replace").partition(" ")
                self._ids[name] = int(number)
            sizes = (line.split() for line in session.list()[1])
            self._sizes = {int(number): int(size) for number, size, *_ in sizes}
        except (*TROUBLES, ValueError) as error:
            if session is not None:
                session.close()
            raise mailbox.trouble(error) from error
        self._session = session

    @property
    def ids(self) -> frozenset[str]:
        """The unique ids of all that lies there."""
        return frozenset(self._ids)

    def besides(self, known: Container[str]) -> Iterator[Fetched]:
        """Yield what is not *known* by its unique id, in the mailbox's order; at most 1 MiB of each."""
        for name, number in self._ids.items():
            if name in known:
                continue
            try:
                large = self._sizes.get(number, 0) > MAX_OCTETS
                lines = (self._session.top(number, LINES) if large else self._session.retr(number))[
                    1
                ]
            except TROUBLES as error:
                raise self._mailbox.trouble(error) from error
            yield Fetched(b"\r\n".join(lines)[:MAX_OCTETS] + b"\r\n", name)

    def remove(self, fetched: Fetched) -> None:
        """Have the message go when the session is closed: it is recorded."""
        try:
            self._session.dele(self._ids[fetched.mark])
        except TROUBLES as error:
            raise self._mailbox.trouble(error) from error

    def close(self) -> None:
        """Say goodbye: what was removed goes now."""
        try:
            self._session.quit()
        except TROUBLES:
            self._session.close()
