"""What is known of one message, as a value."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened to a message, as `mailer trace` lists it.

    Of what came back, *stage* is the way by which it came; *reason* and *permanent* are of a bounce.
    """

    outcome: str
    at: float
    account: str = ""
    attempt: int = 0
    stage: str = ""
    reply: str = ""
    reason: str = ""
    permanent: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """One recipient of one campaign: the newest that is known, and how it came to that.

    *later* is what came back after it was accepted (``bounced``), "" where nothing did. *row* holds the
    columns of the recipient's row.
    """

    campaign: str
    position: int
    mailbox: str
    message_id: str
    outcome: str
    at: float
    account: str = ""
    attempts: int = 0
    stage: str = ""
    reply: str = ""
    later: str = ""
    row: Mapping[str, Any] | None = None
    steps: tuple[Step, ...] = ()


def columns_of(text: str) -> Mapping[str, Any] | None:
    """The columns of a row that was written down as JSON; None where there is none."""
    found = json.loads(text) if text else None
    return found if isinstance(found, dict) else None
