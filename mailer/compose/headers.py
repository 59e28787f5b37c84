"""Which headers a message has, and which mailbox its bounces go to.

Everything that can be known before the first recipient is worked out once, in `Headers`. What is
left for each recipient are To, Subject, Message-ID and List-Unsubscribe.

A Message-ID is a hash of campaign and recipient, keyed by the secret, in the sender's domain. A message
that is composed again has the same one. No two recipients share one: Gmail throttles senders whose
messages do. And it does not tell the address.
"""

import base64
import hmac
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from hashlib import blake2b
from typing import Any, Final

from mailer.compose import words
from mailer.compose.design import Design
from mailer.compose.mailboxes import Mailbox, mailboxes
from mailer.compose.policy import SINGLE, addresses, fold_field
from mailer.compose.unsubscribe import Pattern, TokenSigner
from mailer.errors import HeaderError, InputError
from mailer.mail.barring.scopes import list_of
from mailer.mail.recipients import Recipient
from mailer.mail.seal import KEY_OCTETS, TAG_OCTETS, Seal, campaign_tag, message_hash

# What callers and templates may not set, because the composer or a mail server does.
RESERVED: Final = frozenset(
    "from to cc bcc date message-id mime-version return-path sender received "  # noqa: SIM905
    "dkim-signature content-type content-transfer-encoding content-disposition content-id".split()
)
_AUTOMATIC: Final = (("Auto-Submitted", "auto-generated"), ("X-Auto-Response-Suppress", "All"))
_BULK: Final = (("Precedence", "bulk"), ("X-Auto-Response-Suppress", "OOF, AutoReply"))
_ONE_CLICK: Final = ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")

# A display name that needs neither quotes nor encoding; name and mailbox together fit into a line.
_SIMPLE_NAME: Final = re.compile(r"[A-Za-z0-9-]+(?: [A-Za-z0-9-]+)*")
_SHORT: Final = 70

_COMPARED: Final = 1_000
"""Recipients whose unsubscribe URLs are kept, to find one that several share. One that all share shows
among the first."""

VERP_PROOF: Final = 7
"""Octets of the proof in a VERP address. They are few: a local part has at most 64 octets (RFC 5321
section 4.5.3.1.1)."""

_VERP: Final = VERP_PROOF + TAG_OCTETS + KEY_OCTETS


