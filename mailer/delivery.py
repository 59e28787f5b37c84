"""A batch, and what became of it: claim, permit, send, judge, record.

The worker's hall, where the ledger (`mailer.store`) and the SMTP engine (`mailer.smtp`) meet; it knows
nothing of Celery. Whatever happens in here, each recipient is afterwards final, waiting in Redis, or
under a lease that lapses: a crash between any two lines loses nothing.
"""

import logging
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import random
from time import time
from typing import Final

from mailer.accounts import server
from mailer.batch import Batch
from mailer.config import Settings
from mailer.content import Contents
from mailer.errors import LeaseLostError, PayloadError
from mailer.gate import Gate
from mailer.journal import Journal
from mailer.outcome import Outcome, Retry, Status, judge
from mailer.payload import decode
from mailer.smtp import Action, Driver, Fate, Result, Stage, Submission
from mailer.store.breaker import COOLING, OPERATOR, STOPPED, AccountState, Breaker
from mailer.store.campaigns import Campaigns
from mailer.store.connection import Client
from mailer.store.dead_letters import Said
from mailer.store.ledger import Burial, Claim, Ledger, Settlement, Unclaimed, Verdict
from mailer.store.slots import Slots
from mailer.store.suppression import Suppression

log = logging.getLogger(__name__)

DUE_SOON: Final = 1.0
"""Seconds: a deferred recipient that is due within this time goes along with its batch."""

NO_PROGRESS_WAIT: Final = 2.0
"""Seconds that a batch rests when nothing of it could be sent and nobody said until when."""


@dataclass(slots=True)
class Report:
    """What one delivery did, for the task that asked for it.

    *counts* are recipients by status word. *queued* are refs whose task is to be published; *buried*
    the ids of new dead letters. *failure* is set when the batch as a whole met a trouble of its
    account, with what the server *said*.
    """

    ref: str
    queue: str = ""
    account: str = ""
    words: str = ""
    counts: Counter[str] = field(default_factory=Counter)
    queued: list[str] = field(default_factory=list)
    buried: list[str] = field(default_factory=list)
    failure: str = ""
    said: Said = field(default_factory=Said)

    def __str__(self) -> str:
        counts = ", ".join(f"{number} {word}" for word, number in sorted(self.counts.items()))
        return "; ".join(part for part in (counts, self.words) if part)


@dataclass(frozen=True, slots=True)
class Policy:
    """What the campaign wants of its deliveries."""

    retry: Retry
    resend: bool


