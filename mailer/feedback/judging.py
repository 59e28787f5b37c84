"""From what a server said to a recipient's report: codes, reason, kind."""

import re
from dataclasses import dataclass
from typing import Final

from mailer.feedback.reasons import command_in, reason_in_codes, reason_in_words, without_gateway
from mailer.smtp.replies.reasons import Reason, diagnose

_STATUS: Final = re.compile(r"(?<![\d.])([45]\.\d{1,3}\.\d{1,3})(?!\.?\d)")
_ANY_STATUS: Final = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?!\.?\d)")
_CODE: Final = re.compile(r"(?<![\w.#/=@-])([45]\d\d)(?=[ -]|$|[:;,)\]])")
PERMANENT: Final = frozenset({Reason.MAILBOX_UNKNOWN, Reason.MAILBOX_MOVED, Reason.DOMAIN_UNKNOWN})
"""The reasons that say of an address that it is no good for good."""
MAX_DIAGNOSTIC: Final = 500
_QMAIL: Final = re.compile(r"<[^<>@\s]{1,64}@[^<>\s]{1,255}>:\s{0,5}\n\s{0,5}\S")
_ABOUT_RECIPIENT: Final = re.compile(
    r"does not like recipient|this user doesn.t have a |recipient address rejected"
    r"|\b5\d\d:? (?:\d\.\d\.\d )?<[^<>@\s]{1,64}@[^<>@\s]{1,255}>:",
    re.IGNORECASE,
)
_ADDRESSING: Final = (".1", ".4", ".5")
_NAMES_ITS_CAUSE: Final = re.compile(r"[45]\.(?:1\.[1-46-8]|2\.[23]|3\.4|4\.[1-467])$")


@dataclass(frozen=True, slots=True)
class Judged:
    """What was found in a diagnostic. *sure*: whether the address itself is no good for good."""

    status: str | None
    code: int | None
    reason: Reason
    sure: bool


def status_in(text: str) -> str | None:
    """The first enhanced status code in *text*; what looks like an IP address is none."""
    found = _STATUS.search(text[:2000])
    return found[1] if found else None


def status_of(text: str) -> str | None:
    """The first enhanced status code of any class, a success's too."""
    found = _ANY_STATUS.search(text[:2000])
    return found[1] if found else None


def code_in(text: str) -> int | None:
    """The first SMTP reply code of a refusal in *text*."""
    found = _CODE.search(text[:2000])
    return int(found[1]) if found else None


def judged(diagnostic: str, around: str = "", status: str | None = None) -> Judged:
    """Judge *diagnostic*; where it says nothing, the text *around* it, and last the codes.

    A status that names its cause goes before the text around, which speaks of much.
    """
    remote = without_gateway(diagnostic)
    if remote != diagnostic:
        diagnostic, status = remote, status_in(remote) or status
    code = code_in(diagnostic) or code_in(around)
    said = status_in(diagnostic) or status_in(around)
    if status is None or (status.endswith(".0.0") and said and said[0] == status[0]):
        status = said or status
    command = command_in(diagnostic) or (
        "RCPT" if _ABOUT_RECIPIENT.search(diagnostic[:1000]) else command_in(around)
    )
    reason = (
        reason_in_words(diagnostic)
        or (
            reason_in_codes(status, None, "") if status and _NAMES_ITS_CAUSE.match(status) else None
        )
        or reason_in_words(around)
        or _reason_of_reply(diagnostic, code, status)
        or reason_in_codes(status, code, command)
        or Reason.UNKNOWN
    )
    if reason is Reason.MAILBOX_DISABLED and (status or "").endswith(".1.1"):
        reason = Reason.MAILBOX_UNKNOWN
    if reason in PERMANENT and command_in(diagnostic) == "MAIL":
        reason = Reason.SENDER_REFUSED  # it is our address that they do not know
    sure = reason in PERMANENT and _is_sure(reason, status, code, command)
    if status is None and code is None and _QMAIL.match(diagnostic.lstrip()):
        sure = False  # qmail and its kin add "(#5.1.1)" where they know
    return Judged(status, code, reason, sure)


def _reason_of_reply(diagnostic: str, code: int | None, status: str | None) -> Reason | None:
    """What the rules for live replies say of it; they know whole providers, and no notices."""
    if code is None or not diagnostic:
        return None
    reason = diagnose(diagnostic, code=code, enhanced=status).reason
    return None if reason is Reason.UNKNOWN else reason


def _is_sure(reason: Reason, status: str | None, code: int | None, command: str) -> bool:
    """Whether "unknown user" can be believed.

    Filters, and mobile carriers whose users bar a sender, say so too: to the content, or with a
    status of another class. What was answered to RCPT, what says 5.1.x and what no SMTP reply
    contradicts is believed.
    """
    if reason is Reason.DOMAIN_UNKNOWN:
        return not (status or "").startswith("4")  # a name server may have had a bad day
    group = (status or "")[1:3]
    if reason is not Reason.MAILBOX_UNKNOWN or command == "RCPT":
        return True
    if command == "DATA":
        return group in (".1", ".5")
    contradicted = code is not None or (status is not None and not status.endswith(".0.0"))
    return group in _ADDRESSING or not contradicted
