"""Who looks on while batches are delivered: what it is told, and when.

Delivery knows nothing of logs, metrics or traces; it tells one `Observer` what it did. What an observer
raises would end a batch: an implementation guards itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mailer.deliver.batch import Batch
from mailer.deliver.outcome import Outcome
from mailer.deliver.recorder import Report
from mailer.smtp import Reply, Result, Stage


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of one message of a batch, once the ledger has it: its place, outcome and *result*."""

    offset: int
    outcome: Outcome
    result: Result


class Observer:
    """Looks on and does nothing; the base of those that do something."""

    def refused(self, account: str, stage: Stage, reply: Reply | None) -> None:
        """No session of *account* could be opened: the server's *reply* to *stage*, or none, says why."""

    def began(self, batch: Batch) -> None:
        """The work on *batch* begins."""

    def started(self, batch: Batch, offsets: Sequence[int]) -> None:
        """The ledger has noted that the content of the messages at *offsets* may be written now."""

    def heard(self, batch: Batch, messages: Sequence[Heard]) -> None:
        """The ledger has the outcomes of *messages*."""

    def ended(self, report: Report, seconds: float) -> None:
        """The work on a batch is over for now; it took *seconds*."""

    def lost(self, report: Report) -> None:
        """The lease on a batch was another worker's before its work was over."""

    def close(self) -> None:
        """The process ends."""
