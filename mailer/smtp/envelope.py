"""How a submission is put to one server: its MAIL and RCPT commands and its content, or why not."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from mailer.errors import WireError
from mailer.smtp import wire
from mailer.smtp.extensions import Extensions
from mailer.smtp.reply import Reply, Stage
from mailer.smtp.rules import Action
from mailer.smtp.settings import Dsn
from mailer.smtp.submission import Fate, Result, Submission

MAX_ENVID = 100
"""Octets in an envelope id (RFC 3461 section 4.4)."""


class Envelope(NamedTuple):
    """The lines that introduce a message, each with its CRLF, and the *content* as composed.

    *has_dots* says whether a line of the content begins with a dot.
    """

    mail: bytes
    rcpt: bytes
    content: bytes
    has_dots: bool


class Mode(Enum):
    """How far the client may run ahead of the server's replies."""

    STEPWISE = auto()
    PIPELINED = auto()
    CHUNKED = auto()


@dataclass(slots=True, eq=False)
class Attempt:
    """One way of one submission through a transaction."""

    index: int
    envelope: Envelope
    has_sender: bool = False
    """MAIL was accepted: at the server a transaction is open."""
    is_answered: bool = False
    is_stepwise: bool = False
    """Its commands are written one by one."""
    is_ahead: bool = False
    """Its MAIL was written before the reply to the dot in front of it."""
    refusal: tuple[Stage, Reply] | None = None
    """What MAIL or RCPT was refused with, while a chunk that has left waits for its reply."""
    end: int = -1
    """Where in the session's octets its final dot ends; -1 while that is not queued."""


def address(submission: Submission, offered: Extensions, dsn: Dsn | None) -> Envelope | Result:
    """Write the envelope of *submission* for a server that *offered* so much.

    If this server cannot take the message, or no server may be sent it, return a `Result` instead:
    refused, without a reply, for a reason that does not change with time.
    """
    content = submission.content
    try:
        has_dots = not submission.is_vouched_for and wire.check_content(content)
    except WireError as exc:
        return _refused(Stage.DATA, Action.FAIL_MESSAGE, str(exc))
    if offered.size is not None and len(content) > offered.size:
        reason = f"{len(content)} octets, and the server takes {offered.size} (SIZE)"
        return _refused(Stage.MAIL, Action.FAIL_MESSAGE, reason)
    try:
        recipient, needs_utf8 = wire.mailbox(submission.forward_path)
        wants_dsn = dsn is not None and "DSN" in offered
        rcpt = b"RCPT TO:<%b>%b\r\n" % (recipient, _rcpt_dsn(dsn, recipient) if wants_dsn else b"")
        rcpt = wire.command(rcpt)
    except WireError as exc:
        return _refused(Stage.RCPT, Action.FAIL_RECIPIENT, str(exc))
    mail = _mail(submission, offered, dsn if wants_dsn else None, needs_utf8=needs_utf8)
    return mail if isinstance(mail, Result) else Envelope(mail, rcpt, content, has_dots)


def _mail(
    submission: Submission, offered: Extensions, dsn: Dsn | None, *, needs_utf8: bool
) -> bytes | Result:
    content = submission.content
    try:
        sender, sender_needs_utf8 = wire.sender(submission.reverse_path)
        parameters = _mail_dsn(dsn, submission.envid) if dsn is not None else b""
    except WireError as exc:
        return _refused(Stage.MAIL, Action.FAIL_MESSAGE, f"reverse-path: {exc}")
    if "SIZE" in offered:
        parameters += b" SIZE=%d" % len(content)
    if needs_utf8 or sender_needs_utf8 or submission.smtputf8:
        if "SMTPUTF8" not in offered:
            reason = "the message needs SMTPUTF8, which the server does not offer"
            return _refused(Stage.MAIL, Action.SMTPUTF8_UNSUPPORTED, reason)
        parameters += b" SMTPUTF8"
    if not content.isascii():
        if "8BITMIME" not in offered:
            reason = "the content has 8-bit octets, and the server does not offer 8BITMIME"
            return _refused(Stage.MAIL, Action.FAIL_MESSAGE, reason)
        parameters += b" BODY=8BITMIME"
    return wire.command(b"MAIL FROM:<%b>%b\r\n" % (sender, parameters))


def _mail_dsn(dsn: Dsn, envid: str | None) -> bytes:
    parameters = f" RET={dsn.ret}" if dsn.ret else ""
    # An id that does not fit is left out: it only helps whoever reads a notification, and no message is
    # refused for it.
    if envid and envid.isascii() and len(encoded := wire.xtext(envid)) <= MAX_ENVID:
        parameters += f" ENVID={encoded}"
    return parameters.encode("ascii")


def _rcpt_dsn(dsn: Dsn | None, recipient: bytes) -> bytes:
    if dsn is None or not dsn.notify:
        return b""
    parameters = b" NOTIFY=" + ",".join(dsn.notify).encode("ascii")
    if recipient.isascii():
        # The address type utf-8 (RFC 6533) is known to very few servers: leave ORCPT out.
        parameters += b" ORCPT=rfc822;" + wire.xtext(recipient.decode("ascii")).encode("ascii")
    return parameters


def _refused(stage: Stage, action: Action, reason: str) -> Result:
    return Result(Fate.REFUSED, stage, None, action, f"local: {reason}")
