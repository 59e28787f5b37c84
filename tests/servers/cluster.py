"""Real workers on a real Redis, with accounts on a test's submission server."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mailer.config import load
from mailer.mail.message import Message
from mailer.mail.payload import Entry, encode
from mailer.mail.policy import CampaignPolicy
from mailer.operate.dead_letters import DeadLetterOffice
from mailer.queues.application import application
from mailer.queues.broker import Broker, Task
from mailer.queues.dead_queue import DeadQueue
from mailer.store.breaker import Breaker
from mailer.store.campaigns import Campaigns
from mailer.store.connection import connect
from mailer.store.dead_letters import Filter
from mailer.store.ledger import BULK, Fresh, Ledger
from tests.servers.waiting import eventually
from tests.servers.worker import WORKER

ACCOUNT = """
[accounts.{name}]
url = "smtp://{name}@127.0.0.1:{port}"
password_file = "{name}.password"
max_connections = {connections}
max_messages_per_connection = 50
"""


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """``kill -9`` of a process that heads a group, with all that it has started in it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class Cluster:
    """A folder with a configuration, workers that run in it, and what a test asks of them."""

    def __init__(self, folder: Path, redis_url: str, port: int, **passwords: str) -> None:
        self.folder = folder
        text = f'redis = "{redis_url}"\n[worker]\nsweep_every = 0.5\nrequeue_after = 5\n'
        for name, password in passwords.items():
            text += ACCOUNT.format(name=name, port=port, connections=8)
            self.set_password(name, password)
        self.configure(text)
        self.redis_url = redis_url
        self.client = connect(redis_url)
        self.broker = Broker(application(redis_url))
        self.breaker = Breaker(self.client)
        self.campaigns = Campaigns(self.client)
        self.office = DeadLetterOffice(self.client, self.broker, load(folder / "mailer.toml", {}))
        self.queue = DeadQueue(self.broker.app)
        self.workers: list[subprocess.Popen[bytes]] = []

    def configure(self, text: str, file: str = "mailer.toml") -> None:
        (self.folder / file).write_text(text)

    def set_password(self, name: str, password: str) -> None:
        file = self.folder / f"{name}.password"
        file.with_suffix(".new").write_text(password)
        file.with_suffix(".new").rename(file)

    def start(
        self, name: str, *options: str, wait: bool = True, config: str = "mailer.toml"
    ) -> subprocess.Popen[bytes]:
        """Start a worker of two processes; it is ready when this returns."""
        command = [*WORKER, "-n", f"{name}@test", "--concurrency", "2", "--loglevel", "INFO"]
        command += ["--without-gossip", "--without-mingle"]  # that takes a second
        log = self.folder / f"{name}.log"
        environment = os.environ | {"MAILER_CONFIG": str(self.folder / config)}
        with log.open("wb") as output:
            worker = subprocess.Popen(
                command + list(options),
                cwd=self.folder,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.workers.append(worker)
        if wait:
            eventually(lambda: b"ready." in log.read_bytes() or worker.poll() is not None)
            assert worker.poll() is None, log.read_text()
        return worker

    def stop(self, patience: float = 120) -> None:
        """End all workers, as a deployment does; what they do at their end is done when this returns."""
        for worker in self.workers:
            if worker.poll() is None:
                worker.send_signal(signal.SIGTERM)
        for worker in self.workers:
            worker.wait(patience)

    def close(self) -> None:
        """Leave nothing running. What a worker does at its end is none of this: `stop` awaits it."""
        for worker in self.workers:
            kill_group(worker)
        self.client.close()

    def log(self) -> str:
        return "".join(file.read_text() for file in sorted(self.folder.glob("*.log")))

    def enqueue(
        self, campaign: str, account: str, total: int, batch: int = 100, queue: str = BULK
    ) -> None:
        """Queue *total* small messages to ``<campaign>-<n>@example.org`` in batches."""
        ledger, now = Ledger(self.client), time.time()
        run = self.campaigns.open(
            campaign,
            digest="d",
            summary={"account": account},
            policy=CampaignPolicy(),
            accept_changes=False,
            now=now,
        ).run
        for start in range(0, total, batch):
            numbers = range(start, min(start + batch, total))
            ref = self.campaigns.next_batch(campaign)
            recipients = [fresh(campaign, number) for number in numbers]
            entries = [entry(campaign, number) for number in numbers]
            # Both kinds of payload, in turn: workers have both before them in a rolling deploy.
            payload = encode(entries) if start // batch % 2 else encode(in_chunks(entries), 2)
            done = ledger.enqueue(
                ref,
                run=run,
                queue=queue,
                account=account,
                payload=payload,
                recipients=recipients,
                now=now,
            )
            assert done.state == "queued"
            self.broker.publish([Task(queue, ref, len(entries), account)])
        self.campaigns.close(campaign)

    def enqueue_payload(self, campaign: str, account: str, payload: bytes, number: int) -> None:
        """Queue one recipient with a payload of one's own."""
        ref = self.campaigns.next_batch(campaign)
        Ledger(self.client).enqueue(
            ref,
            run=1,
            queue=BULK,
            account=account,
            payload=payload,
            recipients=[fresh(campaign, number)],
            now=time.time(),
        )
        self.broker.publish([Task(BULK, ref, 1, account)])

    def outcomes(self, campaign: str) -> dict[str, int]:
        found = self.campaigns.progress(campaign, time.time()).outcomes
        return {word: number for word, number in found.items() if number}

    def reasons(self, campaign: str) -> list[str]:
        """What was said of each who was not accepted, to be shown where a test fails."""
        return [f"{one.status.word}: {one.detail}" for one in self.campaigns.failures(campaign)]

    def final(self, campaign: str) -> bool:
        return not self.campaigns.open_recipients(campaign)

    def state(self, account: str) -> str:
        return self.breaker.state(account, time.time()).state

    def letters(self, **which: str):
        return list(self.office.find(Filter(**which), time.time()))


def fresh(campaign: str, number: int) -> Fresh:
    return Fresh(f"{number:08x}".encode(), 7)


def mailbox(campaign: str, number: int) -> str:
    return f"{campaign}-{number}@example.org"


def in_chunks(entries: Sequence[Entry]) -> list[Entry]:
    """The same messages, in pieces that they have in common or not."""
    cut = []
    for one in entries:
        (content,) = one.message.content
        assert isinstance(content, bytes)
        chunks = tuple(line + b"\r\n" for line in content.split(b"\r\n")[:-1])
        cut.append(replace(one, message=replace(one.message, content=chunks)))
    return cut


def entry(campaign: str, number: int) -> Entry:
    content = (
        f"From: Shop <news@shop.example>\r\nTo: {mailbox(campaign, number)}\r\n"
        f"Subject: {campaign}\r\nMessage-ID: <{campaign}.{number}@shop.example>\r\n\r\n"
        "the secret body\r\n"
    ).encode()
    message = Message(
        "news@shop.example",
        mailbox(campaign, number),
        (content,),
        f"<{campaign}.{number}@shop.example>",
    )
    return Entry(message, fresh(campaign, number).fingerprint)
