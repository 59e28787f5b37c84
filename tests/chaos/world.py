"""Real processes to kill: Redis with an append-only file, a mail server, workers, a producer.

`World` starts them in a folder of their own, on loopback; `Verdict` compares what the mail server has on
record with what the ledger and the history say of each recipient, and with what an application was told.
"""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from importlib.resources import files
from pathlib import Path
from typing import ClassVar

from mailer.config import load
from mailer.errors import CampaignNotFoundError
from mailer.history import open_history
from mailer.local.binary import server_binary
from mailer.mail.status import Status
from mailer.store import keys
from mailer.store.campaigns import Campaigns
from mailer.store.connection import connect, whole_script
from mailer.store.dead_letters import DeadLetters, Filter
from tests.chaos.proxy import Proxy
from tests.conftest import free_port
from tests.servers.waiting import PATIENCE
from tests.servers.waiting import eventually as wait_until
from tests.servers.worker import WORKER

CONFIG = """
redis = "{redis}"
broker = "{broker}"
sender = "Shop <news@shop.example>"
batch_size = {batch_size}

[accounts.primary]
url = "smtp://{login}127.0.0.1:{smtp}"
{password}
max_connections = {connections}

[history]
url = "{history}"
{events}
[worker]
lease = {lease}
sweep_every = {sweep_every}
requeue_after = {requeue_after}
poison_after = {poison_after}

[retry]
first_delay = {first_delay}
max_delay = 2
give_up_after = {give_up_after}
"""

EVENTS = """
[events]
hook = "shop_told:on_event"
kinds = ["deferred", "accepted", "rejected", "uncertain", "cancelled", "dead"]
batch = 10
"""

SHOP = """
import json

def on_event(events):
    with open("told.jsonl", "a") as file:
        file.write("".join(json.dumps(one) + chr(10) for one in events))
"""

PRODUCER = """
import sys
from mailer import Campaign

name, count, on_uncertain = sys.argv[1], int(sys.argv[2]), sys.argv[3]
campaign = Campaign(name, template="hello", on_uncertain=on_uncertain)
rows = ({"email": f"r{number}@example.org"} for number in range(count))
print(campaign.enqueue(rows, check=False).queued)
"""


REFUSABLE = ("--enable-protected-configs", "yes")
"""What lets a test make snapshots fail."""


def script_needle(name):
    """What a call of the ledger's script looks like on the wire."""
    folder = files("mailer.store")
    # What it shares with others is said where it is loaded.
    sources = "".join(file.read_text("utf-8") for file in Path(str(folder)).rglob("*.py"))
    (names,) = set(re.findall(rf'load(?:_many)?\(\s*client, ((?:"\w+", )*"{name}")\s*\)', sources))
    _text, digest = whole_script(*re.findall(r"\w+", names))
    return digest


