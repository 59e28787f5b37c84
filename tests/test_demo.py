"""`make demo`, smaller: the report is true, its commands work, and an interrupt leaves nothing."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.waiting import eventually

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.timeout(600)

DEMO = [sys.executable, str(ROOT / "examples/demo")]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A demo that has ended: its folder and what it printed."""
    place = tmp_path_factory.mktemp("demo")
    (place / "templates").symlink_to(ROOT / "templates")
    (place / "examples").symlink_to(ROOT / "examples")
    done = subprocess.run(
        [*DEMO, "--rows", "300"],
        cwd=place,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return place, done.stdout


def numbers_of(campaign, out):
    heading = next(line for line in out.splitlines() if line.split()[:1] == ["campaign"]).split()
    row = next(line for line in out.splitlines() if line.split()[:1] == [campaign]).split()
    return dict(zip(heading[1:], (int(cell.replace(",", "")) for cell in row[1:]), strict=True))


def test_every_accepted_message_is_an_eml_file_and_none_came_twice(demo):
    place, out = demo
    accepted = numbers_of("spring-2026", out)["accepted"]
    assert accepted > 200
    assert len(list((place / "outbox").glob("*.eml"))) == accepted
    assert re.search(r"^ +0 received twice$", out, re.MULTILINE)


def test_outcomes_add_up_to_what_was_queued(demo):
    _, out = demo
    for campaign in ("spring-2026", "members-may"):
        numbers = numbers_of(campaign, out)
        assert sum(numbers.values()) == 2 * numbers["total"]


def test_wrong_password_sends_the_second_campaign_to_the_dead_letters_after_one_login(demo):
    _, out = demo
    numbers = numbers_of("members-may", out)
    assert numbers["dead"] == numbers["total"] > 0
    assert "account club, auth: 535 5.7.8" in out
    assert re.search(r"^ +1 logins refused$", out, re.MULTILINE)


def test_rows_that_were_not_queued_are_named_with_their_reasons(demo):
    _, out = demo
    assert re.search(r"Not queued of spring-2026: .*invalid", out)
    assert re.search(r"^  row \d+: \S+", out, re.MULTILINE)


def test_commands_that_it_suggests_work_afterwards(demo):
    place, out = demo
    suggested = [line.strip() for line in out.splitlines() if line.startswith("  .venv/bin/mailer")]
    assert len(suggested) >= 5
    for line in suggested:
        words = [sys.executable, "-m", "mailer", *shlex.split(line)[1:]]
        done = subprocess.run(words, cwd=place, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), line
        assert done.stdout.strip(), line


@pytest.mark.parametrize("campaign", ["spring-2026", "members-may"])
def test_failures_name_everyone_who_was_not_accepted(demo, campaign):
    place, out = demo
    words = [
        sys.executable,
        "-m",
        "mailer",
        "--local",
        ".mailer/demo",
        "failures",
        campaign,
        "--json",
    ]
    done = subprocess.run(words, cwd=place, capture_output=True, text=True, check=True)
    named = [json.loads(line)["email"] for line in done.stdout.splitlines()]
    numbers = numbers_of(campaign, out)
    assert len(named) == len(set(named)) == numbers["total"] - numbers["accepted"]


@pytest.mark.parametrize(
    "number",
    [signal.SIGINT, signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.long)],
)
def test_stopped_in_the_middle_it_leaves_no_process(tmp_path, number):
    process = subprocess.Popen(
        DEMO, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    outbox = tmp_path / "outbox"
    eventually(lambda: outbox.is_dir() and any(outbox.iterdir()))
    process.send_signal(number)
    process.communicate(timeout=120)
    assert process.returncode == (130 if number != signal.SIGKILL else -signal.SIGKILL)
    eventually(lambda: not processes_about(tmp_path, process.pid))


def processes_about(place, pid):
    """The command lines of processes that work in *place* or for the demo *pid*."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(place) in words or f"local-{pid}@" in words:
            found.append(words)
    return found
