"""What a worker process delivers with: it takes a batch, has it sent, and reports.

Here the ledger (`mailer.store`) and the SMTP engine (`mailer.smtp`) meet; nothing here knows Celery. At
every moment each recipient is final, waiting in Redis, or under a lease that lapses: a crash between any
two lines loses nothing.
"""

import uuid
from collections.abc import Callable
from time import time

from mailer.config import Settings
from mailer.deliver.batch import Batch
from mailer.deliver.batch_run import Asked, BatchRun
from mailer.deliver.malloc import keep_freed
from mailer.deliver.recorder import Report, bury_unread
from mailer.deliver.tools import Tools
from mailer.errors import LeaseLostError, PayloadError
from mailer.mail.payload import decode
from mailer.store.connection import Client
from mailer.store.ledger import Claim, Ledger, Unclaimed


class Delivery:
    """All that a worker process needs to deliver batches; shared by its threads.

    *stopping* says whether the worker was asked to stop, *yields* whether it also takes single
    messages: then a campaign's batch is given back when one of these finds nobody else.
    """

    def __init__(
        self,
        settings: Settings,
        client: Client,
        stopping: Callable[[], bool] = lambda: False,
        yields: Callable[[], bool] = lambda: True,
    ) -> None:
        keep_freed()
        self._lease = settings.worker.lease
        self._asked = Asked(stopping, yields)
        self._tools = Tools(settings, client)

    @property
    def ledger(self) -> Ledger:
        """The ledger that it writes to."""
        return self._tools.ledger

    def deliver(self, ref: str) -> Report:
        """Work on the batch *ref* until nothing of it can go on now.

        Raises `LedgerUnavailableError` when Redis cannot be asked: the lease lapses then, and what had
        begun to be transmitted is uncertain.
        """
        now = time()
        claim = self.ledger.claim(ref, uuid.uuid4().hex, now, now + self._lease)
        if isinstance(claim, Unclaimed):
            return Report(ref, words=f"nothing to do: {claim.why}")
        report = Report(ref, claim.queue, claim.account)
        try:
            self._work(claim, report)
        except LeaseLostError as exc:
            report.words = str(exc)
        return report

    def _work(self, claim: Claim, report: Report) -> None:
        try:
            batch = Batch(claim, decode(claim.payload))
            policy = self._tools.campaigns.policy(claim.campaign)
        except PayloadError as exc:
            bury_unread(self.ledger, claim, report, "undecodable", str(exc.args[0]))
            return
        BatchRun(self._tools, batch, policy, report, self._asked).run()

    def reap(self) -> None:
        """Close idle connections, keep the leases of the others; to be called every second or so."""
        self._tools.connections.reap()

    def close(self) -> None:
        """Say goodbye on every connection."""
        self._tools.connections.close()

    def __repr__(self) -> str:
        return f"<Delivery {self._tools.connections!r}>"