class World:
    """The processes of one run; a context manager that leaves none behind.

    With *tells*, an application's function is told what happens.
    """

    extra = ""
    """What else stands in ``mailer.toml``."""

    history: ClassVar[str | None] = None
    """The URL of a server's database for the history; None for a file in the folder."""

    def __init__(self, folder, *, broker=None, tells=False, **settings):
        self.folder = Path(folder)
        self.settings = {
            "batch_size": 20,
            "connections": 20,
            "lease": 2,
            "poison_after": 5,
            "sweep_every": 0.5,
            "requeue_after": 3,
            "first_delay": 0.5,
            "give_up_after": 3600,
            "login": "",
        } | settings
        self._broker = broker
        self.tells = tells
        self.history_url = self.history or f"sqlite:///{self.folder}/history.sqlite"
        self._processes = []
        self._stack = contextlib.ExitStack()
        self.redis_port = free_port()
        self.smtp_port = free_port()
        self.control_port = free_port()

    def __enter__(self):
        self._stack.callback(self._end_all)
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "redis").mkdir()
        hello = self.folder / "templates" / "hello"
        hello.mkdir(parents=True)
        (hello / "subject.txt").write_text("Hello")
        (hello / "body.txt").write_text("Hello {{ email }}\n")
        (self.folder / "produce.py").write_text(PRODUCER)
        (self.folder / "shop_told.py").write_text(SHOP)
        with closing(open_history(self.history_url)) as history:
            history.upgrade()
        self.start_redis()
        self.start_smtp()
        self.redis_proxy = self._proxy(self.redis_port)
        self.smtp_proxy = self._proxy(self.smtp_port)
        broker = self._broker or self.address(1)
        (self.folder / "mailer.toml").write_text(
            CONFIG.format(
                redis=self.address(0),
                broker=broker,
                smtp=self.smtp_proxy.port,
                history=self.history_url,
                events=EVENTS if self.tells else "",
                password='password_env = "SMTP_PASSWORD"' if self.settings["login"] else "",
                **self.settings,
            )
            + self.extra
        )
        self.client = self.connect()
        self._stack.callback(self.client.close)
        return self

    def __exit__(self, *_exc):
        self._stack.close()

    def address(self, database):
        """Where mailer finds Redis: the ledger behind a proxy, the queues not."""
        port = self.redis_port if database else self.redis_proxy.port
        return f"redis://127.0.0.1:{port}/{database}"

    def connect(self):
        """The test's own client of the ledger."""
        return connect(f"redis://127.0.0.1:{self.redis_port}/0")

    def _proxy(self, port):
        proxy = Proxy(port)
        self._stack.callback(proxy.close)
        return proxy

    def _start(self, *words, log):
        process = spawn(words, self.folder, log, self.environment())
        self._processes.append(process)
        return process

    def environment(self):
        """What processes of this world see: no setting of the caller's."""
        clean = {key: value for key, value in os.environ.items() if "MAILER" not in key}
        path = [str(self.folder), *filter(None, [clean.get("PYTHONPATH")])]
        clean |= {"SMTP_PASSWORD": "secret"}
        return clean | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": os.pathsep.join(path)}

    def _end_all(self):
        for process in self._processes:
            kill_host(process)

    # Servers.

    def start_redis(self, *settings):
        words = [server_binary(), "--port", self.redis_port, "--bind", "127.0.0.1"]
        words += ["--dir", self.folder / "redis", "--save", "", "--appendonly", "yes"]
        self.redis = self._start(
            *words, "--appendfsync", "always", *REFUSABLE, *settings, log="redis.log"
        )
        self._listening(self.redis_port)

    def start_smtp(self):
        server = Path(__file__).with_name("recording_server.py")
        record = self.folder / "record.jsonl"
        words = [sys.executable, server, record, self.smtp_port, self.control_port]
        self.smtp = self._start(*words, log="smtp.log")
        self._listening(self.control_port)

    def _listening(self, port):
        def answers():
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port)).close()
                return True

        wait_until(answers, what=f"port {port}")

    def wish(self, wish):
        """Tell the mail server how to misbehave (`recording_server`)."""
        with (
            socket.create_connection(("127.0.0.1", self.control_port)) as control,
            control.makefile("rwb") as stream,
        ):
            stream.write(json.dumps(wish).encode() + b"\n")
            stream.flush()
            return json.loads(stream.readline())

    # Those who work.

    def start_worker(self, pool="prefork", concurrency=1, options=()):
        words = [*WORKER, "--pool", pool, "-c", concurrency, "-l", "INFO"]
        words += ["--without-gossip", "--without-mingle"]
        words += ["-n", f"w{len(self._processes)}@chaos", *options]
        return self._start(*words, log="worker.log")

    def configure_celery(self, text):
        """What workers started from now on find as ``celeryconfig.py``."""
        (self.folder / "celeryconfig.py").write_text(text)

    def start_producer(self, count, name="spring", on_uncertain="hold"):
        words = [sys.executable, "produce.py", name, count, on_uncertain]
        return self._start(*words, log="producer.log")

    def enqueue(self, count, name="spring", on_uncertain="hold"):
        producer = self.start_producer(count, name, on_uncertain)
        assert producer.wait(PATIENCE) == 0, (self.folder / "producer.log").read_text()

    # What has happened.

    def events(self, *kinds):
        """The mail server's record."""
        path = self.folder / "record.jsonl"
        text = path.read_text() if path.exists() else ""
        lines = text.rpartition("\n")[0].splitlines()  # the last may be half written
        found = [json.loads(line) for line in lines]
        return [event for event in found if not kinds or event["event"] in kinds]

    def progress(self, name="spring"):
        return Campaigns(self.client).progress(name, time.time())

    def outcomes(self, name="spring"):
        """Recipients by outcome; none where nothing was enqueued yet."""
        try:
            found = self.progress(name).outcomes
        except CampaignNotFoundError:
            return {}
        return {word: count for word, count in found.items() if count}

    def settled(self, count, name="spring"):
        """Wait until nobody is open; returns the outcomes."""

        def is_settled():
            found = self.outcomes(name)
            total = sum(found.values())
            is_open = found.get("queued", 0) + found.get("deferred", 0)
            return total == count and not is_open and found

        try:
            return wait_until(is_settled, what="every outcome")
        except AssertionError as exc:
            raise AssertionError(f"{exc}\n{self.words()}") from None

    def recorded(self, name="spring"):
        """The history's record of each recipient."""
        with closing(open_history(self.history_url)) as history:
            return list(history.export(name))

    def told(self):
        """What the application was told."""
        path = self.folder / "told.jsonl"
        text = path.read_text() if path.exists() else ""
        return [json.loads(line) for line in text.rpartition("\n")[0].splitlines()]

    def words(self):
        """What everybody said, and what the ledger holds: for a failure's report."""
        said = [f"{self.outcomes()}"]
        for key in sorted(self.client.keys("mailer:*")):
            kind = self.client.type(key)
            if kind == b"hash" and b"batch:" in key:
                said.append(f"{key.decode()} {self.client.hgetall(key)}")
            elif kind == b"zset":
                said.append(f"{key.decode()} {self.client.zrange(key, 0, 9, withscores=True)}")
        for log in ("worker.log", "producer.log", "smtp.log"):
            path = self.folder / log
            if path.exists():
                said.append(f"--- {log}\n{path.read_text(errors='replace')[-3000:]}")
        return "\n".join(said)

    def dead_letters(self):
        return list(DeadLetters(self.client).find(Filter(), time.time()))

    def broker_client(self):
        """The Redis database that is the broker."""
        broker = connect(f"redis://127.0.0.1:{self.redis_port}/1")
        self._stack.callback(broker.close)
        return broker

    def unacknowledged(self):
        """Task messages in workers' hands."""
        return self.broker_client().hlen("mailer.unacked")

    def leaked(self):
        """Keys that a settled campaign should not have left behind."""
        kinds = ("batch:", "payload:", "queued:", "timers", "parked:", "shared:", "resumed")
        found = [key.decode() for key in self.client.keys("mailer:*")]
        return [key for key in found if key.removeprefix("mailer:").startswith(kinds)]

    def kept(self):
        """The configuration as the workers read it."""
        return load(self.folder / "mailer.toml", {})


