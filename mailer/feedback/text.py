"""Notices without fields: a failure in words, and an address beside it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from mailer.feedback.addresses import MAILBOX, clean, mailboxes
from mailer.feedback.dsn import MAX_RECIPIENTS, is_delay
from mailer.feedback.judging import MAX_DIAGNOSTIC, judged
from mailer.feedback.notices import Notice, formats, words
from mailer.feedback.parts import Headers
from mailer.feedback.report import Kind, Report, Trace

MAX_LINES: Final = 400
_AROUND: Final = " \t<>\"'*[]()-•·|="
_FREE: Final = (":", ".", ",", ";", "(", "-", "…", "on ", "—")
_SERVANTS: Final = re.compile(
    r"^(?:mailer-daemon|post-?master|abuse|support|noreply|no-reply|info-noreply)@", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class _Named:
    """A recipient, and the lines that speak of it."""

    mailbox: str
    said: str


def is_notice(headers: Headers) -> bool:
    """Whether a server seems to have sent it: by who it says it is, or by its subject."""
    sender = headers.words("from")
    subject = headers.words("subject")
    local = clean((mailboxes(sender) or [sender])[0]).partition("@")[0]
    nobody = not local or "<>" in sender
    daemon = nobody or bool(words("sender", "local").search(local))
    if not daemon and _is_conversation(headers, subject):
        return False
    name = sender.partition("<")[0]
    return (
        daemon
        or bool(words("sender", "name").search(name))
        or bool(words("subject", "notice").search(subject))
    )


def _is_conversation(headers: Headers, subject: str) -> bool:
    """A reply, a mailing list, a vacation: whatever it quotes, no server wrote it."""
    if "list-id" in headers or words("subject", "reply").search(subject):
        return True
    return bool(words("autoreply", "subject").search(subject))


def read_text(notice: Notice, headers: Headers, trace: Trace) -> tuple[Report, ...]:
    """A report for each recipient that the notice names, if it speaks of a failure at all."""
    subject = headers.words("subject")
    if words("autoreply", "subject").search(subject):  # of a postmaster who is away
        return ()
    if not words("failure", "text").search(f"{subject}\n{notice.text}") and not is_delay(
        notice, headers
    ):
        return ()
    named = _named(notice, headers)
    kind = Kind.DELAYED if is_delay(notice, headers) else Kind.BOUNCE
    around = (
        f"{notice.text[:4000]}\n{subject}" if len(named) == 1 else _before_all(named, notice.text)
    )
    return tuple(_report(one, kind, around, trace) for one in named)


def _before_all(named: Sequence[_Named], text: str) -> str:
    """What the notice says of all its recipients: the lines above the first."""
    lower = text.lower()
    places = [at for one in named if (at := lower.find(one.mailbox.lower())) >= 0]
    return text[: min(places, default=0)]


def _report(one: _Named, kind: Kind, around: str, trace: Trace) -> Report:
    seen = judged(one.said, around)
    permanent = seen.sure if kind is Kind.BOUNCE else None
    said = one.said.strip()[:MAX_DIAGNOSTIC]
    return Report(kind, one.mailbox, seen.status, seen.code, seen.reason, permanent, said, trace)


def _named(notice: Notice, headers: Headers) -> list[_Named]:
    lines = notice.lines[:MAX_LINES]
    own = _own(notice, headers)
    strong, weak = _addresses(lines, own)
    returned_one = bool(notice.original.get("from") or notice.original.get("received"))
    to_ourselves = _addresses(lines, frozenset())[0] if returned_one and not strong else []
    failed = mailboxes(",".join(headers.all("x-failed-recipients")))
    returned = [one for one in mailboxes(notice.original.words("to")) if one.lower() not in own]
    for chosen in (
        failed,
        strong,
        to_ourselves,
        [one for one in returned if one in weak],
        returned[:1],
        weak[:1],
    ):
        if chosen:
            return _sections(list(dict.fromkeys(chosen))[:MAX_RECIPIENTS], lines)
    return _sections(
        [one for one in mailboxes(headers.words("subject")) if one.lower() not in own][:1], lines
    )


def _own(notice: Notice, headers: Headers) -> frozenset[str]:
    """Our side's addresses: to whom the notice went, and from whom the message came."""
    fields = [headers.get("to"), headers.get("delivered-to"), headers.words("from")]
    original = notice.original
    fields += [
        original.get("from"),
        original.get("return-path"),
        original.get("sender"),
        original.get("reply-to"),
    ]
    to = {one.lower() for one in mailboxes(original.words("to"))}
    return frozenset(one.lower() for value in fields for one in mailboxes(value)) - to


def _addresses(lines: Sequence[str], own: frozenset[str]) -> tuple[list[str], list[str]]:
    """Addresses that stand where recipients stand, and all others."""
    strong: list[str] = []
    weak: list[str] = []
    for line in lines:
        if "@" not in line:
            continue
        match = MAILBOX.search(line)
        if match is None:
            continue
        mailbox = clean(match[0])
        if mailbox.lower() in own or _SERVANTS.match(mailbox):
            weak += [
                one
                for one in mailboxes(line)
                if one.lower() not in own and not _SERVANTS.match(one)
            ]
            continue
        place = strong if _stands_alone(line, match) else weak
        place.append(mailbox)
    return strong, weak


def _stands_alone(line: str, match: re.Match[str]) -> bool:
    before = line[: match.start()].strip(_AROUND)
    after = line[match.end() :].lstrip(">\"')]. \t=")
    if not before:
        return not after or line[match.end() :].lstrip(">\"')] \t").startswith(_FREE)
    return bool(_before().search(line[: match.start()][-80:]))


@cache
def _before() -> re.Pattern[str]:
    alternatives = "|".join(f"(?:{one})" for one in formats()["recipient"]["before"])
    return re.compile(rf"(?:{alternatives})[\"'<( \t]{{0,5}}$", re.IGNORECASE)


def _sections(chosen: Sequence[str], lines: Sequence[str]) -> list[_Named]:
    """Each recipient with the text from its line to the next one's."""
    lower = [line.lower() for line in lines]
    starts = {
        one: next((at for at, line in enumerate(lower) if one.lower() in line), -1)
        for one in chosen
    }
    marks = sorted(at for at in starts.values() if at >= 0)
    named = []
    for one, start in starts.items():
        end = next((at for at in marks if at > start), len(lines)) if start >= 0 else start
        named.append(
            _Named(one, "\n".join(lines[start : min(end, start + 12)]) if start >= 0 else "")
        )
    return named
