"""The history's database goes away under real workers: mail is sent, and events go in when it is back."""

import os
import signal
import subprocess
import sys
from contextlib import closing

import pytest

from mailer.history import open_history
from mailer.store.events import EventStream
from tests.servers.waiting import eventually

pytestmark = pytest.mark.postgresql

TOTAL = 600


def status(cluster):
    return subprocess.run(
        [sys.executable, "-m", "mailer", "status"],
        cwd=cluster.folder,
        env=os.environ | {"MAILER_CONFIG": str(cluster.folder / "mailer.toml")},
        capture_output=True,
        text=True,
        check=True,
    ).stderr


def trouble(cluster):
    """Why the history does not get on."""
    (backlog,) = EventStream(cluster.client).backlogs(0.0)
    return backlog.trouble


def counted(url):
    with closing(open_history(url)) as history:
        return dict(history.counts("spring"))


def test_a_campaign_is_sent_while_the_database_is_away_and_is_whole_there_afterwards(
    cluster, postgres_server, postgres_url
):
    text = (cluster.folder / "mailer.toml").read_text()
    cluster.configure(f'{text}\n[history]\nurl = "{postgres_url}"\n')
    with closing(open_history(postgres_url)) as history:
        history.upgrade()
    first = cluster.start("w1")
    cluster.enqueue("autumn", "primary", 50)
    eventually(lambda: cluster.final("autumn"))
    postgres_server.stop()
    try:
        cluster.enqueue("spring", "primary", TOTAL)
        eventually(lambda: cluster.final("spring"))
        assert cluster.outcomes("spring") == {"accepted": TOTAL}
        eventually(lambda: "cannot be used" in trouble(cluster))
        said = status(cluster)
        assert "the history cannot be used" in said
        assert "history: 6" in said  # hundred events wait
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        cluster.start("w2")
        assert EventStream(cluster.client).unread()["history"] >= TOTAL
    finally:
        postgres_server.start()

    eventually(lambda: counted(postgres_url) == {"accepted": TOTAL})
    eventually(lambda: EventStream(cluster.client).unread() == {"history": 0})
    eventually(lambda: not trouble(cluster))
    assert "history" not in status(cluster)
    with closing(open_history(postgres_url)) as history:
        (found,) = history.trace("spring-17@example.org")
        assert [step.outcome for step in found.steps] == ["accepted"]


def test_beyond_the_backlog_sending_waits_for_the_history_and_goes_on_with_it(
    cluster, postgres_server, postgres_url
):
    text = (cluster.folder / "mailer.toml").read_text()
    cluster.configure(f'{text}\n[history]\nurl = "{postgres_url}"\nmax_backlog = 200\n')
    with closing(open_history(postgres_url)) as history:
        history.upgrade()
    cluster.start("w1")
    postgres_server.stop()
    try:
        cluster.enqueue("spring", "primary", TOTAL, batch=50)
        eventually(lambda: cluster.outcomes("spring").get("accepted", 0) >= 200)
        waits = eventually(lambda: EventStream(cluster.client).unread()["history"] >= 200)
        assert waits
        assert not cluster.final("spring")
    finally:
        postgres_server.start()

    eventually(lambda: cluster.final("spring"))
    eventually(lambda: counted(postgres_url) == {"accepted": TOTAL})
