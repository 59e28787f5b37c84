"""What must not be shown is taken out of a server's text: secrets and addresses that the session knows.

A server may repeat what it was sent: ``535 unknown command AUTH PLAIN AG5ld3…``. The session knows its
secrets, every line it wrote to log in, and its own addresses. So these are looked for, in the forms in
which they come back: as they are, in base64 at any offset, percent-encoded, in hex, upper-cased, cut
short, or broken in pieces. The work grows linearly with the text.
"""

import base64
import re
import urllib.parse
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

from mailer.smtp.reply import Reply

SHOWN = "…"
"""What stands for that which is not shown."""
PIECE = 8
"""How many characters of a secret in a row must not be shown: a text's piece with so many is masked."""
SHORTEST = 3
"""A secret, or an end of a text that begins one, below so many characters says nothing."""

_PATH = re.compile(r"(?:FROM|TO):<([^>]*)>", re.IGNORECASE)
_TOO_COMMON = frozenset(
    [
        "access",
        "account",
        "address",
        "again",
        "authentication",
        "blocked",
        "denied",
        "domain",
        "exceeded",
        "failed",
        "host",
        "invalid",
        "later",
        "limit",
        "login",
        "mail",
        "mailbox",
        "message",
        "no",
        "not",
        "password",
        "policy",
        "quota",
        "recipient",
        "rejected",
        "relay",
        "sender",
        "server",
        "service",
        "spam",
        "temporarily",
        "try",
        "unknown",
        "user",
        "users",
        "the",
    ]
)

"""Words that replies are made of: as a local part, or a password, they tell nobody anything."""


class Mask:
    """The secrets of one session; `clean` takes them out of a text."""

    __slots__ = ("_known", "_pieces", "_whole")

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._pieces: dict[int, set[str]] = {}
        self._whole: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self._known)

    def __repr__(self) -> str:
        return f"<Mask of {len(self._known)} strings>"

    def add(self, *secrets: str) -> None:
        """Keep *secrets* out of every text from now on, in each form that a server may give them."""
        for form in {form for secret in secrets for form in _forms(secret)} - self._known:
            self._known.add(form)
            size = min(len(form), PIECE)
            pieces = self._pieces.setdefault(size, set())
            pieces.update(form[start : start + size] for start in range(len(form) - size + 1))
        self._whole = tuple(self._known)

    def holds(self, text: str) -> bool:
        """Whether *text* has one of the secrets whole: a quick look, for replies that accept."""
        folded = text.casefold()
        return any(form in folded for form in self._whole)

    def clean(self, text: str) -> str:
        """Return *text* without any secret, or piece of one."""
        if not self._known:
            return text
        folded = text.casefold()
        if len(folded) != len(text):
            # A letter that folds into two would shift what follows it.
            folded = "".join(char if len(char.casefold()) > 1 else char.casefold() for char in text)
        hidden = bytearray(len(text))
        for size, pieces in self._pieces.items():
            for start in range(len(folded) - size + 1):
                if folded[start : start + size] in pieces:
                    hidden[start : start + size] = b"\1" * size
        self._hide_a_cut_end(folded, hidden)
        return _without(text, hidden)

    def _hide_a_cut_end(self, folded: str, hidden: bytearray) -> None:
        """The text may end in the middle of a secret: by the server, or where we cut it."""
        text = folded.rstrip(" .'\">)]…")
        for size in range(PIECE - 1, SHORTEST - 1, -1):
            if any(form.startswith(text[-size:]) for form in self._known if len(text) >= size):
                hidden[len(text) - size : len(text)] = b"\1" * size
                return


def _forms(secret: str) -> Iterable[str]:
    """The forms of *secret*, case-folded; none if it is so short that it says nothing."""
    raw = secret.encode("utf-8", "surrogateescape")
    forms = {
        secret,
        urllib.parse.quote(secret, safe="", errors="replace"),
        raw.hex(),
        _escaped(secret),
    }
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + raw).decode()
        # The first and last characters also encode what stands beside the secret.
        start, end = (0, 2, 3)[offset], len(encoded) - (4 if (offset + len(raw)) % 3 else 0)
        forms.add(encoded[start:end].rstrip("="))
    forms.add(base64.b64encode(raw).decode().rstrip("="))
    # Masked, an ordinary word would leave holes in every reply. What is made of it stays hidden.
    found = {form.casefold() for form in forms if len(form) >= SHORTEST}
    return found - _TOO_COMMON


def _escaped(secret: str) -> str:
    return secret.encode("unicode_escape").decode("ascii")


def _without(text: str, hidden: bytearray) -> str:
    if 1 not in hidden:
        return text
    parts: list[str] = []
    position = 0
    while (start := hidden.find(1, position)) >= 0:
        end = hidden.find(0, start)
        end = len(text) if end < 0 else end
        parts += (text[position:start], SHOWN)
        position = end
    return "".join(parts) + text[position:]


def masked(reply: Reply, clean: Mask) -> Reply:
    """Return *reply* without the secrets that *clean* knows."""
    lines = tuple(clean.clean(line) for line in reply.lines)
    return reply if lines == reply.lines else replace(reply, lines=lines, unmasked=reply.text)


# Addresses.


def addresses_in(command: str) -> list[str]:
    """The mailboxes in MAIL and RCPT commands."""
    return [path for path in _PATH.findall(command) if path]


def without_addresses(text: str, addresses: Iterable[str]) -> str:
    """Return *text* without *addresses*, however a server spells them.

    As they are; with ``=40``, ``%40``, ``&#64;``, ``(at)`` for the @; quoted; percent-encoded or as
    xtext (RFC 3461); and the local part alone.
    """
    for address in dict.fromkeys(addresses):
        if address and (pattern := _spellings(address)) is not None:
            text = pattern.sub(SHOWN, text)
    return text


_AT = r"(?:@|=40|=|%40|\+40|&#64;|\s?[\[(]at[\])]\s?| at )"


@lru_cache(maxsize=256)
def _spellings(address: str) -> re.Pattern[str] | None:
    local, _, domain = address.rpartition("@")
    bare = local.strip('"')
    if not bare:
        return None
    quoted = {urllib.parse.quote(bare, safe=""), urllib.parse.quote(bare, safe="=+"), _xtext(bare)}
    locals_ = "|".join(
        re.escape(form) for form in sorted({bare, local, *quoted}, key=len, reverse=True)
    )
    site = rf"{_AT}{re.escape(domain)}"
    alone = "?" if len(bare) >= SHORTEST and bare.lower() not in _TOO_COMMON else ""
    return re.compile(rf'(?<![\w.])"?(?:{locals_})"?(?:{site}){alone}(?![\w-])', re.IGNORECASE)


def _xtext(text: str) -> str:
    return re.sub(r"[^!-*,-<>-~]", lambda char: f"+{ord(char[0]):02X}", text)
