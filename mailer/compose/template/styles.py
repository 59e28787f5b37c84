"""How a template's ``<style>`` rules get onto its elements, once per template.

Mail readers drop style sheets, so rules are written into ``style`` attributes. The inliner wants a
whole document, and what there is are files with Jinja in them; running it over each message would
cost more than everything else together. So: the files are strung together as they nest (layout,
blocks, includes, all branches of conditions), the inliner works out every element's style on that
likeness, and only the ``style`` attributes are carried back into the files' start tags. Whatever
else the inliner or its HTML parser would change, it cannot; where the likeness is not exact (an
``if`` that opens one of two elements), an element may miss a rule, and none is damaged.
``<style>`` stays for media queries.
"""

import html
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import css_inline
from jinja2 import nodes

# Stands for whatever Jinja puts out; a private character that no parser takes for markup.
_HOLE: Final = "\uf8ff"
_TAG: Final = re.compile(
    r"<!--.*?-->|<(style|script|title|textarea)\b.*?</\1\s*>"
    r"|<([a-zA-Z][a-zA-Z0-9]*)((?:[^<>\"']|\"[^\"]*\"|'[^']*')*)>",
    re.DOTALL,
)
_STYLE: Final = re.compile(r"(?<=\s)style\s*=\s*([\"'])", re.IGNORECASE)
_MARKED: Final = re.compile(r"<[a-zA-Z][^<>]*?\bdata-mailer-tag=\"(\d+)\"[^<>]*>")
_COMPUTED: Final = re.compile(r"\sstyle=\"([^\"]*)\"")

Blocks = Mapping[str, list[nodes.Block]]
Parse = Callable[[str], nodes.Template | None]


@dataclass(slots=True)
class _Text:
    """The document as strung together, and which node each stretch of it came from."""

    stretches: list[tuple[int, nodes.TemplateData | None]] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)
    length: int = 0

    def add(self, text: str, node: nodes.TemplateData | None) -> None:
        self.stretches.append((self.length, node))
        self.pieces.append(text)
        self.length += len(text)


def inline_styles(name: str, parse: Parse) -> None:
    """Write the styles into the trees that *parse* returns for *name* and what it extends or includes.

    *parse* must return the same tree for the same name each time.
    """
    text = _Text()
    for piece, node in _Walk(parse).template(name, {}):
        text.add(piece, node)
    document = "".join(text.pieces)
    if "<style" not in document.lower():
        return
    tags = [found for found in _TAG.finditer(document) if found[2]]
    styles = _computed(document, tags)
    edits: dict[int, tuple[nodes.TemplateData, list[tuple[int, str]]]] = {}
    for number, tag in enumerate(tags):
        if styles.get(number):
            at, insertion = _insertion(tag, styles[number])
            start, node = _stretch(text, at)
            if node is not None:
                edits.setdefault(id(node), (node, []))[1].append((at - start, insertion))
    for node, insertions in edits.values():
        _apply(node, insertions)


def _computed(document: str, tags: list[re.Match[str]]) -> Mapping[int, str]:
    """Return the style that the rules give each tag, by its number."""
    marked: list[str] = []
    end = 0
    for number, tag in enumerate(tags):
        # Own style attributes are hidden, so that what comes back is what the rules say.
        attributes = _STYLE.sub(lambda found: f"data-mailer-style={found[1]}", tag[3])
        marked += (
            document[end : tag.start()],
            f'<{tag[2]} data-mailer-tag="{number}"{attributes}>',
        )
        end = tag.end()
    marked.append(document[end:])
    inliner = css_inline.CSSInliner(load_remote_stylesheets=False, keep_style_tags=True)
    styles: dict[int, str] = {}
    for found in _MARKED.finditer(inliner.inline("".join(marked))):
        computed = _COMPUTED.search(found[0])
        if computed:
            styles.setdefault(int(found[1]), html.unescape(computed[1]).strip().rstrip(";"))
    return styles


def _insertion(tag: re.Match[str], style: str) -> tuple[int, str]:
    """Return where in the document to insert what, so that the tag's own declarations win."""
    own = _STYLE.search(tag[3])
    if own is None:
        return tag.end(2), f' style="{html.escape(style)}"'
    escaped = html.escape(style) if own[1] == '"' else style.replace("'", "&#39;")
    return tag.start(3) + own.end(), f"{escaped};"


def _stretch(text: _Text, at: int) -> tuple[int, nodes.TemplateData | None]:
    """Return the stretch that holds the character before *at*: its start and its node."""
    low, high = 0, len(text.stretches)
    while high - low > 1:
        middle = (low + high) // 2
        if text.stretches[middle][0] < at:
            low = middle
        else:
            high = middle
    return text.stretches[low]


def _apply(node: nodes.TemplateData, insertions: list[tuple[int, str]]) -> None:
    seen: set[int] = set()
    # A file that is included twice is written to once: by its first place in the document.
    for at, insertion in sorted(insertions, reverse=True):
        if at not in seen:
            seen.add(at)
            node.data = node.data[:at] + insertion + node.data[at:]


class _Walk:
    """Yields the text of a template in the order of the document that it makes."""

    def __init__(self, parse: Parse) -> None:
        self._parse = parse
        self._open: list[str] = []

    def template(
        self, name: str, blocks: Blocks
    ) -> Iterator[tuple[str, nodes.TemplateData | None]]:
        tree = self._parse(name) if name not in self._open else None
        if tree is None:
            return
        self._open.append(name)
        merged = {block: list(stack) for block, stack in blocks.items()}
        for block in tree.find_all(nodes.Block):
            merged.setdefault(block.name, []).append(block)
        parent = tree.find(nodes.Extends)
        if parent is not None and isinstance(parent.template, nodes.Const):
            yield from self.template(parent.template.value, merged)
        else:
            yield from self._nodes(tree.body, merged, ())
        self._open.pop()

    def _nodes(
        self,
        body: list[nodes.Node],
        blocks: Blocks,
        parents: tuple[nodes.Block, ...],
    ) -> Iterator[tuple[str, nodes.TemplateData | None]]:
        for node in body:
            if isinstance(node, nodes.Block):
                stack = blocks.get(node.name) or [node]
                yield from self._nodes(stack[0].body, blocks, tuple(stack[1:]))
            elif isinstance(node, nodes.Include | nodes.Import | nodes.FromImport):
                if isinstance(node.template, nodes.Const):
                    yield from self.template(str(node.template.value), {})
            elif isinstance(node, nodes.Output):
                yield from self._output(node, blocks, parents)
            elif not isinstance(node, nodes.Expr):
                yield from self._nodes(list(node.iter_child_nodes()), blocks, parents)

    def _output(
        self, output: nodes.Output, blocks: Blocks, parents: tuple[nodes.Block, ...]
    ) -> Iterator[tuple[str, nodes.TemplateData | None]]:
        for node in output.nodes:
            if isinstance(node, nodes.TemplateData):
                yield node.data, node
            elif _is_super(node) and parents:
                yield from self._nodes(parents[0].body, blocks, parents[1:])
            else:
                yield _HOLE, None


def _is_super(node: nodes.Node) -> bool:
    return (
        isinstance(node, nodes.Call)
        and isinstance(node.node, nodes.Name)
        and node.node.name == "super"
    )
