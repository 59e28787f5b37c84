"""Applications are told by real workers, whatever hangs, raises or is killed."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections import defaultdict
from contextlib import closing
from pathlib import Path

import pytest

from mailer.history import open_history
from mailer.store.events import EventStream
from tests.servers.cluster import Cluster
from tests.servers.scripted import ScriptedServer
from tests.servers.waiting import eventually
from tests.worker.telling.receiver import Receiver

SHOP = """
import json, os, time

def on_event(events):
    with open("told.jsonl", "a") as file:
        file.write("".join(json.dumps(one) + "\\n" for one in events))

def hangs(events):
    open("hangs", "a").write("x")
    while True:
        pass
"""


@pytest.fixture
def smtp():
    with ScriptedServer({"primary": "right"}) as server:
        yield server


@pytest.fixture
def cluster(tmp_path, redis_url, smtp):
    (tmp_path / "shop_mail.py").write_text(SHOP)
    (tmp_path / "events.secret").write_text("s3cret")
    (tmp_path / "events.secret").chmod(0o600)
    made = Cluster(tmp_path, redis_url, smtp.port, primary="right")
    yield made
    made.close()


def configured(cluster, events, *, history=False):
    text = (cluster.folder / "mailer.toml").read_text() + f"\n[events]\n{events}\n"
    if history:
        text += f'[history]\nurl = "sqlite:///{cluster.folder}/history.sqlite"\n'
    cluster.configure(text)


def hooked(cluster):
    file = cluster.folder / "told.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def waiting(cluster):
    """How many messages each consumer of events has not heard of."""
    return {one.consumer: one.messages for one in EventStream(cluster.client).backlogs(0.0)}


def troubles(cluster):
    """Why each consumer of events does not get on."""
    return {one.consumer: one.trouble for one in EventStream(cluster.client).backlogs(0.0)}


def set_aside(cluster):
    """The ids of the events that the webhook did not take, as people see them."""
    listed = json.loads(_mailer(cluster, "events", "list", "--json").stdout)
    return [one["id"] for delivery in listed["set_aside"] for one in delivery["events"]]


def told(receiver, *kinds):
    return {one["id"] for one in receiver.events if not kinds or one["kind"] in kinds}


def in_order(events):
    """Whether, repeats left out, each message's events came as they happened."""
    seen, last = set(), defaultdict(float)
    for one in events:
        if one["id"] in seen:
            continue
        seen.add(one["id"])
        message = (one["campaign"], one["position"])
        if one["at"] < last[message]:
            return False
        last[message] = one["at"]
    return True


def test_a_hook_hears_of_every_recipient_with_the_servers_reply(cluster):
    configured(cluster, 'hook = "shop_mail:on_event"')
    cluster.start("w1")
    cluster.enqueue("spring", "primary", 300)
    eventually(lambda: len({one["id"] for one in hooked(cluster)}) == 300)

    (one,) = [one for one in hooked(cluster) if one["position"] == 7]
    assert one["kind"] == "accepted"
    assert one["mailbox"] == "spring-7@example.org"
    assert one["message_id"] == "<spring.7@shop.example>"
    assert one["reply"].startswith("250")
    assert one["account"] == "primary"


def test_a_worker_that_is_killed_in_mid_delivery_loses_nothing_and_another_goes_on(cluster):
    """kill -9 of the worker while its delivery waits for the answer; the other worker takes over."""
    killed = threading.Event()

    with Receiver() as receiver:
        configured(
            cluster,
            f'webhook = "{receiver.url}"\nsecret_file = "events.secret"\n'
            'kinds = ["deferred", "accepted"]\nbatch = 20',
        )
        first = cluster.start("w1")
        victims = iter([first])

        def kills_its_sender(_handler, _body):
            if len(receiver.deliveries) == 4 and not killed.is_set():
                os.kill(next(victims).pid, signal.SIGKILL)
                killed.set()
            return False

        receiver.answer = kills_its_sender
        cluster.enqueue("spring", "primary", 400)
        assert killed.wait(120)
        cluster.start("w2")
        eventually(lambda: cluster.final("spring"))
        accepted = cluster.outcomes("spring")["accepted"]

        eventually(lambda: len(told(receiver, "accepted")) == accepted)
        assert in_order(receiver.events)


