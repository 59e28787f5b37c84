"""What a command line works with: the settings, the server, the terminal."""

from __future__ import annotations

import shlex
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

import click

if TYPE_CHECKING:
    from mailer.config import Settings
    from mailer.queues.connections import Producer

# What a command does not need it does not load: settings, Redis and Celery cost 0.2 s of CPU, and most of
# what people wait for at a prompt is imports. So each property imports what it opens.


class Session:
    """One invocation of `mailer`: opens what it needs when it is first asked for, closes it at the end.

    With *local*, everything happens in that folder's embedded server, and its ``mailer.toml`` is the
    configuration unless another is named.
    """

    def __init__(self) -> None:
        self._config: Path | None = None
        self.local: Path | None = None
        self._stack = ExitStack()

    def place(self, config: Path | None, local: Path | None) -> None:
        """Hear which configuration and folder the command line names."""
        self._config, self.local = config, local

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stack.close()

    @cached_property
    def config(self) -> Path | None:
        """The configuration file that was named, or that the local folder has."""
        from mailer.config import names_a_file  # noqa: PLC0415

        if self._config is None and self.local is not None and not names_a_file():
            own = self.local / "mailer.toml"
            return own if own.is_file() else None
        return self._config

    @cached_property
    def configured(self) -> Settings:
        """The configuration as it is written, or as the program around this one gave it."""
        from mailer.config import given, load  # noqa: PLC0415

        own = given() if self.config is None else None
        return own or load(self.config)

    def renew(self) -> None:
        """Read the configuration again: it was written just now."""
        self.__dict__.pop("configured", None)

    @cached_property
    def settings(self) -> Settings:
        """The configuration to work with: the embedded server's address in it, which is then up."""
        if self.local is None:
            return self.configured
        from mailer.local import Folder  # noqa: PLC0415

        configured = self.configured
        folder = Folder(self.local)
        if not self.local.is_dir():
            raise click.BadParameter(f"there is no folder {self.local}", param_hint="--local")
        return folder.settings(configured, self._stack.enter_context(folder.entered()))

    @cached_property
    def connections(self) -> Producer:
        """Redis and the broker."""
        from mailer.queues.connections import Producer  # noqa: PLC0415

        return Producer(self.settings)

    def command(self, words: str) -> str:
        """The command line of *words* as it is to be typed next, with this one's global options."""
        options = [("--config", self._config), ("--local", self.local)]
        given = [
            f"{name} {shlex.quote(shortest(path))} " for name, path in options if path is not None
        ]
        return f"mailer {''.join(given)}{words}"


def shortest(path: Path) -> str:
    """*path* as one would type it here."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


pass_session = click.make_pass_decorator(Session)
