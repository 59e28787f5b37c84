"""Who is measured: this project, and what a user would pick instead.

A `Case` starts the processes of one contender, gives them work, and says which of them count as its
cost. All take the same rows and templates, and as many connections as the setting allows.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import letters
import postfix
from processes import cpu_seconds
from servers import HERE, PLACES, Child, Redis, Sink, wait_until

from mailer.store import keys

LOOPBACK_CONNECTIONS = 10
DISTANT_CONNECTIONS = 100
DEADLINE = 300.0

_MAILER_TOML = """\
redis = "{redis}"
templates = "{templates}"
{settings}
[accounts.primary]
url = "{url}"
max_connections = {connections}
{account}
"""


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a case runs: servers, the distance to them, a folder of its own."""

    redis: Redis
    sink: Sink | postfix.Postfix
    door: Child
    rtt: float
    folder: Path
    processes: int = 2
    renderers: int = 1
    """Processes that make the messages."""
    connections: int = 0
    settings: str = ""
    account: str = ""
    keys: tuple[tuple[str, Path], ...] = ()
    """Selectors and private keys of DKIM, where mail is to be signed."""

    @property
    def authority(self) -> Path | None:
        """The certificate to trust, where mail goes by STARTTLS and after a login."""
        return getattr(self.sink, "authority", None)

    @property
    def url(self) -> str:
        place = f"{self.door.host}:{self.door.port}"
        if self.authority is None:
            return f"smtp://{place}"
        return f"smtp+starttls://{postfix.USER.replace('@', '%40')}@{place}"

    @property
    def most_connections(self) -> int:
        return self.connections or (DISTANT_CONNECTIONS if self.rtt else LOOPBACK_CONNECTIONS)


@dataclass(frozen=True, slots=True)
class Run:
    """What one run cost. *redis_bytes* is the full queue's, a message, where it was weighed."""

    count: int
    seconds: float
    cpu_us: float
    redis_us: float
    redis_bytes: float = 0.0

    @property
    def rate(self) -> float:
        return self.count / self.seconds