class Headers:
    """The headers of a design's messages; those that are the same for all are written once.

    *before* and *after* are the fields that are the same for all, as they stand in a message before
    and after the recipient's own; *count* is the number of the recipient's own. *names* are the names of
    all. Raises `InputError` or `HeaderError` for values of the design that cannot be used.
    """

    def __init__(self, design: Design) -> None:
        sender = one_mailbox("sender", design.sender)
        self.domain = words.ascii_domain(sender[1].rpartition("@")[2])
        self._campaign = design.campaign
        self._list = list_of(design.list_id)
        self._unsubscribe = design.unsubscribe
        self._url = _pattern(design.unsubscribe.url if design.unsubscribe else None)
        self._mailto = _pattern(design.unsubscribe.mailto if design.unsubscribe else None)
        self._whose: dict[str, bytes] = {}
        self._tokens = _signer(design)
        self._hash = message_hash(design.secret or "", design.campaign)
        self._bounces = _Bounces(design, sender[1])
        before: list[tuple[str, Any]] = [("From", tuple(addresses([sender])))]
        if design.reply_to:
            before.append(
                ("Reply-To", tuple(addresses(some_mailboxes("reply_to", design.reply_to))))
            )
        before.append(("Date", format_datetime(_date(design))))
        self._before = before
        self._after = list(_constant(design))
        self.names = self._names()
        check_single(self.names)
        self.before = "".join([fold_field(*field) for field in self._before])
        self.after = "".join([fold_field(*field) for field in self._after])

    def _names(self) -> list[str]:
        own = ["To", "Subject", "Message-ID"]
        if self._unsubscribe is not None:
            own.append("List-Unsubscribe")
        self.count = len(own)
        return [name for name, _ in [*self._before, *self._after]] + own

    def own(self, recipient: Recipient, subject: str, url: str, message_id: str) -> str:
        """Return the *count* fields that are the recipient's own, as they stand in a message."""
        lines = _to_line(recipient) + _subject_line(subject.strip())
        if self._unsubscribe is not None:
            lines += words.fold_tokens("List-Unsubscribe", self._ways(recipient, url))
        return f"{lines}Message-ID: {message_id}\r\n"

    def message_id(self, recipient: Recipient) -> str:
        """Return the Message-ID, in angle brackets."""
        digest = self._hash.copy()
        digest.update(recipient.key)
        return f"<{digest.hexdigest()}@{self.domain}>"

    def reverse_path(self, recipient: Recipient) -> str:
        """Return the mailbox that a bounce of this message goes to."""
        return self._bounces.mailbox(recipient.key)

    def unsubscribe_url(self, recipient: Recipient) -> str:
        """Return the URL where this recipient unsubscribes; empty where there is none."""
        return self._filled(self._url, recipient) if self._url else ""

    def check_own(self, recipient: Recipient, url: str) -> None:
        """Raise `InputError` where *url* is another recipient's, too.

        RFC 8058 section 3.1: the URL must identify the recipient, because the POST says nothing else.
        """
        if self._unsubscribe is None or not self._unsubscribe.may_be_shared:
            return
        known = self._whose.get(url)
        if known not in (None, recipient.key):
            raise InputError(
                f"unsubscribe: {self._unsubscribe.url!r} is the same URL for several recipients, so one "
                "click cannot tell who leaves (RFC 8058 section 3.1); put {token} or {email} into it, or "
                "set one_click = false"
            )
        if len(self._whose) < _COMPARED:
            self._whose[url] = recipient.key

    def _ways(self, recipient: Recipient, url: str) -> str:
        """Return the value of List-Unsubscribe: the URL first, as RFC 8058 wants it."""
        ways = [f"<{url}>"] if url else []
        if self._mailto:
            ways.append(f"<mailto:{self._filled(self._mailto, recipient)}>")
        return ", ".join(ways)

    def _filled(self, pattern: Pattern, recipient: Recipient) -> str:
        token = ""
        if self._tokens:
            token = self._tokens.token(recipient.mailbox, self._campaign, self._list)
        return pattern.filled(recipient.fields, token)


def _constant(design: Design) -> Iterator[tuple[str, str]]:
    """Yield the fields that are the same in every message, and come last."""
    if design.unsubscribe is not None and design.unsubscribe.is_one_click:
        yield _ONE_CLICK
    if design.list_id:
        yield "List-ID", design.list_id
    if design.feedback_id:
        yield "Feedback-ID", design.feedback_id
    own = {name.lower() for name in design.headers}
    for name, value in _BULK if design.bulk else _AUTOMATIC:
        if name.lower() not in own:
            yield name, value
    for name, value in design.headers.items():
        check_extra(name)
        yield name, value


def _date(design: Design) -> datetime:
    return design.date or datetime.now(UTC).replace(microsecond=0)


def _to_line(recipient: Recipient) -> str:
    name, mailbox = recipient.name, recipient.mailbox
    if not recipient.smtputf8 and len(mailbox) < _SHORT and '"' not in mailbox:
        # Quick: `mailer.mail.recipients` has checked the mailbox, and such a name needs no check.
        if name is None:
            return f"To: {mailbox}\r\n"
        if len(name) + len(mailbox) < _SHORT and _SIMPLE_NAME.fullmatch(name):
            return f"To: {name} <{mailbox}>\r\n"
    return words.fold_mailboxes("To", [(name, mailbox)], utf8=recipient.smtputf8)


def _subject_line(subject: str) -> str:
    # What looks like an encoded-word is decoded first, as when a header of an `EmailMessage` is set.
    return (
        fold_field("Subject", subject) if "=?" in subject else words.fold_text("Subject", subject)
    )


