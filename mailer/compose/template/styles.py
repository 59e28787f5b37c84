"""How a template's ``<style>`` rules get onto its elements, once per template.

Many mail readers drop style sheets, so rules are written into ``style`` attributes. That must change
nothing for readers that keep them. But an attribute overrides every rule that is not ``!important``, also
rules for phones and rules that stand in a condition. So a declaration is written only where every row has
it, and where nothing that stays in ``<style>`` alone could override it. A reader that keeps style sheets
shows the message as its source does; one that drops them shows as much of it as possible.

All is worked out on the `Likeness` of the document. css-inline, whose parser is a browser's, says which
elements each selector matches. The cascade is decided in `mailer.compose.template.cascade`. Only
``style`` attributes are written into the files' start tags: an inliner would write the whole document
anew, and change more than styles. ``<style>`` stays as it is.
"""

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import css_inline
from jinja2 import nodes

from mailer.compose.spans import ATTRIBUTE, ENDS, TAG, TAGS, Span, attributes, spans
from mailer.compose.template.cascade import agreed, written
from mailer.compose.template.likeness import HOLE, Likeness, Parse, likeness
from mailer.compose.template.stylesheet import ANY, Declaration, Rule, Sheet, as_css
from mailer.compose.text import check_depth

_QUOTED: Final = re.compile(r"\"[^\"]*\"|'[^']*'", re.DOTALL)
_MARKED: Final = re.compile(r"<[a-zA-Z][^<>]*?\bdata-mailer-tag=\"(\d+)\"[^<>]*>")
_RULES: Final = re.compile(r"--mailer-(\d+)-(\d+)")
_COMPUTED: Final = re.compile(r"\sstyle=\"([^\"]*)\"")
_VOID: Final = frozenset("area base br col embed hr img input link meta source track wbr".split())  # noqa: SIM905
_UNSTYLED: Final = frozenset("head meta title link base script style noscript template".split())  # noqa: SIM905
# Rules times tags, which bounds the time: a website's style sheet and a long mail have a tenth of it.
# With more, nothing is written into attributes.
_MOST_MATCHES: Final = 2_000_000
# Selectors for one call of css-inline, which compares each match of an element with all others of it.
_AT_ONCE: Final = 250
_FOR_SCREENS: Final = frozenset({"", "all", "screen", "only screen"})


@dataclass(frozen=True, slots=True)
class _Tag:
    """A start tag of the likeness, by the offsets of its parts."""

    number: int
    name: str
    name_end: int
    attributes: str
    attributes_start: int


Edit: TypeAlias = tuple[int, str]


def inline_styles(name: str, parse: Parse) -> None:
    """Write the styles into the trees that *parse* returns for *name* and what it extends or includes.

    *parse* must return the same tree for the same name each time. Raises `TemplateError` for a document
    that is nested too deeply.
    """
    document = likeness(name, parse)
    text = document.text
    check_depth(text)
    if "<style" not in text.lower():
        return
    tags, rules = _read(document, text)
    if not any(rule.certain for rule in rules) or len(rules) * len(tags) > _MOST_MATCHES:
        return
    matches = _matches(document, text, tags, rules)
    edits: dict[int, tuple[nodes.TemplateData, dict[int, list[list[Declaration]]]]] = {}
    for tag in tags:
        styles = written(rules, *matches.get(tag.number, ((), ())))
        node = document.at(tag.name_end - 1).node
        if node is None or tag.name.lower() in _UNSTYLED or not _may_be_styled(document, tag):
            styles = []
        if node is not None:
            at = tag.name_end - document.at(tag.name_end - 1).start
            edits.setdefault(id(node), (node, {}))[1].setdefault(at, []).append(styles)
    _apply(document, tags, edits)


