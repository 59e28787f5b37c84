"""Where comments, raw text and tags stand in a document, each character looked at once.

A pattern such as ``<!--.*?-->`` looks through the whole rest of the text at each opening that nothing
closes, and a megabyte of ``<!--`` takes hours. Here an ending that was looked for in vain is not
looked for again.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from html import unescape
from typing import Final

NAME: Final = r"[a-zA-Z][^\s/>\"'=<]*"
# Possessive, for a failed match must not be tried in shorter ways.
ATTRIBUTES: Final = r"(?:[^<>\"']++|\"[^\"]*\"|'[^']*')*+"
TAG: Final = re.compile(rf"<(?P<slash>/?)(?P<name>{NAME})(?P<attributes>{ATTRIBUTES})>")
ATTRIBUTE: Final = re.compile(
    r"(?P<name>[^\s\"'>/=]+)(?:\s*=\s*(?:\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)'|(?P<bare>[^\s\"'>]+)))?"
)
COMMENT: Final = re.compile("-->")
RAW: Final = {
    name: re.compile(rf"</{name}\s*>", re.IGNORECASE)
    for name in ("style", "script", "title", "textarea")
}
"""Elements in whose content a ``<`` is no tag, and what closes them."""

TAGS: Final = re.compile(
    "(?P<comment><!--)|"
    + "|".join(rf"(?P<{name}><{name}\b{ATTRIBUTES}>)" for name in RAW)
    + rf"|(?P<tag><(?P<slash>/?)(?P<name>{NAME})(?P<attributes>{ATTRIBUTES})>)",
    re.IGNORECASE,
)
ENDS: Final = {"comment": COMMENT, **RAW}
"""With `TAGS`: all that a document holds beside text."""


@dataclass(frozen=True, slots=True)
class Span:
    """What was found: its *kind* (a group of the opening pattern), its opening, and how it is closed."""

    kind: str
    opening: re.Match[str]
    closing: re.Match[str] | None

    @property
    def start(self) -> int:
        """Where it begins."""
        return self.opening.start()

    @property
    def end(self) -> int:
        """Where it ends."""
        return (self.closing or self.opening).end()

    @property
    def text(self) -> str:
        """All of it."""
        return self.opening.string[self.start : self.end]

    def around(self, content: str) -> str:
        """*content* between the same opening and closing."""
        assert self.closing is not None
        return self.opening[0] + content + self.closing[0]

    @property
    def content(self) -> str:
        """What stands between opening and closing."""
        assert self.closing is not None
        return self.opening.string[self.opening.end() : self.closing.start()]


def attributes(text: str) -> dict[str, str]:
    """Return the attributes in *text*, which stands in a start tag, by their names in lower case."""
    return {
        one["name"].lower(): unescape(one["double"] or one["single"] or one["bare"] or "")
        for one in ATTRIBUTE.finditer(text)
    }


def spans(
    text: str, opening: re.Pattern[str], closings: Mapping[str, re.Pattern[str]]
) -> Iterator[Span]:
    """Yield the outermost spans of *text*, in order.

    *opening* matches where one begins; the name of its group says the kind, and *closings* what closes
    that, if anything does. An opening that nothing closes is passed over.
    """
    missing: set[str] = set()
    at = 0
    while found := opening.search(text, at):
        kind = found.lastgroup or ""
        closing = None
        at = found.end()
        if kind in closings:
            closing = None if kind in missing else closings[kind].search(text, at)
            if closing is None:
                missing.add(kind)
                continue
            at = closing.end()
        yield Span(kind, found, closing)


def replaced(
    text: str,
    opening: re.Pattern[str],
    closings: Mapping[str, re.Pattern[str]],
    by: Callable[[Span], str],
) -> str:
    """Return *text* with each of its `spans` replaced by what *by* says."""
    pieces: list[str] = []
    end = 0
    for span in spans(text, opening, closings):
        pieces += (text[end : span.start], by(span))
        end = span.end
    return "".join(pieces) + text[end:]
