"""Against Postfix's smtp-sink with its faults: refusals, hang-ups and cuts at every command."""

import os
import shutil
import socket
import subprocess
import time

import pytest

from mailer.smtp import Action, Driver, Fate, Stage, Submission, Timeouts
from tests.conftest import free_port, has_the_machine_to_itself

SINK = shutil.which("smtp-sink", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin")))

pytestmark = [
    pytest.mark.postfix,
    pytest.mark.skipif(SINK is None, reason="smtp-sink is not installed"),
]

CONTENT = b"Subject: hello\r\n\r\n" + (b"x" * 76 + b"\r\n") * 200


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def sink():
    """Start smtp-sink with flags; gives its port."""
    running = []

    def start(*flags: str) -> int:
        port = free_port()
        as_nobody = ("-u", "nobody") if os.geteuid() == 0 else ()
        running.append(
            subprocess.Popen(
                [SINK, *as_nobody, *flags, f"127.0.0.1:{port}", "100"], stderr=subprocess.DEVNULL
            )
        )
        deadline = time.monotonic() + 60
        while not is_listening(port):
            assert time.monotonic() < deadline, "smtp-sink did not come up"
        return port

    yield start
    for process in running:
        process.terminate()
        process.wait(60)


@pytest.fixture
def send(settings, gate, journal):
    def run(port: int, count: int = 40, **changes):
        changes = {"max_connections": 4, "timeouts": Timeouts(final=60)} | changes
        driver = Driver(settings(port, **changes), gate)
        results = driver.send(
            [Submission("a@shop.example", f"u{n}@example.org", CONTENT) for n in range(count)],
            journal,
        )
        driver.close()
        assert len(results) == count
        assert gate.open == 0
        return results

    return run


@pytest.mark.parametrize(
    "flags", [(), ("-p",), ("-8",), ("-e",)], ids=["as it is", "no pipelining", "7 bit", "no ESMTP"]
)
def test_all_is_accepted(sink, send, flags):
    assert {result.fate for result in send(sink(*flags))} == {Fate.ACCEPTED}


@pytest.mark.parametrize(
    ("flag", "command", "fate", "stage"),
    [
        ("-r", "rcpt", Fate.REFUSED, Stage.RCPT),
        ("-r", "data", Fate.REFUSED, Stage.DATA),
        ("-r", ".", Fate.REFUSED, Stage.FINAL),
        ("-r", "mail", Fate.REFUSED, Stage.MAIL),
    ],
)
def test_a_soft_refusal_is_each_message_s_own(sink, send, flag, command, fate, stage):
    results = send(sink(flag, command))
    assert {(result.fate, result.stage, result.action) for result in results} == {
        (fate, stage, Action.RETRY_LATER)
    }


@pytest.mark.parametrize("command", ["mail", "rcpt", "data"])
def test_commands_that_fail_with_500_are_tried_again_step_by_step(sink, send, command):
    results = send(sink("-f", command), count=4)
    assert {(result.fate, result.action) for result in results} == {
        (Fate.REFUSED, Action.PROTOCOL_ERROR)
    }


@pytest.mark.parametrize("command", ["connect", "ehlo,helo"])
def test_a_hard_refusal_at_the_door_fails_no_message(sink, send, command):
    results = send(sink("-f", command))
    assert {(result.fate, result.action) for result in results} == {
        (Fate.UNSENT, Action.ACCOUNT_CONFIG)
    }


@pytest.mark.parametrize("flag", ["-q", "-Q"], ids=["cut", "421 and cut"])
@pytest.mark.parametrize("command", ["connect", "ehlo", "mail", "rcpt", "data"])
def test_a_cut_before_the_dot_leaves_all_unsent_after_a_few_connections(
    sink, send, gate, flag, command
):
    results = send(sink(flag, command))
    assert {result.fate for result in results} == {Fate.UNSENT}
    assert {result.action for result in results} <= {Action.RETRY_LATER, Action.THROTTLE_ACCOUNT}
    assert gate.admitted <= 12


def test_a_cut_after_the_dot_leaves_at_most_one_uncertain_for_each_connection(sink, send, gate):
    results = send(sink("-q", "."))
    uncertain = sum(result.fate is Fate.UNCERTAIN for result in results)
    assert 0 < uncertain <= gate.admitted
    assert {result.fate for result in results} <= {Fate.UNCERTAIN, Fate.UNSENT}


def test_a_421_after_the_dot_is_a_refusal_and_no_uncertainty(sink, send):
    results = send(sink("-Q", "."))
    assert Fate.UNCERTAIN not in {result.fate for result in results}
    assert Fate.ACCEPTED not in {result.fate for result in results}


def test_one_note_covers_what_is_ready_on_many_connections(sink, send, journal):
    """With a journal that takes as long as a database, ten connections share its round trips."""
    commit = journal.commit

    def slow(results, starting):
        until = time.perf_counter() + 0.0005
        while time.perf_counter() < until:
            pass
        return commit(results, starting)

    journal.commit = slow
    send(sink(), count=1000, max_connections=10, max_messages_per_connection=1000)
    sizes = [len(starting) for _, starting in journal.calls if starting]
    assert max(sizes) >= 5
    if has_the_machine_to_itself():  # else their replies come one by one
        assert sum(sizes) / len(sizes) >= 5


def test_a_single_connection_never_waits_for_others(sink, send, journal):
    send(sink(), count=50, max_connections=1)
    assert {len(starting) for _, starting in journal.calls if starting} == {1}