def test_a_hook_that_hangs_and_a_dead_server_hold_up_neither_mail_nor_history(cluster):
    configured(
        cluster,
        'hook = "shop_mail:hangs"\nwebhook = "http://localhost:1/"\nsecret_file = "events.secret"\n'
        'time_limit = "1s"',
        history=True,
    )
    cluster.start("w1")
    cluster.enqueue("spring", "primary", 500)
    eventually(lambda: cluster.final("spring"))

    def in_history():
        with closing(open_history(f"sqlite:///{cluster.folder}/history.sqlite")) as history:
            return dict(history.counts("spring"))

    eventually(lambda: in_history() == {"accepted": 500})
    eventually((cluster.folder / "hangs").exists)
    eventually(lambda: waiting(cluster)["history"] == 0)
    assert waiting(cluster) == {"history": 0, "hook": 500, "webhook": 500}
    eventually(lambda: "no answer within 1 s" in troubles(cluster)["hook"])
    eventually(lambda: "Connection refused" in troubles(cluster)["webhook"])
    said = _mailer(cluster, "events", "list").stdout
    assert "no answer within 1 s" in said
    assert "Connection refused" in said


def test_beyond_the_backlog_what_a_dead_server_does_not_take_is_set_aside_and_mail_goes_on(cluster):
    """Its reader may be far behind the mail: only when it has caught up, nothing more is set aside."""
    configured(
        cluster,
        'webhook = "http://localhost:1/"\nsecret_file = "events.secret"\nmax_backlog = 200\nbatch = 50',
    )
    cluster.start("w1")
    cluster.enqueue("spring", "primary", 700, batch=50)
    eventually(lambda: cluster.final("spring"))
    assert cluster.outcomes("spring") == {"accepted": 700}

    eventually(lambda: waiting(cluster)["webhook"] <= 200)
    assert "events of" in _mailer(cluster, "status").stderr
    cluster.stop()
    aside = set_aside(cluster)
    assert len(aside) == len(set(aside)) >= 500

    with Receiver() as receiver:
        text = (cluster.folder / "mailer.toml").read_text()
        cluster.configure(text.replace("http://localhost:1/", receiver.url))
        cluster.start("w2")
        eventually(lambda: len(told(receiver)) >= 700 - len(aside))
        assert not told(receiver).intersection(aside)
        assert "events to be told again" in _mailer(cluster, "events", "replay").stdout
        eventually(lambda: len(told(receiver)) == 700)


SHOP_APP = """
import json
from celery import Celery

app = Celery("shop", broker="{broker}")

@app.task(name="shop.tasks.on_mail")
def on_mail(events):
    with open("{file}", "a") as file:
        file.write("".join(json.dumps(one) + "\\n" for one in events))
"""


def test_a_task_of_the_applications_own_is_run_by_its_own_workers(cluster, redis_url):
    configured(cluster, 'task = "shop.tasks.on_mail"')
    folder = cluster.folder / "shop"
    folder.mkdir()
    file = cluster.folder / "told.jsonl"
    (folder / "shop_app.py").write_text(SHOP_APP.format(broker=redis_url, file=file))
    log = (folder / "log").open("wb")
    shop = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "shop_app", "worker", "--pool", "solo",
         "--without-gossip", "-n", "shop@test"],
        cwd=folder, stdout=log, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        cluster.start("w1")
        cluster.enqueue("spring", "primary", 250)
        eventually(lambda: len({one["id"] for one in hooked(cluster)}) == 250)
    finally:
        shop.terminate()
        shop.wait(120)
        log.close()
    assert {one["kind"] for one in hooked(cluster)} == {"accepted"}


@pytest.mark.parametrize(
    ("events", "why"),
    [
        ('hook = "shop_mail:nobody"', "events.hook: 'shop_mail:nobody' cannot be imported"),
        ('webhook = "https://shop.example/"\nsecret_file = "missing"', "events.secret_file"),
        ('webhook = "https://shop.example/"\nsecret_file = "events.secret"\nca_file = "no.pem"',
         "events.ca_file"),
    ],
)  # fmt: skip
def test_a_worker_that_could_not_tell_does_not_start_and_says_why_in_one_line(cluster, events, why):
    configured(cluster, events)
    worker = cluster.start("w1", wait=False)
    assert worker.wait(120) != 0

    said = [line for line in cluster.log().splitlines() if line.startswith("mailer: ")]
    assert len(said) == 1
    assert why in said[0]
    assert "Traceback" not in cluster.log()


def _mailer(cluster, *words):
    return subprocess.run(
        [sys.executable, "-m", "mailer", *words],
        cwd=cluster.folder,
        env=os.environ | {"MAILER_CONFIG": str(Path(cluster.folder) / "mailer.toml")},
        capture_output=True,
        text=True,
        check=True,
    )
