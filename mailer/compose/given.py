"""A message that somebody else made: its envelope, and the bytes that leave.

The envelope is taken from the headers as `smtplib.SMTP.send_message` does (RFC 5322 sections 3.6.2, 3.6.3
and 3.6.6): the sender from Sender or From, the recipients from To, Cc and Bcc; where the message was
resent, from their Resent- forms. Bcc is removed. What leaves is checked as our own messages are: CRLF
only, no line of more than 998 octets, seven bits, no header field with another one hidden in it.
"""

import base64
import copy
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.headerregistry import HeaderRegistry
from email.message import EmailMessage, Message
from email.utils import getaddresses
from time import time
from typing import Any, Final
from uuid import uuid4

from mailer.compose import quoted, words
from mailer.compose.mailboxes import mailboxes
from mailer.compose.policy import ADDRESSES, MAIL, MAIL_UTF8
from mailer.compose.verify import faults
from mailer.errors import HeaderError, InputError
from mailer.mail.dating import kept, written
from mailer.mail.recipients import Recipient, Rejected, parse

LARGEST: Final = 100 << 20
"""The most octets of a message: no server that we know of takes more. Redis holds it until it is sent."""

_LONG_LINE: Final = re.compile(rb"[^\r\n]{999,}")
_MESSAGE_ID: Final = re.compile(r"<[^\s<>@]+@[^\s<>@]+>")
# Removed: what names recipients that the others must not see, and what only a mail server may add.
_REMOVED: Final = ("bcc", "resent-bcc", "return-path")
_DESTINATIONS: Final = frozenset({"to", "cc", "reply-to", "resent-to", "resent-cc"})
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_ESCAPED: Final = re.compile("[\udc80-\udcff]")  # octets, as Python's parser keeps them
# A colon without a semicolon may stand in a display name that should have been quoted, and was not.
_GROUP: Final = re.compile(r":[^:;]*;")
_BULK: Final = (("Precedence", "bulk"), ("X-Auto-Response-Suppress", "OOF, AutoReply"))
# A message to people in Bcc alone has no To.
_MAY_BE_MISSING: Final = frozenset({"to is missing"})


@dataclass(frozen=True, slots=True)
class Given:
    """A message ready to leave, and its recipients, each once.

    *reverse_path* is the sender's mailbox, empty for the null reverse-path; *content* are the octets that
    leave; *message_id* is in angle brackets; *smtputf8* says whether it needs that extension (RFC 6531).
    """

    reverse_path: str
    recipients: tuple[Recipient, ...]
    content: bytes
    message_id: str
    smtputf8: bool


def given(
    message: "Message[Any, Any]",
    from_addr: str | None = None,
    to_addrs: str | Iterable[str] | None = None,
    *,
    bulk: bool = False,
) -> Given:
    """Make *message* ready; *from_addr* and *to_addrs* are used instead of its headers.

    An empty *from_addr* is the null reverse-path. With *bulk*, Precedence and X-Auto-Response-Suppress
    are added where they are missing. The message itself is not changed. Raises `InputError` where it
    names no sender or nobody to send to, or cannot leave as it is.
    """
    if not hasattr(message, "get_all"):
        kind = type(message).__name__
        raise InputError(f"the message is no email.message.EmailMessage, but of type {kind}")
    prefix = "" if from_addr is not None and to_addrs is not None else _prefix(message)
    sender = from_addr if from_addr is not None else _sender(message, prefix)
    reverse_path = _reverse_path(sender) if sender else ""
    recipients = _recipients(_destinations(message, prefix) if to_addrs is None else to_addrs)
    own = _own(message, reverse_path, bulk=bulk)
    wide = any(one.smtputf8 for one in recipients) or not reverse_path.isascii() or _is_wide(own)
    content = _written(own, utf8=wide)
    if "Date" in message:
        content = kept(content)
    return Given(reverse_path, recipients, content, str(own["Message-ID"]), wide)


# The envelope.


