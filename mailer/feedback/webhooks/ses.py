"""Amazon SES: notifications and events, by SNS or by mail."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from mailer.feedback.webhooks.event import Event, What, mailbox, rows, table, words

_WHAT: Final = {
    "bounce": What.BOUNCED,
    "complaint": What.COMPLAINED,
    "delivery": What.DELIVERED,
    "send": What.SENT,
    "reject": What.REJECTED,
    "open": What.OPENED,
    "click": What.CLICKED,
    "rendering failure": What.FAILED,
    "deliverydelay": What.DEFERRED,
    "subscription": What.UNSUBSCRIBED,
}
_RECIPIENTS: Final = (
    "bouncedRecipients",
    "complainedRecipients",
    "delayedRecipients",
    "recipients",
)


def events(notification: Mapping[str, object]) -> list[Event]:
    """What a notification of SES says, an event for each recipient that it is about."""
    kind = words(notification.get("notificationType") or notification.get("eventType")).lower()
    what = _WHAT.get(kind, What.UNKNOWN)
    mail = table(notification.get("mail"))
    detail = table(notification.get(_detail_key(kind)))
    listed = next((rows(detail[key]) for key in _RECIPIENTS if key in detail), [])
    found = listed or rows(mail.get("destination"))
    response = words(detail.get("smtpResponse")) or words(
        table(notification.get("reject")).get("reason")
    )
    lasting = None if what is not What.BOUNCED else detail.get("bounceType") == "Permanent"
    identity = words(detail.get("feedbackId"))
    return [
        Event(
            "amazon_ses",
            what,
            mailbox(one if isinstance(one, str) else table(one).get("emailAddress")),
            f"{identity}:{number}" if identity else None,
            _seconds(words(detail.get("timestamp") or mail.get("timestamp"))),
            words(mail.get("messageId")) or None,
            _response(table(one)) or response,
            lasting,
            _headers(mail),
        )
        for number, one in enumerate(found or [None])
    ]


def _detail_key(kind: str) -> str:
    return {"rendering failure": "failure", "deliverydelay": "deliveryDelay"}.get(kind, kind)


def _response(recipient: Mapping[str, object]) -> str:
    code = words(recipient.get("diagnosticCode"))
    return code.partition(";")[2].strip() or code or words(recipient.get("status"))


def _headers(mail: Mapping[str, object]) -> dict[str, str]:
    """What leads back to our message: SES replaces Message-ID, and gives the old one back here."""
    return {
        words(table(header).get("name")).lower(): words(table(header).get("value"))
        for header in rows(mail.get("headers"))
    }


def _seconds(value: str) -> float | None:
    try:
        return datetime.fromisoformat(value).timestamp()
    except ValueError:
        return None
