"""From `send` to `bounced` in `status`: a real Postfix tells of who is gone, and is read in three ways.

Whoever reads is killed before it is written down, after it is and before it says so, and before it is
acknowledged: each bounce is counted once, and none is lost.
"""

import contextlib
import json
import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.chaos.proxy import Proxy
from tests.chaos.world import script_needle
from tests.conftest import free_port
from tests.servers.bouncing import bouncing, reader
from tests.servers.dovecot import PASSWORD, Dovecot
from tests.servers.waiting import eventually

pytestmark = [
    pytest.mark.postfix,
    pytest.mark.skipif(os.geteuid() != 0, reason="Postfix is started by root only"),
    pytest.mark.skipif(not shutil.which("postfix"), reason="Debian's postfix is not installed"),
    pytest.mark.timeout(600),
]

GONE, HERE = 3, 1


class Shop:
    """A folder from which a campaign is sent, and where what comes back is read through a proxy."""

    def __init__(self, folder, mailer, redis_port):
        self.folder = folder
        self.mailer = mailer
        self.proxy = Proxy(redis_port)
        self.environ = {n: v for n, v in os.environ.items() if not n.startswith("MAILER_")}
        # Readers alone: so a trap catches nobody else.
        self.readers = self.environ | {"MAILER_REDIS": f"redis://127.0.0.1:{self.proxy.port}/0"}
        for name, text in (("secret", "s\n"), ("password", PASSWORD)):
            (folder / name).write_text(text)
            (folder / name).chmod(0o600)
        rows = [f"no{number}@gone.example,N" for number in range(GONE)]
        rows += [f"here{number}@gone.example,H" for number in range(HERE)]
        (folder / "people.csv").write_text("email,name\n" + "\n".join(rows) + "\n")

    def send(self, port, **feedback):
        """Send a campaign through the Postfix at *port*, by a real worker that reads no mailbox."""
        values = {
            "return_path": "bounces@mail.shop.example",
            "secret_file": "secret",
            "password_file": "password",
            "workers_poll": False,
            "pause_at": None,
            **feedback,
        }
        lines = [
            f"{key} = {json.dumps(value)}" for key, value in values.items() if value is not None
        ]
        file = self.folder / "mailer.toml"
        text = file.read_text().replace("smtp://localhost:1", f"smtp://127.0.0.1:{port}")
        file.write_text(text + "[feedback]\n" + "\n".join(lines) + "\n")
        self.mailer("send", "spring", "-t", "hello", "--set", "season=May", "people.csv")
        command = [sys.executable, "-m", "celery", "-A", "mailer", "worker", "-c", "1"]
        with (self.folder / "worker.log").open("wb") as log:
            worker = subprocess.Popen(
                command, cwd=self.folder, env=self.environ, stdout=log, stderr=log
            )
        try:
            eventually(lambda: self.status()["outcomes"]["accepted"] == GONE + HERE)
        finally:
            worker.terminate()
            worker.wait(120)

    def status(self):
        return json.loads(self.mailer("status", "spring", "--json").out)

    def came_back(self):
        return self.status().get("came_back", {})

    def start(self, *words):
        return reader(*words, folder=self.folder, environ=self.readers)

    def all_came_back(self):
        """Each bounce is counted, once, and nothing besides."""
        eventually(lambda: self.came_back().get("bounce", 0) >= GONE)
        assert self.came_back() == {"bounce": GONE, "permanent": GONE}
        failures = [
            json.loads(x) for x in self.mailer("failures", "spring", "--json").out.splitlines()
        ]
        said = {str(one) for one in failures}
        assert all(any(f"no{number}@gone.example" in one for one in said) for number in range(GONE))

    @contextlib.contextmanager
    def trapped(self, needle, *, after):
        """Whoever reads is stopped at that step; killed and let go, when the block ends."""
        trap = self.proxy.trap(needle, skip=1, after=after)
        yield trap.sprung.is_set
        trap.released.set()


@pytest.fixture
def shop(place, mailer, redis_url):
    made = Shop(place, mailer, int(redis_url.rpartition(":")[2].partition("/")[0]))
    yield made
    made.proxy.close()


RECORDS = script_needle("come_back")
STEPS = {
    "before it is written down": (RECORDS, False),
    "after it is written down": (RECORDS, True),
}


def some(steps, by_default):
    """Each step; all but one only in long runs: a process a message takes minutes."""
    return [
        pytest.param(step, marks=[] if step == by_default else pytest.mark.long) for step in steps
    ]


