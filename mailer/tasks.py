"""Celery's view of it: one task that delivers a batch.

A task message is only a doorbell: who may send what, and what was sent, is the ledger's to say. A task
that comes twice, late or for a batch that is final does nothing.
"""

from typing import Any

from mailer.broker import DELIVER
from mailer.celery import app
from mailer.errors import AuthenticationFailedError, MailerError, SubmissionError
from mailer.outcome import without_addresses
from mailer.sweep import publish
from mailer.worker import Worker

worker: Worker = app.mailer


@app.task(name=DELIVER, acks_late=True, ignore_result=True)  # type: ignore[untyped-decorator]
def deliver(ref: str) -> str:
    """Deliver the batch *ref*; returns what became of its recipients, in words.

    Fails when the batch as a whole was dead-lettered: the exception says account, stage and reply.
    """
    with worker.at_work() as delivery:
        report = delivery.deliver(ref)
        priority_or_bulk = [(report.queue, queued) for queued in report.queued]
        publish(worker.broker, delivery.ledger, priority_or_bulk)
    if report.failure:
        raise _failure(report.failure, report.account, report.said)
    return str(report)


def _failure(reason: str, account: str, said: Any) -> MailerError:
    reply = without_addresses(said.reply)
    text = f"account {account}, {said.stage or 'before sending'}: {reply or reason}"
    if reason == "auth":
        return AuthenticationFailedError(text)
    return SubmissionError(text)
