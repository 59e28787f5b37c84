"""How Jinja is set up: what a template may say, and how its faults are told.

HTML is escaped, text is not. An undefined variable is an error. A line with nothing but a control tag
leaves no blank line. A template that is not trusted runs in Jinja's sandbox, where it can neither reach
Python's insides nor change the values that it was given.
"""

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final

import jinja2
from jinja2 import nodes, sandbox
from markupsafe import Markup

from mailer.compose.template import pieces
from mailer.compose.template.as_text import FILTER, as_text
from mailer.compose.template.folder import Folder
from mailer.compose.template.formats import filters, locale_of
from mailer.compose.template.nulls import for_json, is_null, refused
from mailer.errors import TemplateError

RUNTIME: Final = "from jinja2.runtime import "
ESCAPED: Final = (".html", ".mjml")
_NO_SUCH_IMAGE: Final = 'embed() wants the name of a file in quotes, as in embed("logo.png")'


class Plain(jinja2.Environment):
    """The environment of trusted templates; *trees* are syntax trees to use instead of the source."""

    trees: Mapping[str, nodes.Template] = {}
    # What compiled templates begin with: they import the functions that they call from our module.
    runtime = pieces.IMPORTED
    concat = staticmethod(pieces.concat)

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.tests["none"] = is_null

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = self.trees.get(name) if name else None
        return tree or super()._parse(source, name, filename)

    def _generate(self, *args: Any, **options: Any) -> str:
        return super()._generate(*args, **options).replace(RUNTIME, self.runtime, 1)


class Sandboxed(sandbox.ImmutableSandboxedEnvironment):
    """The environment of templates that are not trusted."""

    trees: Mapping[str, nodes.Template] = {}

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, finalize=refused)
        self.tests["none"] = is_null

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = self.trees.get(name) if name else None
        return tree or super()._parse(source, name, filename)


def set_up(
    kind: Callable[..., jinja2.Environment],
    folder: Folder,
    language: str,
    trees: Mapping[str, nodes.Template],
) -> jinja2.Environment:
    """Return an environment of *kind* that reads from *folder* and writes in *language*."""

    def load(name: str) -> tuple[str, str, None] | None:
        source = folder.source(name)
        return None if source is None else (source.text, source.path, None)

    environment = kind(
        loader=jinja2.FunctionLoader(load),
        undefined=jinja2.StrictUndefined,
        autoescape=lambda name: bool(name) and name.endswith(ESCAPED),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
        cache_size=-1,
    )
    environment.filters.update(filters(locale_of(language)))
    environment.filters[FILTER] = as_text
    environment.policies["json.dumps_kwargs"] = {"sort_keys": True, "default": for_json}
    environment.globals["locale"] = language
    environment.globals["embed"] = _embed
    environment.trees = trees  # type: ignore[attr-defined]
    return environment


def _embed(_name: object) -> Markup:
    """Raise for an ``embed()`` that was not replaced when the file was read: its argument is a value."""
    raise jinja2.TemplateRuntimeError(_NO_SUCH_IMAGE)


def explained(
    error: Exception,
    name: str,
    filenames: Mapping[str, str],
    place_of: Callable[[str, int], str],
) -> TemplateError:
    """Return the `TemplateError` for *error*, raised while *name* was loaded or rendered.

    It says file and line. *filenames* maps names of templates to paths; *place_of* says which file and
    line of the source a line of Jinja's is. What Python says about values is left out where it could hold
    an address.
    """
    path = filenames.get(name, name)
    if isinstance(error, jinja2.TemplateSyntaxError):
        where = error.filename or filenames.get(error.name or "", path)
        return TemplateError(f"{place_of(where, error.lineno)}: {error.message}")
    if isinstance(error, jinja2.TemplateNotFound):
        return TemplateError(f"{path}: there is no file {error.message!r} to extend or include")
    line = _line(error.__traceback__, filenames)
    where = place_of(*line) if line else path
    if isinstance(error, jinja2.TemplateError):
        return TemplateError(f"{where}: {error.message}")
    said = str(error)
    detail = f": {said}" if said and "@" not in said else ""
    return TemplateError(f"{where}: {type(error).__name__}{detail}")


def _line(trace: TracebackType | None, filenames: Mapping[str, str]) -> tuple[str, int] | None:
    """Return path and line of the innermost frame that stands in a template."""
    paths = set(filenames.values()) | {"<template>"}
    found = None
    while trace is not None:
        filename = trace.tb_frame.f_code.co_filename
        if filename in paths:
            found = (filename, trace.tb_lineno)
        trace = trace.tb_next
    return found
