"""How ``mj-include`` becomes the text of the file that it names.

This is as MJML does it. The file may be a part of a document, or a whole one: then its body comes here,
and its head goes to the head. A file of ``type="html"`` is put in as it is; one of ``type="css"`` becomes
a style sheet. An ``mj-include`` in a comment or in text is left as it is.
"""

import re
from collections.abc import Callable
from typing import Final, NoReturn

from mailer.compose.spans import ATTRIBUTES, COMMENT, Span, attributes, spans
from mailer.compose.template.mjml.places import Place, Places
from mailer.compose.template.mjml.repairs import WRITTEN, elements
from mailer.compose.template.mjml.tokens import JINJA, JINJA_ENDS
from mailer.errors import TemplateError

Reader = Callable[[str, str], tuple[str, str] | None]
"""Returns text and path of the file that is named first, in the file whose path is named second."""

# Files within files, files in all, and characters in all: far more than anybody writes. Without a bound,
# a few files that include the next one twice would make a document of gigabytes.
_DEEPEST: Final = 20
_MOST: Final = 500
_LONGEST: Final = 1 << 22

_PROLOGUE: Final = re.compile(r"\A\s*(?:<\?xml[^>]*\?>\s*|<!DOCTYPE[^>]*>\s*)+", re.IGNORECASE)
_TEXT, _CLOSED = elements(*WRITTEN, "style")
_FOUND: Final = re.compile(
    rf"{JINJA}|(?P<remark><!--)|{_TEXT}"
    rf"|(?P<include><mj-include(?![\w-]){ATTRIBUTES}>(?:(?<=/>)|\s*</mj-include\s*>))"
    rf"|(?P<frame></?(?:mjml|mj-head|mj-body)(?![\w-]){ATTRIBUTES}>)"
)
_ENDS: Final = {**JINJA_ENDS, **_CLOSED, "remark": COMMENT}
_INCLUDE: Final = re.compile(rf"<mj-include({ATTRIBUTES})>")
_ROOT: Final = re.compile(r"<mjml[\s>]")

Lines = list[tuple[str, Place]]
"""Pieces of text, and where each came from; a line break ends a piece."""


def included(source: str, path: str, read: Reader | None) -> tuple[str, Places]:
    """Return the document *source* with all included files in it, and where its lines came from.

    Raises `TemplateError`, with file and line, for what cannot be included.
    """
    document = _Document(read)
    document.add(source, path)
    pieces = document.whole()
    starts = [True, *(text.endswith("\n") for text, _ in pieces)]
    places = [place for start, (_, place) in zip(starts, pieces, strict=False) if start]
    return "".join([text for text, _ in pieces]), Places([*places, (path, source.count("\n") + 1)])