def _read(document: Likeness, text: str) -> tuple[list[_Tag], list[Rule]]:
    """Return the start tags of the document, and the rules of its style sheets."""
    tags: list[_Tag] = []
    rules: list[Rule] = []
    for span in spans(text, TAGS, ENDS):
        found = span.opening
        if span.kind == "tag" and not found["slash"]:
            attributes = found["attributes"]
            tags.append(
                _Tag(
                    len(tags),
                    found["name"],
                    found.end("name"),
                    attributes,
                    found.start("attributes"),
                )
            )
        elif span.kind == "style":
            rules += _sheet(document, span)
    return tags, rules


def _sheet(document: Likeness, sheet: Span) -> Iterator[Rule]:
    found = attributes(sheet.opening[0].removeprefix("<style").removesuffix(">"))
    kind, media = (found.get(name, "").strip().lower() for name in ("type", "media"))
    if kind not in {"text/css", ""} or media == "print":
        return
    start = sheet.opening.end()
    varying = document.varies(sheet.start, start)
    for_all = media in _FOR_SCREENS
    in_branch = bool(document.at(sheet.start).flow)

    def varies(first: int, last: int) -> bool:
        return document.varies(start + first, start + last) or bool(document.at(start + first).flow)

    always = for_all and not varying and not in_branch
    yield from Sheet(sheet.content, varies, always=always).rules()


def _matches(
    document: Likeness, text: str, tags: Sequence[_Tag], rules: Sequence[Rule]
) -> Mapping[int, tuple[Sequence[int], Sequence[int]]]:
    """Return the numbers of the rules that match each tag for certain, and of those that may."""
    selectors = []
    for number, rule in enumerate(rules):
        if rule.certain:
            selectors.append(f"{rule.certain} {{ --mailer-{number}-1: 1 }}")
        selectors += [f"{selector} {{ --mailer-{number}-0: 1 }}" for selector in rule.possible]
    marked = _marked(document, text, tags, _uncertain(document, text))
    found: dict[int, tuple[list[int], list[int]]] = {}
    for start in range(0, len(selectors), _AT_ONCE):
        inliner = css_inline.CSSInliner(
            load_remote_stylesheets=False,
            inline_style_tags=False,
            extra_css="\n".join(selectors[start : start + _AT_ONCE]),
        )
        seen: set[str] = set()
        for match in _MARKED.finditer(inliner.inline(marked)):
            computed = _COMPUTED.search(match[0])
            if computed is None or match[1] in seen:
                continue
            seen.add(match[1])
            certain, possible = found.setdefault(int(match[1]), ([], []))
            for number, sure in _RULES.findall(computed[1]):
                (certain if sure == "1" else possible).append(int(number))
    return found


def _marked(document: Likeness, text: str, tags: Sequence[_Tag], uncertain: set[int]) -> str:
    """Return the document with its tags numbered; of their attributes only classes and ids are kept."""
    pieces: list[str] = []
    end = 0
    for tag in tags:
        start = tag.name_end - len(tag.name) - 1
        stop = tag.attributes_start + len(tag.attributes)
        kept = (
            document.without_varying(tag.attributes_start, stop)
            if stop > tag.attributes_start
            else ""
        )
        # Within a tag, its own flow counts, which a branch around it gives.
        any_ = HOLE in _QUOTED.sub("", kept) or tag.name_end in uncertain
        attributes = ""
        for one in ATTRIBUTE.finditer(kept):
            value = one["double"] or one["single"] or one["bare"] or ""
            name = one["name"].lower()
            if name not in {"class", "id"}:
                continue
            known = [] if tag.name_end in uncertain else [w for w in value.split() if HOLE not in w]
            any_ = any_ or HOLE in value
            attributes += f' {name}="{html.escape(" ".join(known))}"'
        if any_:
            attributes += f" {ANY}"
        closing = " /" if tag.attributes.rstrip().endswith("/") else ""
        pieces += (
            text[end:start],
            f'<{tag.name} data-mailer-tag="{tag.number}"{attributes}{closing}>',
        )
        end = stop + 1
    pieces.append(text[end:])
    return "".join(pieces)