class Delivery:
    """All that a worker process needs to deliver batches; shared by its threads."""

    def __init__(
        self, settings: Settings, client: Client, stopping: Callable[[], bool] = lambda: False
    ) -> None:
        self._settings = settings
        self._stopping = stopping
        self.ledger = Ledger(client)
        self._campaigns = Campaigns(client)
        self._suppression = Suppression(client)
        self._breaker = Breaker(client)
        self._slots = Slots(client)
        self._contents = Contents(settings, self.ledger)
        self._drivers: dict[tuple[int, str], tuple[Driver, Gate]] = {}

    def deliver(self, ref: str) -> Report:
        """Work on the batch *ref* until nothing of it can go on now.

        Raises `LedgerUnavailableError` when Redis cannot be asked: the lease lapses then, and what had
        begun to be transmitted is uncertain.
        """
        now = time()
        claim = self.ledger.claim(ref, uuid.uuid4().hex, now, now + self._settings.worker.lease)
        if isinstance(claim, Unclaimed):
            return Report(ref, words=f"nothing to do: {claim.why}")
        report = Report(ref, claim.queue, claim.account)
        try:
            self._work(claim, report)
        except LeaseLostError as exc:
            report.words = str(exc)
        return report

    def reap(self) -> None:
        """Close idle connections, keep the leases of the others; to be called every second or so."""
        for driver, gate in list(self._drivers.values()):
            driver.reap()
            gate.renew()

    def close(self) -> None:
        """Say goodbye on every connection."""
        for driver, _ in list(self._drivers.values()):
            driver.close()
        self._drivers.clear()

    def __repr__(self) -> str:
        drivers = ", ".join(repr(driver) for driver, _ in self._drivers.values())
        return f"<Delivery {drivers or 'without a connection'}>"

    # One batch, from its claim to its release.

    def _work(self, claim: Claim, report: Report) -> None:
        try:
            batch = Batch(claim, decode(claim.payload))
        except PayloadError as exc:
            self._bury_unread(claim, report, str(exc.args[0]))
            return
        policy = self._policy(claim.campaign)
        self._settle_leftovers(batch, policy, report)
        if claim.deaths >= self._settings.worker.poison_after:
            self._isolate(batch, report)
            return
        self._suppress(batch, report)
        state = self._breaker.state(claim.account, time())
        if state.state in (STOPPED, COOLING):
            self._end(batch, report, Verdict.GO, state)
            return
        chosen = batch.due(time() + DUE_SOON)
        verdict = self._send(batch, chosen, policy, report) if chosen else Verdict.GO
        self._end(batch, report, verdict, self._breaker.state(claim.account, time()))

    def _policy(self, campaign: str) -> Policy:
        wanted = self._campaigns.policy(campaign)
        base = self._settings.retry.model_dump() | wanted.get("retry", {})
        return Policy(Retry(**base), wanted.get("on_uncertain") == "resend")

    def _settle_leftovers(self, batch: Batch, policy: Policy, report: Report) -> None:
        """What an earlier lease left transmitting was written, and nobody read the reply."""
        left = batch.left_transmitting()
        if not left:
            return
        lost = Result(Fate.UNCERTAIN, Stage.FINAL, rule="local: the worker was lost")
        journal = self._journal(batch, left, policy)
        journal.commit([(which, lost) for which in range(len(left))], ())
        self._bury(batch, journal.to_bury, report)
        report.counts.update(batch.words(left))

    def _suppress(self, batch: Batch, report: Report) -> None:
        listed = self._suppression.among([entry.fingerprint for entry in batch.entries])
        chosen = [offset for offset in batch.open() if listed[offset]]
        self._settle(batch, chosen, Status.SUPPRESSED)
        report.counts.update(batch.words(chosen))

    def _send(self, batch: Batch, chosen: Sequence[int], policy: Policy, report: Report) -> Verdict:
        """Send the messages at the offsets *chosen*, recording each outcome as its reply is read."""
        journal = self._journal(batch, chosen, policy)
        submissions = [self._submission(batch, offset) for offset in chosen]
        driver, gate = self._driver(batch.claim.account)
        try:
            results = driver.send(submissions, journal)
        finally:
            gate.rest()
        journal.finish(results)
        self._bury(batch, journal.to_bury, report)
        report.counts.update(batch.words(chosen))
        return journal.verdict

    def _end(self, batch: Batch, report: Report, verdict: Verdict, account: AccountState) -> None:
        """End the lease in the way that what is left of the batch asks for."""
        claim, now = batch.claim, time()
        if verdict is Verdict.CANCELLED:
            left = batch.open()
            self._settle(batch, left, Status.CANCELLED)
            report.counts.update(batch.words(left))
        elif account.state == STOPPED and account.reason != OPERATOR:
            self._bury_rest(batch, report, account)
        if not batch.open():
            self.ledger.give_back(claim, now)
        elif verdict is Verdict.PAUSED:
            self._released(report, self.ledger.park(claim, now, f"campaign:{claim.campaign}"))
        elif verdict is Verdict.URGENT or self._stopping():
            self._released(report, self.ledger.give_back(claim, now))
        elif account.state in (COOLING, STOPPED):
            self._released(report, self.ledger.park(claim, now, f"account:{claim.account}"))
        else:
            self._released(report, self.ledger.wait(claim, now, self._rest_until(batch, now)))

    def _rest_until(self, batch: Batch, now: float) -> float:
        """When to look at the batch again: its deferred recipients say."""
        soon = now + NO_PROGRESS_WAIT
        if any(batch.statuses[offset] is Status.QUEUED for offset in batch.open()):
            return soon
        return max(batch.next_due() or soon, soon)

    def _released(self, report: Report, how: str) -> None:
        if how == "queued":
            report.queued.append(report.ref)

    # Recording.

    def _journal(self, batch: Batch, chosen: Sequence[int], policy: Policy) -> Journal:
        def decide(offset: int, result: Result) -> Outcome:
            return judge(
                result,
                batch.detail(offset),
                retry=policy.retry,
                resend=policy.resend,
                now=time(),
                random=random,
            )

        return Journal(
            self.ledger,
            batch,
            chosen,
            judge=decide,
            lease=self._settings.worker.lease,
            stopping=self._stopping,
        )

    def _settle(self, batch: Batch, offsets: Sequence[int], status: Status) -> None:
        if not offsets:
            return
        now = time()
        outcomes = [(offset, Outcome(status, batch.detail(offset))) for offset in offsets]
        settlements = [
            Settlement(batch.position(offset), status, outcome.detail)
            for offset, outcome in outcomes
        ]
        ends = now + self._settings.worker.lease
        if self.ledger.commit(batch.claim, settlements, (), now, ends) is Verdict.LOST:
            raise LeaseLostError("the batch belongs to another worker by now")
        for offset, outcome in outcomes:
            batch.note(offset, outcome)

    def _bury(
        self, batch: Batch, condemned: Sequence[tuple[int, Outcome, Result]], report: Report
    ) -> None:
        """One dead letter for each reason and reply among *condemned*."""
        groups: dict[tuple[str, str], list[tuple[int, Outcome, Result]]] = {}
        for one in condemned:
            key = (one[1].reason, one[1].detail.reply)
            groups.setdefault(key, []).append(one)
        for (reason, _), group in groups.items():
            _, outcome, result = group[0]
            said = _said(outcome, result)
            offsets = [offset for offset, _, _ in group]
            positions, payload = batch.subset(offsets)
            burial = Burial(
                f"{batch.claim.ref}.{batch.claim.fence}.{positions[0]}",
                outcome.status,
                reason,
                said.encode(),
                positions,
                payload,
                [(batch.position(offset), one.detail) for offset, one, _ in group],
            )
            self._buried(burial, batch.claim, report)
            for offset, fate, _ in group:
                batch.note(offset, fate)
            if reason in ("auth", "account"):
                report.failure, report.said = reason, said

    def _bury_rest(self, batch: Batch, report: Report, account: AccountState) -> None:
        """The account is stopped: what is left of the batch waits among the dead letters, whole."""
        left = batch.open()
        if not left:
            return
        reason = account.reason or "account"
        outcome = Outcome(Status.DEAD, batch.detail(left[0]), reason=reason)
        whole = len(left) == len(batch.entries)
        positions, payload = (batch.claim.positions, None) if whole else batch.subset(left)
        burial = Burial(
            f"{batch.claim.ref}.{batch.claim.fence}.rest",
            Status.DEAD,
            reason,
            account.said.encode(),
            positions,
            payload,
        )
        self._buried(burial, batch.claim, report)
        for offset in left:
            batch.note(offset, Outcome(outcome.status, batch.detail(offset), reason=reason))
        report.counts.update(batch.words(left))
        report.failure, report.said = reason, account.said

    def _bury_unread(self, claim: Claim, report: Report, why: str) -> None:
        """The payload cannot be read: its bytes are kept for whoever can."""
        said = Said(stage="payload", reply=why)
        payload = None if claim.payload else b"?"
        identifier = f"{claim.ref}.{claim.fence}.unread"
        burial = Burial(
            identifier, Status.DEAD, "undecodable", said.encode(), claim.positions, payload
        )
        self._buried(burial, claim, report)
        self.ledger.give_back(claim, time())
        report.failure, report.said = "undecodable", said

    def _isolate(self, batch: Batch, report: Report) -> None:
        """The batch has outlived its workers too often: halve it until one message is left to blame."""
        claim, left = batch.claim, batch.open()
        if len(left) > 1:
            patience = max(self._settings.worker.poison_after - 1, 0)
            report.queued += self.ledger.split(claim, list(batch.halves()), patience, time())
            report.words = f"split after {claim.deaths} lost workers"
            return
        lost = Result(Fate.UNSENT, None, rule="local: its workers die")
        outcome = Outcome(Status.DEAD, batch.detail(left[0]), reason="poison") if left else None
        if outcome:
            self._bury(batch, [(left[0], outcome, lost)], report)
            report.counts.update(batch.words(left))
            report.failure = "poison"
        self.ledger.give_back(claim, time())

    def _buried(self, burial: Burial, claim: Claim, report: Report) -> None:
        if self.ledger.bury(claim, burial, time()) < 0:
            raise LeaseLostError("the batch belongs to another worker by now")
        report.buried.append(burial.identifier)

    # What a batch is sent with.

    def _submission(self, batch: Batch, offset: int) -> Submission:
        message = batch.entries[offset].message
        return Submission(
            reverse_path=message.reverse_path,
            forward_path=message.forward_path,
            content=self._contents.of(batch.claim, message),
            smtputf8=message.smtputf8,
        )

    def _driver(self, name: str) -> tuple[Driver, Gate]:
        """This thread's driver for the account, and its gate; connections live over batches."""
        key = (threading.get_ident(), name)
        if key not in self._drivers:
            account = self._settings.account(name)
            gate = Gate(name, account.max_connections, self._breaker, self._slots)
            self._drivers[key] = (Driver(server(account), gate), gate)
        return self._drivers[key]


def _said(outcome: Outcome, result: Result) -> Said:
    detail = outcome.detail
    action = result.action or (Action.RETRY_LATER if outcome.reason == "exhausted" else None)
    return Said(
        detail.stage,
        detail.reply,
        action.value if action else "",
        result.rule,
        detail.attempts,
        result.dialogue,
    )