class _Bounces:
    """Mailboxes for bounces: one for all, or one for each recipient (VERP).

    A VERP address is ``bounces+TOKEN@…``. TOKEN is campaign and recipient, sealed: 32 letters of base32,
    because some servers return addresses in lower case. `mailer.feedback.tokens` reads it back.
    """

    def __init__(self, design: Design, sender: str) -> None:
        mailbox = design.return_path if design.return_path is not None else sender
        if mailbox:
            mailbox = words.addr_spec("Return-Path", one_mailbox("return_path", mailbox)[1])
        self._mailbox = mailbox
        self._seal: Seal | None = None
        if design.verp:
            if not design.secret or not mailbox:
                raise InputError("verp wants a secret and a return path to sign addresses of")
            self._seal = Seal(design.secret, "verp", VERP_PROOF)
        self._tag = campaign_tag(design.campaign)

    def mailbox(self, key: bytes) -> str:
        if self._seal is None:
            return self._mailbox
        local, _, domain = self._mailbox.rpartition("@")
        token = base64.b32encode(self._seal.seal(self._tag + key)).decode().lower()
        return f"{local}+{token}@{domain}"


def verp_key(mailbox: str, campaign: str, secret: str) -> bytes:
    """Return the key of the recipient whose message bounced to *mailbox*.

    Raises `InputError` when the address was not made for *campaign* with *secret*: anybody can forge
    a bounce.
    """
    token = mailbox.rpartition("@")[0].rpartition("+")[2]
    try:
        octets = base64.b32decode(token.upper())
    except ValueError:
        octets = b""
    words = Seal(secret, "verp", VERP_PROOF).open(octets) if len(octets) == _VERP else b""
    if words and words[:TAG_OCTETS] == campaign_tag(campaign):
        return words[TAG_OCTETS:]
    # Version 0.1.0: the key and a keyed hash, 24 letters.
    key, proof = octets[:KEY_OCTETS], octets[KEY_OCTETS:]
    expected = hmac.digest(_derived(secret, "verp"), campaign.encode() + b"\0" + key, "sha256")
    if len(octets) != KEY_OCTETS + VERP_PROOF or not hmac.compare_digest(
        proof, expected[:VERP_PROOF]
    ):
        raise InputError("the bounce's address is not one of this campaign's")
    return key


def one_mailbox(what: str, text: str) -> tuple[str | None, str]:
    """Return display name and mailbox of *text*, as in ``Shop <news@shop.example>``.

    Raises `InputError` unless it is exactly one that can be written.
    """
    found = some_mailboxes(what, text)
    if len(found) > 1:
        raise InputError(f'{what} {text!r} is {len(found)} mailboxes: write "Name <local@domain>"')
    return found[0]


def some_mailboxes(what: str, text: str) -> list[Mailbox]:
    """Return display name and mailbox of each in *text*, as in ``Ada <ada@x.example>, bob@x.example``.

    Raises `InputError` for what cannot be written.
    """
    try:
        found = mailboxes(what, text)
        words.fold_mailboxes("From", found)
    except HeaderError as error:
        raise InputError(f"{what} {text!r} is no mailbox: {error}") from error
    return found


def check_extra(name: str) -> None:
    """Raise `HeaderError` for a *name* that is none, or that callers and templates may not set."""
    words.check_name(name)
    if name.lower() in RESERVED:
        raise HeaderError(f"header {name} is set by the mailer itself")


def check_single(names: Iterable[str]) -> None:
    """Raise `HeaderError` when a header that must be single is there twice."""
    seen: set[str] = set()
    for name in names:
        if name.lower() in SINGLE and name.lower() in seen:
            raise HeaderError(f"header {name} is there twice; it must be single")
        seen.add(name.lower())


def _pattern(text: str | None) -> Pattern | None:
    return Pattern(text) if text else None


def _signer(design: Design) -> TokenSigner | None:
    if design.unsubscribe is None or not design.unsubscribe.wants_token:
        return None
    if not design.secret:
        raise InputError("the unsubscribe URL holds {token}, which wants a secret to sign it")
    return TokenSigner(design.secret)


def _derived(secret: str, purpose: str) -> bytes:
    return blake2b(secret.encode(), digest_size=32, person=purpose.encode()).digest()
