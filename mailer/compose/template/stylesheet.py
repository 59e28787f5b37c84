"""The rules of a template's style sheets: what each says, to which elements, and whether always.

A rule may be written into attributes if it is *always* there (every row has it, and it stands in no
at-rule) and its selector asks for names, classes, ids and descent alone. All others stay in ``<style>``
alone: conditions, values, media queries, ``:hover``, siblings, attributes. They are read nevertheless,
because of what they may override.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Final, TypeAlias

import tinycss2

from mailer.compose.template.likeness import HOLE

# The attribute of an element whose classes or id are not known, while selectors are tried.
ANY: Final = "data-mailer-any"
_MOST_VARIANTS: Final = 16
_PSEUDO_ELEMENTS: Final = frozenset({"before", "after", "first-line", "first-letter"})
_ENDLESS: Final = (10**6, 0, 0)
_SKIPPED_AT_RULES: Final = frozenset(
    {
        "font-face",
        "keyframes",
        "-webkit-keyframes",
        "page",
        "import",
        "charset",
        "namespace",
        "property",
    }
)

Specificity: TypeAlias = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Declaration:
    """One declaration; *always* says whether every row has it. The name ``*`` may be any property."""

    name: str
    value: str
    important: bool
    always: bool


@dataclass(frozen=True, slots=True)
class Rule:
    """Declarations for one selector.

    *certain* is the selector of the elements that it matches for every row, or None. *possible* are
    selectors of the elements that it may match.
    """

    certain: str | None
    possible: tuple[str, ...]
    specificity: Specificity
    declarations: tuple[Declaration, ...]


@dataclass(slots=True)
class _Compound:
    """A name with classes and ids, as in ``td.a#b``."""

    name: str = ""
    classes: list[str] = field(default_factory=list)

    def written(self, *, known: bool = True) -> str:
        if known:
            return self.name + "".join(self.classes) or "*"
        return f"{self.name}[{ANY}]"


Varies = Callable[[int, int], bool]


class Sheet:
    """Reads one style sheet; *varies* tells whether the text between two offsets differs between rows.

    *always* says whether the sheet itself is there for every row, and for all media.
    """

    def __init__(self, css: str, varies: Varies, *, always: bool) -> None:
        # The same length, so that offsets stay true: tinycss2 counts lines as CSS does.
        self._css = css.replace("\r\n", " \n").replace("\r", "\n").replace("\f", "\n")
        self._css = self._css.replace("<!--", "    ").replace("-->", "   ")
        self._varies = varies
        self._always = always
        self._lines = [0, *(at.end() for at in re.finditer("\n", self._css))]

    def rules(self) -> Iterator[Rule]:
        """Yield the rules in their order."""
        parsed = tinycss2.parse_stylesheet(self._css, skip_comments=True, skip_whitespace=True)
        yield from self._rules(parsed, always=self._always)

    def _rules(self, parsed: Sequence[Any], *, always: bool) -> Iterator[Rule]:
        for node in parsed:
            if node.type == "qualified-rule":
                yield from self._qualified(node, always=always)
            elif node.type == "at-rule" and node.content is not None:
                if node.lower_at_keyword not in _SKIPPED_AT_RULES and not _is_print(node):
                    inner = tinycss2.parse_rule_list(
                        node.content, skip_comments=True, skip_whitespace=True
                    )
                    yield from self._rules(inner, always=False)
            elif node.type == "error" and HOLE in self._css:
                # A value may stand for a whole rule: whatever that sets must not be overridden.
                yield Rule(None, ("*",), _ENDLESS, (Declaration("*", "", False, False),))

    def _qualified(self, node: Any, *, always: bool) -> Iterator[Rule]:
        always = always and not self._varying(node.prelude)
        yield from self._nested(node.content)
        declarations = tuple(self._declarations(node.content, always=always))
        if not declarations:
            return
        for selector in _split(node.prelude):
            yield from self._rule(selector, declarations, always=always)

    def _nested(self, content: Sequence[Any]) -> Iterator[Rule]:
        """Yield what rules within a rule set; they may match any element."""
        for node in tinycss2.parse_blocks_contents(
            content, skip_comments=True, skip_whitespace=True
        ):
            if node.type in {"qualified-rule", "at-rule"} and node.content:
                yield Rule(
                    None, ("*",), _ENDLESS, tuple(self._declarations(node.content, always=False))
                )
                yield from self._nested(node.content)

    def _rule(
        self, selector: list[Any], declarations: tuple[Declaration, ...], *, always: bool
    ) -> Iterator[Rule]:
        if HOLE in tinycss2.serialize(selector):
            if _is_only_hole(selector):
                yield Rule(None, ("*",), _ENDLESS, (Declaration("*", "", False, False),))
            yield Rule(None, ("*",), _ENDLESS, declarations)
            return
        taken = _Selector(selector)
        if taken.of_pseudo:
            return
        certain = tinycss2.serialize(selector).strip() if taken.simple and always else None
        specificity = _specificity(selector) if taken.simple else _ENDLESS
        yield Rule(certain, taken.possible(), specificity, declarations)

    def _declarations(self, content: Sequence[Any], *, always: bool) -> Iterator[Declaration]:
        for node in tinycss2.parse_blocks_contents(
            content, skip_comments=True, skip_whitespace=True
        ):
            if node.type == "declaration":
                value = tinycss2.serialize(node.value).strip()
                steady = HOLE not in node.name and HOLE not in value
                steady = steady and not self._varying([node, *node.value])
                name = node.lower_name if HOLE not in node.name else "*"
                yield Declaration(name, value, node.important, always and steady)
            elif node.type == "error" and HOLE in self._css:
                yield Declaration("*", "", False, False)

    def _varying(self, tokens: Sequence[Any]) -> bool:
        """Tell whether the text of *tokens* differs between rows."""
        if not tokens:
            return False
        offsets = [self._lines[one.source_line - 1] + one.source_column - 1 for one in tokens]
        return self._varies(min(offsets), max(offsets) + 1)


