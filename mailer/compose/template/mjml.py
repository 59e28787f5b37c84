"""How MJML with Jinja in it becomes HTML with Jinja in it.

The compiler is the optional package ``mrml``, which includes nothing from anywhere. It reads XML and
knows nothing of Jinja, where ``{% if n < 2 %}`` is no markup; so each Jinja tag is a token while it
works, and is put back afterwards. A line break is put into each tag then, where Jinja does not mind
one: so that each stands on a line of its own, and a fault can be told by the line of the source.

What mrml stumbles over and other compilers take is made up for: CRLF, an XML declaration, blanks between
elements, comments (in ``mj-head``, in inlined styles, with ``--``, Outlook's in ``mj-raw``), HTML that is
no XML, the ``mj-container`` of MJML 3. What it would hand on uncompiled is refused.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from xml.parsers.expat import ExpatError, ParserCreate

from mailer.compose.spans import ATTRIBUTES, COMMENT, Span, replaced, spans
from mailer.compose.text import check_depth
from mailer.errors import TemplateError

_JINJA: Final = re.compile(
    r"(?P<raw>\{%[-+]?\s*raw\b)|(?P<value>\{\{)|(?P<control>\{%)|(?P<comment>\{#)"
)
_JINJA_ENDS: Final = {
    "raw": re.compile(r"\{%[-+]?\s*endraw\s*[-+]?%\}"),
    "value": re.compile(r"\}\}"),
    "control": re.compile(r"%\}"),
    "comment": re.compile(r"#\}"),
}
_OPENING: Final = re.compile(r"\A\{[{%][-+]?(?!\s*raw\b)")
# What holds HTML as people write it: <br>, a <p> that nobody closes, attributes without quotes.
_WRITTEN: Final = (
    "text",
    "table",
    "button",
    "raw",
    "accordion_title",
    "accordion_text",
    "navbar_link",
)
_COMMENTS: Final = re.compile(r"(?P<comment><!--)")
_COMMENT_END: Final = {"comment": COMMENT}
_PARTS: Final = {
    part: (
        re.compile(rf"(?P<part><{part}\b{ATTRIBUTES}>)"),
        {"part": re.compile(rf"</{part}\s*>")},
    )
    for part in ("mj-head", "mj-raw", "mj-style")
}
_HTML: Final = re.compile(
    "|".join(
        rf"(?P<{name}><mj-{name.replace('_', '-')}(?![\w-]){ATTRIBUTES}(?<!/)>)"
        for name in _WRITTEN
    )
)
_HTML_ENDS: Final = {name: re.compile(rf"</mj-{name.replace('_', '-')}\s*>") for name in _WRITTEN}
_CSS_COMMENTS: Final = re.compile(r"(?P<comment>/\*)")
_CSS_COMMENT_END: Final = {"comment": re.compile(r"\*/")}
_CONTAINER: Final = re.compile(
    rf"<mj-body\b({ATTRIBUTES})>(\s*+)<mj-container\b({ATTRIBUTES})(?<!/)>"
)
_CONTAINER_END: Final = re.compile(r"</mj-container(\s*)>")
# mrml takes white space between elements for text, if it does not begin with a line break.
_BLANKS: Final = re.compile(rf"</?mj[\w-]*{ATTRIBUTES}>[ \t]++(?=[\n<])|-->[ \t]++(?=\n)")
_REFUSED: Final = {
    "mj-include": "put the text of the file here",
    "mj-html-attributes": "write the attributes in HTML, in <mj-text>, <mj-table> or <mj-raw>",
}
_PROLOGUE: Final = re.compile(r"\A\s*(?:<\?xml[^>]*\?>\s*|<!DOCTYPE[^>]*>\s*)+", re.IGNORECASE)
_TAGS: Final = re.compile(rf"(?P<comment><!--)|(?P<tag><(/?)(mj[\w-]*)({ATTRIBUTES})>)")
_POSITION: Final = re.compile(r" in root template(?: at position (\d+):\d+)?$")
_ENTITIES: Final = {"&lt;": "<", "&gt;": ">", "&quot;": '"', "&#39;": "'", "&amp;": "&"}
_ENTITY: Final = re.compile("|".join(_ENTITIES))


@dataclass(frozen=True, slots=True)
class Compiled:
    """The HTML, and which line of the source each of its lines with a Jinja tag came from."""

    html: str
    lines: Mapping[int, int]


class _Tokens:
    """What was taken out of a source, to be put back: text and line by token."""

    def __init__(self, source: str) -> None:
        self._mark = "xJinja"
        while self._mark in source:
            self._mark += "j"
        self.found = re.compile(rf"{self._mark}(\d+)x")
        self.kept: list[tuple[str, int]] = []

    def put(self, text: str, line: int) -> str:
        self.kept.append((text, line))
        return f"{self._mark}{len(self.kept) - 1}x"

    def inner(self, text: str) -> str:
        """Put back the tokens within *text*, which becomes one itself."""
        return self.found.sub(lambda found: self.kept[int(found[1])][0], text)


def html_of_mjml(source: str, path: str) -> Compiled:
    """Compile *source*, the file at *path*. Raises `TemplateError`, with the line where it is known."""
    source = source.replace("\r\n", "\n").replace("\r", "\n")
    source = _PROLOGUE.sub(lambda found: "\n" * found[0].count("\n"), source)
    tokens = _Tokens(source)
    text = replaced(source, *_PARTS["mj-head"], _without_comments)
    lines = _Lines(text)
    text = replaced(
        text, _JINJA, _JINJA_ENDS, lambda tag: tokens.put(_meant(tag.text), lines.line(tag.start))
    )
    # Tokens are one line each: lines are counted in the source, by what stands before.
    text = _without_container(text)
    text = replaced(text, *_PARTS["mj-style"], lambda style: _style(style, tokens))
    text = replaced(text, *_PARTS["mj-raw"], lambda raw: _raw(raw, tokens))
    text = replaced(text, _HTML, _HTML_ENDS, _Html(text, tokens).kept)
    text = replaced(text, _COMMENTS, _COMMENT_END, _dashes_apart)
    text = _BLANKS.sub(lambda found: found[0].rstrip(" \t"), text)
    _check_refused(text, path, tokens)
    text = _outside_comments(text, tokens)
    compiled = _compiled(text, path, tokens)
    _check_compiled(text, compiled, path, tokens)
    _check_kept(text, compiled, path, tokens)
    return _put_back(compiled, tokens)


class _Lines:
    """Lines of offsets that are asked for in order."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1

    def line(self, at: int) -> int:
        self._line += self._text.count("\n", self._at, at)
        self._at = at
        return self._line


