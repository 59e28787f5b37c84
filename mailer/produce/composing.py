"""How a batch's messages are made, in the process that enqueues or in one beside it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from time import time
from typing import Protocol

from mailer.errors import InputError
from mailer.mail.event import encode_queued
from mailer.mail.message import Message
from mailer.mail.payload import Entry, encode
from mailer.mail.recipients import Recipient


class Maker(Protocol):
    """What makes the messages: a template's `Composer`, or one for messages that are given."""

    def compose(self, recipient: Recipient) -> Message:
        """Return the message to *recipient*."""

    def check(self, recipient: Recipient) -> None:
        """Raise what `compose` would raise."""


@dataclass(frozen=True, slots=True)
class Composed:
    """A batch's messages as payload, and the recipients in it.

    *faults* are the rows whose message could not be made, by number, each with the reason.
    """

    account: str
    recipients: tuple[Recipient, ...]
    payload: bytes
    faults: tuple[tuple[int, str], ...]
    message_ids: tuple[str, ...] = ()


def compose(
    composer: Maker, account: str, recipients: Sequence[Recipient], version: int
) -> Composed:
    """Make the messages of one batch, as a payload of *version* (see `mailer.mail.payload`)."""
    entries, made, faults = [], [], []
    for one in recipients:
        try:
            entries.append(Entry(composer.compose(one), one.key))
            made.append(one)
        except InputError as exc:
            faults.append((one.row, str(exc)))
    identifiers = tuple(entry.message.message_id for entry in entries)
    return Composed(account, tuple(made), encode(entries, version), tuple(faults), identifiers)


def told(ref: str, composed: Composed) -> bytes:
    """The entry of the events that says who was queued in batch *ref*, each with the row."""
    rows = [
        (one.mailbox, message_id, json.dumps(one.fields, ensure_ascii=False, default=str))
        for one, message_id in zip(composed.recipients, composed.message_ids, strict=True)
    ]
    return encode_queued(ref, composed.account, time(), rows)
