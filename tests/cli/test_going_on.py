"""A campaign goes on under another name, from the shell: nobody gets it twice."""

import json
from time import time

from mailer.mail.said import Said
from mailer.mail.status import Status
from mailer.store.ledger import Burial, Ledger, Settlement

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


def test_a_cancelled_campaign_whose_batch_is_held_says_that_workers_settle_it(mailer, client):
    mailer("send", "spring", *HELLO, "people.csv")
    Ledger(client).claim("spring:1", "w1", time(), time() + 15)

    cancelled = mailer("cancel", "spring").out
    ran = mailer("send", "spring-2", *HELLO, "--skip-accepted-of", "spring", "people.csv")

    assert "0 recipients will get nothing; workers hold 2 more" in cancelled
    assert ran.code == 1
    assert "it is cancelled, and workers settle what they hold" in ran.err
    assert "mailer cancel spring" not in ran.err


def test_only_those_who_failed_are_tried_again(mailer, client):
    mailer("send", "spring", *HELLO, "people.csv")
    settle(client, "spring:1", [Status.ACCEPTED, Status.REJECTED])

    ran = mailer("send", "spring-2", *HELLO, "--retry-failed-of", "spring", "people.csv")

    assert ran.code == 0, ran.err
    assert "1 queued" in ran.out
    assert "1 skipped for another campaign" in ran.out


def bury(client, ref, identifier):
    """Both of people.csv: transmitted, and the reply lost."""
    ledger, now = Ledger(client), time()
    claimed = ledger.claim(ref, "w1", now, now + 15)
    burial = Burial(identifier, Status.UNCERTAIN, "uncertain", Said().encode(), claimed.positions)
    assert ledger.bury(claimed, burial, now) == 2


def test_uncertain_ones_that_were_purged_are_not_tried_again(mailer, client):
    mailer("send", "spring", *HELLO, "people.csv")
    bury(client, "spring:1", "d1")
    assert mailer("dead", "purge", "--reason", "uncertain", "--yes").code == 0

    for which in ("--retry-failed-of", "--skip-accepted-of"):
        ran = mailer("send", "next", *HELLO, which, "spring", "--json", "people.csv")
        receipt = json.loads(ran.out)
        assert (receipt["queued"], receipt["skipped"]) == (0, 2)


def test_letters_of_a_cancelled_campaign_are_not_replayed(mailer, client):
    mailer("send", "big", *HELLO, "people.csv")
    bury(client, "big:1", "d1")
    assert mailer("cancel", "big").code == 0

    ran = mailer("dead", "replay", "--campaign", "big")

    assert ran.code == 1
    assert "campaign 'big' is cancelled: nothing of it is sent any more" in ran.err
    assert "queued again" not in ran.out
    assert json.loads(mailer("dead", "list", "--json").out)[0]["messages"] == 2
    ran = mailer("send", "big-2", *HELLO, "--skip-accepted-of", "big", "--json", "people.csv")
    assert json.loads(ran.out)["queued"] == 0


def test_while_the_other_still_sends_it_is_refused(mailer):
    mailer("send", "spring", *HELLO, "people.csv")

    ran = mailer("send", "spring-2", *HELLO, "--skip-accepted-of", "spring", "people.csv")

    assert ran.code == 1
    assert "mailer cancel spring" in ran.err


def test_a_third_goes_on_from_the_second_and_doubles_nobody_of_the_first(mailer, client):
    mailer("send", "spring", *HELLO, "people.csv")
    settle(client, "spring:1", [Status.ACCEPTED])
    mailer("cancel", "spring")
    mailer("send", "spring-2", *HELLO, "--skip-accepted-of", "spring", "people.csv")
    mailer("cancel", "spring-2")

    ran = mailer(
        "send", "spring-3", *HELLO, "--skip-accepted-of", "spring-2", "--json", "people.csv"
    )

    receipt = json.loads(ran.out)
    assert (receipt["queued"], receipt["skipped"]) == (1, 1)


def test_several_others_can_be_named_and_each_counts(mailer, client):
    for name, statuses in (("a", "ar"), ("b", "ra")):
        mailer("send", name, *HELLO, "people.csv")
        settle(client, f"{name}:1", [Status(letter) for letter in statuses])

    for which in ("--skip-accepted-of", "--retry-failed-of"):
        ran = mailer("send", "c", *HELLO, which, "a", which, "b", "--json", "people.csv")
        receipt = json.loads(ran.out)
        assert (receipt["queued"], receipt["skipped"]) == (0, 2)


def test_what_a_replay_would_reach_a_second_time_is_said(mailer, client):
    mailer("send", "spring", *HELLO, "people.csv")
    bury(client, "spring:1", "d1")

    ran = mailer("send", "spring-2", *HELLO, "--skip-accepted-of", "spring", "people.csv")

    assert "2 of spring lie in the dead letters" in ran.err
    assert "mailer dead purge --campaign spring" in ran.err
    assert mailer("dead", "purge", "--campaign", "spring", "--yes").code == 0
    ran = mailer("send", "spring-3", *HELLO, "--skip-accepted-of", "spring", "people.csv")
    assert "dead letters" not in ran.err
