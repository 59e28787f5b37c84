"""How the parts of a message nest, and where one recipient's bytes go between those of all.

mixed( alternative( text/plain, related( text/html, inline images ), other forms ), attachments ), each
level only where it has something to hold. Bodies are quoted-printable, or base64 where that is shorter.

Boundaries begin with ``=_``, which neither encoding can produce (RFC 2045 section 6.7 suggests it). So no
body can hold one, and they need not be random. A ``message/rfc822`` is attached without encoding and
could hold one: so the seed of the boundaries depends on its digest.

The tree is built once, as an `EmailMessage` with marks where bodies and files go. Its bytes, cut at the
marks, are the skeleton from which every message is put together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from hashlib import blake2b
from typing import Final

from mailer.compose.attachment import Attachment
from mailer.compose.policy import MAIL
from mailer.mail.message import SharedPart

# A mark for a place to be filled; like a boundary, it can stand in no encoded body.
_SLOT: Final = "=_{}_{}_="


@dataclass(frozen=True, slots=True)
class Body:
    """A text body: its media subtype, its transfer encoding, its encoded lines."""

    subtype: str
    encoding: str
    encoded: str


@dataclass(frozen=True, slots=True)
class Inline:
    """An image that the HTML shows, with the Content-ID that it is shown by."""

    attachment: Attachment
    content_id: str


@dataclass(frozen=True, slots=True)
class Parts:
    """What a message is made of. *seed* makes the boundaries."""

    text: Body | None
    html: Body | None
    inline: Sequence[Inline]
    attachments: Sequence[Attachment]
    seed: str


def fill(message: EmailMessage, parts: Parts) -> None:
    """Give *message*, which has its headers and nothing else, the content of *parts*."""
    message["MIME-Version"] = "1.0"
    files = [file for file in parts.attachments if not file.alternative]
    if files:
        _multipart(message, "mixed", parts.seed)
        body = EmailMessage(policy=message.policy)
        _fill_body(body, parts)
        message.attach(body)
        for attachment in files:
            message.attach(_file(attachment, None))
    else:
        _fill_body(message, parts)


def _fill_body(part: EmailMessage, parts: Parts) -> None:
    others = [file for file in parts.attachments if file.alternative]
    if (parts.text and parts.html) or others:
        _multipart(part, "alternative", parts.seed)
        for fill_one in (_fill_text, _fill_html) if parts.html else (_fill_text,):
            inner = EmailMessage(policy=part.policy)
            fill_one(inner, parts)
            part.attach(inner)
        for other in others:
            part.attach(_file(other, None))
    elif parts.html:
        _fill_html(part, parts)
    else:
        _fill_text(part, parts)


def _fill_text(part: EmailMessage, parts: Parts) -> None:
    _fill_leaf(part, parts.text or Body("plain", "quoted-printable", ""))


def _fill_html(part: EmailMessage, parts: Parts) -> None:
    assert parts.html is not None
    if not parts.inline:
        _fill_leaf(part, parts.html)
        return
    _multipart(part, "related", parts.seed)
    inner = EmailMessage(policy=part.policy)
    _fill_leaf(inner, parts.html)
    part.attach(inner)
    for image in parts.inline:
        part.attach(_file(image.attachment, image.content_id))


def _fill_leaf(part: EmailMessage, body: Body) -> None:
    part["Content-Type"] = f'text/{body.subtype}; charset="utf-8"'
    part["Content-Transfer-Encoding"] = body.encoding
    part.set_payload(body.encoded)


def _multipart(part: EmailMessage, subtype: str, seed: str) -> None:
    boundary = f"=_{seed}_{subtype[0]}"
    kind = '; type="text/html"' if subtype == "related" else ""
    part["Content-Type"] = f'multipart/{subtype}; boundary="{boundary}"{kind}'


def _file(attachment: Attachment, content_id: str | None) -> EmailMessage:
    part = EmailMessage(policy=MAIL)
    for name, value in attachment.headers(content_id):
        part[name] = value
    part.set_payload(attachment.encoded.decode("ascii"))
    return part


def seed(*what: str) -> str:
    """Return what boundaries are made of: 18 letters and digits, the same for the same *what*."""
    return blake2b("\0".join(what).encode(), digest_size=9).hexdigest()


@dataclass(frozen=True, slots=True)
class Skeleton:
    """The bytes of a tree with places left open: ``pieces[0] text pieces[1] html pieces[2] …``.

    *slots* says what goes between: ``text``, ``html``, or the `SharedPart` that is a whole file.
    """

    pieces: tuple[bytes, ...]
    slots: tuple[str | SharedPart, ...]


def skeleton(parts: Parts) -> Skeleton:
    """Return the skeleton of *parts*; it begins with the MIME headers, which come after all others."""
    message = EmailMessage(policy=MAIL)
    slots: list[str | SharedPart] = []
    places: dict[str, str | SharedPart] = {}
    bodies: dict[str, Body | None] = {}
    for name, body in (("text", parts.text), ("html", parts.html)):
        place = _SLOT.format(parts.seed, name)
        places[place] = name
        bodies[name] = body and Body(body.subtype, body.encoding, place)

    def stand_in(file: Attachment) -> Attachment:
        place = _SLOT.format(parts.seed, len(places))
        places[place] = SharedPart.of(file.encoded)
        return _StandIn(file, place)

    inline = [Inline(stand_in(image.attachment), image.content_id) for image in parts.inline]
    attached = [stand_in(file) for file in parts.attachments]
    fill(message, Parts(bodies["text"], bodies["html"], inline, attached, parts.seed))
    rest = message.as_bytes()
    pieces: list[bytes] = []
    # In the order in which they stand: other forms of the message come before files.
    for place, what in sorted(places.items(), key=lambda item: rest.find(item[0].encode())):
        before, found, rest_after = rest.partition(place.encode())
        if found:
            pieces.append(before)
            slots.append(what)
            rest = rest_after
    pieces.append(rest)
    return Skeleton(tuple(pieces), tuple(slots))


class _StandIn(Attachment):
    """A file with a mark for its content."""

    def __init__(self, file: Attachment, place: str) -> None:
        super().__init__(file.filename, file.content_type, b"", file.alternative)
        self.__dict__["encoded"] = place.encode()
