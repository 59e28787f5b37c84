"""How a template's folder and a row become subject, text and HTML.

Only this package uses Jinja. A `Template` is a folder with everything that it extends and includes; a
`Variant` is the template in one language, compiled. A variant renders in three ways: to text; to the
pieces that the template puts out, of which constant ones are encoded once; and to a recording of what it
does with the fields of a row.
"""

import tomllib
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Final

import jinja2
from jinja2 import meta, nodes

from mailer.compose.design import Design
from mailer.compose.template.as_text import mark
from mailer.compose.template.environment import ESCAPED, Plain, Sandboxed, explained, set_up
from mailer.compose.template.folder import Folder
from mailer.compose.template.formats import is_known
from mailer.compose.template.pieces import pieces_of
from mailer.compose.template.recording import Hole, NotTraceableError, Trace, start
from mailer.compose.template.styles import inline_styles
from mailer.compose.template.tracing import Tracing, record
from mailer.errors import TemplateError

__all__ = ["Hole", "NotTraceableError", "Template", "Trace", "Variant", "start"]

# Variants that are kept. A list whose rows name more languages is broken: further ones get the design's
# own language, so that memory stays bounded.
_MAX_LANGUAGES: Final = 200


class Template:
    """A design's template folder, read and checked; *domain* ends the Content-IDs of its images.

    Raises `TemplateError`, which names file and line, when a file is missing or broken.
    """

    def __init__(self, design: Design, domain: str) -> None:
        images = {image.filename: image for image in design.inline_images}
        self.folder = Folder(
            design.templates_path, design.template, domain, images, trusted=design.trusted
        )
        self.trusted = design.trusted
        self.language = design.language
        self._variants: dict[str, Variant] = {}
        self.variant(self.language)
        for other in sorted(self.folder.languages):
            self.variant(other)

    def variant(self, language: object) -> "Variant":
        """Return the template in *language*, a tag such as ``pt-BR``; in the design's own for others."""
        if not isinstance(language, str) or not language:
            language = self.language
        variant = self._variants.get(language)
        if variant is None:
            if len(self._variants) >= _MAX_LANGUAGES or not self._is_known(language):
                return self._variants[self.language]
            variant = self._variants[language] = Variant(self.folder, language, self.trusted)
        return variant

    def _is_known(self, language: str) -> bool:
        own = language == self.language or language.lower() in self.folder.languages
        return own or is_known(language)

    @property
    def digest(self) -> str:
        """A digest in hex that changes when any of its files does."""
        return self.folder.digest


