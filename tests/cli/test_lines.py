"""Complaints at a terminal are broken between words; in a pipe each is one line."""

import os
import pty
import subprocess
import sys


def complaint(place, columns):
    """What a terminal of so many columns is sent of a complaint that is longer."""
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "mailer", "send", "x", "-t", "hello", "--set", "oops", "people.csv"],
        cwd=place,
        stderr=theirs,
        stdout=subprocess.DEVNULL,
        check=False,
        env={**os.environ, "COLUMNS": str(columns)},
    )
    os.close(theirs)
    assert done.returncode == 2
    return os.read(ours, 10_000).decode().replace("\r\n", "\n")


WHOLE = "mailer: Invalid value for --set: 'oops' is not KEY=VALUE; see mailer send --help\n"


def test_words_stay_whole(place):
    shown = complaint(place, 40)
    assert [len(line) <= 40 for line in shown.splitlines()] == [True] * 3
    assert " ".join(shown.split()) == WHOLE.strip()


def test_what_fits_is_one_line(place):
    assert complaint(place, 100) == WHOLE


def test_a_folder_is_no_configuration_file(mailer):
    done = mailer("--config", ".", "status")
    assert (done.code, done.err) == (1, "mailer: . is a folder; name the file in it\n")


def test_nothing_is_broken_in_a_pipe(mailer):
    done = mailer(
        "send", "x", "-t", "hello", "--set", "oops", "people.csv", environ={"COLUMNS": "40"}
    )
    assert done.err == WHOLE
