"""Which mailboxes get no more mail after a refusal in the session, by the policy for bounces.

A server that answers RCPT with "no such user" says the same as the bounce of one that accepts first.
"""

from collections.abc import Sequence
from time import time

from mailer.deliver.batch import Batch
from mailer.deliver.outcome import Outcome
from mailer.mail.barring.dropping import Dropping, Policy, dropping
from mailer.mail.said import Said, without_addresses
from mailer.mail.status import Status
from mailer.smtp.replies.reasons import diagnose
from mailer.smtp.reply import Stage
from mailer.store.feedback.records import Brake, Feedback, Note, Returned

_NO_BRAKE = Brake(None, None)
_PERMANENT = frozenset({"mailbox_unknown", "mailbox_moved", "domain_unknown"})


def dropped(said: Said, policy: Policy) -> tuple[str, Dropping] | None:
    """Why and from when a mailbox gets no more mail after a server *said* that; None if it still does."""
    if said.stage != Stage.RCPT.value or said.enhanced.startswith("5.7."):
        return None  # 5.7.x is policy about who sends, whatever the text says
    found = diagnose(said.text, code=said.code, enhanced=said.enhanced or None, stage=Stage.RCPT)
    reason = found.reason.value
    rule = dropping("bounce", reason, permanent=reason in _PERMANENT, policy=policy)
    return (reason, rule) if rule else None


class Dropper:
    """Puts mailboxes on the suppression list that servers refuse for good."""

    def __init__(self, feedback: Feedback, policy: Policy) -> None:
        self._feedback = feedback
        self._policy = policy

    def refused(self, batch: Batch, settled: Sequence[tuple[int, Outcome]]) -> None:
        """Apply the policy to those of *settled* that were refused in answer to RCPT."""
        if not self._policy:
            return
        for offset, outcome in settled:
            said = outcome.detail.said
            if outcome.status is not Status.REJECTED or not (found := dropped(said, self._policy)):
                continue
            reason, rule = found
            entry = batch.entries[offset]
            told = Returned(
                kind="refused",
                recipient=entry.message.forward_path,
                at=time(),
                reason=reason,
                said=without_addresses(said.reply)[:200],
                source="session",
            )
            self._feedback.note(Note("", entry.fingerprint, told, rule, _NO_BRAKE))
