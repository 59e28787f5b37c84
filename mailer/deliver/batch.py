"""A claimed batch in a worker's hands: its messages, and what is known of each recipient.

Offsets count the batch's messages from 0; positions are the campaign's. Statuses here are what the
ledger has recorded: `note` is called after a script has said yes.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from mailer.deliver.outcome import Outcome
from mailer.mail.event import Happened, Told, encode_outcomes
from mailer.mail.payload import Entry, encode
from mailer.mail.routing import Routes
from mailer.mail.status import OPEN, Detail, Status
from mailer.store.ledger import Claim, Part, Settlement

RENEW_AFTER: Final = 0.2
"""How much of a lease passes until it is renewed."""


@dataclass(slots=True)
class Batch:
    """The messages of a claim, and the status of each."""

    claim: Claim
    entries: Sequence[Entry] = field(repr=False)
    tells: bool = False
    """Whether somebody follows what happens: then each note in the ledger says it."""
    statuses: list[Status] = field(init=False, repr=False)
    _details: dict[int, Detail] = field(init=False, repr=False)
    _renew_at: float = field(init=False, repr=False, default=0.0)

    def __post_init__(self) -> None:
        self.statuses = [Status(letter) for letter in self.claim.letters]
        offsets = {position: offset for offset, position in enumerate(self.claim.positions)}
        self._details = {
            offsets[position]: detail for position, detail in self.claim.details.items()
        }

    def lease_until(self, now: float, lease: float) -> float | None:
        """The time until which the lease is to be renewed; None if it was renewed a moment ago."""
        if now < self._renew_at:
            return None
        self._renew_at = now + lease * RENEW_AFTER
        return now + lease

    def open(self) -> list[int]:
        """Offsets of all recipients whose status is not final."""
        return [offset for offset, status in enumerate(self.statuses) if status in OPEN]

    def left_transmitting(self) -> list[int]:
        """Offsets of those that an earlier lease had begun to transmit."""
        return [
            offset for offset, status in enumerate(self.statuses) if status is Status.TRANSMITTING
        ]

    def due(self, when: float) -> list[int]:
        """Offsets of all that may be sent by *when*: queued, or deferred until then at most."""
        return [
            offset
            for offset, status in enumerate(self.statuses)
            if status is Status.QUEUED
            or (status is Status.DEFERRED and self.detail(offset).due <= when)
        ]

    def next_due(self) -> float | None:
        """When the first deferred recipient is due, None where none is deferred."""
        return min(
            (
                self.detail(offset).due
                for offset, status in enumerate(self.statuses)
                if status is Status.DEFERRED
            ),
            default=None,
        )

    def position(self, offset: int) -> int:
        """Where in the campaign the recipient at *offset* stands."""
        return self.claim.positions[offset]

    def domains(self, offsets: Sequence[int]) -> list[str]:
        """The recipients' domains at *offsets*, in lower case."""
        return [
            self.entries[offset].message.forward_path.rpartition("@")[2].lower()
            for offset in offsets
        ]

    def detail(self, offset: int) -> Detail:
        """What is known of the recipient at *offset*."""
        known = self._details.get(offset)
        return known or Detail(self.entries[offset].message.forward_path)

    def first_try(self, offset: int) -> float:
        """When the recipient at *offset* was tried first; 0.0 where it never was."""
        known = self._details.get(offset)
        return known.first if known else 0.0

    def settlement(self, offset: int, outcome: Outcome) -> Settlement:
        """The *outcome* of the recipient at *offset* as the ledger is told of it."""
        known = offset in self._details
        at, unsure = self.position(offset), outcome.unsure
        return Settlement(at, outcome.status, outcome.detail, known, unsure)

    def as_it_was(self, offset: int) -> Settlement:
        """The status of the recipient at *offset* before it was marked as transmitting."""
        return Settlement(self.position(offset), self.statuses[offset], self._details.get(offset))

    def note(self, offset: int, outcome: Outcome) -> None:
        """Remember what the ledger has recorded."""
        self.statuses[offset] = outcome.status
        self._details[offset] = outcome.detail

    def told(self, outcomes: Sequence[tuple[int, Outcome]], now: float) -> Told | None:
        """What happened, for those who follow it; None where nobody is known to."""
        if not self.tells:
            return None
        happened = []
        for offset, outcome in outcomes:
            message = self.entries[offset].message
            happened.append(
                Happened(
                    self.claim.positions[offset],
                    outcome.status,
                    message.forward_path,
                    message.message_id,
                    outcome.detail,
                )
            )
        claim = self.claim
        return encode_outcomes(claim.ref, claim.fence, claim.account, now, happened)

    def subset(self, offsets: Sequence[int]) -> tuple[tuple[int, ...], bytes]:
        """Positions and payload of the messages at *offsets*, to stand by themselves."""
        positions = tuple(self.position(offset) for offset in offsets)
        return positions, encode([self.entries[offset] for offset in offsets])

    def halves(self) -> Iterator[Part]:
        """The open messages cut in two."""
        left = self.open()
        middle = (len(left) + 1) // 2
        for half in (left[:middle], left[middle:]):
            if half:
                yield Part(*self.subset(half))

    def elsewhere(self, routes: Routes, unusable: Collection[str]) -> list[Part]:
        """The open messages by the accounts that are to send them; empty if none changes its account."""
        groups: dict[str, list[int]] = {}
        left = self.open()
        for offset, domain in zip(left, self.domains(left), strict=True):
            account = routes.route(self.entries[offset].fingerprint, domain, unusable)
            groups.setdefault(account, []).append(offset)
        if set(groups) <= {self.claim.account}:
            return []
        return [Part(*self.subset(offsets), account) for account, offsets in groups.items()]

    def words(self, offsets: Sequence[int]) -> Mapping[str, int]:
        """How many of *offsets* have which status, by word."""
        counts: dict[str, int] = {}
        for offset in offsets:
            word = self.statuses[offset].word
            counts[word] = counts.get(word, 0) + 1
        return counts
