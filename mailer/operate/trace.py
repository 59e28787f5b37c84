"""Who got it, when, and what the server said: of one person, over all campaigns.

The history knows it, where there is one. Without, the ledger says what it knows: in which campaigns a
person is, with which outcome, what came back, and of those not accepted the last reply. It keeps no
Message-ID, but that of a campaign's message is made from its recipient, and can be made again.
"""

import re
from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import chain, islice
from typing import Final

from mailer.config import Settings
from mailer.errors import InputError
from mailer.mail.recipients import Rejected, fingerprint, parse
from mailer.mail.record import Record
from mailer.mail.seal import message_hash
from mailer.operate.history import opened
from mailer.operate.outcomes import recorded
from mailer.queues.connections import Producer
from mailer.store.feedback.records import Feedback

_MOST: Final = 500_000
"""Recipients whose Message-ID is made again at most, for who has no patience: some two seconds."""

_MADE_HERE: Final = re.compile(r"[0-9a-f]{24}@[^@\s]+", re.IGNORECASE)
"""The Message-ID of a campaign's message (`message_hash`), without its brackets."""

__all__ = ["Record", "trace"]


def trace(
    what: str, settings: Settings | None = None, *, newest: int | None = None
) -> list[Record]:
    """Every message to the mailbox *what*, or the one of that Message-ID; the newest first.

    Without a history, *newest* says in how many campaigns is looked at most, for a Message-ID also at how
    many recipients; that of a single message, or one of the application's own, is not found.
    """
    settings, what = Producer(settings).settings, _asked(what)
    for spelling in chain([what], _other_spellings(what, settings)):
        if found := _found(spelling, settings, newest):
            return found
    return []


def _other_spellings(what: str, settings: Settings) -> Iterator[str]:
    """A Message-ID as some programs show it: without its brackets, in capitals."""
    bare = what.strip("<>")
    ours = _MADE_HERE.fullmatch(bare)
    # To look for one in the ledger takes long: only for what may stand there.
    if not what.startswith("<") and (ours or settings.history.url is not None):
        yield f"<{bare}>"
    if ours and bare != bare.lower():
        yield f"<{bare.lower()}>"


def _asked(what: str) -> str:
    """The mailbox, or the Message-ID, as it is written down."""
    what = what.strip()
    if what.startswith("<"):
        return what
    one = parse({"email": what}, 1)
    return what if isinstance(one, Rejected) else one.mailbox


def _found(what: str, settings: Settings, newest: int | None) -> list[Record]:
    if settings.history.url is not None:
        with closing(opened(settings)) as history:
            return history.trace(what)
    ledger = _Ledger(settings, newest)
    return list(ledger.by_message_id(what) if what.startswith("<") else ledger.by_mailbox(what))


class _Ledger:
    """What the ledger knows of single messages, in so many of the *newest* campaigns."""

    def __init__(self, settings: Settings, newest: int | None) -> None:
        producer = Producer(settings)
        self._settings = settings
        self._campaigns = producer.campaigns
        self._feedback = Feedback(producer.client)
        self._names = self._campaigns.names()[:newest]
        self._most = None if newest is None else _MOST

    def by_mailbox(self, mailbox: str) -> Iterator[Record]:
        """Every message to *mailbox*."""
        key = fingerprint(mailbox)
        for name in self._names:
            for position in self._campaigns.places(name, key):
                yield self._record(name, position, key, mailbox, "")

    def by_message_id(self, message_id: str) -> Iterator[Record]:
        """The campaign's message of that Message-ID: one, or none."""
        bare = message_id.strip("<>")
        if not _MADE_HERE.fullmatch(bare):
            return
        wanted = bare.partition("@")[0].lower()
        secrets = (*self._settings.reading_keys(), "")
        for name, position, key in islice(self._everybody(), self._most):
            for secret in secrets:
                digest = message_hash(secret, name)
                digest.update(key)
                if digest.hexdigest() == wanted:
                    yield self._record(name, position, key, "", message_id)

    def _everybody(self) -> Iterator[tuple[str, int, bytes]]:
        for name in self._names:
            with suppress(InputError):  # an older version has kept no order of its recipients
                for position, key in self._campaigns.fingerprints(name):
                    yield name, position, key

    def _record(
        self, name: str, position: int, key: bytes, mailbox: str, message_id: str
    ) -> Record:
        (letter,) = self._campaigns.letters(name, [position])
        detail = self._campaigns.detail(name, position)
        back = self._feedback.returned_of(name, key)
        return recorded(
            name, position, letter, detail, back, mailbox=mailbox, message_id=message_id
        )
