"""The guard: a command lives exactly as long as somebody needs it."""

import fcntl
import os
import signal
import subprocess
import sys

import pytest

from mailer.local import guard
from tests.local.processes import is_alive
from tests.servers.waiting import eventually

PRINTS_ITS_PID = "import os, sys, time; print(os.getpid(), flush=True); time.sleep(600)"
STUBBORN = (
    "import os, signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print(os.getpid(), flush=True); time.sleep(600)"
)


@pytest.fixture
def guarded():
    """Start commands under the guard; nothing is left at the end."""
    started = []

    def start(program, *how):
        how = how or ("--while-stdin",)
        process = subprocess.Popen(
            guard.command(*how, sys.executable, "-c", program),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        started.append(process)
        pid = int(process.stdout.readline())
        return process, pid

    yield start
    for process in started:
        process.stdin.close()
        process.kill()
        process.wait()
        process.stdout.close()


def test_command_ends_when_standard_input_is_closed(guarded):
    process, pid = guarded(PRINTS_ITS_PID)
    process.stdin.close()
    process.wait(120)
    assert not is_alive(pid)


def test_command_ends_when_nobody_holds_the_lock_any_more(guarded, tmp_path):
    with open(tmp_path / "lock", "wb") as lock:  # noqa: PTH123
        fcntl.flock(lock, fcntl.LOCK_SH)
        process, pid = guarded(PRINTS_ITS_PID, "--while-locked", str(tmp_path / "lock"))
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(guard.POLL * 3)
        assert is_alive(pid)
    process.wait(120)
    assert not is_alive(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_command_dies_with_a_killed_guard(guarded):
    process, pid = guarded(PRINTS_ITS_PID)
    process.kill()
    process.wait(120)
    eventually(lambda: not is_alive(pid))


def test_a_second_request_kills_what_ignores_the_first(guarded):
    process, pid = guarded(STUBBORN)
    process.terminate()
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(guard.POLL * 3)
    assert is_alive(pid)
    process.terminate()
    process.wait(120)
    assert not is_alive(pid)


def test_guard_ends_with_its_command_and_its_status(guarded):
    process, pid = guarded("import os, sys; print(os.getpid(), flush=True); sys.exit(7)")
    assert process.wait(120) == 7
    assert not is_alive(pid)


def test_interrupt_from_the_terminal_does_not_reach_the_command(guarded):
    process, pid = guarded(PRINTS_ITS_PID)
    assert os.getpgid(pid) != os.getpgid(process.pid)
    process.send_signal(signal.SIGINT)  # to the guard itself: it asks the command to end
    process.wait(120)
    assert not is_alive(pid)