def _prefix(message: "Message[Any, Any]") -> str:
    """``Resent-`` where the message was resent once; nothing where it was not."""
    resent = message.get_all("Resent-Date") or []
    if len(resent) > 1:
        raise InputError("the message was resent more than once: pass from_addr and to_addrs")
    return "Resent-" if resent else ""


def _sender(message: "Message[Any, Any]", prefix: str) -> str:
    for name in (f"{prefix}Sender", f"{prefix}From"):
        found = _addresses(_texts(message, name))
        if found:
            return found[0]
    raise InputError("the message has no From: set it, or pass from_addr")


def _reverse_path(sender: str) -> str:
    try:
        found = mailboxes("from_addr", sender)
        if len(found) == 1:
            return words.addr_spec("From", found[0][1], utf8=True)
    except HeaderError as error:
        raise InputError(f"from_addr {sender!r} is no mailbox: {error}") from error
    raise InputError(f"from_addr {sender!r} is {len(found)} mailboxes, not one")


def _destinations(message: "Message[Any, Any]", prefix: str) -> list[str]:
    texts = [text for name in ("To", "Cc", "Bcc") for text in _texts(message, prefix + name)]
    return _addresses(texts)


def _addresses(texts: Iterable[str]) -> list[str]:
    # Text by text: for several texts at once, newer Pythons (and older ones with a distribution's patch)
    # return no address at all where one of the texts holds a group.
    return [address for text in texts for _, address in getaddresses([text]) if address]


def _texts(message: "Message[Any, Any]", name: str) -> list[str]:
    wanted = name.lower()
    return [_without_groups(text) for known, text in _read(message) if known.lower() == wanted]


def _read(message: "Message[Any, Any]") -> Iterator[tuple[str, str]]:
    """The headers as they were set or parsed; octets beyond ASCII are UTF-8, or else Windows-1252.

    ``message[name]`` would not do: for such octets each policy returns something else, most of them
    question marks.
    """
    for name, value in message.raw_items():
        text = str(value)
        if _ESCAPED.search(text):
            octets = text.encode("utf-8", "surrogateescape")
            try:
                text = octets.decode()
            except UnicodeDecodeError:
                text = octets.decode("cp1252", "replace")
        yield name, text


def _without_groups(text: str) -> str:
    """*text* with the members of a group instead of it (``team: ada@example.org, bob@example.org;``).

    Of ``undisclosed-recipients:;`` nothing is left.
    """
    if not _GROUP.search(_QUOTED.sub("", text)):
        return text
    header: Any = HeaderRegistry()("To", text)
    return ", ".join(map(str, header.addresses))


def _recipients(addresses: str | Iterable[str]) -> tuple[Recipient, ...]:
    found: dict[bytes, Recipient] = {}
    several = [addresses] if isinstance(addresses, str) else list(addresses)
    for number, (_, address) in enumerate(getaddresses([str(one) for one in several]), 1):
        one = parse({"email": address}, number)
        if isinstance(one, Rejected):
            raise InputError(f"recipient {number}: {one.reason}")
        found.setdefault(one.key, one)
    if not found:
        raise InputError("the message names nobody in To, Cc or Bcc: set one, or pass to_addrs")
    return tuple(found.values())


# The content.


def _own(message: "Message[Any, Any]", reverse_path: str, *, bulk: bool) -> EmailMessage:
    """A copy under our policy, with the headers that every message must have."""
    own = EmailMessage(policy=MAIL_UTF8)
    try:
        for name, value in _headers(message):
            own[name] = value
        _complete(own, reverse_path, _BULK if bulk else ())
    except (HeaderError, ValueError, LookupError) as error:
        raise InputError(f"the message cannot be sent: {error}") from error
    # Not get_payload(): that decodes octets beyond ASCII, and loses those that are not UTF-8.
    own._payload = copy.deepcopy(message._payload)  # type: ignore[attr-defined] # noqa: SLF001
    for part in own.walk():
        if not part.is_multipart():
            _fit(part)
        elif str(part.get("Content-Transfer-Encoding", "")).lower() in {"8bit", "binary"}:
            part.replace_header("Content-Transfer-Encoding", "7bit")  # every part within is, by now
    return own


