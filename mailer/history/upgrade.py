"""How the history's tables are made, and brought to what this version expects."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import get_ident
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

log = logging.getLogger(__name__)

_FOLDER: Final = Path(__file__).parent / "migrations"


def upgrade(connection: Connection) -> None:
    """Run the steps that this database has not seen, in one transaction."""
    before = current(connection)
    config = _config()
    config.attributes["connection"] = connection
    with _alembic_silent():
        command.upgrade(config, "head")
    if before != newest():
        log.info("history: its tables are at step %s now", newest())


def current(connection: Connection) -> str | None:
    """The step that the database is at; None before the first."""
    with _alembic_silent():
        revision: str | None = MigrationContext.configure(connection).get_current_revision()
    return revision


@cache
def newest() -> str | None:
    """The step that this version expects."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def knows(revision: str) -> bool:
    """Whether this version has the step *revision*; a newer one may have made it."""
    return revision in _steps()


# Once in a process: to read the steps takes longer than to find a message.
@cache
def _steps() -> frozenset[str]:
    known = ScriptDirectory.from_config(_config()).walk_revisions()
    return frozenset(step.revision for step in known)


@contextmanager
def _alembic_silent() -> Iterator[None]:
    """Keep what Alembic tells of its own doings out of the worker's log; another thread's stays."""
    here, alembic = get_ident(), logging.getLogger("alembic.runtime.migration")

    def is_kept(record: logging.LogRecord) -> bool:
        return record.thread != here or record.levelno >= logging.WARNING

    alembic.addFilter(is_kept)
    try:
        yield
    finally:
        alembic.removeFilter(is_kept)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    return config
