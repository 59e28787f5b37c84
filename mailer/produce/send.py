"""One message now, ahead of every campaign: from a template."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from functools import wraps
from time import time
from typing import Any, ParamSpec
from uuid import uuid4

from mailer.compose import Attachment, Design, attached
from mailer.config import Settings
from mailer.mail.recipients import Recipient
from mailer.produce.composers import Ready, composer, stamped
from mailer.produce.design import design, recipient
from mailer.produce.once import digest_of
from mailer.produce.single import OnUncertain, Way, kind_name, queue
from mailer.produce.spool import Row
from mailer.queues.connections import Producer, between_forks

_P = ParamSpec("_P")


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
    key: str | None = None,
    retry: Mapping[str, float] | None = None,
    on_uncertain: OnUncertain = "resend",
    settings: Settings | None = None,
) -> str:
    """Send one message now, ahead of every campaign; returns its Message-ID.

    *to* is an address or a row with ``email``. With *key*, a second call with it (after an error, or by a
    task that is delivered again) sends nothing more and returns the Message-ID of the first. Without,
    each call sends. Keys are known for seven days (``[send] remember_keys``). The messages of a template
    are counted together, in the campaign ``send.<template>``; *retry* and *on_uncertain* hold for this
    message alone.

    Raises `InputError` for an address that is none or that is on the suppression list, `TemplateError`
    where the template cannot be rendered, `CampaignChangedError` where *key* was used for other content,
    and `LedgerUnavailableError` where Redis cannot be reached. Once the message is in the ledger the call
    returns: if the broker is away, a worker's sweep publishes the task later.
    """
    producer = Producer(settings)
    made = _design(producer.settings, template, sender, account, attachments, reply_to, headers)
    one = _recipient(to, context or {})
    producer.knows(account)
    ready = composer(made, reload=producer.settings.send.reload_templates)
    way = Way(
        kind=template,
        account=account,
        summary={**ready.summary, "account": account},
        retry=retry or {},
        on_uncertain=on_uncertain,
        key=key,
        digest="" if key is None else _digest(made, one),
        context=one.fields,
    )
    message = stamped(ready.compose(one), _message_id(ready), time())
    return queue(producer, way, [message], [one.key])


def in_a_thread(call: Callable[_P, str]) -> Callable[_P, Coroutine[Any, Any, str]]:
    """*call* as a coroutine with the same arguments: it runs in a thread, and the event loop goes on."""

    @wraps(call)
    async def awaited(*given: _P.args, **named: _P.kwargs) -> str:
        return await asyncio.to_thread(call, *given, **named)

    return awaited


asend = in_a_thread(send)


def _design(  # noqa: PLR0913, PLR0917 - what `send` was given
    settings: Settings,
    template: str,
    sender: str | None,
    account: str,
    attachments: Sequence[Attachment],
    reply_to: str | None,
    headers: Mapping[str, str] | None,
) -> Design:
    return design(
        settings,
        kind_name(template),
        template,
        sender,
        account,
        attachments=attached(attachments),
        reply_to=reply_to,
        headers=dict(headers or {}),
        bulk=False,
    )


def _recipient(to: str | Row, context: Mapping[str, object]) -> Recipient:
    """The recipient; the row's own fields go before the variables of the call.

    These are no part of the design: with them in it, the template would be compiled for each message.
    """
    one = recipient({"email": to} if isinstance(to, str) else to)
    return replace(one, fields={**context, **one.fields}) if context else one


def _message_id(ready: Ready) -> str:
    return f"<{uuid4().hex}@{ready.composer.headers.domain}>"


def _digest(made: Design, one: Recipient) -> str:
    """A digest of what the message is made of; not of the template, which a release may change."""
    with between_forks:  # a file keeps its digest: one thread at a time works it out
        files = [(file.filename, file.digest) for file in made.attachments]
    return digest_of(made.template, made.sender, made.reply_to, made.headers, files, one.fields)
