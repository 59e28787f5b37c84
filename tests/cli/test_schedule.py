"""`--at` is seen and can be moved; what a second `send` says otherwise is not passed over."""

import json
import re
import time

import pytest

SEND = ("send", "spring", "-t", "hello", "--set", "season=May", "people.csv")


def seen(mailer):
    return json.loads(mailer("status", "spring", "--json").out)


@pytest.fixture
def later(mailer):
    """A campaign that begins in two hours."""
    mailer(*SEND, "--at", "+2h")


@pytest.mark.usefixtures("later")
def test_a_start_is_seen(mailer):
    found = seen(mailer)
    assert found["says"].startswith("waiting until ")
    assert found["start"] == found["until"] == pytest.approx(time.time() + 7200, abs=60)
    assert found["time_left"] == pytest.approx(7200, abs=60)
    assert re.search(r"spring +waiting until [\d: -]+ +2 +2 ", mailer("status").out)
    assert "waiting until" in mailer("status", "spring").out


@pytest.mark.usefixtures("later")
def test_a_start_is_moved(mailer):
    done = mailer("schedule", "spring", "--at", "+1d")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("spring: begins at 2")
    assert seen(mailer)["start"] == pytest.approx(time.time() + 86400, abs=60)
    assert mailer("schedule", "spring", "--now").out == "spring: begins now\n"
    assert seen(mailer)["says"] == "sending"


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--at", "+3h"], "campaign 'spring' begins at .* mailer schedule spring --at"),
        (["--account", "other"], r"another account \(primary, not other\): give it another name"),
        (["--from", "o@shop.example"], r"another sender \(.*, not o@shop.example\)"),
        (["--window", "08:00-18:00 UTC"], "another window"),
        (["--on-uncertain", "resend"], "another on_uncertain"),
    ],
)
def test_what_is_said_otherwise_a_second_time_is_refused_in_words(mailer, place, words, complaint):
    file = place / "mailer.toml"
    file.write_text(file.read_text() + '[accounts.other]\nurl = "smtp://localhost:1"\n')
    done = mailer(*SEND, *words)
    assert done.code == 1
    assert re.search(complaint, done.err)
    assert len(done.err.splitlines()) == 1
    assert seen(mailer)["total"] == 2


@pytest.mark.usefixtures("later")
def test_the_same_command_without_a_start_goes_on(mailer):
    assert mailer(*SEND).code == 0
    assert seen(mailer)["says"].startswith("waiting until ")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "say when: --at TIME, or --now; see mailer schedule --help"),
        (["--now", "--at", "08:00"], "say when: --at TIME, or --now; see mailer schedule --help"),
        (["--at", "soon"], "Invalid value for --at: 'soon' is no time"),
    ],
)
def test_a_move_wants_one_time(mailer, words, complaint):
    done = mailer("schedule", "spring", *words)
    assert done.code == 2
    assert done.err.startswith(f"mailer: {complaint}")


def test_what_is_over_cannot_be_moved(mailer):
    assert mailer("schedule", "spring", "--now").err.startswith("mailer: no campaign 'spring'")
    mailer(*SEND)
    mailer("cancel", "spring")
    done = mailer("schedule", "spring", "--now")
    assert (done.code, done.err) == (1, "mailer: campaign 'spring' was cancelled, and stays so\n")
