"""One thing that a provider says happened to one recipient."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from mailer.feedback.addresses import mailboxes
from mailer.feedback.judging import MAX_DIAGNOSTIC, judged, status_of
from mailer.feedback.report import Kind, Report, Trace


class What(StrEnum):
    """What happened, in one set of words for all providers."""

    QUEUED = "queued"
    SENT = "sent"
    DELIVERED = "delivered"
    DEFERRED = "deferred"
    BOUNCED = "bounced"
    REJECTED = "rejected"
    """The provider did not try: an address on its own list, a content that it does not take."""
    FAILED = "failed"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"
    SUBSCRIBED = "subscribed"
    OPENED = "opened"
    CLICKED = "clicked"
    AUTORESPONDED = "autoresponded"
    UNKNOWN = "unknown"


_KINDS: Final = {
    What.DELIVERED: Kind.DELIVERED,
    What.DEFERRED: Kind.DELAYED,
    What.BOUNCED: Kind.BOUNCE,
    What.REJECTED: Kind.BOUNCE,
    What.FAILED: Kind.BOUNCE,
    What.COMPLAINED: Kind.COMPLAINT,
    What.UNSUBSCRIBED: Kind.UNSUBSCRIBE,
    What.AUTORESPONDED: Kind.AUTO_REPLY,
    What.UNKNOWN: Kind.UNKNOWN,
}


@dataclass(frozen=True, slots=True)
class Event:
    """What *provider* says of *recipient*.

    *id* is the provider's, the same when the event is sent again; *at* are seconds since the epoch.
    *response* is what the recipient's server said. *lasting* is the provider's word on whether a
    bounce is for good, None where it has none. *metadata* is what our message gave the provider to
    give back.
    """

    provider: str
    what: What
    recipient: str | None = None
    id: str | None = None
    at: float | None = None
    message_id: str | None = None
    response: str = field(default="", repr=False)
    lasting: bool | None = None
    metadata: Mapping[str, str] = field(default_factory=dict, repr=False)

    def report(self) -> Report:
        """The event as the report that a message about it would have given."""
        kind = _KINDS.get(self.what, Kind.REPORT)
        trace = Trace(message_id=self.message_id)
        said = self.response[:MAX_DIAGNOSTIC]
        if kind not in (Kind.BOUNCE, Kind.DELAYED):
            return Report(kind, self.recipient, status_of(said), diagnostic=said, trace=trace)
        seen = judged(said)
        sure = self.what is What.BOUNCED and self.lasting is not False and seen.sure
        permanent = sure if kind is Kind.BOUNCE else None
        return Report(
            kind, self.recipient, seen.status, seen.code, seen.reason, permanent, said, trace
        )


def mailbox(value: object) -> str | None:
    """The mailbox in a field that may hold ``Name <address>``; None without one."""
    return next(iter(mailboxes(value)), None) if isinstance(value, str) else None


def words(value: object) -> str:
    """A field that should be text; empty for what is none."""
    if isinstance(value, bool) or value is None:
        return ""
    return str(value)[:2000] if isinstance(value, (str, int, float)) else ""


def table(value: object) -> Mapping[str, object]:
    """A field that should be an object; empty for what is none."""
    return value if isinstance(value, dict) else {}


def rows(value: object) -> list[object]:
    """A field that should be an array, cut at a thousand; empty for what is none."""
    return value[:1000] if isinstance(value, list) else []
