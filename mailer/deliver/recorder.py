"""How the outcomes of a claimed batch are written down: settled, buried, split.

Every method is one script of the ledger and then what this process remembers of it; where the script
finds the lease lost, `LeaseLostError` ends the work on the batch.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from time import time
from typing import Final

from mailer.deliver.barring.dropper import Dropper
from mailer.deliver.batch import Batch
from mailer.deliver.heard import nameless
from mailer.deliver.outcome import Outcome
from mailer.errors import LeaseLostError
from mailer.mail.said import Said, without_addresses
from mailer.mail.status import OPEN, Detail, Status
from mailer.smtp import Action, Fate, Result, Stage
from mailer.store.breaker import AccountState
from mailer.store.ledger import Burial, Claim, Ledger, Verdict

_TOP: Final = 3
"""Replies that a task's result names, the most frequent."""

_LONGEST_TEXT: Final = 120
_REPLIED: Final = frozenset({Status.REJECTED, Status.DEFERRED, Status.UNCERTAIN})
"""Of whom a task's result says why. Why a whole batch is dead, its failure says."""

_NO_PAYLOAD: Final = b"?"
"""What stands for a payload that is gone."""


@dataclass(slots=True)
class Report:
    """What one delivery did, for the task that asked for it.

    *counts* are recipients by status word. *queued* are refs whose task is to be published; *buried*
    the ids of new dead letters. *failure* is set when the batch as a whole met a trouble of its
    account, with what the server *said*. *replies* are those to whom was not accepted, by stage, code
    and enhanced code; *texts* the first text of each. *answered* are the messages that a server has
    decided, counted as it does.
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
    replies: Counter[tuple[str, int, str]] = field(default_factory=Counter)
    texts: dict[tuple[str, int, str], str] = field(default_factory=dict)
    answered: int = 0

    def __str__(self) -> str:
        counts = ", ".join(f"{number} {word}" for word, number in sorted(self.counts.items()))
        return "; ".join(part for part in (counts, self.words) if part)

    def told(self) -> str:
        """The same with the most frequent replies: ``98 accepted, 2 rejected; RCPT: 550 no user (2)``."""
        said = [
            f"{Said(*kind, self.texts[kind]).told} ({number})"
            for kind, number in self.replies.most_common(_TOP)
        ]
        return "; ".join(part for part in (str(self), *said) if part)


class Recorder:
    """Writes into the ledger what became of one batch, and into its *report* for the task."""

    def __init__(self, ledger: Ledger, batch: Batch, report: Report, lease: float) -> None:
        self._ledger = ledger
        self._batch = batch
        self._report = report
        self._lease = lease

    def settle(self, offsets: Sequence[int], status: Status) -> None:
        """Move the recipients at *offsets* to *status*, with what is known of them, and count them."""
        if not offsets:
            return
        now, batch = time(), self._batch
        outcomes = [(offset, Outcome(status, batch.detail(offset))) for offset in offsets]
        settlements = [batch.settlement(offset, outcome) for offset, outcome in outcomes]
        ends = now + self._lease
        told = batch.told(outcomes, now)
        if self._ledger.commit(batch.claim, settlements, (), now, ends, told) is Verdict.LOST:
            raise LeaseLostError("the batch belongs to another worker by now")
        for offset, outcome in outcomes:
            batch.note(offset, outcome)
        self.count(offsets)

    def heard(self, dropper: Dropper, settled: Sequence[tuple[int, Outcome]]) -> None:
        """Hear what was decided just now; *dropper* sees to who is written to no more."""
        self._report.answered += len(settled)
        dropper.refused(self._batch, settled)

    def count(self, offsets: Sequence[int]) -> None:
        """Report what became of the recipients at *offsets*."""
        self._report.counts.update(self._batch.words(offsets))
        for offset in offsets:
            if self._batch.statuses[offset] in _REPLIED:
                self._note_reply(offset)

    def _note_reply(self, offset: int) -> None:
        """Count what was said of a recipient, for those who see tasks: no address stands in it."""
        said, report = self._batch.detail(offset).said, self._report
        kind = (said.stage, said.code, said.enhanced)
        report.replies[kind] += 1
        if kind not in report.texts:
            message = self._batch.entries[offset].message
            shown = nameless(said, message.forward_path, message.reverse_path)
            report.texts[kind] = without_addresses(shown.text)[:_LONGEST_TEXT]

    def bury(self, condemned: Sequence[tuple[int, Outcome, Result]]) -> None:
        """One dead letter for each reason and reply among *condemned*."""
        groups: dict[tuple[str, str, bool], list[tuple[int, Outcome, Result]]] = {}
        for one in condemned:
            key = (one[1].reason, one[1].detail.reply, one[1].unsure)
            groups.setdefault(key, []).append(one)
        for (reason, _, unsure), group in groups.items():
            _, outcome, result = group[0]
            batch, offsets = self._batch, [offset for offset, _, _ in group]
            sender = batch.entries[offsets[0]].message.reverse_path
            said = _said(outcome, result, sender)
            positions, payload = batch.subset(offsets)
            burial = Burial(
                f"{batch.claim.ref}.{batch.claim.fence}.{positions[0]}",
                outcome.status,
                reason,
                said.encode(),
                positions,
                payload,
                [(batch.position(offset), one.detail) for offset, one, _ in group],
                batch.told([(offset, one) for offset, one, _ in group], time()),
                unsure=unsure,
            )
            _buried(self._ledger, burial, batch.claim, self._report)
            for offset, fate, _ in group:
                batch.note(offset, fate)
            if reason in ("auth", "account"):
                self._report.failure, self._report.said = reason, said

    def bury_rest(self, account: AccountState) -> None:
        """Make one dead letter of what is left of the batch: its account is stopped."""
        batch = self._batch
        left = batch.open()
        if not left:
            return
        reason = account.reason or "account"
        details = {offset: batch.detail(offset).hearing(account.said, time()) for offset in left}
        # A batch of which all is left keeps its payload as it is: nothing is packed anew.
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
            batch.told(
                [(offset, Outcome(Status.DEAD, one)) for offset, one in details.items()], time()
            ),
        )
        _buried(self._ledger, burial, batch.claim, self._report)
        for offset, detail in details.items():
            batch.note(offset, Outcome(Status.DEAD, detail, reason=reason))
        self.count(left)
        self._report.failure, self._report.said = reason, account.said

    def isolate(self, poison_after: int) -> None:
        """Halve a batch that has lost too many workers, until a single message remains as the cause."""
        batch, report = self._batch, self._report
        claim, left = batch.claim, batch.open()
        if len(left) > 1:
            # Each half may cost one more worker, and not *poison_after* workers again.
            deaths = max(poison_after - 1, 0)
            report.queued += self._ledger.split(claim, list(batch.halves()), time(), deaths=deaths)
            report.words = f"split after {claim.deaths} lost workers"
            return
        for offset in left:
            lost = Result(Fate.UNSENT, None, rule="local: its workers die")
            outcome = Outcome(Status.DEAD, batch.detail(offset), reason="poison")
            self.bury([(offset, outcome, lost)])
            report.failure = "poison"
        self.count(left)
        self._ledger.give_back(claim, time())


def bury_unread(ledger: Ledger, claim: Claim, report: Report, reason: str, why: str) -> None:
    """Bury a batch whose payload cannot be read here; its bytes are kept for whoever can.

    Those whom an earlier lease had begun to transmit may have been mailed: they are uncertain, in a
    letter of their own.
    """
    left = OPEN & set(claim.letters)
    if Status.TRANSMITTING in left:
        _buried(ledger, _doubtful(claim, why, is_all=len(left) == 1), claim, report)
    said = Said(stage="payload", text=why)
    if left != {Status.TRANSMITTING}:
        identifier = f"{claim.ref}.{claim.fence}.unread"
        payload = None if claim.payload else _NO_PAYLOAD
        burial = Burial(identifier, Status.DEAD, reason, said.encode(), claim.positions, payload)
        _buried(ledger, burial, claim, report)
    ledger.give_back(claim, time())
    report.failure, report.said = reason, said


def _doubtful(claim: Claim, why: str, *, is_all: bool) -> Burial:
    """Who was being transmitted; with a copy of the payload, unless nobody else is left to want it."""
    said = Said(stage=Stage.FINAL.value, text=why, rule="local: the worker was lost")
    details = [
        (position, claim.details.get(position, Detail("")).hearing(said, time()))
        for position, letter in zip(claim.positions, claim.letters, strict=True)
        if letter == Status.TRANSMITTING
    ]
    return Burial(
        f"{claim.ref}.{claim.fence}.doubt",
        Status.UNCERTAIN,
        "uncertain",
        said.encode(),
        claim.positions,
        None if is_all and claim.payload else claim.payload or _NO_PAYLOAD,
        details,
        letters=Status.TRANSMITTING.value,
    )


def _buried(ledger: Ledger, burial: Burial, claim: Claim, report: Report) -> None:
    if ledger.bury(claim, burial, time()) < 0:
        raise LeaseLostError("the batch belongs to another worker by now")
    report.buried.append(burial.identifier)


def _said(outcome: Outcome, result: Result, reverse_path: str) -> Said:
    """What a dead letter shows of the first of its recipients."""
    said = replace(outcome.detail.said, rule=result.rule, dialogue=result.dialogue)
    # Dead letters are shown in Flower and told to hooks, where no address belongs.
    said = nameless(said, outcome.detail.mailbox, reverse_path)
    if outcome.reason == "exhausted" and not said.action:
        said = replace(said, action=Action.RETRY_LATER.value)
    return said
