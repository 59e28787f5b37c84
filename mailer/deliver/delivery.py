"""A batch, and what became of it: claim, permit, send, judge, record.

The worker's hall, where the ledger (`mailer.store`) and the SMTP engine (`mailer.smtp`) meet; it knows
nothing of Celery. Whatever happens in here, each recipient is afterwards final, waiting in Redis, or
under a lease that lapses: a crash between any two lines loses nothing.
"""

import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import random
from time import time
from typing import Final

from mailer.config import Settings
from mailer.deliver.batch import Batch
from mailer.deliver.content import Contents
from mailer.deliver.gate import Gate
from mailer.deliver.journal import Journal
from mailer.deliver.malloc import keep_freed
from mailer.deliver.outcome import Outcome, judge
from mailer.deliver.permits import Permit
from mailer.deliver.recorder import Recorder, Report
from mailer.deliver.server import rules, server
from mailer.errors import ConfigError, LeaseLostError, PayloadError
from mailer.mail.payload import decode
from mailer.mail.policy import Retry
from mailer.mail.routing import Routes
from mailer.mail.said import Said
from mailer.mail.schedule import Window
from mailer.mail.status import Status
from mailer.smtp import Driver, Fate, Result, Stage
from mailer.store import account_limits
from mailer.store.breaker import COOLING, OPERATOR, STOPPED, AccountState, Breaker
from mailer.store.campaigns import Campaigns
from mailer.store.connection import Client
from mailer.store.ledger import PRIORITY, Claim, Ledger, Unclaimed, Verdict
from mailer.store.limits import Grant, Limits
from mailer.store.permit_queue import PermitQueue
from mailer.store.slots import Slots
from mailer.store.suppression import Suppression

DUE_SOON: Final = 1.0
"""Seconds: a deferred recipient that is due within this time goes along with its batch."""

NO_PROGRESS_WAIT: Final = 2.0
"""Seconds that a batch rests when nothing of it could be sent and nobody said until when."""

SHORT_WAIT: Final = 1.0
"""Seconds for which a worker keeps a batch that waits for permits, unless others want the worker."""

HEARTBEAT: Final = 0.25
"""Seconds between two looks at the ledger while it does."""

SOON: Final = 0.1
"""Seconds that a batch which stands in line for permits waits at least."""


