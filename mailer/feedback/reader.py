"""From the octets of a message that came back to reports: what it is, and of whom it speaks.

The order matters: fields that a server wrote come first, then known words of failure with an
address beside them, then the signs of an automatic answer. What is left is a person's mail.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from mailer.feedback.addresses import mailboxes
from mailer.feedback.arf import read_feedback
from mailer.feedback.autoreply import is_auto_reply
from mailer.feedback.dsn import delivery_status, read_fields
from mailer.feedback.mailed_json import read_notification
from mailer.feedback.notices import Notice, notice_of
from mailer.feedback.parts import Headers, Part, parts_of
from mailer.feedback.report import Kind, Report, Trace
from mailer.feedback.text import is_notice, read_text

_ENVELOPE = (
    "delivered-to",
    "x-original-to",
    "x-envelope-to",
    "envelope-to",
    "x-delivered-to",
    "to",
)
# What `mailer.compose.unsubscribe` writes; shorter ones, of return paths, are not meant.
_LEAVING = re.compile(r"(?:[^\s]{1,30}\s+){0,3}[A-Za-z0-9_-]{40,600}(?:\.[A-Za-z0-9_-]{43})?")
_LONGEST_SUBJECT = 900
_RECEIPT = frozenset(
    {"message/disposition-notification", "message/global-disposition-notification"}
)
_AGGREGATE = (
    "application/gzip",
    "application/zip",
    "application/tlsrpt",
    "application/x-gzip",
    "application/xml",
    "text/xml",
    "application/x-zip",
)


def read(octets: bytes, envelope: Sequence[str] = ()) -> tuple[Report, ...]:
    """Say what a message that came back means: a report for each recipient, at least one.

    *envelope* are the addresses that it was delivered to (RCPT), where the intake knows them.
    Never raises, whatever the octets; a message that is not understood is `Kind.UNKNOWN`.
    """
    try:
        return _read(octets, tuple(envelope))
    except Exception:  # noqa: BLE001 - the promise: foreign octets stop no intake; the fuzz test calls _read
        return (Report(Kind.UNKNOWN, trace=Trace(tuple(envelope))),)


def _read(octets: bytes, envelope: tuple[str, ...]) -> tuple[Report, ...]:
    headers, parts = parts_of(octets)
    notice = notice_of(parts)
    trace = _trace(headers, notice, envelope)
    if any(part.kind in _RECEIPT for part in parts) or _is_aggregate(headers, parts):
        return (Report(Kind.REPORT, trace=trace),)
    return (
        read_notification(headers, parts, trace)
        or read_feedback(parts, notice, headers, trace)
        or _failures(parts, notice, headers, trace)
        or _leaver(headers, trace)
        or (
            Report(
                Kind.AUTO_REPLY if is_auto_reply(headers, notice) else Kind.UNKNOWN, trace=trace
            ),
        )
    )


def _failures(
    parts: Sequence[Part], notice: Notice, headers: Headers, trace: Trace
) -> tuple[Report, ...]:
    """What a server says about delivery, in fields or in words."""
    named = is_notice(headers)
    status = delivery_status(parts)
    is_report = any("delivery-status" in part.kind for part in parts)
    if (
        status is not None
        and (named or is_report)
        and (found := read_fields(status, notice, headers, trace))
    ):
        return found
    return read_text(notice, headers, trace) if named or is_report else ()


def _leaver(headers: Headers, trace: Trace) -> tuple[Report, ...]:
    """A mail to the mailto: of List-Unsubscribe: its subject is a token of ours, and little beside."""
    subject = headers.words("subject")[:_LONGEST_SUBJECT].strip()
    if not _LEAVING.fullmatch(subject):
        return ()
    return (Report(Kind.UNSUBSCRIBE, trace=replace(trace, unsubscribe=subject)),)


def _is_aggregate(headers: Headers, parts: Sequence[Part]) -> bool:
    """DMARC and TLS reports: an archive, and a subject that says whose domain."""
    archive = any(part.kind.startswith(_AGGREGATE) for part in parts)
    subject = headers.words("subject").lower()
    return archive and (
        "report domain" in subject or "report-id" in subject or "tls-report-domain" in headers
    )


def _trace(headers: Headers, notice: Notice, envelope: tuple[str, ...]) -> Trace:
    original = notice.original
    found = [one for name in _ENVELOPE for value in headers.all(name) for one in mailboxes(value)]
    return Trace(
        tuple(dict.fromkeys([*envelope, *found]))[:20],
        None,
        _message_id(original.get("message-id") or headers.get("in-reply-to")),
        next(iter(mailboxes(original.get("return-path"))), None),
        original.get("list-unsubscribe")[:1000] or None,
    )


def _message_id(value: str) -> str | None:
    start, end = value.find("<"), value.find(">")
    return value[start : end + 1][:500] if 0 <= start < end else (value[:500] or None)
