"""Which files make up a template, and in which languages.

``templates/NAME/`` holds ``subject.txt``, ``body.html`` (or ``body.mjml``), ``body.txt`` and
``headers.toml``; ``body.de.html`` is the German variant of ``body.html``. Layouts and includes are
looked for beside them first, then from ``templates/`` on (``layouts/base.html``). Nothing outside
``templates/`` can be named.

What is read here is source text, as Jinja will get it: MJML made HTML, images named by Content-ID.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b, sha256
from pathlib import Path, PurePosixPath
from typing import Final

from mailer.compose.attachment import Attachment
from mailer.errors import AttachmentError, TemplateError

SECTIONS: Final = ("subject.txt", "body.html", "body.mjml", "body.txt", "headers.toml")
_NAME: Final = re.compile(r"[\w.-]+(?:/[\w.-]+)*")
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*")
# <img src="cid:logo.png">, url(cid:logo.png), {{ embed("logo.png") }}
_CID: Final = re.compile(r"\bcid:([\w.-]+(?:/[\w.-]+)*)")
_EMBED: Final = re.compile(r"\bembed\(\s*([\"'])([^\"']+)\1\s*\)")


@dataclass(frozen=True, slots=True)
class Source:
    """One file as Jinja gets it: its text and where it lies."""

    text: str
    path: str


class Folder:
    """A template's folder, read file by file as they are asked for, each once.

    *images* are inline images by file name that come from elsewhere; *domain* ends the Content-IDs.
    """

    def __init__(
        self, root: Path, name: str, domain: str, images: Mapping[str, Attachment] | None = None
    ) -> None:
        if not _NAME.fullmatch(name) or ".." in name:
            raise TemplateError(f"{name!r} cannot be the name of a template")
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
            if path.suffix == ".mjml":
                text = _html_of_mjml(text, path)
            if path.suffix in {".html", ".mjml"}:
                text = _EMBED.sub(lambda found: f'"{self._content_url(found[2], path)}"', text)
                text = _CID.sub(lambda found: self._content_url(found[1], path, found[0]), text)
            self._sources[name] = Source(text, str(path))
        return self._sources[name]

    def _find(self, name: str) -> Path | None:
        """Return the path of *name*, below the template's folder or the root of all templates."""
        if not _NAME.fullmatch(name) or ".." in PurePosixPath(name).parts:
            return None
        return next((p for p in (self.path / name, self.root / name) if p.is_file()), None)

    def _text(self, path: Path, name: str) -> str:
        try:
            self._octets[name] = octets = path.read_bytes()
            return octets.decode("utf-8-sig")
        except OSError as error:
            raise TemplateError(f"cannot read {path}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            line = octets.count(b"\n", 0, error.start) + 1
            raise TemplateError(f"{path}:{line}: not UTF-8; save the file as UTF-8") from error

    def _content_url(self, name: str, path: Path, otherwise: str = "") -> str:
        """Return the ``cid:`` URL of the image *name*, which is embedded from now on."""
        if name not in self.images:
            found = self._find(name)
            if found is None and otherwise and "." not in name:
                return otherwise  # a Content-ID of the caller's own
            if found is None:
                raise TemplateError(f"{path}: the image {name!r} is not in the template's folder")
            try:
                self.images[name] = Attachment.from_path(found)
            except AttachmentError as error:
                raise TemplateError(f"{path}: {error}") from error
        return f"cid:{self.content_id(name)}"

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
        """The SHA-256, in hex, of all that was read so far and of the whole template folder."""
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


def _html_of_mjml(text: str, path: Path) -> str:
    try:
        compile_mjml = _mjml()
        return compile_mjml(text)
    except ImportError:
        raise TemplateError(
            f"{path}: MJML needs an extra: pip install 'celery-mailer[mjml]'"
        ) from None
    except (OSError, ValueError) as error:
        raise TemplateError(f"{path}: not valid MJML: {error}") from error


def _mjml() -> Callable[[str], str]:
    """Return the compiler of the optional package ``mrml``, which includes nothing from anywhere."""
    from mrml import ParserOptions, noop_loader, to_html  # noqa: PLC0415 - optional

    options = ParserOptions(include_loader=noop_loader())

    def compile_mjml(text: str) -> str:
        output = to_html(text, parser_options=options)
        return str(getattr(output, "content", output))

    return compile_mjml