def _without_comments(part: Span) -> str:
    return replaced(part.text, _COMMENTS, _COMMENT_END, lambda one: "\n" * one.text.count("\n"))


def _meant(tag: str) -> str:
    """Return a Jinja tag with the entities resolved that XML asks for."""
    return tag if tag.startswith("{#") else _ENTITY.sub(lambda found: _ENTITIES[found[0]], tag)


def _without_container(text: str) -> str:
    """Give the attributes of MJML 3's ``mj-container`` to ``mj-body``, as MJML 4 does."""
    text, found = _CONTAINER.subn(r"<mj-body\1 \3>\2", text, count=1)
    return _CONTAINER_END.sub(r"\1", text, count=1) if found else text


def _dashes_apart(comment: Span) -> str:
    """Return a comment as XML asks for it: without ``--`` in it, or ``-`` at its end."""
    content = re.sub("-(?=-)", "- ", comment.content)
    return comment.around(f"{content} " if content.endswith("-") else content)


def _style(part: Span, tokens: _Tokens) -> str:
    """Take out a style sheet in which mrml would see tags; one to be inlined it must read."""

    def lines(comment: Span) -> str:
        return "\n" * tokens.inner(comment.text).count("\n")

    if "<" not in part.content:
        return part.text
    if re.search(r"\binline", part.opening[0]):
        return part.around(replaced(part.content, _CSS_COMMENTS, _CSS_COMMENT_END, lines))
    return part.around(tokens.put(tokens.inner(part.content), 0))


def _raw(part: Span, tokens: _Tokens) -> str:
    """Take out comments, which mrml need not read."""

    def kept(comment: Span) -> str:
        return tokens.put(tokens.inner(comment.text), 0)

    return part.around(replaced(part.content, _COMMENTS, _COMMENT_END, kept))


class _Html:
    """Takes out HTML that is no XML; parts are given in their order, for their lines are counted."""

    def __init__(self, text: str, tokens: _Tokens) -> None:
        self._text = text
        self._tokens = tokens
        self._at = 0
        self._line = 1

    def kept(self, part: Span) -> str:
        """Return *part* with a token for its content, where mrml could not read that."""
        if _is_xml(part.content):
            return part.text
        start = part.opening.end()
        self._line += _source_line(self._text[self._at : start], self._tokens) - 1
        self._at = start
        return part.around(self._tokens.put(self._tokens.inner(part.content), self._line))


def _is_xml(content: str) -> bool:
    try:
        ParserCreate().Parse(f"<mj>{content}</mj>", True)
    except ExpatError:
        return False
    return True


