# ruff: noqa: E501 - tables of words, and constructors in the order of the fields
"""What each provider's payload says, as events in one set of words."""

from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import Final

from mailer.feedback.webhooks import ses
from mailer.feedback.webhooks.event import Event, What, mailbox, rows, table, words

Payload = Mapping[str, object]

_SENDGRID: Final = {
    "processed": What.QUEUED, "deferred": What.DEFERRED, "delivered": What.DELIVERED, "bounce": What.BOUNCED,
    "blocked": What.BOUNCED, "dropped": What.REJECTED, "open": What.OPENED, "click": What.CLICKED,
    "spamreport": What.COMPLAINED, "unsubscribe": What.UNSUBSCRIBED, "group_unsubscribe": What.UNSUBSCRIBED,
    "group_resubscribe": What.SUBSCRIBED,
}  # fmt: skip
_MAILGUN: Final = {
    "accepted": What.QUEUED, "delivered": What.DELIVERED, "bounced": What.BOUNCED, "dropped": What.REJECTED,
    "rejected": What.REJECTED, "opened": What.OPENED, "clicked": What.CLICKED, "complained": What.COMPLAINED,
    "unsubscribed": What.UNSUBSCRIBED,
}  # fmt: skip
_POSTMARK: Final = {
    "Delivery": What.DELIVERED, "Open": What.OPENED, "Click": What.CLICKED, "SpamComplaint": What.COMPLAINED,
}  # fmt: skip
_POSTMARK_BOUNCES: Final = {
    "Transient": What.DEFERRED, "AutoResponder": What.AUTORESPONDED, "Subscribe": What.SUBSCRIBED,
    "Unsubscribe": What.UNSUBSCRIBED, "ChallengeVerification": What.AUTORESPONDED, "SpamComplaint": What.COMPLAINED,
    "DnsError": What.DEFERRED,
}  # fmt: skip
_BREVO: Final = {
    "request": What.QUEUED, "sent": What.QUEUED, "delivered": What.DELIVERED, "hard_bounce": What.BOUNCED,
    "soft_bounce": What.BOUNCED, "blocked": What.REJECTED, "spam": What.COMPLAINED, "complaint": What.COMPLAINED,
    "invalid_email": What.BOUNCED, "deferred": What.DEFERRED, "error": What.FAILED, "opened": What.OPENED,
    "unique_opened": What.OPENED, "proxy_open": What.OPENED, "unique_proxy_open": What.OPENED, "click": What.CLICKED,
    "unsubscribe": What.UNSUBSCRIBED, "unsubscribed": What.UNSUBSCRIBED, "list_addition": What.SUBSCRIBED,
}  # fmt: skip
_MAILJET: Final = {
    "sent": What.DELIVERED, "open": What.OPENED, "click": What.CLICKED, "bounce": What.BOUNCED,
    "blocked": What.REJECTED, "spam": What.COMPLAINED, "unsub": What.UNSUBSCRIBED,
}  # fmt: skip
_RESEND: Final = {
    "sent": What.SENT, "scheduled": What.QUEUED, "delivered": What.DELIVERED, "delivery_delayed": What.DEFERRED,
    "bounced": What.BOUNCED, "complained": What.COMPLAINED, "opened": What.OPENED, "clicked": What.CLICKED,
    "failed": What.FAILED, "suppressed": What.REJECTED,
}  # fmt: skip
_SPARKPOST: Final = {
    "injection": What.QUEUED, "delivery": What.DELIVERED, "delay": What.DEFERRED, "bounce": What.BOUNCED,
    "out_of_band": What.BOUNCED, "policy_rejection": What.REJECTED, "generation_rejection": What.REJECTED,
    "generation_failure": What.FAILED, "spam_complaint": What.COMPLAINED, "open": What.OPENED,
    "amp_open": What.OPENED, "click": What.CLICKED, "amp_click": What.CLICKED, "list_unsubscribe": What.UNSUBSCRIBED,
    "link_unsubscribe": What.UNSUBSCRIBED,
}  # fmt: skip
_SPARKPOST_AUTOMATIC: Final = frozenset({"60"})
_FURTHER: Final = {
    "sent": What.SENT, "send": What.SENT, "queued": What.QUEUED, "delivered": What.DELIVERED,
    "delivery": What.DELIVERED, "hard_bounced": What.BOUNCED, "hard_bounce": What.BOUNCED, "bounce": What.BOUNCED,
    "soft_bounced": What.DEFERRED, "soft_bounce": What.BOUNCED, "soft bounce": What.DEFERRED,
    "deferral": What.DEFERRED, "suspension": What.DEFERRED, "delayed": What.DEFERRED, "reject": What.REJECTED,
    "spam": What.COMPLAINED, "spam_complaint": What.COMPLAINED, "unsub": What.UNSUBSCRIBED,
    "unsubscribe": What.UNSUBSCRIBED, "unsubscribed": What.UNSUBSCRIBED, "subscribed": What.SUBSCRIBED,
    "open": What.OPENED, "opened": What.OPENED, "click": What.CLICKED, "clicked": What.CLICKED,
    "blocked": What.REJECTED, "deferred": What.DEFERRED, "bounced": What.BOUNCED,
    "rejected": What.REJECTED, "failed": What.FAILED, "complained": What.COMPLAINED,
    "autoresponded": What.AUTORESPONDED,
}  # fmt: skip
_POSTAL: Final = {
    "MessageSent": What.DELIVERED, "MessageDelayed": What.DEFERRED, "MessageDeliveryFailed": What.FAILED,
    "MessageHeld": What.QUEUED, "MessageBounced": What.BOUNCED, "MessageLinkClicked": What.CLICKED,
    "MessageLoaded": What.OPENED,
}  # fmt: skip


