"""Answers that nobody wrote: vacations, tickets, challenges (RFC 3834)."""

from mailer.feedback.notices import Notice, formats, words
from mailer.feedback.parts import Headers


def is_auto_reply(headers: Headers, notice: Notice) -> bool:
    """Whether a program answered. Auto-Submitted alone decides: whoever asks has ruled out bounces."""
    submitted = headers.get("auto-submitted").lower()
    if submitted.startswith(("auto-replied", "auto-generated", "auto-notified")):
        return True
    if any(name in headers for name in formats()["autoreply"]["headers"]):
        return True
    if (
        headers.get("precedence").lower() == "auto_reply"
        or "auto" in headers.get("x-precedence").lower()
    ):
        return True
    if words("autoreply", "subject").search(headers.words("subject")):
        return True
    from_nobody = headers.get("return-path").strip() in ("<>", "< >")
    return from_nobody and bool(words("autoreply", "text").search(notice.text[:2000]))
