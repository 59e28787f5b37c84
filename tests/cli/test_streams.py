"""Standard streams that are closed or full, and a machine without room: one line, the right code."""

import resource
import subprocess
import sys

import pytest


@pytest.fixture
def shell(place):
    """Run a command line by a shell, in the folder of `place`."""

    def run(line, **more):
        words = f"{sys.executable} -m mailer {line}"
        return subprocess.run(
            words, check=False, shell=True, cwd=place, capture_output=True, text=True, **more
        )

    return run


SEND = "send a -t hello --set season=spring"


def test_a_closed_input_is_an_empty_one(shell):
    ran = shell(f"{SEND} - <&-")
    assert ran.returncode == 1
    assert ran.stderr.startswith("mailer: standard input is empty")


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_a_closed_output_is_nobodys(shell, closed):
    ran = shell(f"status {closed}")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_an_output_without_room_is_said_in_a_line(shell):
    for line in ("preview hello --set season=spring", "status --json"):
        ran = shell(f"{line} > /dev/full")
        assert ran.returncode == 1
        (said,) = ran.stderr.splitlines()
        assert said.startswith("mailer: ")
        assert "No space left on device" in said


def test_a_list_that_finds_no_room_is_said_in_a_line(shell, mailer):
    rows = "".join(f"r{number}@example.org,N{number}\n" for number in range(5000))
    small = (resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    ran = shell(
        f"{SEND} -", input=f"email,name\n{rows}", preexec_fn=lambda: resource.setrlimit(*small)
    )
    assert ran.returncode == 1
    (line,) = ran.stderr.splitlines()
    assert line.startswith("mailer: File too large: free some")
    assert "$TMPDIR" in line
    assert "no campaign" in mailer("status", "a").err


INTERRUPTED = """
import signal, sys
from importlib.abc import MetaPathFinder

class CtrlC(MetaPathFinder):
    def find_spec(self, name, *_):
        if name == sys.argv[1]:
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, CtrlC())
from mailer.cli import main
main(["preview", "hello", "--set", "season=spring"])
"""


@pytest.mark.parametrize("loading", ["click", "mailer.compose.composer"])
def test_ctrl_c_while_it_loads_is_said_in_a_line(place, loading):
    ran = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, loading],
        check=False,
        cwd=place,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 130
    assert ran.stderr.strip() == "mailer: interrupted"
    assert not ran.stdout
