"""The bytes of bodies, a hundred times as fast as building each message.

Most of a message is the template's own text, which is the same for all: it is encoded once. A
recipient's values are encoded and put between, each after a soft line break (`mailer.compose.quoted`).
There are two ways to get the pieces. A *recording* of what the template did with one row
(`mailer.compose.template.recording`) is played for other rows, and Jinja does not run. For a template
that cannot be recorded, Jinja renders pieces, and those that are the template's constants are encoded
already.

A `Program` is a tree of recordings. Its inner nodes are the questions that the template asked of a
row (is there a name? how many items?), its leaves are outputs. A row that answers in a way not
seen before is recorded and grows the tree. Before a recording is used, its output is compared with
Jinja's, because a mistake in it would be in every message that it makes.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any, Final

from mailer.compose import quoted
from mailer.compose.template import Hole, NotTraceableError, Trace, Variant, start
from mailer.compose.text import check_depth, plain, text_of, text_of_pieces
from mailer.compose.transfer import chosen, encoded, transfer_encoding, weight
from mailer.mail.forms import getter

# A recording costs several renderings. A list whose rows all take ways of their own is not recorded:
# after the first fifty, at most one recording for four rows that were played, and so many in all.
_MAX_MISSES: Final = 50
_MAX_LEAVES: Final = 500
# Sets of fields that have recordings, and encoded texts that are kept: both bound the memory.
_MAX_SHAPES: Final = 100
_MAX_CHUNKS: Final = 5000

Memo = list[Any]
Pieces = list[str | int]
Bodies = dict[str, Sequence[bytes]]
Encodings = tuple[str, ...]


# The outputs of one template have most of their constant text in common.
_constant_chunk = lru_cache(4096)(quoted.chunk)


class Output:
    """What a template put out on one way: constant texts, and numbers of the steps between them."""

    def __init__(self, pieces: Pieces) -> None:
        self.pieces = pieces = _merged(pieces)
        numbers = sorted({piece for piece in pieces if isinstance(piece, int)})
        self._steps: Callable[[Memo], Any] = getter(numbers)
        texts = [piece for piece in pieces if isinstance(piece, str)]
        self._chunks = list(map(_constant_chunk, texts))
        order: list[int] = []
        seen = 0
        for piece in pieces:
            order.append(seen if isinstance(piece, str) else len(texts) + numbers.index(piece))
            seen += isinstance(piece, str)
        self._order: Callable[[list[bytes]], Any] = getter(order)
        # Whether the last piece is constant: then the line break that ends the body is made here, once.
        self._closed = bool(pieces) and isinstance(pieces[-1], str)
        self._octets, self._high = weight("".join(texts))
        # Values of so many characters cannot make it base64, even with 4 octets for each.
        self._ample = (self._octets - 6 * self._high) // 20
        if self._closed:
            self._chunks[-1] = quoted.spliced(self._chunks[-1])

    def text(self, memo: Memo) -> str:
        """Return the output as text."""
        return "".join([p if isinstance(p, str) else memo[p] for p in self.pieces])

    def values(self, memo: Memo) -> Sequence[str]:
        """Return the results of the steps that stand in the output, each once."""
        values: Sequence[str] = self._steps(memo)
        return values

    def encoding(self, values: str) -> str:
        """Return the transfer encoding for the output (`transfer_encoding`) that has *values*."""
        if len(values) <= self._ample or (
            values.isascii() and 6 * self._high <= self._octets + len(values)
        ):
            return "quoted-printable"
        octets = len(values.encode("utf-8", "surrogatepass"))
        # A character of k > 1 octets adds k - 1 to the difference, and k <= 2 * (k - 1): twice the
        # difference is at least the number of octets beyond ASCII.
        if 6 * (self._high + 2 * (octets - len(values))) <= self._octets + octets:
            return "quoted-printable"
        octets, high = weight(values)
        return chosen(self._octets + octets, self._high + high)

    def quoted(self, values: Sequence[str], chunks: "_Chunks") -> Sequence[bytes]:
        """Return the output in quoted-printable, in pieces.

        Raises `quoted.UnspliceableError` for a value with a carriage return.
        """
        picked: Sequence[bytes] = self._order([*self._chunks, *map(chunks.__getitem__, values)])
        return picked if self._closed else (quoted.spliced(b"".join(picked)),)


Outputs = dict[str, Output]


class Leaf:
    """What all sections and headers put out on one way: *outputs* by name.

    *bodies* are those of the bodies, *heads* the others: the subject and headers.
    """

    __slots__ = ("bodies", "heads", "outputs")

    def __init__(self, outputs: Outputs, bodies: tuple[str, ...]) -> None:
        self.outputs = outputs
        self.bodies = [(section, outputs[section]) for section in bodies]
        self.heads = [(name, output) for name, output in outputs.items() if name not in bodies]

    def names_image(self, memo: Memo) -> bool:
        """Tell whether a value may name an image."""
        html = self.outputs.get("html")
        return html is not None and _names_image("".join(html.values(memo)))

    def texts(self, memo: Memo) -> dict[str, str]:
        """Return what is no body, as text."""
        return {name: output.text(memo) for name, output in self.heads}


class _Chunks(dict[str, bytes]):
    """Chunks by their text: of a template's constants, and of values.

    Most values are needed twice in the same message: in the text and in the HTML.
    """

    def __missing__(self, text: str) -> bytes:
        if len(self) >= _MAX_CHUNKS:
            self.clear()
        chunk = self[text] = quoted.chunk(text)
        return chunk


class _Node:
    """Some steps, and then either a guard, with a node for each answer, or the outputs."""

    __slots__ = ("guard", "leaf", "steps", "ways")

    def __init__(self) -> None:
        self.steps: list[Callable[[Memo], Any]] = []
        self.guard = 0
        self.ways: dict[Any, _Node] = {}
        self.leaf: Leaf | None = None


class Program:
    """The recordings of one template for rows with the same fields; *leaves* is their number."""

    def __init__(self) -> None:
        self._root = _Node()
        self.leaves = 0

    def play(self, variables: Mapping[str, Any]) -> tuple[Leaf, Memo] | None:
        """Return the leaf for a row and the results of the steps, or None for a way unknown."""
        memo = start(variables)
        node = self._root
        while True:
            for step in node.steps:
                memo.append(step(memo))
            if node.leaf is not None:
                return node.leaf, memo
            if not node.ways:
                return None
            following = node.ways.get(memo[node.guard])
            if following is None:
                return None
            node = following

    def add(self, trace: Trace, leaf: Leaf) -> None:
        """Grow the tree by the way that *trace* took."""
        node, done = self._root, 0
        for count, number, answer in trace.guards:
            node.steps, node.guard = trace.steps[done:count], number
            node, done = node.ways.setdefault(answer, _Node()), count
        node.steps, node.leaf = trace.steps[done:], leaf
        self.leaves += 1


class Renderer:
    """Renders one variant of a template for rows, by recordings where it can.

    *shared* are the variables that all rows have in common.
    """

    def __init__(self, variant: Variant, shared: Mapping[str, Any]) -> None:
        self.variant = variant
        self._shared = dict(shared)
        self._programs: dict[tuple[str, ...], Program] = {}
        # The bodies of a message. There is always a text: it is made from the HTML if the template has
        # none.
        self.bodies = ("text", "html") if "html" in variant.sections else ("text",)
        self._hits = self._misses = self._failures = 0
        self._chunks = _Chunks()

    def play(self, variables: Mapping[str, Any]) -> tuple[Leaf, Memo] | None:
        """Return the leaf and the results of the steps for a row; a row that is new is recorded.

        None where that cannot be done: then Jinja must render the row, and says what is wrong with it.
        """
        shape = tuple(variables)
        program = self._programs.get(shape)
        try:
            if program is None:
                if len(self._programs) >= _MAX_SHAPES:
                    return None
                program = self._programs[shape] = Program()
            played = program.play(variables)
            if played is not None:
                self._hits += 1
                return played
            if self._misses >= min(max(_MAX_MISSES, self._hits // 4), _MAX_LEAVES):
                return None
            self._misses += 1
            self._record(program, variables)
            return program.play(variables)
        except Exception:  # noqa: BLE001 - whatever a step raises for this row, Jinja is to judge it
            self._failures += 1
            return None

    def _record(self, program: Program, variables: Mapping[str, Any]) -> None:
        trace, pieces = self.variant.record(self._shared, variables)
        outputs: Outputs = {}
        for section, put_out in pieces.items():
            outputs[section] = Output([p.number if isinstance(p, Hole) else p for p in put_out])
        rendered = self.variant.rendered({**self._shared, **variables})
        for section, output in outputs.items():
            if output.text(trace.memo) != rendered[section]:
                raise NotTraceableError(f"the recording of {section} differs from the rendering")
        if "text" not in outputs:
            outputs["text"] = derived = _derived(trace, pieces["html"])
            if derived.text(trace.memo) != text_of(rendered["html"]):
                raise NotTraceableError("the text of the recording differs from the rendering's")
        program.add(trace, Leaf(outputs, self.bodies))

    def heads(self, variables: Mapping[str, Any]) -> dict[str, str]:
        """Return subject and headers as text, after trying all that may fail in the bodies.

        Raises `TemplateError` with file and line.
        """
        played = self.play(variables)
        if played is not None:
            leaf, memo = played
            if not leaf.names_image(memo):
                return leaf.texts(memo)
        rendered = self.variant.rendered({**self._shared, **variables})
        self._check(rendered)
        if "text" not in rendered:
            check_depth(rendered["html"])
        return rendered

    def encoded(self, variables: Mapping[str, Any]) -> tuple[dict[str, str], Bodies, Encodings]:
        """Return subject and headers as text, the bodies in encoded pieces, and the encodings.

        Each body has the transfer encoding that is shorter for it; they are in the order of `bodies`.
        Raises `TemplateError` with file and line.
        """
        played = self.play(variables)
        if played is not None:
            found = self._played(*played)
            if found is not None:
                return found
        pieces = self.variant.pieces({**self._shared, **variables})
        self._check(pieces)
        if all(section in pieces for section in self.bodies):
            encodings = tuple([transfer_encoding("".join(pieces[s])) for s in self.bodies])
            try:
                bodies: Bodies = {
                    section: self._spliced(pieces[section], encoding)
                    for section, encoding in zip(self.bodies, encodings, strict=True)
                }
            except quoted.UnspliceableError:
                pass
            else:
                texts = {s: "".join(p) for s, p in pieces.items() if s not in bodies}
                return texts, bodies, encodings
        return self._encoded_whole(_with_text({s: "".join(p) for s, p in pieces.items()}))

    def _check(self, rendered: Mapping[str, str | list[str]]) -> None:
        """Raise `TemplateError` for an image that a value names and that is not in the message."""
        if "html" in rendered:
            self.variant.folder.check_images("".join(rendered["html"]))

    def _played(self, leaf: Leaf, memo: Memo) -> tuple[dict[str, str], Bodies, Encodings] | None:
        """Return what `encoded` does, or None where a value names an image: that must be checked."""
        encodings: list[str] = []
        bodies: Bodies = {}
        try:
            for section, output in leaf.bodies:
                values = output.values(memo)
                joined = "".join(values)
                if section == "html" and _names_image(joined):
                    return None
                encoding = output.encoding(joined)
                encodings.append(encoding)
                if encoding == "base64":
                    bodies[section] = (encoded(output.text(memo), "base64"),)
                else:
                    bodies[section] = output.quoted(values, self._chunks)
        except quoted.UnspliceableError:
            return self._encoded_whole({s: o.text(memo) for s, o in leaf.outputs.items()})
        return leaf.texts(memo), bodies, tuple(encodings)

    def _spliced(self, pieces: list[str], encoding: str) -> Sequence[bytes]:
        if encoding == "base64":
            return (encoded("".join(pieces), "base64"),)
        return (quoted.spliced(b"".join(map(self._chunks.__getitem__, pieces))),)

    def _encoded_whole(self, texts: dict[str, str]) -> tuple[dict[str, str], Bodies, Encodings]:
        encodings = tuple([transfer_encoding(texts[s]) for s in self.bodies])
        whole: Bodies = {
            s: (encoded(texts.pop(s), e),) for s, e in zip(self.bodies, encodings, strict=True)
        }
        return texts, whole, encodings


def _names_image(values: str) -> bool:
    return "cid:" in values or "CID:" in values


def _derived(trace: Trace, pieces: list[str | Hole]) -> Output:
    """Return the text that is made from the output of the HTML."""
    numbers = {piece.number: piece for piece in pieces if isinstance(piece, Hole)}
    text = text_of_pieces([p.number if isinstance(p, Hole) else p for p in pieces])
    if text is None:
        raise NotTraceableError("private characters in the HTML")
    steps = {number: trace.derive("plain", plain, hole) for number, hole in numbers.items()}
    return Output([p if isinstance(p, str) else steps[p].number for p in text])


def _with_text(rendered: dict[str, str]) -> dict[str, str]:
    if "text" not in rendered:
        rendered["text"] = text_of(rendered["html"])
    return rendered


def _merged(pieces: Pieces) -> Pieces:
    """Join neighbouring texts as plain `str`: a sum of text and `Markup` would escape the text."""
    merged: Pieces = []
    for is_text, run in groupby(pieces, lambda piece: isinstance(piece, str)):
        if is_text:
            merged.append("".join(map(str, run)))
        else:
            merged += run
    return [piece for piece in merged if piece != ""]
