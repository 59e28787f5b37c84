"""Processes that make messages beside the caller's run nothing of the caller's."""

import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace

import pytest

from mailer.compose import Design, composer_of
from mailer.errors import MailerError
from mailer.mail.recipients import parse
from mailer.produce.renderers import Renderers

SCRIPT = """
    print("once")
    from mailer import Campaign

    class Season(str):
        "Of the script itself: nobody else knows it."

    rows = [{"email": f"r{number}@example.org", "name": "N"} for number in range(6)]
    campaign = Campaign("spring", template="hello", batch_size=2, context={"season": SEASON})
    print(campaign.enqueue(rows, processes=2).queued)
"""


@pytest.fixture
def place(tmp_path, redis_url):
    folder = tmp_path / "templates" / "hello"
    folder.mkdir(parents=True)
    (folder / "subject.txt").write_text("Hello {{ name }}\n")
    (folder / "body.txt").write_text("Dear {{ name }}, it is {{ season }}.\n")
    (tmp_path / "mailer.toml").write_text(
        f'redis = "{redis_url}"\nsender = "news@shop.example"\n'
        '[accounts.primary]\nurl = "smtp://localhost"\n'
    )
    return tmp_path


@pytest.mark.parametrize(
    ("season", "is_file", "said"),
    [('"May"', True, ""), ('"May"', False, ""), ('Season("May")', True, "this one renders")],
)
def test_a_script_without_a_guard_runs_once(place, season, is_file, said):
    code = textwrap.dedent(SCRIPT).replace("SEASON", season)
    (place / "script.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "script.py" if is_file else "-"],
        cwd=place,
        input=None if is_file else code,
        env={name: value for name, value in os.environ.items() if name[:7] != "MAILER_"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["once", "6"], done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def design(place):
    return Design(
        campaign="spring",
        template="hello",
        sender="news@shop.example",
        templates_path=place / "templates",
        context={"season": "May"},
    )


@pytest.fixture
def recipients():
    return (parse({"email": "ada@example.org", "name": "Ada"}, 1),)


def test_one_that_is_killed_is_named(design, recipients):
    with Renderers(1, design, composer_of(design)) as renderers:
        assert len(renderers.submit("primary", recipients, 1).result().recipients) == 1
        beside = renderers._free.get()
        beside._process.send_signal(signal.SIGKILL)
        renderers._free.put(beside)
        with pytest.raises(MailerError, match=r"a process that rendered has ended \(SIGKILL\)"):
            renderers.submit("primary", recipients, 1).result()


def test_what_is_wrong_with_a_template_is_raised_here(design, recipients, place):
    here = composer_of(design)
    (place / "templates/hello/body.txt").write_text("{% if %}")
    with (
        Renderers(1, design, here) as renderers,
        pytest.raises(MailerError, match=r"body\.txt"),
    ):
        renderers.submit("primary", recipients, 1).result()


def test_what_cannot_be_handed_over_is_made_here(design, recipients, caplog):
    local = replace(design, context={"season": "May", "call": lambda: 1})
    with Renderers(2, local, composer_of(local)) as renderers:
        for _ in range(2):
            assert len(renderers.submit("primary", recipients, 1).result().recipients) == 1
    assert caplog.text.count("this one renders") == 1
