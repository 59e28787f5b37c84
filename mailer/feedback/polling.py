"""What came back is fetched from where the configuration says it lies: once, or again and again."""

import logging
import signal
import threading
from collections.abc import Callable
from functools import cached_property
from time import monotonic
from typing import Final

from mailer.config import Settings
from mailer.errors import ConfigError, LedgerUnavailableError
from mailer.feedback.intake.files import messages
from mailer.feedback.intake.imap import Imap
from mailer.feedback.intake.mailbox import IntakeError, Mailbox
from mailer.feedback.intake.pop3 import Pop3
from mailer.feedback.returns import Returns, Tally, returns_of
from mailer.queues.connections import Producer
from mailer.store.feedback.records import Feedback

log = logging.getLogger(__name__)

NOT_MINE: Final = 2.0
"""Seconds until the next look whether the turn is free."""

Heard = Callable[[Tally], object]


class Polling:
    """Fetches from all that is configured; each message is acknowledged once it is recorded.

    Raises `ConfigError` where nothing is configured, or a mailbox is none.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        configured = settings.feedback
        self._imap = Mailbox(configured.imap, "imap") if configured.imap else None
        self._pop3 = Mailbox(configured.pop3, "pop3") if configured.pop3 else None
        self._maildir = configured.maildir
        if not (self._imap or self._pop3 or self._maildir):
            raise ConfigError("nothing to poll: set feedback.imap, pop3 or maildir in mailer.toml")

    @cached_property
    def _record(self) -> Feedback:
        return Feedback(Producer(self._settings).client)

    @cached_property
    def _returns(self) -> Returns:
        """Not before it is wanted: a secret that cannot be had on this host stops no worker."""
        return returns_of(self._settings)

    def once(self) -> Tally:
        """Fetch and record what is new. Two at once do no harm.

        Raises `IntakeError` for a mailbox that cannot be read, `OSError` for a Maildir, and
        `LedgerUnavailableError` while Redis is away.
        """
        tally = Tally()
        self._read(tally)
        if self._imap:
            with self._session(self._imap) as session:
                self._new(session, self._imap, tally)
        return tally

    def follow(
        self, every: float, ended: threading.Event, mine: Callable[[], bool], heard: Heard
    ) -> None:
        """Fetch what is new *every* so many seconds until *ended*, while the turn is *mine*.

        Where a server tells of news by itself (IMAP IDLE), it is fetched at once. *heard* is told what
        came. What cannot be read is logged once, and tried again.
        """
        pause, said = 0.0, ""
        while not ended.wait(pause):
            began, tally = monotonic(), Tally()
            pause = min(every, NOT_MINE)
            try:
                if not mine():
                    continue
                self._read(tally)
                self._stay(every, ended, tally)
                pause = max(every - (monotonic() - began), 0.0)
                if said:
                    log.warning("what comes back is fetched again")
                said = ""
            except (ConfigError, IntakeError, LedgerUnavailableError, OSError) as error:
                pause = every
                if str(error) != said:
                    log.warning("what comes back waits: %s", error)
                said = str(error)
            if tally.messages:
                heard(tally)

    def _read(self, tally: Tally) -> None:
        """What is not told of: a Maildir, a POP3 mailbox."""
        if self._maildir is not None:
            for found in messages(self._maildir):
                tally.add(self._returns.take(found.octets, "maildir"))
                found.acknowledge()
        if self._pop3:
            self._read_pop3(self._pop3, tally)

    def _read_pop3(self, mailbox: Mailbox, tally: Tally) -> None:
        known = self._record.read_there(mailbox.url)
        session = Pop3(mailbox, self._settings.feedback.password.read())
        try:
            self._record.forget_read(mailbox.url, known - session.ids)
            for one in session.besides(known):
                tally.add(self._returns.take(one.octets, "pop3"))
                self._record.note_read(mailbox.url, one.mark)
                if self._settings.feedback.delete:
                    session.remove(one)
        finally:
            session.close()

    def _stay(self, seconds: float, ended: threading.Event, tally: Tally) -> None:
        """Read the IMAP mailbox, and what comes there meanwhile."""
        if not self._imap:
            return
        deadline = monotonic() + seconds
        with self._session(self._imap) as session:
            self._new(session, self._imap, tally)
            while (left := deadline - monotonic()) > 0 and not ended.is_set():
                if session.wait(left, ended):
                    self._new(session, self._imap, tally)

    def _session(self, mailbox: Mailbox) -> Imap:
        return Imap(mailbox, self._settings.feedback.password.read())

    def _new(self, session: Imap, mailbox: Mailbox, tally: Tally) -> None:
        for one in session.behind(self._record.bookmark(mailbox.url)):
            tally.add(self._returns.take(one.octets, "imap"))
            self._record.set_bookmark(mailbox.url, one.mark)
            if self._settings.feedback.delete:
                session.remove(one)


def follow_until_stopped(settings: Settings, heard: Heard) -> None:
    """Fetch what comes, by this process alone, until SIGTERM or SIGINT; raises as `Polling` does."""
    polling, ended = Polling(settings), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    polling.follow(settings.feedback.poll_every, ended, lambda: True, heard)
