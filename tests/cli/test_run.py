"""`mailer run`: one machine, nothing installed; whatever happens, the same command goes on."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter

import pytest
from aiosmtpd.controller import Controller

from tests.conftest import free_port
from tests.servers.waiting import eventually

pytestmark = pytest.mark.timeout(600)


class Recorder:
    """Counts what each recipient gets; after *enough* messages, replies wait while it *holds*."""

    def __init__(self):
        self.received = Counter()
        self.reached = threading.Event()
        self.enough = 10
        self.holds = False

    async def handle_RCPT(self, server, session, envelope, to, options):  # noqa: N802
        if to.startswith("gone"):
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(to)
        return "250 ok"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        self.received[envelope.rcpt_tos[0]] += 1
        if self.received.total() >= self.enough:
            self.reached.set()
        while self.holds and self.reached.is_set():  # noqa: ASYNC110 - another thread lets go
            await asyncio.sleep(0.01)
        return "250 taken"


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def place(place, recorder):
    """The folder of the other tests, with a mail server that works."""
    port = free_port()
    controller = Controller(recorder, hostname="127.0.0.1", port=port, ready_timeout=60)
    controller.start()
    (place / "mailer.toml").write_text(
        'sender = "Shop <news@shop.example>"\nbatch_size = 20\n'
        f'[accounts.primary]\nurl = "smtp://127.0.0.1:{port}"\n'
    )
    rows = "".join(f"reader{n}@example.org,Reader {n}\n" for n in range(200))
    (place / "many.csv").write_text(f"email,name\n{rows}gone@example.org,Gone\n")
    yield place
    controller.stop()


RUN = ("run", "spring", "-t", "hello", "--set", "season=May", "many.csv")


def test_delivers_to_everyone_and_reports(mailer, recorder):
    done = mailer(*RUN)
    assert done.code == 0
    assert set(recorder.received.values()) == {1}
    assert len(recorder.received) == 200
    queued, outcomes, hint = done.out.splitlines()
    assert queued == "spring: 201 queued"
    assert re.fullmatch(r"spring: 200 accepted, 1 rejected, in .*", outcomes)
    assert hint == "who and why:  mailer --local .mailer failures spring"


def test_its_folder_answers_afterwards(mailer):
    mailer(*RUN)
    found = json.loads(mailer("--local", ".mailer", "status", "spring", "--json").out)
    assert (found["total"], found["outcomes"]["accepted"], found["outcomes"]["rejected"]) == (
        201,
        200,
        1,
    )
    failures = mailer("--local", ".mailer", "failures", "spring", "--json").out
    assert json.loads(failures)["reply"] == "550 5.1.1 no such user"


def test_again_it_sends_nothing_twice(mailer, recorder):
    mailer(*RUN)
    done = json.loads(mailer(*RUN, "--json").out)
    assert done["receipt"]["already_queued"] == 201
    assert done["outcomes"]["accepted"] == 200
    assert set(recorder.received.values()) == {1}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_killed_or_interrupted_it_goes_on_where_it_stopped(mailer, place, recorder, number):
    recorder.holds = True
    environment = {key: value for key, value in os.environ.items() if key[:7] != "MAILER_"}
    process = subprocess.Popen(
        [sys.executable, "-m", "mailer", *RUN],
        cwd=place,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
    )
    assert recorder.reached.wait(60)
    process.send_signal(number)
    recorder.holds = False
    _, err = process.communicate(timeout=60)
    assert process.returncode == (-signal.SIGKILL if number == signal.SIGKILL else 130)
    assert "Traceback" not in err
    if number == signal.SIGINT:
        assert "mailer: stopping; what is being transmitted is finished first" in err
        assert re.search(r"interrupted; \d+ of 201 recipients of \w+ are final, \d+ wait in", err)
        assert "The same command goes on; mailer --local .mailer cancel" in err
    done = json.loads(mailer(*RUN, "--json").out)
    outcomes = done["outcomes"]
    assert sum(outcomes.values()) == 201
    assert outcomes["accepted"] + outcomes["uncertain"] == 200
    assert max(recorder.received.values()) == 1
    assert len(recorder.received) >= outcomes["accepted"]


def test_two_at_once_in_one_folder_is_refused(mailer, place, recorder):
    recorder.enough, recorder.holds = 1, True
    process = subprocess.Popen(
        [sys.executable, "-m", "mailer", *RUN], cwd=place, stdout=subprocess.DEVNULL
    )
    eventually((place / ".mailer/server.url").exists)
    done = mailer(*RUN)
    recorder.holds = False
    assert process.wait(120) == 0
    assert done.code == 1
    assert done.err.startswith(f"mailer: another `mailer run` (process {process.pid}) works in ")


def test_faulty_template_starts_nothing(mailer, place):
    (place / "templates/hello/body.html").write_text("{{ name ")
    done = mailer(*RUN)
    assert done.code == 1
    assert "body.html:1" in done.err
    assert not (place / ".mailer/worker.log").exists()


def test_worker_that_cannot_start_is_reported_with_its_reason(mailer, place):
    (place / "celeryconfig.py").write_text("raise RuntimeError('a fault in celeryconfig')\n")
    done = mailer(*RUN)
    assert done.code == 1
    assert "the worker dies again and again: " in done.err
    assert "worker.log" in done.err
