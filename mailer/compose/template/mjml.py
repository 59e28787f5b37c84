"""How MJML with Jinja in it becomes HTML with Jinja in it.

The compiler is the optional package ``mrml``, which includes nothing from anywhere. It reads XML and
knows nothing of Jinja, where ``{% if n < 2 %}`` is no markup; so each Jinja tag is a token while it
works, and is put back afterwards. A line break is put into each tag then, where Jinja does not mind
one: so that each stands on a line of its own, and a fault can be told by the line of the source.

What mrml stumbles over and other compilers take is made up for: CRLF, an XML declaration, comments in
``mj-head``, Outlook's conditional comments in ``mj-raw``.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from mailer.errors import TemplateError

_JINJA: Final = re.compile(
    r"\{%[-+]?\s*raw\b.*?\{%[-+]?\s*endraw\s*[-+]?%\}|\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL
)
_OPENING: Final = re.compile(r"\A\{[{%][-+]?(?!\s*raw\b)")
_HEAD: Final = re.compile(r"<mj-head\b.*?</mj-head\s*>", re.DOTALL)
_RAW: Final = re.compile(r"(<mj-raw\b[^>]*>)(.*?)(</mj-raw\s*>)", re.DOTALL)
_STYLE: Final = re.compile(r"(<mj-style(?![^>]*\binline)[^>]*>)(.*?)(</mj-style\s*>)", re.DOTALL)
_COMMENT: Final = re.compile(r"<!--.*?-->", re.DOTALL)
_PROLOGUE: Final = re.compile(r"\A\s*(?:<\?xml[^>]*\?>\s*|<!DOCTYPE[^>]*>\s*)+", re.IGNORECASE)
_TAG: Final = re.compile(
    r"<!--.*?-->|<(/?)(mj[\w-]*)\b(?:[^<>\"']|\"[^\"]*\"|'[^']*')*?(/?)>", re.DOTALL
)
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
    text = _HEAD.sub(lambda head: _COMMENT.sub(_blank, head[0]), source)
    text = _JINJA.sub(lambda tag: tokens.put(_meant(tag[0]), _line(text, tag.start())), text)
    # Tokens are one line each: lines are counted in the source, by what stands before.
    text = _STYLE.sub(lambda style: _kept(style, tokens, whole=True), text)
    text = _RAW.sub(lambda raw: _kept(raw, tokens, whole=False), text)
    compiled = _compiled(text, path, tokens)
    _check_kept(text, compiled, path, tokens)
    return _put_back(compiled, tokens)


def _blank(found: re.Match[str]) -> str:
    return "\n" * found[0].count("\n")


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def _meant(tag: str) -> str:
    """Return a Jinja tag with the entities resolved that XML asks for."""
    return tag if tag.startswith("{#") else _ENTITY.sub(lambda found: _ENTITIES[found[0]], tag)


def _kept(found: re.Match[str], tokens: _Tokens, *, whole: bool) -> str:
    """Take out what mrml need not read: a style sheet as a *whole*, comments elsewhere."""
    opening, content, closing = found.groups()
    if whole:
        if "<" not in content:
            return found[0]
        return f"{opening}{tokens.put(tokens.inner(content), 0)}{closing}"
    content = _COMMENT.sub(lambda comment: tokens.put(tokens.inner(comment[0]), 0), content)
    return f"{opening}{content}{closing}"


def _compiled(text: str, path: str, tokens: _Tokens) -> str:
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
    for tag in _TAG.finditer(text):
        if not tag[2] or tag[3]:
            continue
        if not tag[1]:
            opened.append((tag[2], tag.start()))
        elif opened and opened[-1][0] == tag[2]:
            opened.pop()
        else:
            at = opened[-1][1] if opened else tag.start()
            return _source_line(text[:at], tokens)
    return _source_line(text[: opened[-1][1]], tokens) if opened else None


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
