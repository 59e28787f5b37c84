"""One message now, ahead of every campaign."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from time import time
from uuid import uuid4

from mailer.compose import Attachment, Composer
from mailer.config import Settings
from mailer.errors import CampaignChangedError, InputError
from mailer.mail.message import Message
from mailer.mail.payload import Entry, encode
from mailer.mail.policy import CampaignPolicy
from mailer.produce.campaign import OnUncertain
from mailer.produce.design import design, recipient, retry_overrides, summary
from mailer.produce.enqueue import Row
from mailer.queues.broker import Task
from mailer.queues.connections import Producer
from mailer.store.ledger import PRIORITY, Fresh


def send(  # noqa: PLR0913 - the contract's keywords
    template: str,
    *,
    to: str | Row,
    sender: str | None = None,
    account: str = "primary",
    context: Mapping[str, object] | None = None,
    attachments: Sequence[Attachment] = (),
    reply_to: str | None = None,
    headers: Mapping[str, str] | None = None,
    retry: Mapping[str, float] | None = None,
    on_uncertain: OnUncertain = "resend",
    settings: Settings | None = None,
) -> str:
    """Send one message now, ahead of every campaign; returns its Message-ID.

    *to* is an address or a row with ``email``. Each call sends: nothing is taken for a duplicate.
    The messages of a template are shown together, as the campaign ``send.<template>``. Raises
    `InputError` for an address that cannot be, or one on the suppression list.
    """
    producer = Producer(settings)
    one = recipient({"email": to} if isinstance(to, str) else to)
    name = "send." + re.sub(r"[^A-Za-z0-9._-]", "-", template)[:90]
    made_for = design(
        producer.settings,
        f"{name}.{uuid4().hex}",
        template,
        sender,
        account,
        context=dict(context or {}),
        attachments=tuple(attachments),
        reply_to=reply_to,
        headers=dict(headers or {}),
        bulk=False,
    )
    composer = Composer(made_for)
    made = composer.compose(one)
    message = replace(made, content=(made.joined(composer.shared),))
    fresh = Fresh(one.key, one.digest)
    if producer.ledger.reserve(name, 0, [fresh]) == "s":
        raise InputError(
            "the recipient is on the suppression list; `mailer suppress list` shows it"
        )
    producer.campaigns.open(
        name,
        digest="",
        summary=summary(made_for, account),
        policy=CampaignPolicy(resend=on_uncertain == "resend", retry=retry_overrides(retry or {})),
        accept_changes=True,
        now=time(),
    )
    producer.campaigns.close(name)
    _queue_single(producer, name, account, message, fresh)
    return message.message_id


def _queue_single(
    producer: Producer, name: str, account: str, message: Message, fresh: Fresh
) -> None:
    ref = producer.campaigns.next_batch(name)
    done = producer.ledger.enqueue(
        ref,
        run=0,
        queue=PRIORITY,
        account=account,
        payload=encode([Entry(message, fresh.fingerprint)]),
        recipients=[fresh],
        now=time(),
    )
    if done.state == "cancelled":
        raise CampaignChangedError(f"{name} was cancelled: its messages are not sent any more")
    producer.broker.publish([Task(PRIORITY, ref, 1, account)])
