"""From file and environment to `Settings`, or to one error with every fault."""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mailer.config.environment import CONFIG, overlay
from mailer.config.faults import describe
from mailer.config.presets import apply_presets
from mailer.config.settings import Settings
from mailer.errors import ConfigError

DEFAULT_FILE = "mailer.toml"

_STANDS_FOR = {"env": "A_VARIABLE", "file": "a-file", "command": ["a-command"]}
"""What a key for a secret may say, by its last word."""


def load(
    path: Path | str | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    secrets: bool = False,
) -> Settings:
    """The settings of *path*, else of ``$MAILER_CONFIG``, else of ``./mailer.toml`` if it exists.

    Each value may be overridden by an environment variable. With *secrets*, as on workers, every
    secret file and variable must be readable now; commands must exist, and are not run. Relative
    paths start at the file's folder. Raises `ConfigError` with one line for each fault.
    """
    environ = os.environ if environ is None else environ
    file = _file(path, environ)
    table = _read(file) if file else {}
    place = file.name if file else "environment"
    origins, faults = overlay(table, environ, Settings.model_fields)
    faults += apply_presets(table, place)
    folder = (file.parent if file else Path()).absolute()
    table.setdefault("templates", Path("templates"))
    settings = None
    try:
        settings = Settings.model_validate(table, context={"folder": folder})
    except ValidationError as exc:
        faults += describe(exc, place, origins)
        faults += _deeper(table, exc, folder, place, origins)
    if settings and secrets:
        checks = (secret.check(environ) for secret in settings.secrets())
        faults += [f"{place}: {fault}" for fault in checks if fault]
    if faults or not settings:
        raise ConfigError("\n".join(faults))
    # Private attributes are pydantic's way to keep it out of the table.
    settings._file, settings._looked_in = file, None if file else folder  # noqa: SLF001
    return settings


def names_a_file(environ: Mapping[str, str] | None = None) -> bool:
    """Whether the environment says which file is the configuration."""
    return CONFIG in (os.environ if environ is None else environ)


def _deeper(
    table: dict[str, Any],
    error: ValidationError,
    folder: Path,
    place: str,
    origins: Mapping[tuple[str, ...], str],
) -> list[str]:
    """The faults that show only when the keys which *error* blames are out of the way.

    A table's own rules are asked when all its keys are sound; a user wants to hear of both at once.
    """
    blamed = {fault["loc"] for fault in error.errors()}
    for loc in blamed:
        _forget(table, loc)
    try:
        Settings.model_validate(table, context={"folder": folder})
    except ValidationError as exc:
        return describe(exc, place, origins, besides=blamed)
    return []


def _forget(table: Any, loc: tuple[str | int, ...]) -> None:
    for part in loc[:-1]:
        if not isinstance(table, dict) or part not in table:
            return
        if not isinstance(table[part], dict):
            break
        table = table[part]
    else:
        part = loc[-1] if loc else ""
    if not isinstance(table, dict):
        return
    table.pop(str(part), None)
    # It was given, if wrongly: that a secret is missing would be a second fault that is none.
    way = str(part).rpartition("_")[2]
    if way in _STANDS_FOR and part != way:
        table[str(part)] = _STANDS_FOR[way]


def _file(path: Path | str | None, environ: Mapping[str, str]) -> Path | None:
    """Which file to read; None when none was named and there is none."""
    named = path or environ.get(CONFIG)
    if named:
        file = Path(named).expanduser()
        if not file.is_file():
            source = "" if path else f"{CONFIG}: "
            if file.is_dir():
                raise ConfigError(f"{source}{file} is a folder; name the file in it")
            raise ConfigError(f"{source}there is no configuration file {file}")
        return file
    file = Path(DEFAULT_FILE)
    return file if file.is_file() else None


def _read(file: Path) -> dict[str, Any]:
    try:
        text = file.read_text(encoding="utf-8-sig")  # as Windows' Notepad wrote it
    except OSError as exc:
        raise ConfigError(f"{file}: cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError:
        raise ConfigError(f"{file}: is not UTF-8 text") from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(f"{file.name}: is not valid TOML: {exc}{_quotes(text, exc)}") from None
    except (ValueError, RecursionError):
        raise ConfigError(
            f"{file.name}: cannot be read: a number has thousands of digits, or lists nest too deeply"
        ) from None


def _quotes(text: str, error: tomllib.TOMLDecodeError) -> str:
    """Name the quotes that word processors write, where they stand in the line that is wrong."""
    place = re.search(r"at line (\d+)", str(error))
    line = text.splitlines()[int(place[1]) - 1] if place else ""
    odd = re.search("[“”„«»]", line)
    return f'; write " instead of {odd[0]}' if odd else ""