def _what(table_: Mapping[str, What], word: object) -> What:
    return table_.get(words(word).lower(), What.UNKNOWN)


def _number(value: object) -> float | None:
    """Seconds since the epoch; what is in milliseconds is brought down."""
    try:
        at = float(words(value))
    except ValueError:
        return None
    return at / 1000 if at > 1e11 else at


def sendgrid(one: Payload) -> Event:
    """An event of SendGrid's Event Webhook."""
    what = _what(_SENDGRID, one.get("event"))
    lasting = None if what is not What.BOUNCED else words(one.get("type")) != "blocked"
    said = words(one.get("reason")) or words(one.get("response"))
    return Event(
        "sendgrid", what, mailbox(one.get("email")), words(one.get("sg_event_id")) or None,
        _number(one.get("timestamp")), words(one.get("smtp-id")) or None, said, lasting,
    )  # fmt: skip


def mailgun(body: Payload) -> Event:
    """An event of Mailgun's webhooks, or of the older form without ``event-data``."""
    one = table(body.get("event-data")) or body
    status, message = (
        table(one.get("delivery-status")),
        table(table(one.get("message")).get("headers")),
    )
    what = _what(_MAILGUN, one.get("event"))
    if words(one.get("event")) == "failed":
        what = What.DEFERRED if one.get("severity") == "temporary" else What.BOUNCED
    said = (
        words(status.get("message")) or words(status.get("description")) or words(one.get("error"))
    )
    code = words(status.get("code"))
    identity = words(message.get("message-id")) or words(one.get("Message-Id"))
    return Event(
        "mailgun", what, mailbox(one.get("recipient")) or mailbox(message.get("to")), words(one.get("id")) or None,
        _number(one.get("timestamp")), f"<{identity.strip('<>')}>" if identity else None,
        said if said[:3].isdigit() or not code.isdigit() else f"{code} {said}",
        None if what is not What.BOUNCED else True,
    )  # fmt: skip


def postmark(one: Payload) -> Event:
    """An event of Postmark's webhooks."""
    kind = words(one.get("RecordType"))
    what = _POSTMARK.get(kind, What.UNKNOWN)
    if kind == "Bounce":
        what = _POSTMARK_BOUNCES.get(words(one.get("Type")), What.BOUNCED)
    if kind == "SubscriptionChange":
        reasons = {"HardBounce": What.BOUNCED, "SpamComplaint": What.COMPLAINED}
        gone = reasons.get(words(one.get("SuppressionReason")), What.UNSUBSCRIBED)
        what = gone if one.get("SuppressSending") is True else What.SUBSCRIBED
    identity = words(one.get("ID"))
    said = words(one.get("Details")).partition(";")
    return Event(
        "postmark", what, mailbox(one.get("Email") or one.get("Recipient")), f"{kind}:{identity}" if identity else None,
        None, words(one.get("MessageID")) or None, (said[2] or said[0]).strip(),
        None if what is not What.BOUNCED else words(one.get("Type")) in ("HardBounce", "BadEmailAddress"),
        {name.lower(): words(value) for name, value in table(one.get("Metadata")).items()},
    )  # fmt: skip


def brevo(one: Payload) -> Event:
    """An event of Brevo's transactional webhooks."""
    event = words(one.get("event"))
    what = _what(_BREVO, event)
    lasting = None if what is not What.BOUNCED else event in ("hard_bounce", "invalid_email")
    return Event(
        "brevo", what, mailbox(one.get("email")), None, _number(one.get("ts_epoch")),
        words(one.get("message-id")) or None, words(one.get("reason")), lasting,
    )  # fmt: skip


def mailjet(one: Payload) -> Event:
    """An event of Mailjet's Event API."""
    what = _what(_MAILJET, one.get("event"))
    said = words(one.get("smtp_reply")) or words(one.get("comment")) or words(one.get("error"))
    identity = words(one.get("mj_message_id")) or words(one.get("MessageID"))
    return Event(
        "mailjet", what, mailbox(one.get("email")), None, _number(one.get("time")), identity or None, said,
        one.get("hard_bounce") is True if what is What.BOUNCED else None,
    )  # fmt: skip


def resend(body: Payload) -> list[Event]:
    """An event of Resend's webhooks: one for each of its first recipients, as the message had one."""
    one = table(body.get("data"))
    what = _what(_RESEND, words(body.get("type")).removeprefix("email."))
    to = rows(one.get("to")) or [one.get("to")]
    said = words(table(one.get("bounce")).get("message"))
    lasting = (
        None if what is not What.BOUNCED else table(one.get("bounce")).get("type") != "Transient"
    )
    return [
        Event(
            "resend",
            what,
            mailbox(who),
            None,
            None,
            words(one.get("email_id")) or None,
            said,
            lasting,
        )
        for who in to
    ]


