"""Whether the domains of From, return path and signatures are one sender's, and what bulk mail bears."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from mailer.mail.receivers.alignment import aligned, domain_of
from mailer.mail.receivers.finding import UNALIGNED, Finding, Level

_ONE_CLICK: Final = ("list-unsubscribe", "list-unsubscribe-post")


def sender_findings(sender: str, return_path: str, signing: Sequence[str]) -> Iterator[Finding]:
    """Judge the domains of *sender*, *return_path* and those that *signing* keys stand for (``d=``)."""
    author, bounces = domain_of(sender), domain_of(return_path)
    signed = any(aligned(author, domain) for domain in signing)
    # Where no key is here the server may sign, and DMARC asks for one of the two.
    level: Level = "warning" if signing and not signed else "advice"
    if signing and not signed:
        yield Finding(
            "warning" if aligned(author, bounces) else "error",
            "dkim-alignment",
            f"From is of {author}, and DKIM signs for {', '.join(signing)}",
            UNALIGNED,
            f"sign with a key of {author}",
        )
    if not signing:
        yield Finding(
            "advice",
            "dkim-here",
            "no DKIM key here, so whether messages are signed is the server's affair",
            "",
            f"see that it signs with d={author}, or set dkim",
        )
    if not aligned(author, bounces):
        yield Finding(
            level,
            "spf-alignment",
            f"From is of {author}, and the return path of {bounces}",
            "" if signed else UNALIGNED,
            f"let bounces go to a mailbox of {author} or below it, unless DKIM signs for {author}",
        )


def bulk_findings(fields: Mapping[str, str], sender: str) -> Iterator[Finding]:
    """Judge the header *fields* of a bulk message from *sender*, by their names in lower case."""
    if "list-id" not in fields:
        yield Finding(
            "advice", "list-id", "no List-ID", "", "set list_id, so that people leave one list only"
        )
    if "feedback-id" not in fields:
        yield Finding(
            "advice",
            "feedback-id",
            "no Feedback-ID",
            "",
            "give Campaign a feedback_id for Gmail",
        )
    author, named = domain_of(sender), domain_of(fields.get("message-id", "").strip(" <>"))
    if named and not aligned(author, named):
        yield Finding(
            "advice",
            "message-id",
            f"Message-ID is of {named}, From of {author}",
            "",
            "let the Message-ID have the domain of From; some filters score the difference",
        )


def covered_not(signature: str) -> list[str]:
    """Return the fields of one-click that *signature* leaves out of its ``h=`` (RFC 8058 section 4)."""
    found = re.search(r"(?:^|;)\s*h\s*=([^;]*)", signature)
    names = re.sub(r"\s", "", found[1]).lower().split(":") if found else []
    return [name for name in _ONE_CLICK if name not in names]
