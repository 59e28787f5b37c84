"""Messages out of an IMAP mailbox: what is new since the bookmark, and a wait for news (RFC 2177).

Nothing is changed there unless it is asked for: messages are looked at without being marked as read.
"""

import imaplib
import threading
from collections.abc import Iterator
from time import monotonic
from types import TracebackType
from typing import Any, Final, Self

from imap_tools import BaseMailBox, MailBox, MailBoxUnencrypted
from imap_tools.errors import ImapToolsError

from mailer.feedback.intake.mailbox import TIMEOUT, Fetched, Mailbox
from mailer.feedback.parts import MAX_OCTETS

AT_ONCE: Final = 50
"""Messages that are asked for in one command: a pause between two is a chance to be stopped."""

LONGEST_IDLE: Final = 25 * 60.0
"""Seconds after which IDLE is begun anew: servers end it after half an hour."""

LOOK: Final = 0.5
"""Seconds between two looks whether the wait is to end."""

TROUBLES: Final = (OSError, imaplib.IMAP4.error, ImapToolsError)


class Imap:
    """A session with *mailbox*, to be entered. Raises `IntakeError` where its server does not serve."""

    def __init__(self, mailbox: Mailbox, password: str) -> None:
        self._mailbox = mailbox
        self._password = password
        self._session: BaseMailBox | None = None
        self._offers: frozenset[bytes] = frozenset()

    def __enter__(self) -> Self:
        """Log in and open the folder."""
        box = self._mailbox
        try:
            session: BaseMailBox = (
                MailBox(box.host, box.port, TIMEOUT, ssl_context=box.tls)
                if box.secure
                else MailBoxUnencrypted(box.host, box.port, TIMEOUT)
            )
            self._session = session
            # LOGIN is for ASCII alone (RFC 3501); what is not goes by AUTHENTICATE PLAIN.
            is_plain = box.user.isascii() and self._password.isascii()
            log_in = session.login if is_plain else session.login_utf8
            log_in(box.user, self._password, initial_folder=None)
            session.folder.set(box.folder)
            # Asked anew: before the login servers offer less.
            self._offers = frozenset(_ok(self._protocol.capability())[0].upper().split())
        except TROUBLES as error:
            self._leave()
            raise box.trouble(error) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Log out."""
        self._leave()

    def behind(self, bookmark: str) -> Iterator[Fetched]:
        """Yield what lies behind *bookmark*, in order; all of it where the mailbox was made anew.

        At most 1 MiB of each message (``BODY.PEEK``).
        """
        try:
            yield from self._behind(bookmark)
        except TROUBLES as error:
            raise self._mailbox.trouble(error) from error

    def remove(self, fetched: Fetched) -> None:
        """Take the message out of the mailbox: it is recorded."""
        try:
            uid = fetched.mark.partition(":")[2]
            _ok(self._protocol.uid("STORE", uid, "+FLAGS.SILENT", r"(\Deleted)"))
            if b"UIDPLUS" in self._offers:
                _ok(self._protocol.uid("EXPUNGE", uid))
            # Else it stays marked: EXPUNGE without a UID would take what somebody else has marked, too.
        except TROUBLES as error:
            raise self._mailbox.trouble(error) from error

    def wait(self, seconds: float, ended: threading.Event) -> bool:
        """Wait for news, at most so many *seconds* or until *ended*; whether something may be new.

        A server without IDLE tells no news: then the time passes.
        """
        deadline = monotonic() + min(seconds, LONGEST_IDLE)
        if b"IDLE" not in self._offers:
            ended.wait(max(deadline - monotonic(), 0.0))
            return False
        try:
            with self._open.idle as idle:
                while not ended.is_set() and (left := deadline - monotonic()) > 0:
                    if any(b"EXISTS" in line for line in idle.poll(min(left, LOOK))):
                        return True
        except TROUBLES as error:
            raise self._mailbox.trouble(error) from error
        return False

    @property
    def _open(self) -> BaseMailBox:
        assert self._session is not None, "the session is entered first"
        return self._session

    @property
    def _protocol(self) -> imaplib.IMAP4:
        return self._open.client

    def _behind(self, bookmark: str) -> Iterator[Fetched]:
        validity = (self._protocol.response("UIDVALIDITY")[1][0] or b"0").decode()
        known, _, last = bookmark.partition(":")
        first = int(last) + 1 if known == validity and last.isdigit() else 1
        numbers = _ok(self._protocol.uid("SEARCH", f"UID {first}:*"))[0].split()
        # ``n:*`` names the last message too, where none is newer.
        wanted = sorted(number for one in numbers if (number := int(one)) >= first)
        for start in range(0, len(wanted), AT_ONCE):
            for uid in wanted[start : start + AT_ONCE]:
                answer = self._protocol.uid("FETCH", str(uid), f"(BODY.PEEK[]<0.{MAX_OCTETS}>)")
                for one in _ok(answer):
                    if isinstance(one, tuple):
                        yield Fetched(one[1], f"{validity}:{uid}")

    def _leave(self) -> None:
        if self._session is not None:
            protocol, self._session = self._protocol, None
            try:
                protocol.logout()
            except TROUBLES:
                protocol.shutdown()


def _ok(answer: tuple[str, list[Any]]) -> list[Any]:
    if answer[0] != "OK":
        raise imaplib.IMAP4.error(answer[0])
    return answer[1]