@dataclass(frozen=True, slots=True)
class Rest:
    """When what is left of a batch may go on; with a *scope* it waits for that one's permits."""

    until: float = 0.0
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the campaign wants of its deliveries."""

    retry: Retry
    resend: bool
    window: Window | None = None
    routes: Routes | None = None
    """Set where the campaign has several accounts."""

    def opens(self, now: float) -> float:
        """When the campaign may send: *now*, or a later time."""
        return self.window.next_open(now) if self.window else now


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
        self._settings = settings
        self._stopping = stopping
        self._yields = yields
        self.ledger = Ledger(client)
        self._campaigns = Campaigns(client)
        self._suppression = Suppression(client)
        self._breaker = Breaker(client)
        self._slots = Slots(client)
        self._limits = Limits(client, account_limits.rules(settings))
        self._line = PermitQueue(client, self._limits)
        self._recorder = Recorder(self.ledger, settings.worker.lease, settings.worker.poison_after)
        self._rules = rules(settings)
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
            gate.renew()
            driver.reap(gate.surplus)

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
            self._recorder.bury_unread(claim, report, str(exc.args[0]))
            return
        policy = self._policy(claim.campaign)
        self._settle_leftovers(batch, policy, report)
        if claim.deaths >= self._settings.worker.poison_after:
            self._recorder.isolate(batch, report)
            return
        self._suppress(batch, report)
        state = self._breaker.state(claim.account, time())
        verdict, rest = Verdict.GO, Rest(policy.opens(time()))
        if state.usable and rest.until <= time():
            try:
                verdict, rest = self._send_permitted(batch, policy, report)
            except (ConfigError, PayloadError) as exc:  # before anything of it was sent
                self._give_up(batch, report, exc)
                return
            state = self._breaker.state(claim.account, time())
        if state.usable or not self._reroute(batch, policy, report):
            self._end(batch, report, verdict, state, rest)

    def _give_up(self, batch: Batch, report: Report, why: Exception) -> None:
        """Bury what cannot be sent from here: the account is not configured, an attachment is gone."""
        is_ours = isinstance(why, ConfigError)
        said = Said("account" if is_ours else "payload", str(why.args[0]), rule="local: not sent")
        reason = "account" if is_ours else "undecodable"
        account = AccountState(batch.claim.account, reason=reason, said=said)
        self._recorder.bury_rest(batch, report, account)
        self.ledger.give_back(batch.claim, time())

    def _reroute(self, batch: Batch, policy: Policy, report: Report) -> bool:
        """Give what the account cannot send to the campaign's others; False where there are none."""
        if policy.routes is None:
            return False
        now = time()
        unusable = [
            name for name in policy.routes.weights if not self._breaker.state(name, now).usable
        ]
        parts = batch.elsewhere(policy.routes, unusable)
        report.queued += self.ledger.split(batch.claim, parts, now) if parts else ()
        return bool(parts)

    def _policy(self, campaign: str) -> Policy:
        wanted = self._campaigns.policy(campaign)
        base = self._settings.retry.model_dump() | wanted.get("retry", {})
        window = Window.parse(wanted["window"]) if wanted.get("window") else None
        routes = Routes(**wanted["routes"]) if wanted.get("routes") else None
        return Policy(Retry(**base), wanted.get("on_uncertain") == "resend", window, routes)

    def _settle_leftovers(self, batch: Batch, policy: Policy, report: Report) -> None:
        """What an earlier lease left transmitting was written, and nobody read the reply."""
        left = batch.left_transmitting()
        if not left:
            return
        lost = Result(Fate.UNCERTAIN, Stage.FINAL, rule="local: the worker was lost")
        journal = self._journal(batch, left, policy)
        journal.commit([(which, lost) for which in range(len(left))], ())
        self._recorder.bury(batch, journal.to_bury, report)
        report.counts.update(batch.words(left))

    def _suppress(self, batch: Batch, report: Report) -> None:
        listed = self._suppression.among([entry.fingerprint for entry in batch.entries])
        chosen = [offset for offset in batch.open() if listed[offset]]
        self._recorder.settle(batch, chosen, Status.SUPPRESSED)
        report.counts.update(batch.words(chosen))

    def _send_permitted(self, batch: Batch, policy: Policy, report: Report) -> tuple[Verdict, Rest]:
        """Send what is due, as far as limits permit; returns when the rest may go on."""
        driver, gate = self._driver(batch.claim.account)
        while left := batch.due(time() + DUE_SOON):
            claim = batch.claim
            grant = self._limits.take(claim.account, batch.domains(left), campaign=claim.campaign)
            journal = self._journal(batch, [left[index] for index in grant.granted], policy)
            permit = Permit(self._limits, grant, left)
            journal.heard = permit.note
            gate.begin(grant.taken_at)
            try:
                self._send(batch, driver, gate.limit, journal, report)
            finally:
                gate.rest()
                if len(grant.granted) < len(left):
                    gate.renew()  # it will wait: others may need the connections now
                driver.reap(gate.surplus)
                permit.close(journal.sent)
            if journal.stopped or gate.troubled or (journal.chosen and not journal.sent):
                return journal.verdict, Rest()
            if len(grant.granted) == len(left):
                break
            if not (self._waits_here(grant, policy) and self._rest(journal, grant.wait)):
                return journal.verdict, Rest(grant.retry_at, grant.scope)
        return Verdict.GO, Rest()

    def _waits_here(self, grant: Grant, policy: Policy) -> bool:
        short = grant.wait == 0 or (grant.wait <= SHORT_WAIT and not grant.crowded)
        return short and policy.opens(time()) <= time()

    def _rest(self, journal: Journal, wait: float) -> bool:
        """Wait for the next permits with the lease kept; False when something else is wanted."""
        ends = time() + wait
        pause = threading.Event()
        while (left := ends - time()) > 0:
            if not journal.commit((), ()):
                return False
            pause.wait(min(left, HEARTBEAT))
        return True

    def _send(
        self, batch: Batch, driver: Driver, connections: int, journal: Journal, report: Report
    ) -> None:
        """Send what *journal* was opened for; each outcome is recorded as its reply is read."""
        outgoing = self._contents.outgoing(batch, journal.chosen)
        if batch.claim.deaths:
            # One of them may have killed its worker. Where making it is enough, it does so again before
            # any leaves; else no more than one other is under way.
            connections = 1
            for _ in outgoing:
                pass
        journal.finish(driver.send(outgoing, journal, limit=connections))
        for _, outcome, result in journal.to_bury:
            if outcome.trouble and result.dialogue:
                self._breaker.explain(batch.claim.account, result.dialogue)
                break
        self._recorder.bury(batch, journal.to_bury, report)
        report.counts.update(batch.words(journal.chosen))

    def _end(
        self,
        batch: Batch,
        report: Report,
        verdict: Verdict,
        account: AccountState,
        rest: Rest,
    ) -> None:
        """End the lease in the way that what is left of the batch asks for."""
        claim, now = batch.claim, time()
        if verdict is Verdict.CANCELLED:
            left = batch.open()
            self._recorder.settle(batch, left, Status.CANCELLED)
            report.counts.update(batch.words(left))
        elif account.state == STOPPED and account.reason != OPERATOR:
            self._recorder.bury_rest(batch, report, account)
        if not batch.open():
            self.ledger.give_back(claim, now)
        elif verdict is Verdict.PAUSED:
            self._released(report, self.ledger.park(claim, now, f"campaign:{claim.campaign}"))
        elif verdict is Verdict.URGENT or self._stopping():
            self._released(report, self.ledger.give_back(claim, now))
        elif account.state in (COOLING, STOPPED):
            self._released(report, self.ledger.park(claim, now, f"account:{claim.account}"))
        else:
            self._wait(batch, report, rest, now)

    def _wait(self, batch: Batch, report: Report, rest: Rest, now: float) -> None:
        claim = batch.claim
        due = rest.until if rest.scope or rest.until > now else self._rest_until(batch, now)
        how = self.ledger.wait(claim, now, max(due, now + SOON))
        if how == "waiting" and rest.scope:
            self._line.join(rest.scope, claim.ref, now, due)
        self._released(report, how)

    def _rest_until(self, batch: Batch, now: float) -> float:
        """When to look at the batch again: its deferred recipients say."""
        soon = now + NO_PROGRESS_WAIT
        if any(batch.statuses[offset] is Status.QUEUED for offset in batch.open()):
            return soon
        return max(batch.next_due() or soon, soon)

    def _released(self, report: Report, how: str) -> None:
        if how == "queued":
            report.queued.append(report.ref)

    # What a batch is sent with.

    def _journal(self, batch: Batch, chosen: Sequence[int], policy: Policy) -> Journal:
        def decide(offset: int, result: Result) -> Outcome:
            outcome = judge(
                result,
                batch.detail(offset),
                retry=policy.retry,
                resend=policy.resend,
                now=time(),
                random=random,
            )
            if policy.routes and outcome.trouble and result.fate is not Fate.UNCERTAIN:
                # Not this message's fault, and another account may send it: see `_reroute`.
                return replace(outcome, status=Status.DEFERRED, reason="")
            return outcome

        return Journal(
            self.ledger,
            batch,
            chosen,
            judge=decide,
            lease=self._settings.worker.lease,
            stopping=self._stopping,
            yields=batch.claim.queue != PRIORITY and self._yields(),
        )

    def _driver(self, name: str) -> tuple[Driver, Gate]:
        """This thread's driver for the account, and its gate; connections live over batches."""
        key = (threading.get_ident(), name)
        if key not in self._drivers:
            account = self._settings.account(name)
            lease = self._settings.worker.lease
            gate = Gate(account, self._breaker, self._slots, self._limits.pace, lease)
            self._drivers[key] = (Driver(server(account, self._rules), gate), gate)
        return self._drivers[key]
