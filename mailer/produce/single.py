"""How one message gets into the ledger and to the workers, for all `send` functions."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from time import time
from typing import Any, Final, Literal

from mailer.errors import CampaignChangedError, InputError
from mailer.mail.barring.scopes import ALL
from mailer.mail.event import encode_queued
from mailer.mail.message import Message
from mailer.mail.payload import Entry, encode
from mailer.mail.policy import CampaignPolicy
from mailer.produce.design import retry_overrides
from mailer.produce.once import digest_of
from mailer.queues.broker import Task
from mailer.queues.connections import Producer
from mailer.queues.traces import traced
from mailer.store.ledger import PRIORITY
from mailer.store.singles import Single, Written

OnUncertain = Literal["hold", "resend"]

LONGEST_KEY: Final = 1000
_LONGEST_NAME: Final = 70


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How a single message is treated: all that is not the message.

    *kind* names the campaign that it is counted in (``send.welcome``). *digest* says what it was made of,
    to compare messages with the same *key*. *context* are the template's variables. *mail* says which
    entries of the suppression list hold for it (see `mailer.mail.barring.scopes`).
    """

    kind: str
    account: str
    summary: Mapping[str, Any]
    retry: Mapping[str, float]
    on_uncertain: OnUncertain
    key: str | None = None
    digest: str = ""
    context: Mapping[str, object] = field(default_factory=dict)
    mail: str = ALL

    def __post_init__(self) -> None:
        """Refuse values that cannot be used."""
        if self.on_uncertain not in ("hold", "resend"):
            raise InputError(f"on_uncertain is 'hold' or 'resend', not {self.on_uncertain!r}")
        if self.key is not None and not 0 < len(self.key) <= LONGEST_KEY:
            raise InputError(f"key must have 1 to {LONGEST_KEY} characters, it has {len(self.key)}")

    @property
    def policy(self) -> CampaignPolicy:
        """What workers must know of it."""
        retry = retry_overrides(self.retry) if self.retry else {}
        resend = self.on_uncertain == "resend"
        return CampaignPolicy(resend=resend, retry=retry, stamps=True, mail=self.mail)

    @property
    def campaign(self) -> str:
        """The campaign that it is counted in: one for each kind and policy.

        A campaign has one policy: with one campaign for all, a call would change the policy of others.
        """
        name = kind_name(self.kind)
        if self.on_uncertain == "hold":
            name += ".hold"
        if self.retry:
            name += "." + digest_of(self.retry)[:8]
        if self.mail != ALL:
            name += f".{self.mail}"
        return name


def kind_name(kind: str) -> str:
    """*kind* as the beginning of a campaign's name."""
    name = re.sub(r"[^A-Za-z0-9._-]", "-", kind)
    if len(name) > _LONGEST_NAME:
        name = f"{name[:_LONGEST_NAME]}-{blake2b(kind.encode(), digest_size=4).hexdigest()}"
    return f"send.{name}"


def queue(producer: Producer, way: Way, messages: Sequence[Message], keys: Sequence[bytes]) -> str:
    """Queue *messages*, copies of one to the recipients *keys*; returns the Message-ID.

    Once this has returned the ledger has them, and they are sent; where it raises they are not.
    Recipients on the suppression list are left out. Raises `InputError` when that leaves nobody, and
    `CampaignChangedError` when the key was used for another message.
    """
    written = _write(producer, way, messages, keys)
    if written.state == "suppressed":
        left = [i for i in range(len(keys)) if i not in written.suppressed]
        if not left:
            raise InputError(
                "the recipient is on the suppression list; `mailer suppress list` shows it"
            )
        return queue(producer, way, [messages[i] for i in left], [keys[i] for i in left])
    if written.state == "again":
        return written.message_id
    if written.state == "other":
        raise CampaignChangedError(
            f"key {way.key!r} was used for another message ({written.message_id}); "
            "use another key for other content"
        )
    links = producer.links
    links.noted(written.ref, [way.context] * len(messages), {})
    links.ring(Task(PRIORITY, written.ref, len(messages), way.account))
    return messages[0].message_id


def _write(
    producer: Producer, way: Way, messages: Sequence[Message], keys: Sequence[bytes]
) -> Written:
    entries = [Entry(message, key) for message, key in zip(messages, keys, strict=True)]
    single = Single(
        campaign=way.campaign,
        account=way.account,
        queue=PRIORITY,
        summary=way.summary,
        policy=way.policy.encode(),
        payload=encode(entries),
        fingerprints=keys,
        message_id=messages[0].message_id,
        key=way.key,
        digest=way.digest,
        remember=producer.settings.send.remember_keys,
        told=_told(way, messages) if producer.settings.tells_rows else b"",
        mail=way.mail,
    )
    attributes = {"mailer.campaign": way.campaign, "mailer.message_id": single.message_id}
    with traced(producer.settings.traces, "mailer.send", attributes) as trace:
        return producer.links.singles.write(replace(single, trace=trace), time())


def _told(way: Way, messages: Sequence[Message]) -> bytes:
    """The entry of the events that says who was queued; the script puts the batch's number in."""
    rows = []
    for message in messages:
        row = way.context or {"email": message.forward_path}
        text = json.dumps(row, ensure_ascii=False, default=str)
        rows.append((message.forward_path, message.message_id, text))
    return encode_queued(f"{way.campaign}:0", way.account, time(), rows)
