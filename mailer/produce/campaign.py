"""What goes to whom: a campaign, as a producer sees it.

Rows become recipients, recipients messages, messages batches, batches tasks (`mailer.produce.enqueue`).
Nothing of SMTP is imported here, and no password is needed.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from email.message import EmailMessage, Message
from functools import cached_property
from math import inf
from pathlib import Path
from time import time
from typing import Any, Final

from mailer.compose import Attachment, Composer, Unsubscribe, attached, composer_of
from mailer.config import Settings
from mailer.errors import InputError
from mailer.mail.barring.scopes import mail_of
from mailer.mail.policy import CampaignPolicy
from mailer.mail.recipients import Recipient
from mailer.mail.routing import Routes
from mailer.mail.stored import pack
from mailer.operate.campaigns import cancel, failures, pause, resume, schedule, status
from mailer.operate.outcomes import Record, outcomes
from mailer.operate.recipients import Recipients, accepted, failed
from mailer.produce.design import (
    aware,
    checked_window,
    coming,
    design,
    retry_overrides,
    summary,
)
from mailer.produce.design import recipient as one_recipient
from mailer.produce.enqueue import Enqueuer, Plan, Progress
from mailer.produce.messages import GivenComposer, rows_of
from mailer.produce.receipt import Receipt
from mailer.produce.single import OnUncertain
from mailer.produce.spool import Row
from mailer.queues.connections import Producer
from mailer.queues.traces import traced
from mailer.store.campaigns import Failure
from mailer.store.course.progress import Progress as Status

__all__ = [
    "Campaign",
    "Failure",
    "OnUncertain",
    "Status",
]

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class Campaign:
    """One mailing: what is sent, from whom, with what limits; and how far it is.

    *name* is its id: enqueueing again under the same name resumes and never doubles. It has letters,
    digits, ``.``, ``_`` and ``-``, 100 at most. *account* names a login that workers have, or several
    with their weights; *pins* maps recipient domains to one of them. What a stopped or exhausted account
    was to send goes to the others. *context* holds variables for all recipients; a recipient's own fields
    go before it. *start_at* is an aware datetime before which nothing is sent. *batch_size* and
    *max_backlog* are numbers of recipients.

    *retry* replaces single values of the configuration's (see `mailer.mail.policy.Retry`). *on_uncertain*
    says what happens when a message was transmitted and the reply was lost: ``hold`` it for a human, or
    ``resend`` it. *window* are the hours in which it may send, such as ``"Mon-Fri 08:00-18:00
    Europe/Berlin"``. Campaigns share workers and accounts by *weight*: one of 2 sends twice as much as
    one of 1. `mailer.compose.Design` explains the others; where one is None, the configuration's holds.

    Raises `InputError` for a value that cannot be used, `ConfigError` where the configuration lacks one.
    """

    def __init__(  # noqa: PLR0913 - the contract's keywords
        self,
        name: str,
        *,
        template: str | None = None,
        sender: str | None = None,
        account: str | Mapping[str, float] = "primary",
        pins: Mapping[str, str] | None = None,
        context: Mapping[str, object] | None = None,
        attachments: Sequence[Attachment] = (),
        inline_images: Sequence[Attachment] = (),
        reply_to: str | None = None,
        headers: Mapping[str, str] | None = None,
        start_at: datetime | None = None,
        batch_size: int | None = None,
        max_backlog: int | None = None,
        retry: Mapping[str, float] | None = None,
        on_uncertain: OnUncertain = "hold",
        window: str | None = None,
        weight: float = 1.0,
        list_id: str | None = None,
        unsubscribe: Unsubscribe | None = None,
        feedback_id: str | None = None,
        return_path: str | None = None,
        verp: bool | None = None,
        secret: str | None = None,
        language: str | None = None,
        language_field: str | None = None,
        attachment_field: str | None = None,
        attachments_path: Path | None = None,
        bulk: bool | None = None,
        trusted: bool | None = None,
        date: datetime | None = None,
        settings: Settings | None = None,
    ) -> None:
        if not _NAME.fullmatch(name):
            raise InputError(
                f"campaign name {name!r}: use letters, digits, '.', '_' and '-', 100 at most, "
                "a letter or digit first"
            )
        if on_uncertain not in ("hold", "resend"):
            raise InputError(f"on_uncertain is 'hold' or 'resend', not {on_uncertain!r}")
        if start_at is not None:
            aware(start_at)
        if not 0 < weight < inf:
            raise InputError(f"weight must be a number above 0, got {weight!r}")
        self.name = name
        self._producer = Producer(settings)
        self._routes = (
            Routes.single(account) if isinstance(account, str) else Routes(account, pins or {})
        )
        for one in self._routes.weights:
            self._producer.knows(one)
        self._account = ", ".join(self._routes.weights)
        self.start_at = start_at
        self._batch_size = batch_size or self._producer.settings.batch_size
        self._max_backlog = max_backlog or self._producer.settings.max_backlog
        self._policy = CampaignPolicy(
            resend=on_uncertain == "resend",
            retry=retry_overrides(retry or {}),
            window=checked_window(window),
            weight=weight,
            routes=None if len(self._routes.weights) == 1 else self._routes,
            stamps=date is None,
        )
        self._design = template and design(
            self._producer.settings,
            name,
            template,
            sender,
            next(iter(self._routes.weights)),
            context=dict(context or {}),
            attachments=attached(attachments),
            inline_images=tuple(inline_images),
            reply_to=reply_to,
            headers=dict(headers or {}),
            list_id=list_id,
            unsubscribe=unsubscribe,
            feedback_id=feedback_id,
            return_path=return_path,
            verp=verp,
            secret=secret,
            language=language,
            language_field=language_field,
            attachment_field=attachment_field,
            attachments_path=attachments_path,
            bulk=bulk,
            trusted=trusted,
            date=date or coming(start_at),
        )

    @cached_property
    def composer(self) -> Composer:
        """What makes the messages; loading it checks the template."""
        if not self._design:
            raise InputError(f"campaign {self.name!r} has no template: pass template")
        return composer_of(self._design)

    def enqueue(  # noqa: PLR0913 - the contract's keywords
        self,
        recipients: Iterable[Row],
        *,
        check: bool = True,
        skip_faulty: bool = False,
        accept_changes: bool = False,
        processes: int = 1,
        progress: Progress | None = None,
        checked: Progress | None = None,
        skip: Recipients | None = None,
        only: Recipients | None = None,
    ) -> Receipt:
        """Queue a message for each of *recipients*: mappings with ``email``, streamed.

        Recipients in *skip*, such as another campaign's `accepted` (of two: ``a.accepted | b.accepted``),
        and those not in *only*, such as its `failed`, are left out and named in the receipt.

        With *check*, every message is made before the first is queued, and rows that are faulty
        raise `InvalidRowsError`; an iterator is spooled to disk meanwhile. With *skip_faulty* such rows
        are left out and named in the receipt. Called again with the same rows, it goes on where it was;
        rows or a template that changed raise `CampaignChangedError` unless *accept_changes*.
        *processes* make messages side by side. *progress* is called with numbers of rows, as they are
        queued; *checked* with the same as they are checked before.
        """
        plan = self._plan(
            check=check,
            skip_faulty=skip_faulty,
            accept_changes=accept_changes,
            processes=processes,
            progress=progress,
            checked=checked,
            tells=self._producer.settings.tells_rows,
            skip=skip,
            only=only,
        )
        return self._run(recipients, plan, self.composer)

    def enqueue_messages(
        self,
        messages: "Iterable[Message[Any, Any]]",
        *,
        bulk: bool = True,
        accept_changes: bool = False,
        progress: Progress | None = None,
    ) -> Receipt:
        """Queue messages that are made already, each to everybody in its To, Cc and Bcc; streamed.

        A recipient gets one message of a campaign: a second one is a duplicate in the receipt. A message
        that cannot be sent is invalid there, with the reason. Called again with the same messages, it
        goes on where it was. *bulk* adds Precedence and X-Auto-Response-Suppress where they are missing.
        """
        mail = mail_of(None, bulk=bulk)
        plan = self._plan(check=False, accept_changes=accept_changes, progress=progress, mail=mail)
        return self._run(rows_of(messages, bulk=bulk), plan, GivenComposer())

    def _plan(self, **how: Any) -> Plan:
        if self._design:
            how["mail"] = mail_of(self._design.list_id, bulk=self._design.bulk)
        return Plan(
            campaign=self.name,
            design=self._design or None,
            route=self._route(),
            batch_size=self._batch_size,
            due=self.start_at.timestamp() if self.start_at else 0.0,
            max_backlog=self._max_backlog,
            **how,
        )

    def _run(self, rows: Iterable[Row], plan: Plan, maker: Composer | GivenComposer) -> Receipt:
        links = self._producer.links
        links.broker.check()
        traces = self._producer.settings.traces
        with traced(traces, "mailer.enqueue", {"mailer.campaign": self.name}) as trace:
            enqueuer = Enqueuer(
                replace(plan, trace=trace),
                maker,
                campaigns=links.campaigns,
                ledger=links.ledger,
                turns=links.dispatch,
                ring=links.ring,
                noted=links.noted,
                payload_version=links.payload_version,
            )
            receipt = enqueuer.run(rows, lambda: self._open(maker, plan))
        links.campaigns.close(self.name)
        return receipt

    @property
    def accounts(self) -> tuple[str, ...]:
        """The names of the accounts that send."""
        return tuple(self._routes.weights)

    def message(self, recipient: Row) -> EmailMessage:
        """The message that this recipient would get, exactly."""
        return self.composer.email(one_recipient(recipient))

    def status(self) -> Status:
        """Counts by outcome, rate, time left. Raises `CampaignNotFoundError` before `enqueue`."""
        return status(self._producer.settings, self.name)

    def failures(self) -> Iterator[Failure]:
        """Everyone who was not accepted, and why."""
        return failures(self._producer.settings, self.name)

    @property
    def settings(self) -> Settings:
        """The configuration that it works with."""
        return self._producer.settings

    @property
    def accepted(self) -> Recipients:
        """Everyone who got it, or may have got it: for another campaign's ``enqueue(…, skip=…)``."""
        return accepted(self._producer.settings, self.name)

    @property
    def failed(self) -> Recipients:
        """Everyone who certainly did not get it: for another campaign's ``enqueue(…, only=…)``."""
        return failed(self._producer.settings, self.name)

    def outcomes(self) -> Iterator[Record]:
        """Every recipient and what became of it, in the order of the list; see docs/history.md."""
        return outcomes(self._producer.settings, self.name)

    def pause(self) -> None:
        """Pause it: a second after this returns, no worker starts another message."""
        pause(self._producer.settings, self.name)

    def resume(self) -> None:
        """Go on after `pause`."""
        resume(self._producer.settings, self.name)

    def schedule(self, start_at: datetime) -> None:
        """Change its start to *start_at*, an aware datetime."""
        schedule(self._producer.settings, self.name, aware(start_at).timestamp())

    def cancel(self) -> int:
        """Send nothing more, for good; returns how many recipients were cancelled at once."""
        return cancel(self._producer.settings, self.name) or 0

    def __repr__(self) -> str:
        template = self._design.template if self._design else None
        return f"<Campaign {self.name} template={template} account={self._account}>"

    def _route(self) -> Callable[[Recipient], str]:
        breaker, now = self._producer.links.breaker, time()
        accounts = self._routes.weights
        unusable = [name for name in accounts if not breaker.state(name, now).usable]

        def route(recipient: Recipient) -> str:
            domain = recipient.mailbox.rpartition("@")[2]
            return self._routes.route(recipient.key, domain, unusable)

        return route

    def rehearsal(self, **how: Any) -> tuple[Plan, Callable[[], int]]:
        """The plan of `enqueue`, and a call that raises what it would raise; nothing is written."""
        plan = self._plan(**how)
        return plan, lambda: self._open(self.composer, plan, look=True)

    def _open(self, maker: Composer | GivenComposer, plan: Plan, *, look: bool = False) -> int:
        opened = self._producer.campaigns.open(
            self.name,
            digest=maker.digest,
            summary=summary(self._design or None, self._account),
            policy=replace(self._policy, mail=plan.mail),
            accept_changes=plan.accept_changes,
            now=time(),
            start=self.start_at.timestamp() if self.start_at else 0.0,
            look=look,
        )
        for digest, part in () if look else maker.shared.items():
            self._producer.campaigns.share(self.name, digest, pack(part))
        return opened.run