class Verdict:
    """Whether the promises were kept, after all is settled."""

    passed: ClassVar[list["Verdict"]] = []
    """Those of the test that runs."""

    def __init__(self, world, count, name="spring"):
        self.outcomes = world.settled(count, name)
        self.letters = world.client.get(keys.status(name)).decode()
        self.accepted = Counter(event["id"] for event in world.events("accepted"))
        self.dated = {(event["id"], event["date"]) for event in world.events("accepted")}
        self.mailboxes = Counter(event["to"] for event in world.events("accepted"))
        self._world = world
        self._count = count
        self._name = name

    @property
    def uncertain(self):
        return self.outcomes.get("uncertain", 0)

    @property
    def doubles(self):
        """Acceptances beyond the first of each Message-ID."""
        return sum(self.accepted.values()) - len(self.accepted)

    def is_whole(self):
        """Everybody has one outcome, and the mail server agrees with each."""
        counted = Counter(Status(letter).word for letter in self.letters)
        assert counted == self.outcomes, self._world.words()
        assert sum(self.outcomes.values()) == self._count
        said = self.outcomes.get("accepted", 0)
        assert said <= len(self.accepted) <= said + self.uncertain, self._world.words()
        assert len(self.mailboxes) == len(self.accepted)
        wait_until(lambda: not self._world.leaked(), what="keys to go")
        self._is_in_the_history()
        if self._world.tells:
            self._was_told()
        self.passed.append(self)

    def _is_in_the_history(self):
        """The history says of each recipient what the ledger says, and names its message."""
        words = [Status(letter).word for letter in self.letters]

        def is_equal():
            found = self._world.recorded(self._name)
            return [one.outcome for one in found] == words and found

        try:
            found = wait_until(is_equal, what="the history")
        except AssertionError as exc:
            said = Counter(one.outcome for one in self._world.recorded(self._name))
            raise AssertionError(f"{exc}: {said}\n{self._world.words()}") from None
        assert [one.position for one in found] == list(range(self._count))
        accepted = {one.message_id for one in found if one.outcome == "accepted"}
        doubtful = {one.message_id for one in found if one.outcome == "uncertain"}
        assert accepted <= set(self.accepted) <= accepted | doubtful
        assert all(one.reply.startswith("250") for one in found if one.outcome == "accepted")
        assert all((one.row or {}).get("email") == one.mailbox for one in found)

    def _was_told(self):
        """The application heard of each recipient's end, and of each message in the order of events."""

        def ends():
            return {one["position"]: one["kind"] for one in self._world.told()}

        words = dict(enumerate(Status(letter).word for letter in self.letters))
        wait_until(lambda: ends() == words, what="the application to be told")
        seen, last = set(), Counter()
        for one in self._world.told():
            if one["id"] not in seen:
                assert one["at"] >= last[one["position"]], one
                last[one["position"]] = one["at"]
            seen.add(one["id"])

    def is_once(self, at_most_uncertain):
        """With hold: nothing twice, and few in doubt."""
        self.is_whole()
        assert self.doubles == 0, [one for one, times in self.accepted.items() if times > 1]
        assert self.uncertain <= at_most_uncertain, self.outcomes

    def is_complete(self, at_most_twice):
        """With resend: nobody missed, few twice, and those with the Date that they had."""
        self.is_whole()
        assert len(self.dated) == len(self.accepted)
        assert self.outcomes == {"accepted": self._count}
        assert self.doubles <= at_most_twice


def spawn(words, folder, log, environment):
    """Start a process in *folder*, at the head of a group of its own; its words go to *log* there."""
    with (folder / log).open("ab") as out:
        return subprocess.Popen(
            [str(word) for word in words],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            env=environment,
        )


def kill_host(process):
    """``kill -9`` of a process with all its children: what a power cut does to a host."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def children(process):
    """Ids of the process's children."""
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    with contextlib.suppress(OSError):
        return [int(child) for child in listed.read_text().split()]
    return []


def kill_child(process):
    """``kill -9`` of one pool process."""
    for child in children(process):
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
            return
