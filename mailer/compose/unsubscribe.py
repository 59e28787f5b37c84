"""How a recipient gets off the list: the URL to call, and the proof in it that it is theirs.

A token says which mailbox, campaign and list. It is sealed with the secret, so that nobody can make one
to unsubscribe others, or read an address out of a link. The page behind the URL asks `read_token` whom to
take off; it needs the same secret and nothing else. It must act on POST only, because spam filters fetch
such URLs by themselves (RFC 8058 section 1).
"""

import binascii
import contextlib
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final
from urllib.parse import quote

import itsdangerous

from mailer.errors import InputError
from mailer.mail.seal import Seal

_HOLE: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SALT: Final = "mailer.unsubscribe"  # of the tokens of version 0.1.0
_LIST: Final = "\nList-ID: "
_PROOF: Final = 16  # octets
_BLOCK: Final = 16  # octets; the length of what is sealed is a multiple of it
_LENGTHS: Final = [bytes((length,)) for length in range(_BLOCK)]
_FILLINGS: Final = [bytes(length) for length in range(_BLOCK)]


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Where a recipient unsubscribes.

    *url* is a pattern: ``{token}`` stands for a sealed token (the design's secret is needed), any
    other ``{field}`` for that field of the row, percent-encoded. *mailto* is an address, or an
    address with ``?subject=…``, with the same holes. With *one_click*, List-Unsubscribe-Post says that
    the URL takes a POST (RFC 8058); set it False when the page does not. Raises `InputError` for values
    that cannot work.
    """

    url: str | None = None
    mailto: str | None = None
    one_click: bool = True

    def __post_init__(self) -> None:
        """Refuse what could not work."""
        if not self.url and not self.mailto:
            raise InputError("Unsubscribe wants a url or a mailto")
        for value in (self.url, self.mailto):
            if value and (not value.isascii() or re.search(r"[\s<>]", value)):
                raise InputError(f"unsubscribe: {value!r} holds what no URL may; percent-encode it")
        if self.url and not self.url.startswith(("https://", "http://")):
            raise InputError(f"unsubscribe: {self.url!r} is no http or https URL")
        if self.one_click and self.url and not self.url.startswith("https://"):
            raise InputError(
                f"unsubscribe: one-click wants https (RFC 8058), not {self.url!r}; "
                "use https, or pass one_click=False"
            )

    @property
    def wants_token(self) -> bool:
        """Whether a secret is needed."""
        return any("{token}" in value for value in (self.url, self.mailto) if value)

    @property
    def is_one_click(self) -> bool:
        """Whether List-Unsubscribe-Post is written.

        It is not where the URL is the same for all: the POST would not say whom to take off (RFC 8058
        section 3.1).
        """
        return self.one_click and self.url is not None and bool(_HOLE.search(self.url))

    @property
    def may_be_shared(self) -> bool:
        """Whether one-click is announced for a URL that may be the same for several rows."""
        holes = set(_HOLE.findall(self.url or ""))
        return self.is_one_click and not holes & {"token", "email"}


@dataclass(frozen=True, slots=True)
class Unsubscribed:
    """What a token said: who, out of which campaign, and of which list.

    *list_id* is empty where the campaign had none, or an older version wrote the token.
    """

    mailbox: str
    campaign: str
    list_id: str = ""


class TokenSigner:
    """Writes and reads tokens under one secret.

    A token is sealed: neither mailbox nor campaign can be read out of a URL that stands in somebody's
    log. Tokens of version 0.1.0, mailbox and campaign in base64 with a signature, are read for ever,
    because people keep old mails.
    """

    def __init__(self, secret: str | bytes) -> None:
        self._secret = secret
        self._seal = Seal(secret, "unsubscribe", _PROOF)

    def token(self, mailbox: str, campaign: str, list_id: str = "") -> str:
        """Return a token of URL-safe characters."""
        # With the list, because Redis forgets campaigns, and people keep old mails.
        words = f"{mailbox}\n{campaign}{list_id and _LIST}{list_id}".encode()
        # Filled up to whole blocks, so that the length tells little of the mailbox. The first octet is
        # the number of octets that were added.
        filling = -(len(words) + 1) % _BLOCK
        words = _LENGTHS[filling] + words + _FILLINGS[filling]
        return urlsafe_b64encode(self._seal.seal(words)).rstrip(b"=").decode("ascii")

    def read(self, token: str) -> Unsubscribed:
        """Return what *token* says. Raises `InputError` when it was made with another secret, or cut."""
        try:
            words = self._signed(token) if "." in token else self._sealed(token)
            mailbox, _, rest = words.decode().partition("\n")
        except (itsdangerous.BadSignature, binascii.Error, UnicodeError):
            raise InputError("the unsubscribe token is not one of ours, or was cut") from None
        campaign, mark, list_id = rest.rpartition(_LIST)
        return Unsubscribed(mailbox, campaign if mark else rest, list_id if mark else "")

    def _sealed(self, token: str) -> bytes:
        octets = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
        words = self._seal.open(octets) if len(octets) > _PROOF else None
        if words is None:
            raise binascii.Error("not sealed here")
        return words[1 : len(words) - words[0]]

    def _signed(self, token: str) -> bytes:
        signer = itsdangerous.Signer(self._secret, salt=_SALT, digest_method=sha256)
        body = signer.unsign(token)
        return urlsafe_b64decode(body + b"=" * (-len(body) % 4))


def read_token(token: str, secret: str | bytes, *previous: str | bytes) -> Unsubscribed:
    """Return who asks to be taken off the list: for the page behind the unsubscribe URL.

    *previous* are earlier secrets: links that were made with them are in mails that people keep. Raises
    `InputError` when *token* was made with none of all these.
    """
    for one in (secret, *previous[:-1]) if previous else ():
        with contextlib.suppress(InputError):
            return TokenSigner(one).read(token)
    return TokenSigner(previous[-1] if previous else secret).read(token)


class Pattern:
    """A URL with holes, filled for each recipient."""

    def __init__(self, pattern: str) -> None:
        pieces = _HOLE.split(pattern)
        self._constants = pieces[::2]
        self._names = pieces[1::2]

    def filled(self, values: Mapping[str, object], token: str) -> str:
        """Return the URL; raises `InputError` when *values* lacks a field."""
        done = [self._constants[0]]
        for name, constant in zip(self._names, self._constants[1:], strict=True):
            if name == "token":
                done.append(token)
            elif values.get(name) is not None:
                done.append(quote(str(values[name]), safe=""))
            else:
                raise InputError(
                    f"the unsubscribe URL wants the field {name!r}, which is not there"
                )
            done.append(constant)
        return "".join(done)