def _is_print(node: Any) -> bool:
    """Tell whether an at-rule is for paper only; mail is looked at on screens."""
    return tinycss2.serialize(node.prelude).strip().lower() in {"print", "only print"}


def _split(prelude: Sequence[Any]) -> Iterator[list[Any]]:
    selector: list[Any] = []
    for token in prelude:
        if token.type == "literal" and token.value == ",":
            yield selector
            selector = []
        elif token.type != "comment":
            selector.append(token)
    yield selector


def _is_only_hole(selector: Sequence[Any]) -> bool:
    first = next((token for token in selector if token.type != "whitespace"), None)
    return first is not None and first.type == "ident" and first.value.startswith(HOLE)


class _Selector:
    """A selector taken apart: its compounds and what stands between them.

    It is *simple* when it asks for names, classes, ids and descent only, and *of_pseudo* when it is for a
    pseudo-element, which is no element.
    """

    def __init__(self, tokens: Sequence[Any]) -> None:
        self.compounds = [_Compound()]
        self.combinators: list[str] = []
        self.simple = True
        self.of_pseudo = False
        self._pending = ""
        previous: Any = None
        for token in _stripped(tokens):
            if token.type == "whitespace":
                self._pending = self._pending or " "
            elif token.type == "literal" and token.value in {">", "+", "~"}:
                self._pending = token.value
                self.simple = self.simple and token.value == ">"
            else:
                self._compound(token, previous)
            previous = token

    def _compound(self, token: Any, previous: Any) -> None:
        if self._pending:
            self.combinators.append(self._pending)
            self.compounds.append(_Compound())
            self._pending = ""
        last = self.compounds[-1]
        after = previous.value if previous is not None and previous.type == "literal" else ""
        if after == ":":
            self.simple = False
            self.of_pseudo = self.of_pseudo or getattr(token, "lower_value", "") in _PSEUDO_ELEMENTS
        elif after == ".":
            last.classes.append("." + tinycss2.serialize([token]))
        elif token.type == "ident":
            last.name = tinycss2.serialize([token])
        elif token.type == "hash":
            last.classes.append(tinycss2.serialize([token]))
        elif token.type != "literal" or token.value not in {".", "*"}:
            self.simple = False

    def possible(self) -> tuple[str, ...]:
        """Return selectors for the elements that this one may match."""
        last = self.compounds[-1]
        if self.simple:
            return _variants(self.compounds, self.combinators)
        return last.written(), last.written(known=False)


def _stripped(tokens: Sequence[Any]) -> list[Any]:
    """Return *tokens* without white space at the ends."""
    found = list(tokens)
    while found and found[-1].type == "whitespace":
        found.pop()
    while found and found[0].type == "whitespace":
        found.pop(0)
    return found


def _variants(compounds: Sequence[_Compound], combinators: Sequence[str]) -> tuple[str, ...]:
    """Return selectors of all elements that this one may match if some classes are not known."""
    choices = [
        [one.written(), one.written(known=False)] if one.classes else [one.written()]
        for one in compounds
    ]
    total = 1
    for choice in choices:
        total *= len(choice)
    if total > _MOST_VARIANTS:
        return tuple(choices[-1])
    found = []
    for picked in product(*choices):
        text = picked[0]
        for combinator, compound in zip(combinators, picked[1:], strict=True):
            text += f" {combinator.strip()} " if combinator != " " else " "
            text += compound
        found.append(text)
    return tuple(found)


def _specificity(selector: Sequence[Any]) -> Specificity:
    ids = sum(token.type == "hash" for token in selector)
    dots = sum(token.type == "literal" and token.value == "." for token in selector)
    idents = sum(token.type == "ident" for token in selector)
    return ids, dots, idents - dots


def as_css(declarations: Sequence[Declaration]) -> str:
    """Write *declarations* as a ``style`` attribute has them."""
    return ";".join(f"{one.name}: {one.value}" for one in declarations)
