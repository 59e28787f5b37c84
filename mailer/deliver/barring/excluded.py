"""Who of a batch gets nothing now: on the suppression list, or at a receiver that is held back.

Asked before a batch is sent, and again while it is: who unsubscribes in mid-campaign gets nothing from
the next message on. A look costs one question to Redis, and more only where somebody was put on the list.
"""

from collections.abc import Callable, Collection, Sequence
from time import monotonic
from typing import Final

from mailer.deliver.batch import Batch
from mailer.mail.barring.scopes import ALL, BULK
from mailer.mail.policy import CampaignPolicy
from mailer.store.feedback.receivers import Receivers
from mailer.store.ledger import PRIORITY
from mailer.store.suppression import Suppression

STRIDE: Final = 0.5
"""Seconds of sending between two looks."""


class Excluded:
    """What is asked for one *batch*, whose campaign has that *policy*."""

    def __init__(
        self,
        suppression: Suppression,
        receivers: Receivers,
        batch: Batch,
        policy: CampaignPolicy,
    ) -> None:
        self._suppression = suppression
        self._receivers = receivers
        self._batch = batch
        # A campaign that an older version queued does not say what kind of mail it sends.
        self._is_bulk = batch.claim.queue != PRIORITY
        self._mail = policy.mail or (BULK if self._is_bulk else ALL)
        self._changes = 0
        self._next_look = 0.0

    def listed(self) -> list[int]:
        """Offsets of the open ones that are on the suppression list."""
        # Read before the list is: who comes between the two is found again, and not missed.
        if self._is_bulk:
            self._changes = self._suppression.changes()
        self._next_look = monotonic() + STRIDE
        return self._among(self._batch.open())

    def held_back(self) -> list[int]:
        """Offsets of the open ones whose receivers' mail is held back; of single messages none is."""
        if not self._is_bulk:
            return []
        held = self._receivers.held(self._batch.claim.campaign)
        return self._at(held, self._batch.open()) if held else []

    def somebody_new(self, begun: Callable[[], Collection[int]]) -> bool:
        """Whether somebody is to be left out by now whose message is not *begun*; asks once a stride."""
        if not self._is_bulk or monotonic() < self._next_look:
            return False
        self._next_look = monotonic() + STRIDE
        if set(self.held_back()) - set(begun()):
            return True
        changes = self._suppression.changes()
        if changes == self._changes:
            return False
        self._changes = changes
        under_way = begun()
        return bool(self._among([one for one in self._batch.open() if one not in under_way]))

    def _at(self, receivers: Collection[str], offsets: Sequence[int]) -> list[int]:
        domains = self._batch.domains(offsets)
        return [one for one, domain in zip(offsets, domains, strict=True) if domain in receivers]

    def _among(self, offsets: Sequence[int]) -> list[int]:
        entries = self._batch.entries
        listed = self._suppression.among([entries[one].fingerprint for one in offsets], self._mail)
        return [offset for offset, is_on in zip(offsets, listed, strict=True) if is_on]
