"""The bytes that leave: a message's parts, its own and its campaign's, joined, dated and signed."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from threading import Lock
from typing import Final, overload

from mailer.config import Dkim, Settings
from mailer.config.secrets import warn_if_exposed
from mailer.deliver.batch import Batch
from mailer.deliver.dkim import Signer, signatures
from mailer.errors import ConfigError, PayloadError
from mailer.mail.dating import stamped
from mailer.mail.forms import Form
from mailer.mail.message import SharedPart
from mailer.mail.payload import Entry
from mailer.mail.stored import unpack
from mailer.smtp import Skeleton, Submission
from mailer.store.ledger import Ledger

CACHE: Final = 64 << 20
"""Octets of shared parts that a worker process keeps."""


class Contents:
    """Joins messages with their campaign's parts, dates and signs them; shared by a process's threads."""

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self._ledger = ledger
        self._signers = _signers(settings)
        self._cache: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0
        self._lock = Lock()

    def outgoing(
        self, batch: Batch, offsets: Sequence[int], stamp: float | None = None
    ) -> "Outgoing":
        """The batch's messages at *offsets*, to be submitted.

        Their Date is when the first try of each began: for those that were never tried, *stamp*. Where
        that is None, all leave with the Date that they have.

        Raises `PayloadError` when a part that the campaign stores is gone.
        """
        parts = {
            part.digest: part
            for offset in offsets
            for part in batch.entries[offset].message.content
            if isinstance(part, SharedPart)
        }
        claim = batch.claim
        shared = {digest: self._shared(claim.campaign, part) for digest, part in parts.items()}
        return Outgoing(batch, offsets, shared, self._signers.get(claim.account, ()), stamp)

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


class Outgoing(Sequence[Submission]):
    """Messages of a batch, each finished when it is sent: all together might not fit into memory."""

    def __init__(
        self,
        batch: Batch,
        offsets: Sequence[int],
        shared: Mapping[str, bytes],
        signers: Sequence[Signer],
        stamp: float | None,
    ) -> None:
        self._batch = batch
        self._stamp = stamp
        self._offsets = offsets
        self._shared = shared
        self._signers = signers
        self._skeletons: dict[Form, Skeleton] = {}

    def __len__(self) -> int:
        return len(self._offsets)

    @overload
    def __getitem__(self, index: int) -> Submission: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Submission]: ...
    def __getitem__(self, index: int | slice) -> Submission | Sequence[Submission]:
        if isinstance(index, slice):
            return [self._finished(offset) for offset in self._offsets[index]]
        return self._finished(self._offsets[index])

    def _finished(self, offset: int) -> Submission:
        """The message as the server is to get it, before dot-stuffing, dated and signed."""
        entry = self._batch.entries[offset]
        message = entry.message
        chunks: Iterator[bytes | memoryview] = message.chunks(self._shared)
        if self._stamp is not None:
            date = self._batch.first_try(offset) or self._stamp
            head = next(chunks)
            assert isinstance(head, bytes)
            chunks = chain(stamped(head, date), chunks)
        content = b"".join(chunks)
        # A Date takes the place of another of the same length. A signature is new text, and must be
        # checked.
        is_vouched_for = not self._signers and self._is_vouched_for(entry)
        content = signatures(self._signers, content) + content
        return Submission(
            reverse_path=message.reverse_path,
            forward_path=message.forward_path,
            content=content,
            smtputf8=message.smtputf8,
            # A notification of the server brings it back, whatever it quotes of the message.
            envid=message.message_id.strip("<>"),
            is_vouched_for=is_vouched_for,
        )

    def _is_vouched_for(self, entry: Entry) -> bool:
        """Whether the message need not be looked through whole before it leaves."""
        form = entry.form
        if form is None:
            return False
        skeleton = self._skeletons.get(form)
        if skeleton is None:
            pieces = [self._constant(piece) for piece in form.pieces]
            skeleton = self._skeletons[form] = Skeleton(pieces)
        return skeleton.vouches(entry.values)

    def _constant(self, piece: bytes | SharedPart | int) -> bytes | None:
        if isinstance(piece, SharedPart):
            return self._shared[piece.digest]
        return None if isinstance(piece, int) else piece


def _signers(settings: Settings) -> Mapping[str, tuple[Signer, ...]]:
    return {
        name: tuple(_signer(f"accounts.{name}.dkim", key) for key in account.dkim)
        for name, account in settings.accounts.items()
        if account.dkim
    }


def _signer(place: str, key: Dkim) -> Signer:
    warn_if_exposed(f"{place}.key_file", key.key_file)
    try:
        return Signer(key.domain, key.selector, key.key_file)
    except ConfigError as exc:
        raise ConfigError(f"{place}: {exc}") from None
