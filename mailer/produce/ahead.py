"""Messages made while a list is checked, kept until they are queued: so that none is made twice.

To check a row takes half of what making its message does. So a batch is made at once, and its payload
kept: about a hundred octets a newsletter, in memory at first and then in a file without a name. It is
used if the same rows come again in the same batch. They do not where something has changed since (another
producer, the suppression list, the list itself): then this batch and all that follow are made anew.
"""

import pickle
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from hashlib import blake2b
from typing import Any, Final

from mailer.mail.payload import decode, encode, version_of
from mailer.mail.recipients import Recipient
from mailer.produce.composing import Composed

IN_MEMORY: Final = 8 << 20
"""Octets that are kept in memory; beyond it, all are written to a file."""
MOST: Final = 256 << 20
"""Octets of the file. Rows of a longer list are checked, and made when they are queued."""


class Ahead:
    """Batches in the order in which they were made.

    *tells* says whether message ids are needed, too.
    """

    def __init__(self, *, tells: bool) -> None:
        self._tells = tells
        self._kept = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - closed by `close`
        self._is_reading = False
        self.has_room = True
        """Whether another batch may be kept."""

    def keep(self, composed: Composed) -> None:
        """Keep a batch. Where the disk is full, none is kept."""
        if self._kept.closed:
            return
        identifiers = composed.message_ids if self._tells else ()
        whose = _whose(composed.account, composed.recipients)
        record = whose, composed.payload, composed.faults, identifiers
        try:
            self._kept.write(pickle.dumps(record))
            self._kept.flush()
        except OSError:
            self.close()
        else:
            self.has_room = self._kept.tell() < MOST

    def take(self, account: str, asked: Sequence[Recipient], version: int) -> Composed | None:
        """The batch of *asked*, if it is the next, as a payload of *version* at most.

        None where another one is: then the list is cut in another way than before, and all are forgotten.
        """
        record = self._next()
        if record is None:
            return None
        whose, payload, faults, identifiers = record
        faulty = {row for row, _ in faults}
        made = tuple(one for one in asked if one.row not in faulty)
        if len(made) + len(faulty) != len(asked) or whose != _whose(account, made):
            self.close()
            return None
        if version_of(payload) > version:  # a worker that cannot read it was started meanwhile
            payload = encode(decode(payload), version)
        return Composed(account, made, payload, faults, identifiers)

    def _next(self) -> Any:
        """What was kept next; None where there is nothing more."""
        if self._kept.closed:
            return None
        if not self._is_reading:
            self._is_reading = True
            self._kept.seek(0)
        try:
            return pickle.load(self._kept)  # noqa: S301 - this process wrote it
        except (EOFError, OSError):
            return None

    def close(self) -> None:
        """Forget all; the file goes."""
        self.has_room = False
        with suppress(OSError):  # of a full disk: what waited to be written is forgotten, too
            self._kept.close()


def _whose(account: str, asked: Sequence[Recipient]) -> bytes:
    """What tells a batch from any other: its account and its rows, with all that stands in them."""
    rows = b"".join(b"%b%d.%d," % (one.key, one.row, one.digest) for one in asked)
    return blake2b(account.encode() + b"\0" + rows, digest_size=16).digest()
