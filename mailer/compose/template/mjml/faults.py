"""What is wrong with MJML, told by file and line of the source."""

import re
from typing import Final

from mailer.compose.spans import spans
from mailer.compose.template.mjml.places import Places
from mailer.compose.template.mjml.repairs import COMMENT_END, TAGS
from mailer.compose.template.mjml.tokens import Tokens
from mailer.errors import TemplateError

_REFUSED: Final = {
    "mj-include": 'write <mj-include path="…" />, outside of text and of <mj-raw>',
    "mj-html-attributes": "write the attributes in HTML, in <mj-text>, <mj-table> or <mj-raw>",
}
_POSITION: Final = re.compile(r" in root template(?: at position (\d+):\d+)?$")


def invalid(error: Exception, text: str, tokens: Tokens, places: Places) -> TemplateError:
    """Return the `TemplateError` for *error*, which mrml raised at *text*."""
    said = str(error)
    position = _POSITION.search(said)
    line = _unbalanced(text, tokens)
    if line is None and position and position[1]:
        before = text.encode()[: int(position[1])].decode("utf-8", "ignore")
        line = tokens.line(before)
    where = places.said(line) if line else places.file
    return TemplateError(f"{where}: not valid MJML: {_POSITION.sub('', said)}")


def _unbalanced(text: str, tokens: Tokens) -> int | None:
    """Return the line of the first MJML tag that is not closed, or closes nothing."""
    opened: list[tuple[str, int]] = []
    for span in spans(text, TAGS, COMMENT_END):
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
            return tokens.line(text[:at])
    return tokens.line(text[: opened[-1][1]]) if opened else None


def check_refused(text: str, places: Places, tokens: Tokens) -> None:
    """Raise `TemplateError` for an element of MJML that mrml, as it is used here, does not know."""
    for span in spans(text, TAGS, COMMENT_END):
        name = span.opening[4] if span.kind == "tag" else None
        if name in _REFUSED:
            line = tokens.line(text[: span.start])
            raise TemplateError(f"{places.said(line)}: <{name}> is not supported; {_REFUSED[name]}")


def check_compiled(text: str, compiled: str, places: Places, tokens: Tokens) -> None:
    """Raise `TemplateError` for an MJML element that mrml has left in its output as if it were HTML."""
    for span in spans(compiled, TAGS, COMMENT_END):
        if span.kind == "tag":
            name = span.opening[4]
            found = re.search(rf"<{name}(?![\w-])", text)
            where = places.said(tokens.line(text[: found.start()])) if found else places.file
            raise TemplateError(
                f"{where}: MJML has no <{name}>, or not at this place; "
                "see https://documentation.mjml.io for what MJML 4 has"
            )


def check_kept(text: str, compiled: str, places: Places, tokens: Tokens) -> None:
    """Raise `TemplateError` for a Jinja tag of the body that is not in the output of mrml."""
    body = text.partition("<mj-body")[2]
    left = {found[1] for found in tokens.found.finditer(compiled)}
    for found in tokens.found.finditer(body):
        tag, line = tokens.kept[int(found[1])]
        if found[1] not in left and not tag.startswith(("{#", "<!--")):
            raise TemplateError(
                f"{places.said(line)}: MJML drops what stands here: {tag[:60]}; "
                "put control tags into <mj-raw>"
            )
