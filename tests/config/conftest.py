"""A configuration that is written down and read."""

from typing import Any

import pytest

from mailer.config import load


@pytest.fixture
def read(tmp_path):
    """Load what *text* and the environment say, and return the value of *key*."""

    def value(key: str, text: str = "", environ: dict[str, str] | None = None) -> object:
        file = tmp_path / "mailer.toml"
        file.write_text(text)
        found: Any = load(file, environ or {})
        for part in key.split("."):
            found = found[part] if isinstance(found, dict) else getattr(found, part)
        return found

    return value
