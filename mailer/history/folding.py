"""Events as rows: what goes into which table (pure).

Of several events of one recipient in a chunk, ``messages`` gets the newest, with what only the older ones
knew: the row, the mailbox, the Message-ID.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

from mailer.mail.event import QUEUED, Event, weightier
from mailer.mail.recipients import fingerprint
from mailer.mail.status import Status

WORDS: Final = frozenset(status.word for status in Status)

EVENT_COLUMNS: Final = (
    "campaign_id", "position", "batch", "fence", "attempt", "outcome", "at",
    "account", "stage", "code", "reply", "ordered", "reason", "permanent",
)  # fmt: skip
MESSAGE_COLUMNS: Final = (
    "campaign_id", "position", "person", "mailbox", "message_id", "outcome", "at", "account",
    "attempts", "stage", "code", "reply", "later", "row", "ordered",
)  # fmt: skip

LONGEST_MESSAGE_ID: Final = 600
"""Characters of a Message-ID that are kept: PostgreSQL finds nothing of more than 2,700 octets."""

KEPT: Final = ("person", "mailbox", "message_id", "row")
"""Columns of a message that a later event does not empty."""


def person(mailbox: str) -> int:
    """The recipient as a number of 64 bits, signed; 0 where the mailbox is not known."""
    return int.from_bytes(fingerprint(mailbox), "big", signed=True) if mailbox else 0


def _person(event: Event) -> int:
    """The same of an event: what came back may name no mailbox, and knows whose it is."""
    return int.from_bytes(event.key, "big", signed=True) if event.key else person(event.mailbox)


def event_rows(events: Iterable[Event], campaign_id: Callable[[str], int]) -> list[tuple[Any, ...]]:
    """The rows of ``events``; that somebody was queued stands in ``messages`` alone."""
    return [
        (
            campaign_id(one.campaign),
            one.position,
            one.batch,
            one.fence,
            one.attempt,
            one.outcome,
            one.at,
            one.account,
            one.stage,
            one.code,
            _clean(one.reply),
            one.order,
            one.reason,
            int(one.permanent),
        )
        for one in events
        if not (one.outcome == QUEUED and one.row)
    ]


def message_rows(
    events: Iterable[Event], campaign_id: Callable[[str], int]
) -> list[tuple[Any, ...]]:
    """The rows of ``messages``: one for each recipient."""
    newest: dict[tuple[int, int], list[Any]] = {}
    for one in events:
        key = (campaign_id(one.campaign), one.position)
        before = newest.get(key)
        # What comes back later stands beside the outcome and does not replace it.
        later = "" if one.outcome in WORDS else one.outcome
        if before is not None and later:
            before[12], before[14] = weightier(before[12], later), one.order
            before[4] = before[4] or one.message_id[:LONGEST_MESSAGE_ID]
            continue
        row = [
            *key,
            _person(one),
            one.mailbox,
            one.message_id[:LONGEST_MESSAGE_ID],
            "" if later else one.outcome,
            one.at,
            one.account,
            one.attempt,
            one.stage,
            one.code,
            _clean(one.reply),
            later,
            _clean(one.row),
            one.order,
        ]
        if before is not None:
            for column in (2, 3, 4, 12, 13):
                row[column] = row[column] or before[column]
        newest[key] = row
    return [tuple(newest[key]) for key in sorted(newest)]


def _clean(text: str) -> str:
    """*text* as PostgreSQL can store it: it has no NUL."""
    return text.replace("\0", "") if "\0" in text else text
