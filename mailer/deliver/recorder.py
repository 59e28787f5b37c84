"""How the outcomes of a claimed batch are written down: settled, buried, split.

Every method is one script of the ledger and then what this process remembers of it; where the script
finds the lease lost, `LeaseLostError` ends the work on the batch.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from time import time

from mailer.deliver.batch import Batch
from mailer.deliver.outcome import Outcome
from mailer.errors import LeaseLostError
from mailer.mail.said import Said
from mailer.mail.status import Detail, Status
from mailer.smtp import Action, Fate, Result
from mailer.store.breaker import AccountState
from mailer.store.ledger import Burial, Claim, Ledger, Verdict


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


class Recorder:
    """Writes into the ledger what became of a batch, and into a `Report` for the task."""

    def __init__(self, ledger: Ledger, lease: float, poison_after: int) -> None:
        self._ledger = ledger
        self._lease = lease
        self._poison_after = poison_after

    def settle(self, batch: Batch, offsets: Sequence[int], status: Status) -> None:
        """Move the recipients at *offsets* to *status*, with what is known of them."""
        if not offsets:
            return
        now = time()
        outcomes = [(offset, Outcome(status, batch.detail(offset))) for offset in offsets]
        settlements = [batch.settlement(offset, outcome) for offset, outcome in outcomes]
        ends = now + self._lease
        if self._ledger.commit(batch.claim, settlements, (), now, ends) is Verdict.LOST:
            raise LeaseLostError("the batch belongs to another worker by now")
        for offset, outcome in outcomes:
            batch.note(offset, outcome)

    def bury(
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

    def bury_rest(self, batch: Batch, report: Report, account: AccountState) -> None:
        """The account is stopped: what is left of the batch waits among the dead letters, whole."""
        left = batch.open()
        if not left:
            return
        reason = account.reason or "account"
        details = {offset: _told(batch.detail(offset), account.said) for offset in left}
        whole = len(left) == len(batch.entries)
        positions, payload = (batch.claim.positions, None) if whole else batch.subset(left)
        burial = Burial(
            f"{batch.claim.ref}.{batch.claim.fence}.rest",
            Status.DEAD,
            reason,
            account.said.encode(),
            positions,
            payload,
            [(batch.position(offset), detail) for offset, detail in details.items()],
        )
        self._buried(burial, batch.claim, report)
        for offset, detail in details.items():
            batch.note(offset, Outcome(Status.DEAD, detail, reason=reason))
        report.counts.update(batch.words(left))
        report.failure, report.said = reason, account.said

    def bury_unread(self, claim: Claim, report: Report, why: str) -> None:
        """The payload cannot be read: its bytes are kept for whoever can."""
        said = Said(stage="payload", reply=why)
        payload = None if claim.payload else b"?"
        identifier = f"{claim.ref}.{claim.fence}.unread"
        burial = Burial(
            identifier, Status.DEAD, "undecodable", said.encode(), claim.positions, payload
        )
        self._buried(burial, claim, report)
        self._ledger.give_back(claim, time())
        report.failure, report.said = "undecodable", said

    def isolate(self, batch: Batch, report: Report) -> None:
        """The batch has outlived its workers too often: halve it until one message is left to blame."""
        claim, left = batch.claim, batch.open()
        if len(left) > 1:
            patience = max(self._poison_after - 1, 0)
            halves = list(batch.halves())
            report.queued += self._ledger.split(claim, halves, time(), deaths=patience)
            report.words = f"split after {claim.deaths} lost workers"
            return
        for offset in left:
            lost = Result(Fate.UNSENT, None, rule="local: its workers die")
            outcome = Outcome(Status.DEAD, batch.detail(offset), reason="poison")
            self.bury(batch, [(offset, outcome, lost)], report)
            report.failure = "poison"
        report.counts.update(batch.words(left))
        self._ledger.give_back(claim, time())

    def _buried(self, burial: Burial, claim: Claim, report: Report) -> None:
        if self._ledger.bury(claim, burial, time()) < 0:
            raise LeaseLostError("the batch belongs to another worker by now")
        report.buried.append(burial.identifier)


def _told(detail: Detail, said: Said) -> Detail:
    """What is remembered of one who could not be tried, for what was *said* of its account."""
    code = str(said.code or "")
    text = said.reply.removeprefix(code).strip()
    return replace(
        detail,
        stage=said.stage,
        code=said.code,
        enhanced="",
        text=text,
        action=said.action,
        rule=said.rule,
        at=time(),
        due=0.0,
    )


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
