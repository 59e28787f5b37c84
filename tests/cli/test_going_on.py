"""A campaign goes on under another name, from the shell: nobody gets it twice."""

import json

from mailer.mail.status import Status
from mailer.store.ledger import Ledger, Settlement

HELLO = ("--template", "hello", "--set", "season=spring")


def settle(client, ref, statuses):
    ledger = Ledger(client)
    claimed = ledger.claim(ref, "w1", 1.0, 16.0)
    settled = [Settlement(place, status) for place, status in enumerate(statuses)]
    ledger.commit(claimed, settled, (), 1.0, 16.0)
    ledger.give_back(claimed, 1.0)


def test_the_cancelled_campaign_replayed_under_another_name_doubles_nobody(mailer, client):
    assert mailer("send", "spring", *HELLO, "people.csv").code == 0
    settle(client, "spring:1", [Status.ACCEPTED])
    assert mailer("cancel", "spring").code == 0

    ran = mailer("send", "spring-2", *HELLO, "--skip-accepted-of", "spring", "--json", "people.csv")

    assert ran.code == 0, ran.err
    receipt = json.loads(ran.out)
    assert (receipt["queued"], receipt["skipped"]) == (1, 1)
    assert [one["row"] for one in receipt["complaints"] if one["kind"] == "skipped"] == [1]


def test_only_those_who_failed_are_tried_again(mailer, client):
    mailer("send", "spring", *HELLO, "people.csv")
    settle(client, "spring:1", [Status.ACCEPTED, Status.REJECTED])

    ran = mailer("send", "spring-2", *HELLO, "--retry-failed-of", "spring", "people.csv")

    assert ran.code == 0, ran.err
    assert "1 queued" in ran.out
    assert "1 skipped for another campaign" in ran.out


def test_while_the_other_still_sends_it_is_refused(mailer):
    mailer("send", "spring", *HELLO, "people.csv")

    ran = mailer("send", "spring-2", *HELLO, "--skip-accepted-of", "spring", "people.csv")

    assert ran.code == 1
    assert "mailer cancel spring" in ran.err
