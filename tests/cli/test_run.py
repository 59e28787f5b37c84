"""`mailer run`: one machine, nothing installed; whatever happens, the same command goes on."""

import json
import os
import re
import signal
import subprocess
import sys
import threading

import pytest

from tests.servers.scripted import ScriptedServer
from tests.servers.waiting import PATIENCE, eventually

pytestmark = pytest.mark.timeout(600)


class Holding:
    """From a server's *enough*-th message on, its replies wait until they are let go."""

    def __init__(self, server, enough=10):
        self._enough = enough
        self.reached, self._over = threading.Event(), threading.Event()
        self.let_go = self._over.set
        server.on_taken = self._look

    def _look(self, taken):
        if taken.number >= self._enough:
            self.reached.set()
            self._over.wait(PATIENCE)


@pytest.fixture
def server():
    with ScriptedServer() as running:
        running.gone = {"gone@example.org"}
        yield running


@pytest.fixture
def place(place, server):
    """The folder of the other tests, with a mail server that works."""
    (place / "mailer.toml").write_text(
        'sender = "Shop <news@shop.example>"\nbatch_size = 20\n'
        f'[accounts.primary]\nurl = "smtp://127.0.0.1:{server.port}"\n'
    )
    rows = "".join(f"reader{n}@example.org,Reader {n}\n" for n in range(200))
    (place / "many.csv").write_text(f"email,name\n{rows}gone@example.org,Gone\n")
    return place


RUN = ("run", "spring", "-t", "hello", "--set", "season=May", "many.csv")


def test_delivers_to_everyone_reports_answers_afterwards_and_sends_nothing_twice(mailer, server):
    done = mailer(*RUN)
    assert done.code == 0
    assert len(set(server.mailboxes())) == len(server.taken) == 200
    queued, outcomes, hint = done.out.splitlines()
    assert queued == "spring: 201 queued"
    assert re.fullmatch(r"spring: 200 accepted, 1 rejected, in .*", outcomes)
    assert hint == "who and why:  mailer --local .mailer failures spring"

    found = json.loads(mailer("--local", ".mailer", "status", "spring", "--json").out)
    assert (found["total"], found["outcomes"]["accepted"], found["outcomes"]["rejected"]) == (
        201,
        200,
        1,
    )
    failures = mailer("--local", ".mailer", "failures", "spring", "--json").out
    assert json.loads(failures)["reply"] == "550 5.1.1 no such user"

    done = json.loads(mailer(*RUN, "--json").out)
    assert done["receipt"]["already_queued"] == 201
    assert done["outcomes"]["accepted"] == 200
    assert len(set(server.mailboxes())) == len(server.taken) == 200


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_killed_or_interrupted_it_goes_on_where_it_stopped(mailer, place, server, number):
    held = Holding(server)
    environment = {key: value for key, value in os.environ.items() if key[:7] != "MAILER_"}
    process = subprocess.Popen(
        [sys.executable, "-m", "mailer", *RUN],
        cwd=place,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
    )
    assert held.reached.wait(PATIENCE)
    process.send_signal(number)
    if number == signal.SIGINT:  # the worker has heard of it: so it is not through before that
        eventually(lambda: "Warm shutdown" in (place / ".mailer/worker.log").read_text())
    held.let_go()
    _, err = process.communicate(timeout=PATIENCE)
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
    assert len(set(server.mailboxes())) == len(server.taken) >= outcomes["accepted"]


def test_two_at_once_in_one_folder_is_refused(mailer, place, server):
    held = Holding(server, 1)
    process = subprocess.Popen(
        [sys.executable, "-m", "mailer", *RUN], cwd=place, stdout=subprocess.DEVNULL
    )
    eventually((place / ".mailer/server.url").exists)
    done = mailer(*RUN)
    held.let_go()
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
