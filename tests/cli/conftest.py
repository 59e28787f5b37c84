"""Commands run as users run them: words in; output, complaints and an exit code out."""

import io
import os
from dataclasses import dataclass

import pytest

from mailer.cli import main


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
def mailer(place, monkeypatch, capsys):
    """Run `mailer` in that folder, in this process: imports are paid for once."""

    def run(*words, stdin="", environ=None):
        with monkeypatch.context() as patch:
            patch.chdir(place)
            patch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
            for name in [name for name in os.environ if name.startswith("MAILER_")]:
                patch.delenv(name)
            for name, value in (environ or {}).items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as ended:
                main([str(word) for word in words])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return Ran(ended.value.code, out, err)

    return run
