"""Who got it, when, and what the server said: of one person, over all campaigns; of one campaign, of all.

The history knows it, where there is one. Without, the ledger says what it knows: in which campaigns a
person is, with which outcome, what came back, and of those not accepted the last reply.
"""

from collections.abc import Iterator, Sequence
from functools import reduce
from time import time

from mailer.config import Settings
from mailer.errors import InputError
from mailer.mail.event import CAME_BACK, weightier
from mailer.mail.recipients import fingerprint
from mailer.mail.record import Record, Step
from mailer.mail.status import Status
from mailer.operate.history import opened
from mailer.queues.connections import Producer
from mailer.store.feedback.records import Feedback, Returned

__all__ = ["Record", "export", "trace"]


def trace(
    what: str, settings: Settings | None = None, *, newest: int | None = None
) -> list[Record]:
    """Every message to the mailbox *what*, or the one of that Message-ID; the newest first.

    Without a history, *newest* says in how many campaigns is looked at most.
    Raises `InputError` for a Message-ID where there is no history: the ledger keeps none.
    """
    settings = Producer(settings).settings
    if settings.history.url is not None:
        history = opened(settings)
        try:
            return history.trace(what)
        finally:
            history.close()
    if what.startswith("<"):
        raise InputError("a Message-ID is found in a history only: add [history] (docs/history.md)")
    return list(_in_ledger(settings, what, newest))


def export(settings: Settings, name: str, outcomes: Sequence[str] = ()) -> Iterator[Record]:
    """Every recipient of a campaign, in the order of the list, streamed out of the history.

    Raises `ConfigError` where there is none, `CampaignNotFoundError` where nobody knows the campaign.
    """
    history = opened(settings)
    try:
        if not history.counts(name):
            Producer(settings).campaigns.progress(name, time())
        yield from history.export(name, outcomes)
    finally:
        history.close()


def _in_ledger(settings: Settings, mailbox: str, newest: int | None) -> Iterator[Record]:
    producer, key = Producer(settings), fingerprint(mailbox)
    campaigns, feedback = producer.campaigns, Feedback(producer.client)
    for name in campaigns.names()[:newest]:
        back = feedback.returned_of(name, key)
        later = reduce(weightier, (CAME_BACK[one.kind] for one in back), "")
        for position in campaigns.places(name, key):
            (letter,) = campaigns.letters(name, [position])
            detail = campaigns.detail(name, position)
            yield Record(
                name,
                position,
                mailbox,
                "",
                Status(letter).word,
                detail.at if detail else 0.0,
                attempts=detail.attempts if detail else 0,
                stage=detail.stage if detail else "",
                reply=detail.reply if detail else "",
                later=later,
                steps=tuple(_step(one) for one in back),
            )


def _step(one: Returned) -> Step:
    return Step(
        CAME_BACK[one.kind],
        one.at,
        stage=one.source,
        reply=one.reply,
        reason=one.reason,
        permanent=one.permanent,
    )
