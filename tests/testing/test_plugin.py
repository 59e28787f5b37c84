"""The pytest plugin as users meet it: the documented examples are run, in a project of their own."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mailer import Attachment, Campaign, send
from mailer.config import Settings
from mailer.errors import CampaignChangedError, CampaignNotFoundError, MailerError
from mailer.operate.campaigns import cancel
from mailer.store.breaker import Breaker
from mailer.store.campaigns import Campaigns
from mailer.store.dispatch import Dispatch
from mailer.store.ledger import Ledger
from mailer.store.singles import Singles
from mailer.testing import outbox
from mailer.testing.memory import MemoryLinks

DOCUMENT = Path(__file__).parents[2] / "docs" / "testing.md"


@pytest.fixture
def project(tmp_path):
    """A user's folder: a template, a configuration, and the documented tests."""
    template = tmp_path / "templates" / "welcome"
    template.mkdir(parents=True)
    (template / "subject.txt").write_text("Welcome, {{ name }}\n")
    (template / "body.txt").write_text("Dear {{ name }}\n")
    (tmp_path / "mailer.toml").write_text('sender = "Shop <news@shop.example>"\n')
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nasyncio_default_fixture_loop_scope = function\n"
    )
    code = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    for number, text in enumerate(code):
        (tmp_path / f"test_{number}.py").write_text(text)
    return tmp_path


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_the_documented_examples_pass_with_nothing_but_the_package_installed(project, options):
    words = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-W",
        "error",
        *options,
    ]
    done = subprocess.run(
        words, cwd=project, check=False, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stdout
    assert "5 passed" in done.stdout


def test_the_plugin_costs_nothing_where_it_is_not_used():
    code = (
        "import sys, mailer.testing.plugin; print('celery' in sys.modules, 'jinja2' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=180
    )
    assert done.stdout.split() == ["False", "False"]


# What stands for the ledger, and the ledger: the same questions, the same answers.


STANDS_FOR = {
    Campaigns: (
        *("open", "begin_check", "close", "next_batch", "share", "open_recipients", "names"),
        *("set_state", "cancel_batches", "progress"),
    ),
    Ledger: ("reserve", "enqueue"),
    Singles: ("write",),
    Dispatch: ("take",),
    Breaker: ("state",),
}


@pytest.mark.parametrize(
    ("real", "name"), [(real, name) for real, names in STANDS_FOR.items() for name in names]
)
def test_what_stands_for_the_ledger_takes_what_the_ledger_takes(real, name):
    def taken(owner):
        given = inspect.signature(getattr(owner, name)).parameters.values()
        return [(one.name.lstrip("_"), one.kind) for one in given]

    assert taken(MemoryLinks) == taken(real)


def story(settings):
    """Everything that a producer can be told, as (answer or error) in order."""
    told = []

    def ask(call):
        try:
            told.append(call())
        except MailerError as error:
            told.append(type(error))

    rows = [{"email": f"r{n}@example.org", "name": f"N{n}"} for n in range(5)]
    given = {"settings": settings, "context": {"name": "A"}, "to": "a@example.org"}

    def campaign(name="spring", **options):
        options = {"template": "welcome", "batch_size": 2, "settings": settings} | options
        return Campaign(name, **options)

    def counts(receipt):
        return receipt.as_json()

    keyed = []
    ask(lambda: keyed.append(send("welcome", key="k", **given)))
    ask(lambda: keyed.append(send("welcome", key="k", **given)))
    ask(lambda: keyed[0] == keyed[1])
    ask(lambda: send("welcome", key="k", **given | {"to": "b@example.org"}))
    ask(lambda: send("welcome", **given | {"context": {}}))
    ask(lambda: send("welcome", **given | {"to": "nonsense"}))
    ask(lambda: send("missing", **given))
    ask(lambda: campaign().status())
    ask(lambda: counts(campaign().enqueue(rows[:3])))
    ask(lambda: counts(campaign().enqueue(iter([*rows, rows[0], {"email": "x"}]))))
    ask(lambda: counts(campaign().enqueue([*rows, {"email": "z@example.org"}])))
    ask(lambda: counts(campaign().enqueue([{**rows[0], "name": "Other"}])))
    ask(lambda: counts(campaign(headers={"X-Own": "1"}).enqueue(rows)))
    ask(lambda: counts(campaign(headers={"X-Own": "1"}).enqueue(rows, accept_changes=True)))
    ask(lambda: campaign().status().outcomes)
    ask(campaign().pause)
    ask(lambda: campaign().status().state)
    ask(campaign().cancel)
    ask(lambda: campaign().status().outcomes)
    ask(campaign().resume)
    ask(lambda: campaign().enqueue(rows))
    ask(lambda: cancel(settings, "send.welcome"))
    ask(lambda: bool(send("welcome", **given)))
    ask(lambda: campaign("send.welcome.2").status().outcomes)
    return told


def test_the_outbox_answers_as_the_ledger_does(project, redis_url):
    settings = Settings(
        redis=redis_url, templates=project / "templates", sender="Shop <news@shop.example>"
    )
    with outbox():
        pretended = story(settings)
    real = story(settings)
    assert pretended == real
    assert {CampaignChangedError, CampaignNotFoundError} <= {
        one for one in real if isinstance(one, type)
    }


def test_a_campaigns_context_and_attachments_are_seen(project, mailer_outbox):
    settings = Settings(templates=project / "templates", sender="Shop <news@shop.example>")
    campaign = Campaign(
        "spring",
        template="welcome",
        context={"season": "spring"},
        attachments=[Attachment.from_bytes(b"%PDF" * 100, "terms.pdf")],
        settings=settings,
    )
    campaign.enqueue([{"email": "ada@example.org", "name": "Ada"}])
    (message,) = mailer_outbox.to("ada@example.org")
    assert message.context == {"season": "spring", "name": "Ada", "email": "ada@example.org"}
    (file,) = message.iter_attachments()
    assert file.get_content() == b"%PDF" * 100
    assert message.text == "Dear Ada\n"
