"""How HTML becomes text in a subject or a text part that includes it.

A macro or an include from an ``.html`` file puts out HTML, also where a ``.txt`` file uses it. A reader
would see its tags, and ``Tom &amp; Jerry`` in the subject. So where a text file includes an HTML file, or
imports from one, the output passes through the filter `as_text`.
"""

from collections.abc import Callable, Iterator
from html import unescape
from typing import Any, Final

from jinja2 import Environment, nodes
from jinja2.runtime import Macro

from mailer.compose.text import text_of

FILTER: Final = "mailer_as_text"
_MARKUP: Final = (".html", ".mjml")


def as_text(value: Any) -> Any:
    """Return *value*, which comes out of an HTML file, as text.

    It may be output, a macro, or a whole module: then what those put out is text.
    """
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Macro):
        return _of_macro(value)
    if hasattr(value, "_body_stream"):  # a template's module
        return _Module(value)
    return value


def _text(markup: str) -> str:
    if "<" not in markup:
        return unescape(str(markup))
    text = text_of(str(markup))
    return text if markup.endswith("\n") else text.rstrip("\n")


def _of_macro(macro: Macro) -> Callable[..., str]:
    def call(*args: Any, **options: Any) -> str:
        return _text(macro(*args, **options))

    return call


class _Module:
    """An imported HTML file, whose macros put out text."""

    def __init__(self, module: Any) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return as_text(getattr(self._module, name))


def mark(tree: nodes.Template, environment: Environment) -> None:
    """Insert the filter where *tree*, of a text file, includes an HTML file or imports from one."""
    _mark(tree, environment)
    tree.set_environment(environment)


def _mark(node: nodes.Node, environment: Environment) -> None:
    for field, value in node.iter_fields():
        if isinstance(value, list) and any(isinstance(item, nodes.Node) for item in value):
            setattr(node, field, [new for item in value for new in _marked(item, environment)])
        elif isinstance(value, nodes.Node):
            _mark(value, environment)


def _marked(node: Any, environment: Environment) -> Iterator[Any]:
    if not isinstance(node, nodes.Node):
        yield node
        return
    if not _is_markup(node):
        _mark(node, environment)
        yield node
    elif isinstance(node, nodes.Include):
        yield nodes.FilterBlock([node], _filter(None, node.lineno), lineno=node.lineno)
    else:
        yield node
        names = [node.target] if isinstance(node, nodes.Import) else node.names  # type: ignore[attr-defined]
        for name in names:
            own = name[1] if isinstance(name, tuple) else name
            load = nodes.Name(own, "load", lineno=node.lineno)
            store = nodes.Name(own, "store", lineno=node.lineno)
            yield nodes.Assign(store, _filter(load, node.lineno), lineno=node.lineno)


def _is_markup(node: nodes.Node) -> bool:
    return (
        isinstance(node, nodes.Include | nodes.Import | nodes.FromImport)
        and isinstance(node.template, nodes.Const)
        and str(node.template.value).endswith(_MARKUP)
    )


def _filter(node: nodes.Expr | None, line: int) -> nodes.Filter:
    return nodes.Filter(node, FILTER, [], [], None, None, lineno=line)