def _uncertain(document: Likeness, text: str) -> set[int]:
    """Return the ends of the names of tags that a branch opens and does not close.

    Such a tag and the one of the other branch hold the same content. Each row has only one of them, so
    nothing in them stands in either for certain.
    """
    opened: dict[tuple[int, ...], list[tuple[str, int]]] = {}
    found: set[int] = set()
    for tag in TAG.finditer(text):
        flow = document.at(tag.start()).flow
        name = tag["name"].lower()
        if not flow or name in _VOID or tag[0].endswith("/>"):
            continue
        stack = opened.setdefault(flow, [])
        if not tag["slash"]:
            stack.append((name, tag.end("name")))
        elif stack and stack[-1][0] == name:
            stack.pop()
    for stack in opened.values():
        found.update(end for _, end in stack)
    return found


def _may_be_styled(document: Likeness, tag: _Tag) -> bool:
    """Tell whether a style attribute can be written: not if a value or a condition may write one, too."""
    start = tag.attributes_start
    stop = start + len(tag.attributes)
    if stop <= start:
        return True
    kept = document.without_varying(start, stop)
    if HOLE in _QUOTED.sub("", kept):
        whole = [one for one in document.between(start, stop) if one.node is not None]
        flow = document.at(tag.name_end - 1).flow
        conditional = "".join(one.text for one in whole if one.flow != flow).lower()
        values = any(
            one.node is None and one.start >= start and _outside(tag, one.start - start)
            for one in document.between(start, stop)
        )
        return not values and "style" not in conditional
    return True


def _outside(tag: _Tag, at: int) -> bool:
    """Tell whether the character *at* of a tag's attributes stands in no quotes."""
    return not any(one.start() <= at < one.end() for one in _QUOTED.finditer(tag.attributes))


def _apply(
    document: Likeness,
    tags: Sequence[_Tag],
    edits: Mapping[int, tuple[nodes.TemplateData, dict[int, list[list[Declaration]]]]],
) -> None:
    """Write the styles: into the tag's own attribute, or into a new one."""
    insertions: dict[int, tuple[nodes.TemplateData, dict[int, str]]] = {}
    for tag in tags:
        stretch = document.at(tag.name_end - 1)
        if stretch.node is None:
            continue
        # A file that is used in several places has one tag for all: it gets what all places agree on.
        places = edits[id(stretch.node)][1][tag.name_end - stretch.start]
        for at, text in _insertions(tag, agreed(places)):
            place = document.at(at - 1)
            if place.node is not None:
                insertions.setdefault(id(place.node), (place.node, {}))[1][at - place.start] = text
    for node, texts in insertions.values():
        for at, text in sorted(texts.items(), reverse=True):
            node.data = node.data[:at] + text + node.data[at:]


def _insertions(tag: _Tag, declarations: Sequence[Declaration]) -> Iterator[Edit]:
    """Yield the insertions for *tag*: an offset in the document, and a text.

    Declarations come before the tag's own, which override them. Important ones come after, where they
    override the tag's own; the word ``!important`` is not written, or the style sheet's important rules
    for phones could not override them.
    """
    if not declarations:
        return
    before = [one for one in declarations if not one.important]
    after = [one for one in declarations if one.important]
    own = next(
        (one for one in ATTRIBUTE.finditer(tag.attributes) if one["name"].lower() == "style"), None
    )
    if own is None or own[0].lower() == "style":
        yield tag.name_end, f' style="{html.escape(as_css([*before, *after]))}"'
        return
    kind = next(kind for kind in ("double", "single", "bare") if own[kind] is not None)
    start, end = (tag.attributes_start + place for place in own.span(kind))
    quote = '"' if kind == "bare" else ""
    first, last = as_css(before), as_css(after)
    if kind == "single":
        first, last = (css.replace("&", "&amp;").replace("'", "&#39;") for css in (first, last))
    else:
        first, last = html.escape(first), html.escape(last)
    if first or quote:
        yield start, quote + (f"{first};" if first else "")
    if last or quote:
        separator = ";" if last and not own[kind].rstrip().endswith(";") else ""
        yield end, separator + last + quote
