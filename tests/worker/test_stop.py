"""A password turns wrong in the middle of a campaign, under two workers of two processes each."""

import threading
import time
from collections import Counter
from math import log2

import pytest

from mailer.store import keys
from mailer.store.breaker import COOLING, OPERATOR, RUNNING, STOPPED, UNKNOWN
from tests.servers.cluster import mailbox
from tests.servers.scripted import Act
from tests.servers.waiting import PATIENCE, eventually

PROCESSES = 4


@pytest.mark.timeout(600)
@pytest.mark.parametrize("total", [3_000, pytest.param(10_000, marks=pytest.mark.long)])
def test_a_password_that_turns_wrong_stops_the_account_and_loses_and_doubles_nothing(
    cluster, smtp, total
):
    smtp.delays["AUTH"] = 0.02

    def turn_wrong(taken):
        if taken.user == "primary" and taken.number == total // 3:
            smtp.passwords["primary"] = "changed"

    smtp.on_taken = turn_wrong
    cluster.start("one")
    cluster.start("two")
    cluster.enqueue("spring", "primary", total)
    cluster.enqueue("news", "other", total // 10)
    eventually(lambda: cluster.final("spring") and cluster.final("news"))

    assert 1 <= smtp.refused["primary"] <= PROCESSES
    assert cluster.state("primary") == STOPPED
    assert cluster.outcomes("news") == {"accepted": total // 10}
    outcomes = cluster.outcomes("spring")
    assert set(outcomes) == {"accepted", "dead"}
    assert sum(outcomes.values()) == total
    letters = cluster.letters(campaign="spring", reason="auth")
    assert sum(letter.messages for letter in letters) == outcomes["dead"]
    eventually(lambda: len(cluster.queue) == len(letters))

    refused = smtp.refused["primary"]
    cluster.set_password("primary", "changed")
    cluster.breaker.start("primary", time.time())
    moved = Counter(one.how for one in cluster.office.replay(letters))
    assert moved == {"replayed": len(letters)}
    assert len(cluster.queue) == 0
    again = Counter(one.how for one in cluster.office.replay(letters))
    assert again == {"gone": len(letters)}
    eventually(lambda: cluster.final("spring"))
    assert cluster.outcomes("spring") == {"accepted": total}
    assert smtp.refused["primary"] == refused
    assert sorted(smtp.mailboxes("primary")) == sorted(
        mailbox("spring", number) for number in range(total)
    )
    assert cluster.state("primary") == RUNNING
    assert "right" not in cluster.log()
    assert "@example.org" not in cluster.log()


def said_of(cluster, account):
    return cluster.breaker.state(account, time.time()).said.reply


@pytest.mark.timeout(600)
def test_a_server_that_is_mute_at_a_login_holds_its_own_account_only_and_is_named(cluster, smtp):
    """For `timeouts.auth`; then the account waits, and says why. One login is tried at a time."""
    text = (cluster.folder / "mailer.toml").read_text()
    cluster.configure(text.replace("max_connections", "timeouts = {auth = 1}\nmax_connections"))
    asked = threading.Event()

    def mute(_connection, _line):
        asked.set()
        smtp.over.wait(PATIENCE)
        return Act.HANG_UP

    silence = smtp.answer("AUTH", mute, user="primary")
    cluster.start("one")
    cluster.enqueue("spring", "primary", 100, batch=20)
    eventually(asked.is_set)
    cluster.enqueue("news", "other", 100, batch=20)
    eventually(lambda: cluster.final("news"))
    eventually(lambda: "waiting for AUTH" in said_of(cluster, "primary"))
    smtp.script.remove(silence)
    eventually(lambda: cluster.final("spring"))

    assert cluster.outcomes("spring") == {"accepted": 100}
    assert set(Counter(smtp.mailboxes()).values()) == {1}


@pytest.mark.timeout(600)
def test_a_temporary_refusal_at_login_only_waits(cluster, smtp):
    refusal = smtp.answer("AUTH", "454 4.7.0 Temporary authentication failure", user="primary")
    cluster.start("one")
    cluster.start("two")
    began = time.monotonic()
    cluster.enqueue("spring", "primary", 600, batch=20)
    cluster.enqueue("news", "other", 300)
    eventually(lambda: cluster.final("news"))
    eventually(lambda: smtp.refused["primary"])
    assert cluster.state("primary") in (COOLING, UNKNOWN)
    refused, passed = smtp.refused["primary"], time.monotonic() - began
    # Pauses of 5, 10, 20 seconds, less a fifth: so many have passed at most.
    assert refused <= 1 + log2(1 + passed / 4), "not for each batch"
    assert cluster.outcomes("news") == {"accepted": 300}
    assert set(cluster.outcomes("spring")) <= {"queued", "deferred"}
    smtp.script.remove(refusal)
    eventually(lambda: cluster.final("spring"))
    assert cluster.outcomes("spring") == {"accepted": 600}
    assert len(set(smtp.mailboxes("primary"))) == len(smtp.mailboxes("primary")) == 600
    assert cluster.letters() == []
    assert cluster.state("primary") == RUNNING


@pytest.mark.timeout(600)
def test_an_unknown_account_with_a_wrong_password_costs_one_login(cluster, smtp):
    smtp.passwords["primary"] = "changed"
    smtp.delays["AUTH"] = 0.2
    cluster.start("one")
    cluster.start("two")
    cluster.enqueue("spring", "primary", 600, batch=10)
    eventually(lambda: cluster.final("spring"))
    assert cluster.outcomes("spring") == {"dead": 600}
    assert smtp.refused["primary"] == 1
    assert {letter.said.code for letter in cluster.letters()} == {535}
    assert {letter.reason for letter in cluster.letters()} == {"auth"}


@pytest.mark.timeout(600)
def test_an_account_that_stops_does_not_slow_another(cluster, smtp):
    cluster.start("one")
    cluster.start("two")
    smtp.passwords["primary"] = "changed"
    cluster.enqueue("spring", "primary", 600)
    cluster.enqueue("beside", "other", 1_500)
    eventually(lambda: cluster.final("beside") and cluster.final("spring"))
    assert cluster.outcomes("beside") == {"accepted": 1_500}
    assert cluster.outcomes("spring") == {"dead": 600}
    assert cluster.state("other") == RUNNING
    assert smtp.refused["other"] == 0


@pytest.mark.timeout(600)
def test_what_an_operator_stops_waits_and_goes_on_when_it_is_started(cluster, smtp):
    cluster.breaker.stop("primary", OPERATOR, time.time())
    cluster.start("one")
    cluster.enqueue("spring", "primary", 300)
    eventually(lambda: cluster.client.zcard(keys.parked("account:primary")) == 3)
    assert smtp.logins["primary"] == 0
    cluster.breaker.start("primary", time.time())
    eventually(lambda: cluster.final("spring"))
    assert cluster.outcomes("spring") == {"accepted": 300}
    assert cluster.letters() == []


@pytest.mark.timeout(600)
def test_a_worker_told_to_consume_the_dead_letters_refuses_with_an_explanation(cluster, smtp):
    smtp.passwords["primary"] = "changed"
    cluster.start("one")
    cluster.enqueue("spring", "primary", 300)
    eventually(lambda: len(cluster.queue) == 3)
    worker = cluster.start("drain", "-Q", "mailer.dead", wait=False)
    assert worker.wait(PATIENCE) == 1
    said = (cluster.folder / "drain.log").read_text()
    assert "mailer dead replay" in said
    assert "Traceback" not in said
    # Who names the worker goes on with its answer, and waits no longer.
    asked = {"destination": ["one@test"], "reply": True, "timeout": PATIENCE}
    refusal = cluster.broker.app.control.add_consumer("mailer.dead", **asked)
    assert "mailer dead replay" in str(refusal)
    assert len(cluster.queue) == 3
    assert len(cluster.letters()) == 3


def test_a_worker_that_would_deliver_nothing_is_refused(cluster):
    worker = cluster.start("idle", "-Q", "celery", wait=False)
    assert worker.wait(PATIENCE) == 1
    said = (cluster.folder / "idle.log").read_text()
    assert "consumes neither mailer.priority nor mailer.bulk (-Q)" in said
    assert "Traceback" not in said


@pytest.mark.timeout(600)
def test_a_dead_letter_that_reaches_a_worker_all_the_same_is_put_back_and_not_sent(cluster, smtp):
    smtp.passwords["primary"] = "changed"
    cluster.start("one")
    cluster.enqueue("spring", "primary", 300)
    eventually(lambda: len(cluster.queue) == 3)
    smtp.passwords["primary"] = "right"
    cluster.breaker.start("primary", time.time())
    letter = cluster.letters()[0]
    cluster.client.rpop("mailer.dead")
    cluster.broker.app.send_task("mailer.dead", args=(letter.identifier,), queue="mailer.bulk")
    eventually(lambda: "is for people" in cluster.log())
    eventually(lambda: len(cluster.queue) == 3)
    assert cluster.outcomes("spring") == {"dead": 300}
    assert smtp.mailboxes("primary") == []
