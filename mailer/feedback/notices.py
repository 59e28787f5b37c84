"""What the text of a notice says, and where the returned message begins."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

from mailer.feedback.parts import Headers, Part, headers_of
from mailer.feedback.patterns import Patterns

MAX_NOTICE: Final = 1 << 14
"""Characters of a notice that are looked at."""
MAX_LINE: Final = 998
"""RFC 5322, section 2.1.1: no line of a mail is longer."""

_TAG: Final = re.compile(r"<[^<>]{0,400}>")
_BREAK: Final = re.compile(r"<(?:br|/p|/div|/tr|/li|/h\d|/td)\b[^<>]{0,100}>", re.IGNORECASE)
_ENTITIES: Final = {
    "&lt;": "<",
    "&gt;": ">",
    "&nbsp;": " ",
    "&quot;": '"',
    "&#39;": "'",
    "&#64;": "@",
    "&amp;": "&",
}
_RETURNED: Final = frozenset(
    {
        "message/rfc822",
        "text/rfc822-headers",
        "message/global",
        "message/global-headers",
        "text/rfc822",
        "message/partial",
    }
)


@dataclass(frozen=True, slots=True)
class Notice:
    """The text that a server wrote, without what it quotes, and the headers of what it returned."""

    text: str
    original: Headers

    @property
    def lines(self) -> list[str]:
        """The text's lines, long ones cut."""
        return [line[:MAX_LINE] for line in self.text.split("\n")]


@cache
def words(section: str, key: str) -> Patterns:
    """The patterns that `formats.toml` has under ``[section] key``."""
    return Patterns(formats()[section][key])


@cache
def formats() -> Mapping[str, Any]:
    """The file of formats."""
    return tomllib.loads(files("mailer.feedback").joinpath("formats.toml").read_text("utf-8"))


def notice_of(parts: Sequence[Part]) -> Notice:
    """Take the notice out of a message's parts: plain text before HTML, the returned message apart."""
    returned = next((part for part in parts if part.kind in _RETURNED), None)
    texts = [part for part in parts if part.kind == "text/plain"] or [
        part for part in parts if part.kind.startswith("text/") and part.kind not in _RETURNED
    ]
    text = "\n".join(_plain(part) for part in texts[:3])
    own, rest = _cut(text)
    original = headers_of(returned.octets) if returned else _headers_within(rest)
    return Notice(own[:MAX_NOTICE], original)


def _plain(part: Part) -> str:
    text = part.text.replace("\r", "\n")
    encoding = part.headers.get("content-transfer-encoding")
    if not encoding and ("=\n" in text or "=20\n" in text or "=3D" in text):
        # Some gateways drop the header and keep the encoding.
        text = re.sub(r"=([0-9A-F]{2})", lambda m: chr(int(m[1], 16)), text.replace("=\n", ""))
    if part.kind == "text/html" or text.lstrip()[:15].lower().startswith(
        ("<html", "<!doctype", "<p>")
    ):
        text = without_tags(text)
    return text


def without_tags(text: str) -> str:
    """The text of an HTML document, roughly: one line a block, no styles."""
    for name in ("style", "script", "head"):
        text = _without(text, f"<{name}", f"</{name}>")
    text = _TAG.sub("", _BREAK.sub("\n", text))
    for entity, letter in _ENTITIES.items():
        text = text.replace(entity, letter)
    return text


def _without(text: str, start: str, end: str) -> str:
    lower, kept, at = text.lower(), [], 0
    while (begin := lower.find(start, at)) >= 0:
        kept.append(text[at:begin])
        at = lower.find(end, begin)
        if at < 0:
            return "".join(kept)
        at += len(end)
    return "".join([*kept, text[at:]])


def _cut(text: str) -> tuple[str, str]:
    """The notice without quoted lines, and the rest from the returned message on."""
    kept: list[str] = []
    taken = 0
    marks = words("original", "line")
    for line in text.split("\n"):
        taken += len(line) + 1
        if kept and len(line) > 5 and marks.search(line[:200].strip()):
            return "\n".join(kept), text[taken - len(line) - 1 :]
        if not line.startswith(">") or line.startswith(">>> "):
            kept.append(line)
        if taken > MAX_NOTICE:
            break
    return "\n".join(kept), ""


_HEADER_LINE: Final = re.compile(
    r"^(?:return-path|received|from|to|subject|date|message-id|delivered-to|x-[\w-]{1,40}"
    r"|mime-version|dkim-signature|reply-to|list-[\w-]{1,30}): ",
    re.IGNORECASE | re.MULTILINE,
)


def _headers_within(rest: str) -> Headers:
    """The header block of a message that was returned within the text."""
    found = _HEADER_LINE.search(rest[:4000])
    if not found:
        return Headers("")
    block = rest[found.start() : found.start() + MAX_NOTICE]
    return Headers(block.partition("\n\n")[0])
