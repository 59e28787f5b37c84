"""Complaints: ARF (RFC 5965), and what feedback loops send that is none."""

import re
from collections.abc import Sequence
from typing import Final

from mailer.feedback.addresses import mailboxes
from mailer.feedback.dsn import MAX_RECIPIENTS
from mailer.feedback.notices import Notice
from mailer.feedback.parts import Headers, Part
from mailer.feedback.report import Kind, Report, Trace

_ACTS: Final = {
    "abuse": Kind.COMPLAINT,
    "fraud": Kind.COMPLAINT,
    "virus": Kind.COMPLAINT,
    "other": Kind.COMPLAINT,
    "miscategorized": Kind.COMPLAINT,
    "complaint": Kind.COMPLAINT,
    "opt-out": Kind.UNSUBSCRIBE,
    "opt-out-list": Kind.UNSUBSCRIBE,
    "not-spam": Kind.REPORT,
    "auth-failure": Kind.REPORT,
    "dmarc": Kind.REPORT,
}
_RECIPIENTS: Final = (
    "original-rcpt-to",
    "removal-recipient",
    "original-recipient",
    "final-recipient",
)
_RETURNED: Final = (
    "x-hmxmroriginalrecipient",
    "x-original-to",
    "x-rcpt-to",
    "delivered-to",
    "x-apparently-to",
    "to",
)
_LOOP_SUBJECT: Final = re.compile(
    r"^\s{0,3}(?:complaint about message from|email feedback report|abuse report|fw: complaint)",
    re.IGNORECASE,
)


def read_feedback(
    parts: Sequence[Part], notice: Notice, headers: Headers, trace: Trace
) -> tuple[Report, ...]:
    """The complaint in a message, or nothing."""
    part = next((part for part in parts if part.kind == "message/feedback-report"), None)
    if part is not None:
        return _reports(Headers(part.text), notice, trace)
    if _is_loop(parts, notice, headers):
        return _reports(Headers("Feedback-Type: abuse"), notice, trace)
    return ()


def _reports(fields: Headers, notice: Notice, trace: Trace) -> tuple[Report, ...]:
    kind = _ACTS.get(fields.get("feedback-type").lower().partition(";")[0].strip(), Kind.REPORT)
    named = [one for name in _RECIPIENTS for value in fields.all(name) for one in mailboxes(value)]
    if not named:
        named = next(
            (found[:1] for name in _RETURNED if (found := mailboxes(notice.original.words(name)))),
            [],
        )
    several = list(dict.fromkeys(named))[:MAX_RECIPIENTS]
    return tuple(Report(kind, one, trace=trace) for one in several) or (Report(kind, trace=trace),)


def _is_loop(parts: Sequence[Part], notice: Notice, headers: Headers) -> bool:
    """Microsoft's JMRP of old, and others: a returned message with little beside it."""
    if "x-hmxmroriginalrecipient" in notice.original:
        return True
    returned = any(part.kind == "message/rfc822" for part in parts)
    return returned and bool(_LOOP_SUBJECT.match(headers.words("subject")))
