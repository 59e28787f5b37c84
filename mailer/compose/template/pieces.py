"""How a macro's output keeps the pieces that it was made of.

Jinja joins what a macro or a ``set`` block puts out into one string. Most of it is constant text that is
encoded already, but that cannot be recognised once it is joined. Here it is joined into a string that
remembers its pieces. For everything but `pieces_of` it is an ordinary string.

Compiled templates import these functions instead of those of the same name in Jinja's runtime.
"""

import builtins
from collections.abc import Iterable, Iterator
from typing import Any, Final

import markupsafe
from jinja2 import runtime

from mailer.compose.template.nulls import refused

IMPORTED: Final = f"from {__name__} import str, "


class _Text(builtins.str):  # noqa: SLOT000 - it holds something more
    """Joined text and its pieces."""

    pieces: list[builtins.str] | None = None


class _Markup(markupsafe.Markup):
    """Joined markup and its pieces."""

    pieces: list[builtins.str] | None = None


def __getattr__(name: builtins.str) -> Any:
    """Give compiled templates the other names that they import from Jinja's runtime."""
    return getattr(runtime, name)


def concat(pieces: Iterable[builtins.str]) -> builtins.str:
    """Join output, remembering the pieces."""
    kept = list(pieces)
    text = _Text("".join(kept))
    text.pieces = kept
    return text


def Markup(value: Any) -> markupsafe.Markup:  # noqa: N802 - the name by which templates call it
    """Mark as safe, keeping the pieces."""
    markup = _Markup(value)
    markup.pieces = getattr(value, "pieces", None)
    return markup


def escape(value: Any) -> markupsafe.Markup:
    """Escape; joined markup stays what it is."""
    return value if type(value) is _Markup else markupsafe.escape(refused(value))


def str(value: Any) -> builtins.str:  # noqa: A001 - the name by which templates call it
    """Make text of what is put out."""
    return builtins.str(refused(value))


class Macro(runtime.Macro):
    """A macro whose output keeps its pieces."""

    def _invoke(self, arguments: list[Any], autoescape: bool) -> builtins.str:  # noqa: FBT001 - Jinja's
        output = self._func(*arguments)
        return Markup(output) if autoescape else output


def pieces_of(output: Iterable[builtins.str]) -> Iterator[builtins.str]:
    """Yield the output of a template piece by piece."""
    for piece in output:
        inner = piece.pieces if type(piece) is _Markup else None
        if inner is None:
            yield piece
        else:
            yield from pieces_of(inner)