class _Document:
    """A document while it is put together: its text, and what included files have for its head."""

    def __init__(self, read: Reader | None) -> None:
        self._read = read
        self._text: Lines = []
        self._head: Lines = []
        self._into = self._text
        self._head_ends: int | None = None
        self._body_begins: int | None = None
        self._in_head = False
        self._trail: list[str] = []
        self._count = 0
        self._length = 0

    def whole(self) -> Lines:
        """Return the document, with what was found for its head."""
        if not self._head:
            return self._text
        if self._head_ends is not None:
            return [*self._text[: self._head_ends], *self._head, *self._text[self._head_ends :]]
        at = self._body_begins or 0
        place = self._head[0][1]
        head = [("<mj-head>\n", place), *self._head, ("</mj-head>\n", place)]
        return [*self._text[:at], *head, *self._text[at:]]

    def add(self, source: str, path: str) -> None:
        """Add the file *source* at *path*, where the document ends now."""
        text = _at_line_feeds(source)
        text = _PROLOGUE.sub(lambda found: "\n" * found[0].count("\n"), text)
        self._length += len(text)
        is_part = bool(self._trail)
        self._trail.append(path)
        before = self._into
        if is_part and _ROOT.search(text):
            self._into = []  # what stands outside of head and body
        end, line = 0, 1
        for span in spans(text, _FOUND, _ENDS):
            if span.kind not in {"include", "frame"}:
                continue
            line = self._put(text[end : span.start], path, line)
            if span.kind == "include":
                self._include(span, path, line)
            elif is_part:
                self._turn(span, before)
            else:
                self._note(span)
                self._put(span.text, path, line)
            line += span.text.count("\n")
            end = span.end
        self._put(text[end:], path, line)
        self._into = before
        self._trail.pop()

    def _put(self, text: str, path: str, line: int) -> int:
        """Add *text*, which begins in *line*, where the document grows; return the line at its end."""
        for piece in _lines(text):
            self._into.append((piece, (path, line)))
            line += piece.endswith("\n")
        return line

    def _note(self, frame: Span) -> None:
        """Remember where the document's own head and body are."""
        closing, name = _frame(frame)
        if name == "mj-head":
            self._in_head = not closing
            self._head_ends = len(self._text) if closing else self._head_ends
        elif name == "mj-body" and not closing:
            self._body_begins = len(self._text)

    def _turn(self, frame: Span, here: Lines) -> None:
        """Go on where the next part of an included document belongs; its frame is left out."""
        closing, name = _frame(frame)
        if name == "mj-head":
            outside: Lines = [] if _ROOT.search(frame.opening.string) else here
            self._into = outside if closing else (here if self._in_head else self._head)
        elif name == "mj-body":
            self._into = [] if closing else here

    def _include(self, span: Span, path: str, line: int) -> None:
        """Put in what an ``mj-include`` names."""
        named = _attributes(span)
        written, kind = named.get("path", ""), named.get("type", "mjml")
        where = f"{path}:{line}: <mj-include>"
        if self._read is None:
            raise TemplateError(f"{where} has no folder to include from")
        if not written or "{{" in written or "{%" in written:
            raise TemplateError(
                f'{where} wants the name of a file, written out: path="header.mjml"'
            )
        if kind not in {"mjml", "html", "css"}:
            raise TemplateError(f'{where}: type may be "mjml", "html" or "css", not {kind!r}')
        found = self._read(written, path)
        if found is None:
            raise TemplateError(
                f"{where}: there is no file {written!r} beside it, in the template's folder or in the "
                "folder of all templates"
            )
        self._check(found[1], len(found[0]), where)
        here = self._into
        self._into.append(("\n", (path, line)))
        if kind == "mjml":
            self.add(*found)
        else:
            self._whole(found, kind, named.get("css-inline") == "inline")
        here.append(("\n", (path, line)))

    def _whole(self, found: tuple[str, str], kind: str, inline: bool) -> None:  # noqa: FBT001
        """Put in a file that is no MJML."""
        text, path = found
        self._length += len(text)
        here = self._into
        if kind == "css":
            attribute = ' inline="inline"' if inline else ""
            opening, closing = f"<mj-style{attribute}>\n", "\n</mj-style>\n"
            self._into = here if self._in_head else self._head
        else:
            opening, closing = "<mj-raw>\n", "\n</mj-raw>\n"
        self._into.append((opening, (path, 1)))
        line = self._put(_at_line_feeds(text), path, 1)
        self._put(closing, path, line)
        self._into = here

    def _check(self, path: str, length: int, where: str) -> None:
        """Raise `TemplateError` for files that include each other in a circle, and for too many."""
        self._count += 1
        if path in self._trail:
            circle = " → ".join([*self._trail[self._trail.index(path) :], path])
            _refuse(f"{where} goes in a circle: {circle}")
        if len(self._trail) > _DEEPEST:
            _refuse(f"{where}: more than {_DEEPEST} files within each other")
        if self._count > _MOST or self._length + length > _LONGEST:
            _refuse(f"{where}: more than {_MOST} files, or {_LONGEST >> 20} MB, are included")


def _refuse(said: str) -> NoReturn:
    raise TemplateError(said)


def _frame(span: Span) -> tuple[bool, str]:
    """Return whether a tag of the document's frame closes, and its name."""
    found = re.match(r"<(/?)([\w-]+)", span.text)
    assert found is not None
    return bool(found[1]), found[2]


def _attributes(include: Span) -> dict[str, str]:
    found = _INCLUDE.match(include.text)
    assert found is not None
    return attributes(found[1])


def _at_line_feeds(text: str) -> str:
    """Return *text* with LF at the end of each line."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _lines(text: str) -> list[str]:
    """Cut text into lines at LF alone: other characters end lines for `str.splitlines`."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)
