"""Messages that their callers made: an `EmailMessage`, or a subject and a text."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from email.message import EmailMessage, Message
from typing import Any

from mailer.compose import Attachment, attached
from mailer.compose.given import Given, given
from mailer.config import Settings
from mailer.errors import ConfigError, HeaderError, InputError
from mailer.mail.barring.scopes import mail_of
from mailer.mail.message import Message as Mail
from mailer.mail.recipients import BrokenRow, Recipient
from mailer.produce.once import digest_of_message
from mailer.produce.send import in_a_thread
from mailer.produce.single import OnUncertain, Way, queue
from mailer.produce.spool import Row
from mailer.queues.connections import Producer

KIND = "message"
"""Such messages are counted in the campaign ``send.message``."""


def send_message(  # noqa: PLR0913 - smtplib's keywords, and those of `send`
    message: "Message[Any, Any]",
    from_addr: str | None = None,
    to_addrs: str | Iterable[str] | None = None,
    *,
    account: str = "primary",
    bulk: bool = False,
    kind: str = KIND,
    key: str | None = None,
    retry: Mapping[str, float] | None = None,
    on_uncertain: OnUncertain = "resend",
    settings: Settings | None = None,
) -> str:
    """Send a message of one's own now, ahead of every campaign; returns its Message-ID.

    The envelope is taken from its headers as `smtplib.SMTP.send_message` takes it, unless *from_addr* or
    *to_addrs* is given. Each recipient gets a mail transaction and an outcome of its own; those on the
    suppression list are left out. A Date and a Message-ID are added where they are missing, headers of
    bulk mail only with *bulk*. The message is counted in the campaign ``send.<kind>``. The rest is as for
    `send`.

    Raises `InputError` for a message that cannot be sent as it is.
    """
    producer = Producer(settings)
    producer.knows(account)
    ready = given(message, from_addr, to_addrs, bulk=bulk)
    way = Way(
        kind=kind,
        account=account,
        summary={"template": "", "sender": str(message.get("From", "")), "account": account},
        retry=retry or {},
        on_uncertain=on_uncertain,
        key=key,
        digest="" if key is None else _digest(message, ready),
        mail=mail_of(str(message.get("List-ID", "")), bulk=bulk),
    )
    mails = [_mail(ready, one) for one in ready.recipients]
    return queue(producer, way, mails, [one.key for one in ready.recipients])


def send_mail(  # noqa: PLR0913 - what a message has
    subject: str,
    text: str,
    html: str | None = None,
    *,
    to: str | Sequence[str],
    sender: str | None = None,
    cc: str | Sequence[str] = (),
    bcc: str | Sequence[str] = (),
    reply_to: str | None = None,
    headers: Mapping[str, str] | None = None,
    attachments: Sequence[Attachment] = (),
    account: str = "primary",
    key: str | None = None,
    retry: Mapping[str, float] | None = None,
    on_uncertain: OnUncertain = "resend",
    settings: Settings | None = None,
) -> str:
    """Send a message without a template: *subject*, *text*, and perhaps *html*; returns its Message-ID.

    Where *sender* is None, the account's is used, or the configuration's. The rest is as for
    `send_message`. Raises `ConfigError` where none of them names a sender.
    """
    configured = Producer(settings).settings
    known = configured.accounts.get(account)
    who = sender or (known.sender if known else None) or configured.sender
    if not who:
        raise ConfigError('no sender: pass sender, or set it in mailer.toml (sender = "…")')
    fields = {"From": who, "To": _listed(to), "Cc": _listed(cc), "Bcc": _listed(bcc)}
    fields |= {"Reply-To": reply_to or "", "Subject": subject, "Auto-Submitted": "auto-generated"}
    return send_message(
        _made(fields | dict(headers or {}), text, html, attachments),
        account=account,
        key=key,
        retry=retry,
        on_uncertain=on_uncertain,
        settings=settings,
    )


asend_message = in_a_thread(send_message)
asend_mail = in_a_thread(send_mail)


@dataclass(frozen=True, slots=True)
class Ready:
    """A message as a field of a row. Its digest is its text, so that a changed row is noticed."""

    mail: Mail
    digest: str

    def __str__(self) -> str:
        return self.digest


class GivenComposer:
    """What composes where messages are given instead of a template: each row has its own."""

    digest = "messages"
    shared: Mapping[str, bytes] = {}

    def compose(self, recipient: Recipient) -> Mail:
        """The message that the row holds."""
        ready = recipient.fields["message"]
        assert isinstance(ready, Ready)
        return replace(ready.mail, forward_path=recipient.mailbox)

    def check(self, recipient: Recipient) -> None:
        """Do nothing: the message was checked when its row was made."""


def rows_of(messages: "Iterable[Message[Any, Any]]", *, bulk: bool) -> Iterator[Row]:
    """A row for each recipient of each message; one that cannot be sent is a broken row."""
    for message in messages:
        try:
            ready = given(message, bulk=bulk)
        except InputError as error:
            yield BrokenRow(str(error))
            continue
        digest = _digest(message, ready)
        for one in ready.recipients:
            yield {"email": one.email, "message": Ready(_mail(ready, one), digest)}


def _mail(ready: Given, one: Recipient) -> Mail:
    return Mail(ready.reverse_path, one.mailbox, (ready.content,), ready.message_id, ready.smtputf8)


def _digest(message: "Message[Any, Any]", ready: Given) -> str:
    people = sorted(one.key.hex() for one in ready.recipients)
    return digest_of_message(message, ready.reverse_path, people)


def _listed(addresses: str | Sequence[str]) -> str:
    return addresses if isinstance(addresses, str) else ", ".join(addresses)


def _made(
    fields: Mapping[str, str], text: str, html: str | None, attachments: Sequence[Attachment]
) -> EmailMessage:
    message = EmailMessage()
    try:
        for name, value in fields.items():
            if value:
                message[name] = value
    except (HeaderError, ValueError) as error:
        raise InputError(f"the message cannot be made: {error}") from error
    message.set_content(text)
    if html is not None:
        message.add_alternative(html, subtype="html")
    for file in attached(attachments):
        major, _, minor = file.content_type.partition("/")
        message.add_attachment(file.content, major, minor, filename=file.filename)
    return message
