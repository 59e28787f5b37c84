"""One batch's way through a worker: from its claim, over sending what is due, to its release.

The order matters. Messages that an earlier lease had begun to transmit are judged first, because they may
have been delivered. The suppression list is asked before each sending and during it, because a batch may
have waited for days, and may be sent for hours. Limits are asked last, so that no permit is taken for a
message that is not sent.
"""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from random import random
from time import time
from typing import Final, assert_never

from mailer.deliver.barring.excluded import Excluded
from mailer.deliver.batch import Batch
from mailer.deliver.gate import Gate
from mailer.deliver.journal import Journal, Lease
from mailer.deliver.next_step import Rest, Step, what_next
from mailer.deliver.outcome import Outcome, judge
from mailer.deliver.permits import Permit
from mailer.deliver.recorder import Recorder, Report
from mailer.deliver.tools import Tools
from mailer.deliver.unable import UnableError
from mailer.errors import PayloadError
from mailer.mail.policy import CampaignPolicy
from mailer.mail.said import Said
from mailer.mail.status import Status
from mailer.smtp import Driver, Fate, Proceed, Result, Stage
from mailer.store.breaker import AccountState
from mailer.store.ledger import BULK, Part, Verdict
from mailer.store.limits import Grant

DUE_SOON: Final = 1.0
"""Seconds: a deferred recipient that is due within this time goes along with its batch."""

NO_PROGRESS_WAIT: Final = 2.0
"""Seconds that a batch waits if nothing of it could be sent and nothing says until when."""

SHORT_WAIT: Final = 1.0
"""Seconds for which a worker keeps a batch that waits for permits, unless other batches wait for the
worker."""

HEARTBEAT: Final = 0.25
"""Seconds between two questions to the ledger while it does."""

SOON: Final = 0.1
"""Seconds that a batch in the queue for permits waits at least."""