def _complete(own: EmailMessage, reverse_path: str, more: Iterable[tuple[str, str]]) -> None:
    """Add the headers that every message must have, and *more*, where they are missing."""
    if "From" not in own:
        raise HeaderError("it has no From")
    if not _MESSAGE_ID.fullmatch(str(own.get("Message-ID", "")).strip()):
        del own["Message-ID"]
        mailbox = reverse_path or str(own["From"].addresses[0].addr_spec)
        own["Message-ID"] = f"<{uuid4().hex}@{words.ascii_domain(mailbox.rpartition('@')[2])}>"
    needed = [
        ("Date", written(time())),
        ("MIME-Version", "1.0"),
        ("Content-Type", 'text/plain; charset="utf-8"'),
    ]
    for name, value in (*needed, *more):
        if name not in own:
            own[name] = value


def _headers(message: "Message[Any, Any]") -> Iterator[tuple[str, str]]:
    """The headers that leave, as text: setting them parses them anew, by our policy."""
    for name, value in _read(message):
        if name.lower() not in _REMOVED:
            text = re.sub(r"\r?\n(?=[ \t])", "", value)  # unfolded (RFC 5322 section 2.2.3)
            if name.lower() in _DESTINATIONS:
                text = _without_groups(text)
                if not text:
                    continue
            yield name, _unfolded(name, text)


def _unfolded(name: str, text: str) -> str:
    """*text* with its encoded-words decoded; in an address field the policy does that itself."""
    if "=?" not in text or name.lower() in ADDRESSES:
        return text
    return str(HeaderRegistry()("Subject", text))


def _fit(part: "Message[Any, Any]") -> None:
    """Encode a part again that could not leave as it is: octets above 127, long lines, a bare CR."""
    encoding = str(part.get("Content-Transfer-Encoding", "7bit")).strip().lower()
    if encoding in {"quoted-printable", "base64"}:
        return
    octets = part.get_payload(decode=True)
    if not isinstance(octets, bytes):
        return
    bare = octets.replace(b"\r\n", b"\n")
    if bare.isascii() and b"\r" not in bare and not _LONG_LINE.search(bare) and b"\0" not in bare:
        return
    del part["Content-Transfer-Encoding"]
    text = _text(part, bare) if part.get_content_maintype() == "text" else None
    if text is None:
        part["Content-Transfer-Encoding"] = "base64"
        part.set_payload(base64.encodebytes(octets).decode("ascii"))
    else:
        part.set_payload(quoted.encode(text).decode("ascii"))
        part["Content-Transfer-Encoding"] = "quoted-printable"
        part.set_param("charset", "utf-8")


def _text(part: "Message[Any, Any]", octets: bytes) -> str | None:
    """The text of a text part, or None where its charset is unknown or wrong."""
    try:
        return quoted.finished(octets.decode(part.get_content_charset("utf-8")))
    except (LookupError, UnicodeDecodeError):
        return None


def _is_wide(own: EmailMessage) -> bool:
    """Whether an address in a header has a local part that is not ASCII (RFC 6532)."""
    return any(
        not address.username.isascii()
        for name, value in own.items()
        if name.lower() in ADDRESSES
        for address in value.addresses
    )


def _written(own: EmailMessage, *, utf8: bool) -> bytes:
    """The bytes that leave. Raises `InputError` where something is wrong with them."""
    policy = MAIL_UTF8 if utf8 else MAIL
    try:
        content = own.as_bytes(policy=policy)
    except (HeaderError, ValueError, LookupError) as error:
        raise InputError(f"the message cannot be sent: {error}") from error
    if not content.endswith(b"\r\n"):
        content += b"\r\n"
    wrong = [fault for fault in faults(content, utf8=utf8) if fault not in _MAY_BE_MISSING]
    if wrong:
        raise InputError(f"the message cannot be sent: {wrong[0]}")
    if len(content) > LARGEST:
        raise InputError(f"the message has {len(content)} octets; at most {LARGEST} can be sent")
    return content
