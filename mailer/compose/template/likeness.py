"""The document that a template makes, put together from its files, with what varies marked.

An inliner needs a whole document, and there are only files with Jinja in them. So the files are put
together as they nest: layout, blocks, includes, macros where they are called, and all branches of
conditions, one after the other. Each stretch knows the node of the syntax tree that it came from, so that
a style can be written there. It also knows its *flow*: the branches and loops that it stands in. What has
another flow than the tag around it is not there for every row.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from jinja2 import nodes

# Stands for a value that Jinja puts out: a character of private use, which no parser takes for markup.
HOLE: Final = "\uf8ff"

Parse = Callable[[str], nodes.Template | None]
Blocks = Mapping[str, list[nodes.Block]]
Flow: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Stretch:
    """A piece of the document: its offset, its text, its node (None for a value), its flow."""

    start: int
    text: str
    node: nodes.TemplateData | None
    flow: Flow


@dataclass(slots=True)
class Likeness:
    """The document, and its stretches in order."""

    stretches: list[Stretch] = field(default_factory=list)
    length: int = 0

    def add(self, text: str, node: nodes.TemplateData | None, flow: Flow) -> None:
        """Append a stretch."""
        self.stretches.append(Stretch(self.length, text, node, flow))
        self.length += len(text)

    @property
    def text(self) -> str:
        """The whole document; a value is a `HOLE`."""
        return "".join(stretch.text for stretch in self.stretches)

    def at(self, offset: int) -> Stretch:
        """Return the stretch that holds the character at *offset*."""
        starts = self._starts()
        return self.stretches[max(bisect_right(starts, offset) - 1, 0)]

    def between(self, start: int, end: int) -> list[Stretch]:
        """Return the stretches that hold a character from *start* up to *end*."""
        starts = self._starts()
        first = max(bisect_right(starts, start) - 1, 0)
        return [one for one in self.stretches[first : bisect_right(starts, end - 1)] if one.text]

    def varies(self, start: int, end: int) -> bool:
        """Tell whether the text from *start* to *end* may differ between rows that have its beginning."""
        flow = self.at(start).flow
        return any(one.node is None or one.flow != flow for one in self.between(start, end))

    def without_varying(self, start: int, end: int) -> str:
        """Return the text from *start* to *end*, a `HOLE` for what is not there for every row."""
        flow = self.at(start).flow
        kept = []
        for one in self.between(start, end):
            text = one.text[max(start - one.start, 0) : end - one.start]
            kept.append(text if one.flow == flow and one.node is not None else HOLE)
        return "".join(kept)

    def _starts(self) -> list[int]:
        if len(self._cached) != len(self.stretches):
            self._cached = [stretch.start for stretch in self.stretches]
        return self._cached

    _cached: list[int] = field(default_factory=list)


def likeness(name: str, parse: Parse) -> Likeness:
    """Return the document that the template *name* makes.

    *parse* returns the syntax tree of a file, the same one each time, or None where there is no file.
    """
    found = Likeness()
    for text, node, flow in _Walk(parse).template(name, {}):
        found.add(text, node, flow)
    return found


_Piece: TypeAlias = tuple[str, nodes.TemplateData | None, Flow]


class _Walk:
    """Yields the text of a template in the order of the document that it makes."""

    def __init__(self, parse: Parse) -> None:
        self._parse = parse
        self._open: list[str] = []
        self._flow: Flow = ()
        self._count = 0
        # The bodies of macros, set blocks and callers, by the name that a template puts them out by.
        self._kept: dict[str, list[nodes.Node]] = {}
        self._modules: dict[str, str] = {}
        self._running: list[int] = []

    def template(self, name: str, blocks: Blocks) -> Iterator[_Piece]:
        tree = self._parse(name) if name not in self._open else None
        if tree is None:
            return
        self._open.append(name)
        merged = {block: list(stack) for block, stack in blocks.items()}
        for block in tree.find_all(nodes.Block):
            merged.setdefault(block.name, []).append(block)
        self._keep(tree)
        parent = tree.find(nodes.Extends)
        if parent is not None and isinstance(parent.template, nodes.Const):
            yield from self.template(parent.template.value, merged)
        else:
            yield from self._nodes(tree.body, merged, ())
        self._open.pop()

    def _keep(self, tree: nodes.Template, prefix: str = "") -> None:
        """Remember the macros and set blocks of *tree*, and of what it imports, by their names there."""
        for node in tree.find_all((nodes.Macro, nodes.AssignBlock)):
            if isinstance(node, nodes.Macro):
                self._kept.setdefault(prefix + node.name, node.body)
            elif isinstance(node, nodes.AssignBlock) and isinstance(node.target, nodes.Name):
                self._kept.setdefault(prefix + node.target.name, node.body)
        for found in tree.find_all((nodes.FromImport, nodes.Import)):
            self._keep_import(found)

    def _keep_import(self, node: nodes.Node) -> None:
        template = getattr(node, "template", None)
        if not isinstance(template, nodes.Const) or template.value in self._open:
            return
        tree = self._parse(str(template.value))
        if tree is None:
            return
        if isinstance(node, nodes.Import):
            self._keep(tree, f"{node.target}.")
            return
        macros = {macro.name: macro.body for macro in tree.find_all(nodes.Macro)}
        for name in getattr(node, "names", []):
            original, own = name if isinstance(name, tuple) else (name, name)
            if original in macros:
                self._kept.setdefault(own, macros[original])

    def _nodes(
        self, body: list[nodes.Node], blocks: Blocks, parents: tuple[nodes.Block, ...]
    ) -> Iterator[_Piece]:
        for node in body:
            if isinstance(node, nodes.Block):
                stack = blocks.get(node.name) or [node]
                yield from self._nodes(stack[0].body, blocks, tuple(stack[1:]))
            elif isinstance(node, nodes.Include):
                if isinstance(node.template, nodes.Const):
                    yield from self.template(str(node.template.value), {})
            elif isinstance(node, nodes.Output):
                yield from self._output(node, blocks, parents)
            elif isinstance(node, nodes.CallBlock):
                self._kept["caller"] = node.body
                yield from self._put_out(node.call, blocks, parents)
            elif isinstance(node, nodes.If | nodes.For):
                yield from self._branches(node, blocks, parents)
            elif not isinstance(
                node,
                nodes.Expr | nodes.Macro | nodes.AssignBlock | nodes.Import | nodes.FromImport,
            ):
                yield from self._nodes(list(node.iter_child_nodes()), blocks, parents)

    def _branches(
        self, node: nodes.If | nodes.For, blocks: Blocks, parents: tuple[nodes.Block, ...]
    ) -> Iterator[_Piece]:
        branches = [node.body, node.else_]
        if isinstance(node, nodes.If):
            branches[1:1] = [[branch] for branch in node.elif_]
        outer = self._flow
        for branch in branches:
            self._count += 1
            self._flow = (*outer, self._count)
            yield from self._nodes(branch, blocks, parents)
        self._flow = outer

    def _output(
        self, output: nodes.Output, blocks: Blocks, parents: tuple[nodes.Block, ...]
    ) -> Iterator[_Piece]:
        for node in output.nodes:
            if isinstance(node, nodes.TemplateData):
                yield node.data, node, self._flow
            elif _is_super(node) and parents:
                yield from self._nodes(parents[0].body, blocks, parents[1:])
            else:
                yield from self._put_out(node, blocks, parents)

    def _put_out(
        self, node: nodes.Node, blocks: Blocks, parents: tuple[nodes.Block, ...]
    ) -> Iterator[_Piece]:
        """Yield what a macro or a kept block puts out at this place; a hole for anything else."""
        body = self._kept.get(_name_of(node))
        if body is None or id(body) in self._running:
            yield HOLE, None, self._flow
            return
        self._running.append(id(body))
        yield from self._nodes(body, blocks, parents)
        self._running.pop()


def _is_super(node: nodes.Node) -> bool:
    return (
        isinstance(node, nodes.Call)
        and isinstance(node.node, nodes.Name)
        and node.node.name == "super"
    )


def _name_of(node: nodes.Node) -> str:
    """Return the name of what is put out: ``button`` of ``{{ button(…) }}``, ``ui.button``."""
    if isinstance(node, nodes.Call):
        node = node.node
    if isinstance(node, nodes.Name):
        return node.name
    if isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name):
        return f"{node.node.name}.{node.attr}"
    return ""
