"""How the history's tables are made, and brought to what this version expects."""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

_FOLDER: Final = Path(__file__).parent / "migrations"


def upgrade(connection: Connection) -> None:
    """Run the steps that this database has not seen, in one transaction."""
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def current(connection: Connection) -> str | None:
    """The step that the database is at; None before the first."""
    revision: str | None = MigrationContext.configure(connection).get_current_revision()
    return revision


def newest() -> str | None:
    """The step that this version expects."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def knows(revision: str) -> bool:
    """Whether this version has the step *revision*; a newer one may have made it."""
    known = ScriptDirectory.from_config(_config()).walk_revisions()
    return revision in {step.revision for step in known}


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    return config
