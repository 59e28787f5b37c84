"""The bytes that leave: a message's own parts, the parts that its campaign stores once, signatures."""

from collections import OrderedDict
from collections.abc import Mapping
from threading import Lock
from typing import Final

from mailer.config import Settings
from mailer.dkim import Signer
from mailer.errors import PayloadError
from mailer.message import Message, SharedPart
from mailer.store.ledger import Claim, Ledger
from mailer.stored import unpack

CACHE: Final = 64 << 20
"""Octets of shared parts that a worker process keeps."""


class Contents:
    """Joins messages with their campaign's parts, and signs them; shared by a process's threads."""

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self._ledger = ledger
        self._signers = _signers(settings)
        self._cache: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0
        self._lock = Lock()

    def of(self, claim: Claim, message: Message) -> bytes:
        """The message's octets as the server is to get them, before dot-stuffing.

        Raises `PayloadError` when a part that the campaign stores is gone.
        """
        if len(message.content) == 1 and isinstance(message.content[0], bytes):
            content = message.content[0]
        else:
            content = b"".join(
                self._shared(claim.campaign, part) if isinstance(part, SharedPart) else part
                for part in message.content
            )
        for signer in self._signers.get(claim.account, ()):
            content = signer.sign(content) + content
        return content

    def _shared(self, campaign: str, part: SharedPart) -> bytes:
        with self._lock:
            if part.digest in self._cache:
                self._cache.move_to_end(part.digest)
                return self._cache[part.digest]
        packed = self._ledger.shared(campaign, part.digest)
        if packed is None:
            raise PayloadError(f"campaign {campaign!r}: a stored attachment is gone from Redis")
        found = unpack(packed)
        with self._lock:
            self._cache[part.digest] = found
            self._size += len(found)
            while self._size > CACHE and len(self._cache) > 1:
                self._size -= len(self._cache.popitem(last=False)[1])
        return found


def _signers(settings: Settings) -> Mapping[str, tuple[Signer, ...]]:
    return {
        name: tuple(
            Signer(key.domain, key.selector, key.key_file.read_bytes()) for key in account.dkim
        )
        for name, account in settings.accounts.items()
        if account.dkim
    }
