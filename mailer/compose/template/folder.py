"""Which files make up a template, and in which languages.

``templates/NAME/`` holds ``subject.txt``, ``body.html`` (or ``body.mjml``), ``body.txt`` and
``headers.toml``; ``body.de.html`` is the German variant of ``body.html``. Layouts and includes are
looked for in that folder first, then below ``templates/`` (``layouts/base.html``). A name cannot lead out
of ``templates/``.

What is read here is source text as Jinja gets it: MJML is compiled to HTML, and images are named by their
Content-IDs.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b, sha256
from html import unescape
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import unquote

from mailer.compose.attachment import Attachment
from mailer.compose.template.mjml import html_of_mjml
from mailer.errors import AttachmentError, TemplateError

SECTIONS: Final = ("subject.txt", "body.html", "body.mjml", "body.txt", "headers.toml")
_NAME: Final = re.compile(r"[\w.-]+(?:/[\w.-]+)*")
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*")
# <img src="cid:my logo.png">, <td background=cid:logo.png>, url(cid:logo.png), {{ embed("logo.png") }}
_CID: Final = re.compile(
    r"(?P<before>(?P<quote>[\"'])\s*)cid:(?P<quoted>[^\n]*?)(?P<after>\s*(?P=quote))"
    r"|(?P<bare_before>=\s*|\burl\(\s*)cid:(?P<bare>[^\s\"'<>)]+)",
    re.IGNORECASE,
)
_MARKED: Final = re.compile(r"\{\{|\{%|\}\}")
_EMBED: Final = re.compile(r"\bembed\(\s*([\"'])([^\"']+)\1\s*\)")


@dataclass(frozen=True, slots=True)
class Source:
    """One file as Jinja gets it: its text, its path, and which *lines* are from another file or line."""

    text: str
    path: str
    lines: Mapping[int, tuple[str, int]] = field(default_factory=dict)


class Folder:
    """A template's folder; each file is read once, when it is first asked for.

    *images* are inline images of the design, by file name; *domain* ends the Content-IDs. If the folder
    is not *trusted*, a symbolic link to a file outside *root* counts as no file. Raises `TemplateError`
    where there is no such folder.
    """

    def __init__(
        self,
        root: Path,
        name: str,
        domain: str,
        images: Mapping[str, Attachment] | None = None,
        *,
        trusted: bool = True,
    ) -> None:
        if not _NAME.fullmatch(name) or ".." in name:
            raise TemplateError(f"{name!r} cannot be the name of a template")
        self._trusted = trusted
        self.root = root
        self.path = root / name
        if not self.path.is_dir():
            raise TemplateError(
                f"there is no template {name!r}: {self.path} is no folder ({_others(root)})"
            )
        self.domain = domain
        self.images: dict[str, Attachment] = dict(images or {})
        self._sources: dict[str, Source] = {}
        self._octets: dict[str, bytes] = {}

    def section(self, section: str, language: str) -> str | None:
        """Return the name of the file for *section* in *language*, or None where there is none.

        ``pt-BR`` falls back to ``pt``, and then to the file without a language.
        """
        variants = self._variants.get(section, {})
        tag = language.replace("_", "-").lower()
        while tag:
            if tag in variants:
                return variants[tag]
            tag = tag.rpartition("-")[0]
        return variants.get("")

    @cached_property
    def languages(self) -> frozenset[str]:
        """The languages, in lower case, that some file has a variant for."""
        return frozenset(tag for files in self._variants.values() for tag in files if tag)

    @cached_property
    def _variants(self) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {section: {} for section in SECTIONS}
        for file in sorted(self.path.iterdir()):
            stem, _, suffix = file.name.rpartition(".")
            base, _, language = stem.partition(".")
            section = f"{base}.{suffix}"
            if section in found and (not language or _LANGUAGE.fullmatch(language)):
                found[section][language.replace("_", "-").lower()] = file.name
        return found

    def source(self, name: str) -> Source | None:
        """Return the file called *name* in a template, or None when there is none.

        Raises `TemplateError` when it is there and cannot be used.
        """
        if name not in self._sources:
            path = self._find(name)
            if path is None:
                return None
            text = self._text(path, name)
            lines: Mapping[int, tuple[str, int]] = {}
            if path.suffix == ".mjml":
                compiled = html_of_mjml(text, str(path), self._included)
                text, lines = compiled.html, compiled.lines
            if path.suffix in {".html", ".mjml"}:
                text = _CID.sub(lambda found: self._embedded(found, path), text)
                text = _EMBED.sub(lambda found: f'"{self._content_url(found[2], path)}"', text)
            self._sources[name] = Source(text, str(path), lines)
        return self._sources[name]

    def place(self, path: str, number: int) -> str:
        """Return where line *number* of the file at *path*, as Jinja counts, is from: ``body.mjml:3``."""
        for source in self._sources.values():
            if source.path == path:
                path, number = source.lines.get(number, (path, number))
                break
        return f"{path}:{number}"

    def _find(self, name: str) -> Path | None:
        """Return the path of *name*, below the template's folder or the root of all templates."""
        if not _NAME.fullmatch(name) or ".." in PurePosixPath(name).parts:
            return None
        return self._first_file(name)

    def _first_file(self, name: str) -> Path | None:
        """Return the file *name* below the template's folder or the root; a link must stay below it."""
        for path in (self.path / name, self.root / name):
            if self._is_ours(path):
                return path
        return None

    def _is_ours(self, path: Path) -> bool:
        # Not Path.is_file: that raises for a name that is too long.
        return os.path.isfile(path) and (  # noqa: PTH113
            self._trusted or path.resolve().is_relative_to(self.root.resolve())
        )

    def _included(self, written: str, beside: str) -> tuple[str, str] | None:
        """Return text and path of the MJML file *written*, or None; ``..`` may not lead out of *root*."""
        top = Path(os.path.abspath(self.root))  # noqa: PTH100 - resolve() would follow links
        for place in (Path(beside).parent, self.path, self.root):
            for name in (written, f"{written}.mjml"):
                path = Path(os.path.abspath(place / name))  # noqa: PTH100 - resolve() would follow links
                if name.isprintable() and path.is_relative_to(top) and self._is_ours(path):
                    below = path.relative_to(top)
                    return self._text(path, below.as_posix()), str(self.root / below)
        return None

    def _text(self, path: Path, name: str) -> str:
        try:
            self._octets[name] = octets = path.read_bytes()
            return octets.decode("utf-8-sig")
        except OSError as error:
            raise TemplateError(f"cannot read {path}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            line = octets.count(b"\n", 0, error.start) + 1
            raise TemplateError(f"{path}:{line}: not UTF-8; save the file as UTF-8") from error

    def _embedded(self, found: re.Match[str], path: Path) -> str:
        written = found["bare"] if found["quoted"] is None else found["quoted"]
        if _MARKED.search(written):
            line = found.string.count("\n", 0, found.start()) + 1
            raise TemplateError(
                f"{path}:{line}: the image {found[0].strip()!r} is named by a value: name the files "
                "themselves, each in an {% if %}"
            )
        before = found["before"] or found["bare_before"] or ""
        return f"{before}{self._content_url(written, path)}{found['after'] or ''}"

    def _content_url(self, written: str, path: Path) -> str:
        """Return the ``cid:`` URL of the image *written* in the file at *path*, and embed the image.

        The name may be percent-encoded (``my%20logo.png``), or be written as by Outlook, with something
        after an @-sign (``image001.png@01DA5C3F.1B2E``).
        """
        plain = unescape(written)
        names = [plain, unquote(plain), unquote(plain).partition("@")[0]]
        for name in names:
            if name in self.images:
                return f"cid:{self.content_id(name)}"
            found = self._find_image(name)
            if found is not None:
                try:
                    self.images[name] = Attachment.from_path(found)
                except AttachmentError as error:
                    raise TemplateError(f"{path}: {error}") from error
                return f"cid:{self.content_id(name)}"
        raise TemplateError(f"{path}: the image {names[1]!r} is not in the template's folder")

    def _find_image(self, name: str) -> Path | None:
        parts = PurePosixPath(name).parts
        if not name or name.startswith("/") or ".." in parts or not name.isprintable():
            return None
        return self._first_file(name)

    def check_images(self, document: str) -> None:
        """Raise `TemplateError` when the finished HTML *document* names an image that is not embedded.

        Only a value can do so: names in the files were looked up when they were read.
        """
        for found in _CID.finditer(document):
            name = found["bare"] if found["quoted"] is None else found["quoted"]
            known = {self.content_id(image) for image in self.images}
            if unescape(name) not in known:
                raise TemplateError(
                    f"{self.path}: the image {ascii(name)[:80]}, named by a value, is not in the message"
                )

    def content_id(self, name: str) -> str:
        """Return the Content-ID of the image *name*, without angle brackets."""
        digest = blake2b(self.images[name].content, digest_size=6, key=name.encode()[:64])
        return f"{digest.hexdigest()}@{self.domain}"

    def files(self) -> list[Path]:
        """The files that were read so far, images among them."""
        named = (self._find(name) for name in (*self._octets, *self.images))
        return [path for path in named if path is not None]

    @property
    def digest(self) -> str:
        """The SHA-256, in hex, of all files that were read so far and of the whole template folder."""
        digest = sha256()
        for path in sorted(self.path.rglob("*")):
            if path.is_file():
                name = path.relative_to(self.path).as_posix()
                digest.update(f"{name}\0{sha256(path.read_bytes()).hexdigest()}\0".encode())
        for name in sorted(self._octets):
            digest.update(f"{name}\0{sha256(self._octets[name]).hexdigest()}\0".encode())
        return digest.hexdigest()


def _others(root: Path) -> str:
    if not root.is_dir():
        return f"{root} does not exist"
    names = sorted(p.parent.name for p in root.glob("*/subject*.txt"))
    return f"there are: {', '.join(names)}" if names else f"{root} holds no template"