class Variant:
    """A template in one language."""

    def __init__(self, folder: Folder, language: str, trusted: bool) -> None:  # noqa: FBT001
        self.language = language
        self.folder = folder
        self.trusted = trusted
        self._trees: dict[str, nodes.Template] = {}
        self._environment = set_up(Plain if trusted else Sandboxed, folder, language, self._trees)
        self._files = self._find_sections()
        self.filenames: dict[str, str] = {}
        for name in self._files.values():
            self._parse_all(name)
        if "html" in self._files:
            self._inline_styles(self._files["html"])
        self._templates = {s: self._load(self._environment, n) for s, n in self._files.items()}
        self._headers = self._load_headers(self._environment)

    def _find_sections(self) -> dict[str, str]:
        found = {
            "subject": self.folder.section("subject.txt", self.language),
            "html": self.folder.section("body.html", self.language)
            or self.folder.section("body.mjml", self.language),
            "text": self.folder.section("body.txt", self.language),
        }
        path = self.folder.path
        if found["subject"] is None:
            raise TemplateError(f"{path}: there is no subject.txt")
        if found["html"] is None and found["text"] is None:
            raise TemplateError(f"{path}: there is neither body.html nor body.txt")
        return {section: name for section, name in found.items() if name is not None}

    @property
    def sections(self) -> frozenset[str]:
        """Those that it has, out of ``subject``, ``html`` and ``text``."""
        return frozenset(self._files)

    @property
    def header_names(self) -> tuple[str, ...]:
        """The names of the headers that the template sets."""
        return tuple(self._headers)

    # Loading.

    def _parse(self, name: str) -> nodes.Template | None:
        if name in self._trees:
            return self._trees[name]
        source = self.folder.source(name)
        if source is None:
            return None
        self.filenames[name] = source.path
        try:
            self._trees[name] = tree = self._environment.parse(source.text, name, source.path)
        except jinja2.TemplateSyntaxError as error:
            raise explained(error, name, self.filenames, self.folder.place) from error
        if not name.endswith(ESCAPED):
            mark(tree, self._environment)
        return tree

    def _parse_all(self, name: str) -> None:
        """Parse *name* and the files that it names, so that their faults show before the first row."""
        if name in self._trees:
            return
        tree = self._parse(name)
        if tree is None:
            return
        for other in meta.find_referenced_templates(tree):
            if other is not None:
                self._parse_all(other)

    def _inline_styles(self, name: str) -> None:
        if not name.endswith(".mjml"):
            inline_styles(name, self._parse)

    def _load(self, environment: jinja2.Environment, name: str) -> jinja2.Template:
        try:
            return environment.get_template(name)
        except (jinja2.TemplateError, SyntaxError, RecursionError) as error:
            raise explained(error, name, self.filenames, self.folder.place) from error

    def _load_headers(self, environment: jinja2.Environment) -> dict[str, jinja2.Template]:
        name = self.folder.section("headers.toml", self.language)
        source = self.folder.source(name) if name else None
        if source is None or name is None:
            return {}
        try:
            values = tomllib.loads(source.text)
        except tomllib.TOMLDecodeError as error:
            raise TemplateError(f"{source.path}: {error}") from error
        for header, value in values.items():
            if not isinstance(value, str):
                raise TemplateError(f"{source.path}: {header} must be text in quotes")
        try:
            return {header: environment.from_string(text) for header, text in values.items()}
        except jinja2.TemplateError as error:
            raise TemplateError(f"{source.path}: {error.message}") from error

    # Rendering.

    @property
    def _all(self) -> Iterator[tuple[str, jinja2.Template]]:
        yield from self._templates.items()
        yield from self._headers.items()

    def pieces(self, variables: Mapping[str, Any]) -> dict[str, list[str]]:
        """Render every section, and every header by its name, to the pieces that are put out.

        Raises `TemplateError` with file and line.
        """
        return {section: self._pieces(template, variables) for section, template in self._all}

    def _pieces(self, template: jinja2.Template, variables: Mapping[str, Any]) -> list[str]:
        try:
            try:
                context = template.new_context(dict(variables))
                return list(pieces_of(template.root_render_func(context)))
            except Exception:  # noqa: BLE001 - whatever a template raises, Jinja finds the line
                self._environment.handle_exception()
        except Exception as error:
            raise explained(
                error, template.name or "headers.toml", self.filenames, self.folder.place
            ) from error

    def rendered(self, variables: Mapping[str, Any]) -> dict[str, str]:
        """Render every section and every header to text. Raises as `pieces` does."""
        return {section: "".join(pieces) for section, pieces in self.pieces(variables).items()}

    # Recording.

    @cached_property
    def _traced(self) -> dict[str, jinja2.Template]:
        environment = set_up(Tracing, self.folder, self.language, self._trees)
        assert isinstance(environment, Tracing)
        environment.trace_filters()
        templates = {s: self._load(environment, name) for s, name in self._files.items()}
        return {**templates, **self._load_headers(environment)}

    def record(
        self, shared: Mapping[str, Any], variables: Mapping[str, Any]
    ) -> tuple[Trace, dict[str, list[str | Hole]]]:
        """Run the template on *variables* as holes (see `mailer.compose.template.recording`).

        Returns the trace, and the output of each section and header as text and holes. *shared* are the
        variables that are the same for every row. Raises `NotTraceableError` when that cannot be done,
        for whatever reason.
        """
        if not self.trusted:
            raise NotTraceableError("a template that is not trusted")
        try:
            return record(self._traced, shared, variables)
        except NotTraceableError:
            raise
        except Exception as error:
            raise NotTraceableError(f"{type(error).__name__}") from error
