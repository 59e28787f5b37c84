"""Notifications that a provider sends by mail: SES by way of an SNS topic with an e-mail subscriber."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from mailer.feedback.addresses import mailboxes
from mailer.feedback.parts import Headers, Part
from mailer.feedback.report import Report, Trace
from mailer.feedback.webhooks import ses
from mailer.feedback.webhooks.event import table

_LENIENT: Final = json.JSONDecoder(strict=False)
"""Takes a line break within a string: mail servers wrap long lines."""
_FROM: Final = "@sns.amazonaws.com"


def read_notification(headers: Headers, parts: Sequence[Part], trace: Trace) -> tuple[Report, ...]:
    """What the JSON in a mail of SNS says; empty for any other mail."""
    sender = next(iter(mailboxes(headers.get("from"))), "")
    if not sender.lower().endswith(_FROM) or not parts:
        return ()
    notification = table(_first_value(parts[0].text))
    if isinstance(inner := notification.get("Message"), str):
        notification = table(_first_value(inner))
    if "mail" not in notification:
        return ()
    reports = [event.report() for event in ses.events(notification)]
    return tuple(
        replace(one, trace=replace(trace, message_id=one.trace.message_id)) for one in reports
    )


def _first_value(text: str) -> object:
    """The JSON value at the front of *text*; SNS writes a footer behind it. None when it is none."""
    try:
        return _LENIENT.raw_decode(text.lstrip())[0]
    except (ValueError, RecursionError):
        return None