def sparkpost(body: Payload) -> Event:
    """An event of SparkPost's webhooks."""
    one = next((table(inner) for inner in table(body.get("msys")).values()), {})
    what = _what(_SPARKPOST, one.get("type"))
    bounce_class = words(one.get("bounce_class"))
    if what is What.BOUNCED and bounce_class in _SPARKPOST_AUTOMATIC:
        what = What.AUTORESPONDED
    return Event(
        "sparkpost", what, mailbox(one.get("raw_rcpt_to") or one.get("rcpt_to")), words(one.get("event_id")) or None,
        _number(one.get("timestamp")), words(one.get("transmission_id")) or None,
        words(one.get("raw_reason") or one.get("reason")),
        bounce_class in ("10", "30", "90") if what is What.BOUNCED else None,
    )  # fmt: skip


def generic(one: Payload) -> Event:
    """An event of one's own making; docs/feedback.md says which fields there are."""
    return Event(
        "generic", _what(_FURTHER, one.get("event")), mailbox(one.get("recipient")), words(one.get("id")) or None,
        _number(one.get("at")), words(one.get("message_id")) or None, words(one.get("response")),
        one.get("permanent") if isinstance(one.get("permanent"), bool) else None,  # type: ignore[arg-type]
    )  # fmt: skip


def mailersend(body: Payload) -> Event:
    """An event of MailerSend's webhooks."""
    one = table(body.get("data"))
    mail = table(one.get("email"))
    what = _what(_FURTHER, words(body.get("type")).removeprefix("activity."))
    return Event(
        "mailersend", what, mailbox(table(mail.get("recipient")).get("email")), words(one.get("id")) or None, None,
        words(table(mail.get("message")).get("id")) or None, words(table(one.get("morph")).get("reason")),
        True if what is What.BOUNCED else None,
    )  # fmt: skip


def mailtrap(one: Payload) -> Event:
    """An event of Mailtrap's webhooks."""
    what = _what(_FURTHER, one.get("event"))
    return Event(
        "mailtrap", what, mailbox(one.get("email")), words(one.get("event_id")) or None, _number(one.get("timestamp")),
        words(one.get("message_id")) or None, words(one.get("response")), True if what is What.BOUNCED else None,
    )  # fmt: skip


def mandrill(one: Payload) -> Event:
    """An event of Mandrill's webhooks."""
    message, event = table(one.get("msg")), words(one.get("event"))
    what = _what(_FURTHER, event)
    return Event(
        "mandrill", what, mailbox(message.get("email")), f"{event}:{words(one.get('_id'))}", _number(one.get("ts")),
        words(message.get("_id")) or None, words(message.get("diag")),
        event == "hard_bounce" if what is What.BOUNCED else None,
    )  # fmt: skip


def postal(body: Payload) -> Event:
    """An event of Postal's webhooks."""
    one = table(body.get("payload"))
    bounced = "bounce" in one
    message = table(one.get("original_message")) or table(one.get("message"))
    what = What.BOUNCED if bounced else _POSTAL.get(words(body.get("event")), What.UNKNOWN)
    return Event(
        "postal", what, mailbox(message.get("to")), words(body.get("uuid")) or None, _number(body.get("timestamp")),
        words(message.get("id")) or None, words(one.get("output")), True if bounced else None,
    )  # fmt: skip


def unisender_go(one: Payload) -> Event:
    """An event of UniSender Go's webhooks."""
    what = _what(_FURTHER, one.get("status"))
    return Event(
        "unisender_go",
        what,
        mailbox(one.get("email")),
        None,
        None,
        words(one.get("job_id")) or None,
    )


def _each(read: Callable[[Payload], Event], key: str = "") -> Callable[[object], list[Event]]:
    """Read a payload that is one event, an array of them, or an object with them under *key*."""

    def events(payload: object) -> list[Event]:
        inner = table(payload).get(key) if key else None
        found = rows(inner) or rows(payload) or [payload]
        return [read(table(one)) for one in found]

    return events


def _several(read: Callable[[Payload], Iterable[Event]]) -> Callable[[object], list[Event]]:
    def events(payload: object) -> list[Event]:
        return list(chain.from_iterable(read(table(one)) for one in rows(payload) or [payload]))

    return events


READERS: Final[Mapping[str, Callable[[object], list[Event]]]] = {
    "amazon_ses": _several(ses.events),
    "brevo": _each(brevo),
    "generic": _each(generic, "events"),
    "mailersend": _each(mailersend),
    "mailgun": _each(mailgun),
    "mailjet": _each(mailjet),
    "mailtrap": _each(mailtrap, "events"),
    "mandrill": _each(mandrill),
    "postal": _each(postal),
    "postmark": _each(postmark),
    "resend": _several(resend),
    "sendgrid": _each(sendgrid),
    "sparkpost": _each(sparkpost),
    "unisender_go": _each(unisender_go),
}