def _compiled(text: str, path: str, tokens: _Tokens) -> str:
    check_depth(text)  # mrml would end the process
    try:
        return _compiler()(text)
    except ImportError:
        raise TemplateError(
            f"{path}: MJML needs an extra: pip install 'celery-mailer[mjml]'"
        ) from None
    except (OSError, ValueError) as error:
        said = str(error)
        position = _POSITION.search(said)
        line = _unbalanced(text, tokens)
        if line is None and position and position[1]:
            before = text.encode()[: int(position[1])].decode("utf-8", "ignore")
            line = _source_line(before, tokens)
        where = f"{path}:{line}" if line else path
        raise TemplateError(f"{where}: not valid MJML: {_POSITION.sub('', said)}") from error


def _source_line(before: str, tokens: _Tokens) -> int:
    """Return the line of the source for the end of *before*, in which Jinja tags are tokens."""
    inside = (tokens.kept[int(found[1])][0] for found in tokens.found.finditer(before))
    return before.count("\n") + sum(text.count("\n") for text in inside) + 1


def _unbalanced(text: str, tokens: _Tokens) -> int | None:
    """Return the line of the first MJML tag that is not closed, or closes nothing."""
    opened: list[tuple[str, int]] = []
    for span in spans(text, _TAGS, _COMMENT_END):
        if span.kind == "comment":
            continue
        closing, name, attributes = span.opening.groups()[2:]
        if attributes.endswith("/"):
            continue
        if not closing:
            opened.append((name, span.start))
        elif opened and opened[-1][0] == name:
            opened.pop()
        else:
            at = opened[-1][1] if opened else span.start
            return _source_line(text[:at], tokens)
    return _source_line(text[: opened[-1][1]], tokens) if opened else None


def _outside_comments(text: str, tokens: _Tokens) -> str:
    """Close Outlook's comment before an ``mj-raw`` in an ``mj-wrapper``: mrml writes it into that."""
    pieces: list[str] = []
    opened: list[str] = []
    end = 0
    for span in spans(text, _TAGS, _COMMENT_END):
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


def _check_refused(text: str, path: str, tokens: _Tokens) -> None:
    """Raise `TemplateError` for an element that MJML has and mrml, as it is used here, has not."""
    for span in spans(text, _TAGS, _COMMENT_END):
        name = span.opening[4] if span.kind == "tag" else None
        if name in _REFUSED:
            line = _source_line(text[: span.start], tokens)
            raise TemplateError(f"{path}:{line}: <{name}> is not supported; {_REFUSED[name]}")


def _check_compiled(text: str, compiled: str, path: str, tokens: _Tokens) -> None:
    """Raise `TemplateError` for an MJML element that mrml has handed on as if it were HTML."""
    for span in spans(compiled, _TAGS, _COMMENT_END):
        if span.kind == "tag":
            name = span.opening[4]
            found = re.search(rf"<{name}(?![\w-])", text)
            where = f"{path}:{_source_line(text[: found.start()], tokens)}" if found else path
            raise TemplateError(
                f"{where}: MJML has no <{name}>, or not at this place; "
                "see https://documentation.mjml.io for what MJML 4 has"
            )


def _check_kept(text: str, compiled: str, path: str, tokens: _Tokens) -> None:
    """Raise `TemplateError` for a Jinja tag of the body that MJML has thrown away."""
    body = text.partition("<mj-body")[2]
    left = {found[1] for found in tokens.found.finditer(compiled)}
    for found in tokens.found.finditer(body):
        tag, line = tokens.kept[int(found[1])]
        if found[1] not in left and not tag.startswith(("{#", "<!--")):
            raise TemplateError(
                f"{path}:{line}: MJML drops what stands here: {tag[:60]}; "
                "put control tags into <mj-raw>"
            )


def _put_back(compiled: str, tokens: _Tokens) -> Compiled:
    lines: dict[int, int] = {}
    pieces: list[str] = []
    end, number = 0, 1
    for found in tokens.found.finditer(compiled):
        tag, line = tokens.kept[int(found[1])]
        before = compiled[end : found.start()]
        number += before.count("\n")
        if line:
            # A line break after the opening: the tag's first word is on a line of its own.
            tag, broken = _OPENING.subn(lambda opening: f"{opening[0]}\n", tag, count=1)
            lines.setdefault(number, line)
            for offset in range(1, tag.count("\n") + 1):
                lines[number + offset] = line + offset - broken
        number += tag.count("\n")
        pieces += (before, tag)
        end = found.end()
    pieces.append(compiled[end:])
    return Compiled("".join(pieces), lines)


def _compiler() -> Callable[[str], str]:
    from mrml import ParserOptions, noop_loader, to_html  # noqa: PLC0415 - optional

    options = ParserOptions(include_loader=noop_loader())

    def compile_mjml(text: str) -> str:
        output = to_html(text, parser_options=options)
        return str(getattr(output, "content", output))

    return compile_mjml
