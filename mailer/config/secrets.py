"""Where a secret is, and how it is read: at the moment of its use, and never kept in a setting."""

import logging
import os
import re
import shlex
import shutil
import stat
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator

from mailer.config.units import File, FromEnvironment, parsed
from mailer.errors import ConfigError, SecretUnavailableError

COMMAND_TIMEOUT = 30.0
"""Seconds that a ``*_command`` may take to print its secret."""


def _words(value: object) -> object:
    """A command as a tuple of words: a list as it stands, a string split as a shell would."""
    value = parsed(value) if str(value).startswith("[") else value
    if isinstance(value, str | FromEnvironment):
        try:
            return tuple(shlex.split(value))
        except ValueError:
            raise ValueError(
                "has a quote that nothing closes; write the command as a list of words"
            ) from None
    return tuple(value) if isinstance(value, list) else value


log = logging.getLogger(__name__)

_VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")
"""A name that is shown: a password that was written to the wrong key does not look like it."""

_ENDS_LINES = frozenset("\n\r\0")
"""What no login can carry: protocols end their lines, or their words, by it."""

_GIVEN_BY_THE_SYSTEM = Path("/run/secrets")
"""Docker puts secrets here, readable for all in a container of one's own."""

_warned: set[Path] = set()

Command = Annotated[tuple[str, ...], BeforeValidator(_words)]
Variable = str
SecretFile = File


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret by its place: *key* says which one it is, the rest where it lies.

    `read` looks afresh each time, so that a rotated password is found at the next login. Its errors
    name the key and never the value. The `repr` names the key alone: what stands under it may be the
    secret itself, by mistake. With *one_line*, as for what is typed at a login, several are a fault.
    """

    key: str
    env: Variable | None = field(default=None, repr=False)
    file: Path | None = field(default=None, repr=False)
    command: tuple[str, ...] | None = field(default=None, repr=False)
    one_line: bool = False

    def __bool__(self) -> bool:
        return bool(self.env or self.file or self.command)

    @property
    def place(self) -> str:
        """The configuration key that says where the secret is, for messages."""
        kind = "env" if self.env else "file" if self.file else "command"
        return f"{self.key}_{kind}"

    def read(self, environ: Mapping[str, str] | None = None) -> str:
        """The secret, without the one newline at its end, or the mark that Windows writes before UTF-8.

        Its octets are UTF-8 whatever the locale: the same secret is the same on all hosts. Raises
        `SecretUnavailableError` where it cannot be had here and now, another `ConfigError` where waiting
        does not help: a program that does not exist.
        """
        if self.env:
            octets = self._variable(self.env, os.environ if environ is None else environ)
        elif self.file:
            octets = self._read_file(self.file)
        elif self.command:
            octets = self._run(self.command)
        else:
            raise ConfigError(
                f"{self.key}: no secret is configured; "
                f"set {self.key}_env, {self.key}_file or {self.key}_command"
            )
        try:
            value = octets.decode("utf-8-sig").removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            value = None
        if value is None:  # outside of the except block: that error holds the octets
            raise SecretUnavailableError(f"{self.place}: the secret is not UTF-8 text")
        if not value:
            # A file that is being rewritten is empty for a moment.
            raise SecretUnavailableError(f"{self.place}: the secret is empty")
        if self.one_line and not _ENDS_LINES.isdisjoint(value):
            raise SecretUnavailableError(
                f"{self.place}: the secret has several lines, or a NUL: it wants one"
            )
        return value

    def check(self, environ: Mapping[str, str] | None = None) -> str | None:
        """What keeps the secret from being read, or None; runs no command."""
        if not self.command:
            try:
                self.read(environ)
            except ConfigError as exc:
                return str(exc)
        elif shutil.which(self.command[0]) is None:
            return f"{self.place}: cannot run it: no such program"
        return None

    def _variable(self, name: str, environ: Mapping[str, str]) -> bytes:
        if name not in environ:
            told = name if _VARIABLE.fullmatch(name) else "of that name"
            raise SecretUnavailableError(f"{self.place}: the environment has no variable {told}")
        return os.fsencode(environ[name])

    def _read_file(self, file: Path) -> bytes:
        warn_if_exposed(self.place, file)
        try:
            return file.read_bytes()
        except FileNotFoundError:
            # Its name is not repeated: it may be the password itself, written to the wrong key.
            where = f"in {file.parent}" if file.parent.is_dir() else "and no such folder"
            raise SecretUnavailableError(
                f"{self.place}: cannot read it: no such file {where}"
            ) from None
        except OSError as exc:
            reason = f"{self.place}: cannot read {file}: {exc.strerror}"
        raise SecretUnavailableError(reason)

    def _run(self, command: tuple[str, ...]) -> bytes:
        """What *command* prints; its output is in no error, for it may hold the secret.

        Nor are its words: they may be the secret itself, written to the wrong key.
        """
        try:
            done = subprocess.run(  # noqa: S603 - the administrator's own words, and no shell
                command, capture_output=True, check=True, timeout=COMMAND_TIMEOUT
            )
        except FileNotFoundError:
            raise ConfigError(f"{self.place}: cannot run it: no such program") from None
        except OSError as exc:
            reason = exc.strerror or type(exc).__name__
        except subprocess.TimeoutExpired:
            reason = f"no answer within {COMMAND_TIMEOUT:g} s"
        except subprocess.CalledProcessError as exc:
            reason = f"exit status {exc.returncode}"
        else:
            return done.stdout
        raise SecretUnavailableError(f"{self.place}: cannot run it: {reason}")


def warn_if_exposed(place: str, file: Path) -> None:
    """Say once in the log if everybody on this machine can read the secret *file*, named by *place*."""
    if file in _warned or file.is_relative_to(_GIVEN_BY_THE_SYSTEM):
        return
    try:
        mode = file.stat().st_mode
    except OSError:
        return
    if mode & stat.S_IROTH:
        _warned.add(file)
        log.warning("%s: everybody on this machine can read %s: chmod 600 it", place, file)


def offer(variable: Variable, value: str) -> None:
    """Put a secret that was typed in into this process's environment, for it and its children alone."""
    os.environ[variable] = value
