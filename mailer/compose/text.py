"""How the text part is made from the HTML when the template has none.

A reader without HTML should find the same words, the links, and the images' alternative texts. inscriptis
lays out paragraphs, lists and tables. What is removed from the document before, and what is added, is
decided here. Where the template could be recorded, the text is made once from the recording, with a token
for each value, and a recipient's values are put in as plain text.
"""

import html
import re
from collections.abc import Iterator
from typing import Any, Final

import css_inline
from inscriptis import Inscriptis
from inscriptis.css_profiles import STRICT_CSS_PROFILE
from inscriptis.model.config import ParserConfig
from lxml import html as lxml_html
from lxml.etree import ParserError

from mailer.compose.spans import ATTRIBUTES, COMMENT, RAW, TAG, Span, replaced
from mailer.errors import TemplateError

DEEPEST: Final = 400
"""Elements within elements. No mail has more. Parsers of HTML run out of stack at some number, and end
the process."""

_CONFIG: Final = ParserConfig(css=STRICT_CSS_PROFILE, display_links=False, display_images=False)
_BLANK_LINES: Final = re.compile(r"\n[ \t]*\n(?:[ \t]*\n)+")
_UNREAD: Final = re.compile(
    r"(?P<comment><!--)|<!\[[^<>]*>|<(?:(?P<script>script)|(?P<title>title))\b", re.IGNORECASE
)
_UNREAD_ENDS: Final = {"comment": COMMENT, "script": RAW["script"], "title": RAW["title"]}
_STYLE: Final = re.compile(rf"(?P<style><style\b({ATTRIBUTES})>)", re.IGNORECASE)
_STYLE_ENDS: Final = {"style": RAW["style"]}
_MEDIA: Final = re.compile(r"\bmedia\s*=\s*[\"']?([^\"'>]*)", re.IGNORECASE)
_DECLARATION: Final = re.compile(r"\bxmlns:|^\s*<\?xml[^>]*\?>")
_VOID: Final = frozenset("area base br col embed hr img input link meta source track wbr".split())  # noqa: SIM905
# How preheaders are hidden. Templates use several of these at once, because no reader knows all.
_HIDING: Final = re.compile(
    r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*hidden|(?:left|text-indent)\s*:\s*-\d{4}"
    r"|opacity\s*:\s*0*\.?0*\s*(?=$|;|!)|(?:max-)?(?:height|width)\s*:\s*0(?:px|em|pt|%)?\s*(?=$|;|!)"
    r"|font-size\s*:\s*0(?:\.0*)?(?:px|em|pt|%)?\s*(?=$|;|!))",
    re.IGNORECASE,
)
_CLIPPED: Final = re.compile(r"(?:^|;)\s*overflow(?:-[xy])?\s*:\s*hidden", re.IGNORECASE)
_ZERO_SIZE: Final = re.compile(r"^\s*;?\s*(?:max-)?(?:height|width)", re.IGNORECASE)
_ZERO_TEXT: Final = re.compile(r"^\s*;?\s*font-size", re.IGNORECASE)
_SHOWN: Final = re.compile(r"(?:^|;)\s*display\s*:\s*(?!none)\w", re.IGNORECASE)
# Characters that would end a URL in angle brackets.
_IN_BRACKETS: Final = str.maketrans({" ": "%20", "<": "%3C", ">": "%3E"})
_BLOCKS: Final = frozenset(
    "table div p h1 h2 h3 h4 h5 h6 ul ol dl center blockquote section article header footer".split()  # noqa: SIM905
)
# A number between two characters of private use, which no parser takes for anything but text.
_TOKEN: Final = "\ue0f0{}\ue0f1"  # noqa: S105 - of a text, not a secret
_TOKENS: Final = re.compile("\ue0f0([0-9]+)\ue0f1")
_SPACE: Final = re.compile(r"[ \t\r\n\f]+")


def text_of(document: str) -> str:
    """Return the text of an HTML *document*: its words, with the targets of its links.

    Raises `TemplateError` for a document that is nested too deeply to be read.
    """
    check_depth(document)
    tree = _tree(_with_styles(replaced(document, _UNREAD, _UNREAD_ENDS, lambda _: "")))
    if tree is None:
        return "\n"
    _prepare(tree)
    text = Inscriptis(tree, _CONFIG).get_text()
    lines = [line.rstrip() for line in text.split("\n")]
    return _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip("\n") + "\n"


def check_depth(document: str) -> None:
    """Raise `TemplateError` when elements are nested deeper than parsers can go."""
    if document.count("<") <= DEEPEST:
        return
    depth = 0
    for tag in TAG.finditer(document):
        if tag["slash"]:
            depth = max(depth - 1, 0)
        elif tag["name"].lower() not in _VOID and not tag[0].endswith("/>"):
            depth += 1
            if depth > DEEPEST:
                raise TemplateError(f"the HTML is nested more than {DEEPEST} elements deep")


def _with_styles(document: str) -> str:
    """Write the rules of style sheets into attributes if one may hide something; remove the sheets."""
    if "<style" not in document.lower():
        return document
    document = replaced(document, _STYLE, _STYLE_ENDS, _for_screens)
    if _HIDING.search(document.replace("{", ";").replace("}", ";")):
        inliner = css_inline.CSSInliner(load_remote_stylesheets=False, keep_style_tags=False)
        document = inliner.inline(document)
    return replaced(document, _STYLE, _STYLE_ENDS, lambda _: "")


def _for_screens(sheet: Span) -> str:
    return f"<style>{sheet.content}</style>" if _is_for_screens(sheet.opening[2]) else ""


