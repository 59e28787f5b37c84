"""Delivery status notifications: fields per recipient (RFC 3464, 6533) and what servers make of them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from mailer.feedback.addresses import mailboxes, recipient_field, unxtext
from mailer.feedback.judging import MAX_DIAGNOSTIC, judged
from mailer.feedback.notices import Notice, words
from mailer.feedback.parts import Headers, Part
from mailer.feedback.report import Kind, Report, Trace

MAX_RECIPIENTS: Final = 100
MAX_LINES: Final = 5000

_KINDS: Final = frozenset({"message/delivery-status", "message/global-delivery-status"})
_FIELD: Final = re.compile(r"([A-Za-z][A-Za-z-]{2,40})[ \t]{0,5}:[ \t]*(.*)")
_PER_RECIPIENT: Final = frozenset(
    {"final-recipient", "original-recipient", "action", "status", "diagnostic-code"}
)
_RECIPIENT: Final = ("original-recipient", "final-recipient", "x-actual-recipient")
_STATUS: Final = re.compile(r"[^\d]{0,5}([245]\.\d{1,3}\.\d{1,3})")
_DELIVERED: Final = frozenset({"delivered", "relayed", "expanded", "deliverable"})


@dataclass(slots=True)
class _Group:
    """The fields of one recipient, or of the message."""

    fields: dict[str, str] = field(default_factory=dict)

    @property
    def has_recipient(self) -> bool:
        return any(name in self.fields for name in _RECIPIENT)


def delivery_status(parts: Sequence[Part]) -> str | None:
    """The text of the part that holds the fields, whatever it is called; None without one."""
    for part in parts:
        if part.kind in _KINDS:
            return part.text
    for part in parts:
        if part.kind.startswith("text/") and "final-recipient" in part.text.lower():
            return part.text
    return None


def read_fields(text: str, notice: Notice, headers: Headers, trace: Trace) -> tuple[Report, ...]:
    """A report for each recipient that the fields in *text* name."""
    groups = list(_groups(text))
    envelope_id = next(
        (
            group.fields["original-envelope-id"]
            for group in groups
            if "original-envelope-id" in group.fields
        ),
        None,
    )
    if envelope_id:
        trace = _with_envelope_id(trace, envelope_id)
    found = [group for group in groups if group.has_recipient and len(group.fields) > 1][
        :MAX_RECIPIENTS
    ]
    several = len(found) > 1
    return tuple(
        report
        for group in found
        if (report := _report(group.fields, notice, headers, trace, several=several)) is not None
    )


def _with_envelope_id(trace: Trace, envelope_id: str) -> Trace:
    return Trace(
        trace.envelope,
        unxtext(envelope_id)[:200],
        trace.message_id,
        trace.return_path,
        trace.unsubscribe,
    )


def _groups(text: str) -> Iterator[_Group]:
    """Fields in groups. A blank line ends one; so does a field that the group already has."""
    group = _Group()
    for name, value in _fields(text):
        begins = not name or (name in _PER_RECIPIENT and name in group.fields)
        if begins and (group.has_recipient or not name):
            complete = group.has_recipient and (
                "action" in group.fields or "status" in group.fields
            )
            if complete or (not name and not group.has_recipient) or (name in _RECIPIENT):
                yield group
                group = _Group()
        if name:
            group.fields.setdefault(name, value)
    yield group


def _fields(text: str) -> Iterator[tuple[str, str]]:
    """Each field unfolded, its name in lower case; a blank line as an empty name."""
    name, value = "", ""
    for line in text.replace("\r", "").split("\n", MAX_LINES)[:MAX_LINES]:
        if line[:1] in (" ", "\t") and name and line.strip():
            if len(value) < MAX_DIAGNOSTIC * 4:
                value = f"{value} {line.strip()[:MAX_DIAGNOSTIC]}"
            continue
        match = _FIELD.match(line[:2000])
        if (
            match is None
            and line.strip()
            and name == "diagnostic-code"
            and len(value) < MAX_DIAGNOSTIC * 4
        ):
            value = f"{value} {line.strip()[:MAX_DIAGNOSTIC]}"  # folded without the white space
            continue
        if name:
            yield name, value
        name, value = (match[1].lower(), match[2].strip()) if match else ("", "")
        if not line.strip():
            yield "", ""
    if name:
        yield name, value


def _report(
    fields: Mapping[str, str], notice: Notice, headers: Headers, trace: Trace, *, several: bool
) -> Report | None:
    recipient = _recipient(fields, notice, headers, several=several)
    diagnostic = fields.get("diagnostic-code", "").partition(";")[2].strip() or fields.get(
        "diagnostic-code", ""
    )
    around = _about(recipient, notice.text, several=several)
    seen = judged(diagnostic, around, _status(fields.get("status", "")))
    kind = _kind(fields, seen.status, notice, headers)
    if kind is None:
        return None
    failed = kind in (Kind.BOUNCE, Kind.DELAYED)
    return Report(
        kind, recipient, seen.status, seen.code if failed else None, seen.reason if failed else None,
        seen.sure if kind is Kind.BOUNCE else None, diagnostic[:MAX_DIAGNOSTIC], trace,
    )  # fmt: skip


def _status(value: str) -> str | None:
    found = _STATUS.match(value)
    return found[1] if found else None


def _recipient(
    fields: Mapping[str, str], notice: Notice, headers: Headers, *, several: bool
) -> str | None:
    """Whom we wrote to: the original address where it is given, for the final one may be foreign."""
    for name in _RECIPIENT:
        if name in fields and (address := recipient_field(fields[name])):
            return address
    if several:
        return None
    failed = mailboxes(headers.get("x-failed-recipients")) or mailboxes(notice.original.get("to"))
    return failed[0] if failed else None


def _about(recipient: str | None, text: str, *, several: bool) -> str:
    """The part of the notice that speaks of *recipient*."""
    if not several:
        return text[:2000]
    at = text.lower().find((recipient or "\0").lower())
    return text[at : at + 400] if at >= 0 else ""


def _kind(
    fields: Mapping[str, str], status: str | None, notice: Notice, headers: Headers
) -> Kind | None:
    action = re.split(r"[\s;(]", fields.get("action", "").lower().strip(), maxsplit=1)[0]
    if action in _DELIVERED:
        return Kind.DELIVERED
    if action == "delayed":
        return Kind.DELAYED
    if action in ("failed", "failure", "error"):
        return Kind.BOUNCE
    first = (status or "")[:1]
    if first == "2":
        return Kind.DELIVERED
    if first == "4" and ("will-retry-until" in fields or is_delay(notice, headers)):
        return Kind.DELAYED
    return Kind.BOUNCE if first in ("4", "5") or fields.get("diagnostic-code") else None


def is_delay(notice: Notice, headers: Headers) -> bool:
    """Whether the notice says that somebody still tries."""
    text = f"{headers.words('subject')}\n{notice.text[:4000]}"
    return bool(words("delay", "text").search(text)) and not words("delay", "unless").search(text)
