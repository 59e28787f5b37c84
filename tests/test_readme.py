"""README's first commands and its Python, as pasted, against real servers."""

import re
import shutil
from pathlib import Path

import pytest

from mailer import Campaign, configure
from mailer.config import load
from tests.cli.test_first_minutes import (  # noqa: F401 - fixtures
    empty,
    mailbox,
    run,
    typed,
)
from tests.servers.project import Project
from tests.servers.scripted import ScriptedServer
from tests.servers.waiting import eventually

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")

pytestmark = pytest.mark.timeout(600)


def section(title):
    """What stands below a heading, up to the next."""
    return TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def commands(text):
    """What is to be typed there, without what is remarked beside."""
    found = re.findall(r"^    (.+?)(?: {2,}#.*| +# .*)?$", text, re.MULTILINE)
    return [part.strip() for line in found for part in line.split("&&")]


def test_a_list_from_one_machine(empty, mailbox, monkeypatch):  # noqa: F811
    """The commands below "Or pip install": typed one after the other, at a terminal."""
    begin, go, send = commands(section("Try it").partition("Or `pip install")[2])
    assert run(*begin.removeprefix("mailer ").split()) == 0
    monkeypatch.chdir(empty / go.removeprefix("cd "))
    answers = [
        ("Server", f"127.0.0.1:{mailbox.port}"),
        ("User", "ada"),
        ("Password", "right"),
        ("Mail is from", "Shop <news@shop.example>"),
        ("Keep the password", "file"),
    ]
    code, seen = typed(send.removeprefix("mailer ").split(), answers)
    assert code == 0, seen
    assert len(mailbox.kept) == 2


def test_the_workers_configuration_is_one(tmp_path):
    (text,) = re.findall(r"```toml\n(.*?)```", section("Workers"), re.DOTALL)
    (tmp_path / "mailer.toml").write_text(text)
    assert load(tmp_path / "mailer.toml", {}).account("primary").max_connections == 10


def test_python_as_written_sends_to_a_real_server(tmp_path, redis_url, monkeypatch):
    (code,) = re.findall(r"```python\n(.*?)```", section("From Python"), re.DOTALL)
    with ScriptedServer() as server:
        place = Project("celery", tmp_path / "place", redis_url, server.port)
        try:
            shutil.copytree(ROOT / "templates", place.folder / "templates", dirs_exist_ok=True)
            (place.folder / "terms.pdf").write_bytes(b"%PDF-1.7")
            worker = place.start("mailer")
            monkeypatch.chdir(place.folder)
            configure(None)
            rows = [{"email": f"r{n}@example.org", "name": f"N {n}"} for n in range(5)]
            names = {"recipients": rows}
            exec(compile(code, "README.md", "exec"), names)
            assert names["receipt"].queued == 5
            kept = server.wait_for(6)
            eventually(lambda: Campaign("spring-2026").status().outcomes["accepted"] == 5)
            assert min(mailbox for mailbox, _ in kept) == "ada@example.org"
            assert "Traceback" not in place.log(worker)
        finally:
            place.stop()