class BatchRun:
    """The work on one claimed *batch*; `run` does it, *report* says what became of it."""

    def __init__(
        self,
        tools: Tools,
        batch: Batch,
        policy: CampaignPolicy,
        report: Report,
        asked: Callable[[], Proceed],
    ) -> None:
        self._tools = tools
        self._batch = batch
        self._claim = batch.claim
        self._policy = policy
        self._report = report
        self._asked = asked
        self._current: Journal | None = None
        self._worker = tools.settings.worker
        self._retry = policy.retry_over(tools.settings.retry)
        self._recorder = Recorder(tools.ledger, batch, report, self._worker.lease)
        self._excluded = Excluded(tools.suppression, tools.receivers, batch, policy)

    def run(self) -> None:
        """Send what can be sent now, and release the batch for what comes next.

        Raises `LeaseLostError` when the batch is another worker's by now.
        """
        self._settle_leftovers()
        if self._claim.deaths >= self._worker.poison_after:
            self._recorder.isolate(self._worker.poison_after)
            return
        goes_on = True
        while goes_on:
            self._suppress()
            goes_on = not self._held_back() and self._deliver()

    @property
    def leaves_room(self) -> bool:
        """Whether its account's next batch may begin beside it; another thread asks.

        It may if nothing is left to do but to read replies. It also may if the batch has lost one worker,
        and so uses a single connection: after a host was cut off, all its batches are like that, and one
        after the other they would keep the account from its work. After a second death, the batch itself
        may be what kills workers. Then no other batch of its account is sent beside it.
        """
        if self._current is None:
            return False
        if self._claim.deaths == 1 or self._current.only_awaits:
            return True
        return self._asked() is Proceed.BEGIN_NOTHING

    # Before anything is sent.

    def _settle_leftovers(self) -> None:
        """Judge what an earlier lease was transmitting: it was written, and no reply was read."""
        left = self._batch.left_transmitting()
        if not left:
            return
        lost = Result(Fate.UNCERTAIN, Stage.FINAL, rule="local: the worker was lost")
        # The first try of each began when that lease began it: sent again, its Date is the same.
        journal = self._journal(left, self._claim.began or time())
        journal.commit([(which, lost) for which in range(len(left))], ())
        self._recorder.bury(journal.to_bury)
        self._recorder.count(left)

    def _suppress(self) -> None:
        self._recorder.settle(self._excluded.listed(), Status.SUPPRESSED)

    def _held_back(self) -> bool:
        """Set aside messages to receivers whose mail is held back; True if that ends this run."""
        batch, ledger, now = self._batch, self._tools.ledger, time()
        held = self._excluded.held_back()
        others = sorted(set(batch.open()) - set(held))
        if held and others:
            parts = [Part(*batch.subset(offsets)) for offsets in (held, others)]
            self._report.queued += ledger.split(self._claim, parts, now)
            self._report.words = "split: some receivers' mail is held back"
        elif held:
            self._report.words = "held back: too much of what these receivers got came back"
            event = f"receivers:{self._claim.campaign}"
            if ledger.park(self._claim, now, event) == "queued":
                self._report.queued.append(self._claim.ref)
        return bool(held)

    # Sending.

    def _deliver(self) -> bool:
        """Send, and end the lease; True if it was interrupted by a new entry of the suppression list."""
        verdict, rest = Verdict.GO, Rest(self._policy.opens(time()))
        if self._account().usable and rest.until <= time():
            try:
                verdict, rest = self._send_permitted()
            except PayloadError as exc:  # an attachment is gone, before anything was sent
                self._give_up("undecodable", "payload", str(exc.args[0]))
                return False
            except UnableError as exc:
                self._hand_on(exc)
                return False
            if self._current is not None and self._current.interrupted:
                self._current = None  # else the next round, with nobody to send to, ends here again
                return True
        if not self._batch.open():
            self._tools.ledger.give_back(self._claim, time())
            return False
        # Asked again: what was sent may have stopped the account.
        account = self._account()
        if account.usable or not self._reroute():
            self._end(verdict, account, rest)
        return False

    def _send_permitted(self) -> tuple[Verdict, Rest]:
        """Send what is due, as far as limits permit; returns when the rest may go on."""
        batch, claim = self._batch, self._claim
        unable, secret = self._tools.unable, f"secret:{self._claim.account}"
        unable.check(secret)
        with self._tools.connections.borrow(claim.account) as (driver, gate):
            while left := batch.due(time() + DUE_SOON):
                grant = self._tools.limits.take(
                    claim.account, batch.domains(left), campaign=claim.campaign
                )
                journal = self._journal([left[index] for index in grant.granted], time())
                self._send(journal, driver, gate, grant, left)
                if gate.unable:
                    raise UnableError(secret, gate.unable)
                if journal.sent:
                    unable.could(secret)
                if (
                    journal.interrupted
                    or journal.stopped
                    or gate.troubled
                    or (journal.chosen and not journal.sent)
                ):
                    return journal.verdict, Rest()
                if len(grant.granted) == len(left):
                    break
                if not (self._waits_here(grant) and self._rest(journal, grant.wait)):
                    return journal.verdict, Rest(grant.retry_at, grant.scope)
        return Verdict.GO, Rest()

    def _send(
        self, journal: Journal, driver: Driver, gate: Gate, grant: Grant, left: list[int]
    ) -> None:
        """Send what *journal* was opened for, under its permits."""
        permit = Permit(self._tools.limits, grant, left)
        journal.heard = permit.note
        gate.begin(grant.taken_at)
        try:
            self._transmit(journal, driver, gate.limit)
        finally:
            gate.rest()
            if len(grant.granted) < len(left):
                gate.renew()  # the batch will wait: its connections may go to others now
            driver.reap(gate.surplus)
            permit.close(journal.sent)

    def _transmit(self, journal: Journal, driver: Driver, connections: int) -> None:
        """Each outcome is recorded as its reply is read; what is to be buried, at the end."""
        stamp = journal.began if self._policy.stamps else None
        outgoing = self._tools.contents.outgoing(self._batch, journal.chosen, stamp)
        if self._claim.deaths:
            # One of the messages may have killed the last worker. All are made first: if making it kills,
            # it does so before any is sent. One connection is used: if sending it kills, at most one
            # other message is uncertain.
            connections = 1
            for _ in outgoing:
                pass
        journal.finish(driver.send(outgoing, journal, limit=connections))
        for _, outcome, result in journal.to_bury:
            if outcome.trouble and result.dialogue:
                self._tools.breaker.explain(self._claim.account, result.dialogue)
                break
        self._recorder.bury(journal.to_bury)
        self._recorder.count(journal.chosen)
        self._count_receivers(journal.chosen)

    def _count_receivers(self, chosen: Sequence[int]) -> None:
        """Count what each receiver has taken, for the brake; single messages have none."""
        if self._claim.queue == BULK:
            batch = self._batch
            taken = [one for one in chosen if batch.statuses[one] is Status.ACCEPTED]
            self._tools.receivers.count(self._claim.campaign, Counter(batch.domains(taken)))

    def _waits_here(self, grant: Grant) -> bool:
        short = grant.wait == 0 or (grant.wait <= SHORT_WAIT and not grant.crowded)
        return short and self._policy.opens(time()) <= time()

    def _rest(self, journal: Journal, wait: float) -> bool:
        """Wait for the next permits under the lease; False if the batch is to be given back."""
        ends = time() + wait
        pause = threading.Event()
        while (left := ends - time()) > 0:
            if journal.commit((), ()) is not Proceed.GO_ON:
                return False
            pause.wait(min(left, HEARTBEAT))
        return True

    # What is left.

    def _hand_on(self, error: UnableError) -> None:
        """Leave to other workers what this one cannot send; a dead letter, if no living one can."""
        handed = self._tools.unable.give_back(error, self._claim.ref)
        if handed.is_hopeless:
            self._give_up("account", "account", error.why)
            return
        now = time()
        if self._tools.ledger.wait(self._claim, now, now + handed.wait) == "queued":
            self._report.queued.append(self._claim.ref)
        self._report.words = f"left to other workers: {error}"

    def _give_up(self, reason: str, stage: str, why: str) -> None:
        """Make a dead letter of what nobody can send."""
        said = Said(stage=stage, text=why, rule="local: not sent")
        self._recorder.bury_rest(AccountState(self._claim.account, reason=reason, said=said))
        self._tools.ledger.give_back(self._claim, time())

    def _reroute(self) -> bool:
        """Give the rest to other accounts of the campaign; False if there are none."""
        routes = self._policy.routes
        if routes is None:
            return False
        now, breaker = time(), self._tools.breaker
        unusable = [name for name in routes.weights if not breaker.state(name, now).usable]
        parts = self._batch.elsewhere(routes, unusable)
        if parts:
            self._report.queued += self._tools.ledger.split(self._claim, parts, now)
        return bool(parts)

    def _end(self, verdict: Verdict, account: AccountState, rest: Rest) -> None:
        """End the lease in the way that what is left of the batch asks for."""
        claim, ledger, now = self._claim, self._tools.ledger, time()
        step = what_next(verdict, account, is_leaving=self._asked() is not Proceed.GO_ON)
        if step is Step.CANCEL:
            self._recorder.settle(self._batch.open(), Status.CANCELLED)
        elif step is Step.BURY:
            self._recorder.bury_rest(account)
        if not self._batch.open():
            ledger.give_back(claim, now)
            return
        match step:
            case Step.PARK_FOR_CAMPAIGN:
                how = ledger.park(claim, now, f"campaign:{claim.campaign}")
            case Step.PARK_FOR_ACCOUNT:
                how = ledger.park(claim, now, f"account:{claim.account}")
            case Step.WAIT:
                how = self._wait(rest, now)
            case Step.GIVE_BACK | Step.CANCEL | Step.BURY:
                how = ledger.give_back(claim, now)
            case _:
                assert_never(step)
        if how == "queued":
            self._report.queued.append(claim.ref)

    def _wait(self, rest: Rest, now: float) -> str:
        due = rest.until if rest.scope or rest.until > now else self._rest_until(now)
        how = self._tools.ledger.wait(self._claim, now, max(due, now + SOON))
        if how == "waiting" and rest.scope:
            self._tools.line.join(rest.scope, self._claim.ref, now, due)
        return how

    def _rest_until(self, now: float) -> float:
        """When to look at the batch again: its deferred recipients say."""
        batch, soon = self._batch, now + NO_PROGRESS_WAIT
        if any(batch.statuses[offset] is Status.QUEUED for offset in batch.open()):
            return soon
        return max(batch.next_due() or soon, soon)

    # What is sent is judged and written down.

    def _account(self) -> AccountState:
        return self._tools.breaker.state(self._claim.account, time())

    def _journal(self, chosen: Sequence[int], began: float) -> Journal:
        lease = Lease(self._worker.lease, self._asked, began)
        judge_ = partial(self._judge, began)
        self._current = Journal(self._tools.ledger, self._batch, chosen, judge_, lease)
        self._current.interrupts = self._excluded.somebody_new
        self._current.observer = self._tools.observer
        self._current.settled = partial(self._recorder.heard, self._tools.dropper)
        return self._current

    def _judge(self, began: float, offset: int, result: Result) -> Outcome:
        outcome = judge(
            result,
            self._batch.detail(offset),
            retry=self._retry,
            resend=self._policy.resend,
            began=began,
            now=time(),
            random=random,
        )
        if self._policy.routes and outcome.trouble and result.fate is not Fate.UNCERTAIN:
            # The trouble is the account's, and another account may send the message: see `_reroute`.
            return replace(outcome, status=Status.DEFERRED, reason="")
        return outcome