class Speaker:
    """A child that takes orders as `contenders/orders.py` has them."""

    def __init__(self, command: list[str], setting: Setting, setup: dict[str, Any]) -> None:
        door = setting.door
        setup |= {"host": door.host, "port": door.port, "redis": setting.redis.url}
        setup["connections"] = setting.most_connections
        setup["keys"] = [[selector, str(key)] for selector, key in setting.keys]
        if setting.authority:
            setup |= {"user": postfix.USER, "password": postfix.PASSWORD}
        self._errors = (setting.folder / f"{Path(command[-1]).stem}.log").open("ab")
        self.process = subprocess.Popen(
            [*command, json.dumps(setup)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment(setting),
            cwd=setting.folder,
        )
        self._heard()

    def ask(self, do: str, **words: Any) -> Any:
        self.tell(do, **words)
        return self._heard()

    def tell(self, do: str, **words: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": do, **words}).encode() + b"\n")
        self.process.stdin.flush()

    def _heard(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            said = Path(self._errors.name).read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{self.process.args!r} ended: {said}")
        return json.loads(line)

    heard = _heard

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self._errors.close()


def environment(setting: Setting) -> dict[str, str]:
    paths = [str(HERE), str(HERE / "contenders"), os.environ.get("PYTHONPATH", "")]
    door = setting.door
    trusted = dict.fromkeys(("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"), str(setting.authority))
    return {
        **os.environ,
        **(trusted if setting.authority else {}),
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "MAILER_CONFIG": str(setting.folder / "mailer.toml"),
        "BENCH_REDIS": setting.redis.url,
        "BENCH_SMTP": f"{door.host}:{door.port}",
        "BENCH_FOLDER": str(setting.folder),
        "BENCH_LOGIN": f"{postfix.USER}:{postfix.PASSWORD}" if setting.authority else "",
        "BENCH_PASSWORD": postfix.PASSWORD,
        "BENCH_KEYS": json.dumps([[selector, str(key)] for selector, key in setting.keys]),
    }


class Case:
    """One contender. *pilot* is a count small enough to learn its speed with."""

    name = ""
    label = ""
    pilot = 200
    least = 200
    kinds = letters.PLAIN
    """What it is asked to send."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.runs = 0

    def __enter__(self) -> Self:
        setting = self.setting
        (setting.folder / "mailer.toml").write_text(
            _MAILER_TOML.format(
                redis=setting.redis.url,
                templates=letters.TEMPLATES,
                settings=setting.settings,
                url=setting.url,
                connections=setting.most_connections,
                account=setting.account + _password(setting) + _dkim(setting),
            )
        )
        (setting.folder / letters.ATTACHMENT).write_bytes(letters.catalogue())
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def start(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        raise NotImplementedError

    @property
    def pids(self) -> tuple[int, ...]:
        """The roots of the processes whose CPU time is the contender's."""
        raise NotImplementedError

    def run(self, kind: str, count: int) -> Run:
        """Send *count* mails of *kind*, and return when the sink and the contender are done."""
        self.runs += 1
        sink, redis = self.setting.sink, self.setting.redis
        before = sink.counted()
        self.prepare(kind, count)
        bytes_each = self.weigh(count)
        cpu, of_redis, began = cpu_seconds(*self.pids), cpu_seconds(redis.pid), time.monotonic()
        began = self.send(kind, count) or began
        wait_until(
            lambda: self.has_ended(sink.counted() - before, count),
            seconds=DEADLINE,
            what=f"{self.name}: {count} mails",
        )
        seconds = time.monotonic() - began
        cpu, of_redis = cpu_seconds(*self.pids) - cpu, cpu_seconds(redis.pid) - of_redis
        got = sink.counted() - before
        if got != count:
            raise RuntimeError(f"{self.name}: {count} mails were sent, {got} arrived")
        self.tidy_up()
        return Run(count, seconds, cpu / count * 1e6, of_redis / count * 1e6, bytes_each)

    def prepare(self, kind: str, count: int) -> None:
        """What is not measured."""

    def weigh(self, _count: int) -> float:
        return 0.0

    def send(self, kind: str, count: int) -> float | None:
        """Begin; return when the clock is to start if that is later than the call."""
        raise NotImplementedError

    def has_ended(self, arrived: int, count: int) -> bool:
        return arrived >= count

    def tidy_up(self) -> None:
        """What is not measured either."""


def _password(setting: Setting) -> str:
    return '\npassword_env = "BENCH_PASSWORD"\n' if setting.authority else ""


def _dkim(setting: Setting) -> str:
    return "".join(
        "\n[[accounts.primary.dkim]]\n"
        f'domain = "shop.example"\nselector = "{selector}"\nkey_file = "{key}"\n'
        for selector, key in setting.keys
    )


class Simple(Case):
    """A contender that is one process, or the parent of all."""

    script = ""

    def start(self) -> None:
        self._speaker = Speaker(self.command(), self.setting, self.setup())

    def stop(self) -> None:
        self._speaker.close()

    def command(self) -> list[str]:
        return [sys.executable, str(HERE / "contenders" / self.script)]

    def setup(self) -> dict[str, Any]:
        return {}

    @property
    def pids(self) -> tuple[int, ...]:
        return (self._speaker.process.pid,)

    def send(self, kind: str, count: int) -> None:
        self._speaker.ask("enqueue", kind=kind, count=count, run=f"-{self.runs}")


class WithWorker(Case):
    """A producer, and a Celery worker with as many processes as there are cores."""

    script = ""
    application = ""

    def start(self) -> None:
        setting = self.setting
        setting.redis.client.flushall()
        options = ["--concurrency", str(setting.processes), "--loglevel", "WARNING"]
        self._log = (setting.folder / "worker.log").open("ab")
        self._worker = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", self.application, "worker", *options],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            env=environment(setting),
            cwd=setting.folder,
        )
        self._producer = Speaker(
            [sys.executable, str(HERE / "contenders" / self.script)], setting, {}
        )
        wait_until(lambda: self._producer.ask("is_up"), seconds=30, what=f"{self.name}'s worker")

    def stop(self) -> None:
        self._producer.close()
        self._worker.terminate()
        try:
            self._worker.wait(30)
        except subprocess.TimeoutExpired:
            self._worker.kill()
            self._worker.wait()
        self._log.close()

    @property
    def pids(self) -> tuple[int, ...]:
        return (self._producer.process.pid, self._worker.pid)

    @property
    def worker_pid(self) -> int:
        return self._worker.pid


class Mailer(WithWorker):
    """This project, from rows to acceptance, with all checks and the whole ledger."""

    name = "mailer"
    kinds = letters.KINDS
    label = "**mailer, end to end with rendering**"
    script = "ours.py"
    application = "mailer"
    pilot = 1000
    least = 6000

    @property
    def campaign(self) -> str:
        return f"bench-{self.runs}"

    def send(self, kind: str, count: int) -> None:
        renderers = self.setting.renderers
        self._producer.tell(
            "enqueue", kind=kind, count=count, run=self.campaign, processes=renderers
        )
        answer = self._producer.heard()
        if answer["queued"] != count:
            raise RuntimeError(f"{count} rows, {answer['queued']} queued")

    def has_ended(self, arrived: int, count: int) -> bool:
        return arrived >= count and self.accepted() >= count

    def accepted(self) -> int:
        found = self.setting.redis.client.hget(keys.counts(self.campaign), "a")
        return int(found or 0)

    def tidy_up(self) -> None:
        """Forget the campaign, so that a long series of runs does not fill Redis."""
        client = self.setting.redis.client
        for key in client.scan_iter(match=f"mailer:*:{self.campaign}*", count=10_000):
            client.delete(key)


class Drain(Mailer):
    """This project's workers alone: the queue is full when the clock starts."""

    name = "drain"
    kinds = letters.PLAIN
    label = "**mailer, workers draining a full queue**"

    def prepare(self, kind: str, count: int) -> None:
        if not self._producer.ask("hold"):
            raise RuntimeError("the worker does not hear")
        self._empty = self.setting.redis.used()
        began = time.monotonic()
        super().send(kind, count)
        self.queue_rate = count / (time.monotonic() - began)

    def weigh(self, count: int) -> float:
        return (self.setting.redis.used() - self._empty) / count

    def send(self, kind: str, count: int) -> float:
        """From the first mail on: Celery takes up to a second to consume a queue again."""
        before = self.setting.sink.counted()
        self._producer.ask("release")
        wait_until(
            lambda: self.setting.sink.counted() > before, seconds=30, what="a mail", every=0.001
        )
        return time.monotonic()

    @property
    def pids(self) -> tuple[int, ...]:
        return (self._worker.pid,)


class Campaigns(Drain):
    """The same messages in several campaigns, all queued when the clock starts."""

    number = 1

    def prepare(self, kind: str, count: int) -> None:
        if not self._producer.ask("hold"):
            raise RuntimeError("the worker does not hear")
        self._empty = self.setting.redis.used()
        for which in range(self.number):
            each = count // self.number
            run = f"{self.campaign}-{which}"
            self._producer.ask("enqueue", kind=kind, count=each, run=run)

    def accepted(self) -> int:
        client = self.setting.redis.client
        found = [
            client.hget(keys.counts(f"{self.campaign}-{which}"), "a")
            for which in range(self.number)
        ]
        return sum(int(count or 0) for count in found)


class Tutorial(WithWorker):
    name = "tutorial"
    kinds = letters.KINDS
    label = "tutorial Celery mailer"
    script = "tutorial.py"
    application = "tutorial_tasks"
    pilot = 40
    least = 12

    def send(self, kind: str, count: int) -> None:
        self._producer.ask("enqueue", kind=kind, count=count, run=f"-{self.runs}")


class PostOffice(Simple):
    name = "post_office"
    kinds = (*letters.PLAIN, letters.SUBMISSION)
    label = "django-post_office"
    script = "django_post_office.py"
    pilot = 100


class Aiosmtplib(Simple):
    name = "aiosmtplib"
    label = "aiosmtplib"
    script = "aiosmtplib_pool.py"


class Nodemailer(Simple):
    name = "nodemailer"
    kinds = letters.KINDS
    label = "nodemailer, pooled"

    def command(self) -> list[str]:
        return ["node", str(HERE / "contenders" / "nodemailer_pool.cjs")]

    def setup(self) -> dict[str, Any]:
        return {
            "modules": str(node_modules()),
            "templates": str(letters.TEMPLATES),
            "attachment": str(self.setting.folder / letters.ATTACHMENT),
            "sender": letters.SENDER,
        }

    def prepare(self, kind: str, count: int) -> None:
        self._rows = self.setting.folder / "rows.jsonl"
        with self._rows.open("w") as lines:
            for row in letters.rows(count, f"-{self.runs}"):
                lines.write(json.dumps(row) + "\n")

    def send(self, kind: str, count: int) -> None:
        self._speaker.ask("enqueue", kind=kind, rows=str(self._rows))


class Source(Case):
    """Postfix's load generator: one finished mail again and again, four round trips each."""

    name = "source"
    label = "smtp-source (the ceiling)"
    pilot = 2000
    least = 1000

    def start(self) -> None:
        self._children = os.times()

    def stop(self) -> None:
        """Nothing runs between two runs."""

    @property
    def pids(self) -> tuple[int, ...]:
        return ()

    def run(self, kind: str, count: int) -> Run:
        before = os.times()
        run = super().run(kind, count)
        after = os.times()
        cpu = after.children_user + after.children_system
        cpu -= before.children_user + before.children_system
        return Run(count, run.seconds, cpu / count * 1e6, 0.0)

    def prepare(self, kind: str, count: int) -> None:
        self._file = self.setting.folder / "letter"
        self._file.write_bytes(letters.sample(kind))

    def send(self, kind: str, count: int) -> None:
        sessions = min(self.setting.most_connections, count)
        binary = shutil.which("smtp-source", path=PLACES)
        assert binary is not None
        subprocess.run(
            [
                *(binary, "-d", "-s", str(sessions), "-m", str(count), "-F", str(self._file)),
                *("-f", "news@shop.example", "-t", "reader@example.org"),
                f"{self.setting.door.host}:{self.setting.door.port}",
            ],
            check=True,
            capture_output=True,
        )


def node_modules() -> Path:
    """nodemailer and Handlebars, in a cache of the user's."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "mailer-benchmarks"
    if not (folder / "node_modules" / "nodemailer").is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text("{}")
        subprocess.run(
            ["npm", "install", "--no-audit", "--no-fund", "--silent", "nodemailer", "handlebars"],
            cwd=folder,
            check=True,
        )
    return folder


CASES: tuple[type[Case], ...] = (
    Source,
    Mailer,
    Drain,
    Aiosmtplib,
    Nodemailer,
    PostOffice,
    Tutorial,
)


def missing(case: type[Case]) -> str:
    """Why the case cannot run here, empty where it can."""
    if case is Nodemailer and not (shutil.which("node") and shutil.which("npm")):
        return "node and npm are not installed"
    return ""
