"""Where comments, raw text and tags stand in a document, in linear time.

A pattern such as ``<!--.*?-->`` reads the whole rest of the text at each opening that nothing closes: a
megabyte of ``<!--`` takes hours. Here an ending that was not found once is not looked for again.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from html import unescape
from typing import Final

NAME: Final = r"[a-zA-Z][^\s/>\"'=<]*"
# Each piece is taken whole: a match that fails is not tried again with half of one, which would take
# quadratic time.
ATTRIBUTES: Final = r"(?:[^<>\"']++|\"[^\"]*+\"|'[^']*+')*"
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
"""What closes the spans that `TAGS` opens; a tag is complete without."""


@dataclass(frozen=True, slots=True)
class Span:
    """What was found: its *kind* (a group of the opening pattern), its opening, and its closing.

    *closing* is None for a kind that nothing closes, such as a tag.
    """

    kind: str
    opening: re.Match[str]
    closing: re.Match[str] | None

    @property
    def start(self) -> int:
        """The offset of its first character."""
        return self.opening.start()

    @property
    def end(self) -> int:
        """The offset after its last character."""
        return (self.closing or self.opening).end()

    @property
    def text(self) -> str:
        """All of it, opening and closing too."""
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

    *opening* matches where one begins; the name of its outermost group is the kind. *closings* says what
    closes a kind; a kind without an entry ends where its opening does. An opening whose closing is
    missing is passed over.
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
