"""A list goes on under other names: counted at the server, nobody gets it twice, nobody is left out."""

import csv
import os
import subprocess
import sys
from collections import Counter

import pytest

from mailer.mail.recipients import parse
from tests.servers.waiting import eventually

PEOPLE = [f"p{number}@example.org" for number in range(56)]
ODD = {  # as they are written at first, and later on
    "Ada.L@Example.ORG": "ada.l@example.org",
    "bob+news@example.org": "Bob+News@EXAMPLE.org",
    "eve@münchen.example": "eve@XN--MNCHEN-3YA.example",
    '"odd one"@example.org': '"odd one"@Example.org',
}
REFUSED, LATER, ERASED = PEOPLE[3:6], PEOPLE[10:14], PEOPLE[0]
REPLIES = dict.fromkeys(REFUSED, "554 5.7.1 not now") | dict.fromkeys(LATER, "450 4.2.0 busy")


def key(address):
    return parse({"email": address}, 1).key


@pytest.fixture(params=["", "history"])
def shop(cluster, smtp, request):
    """A worker, and commands as people type them in its folder; without and with a history."""
    folder = cluster.folder / "templates/hello"
    folder.mkdir(parents=True)
    (folder / "subject.txt").write_text("Hello")
    (folder / "body.txt").write_text("Hello.\n")
    text = (cluster.folder / "mailer.toml").read_text()
    if request.param:
        text = f'{text}\n[history]\nurl = "sqlite:///{cluster.folder}/history.sqlite"\n'
    cluster.configure(f'sender = "news@shop.example"\n{text}')
    return cluster


def mailer(cluster, *words):
    done = subprocess.run(
        [sys.executable, "-m", "mailer", *map(str, words)],
        cwd=cluster.folder,
        env=os.environ | {"MAILER_CONFIG": str(cluster.folder / "mailer.toml")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def listed(cluster, people):
    file = cluster.folder / "people.csv"
    with file.open("w", newline="", encoding="utf-8") as lines:
        csv.writer(lines).writerows([["email"], *([one] for one in people)])
    return file


def cancelled_after(cluster, smtp, number, name, *words):
    """Send *name*, and cancel it when the server has taken so many more."""
    before = len(smtp.accepted["primary"])
    words = ("--template", "hello", "--account", "primary", "--batch-size", "10", *words)
    mailer(cluster, "send", name, *words)
    eventually(
        lambda: (
            len(smtp.accepted["primary"]) >= before + number
            or not cluster.outcomes(name).get("queued")
        )
    )
    mailer(cluster, "cancel", name)
    eventually(lambda: cluster.final(name))


@pytest.mark.long
def test_nobody_gets_a_list_twice_that_goes_on_under_three_other_names(shop, smtp):
    replies = dict(REPLIES)
    smtp.rcpt_reply = lambda mailbox: replies.get(mailbox, "")
    smtp.final_replies = ["", ""]  # two are transmitted, and the reply is lost
    shop.start("w1")

    cancelled_after(shop, smtp, 15, "a", listed(shop, [*ODD, *PEOPLE]))
    again = listed(shop, reversed([*ODD.values(), *PEOPLE]))
    mailer(shop, "erase", ERASED)
    cancelled_after(shop, smtp, 10, "b", "--skip-accepted-of", "a", again)
    for mailbox in LATER:
        del replies[mailbox]
    cancelled_after(shop, smtp, 99, "c", "--skip-accepted-of", "b", again)
    replies.clear()
    cancelled_after(shop, smtp, 99, "d", "--retry-failed-of", "c", again)

    got = Counter(key(address) for address in smtp.accepted["primary"])
    outcomes = {name: shop.outcomes(name) for name in "abcd"}
    assert [number for number in got.values() if number > 1] == [], outcomes
    # Of whom nobody can say whether she has it, nobody tries again by herself.
    missing = [address for address in [*ODD, *PEOPLE] if not got[key(address)]]
    assert len(missing) == sum(one.get("uncertain", 0) for one in outcomes.values()) == 2, outcomes
