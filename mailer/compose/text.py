"""How the text part comes from the HTML when the template has none.

A reader without HTML should find the same words and the links. The layout is inscriptis's. Where
the template could be recorded, the text is made once from the recording, with a token for each
value, and the values are put in as plain text; so it costs nothing per recipient.
"""

import html
import re
from typing import Final

from inscriptis import get_text
from inscriptis.css_profiles import STRICT_CSS_PROFILE
from inscriptis.model.config import ParserConfig
from markupsafe import Markup

_CONFIG: Final = ParserConfig(css=STRICT_CSS_PROFILE, display_links=True, display_images=False)
_BLANK_LINES: Final = re.compile(r"\n[ \t]*\n(?:[ \t]*\n)+")
_LINK: Final = re.compile(r"\[([^\[\]]*)\]\(([^()\s]*)\)")
_HIDDEN: Final = re.compile(r"<(head|style|script|title)\b.*?</\1\s*>", re.DOTALL | re.IGNORECASE)
# Two private characters around a number: no parser takes them apart, and no text has them.
_TOKEN: Final = "\ue0f0{}\ue0f1"  # noqa: S105 - of a text, not a secret
_TOKENS: Final = re.compile("\ue0f0([0-9]+)\ue0f1")


def text_of(document: str) -> str:
    """Return the text of an HTML *document*: its words, with the targets of its links."""
    text = get_text(_HIDDEN.sub("", document), _CONFIG)
    text = _LINK.sub(_shown_link, text)
    lines = [line.rstrip() for line in text.split("\n")]
    return _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip("\n") + "\n"


def _shown_link(found: re.Match[str]) -> str:
    """Write a link as plain mail does, in angle brackets; RFC 3986 appendix C recommends them."""
    words, target = found.groups()
    return f"<{target}>" if words.strip() in {"", target} else f"{words} <{target}>"


def text_of_pieces(pieces: list[str | int]) -> list[str | int] | None:
    """Return the text of a document with holes, numbers, in it; the same holes in the result.

    None when a hole got lost: then the text must be made from each finished document.
    """
    if any(isinstance(piece, str) and "\ue0f0" in piece for piece in pieces):
        return None
    tokens = [p if isinstance(p, str) else _TOKEN.format(p) for p in pieces]
    parts: list[str | int] = list(_TOKENS.split(text_of("".join(tokens))))
    parts[1::2] = [int(number) for number in parts[1::2]]
    return parts


def plain(markup: str) -> str:
    """Return the text of a value that stood in HTML: without tags, entities resolved."""
    if "<" in markup:
        return str(Markup(markup).striptags())  # noqa: S704 - it is what HTML was made of
    return html.unescape(markup) if "&" in markup else str(markup)
