"""An empty history in each of the databases."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mailer.history import History, open_history


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def history(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[History]:
    """An empty history, in each of the databases."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/history.sqlite"
    else:
        url = request.getfixturevalue("postgres_url")
    opened = open_history(url)
    opened.upgrade()
    yield opened
    opened.close()
