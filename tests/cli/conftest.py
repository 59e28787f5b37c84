"""Commands run as users run them: a process, its output, its exit code."""

import os
import subprocess
import sys
from dataclasses import dataclass

import pytest

COMMAND = [sys.executable, "-W", "error::ResourceWarning", "-m", "mailer"]


@dataclass
class Ran:
    """What a command left: its exit code and what it wrote."""

    code: int
    out: str
    err: str


@pytest.fixture
def place(tmp_path, redis_url):
    """A folder with a template and a configuration that points to an empty Redis."""
    folder = tmp_path / "templates/hello"
    folder.mkdir(parents=True)
    (folder / "subject.txt").write_text("Hello {{ name }}")
    (folder / "body.html").write_text("<p>Dear {{ name }}, it is {{ season }}.</p>")
    (tmp_path / "mailer.toml").write_text(
        f'redis = "{redis_url}"\nsender = "Shop <news@shop.example>"\n'
        '[accounts.primary]\nurl = "smtp://localhost:1"\n'
    )
    (tmp_path / "people.csv").write_text(
        "email,name\nada@example.org,Ada\nbob@example.org,Bob\nADA@example.org,Ada\nnobody,Nobody\n"
    )
    return tmp_path


@pytest.fixture
def mailer(place):
    """Run `mailer` in that folder."""

    def run(*words, stdin="", environ=None):
        environment = {
            key: value for key, value in os.environ.items() if not key.startswith("MAILER_")
        }
        done = subprocess.run(
            [*COMMAND, *map(str, words)],
            cwd=place,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=environment | (environ or {}),
        )
        assert "Traceback" not in done.stderr
        return Ran(done.returncode, done.stdout, done.stderr)

    return run
