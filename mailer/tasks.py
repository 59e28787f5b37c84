"""Celery's view of it: one task that delivers a batch, and one that says no.

A task message is only a doorbell: who may send what, and what was sent, is the ledger's to say. A task
that comes twice, late or for a batch that is final does nothing.

The tasks belong to whichever application includes this module: ours, or one that delivers mail among its
own tasks. Importing it reads no configuration, and changes nothing for who has no use for it.
"""

from contextlib import suppress
from typing import Any

from celery import shared_task
from celery.exceptions import SoftTimeLimitExceeded

from mailer.errors import AuthenticationFailedError, InputError, MailerError, SubmissionError
from mailer.mail.said import without_addresses
from mailer.queues.application import DEAD_QUEUE, DELIVER
from mailer.queues.dead_queue import DEAD
from mailer.queues.flower import REFUSAL, ShownTask
from mailer.worker.host import follow, worker_of

follow()


@shared_task(  # type: ignore[untyped-decorator]
    name=DELIVER,
    base=ShownTask,
    bind=True,
    acks_late=True,
    ignore_result=True,
    throws=(MailerError,),
)
def deliver(self: ShownTask, ref: str) -> str:
    """Deliver the batch *ref*; returns what became of its recipients, in words.

    Fails when the batch as a whole was dead-lettered: the exception says account, stage and reply. A
    batch that takes long may go on beside the next task (see `mailer.deliver.runs`); the log has its end.
    """
    with worker_of(self.app).at_work() as desk:
        try:
            report = desk.delivery.deliver(ref)
        except SoftTimeLimitExceeded:
            # It strikes in the middle of anything, but the batch has a thread of its own: what that has
            # transmitted is finished, and nothing becomes uncertain.
            report = desk.delivery.end_early(ref)
        with suppress(SoftTimeLimitExceeded):  # what is not published now, the sweep publishes
            desk.publish(report)
    if report.failure:
        failure = _failure(report.failure, report.account, report.said)
        self.tell("task-buried", f"dead letter: {report.failure}, {failure}; {report}")
        raise failure
    return report.told()


@shared_task(  # type: ignore[untyped-decorator]
    name=DEAD, base=ShownTask, bind=True, acks_late=True, ignore_result=True, throws=(InputError,)
)
def dead(self: ShownTask, identifier: str, **_said: object) -> None:
    """Refuse to handle a dead letter, put it back on its queue, and leave that queue alone."""
    worker_of(self.app).desk.dead_letters.show_again(identifier)
    self.app.control.cancel_consumer(DEAD_QUEUE, destination=[self.request.hostname])
    raise InputError(REFUSAL)


def _failure(reason: str, account: str, said: Any) -> MailerError:
    reply = without_addresses(said.reply)
    text = f"account {account}, {said.stage or 'before sending'}: {reply or reason}"
    if reason == "auth":
        return AuthenticationFailedError(text)
    return SubmissionError(text)
