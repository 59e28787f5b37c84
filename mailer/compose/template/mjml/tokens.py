"""How Jinja's tags are taken out of MJML while it is compiled, and put back.

mrml reads XML and knows nothing of Jinja: in ``{% if n < 2 %}`` it would see markup. So each tag is a
token while it works. When a tag is put back, a line break is put after its opening, where Jinja allows
one. So each stands on a line of its own, and Jinja's line numbers tell tags apart: a fault can be told by
the line of the source.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mailer.compose.spans import replaced
from mailer.compose.template.mjml.places import Place, Places

JINJA: Final = r"(?P<raw>\{%[-+]?\s*raw\b)|(?P<value>\{\{)|(?P<control>\{%)|(?P<comment>\{#)"
"""Where something of Jinja's begins."""

JINJA_ENDS: Final = {
    "raw": re.compile(r"\{%[-+]?\s*endraw\s*[-+]?%\}"),
    "value": re.compile(r"\}\}"),
    "control": re.compile(r"%\}"),
    "comment": re.compile(r"#\}"),
}
_JINJA: Final = re.compile(JINJA)
_OPENING: Final = re.compile(r"\A\{[{%][-+]?(?!\s*raw\b)")
_ENTITIES: Final = {"&lt;": "<", "&gt;": ">", "&quot;": '"', "&#39;": "'", "&amp;": "&"}
_ENTITY: Final = re.compile("|".join(_ENTITIES))


@dataclass(frozen=True, slots=True)
class Compiled:
    """The HTML, and where each of its lines with a Jinja tag came from."""

    html: str
    lines: Mapping[int, Place]


class Tokens:
    """What was taken out of a source, to be put back: text and line by token."""

    def __init__(self, source: str) -> None:
        self._mark = "xJinja"
        while self._mark in source:
            self._mark += "j"
        self.found = re.compile(rf"{self._mark}(\d+)x")
        self.kept: list[tuple[str, int]] = []

    def put(self, text: str, line: int) -> str:
        """Return a token for *text*, which stands in *line* of the source; 0 for none."""
        self.kept.append((text, line))
        return f"{self._mark}{len(self.kept) - 1}x"

    def inner(self, text: str) -> str:
        """Return *text* with what its tokens stand for: it is to become a token itself."""
        return self.found.sub(lambda found: self.kept[int(found[1])][0], text)

    def line(self, before: str) -> int:
        """Return the line of the source for the end of *before*, in which Jinja tags are tokens."""
        inside = (self.kept[int(found[1])][0] for found in self.found.finditer(before))
        return before.count("\n") + sum(text.count("\n") for text in inside) + 1


def without_jinja(text: str, tokens: Tokens) -> str:
    """Return *text* with a token for each Jinja tag."""
    lines = _Lines(text)
    return replaced(
        text, _JINJA, JINJA_ENDS, lambda tag: tokens.put(_meant(tag.text), lines.line(tag.start))
    )


class _Lines:
    """Tells the lines of offsets, which must be asked for in order."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1

    def line(self, at: int) -> int:
        self._line += self._text.count("\n", self._at, at)
        self._at = at
        return self._line


def _meant(tag: str) -> str:
    """Return a Jinja tag without XML's entities: Jinja reads ``<``, not ``&lt;``."""
    return tag if tag.startswith("{#") else _ENTITY.sub(lambda found: _ENTITIES[found[0]], tag)


def put_back(compiled: str, tokens: Tokens, places: Places) -> Compiled:
    """Return *compiled* with what its tokens stand for, and the places of its lines with Jinja tags."""
    lines: dict[int, Place] = {}
    pieces: list[str] = []
    end, number = 0, 1
    for found in tokens.found.finditer(compiled):
        tag, line = tokens.kept[int(found[1])]
        before = compiled[end : found.start()]
        number += before.count("\n")
        if line:
            # A line break after the opening: the tag's first word is on a line of its own.
            tag, broken = _OPENING.subn(lambda opening: f"{opening[0]}\n", tag, count=1)
            lines.setdefault(number, places.of(line))
            for offset in range(1, tag.count("\n") + 1):
                lines[number + offset] = places.of(line + offset - broken)
        number += tag.count("\n")
        pieces += (before, tag)
        end = found.end()
    pieces.append(compiled[end:])
    return Compiled("".join(pieces), lines)
