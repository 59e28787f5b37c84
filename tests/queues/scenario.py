"""A worker, a Flower that watches it, and campaigns of every kind of end."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

from tests.conftest import free_port
from tests.servers.cluster import Cluster, mailbox
from tests.servers.scripted import ScriptedServer
from tests.servers.waiting import eventually

PASSWORD = "correct-horse-battery"

FAILED = 3
"""Batches of the campaign whose account's password is wrong."""


class Flower:
    """A real Flower, and what it serves; everything that it ever served is kept in *served*.

    *unanswered* is what its Broker page showed before there was a worker.
    """

    def __init__(self, cluster: Cluster) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self.served: list[str] = []
        command = [sys.executable, "-m", "celery", "-A", "mailer", "flower", "--address=127.0.0.1"]
        command += [f"--port={self.url.rpartition(':')[2]}", "--inspect_timeout=3000"]
        command += ["--tasks_columns=uuid,state,args,result,received"]
        environment = os.environ | {
            "MAILER_CONFIG": str(cluster.folder / "mailer.toml"),
            "FLOWER_UNAUTHENTICATED_API": "true",
        }
        self._log = (cluster.folder / "flower.log").open("wb")
        self._process = subprocess.Popen(
            command,
            cwd=cluster.folder,
            env=environment,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        eventually(self._answers)
        self.unanswered = self.queues()

    def _answers(self) -> bool:
        assert self._process.poll() is None
        try:
            self.get("/healthcheck")
        except OSError:
            return False
        return True

    def get(self, path: str, **query: object) -> str:
        with urlopen(f"{self.url}{path}?{urlencode(query)}", timeout=30) as reply:
            text = str(reply.read().decode())
        self.served.append(text)
        return text

    def shows(self, path: str, words: str) -> bool:
        """Whether a page has these words; it is an error page while Flower lacks a worker's answer."""
        try:
            return words in self.get(path)
        except OSError:
            return False

    def json(self, path: str, **query: object) -> Any:
        return json.loads(self.get(path, **query))

    def queues(self) -> dict[str, int]:
        """The queues of the Broker page, with their lengths."""
        queues = self.json("/api/queues/length")["active_queues"]
        return {queue["name"]: queue["messages"] for queue in queues}

    def hears(self, worker: str) -> bool:
        """Whether events of *worker* reach it: what is published before that is lost on it."""
        return bool(self.json("/api/workers", status=1).get(worker))

    def asked(self, worker: str) -> dict[str, Any]:
        """What *worker* now says of itself, once it has answered all that Flower asks."""

        def answer() -> dict[str, Any] | None:
            said = dict(self.json("/api/workers", refresh=1).get(worker, {}))
            return said if {"stats", "active_queues", "registered", "conf"} <= said.keys() else None

        return dict(eventually(answer))

    def tasks(self, **query: object) -> list[dict[str, Any]]:
        """Tasks that Flower knows, as its API gives them."""
        return list(self.json("/api/tasks", **query).values())

    def search(self, words: str) -> list[dict[str, Any]]:
        """What the search box of the tasks page finds."""
        query = {
            "draw": 1,
            "start": 0,
            "length": 100,
            "search[value]": words,
            "order[0][column]": 0,
            "order[0][dir]": "asc",
            "columns[0][data]": "name",
        }
        return list(self.json("/tasks/datatable", **query)["data"])

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(20)
        self._log.close()


@contextmanager
def watched_cluster(
    folder: Path, redis_url: str
) -> Iterator[tuple[Cluster, Flower, ScriptedServer]]:
    """A worker with Flower, after campaigns that succeeded, that had refusals, and that failed."""
    with ScriptedServer({"primary": PASSWORD, "other": PASSWORD, "slow": PASSWORD}) as smtp:
        passwords = {"primary": "wrong-horse", "other": PASSWORD, "slow": PASSWORD}
        cluster = Cluster(folder, redis_url, smtp.port, **passwords)
        flower = None
        try:
            flower = Flower(cluster)
            cluster.start("one")
            eventually(lambda: flower.hears("one@test"))
            smtp.gone = {mailbox("news", 3), mailbox("news", 7)}
            # One after the other: a batch makes room where others wait, and its result says so then.
            for name, account, total in (
                ("welcome", "other", 100),
                ("news", "other", 100),
                ("spring-2026", "primary", 100 * FAILED),
            ):
                cluster.enqueue(name, account, total)
                eventually(lambda name=name: cluster.final(name))
            eventually(lambda: len(cluster.queue) == FAILED)
            eventually(lambda: len(flower.tasks(state="FAILURE")) == FAILED)
            eventually(lambda: len(flower.tasks(state="SUCCESS")) >= 2)
            flower.asked("one@test")
            yield cluster, flower, smtp
        finally:
            if flower is not None:
                flower.close()
            cluster.close()
