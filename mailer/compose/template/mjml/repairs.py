"""What mrml cannot read, and other compilers can: it is rewritten before mrml reads it.

These are: blanks between elements; comments in ``mj-head``, in styles that are inlined, with ``--`` in
them, and Outlook's in ``mj-raw``; HTML that is no XML; ``mj-container`` of MJML 3; ``mj-raw`` in
``mj-wrapper``.
"""

import re
from typing import Final
from xml.parsers.expat import ExpatError, ParserCreate

from mailer.compose.spans import ATTRIBUTES, COMMENT, Span, replaced, spans
from mailer.compose.template.mjml.tokens import Tokens

TAGS: Final = re.compile(rf"(?P<comment><!--)|(?P<tag><(/?)(mj[\w-]*)({ATTRIBUTES})>)")
"""MJML's tags, and the comments that they may stand in."""

# Elements that hold HTML as people write it: <br>, a <p> without </p>, attributes without quotes.
WRITTEN: Final = (
    "text",
    "table",
    "button",
    "raw",
    "accordion_title",
    "accordion_text",
    "navbar_link",
)
_COMMENTS: Final = re.compile(r"(?P<comment><!--)")
COMMENT_END: Final = {"comment": COMMENT}
_PARTS: Final = {
    part: (
        re.compile(rf"(?P<part><{part}\b{ATTRIBUTES}>)"),
        {"part": re.compile(rf"</{part}\s*>")},
    )
    for part in ("mj-head", "mj-raw", "mj-style")
}


def elements(*names: str) -> tuple[str, dict[str, re.Pattern[str]]]:
    """A pattern for the start tags of these elements, a group for each (``mj_text``), and their ends."""
    tags = {f"mj_{name}": f"mj-{name.replace('_', '-')}" for name in names}
    opening = "|".join(
        rf"(?P<{group}><{tag}(?![\w-]){ATTRIBUTES}(?<!/)>)" for group, tag in tags.items()
    )
    return opening, {group: re.compile(rf"</{tag}\s*>") for group, tag in tags.items()}


_HTML_BEGINS, _HTML_ENDS = elements(*WRITTEN)
_HTML: Final = re.compile(_HTML_BEGINS)
_CSS_COMMENTS: Final = re.compile(r"(?P<comment>/\*)")
_CSS_COMMENT_END: Final = {"comment": re.compile(r"\*/")}
_CONTAINER: Final = re.compile(
    rf"<mj-body\b({ATTRIBUTES})>(\s*+)<mj-container\b({ATTRIBUTES})(?<!/)>"
)
_CONTAINER_END: Final = re.compile(r"</mj-container(\s*)>")
# mrml takes white space between elements for text, if it does not begin with a line break.
_BLANKS: Final = re.compile(rf"</?mj[\w-]*{ATTRIBUTES}>[ \t]++(?=[\n<])|-->[ \t]++(?=\n)")


def without_head_comments(text: str) -> str:
    """Take the comments out of the head, where mrml refuses them."""
    return replaced(text, *_PARTS["mj-head"], _without_comments)


def repaired(text: str, tokens: Tokens) -> str:
    """Return *text*, in which Jinja's tags are tokens, as mrml reads it."""
    text = _without_container(text)
    text = replaced(text, *_PARTS["mj-style"], lambda style: _style(style, tokens))
    text = replaced(text, *_PARTS["mj-raw"], lambda raw: _raw(raw, tokens))
    text = replaced(text, _HTML, _HTML_ENDS, _Html(text, tokens).kept)
    text = replaced(text, _COMMENTS, COMMENT_END, _dashes_apart)
    return _BLANKS.sub(lambda found: found[0].rstrip(" \t"), text)


def _without_comments(part: Span) -> str:
    return replaced(part.text, _COMMENTS, COMMENT_END, lambda one: "\n" * one.text.count("\n"))


def _without_container(text: str) -> str:
    """Give the attributes of MJML 3's ``mj-container`` to ``mj-body``, as MJML 4 does."""
    text, found = _CONTAINER.subn(r"<mj-body\1 \3>\2", text, count=1)
    return _CONTAINER_END.sub(r"\1", text, count=1) if found else text


def _dashes_apart(comment: Span) -> str:
    """Return a comment as XML asks for it: without ``--`` in it, or ``-`` at its end."""
    content = re.sub("-(?=-)", "- ", comment.content)
    return comment.around(f"{content} " if content.endswith("-") else content)


def _style(part: Span, tokens: Tokens) -> str:
    """Take out a style sheet with a ``<`` in it, or only its comments if mrml is to inline it."""

    def lines(comment: Span) -> str:
        return "\n" * tokens.inner(comment.text).count("\n")

    if "<" not in part.content:
        return part.text
    if re.search(r"\binline", part.opening[0]):
        return part.around(replaced(part.content, _CSS_COMMENTS, _CSS_COMMENT_END, lines))
    return part.around(tokens.put(tokens.inner(part.content), 0))


def _raw(part: Span, tokens: Tokens) -> str:
    """Take out comments, which mrml need not read."""

    def kept(comment: Span) -> str:
        return tokens.put(tokens.inner(comment.text), 0)

    return part.around(replaced(part.content, _COMMENTS, COMMENT_END, kept))


class _Html:
    """Takes out HTML that is no XML. Parts must be given in their order, because lines are counted."""

    def __init__(self, text: str, tokens: Tokens) -> None:
        self._text = text
        self._tokens = tokens
        self._at = 0
        self._line = 1

    def kept(self, part: Span) -> str:
        """Return *part* with a token for its content, where mrml could not read that."""
        if _is_xml(part.content):
            return part.text
        start = part.opening.end()
        self._line += self._tokens.line(self._text[self._at : start]) - 1
        self._at = start
        return part.around(self._tokens.put(self._tokens.inner(part.content), self._line))


def _is_xml(content: str) -> bool:
    try:
        ParserCreate().Parse(f"<mj>{content}</mj>", True)
    except ExpatError:
        return False
    return True


def outside_comments(text: str, tokens: Tokens) -> str:
    """Close Outlook's comment before an ``mj-raw`` in an ``mj-wrapper``, and open it after.

    mrml writes such an ``mj-raw`` into the middle of that comment.
    """
    pieces: list[str] = []
    opened: list[str] = []
    end = 0
    for span in spans(text, TAGS, COMMENT_END):
        closing, name, attributes = span.opening.groups()[2:]
        if span.kind == "comment" or attributes.endswith("/"):
            continue
        if closing and opened:
            opened.pop()
        if name == "mj-raw" and opened[-1:] == ["mj-wrapper"]:
            at = span.start if closing else span.end
            mark = "<!--[if mso | IE]>" if closing else "<![endif]-->"
            pieces += (text[end:at], tokens.put(mark, 0))
            end = at
        if not closing:
            opened.append(name)
    return "".join(pieces) + text[end:]