@pytest.mark.parametrize("step", some(STEPS, "after it is written down"))
def test_by_lmtp(shop, step):
    needle, after = STEPS[step]
    port = free_port()
    with bouncing(f"lmtp:inet:127.0.0.1:{port}") as postfix:
        words = ("serve", "--listen", f"127.0.0.1:{port}")
        with shop.trapped(needle, after=after) as is_sprung:
            first = shop.start(*words)
            shop.send(postfix.port)
            eventually(is_sprung)
            first.kill()
            first.communicate(timeout=120)
        second = shop.start(*words)
        try:
            shop.all_came_back()
        finally:
            second.terminate()
            second.communicate(timeout=120)
        assert "status=sent (250 2.0.0 recorded)" in postfix.log()


@pytest.mark.long
@pytest.mark.parametrize("step", STEPS)
def test_through_a_pipe(shop, step):
    needle, after = STEPS[step]
    codes = []

    def handed(mailbox, octets):
        process = shop.start("read", "--quiet", "--to", mailbox, "-")
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(octets)
            process.stdin.close()
        while process.poll() is None:
            if is_sprung() and -9 not in codes:
                process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.05)
        process.stdout.close()
        codes.append(process.returncode)
        return process.returncode

    with (
        shop.trapped(needle, after=after) as is_sprung,
        bouncing("reader:", handed=handed) as postfix,
    ):
        shop.send(postfix.port)
        eventually(lambda: -9 in codes)
        shop.all_came_back()
        eventually(lambda: codes.count(0) == GONE)
    assert codes.count(-9) == 1


@pytest.mark.dovecot
@pytest.mark.parametrize(
    "step", some([*STEPS, "before it is acknowledged"], "before it is acknowledged")
)
def test_by_imap(shop, step):
    needle, after = STEPS.get(step, (b"mailer:bookmark", False))
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        dovecot = Dovecot(Path(folder), port := free_port())
        mail = pwd.getpwnam("mail")
        owner = (dovecot.maildir.parent, mail.pw_uid, mail.pw_gid)
        try:
            with bouncing("", maildir=owner) as postfix:
                shop.send(postfix.port, imap=f"imap://ada@127.0.0.1:{port}/")
                eventually(lambda: len(list((dovecot.maildir / "new").iterdir())) >= GONE)
                with shop.trapped(needle, after=after) as is_sprung:
                    first = shop.start("poll")
                    eventually(is_sprung)
                    first.kill()
                    first.communicate(timeout=120)
                second = shop.start("poll")
                said = second.communicate(timeout=120)[0].decode()
                assert second.returncode == 0, said
                shop.all_came_back()
                third = shop.start("poll")
                assert third.communicate(timeout=120)[0] == b"0 messages: nothing\n"
        finally:
            dovecot.close()


def test_through_a_pipe_while_redis_is_away_the_mail_server_keeps_it(shop):
    codes, away = [], {"MAILER_REDIS": f"redis://127.0.0.1:{free_port()}/0"}

    def handed(mailbox, octets):
        process = reader(
            "read", "-q", "--to", mailbox, "-", folder=shop.folder, environ=shop.environ | away
        )
        process.communicate(octets, timeout=120)
        codes.append(process.returncode)
        return process.returncode

    with bouncing("reader:", handed=handed) as postfix:
        shop.send(postfix.port)
        eventually(lambda: 75 in codes)
        assert shop.came_back() == {}
        away.clear()
        shop.all_came_back()
    assert set(codes) == {0, 75}


@pytest.mark.long  # test_lmtp has this without Postfix
def test_by_lmtp_while_redis_is_away_the_mail_server_keeps_it(shop):
    port = free_port()
    words = ("serve", "--listen", f"127.0.0.1:{port}")
    away = shop.environ | {"MAILER_REDIS": f"redis://127.0.0.1:{free_port()}/0"}
    with bouncing(f"lmtp:inet:127.0.0.1:{port}") as postfix:
        first = reader(*words, folder=shop.folder, environ=away)
        shop.send(postfix.port)
        eventually(
            lambda: "status=deferred" in postfix.log() and " 451 4." in postfix.log(), within=90
        )
        first.terminate()
        first.communicate(timeout=120)
        assert shop.came_back() == {}
        second = shop.start(*words)
        shop.all_came_back()
        second.terminate()
        second.communicate(timeout=120)
