"""One of the examples in a folder of the test's, with a mail server and a Redis, and processes there."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

from celery import Celery

from mailer.mail.status import OPEN
from mailer.store.campaigns import Campaigns
from mailer.store.connection import connect
from tests.servers.waiting import PATIENCE, eventually

EXAMPLES = Path(__file__).parents[2] / "examples"


class Project:
    """A copy of the example *name* in *folder*, led to *redis_url* and to the mail server at *port*."""

    def __init__(self, name: str, folder: Path, redis_url: str, port: int) -> None:
        self.folder = folder
        self.redis_url = redis_url
        self.client = connect(redis_url)
        shutil.copytree(EXAMPLES / name, folder, dirs_exist_ok=True)
        file = folder / "mailer.toml"
        text = file.read_text().replace("localhost:1025", f"127.0.0.1:{port}")
        text = text.replace("redis://localhost:6379/0", redis_url)
        file.write_text(text + "[worker]\nsweep_every = 0.5\nrequeue_after = 5\n")
        self.environment = {
            name: value for name, value in os.environ.items() if name[:7] != "MAILER_"
        }
        self.environment |= {
            "SHOP_BROKER": redis_url,
            "SHOP_REDIS": redis_url,
            "SHOP_EVERY": "1",
            "C_FORCE_ROOT": "1",
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, app: str, *options: str, pool: str = "prefork", wait: bool = True) -> str:
        """Start a worker of *app*; returns its name. It is ready when this returns."""
        name = f"{app.partition(':')[0]}{len(self.processes)}"
        words = ["-m", "celery", "-A", app, "worker", "-n", f"{name}@test"]
        words += ["--pool", pool, "--concurrency", "2", "--loglevel", "INFO"]
        words += ["--without-gossip", "--without-mingle"]  # that takes a second
        self.begin(name, *words, *options)
        if wait:
            eventually(lambda: "ready." in self.log(name) or self.ended(name) is not None)
            assert self.ended(name) is None, self.log(name)
        return name

    def begin(self, name: str, *words: str) -> None:
        """Begin a process of Python's, which lives until the end; its words are in `log`."""
        with (self.folder / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, *words],
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=log,
            )

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def ended(self, name: str) -> int | None:
        return self.processes[name].poll()

    def stop(self) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(120)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.client.close()

    def call(self, task: str, *args: object) -> None:
        """Have the shop's workers run one of its tasks."""
        shop = Celery("caller", broker=self.environment["SHOP_BROKER"], set_as_current=False)
        shop.send_task(task, args=args)
        shop.close()

    def run(self, code: str) -> str:
        """What *code* prints in a process of the project's."""
        return self.command("-c", textwrap.dedent(code))

    def command(self, *words: str) -> str:
        """What Python prints with *words*; it must succeed."""
        done = subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def open_recipients(self) -> int:
        campaigns = Campaigns(self.client)
        found = [campaigns.progress(name, 0.0).outcomes for name in campaigns.names()]
        return sum(outcomes.get(status.word, 0) for outcomes in found for status in OPEN)