def _is_for_screens(attributes: str) -> bool:
    media = _MEDIA.search(attributes)
    return media is None or media[1].strip().lower() in {"", "all", "screen", "only screen"}


def _tree(document: str) -> Any:
    document = _DECLARATION.sub("", document.replace("\0", ""))
    if not document.strip():
        return None
    try:
        return lxml_html.document_fromstring(document)
    except ParserError:  # nothing but comments
        return None


def _prepare(tree: Any) -> None:
    for element in list(tree.iter()):
        if not isinstance(element.tag, str):
            continue
        if _is_hidden(element):
            _drop(element)
            continue
        # inscriptis aligns with blanks: a centred heading would have fifty before it.
        for name in ("align", "valign"):
            element.attrib.pop(name, None)
        _keep_layout(element)
        if element.tag == "img":
            element.tail = (element.get("alt") or "") + (element.tail or "")
        elif element.tag == "a":
            _show_link(element)
        elif element.tag == "table" and _is_layout(element):
            for part in _own_parts(element):
                part.tag = "div"


def _is_hidden(element: Any) -> bool:
    if "hidden" in element.attrib or element.tag in {"head", "style", "template"}:
        return bool(element.tag != "html")
    style = element.get("style") or ""
    hiding = {_kind(found, style) for found in _HIDING.finditer(style)}
    # An element without height still shows what it holds, unless overflow is hidden. A cell with text of
    # size 0 shows columns that set a size of their own.
    return (
        "always" in hiding
        or ("size" in hiding and bool(_CLIPPED.search(style)))
        or (
            "text" in hiding
            and not any("font-size" in (e.get("style") or "") for e in element.iterdescendants())
        )
    )


def _kind(found: re.Match[str], style: str) -> str:
    if _ZERO_SIZE.match(found[0]):
        return "size"
    if _ZERO_TEXT.match(found[0]):
        return "text"
    important = style[found.end() :].lstrip().lower().startswith("!")
    # A later declaration of the property wins, unless this one is important.
    again = "display" in found[0].lower() and _SHOWN.search(style, found.end())
    return "never" if again and not important else "always"


def _drop(element: Any) -> None:
    parent = element.getparent()
    if parent is not None:
        element.drop_tree()


def _keep_layout(element: Any) -> None:
    """Keep of a style what matters to plain text: ``display`` and ``white-space``."""
    style = element.attrib.pop("style", None)
    if style:
        kept = [
            part.split("!")[0]
            for part in style.split(";")
            if part.strip().lower().startswith(("display", "white-space"))
            # A declaration that hides is dropped: a later one overrides it, or the element would be gone.
            and not _HIDING.match(part)
        ]
        if kept:
            element.set("style", ";".join(kept))


def _show_link(link: Any) -> None:
    """Write the target of a link behind its text, in angle brackets (RFC 3986 appendix C)."""
    target = "".join((link.get("href") or "").split("\n")).strip().translate(_IN_BRACKETS)
    if not target or target.startswith("#"):
        return
    words = " ".join(_words(link)).split()
    said = " ".join(words).strip()
    bare = re.sub(r"^(?:https?://|mailto:|tel:)|/$", "", target)
    if said in {"", target, bare, f"{bare}/"}:
        for child in list(link):
            link.remove(child)
        link.text = f"<{target}>"
        return
    shown = f" <{target}>"
    if len(link):
        link[-1].tail = (link[-1].tail or "").rstrip() + shown
    else:
        link.text = (link.text or "").rstrip() + shown


def _words(element: Any) -> Iterator[str]:
    if element.tag == "img":
        yield element.get("alt") or ""
    elif isinstance(element.tag, str) and not _is_hidden(element):
        yield element.text or ""
        for child in element:
            yield from _words(child)
            yield child.tail or ""


def _is_layout(table: Any) -> bool:
    """Tell whether a table is for layout: it says so by its role, or its cells hold blocks."""
    if (table.get("role") or "").lower() in {"presentation", "none"}:
        return True
    return any(
        inner.tag in _BLOCKS for inner in table.iterdescendants() if isinstance(inner.tag, str)
    )


def _own_parts(table: Any) -> Iterator[Any]:
    yield table
    for child in list(table):
        if child.tag in {"tbody", "thead", "tfoot", "tr"}:
            yield from _own_parts(child)
        elif child.tag in {"td", "th", "caption"}:
            yield child


def text_of_pieces(pieces: list[str | int]) -> list[str | int] | None:
    """Return the text of a document with holes in it; the numbers in *pieces* are the holes.

    None for a document with a character that tokens are made of: then the text must be made from each
    finished document.
    """
    if any(isinstance(piece, str) and "\ue0f0" in piece for piece in pieces):
        return None
    tokens = [p if isinstance(p, str) else _TOKEN.format(p) for p in pieces]
    parts: list[str | int] = list(_TOKENS.split(text_of("".join(tokens))))
    parts[1::2] = [int(number) for number in parts[1::2]]
    return parts


class MarkupInValueError(ValueError):
    """A value that is HTML: which text it makes depends on where it stands in the document."""


def plain(markup: str) -> str:
    """Return the text of a value that stood in HTML: entities resolved, white space as one blank.

    Raises `MarkupInValueError` for a value with a ``<``.
    """
    if "<" in markup:
        raise MarkupInValueError("markup in a value")
    text = html.unescape(markup) if "&" in markup else str(markup)
    return _SPACE.sub(" ", text) if "\n" in text or "  " in text or "\t" in text else text
