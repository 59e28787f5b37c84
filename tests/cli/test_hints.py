"""Commands that are named in what is said can be pasted: they hold this command's global options."""

import json
from time import time

import pytest

from mailer.mail.status import Status
from mailer.store.ledger import Ledger, Settlement
from tests.store.batches import NOW, claim, enqueue, open_campaign


@pytest.fixture
def configured(place):
    """Another name for the configuration, so that it must be given."""
    (place / "mailer.toml").rename(place / "my shop.toml")
    return ("--config", "my shop.toml")


def test_a_complaint_names_the_command_with_its_options(mailer, configured):
    said = mailer(*configured, "status", "winter").err
    assert "`mailer --config 'my shop.toml' status` lists them" in said


def test_without_options_it_is_as_it_was(mailer):
    assert "`mailer status` lists them" in mailer("status", "winter").err


def test_what_is_said_on_standard_output_can_be_pasted_too(mailer, configured):
    said = mailer(*configured, "explain", "AUTH", "535 5.7.8 no").out
    assert "mailer --config 'my shop.toml' accounts start" in said
    assert "mailer --config 'my shop.toml' send NAME" in mailer(*configured, "status").out


def test_status_says_when_no_worker_runs_while_something_waits(mailer, client):
    assert "no worker" not in mailer("status").err
    open_campaign(client)
    ref, _ = enqueue(client, [1, 2])
    said = mailer("status").err
    assert "no worker runs, and 2 recipients wait" in said
    assert "celery -A mailer worker" in said

    settled = [Settlement(place, Status.ACCEPTED) for place in (0, 1)]
    Ledger(client).commit(claim(client, ref), settled, (), NOW, NOW + 15)
    assert "no worker" not in mailer("status").err


def test_one_recipient_waits(mailer, client):
    open_campaign(client)
    enqueue(client, [1])
    assert "and 1 recipient waits: start one" in mailer("status").err


def test_a_sweep_says_that_a_worker_runs_whatever_workers_announce(mailer, client):
    # Workers of 0.1.0 sweep and announce nothing; one that announced itself and hangs sweeps no more.
    open_campaign(client)
    enqueue(client, [1, 2])
    alive = json.dumps({"seen": time(), "accounts": [], "payload": 1})
    client.hset("mailer:workers", "w1", alive)
    client.set("mailer:swept", time() - 3600)
    assert "no worker runs, and 2 recipients wait" in mailer("status").err
    client.delete("mailer:workers")
    client.set("mailer:swept", time())
    assert "no worker" not in mailer("status").err


def test_a_redis_that_forgets_is_named_once_by_those_who_fill_it(mailer, client):
    before = client.config_get("save"), client.config_get("appendonly")
    client.config_set("save", "")
    client.config_set("appendonly", "no")
    try:
        words = ("-t", "hello", "--set", "season=spring", "--skip-faulty", "people.csv")
        sent = mailer("send", "spring", *words)
        assert sent.code == 0
        assert sent.err.count("keeps nothing on disk") == 1
        assert mailer("accounts", "check").err.count("keeps nothing on disk") == 1
    finally:
        for found in before:
            for name, value in found.items():
                client.config_set(name, value)


def test_the_sender_that_only_stands_for_one_is_not_sent_under(mailer, place):
    text = (place / "mailer.toml").read_text()
    (place / "mailer.toml").write_text(text.replace("news@shop.example", "you@example.org"))
    ran = mailer("send", "spring", "-t", "hello", "people.csv")
    assert (ran.code, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert "the sender is still you@example.org" in ran.err


def test_explain_says_in_words_what_follows(mailer):
    said = mailer("explain", "RCPT", "550 5.1.1 no such user").out
    assert "The message: rejected for good" in said
    assert "The account: goes on" in said
    assert "The recipient: is put on the suppression list (mailbox_unknown)" in said
    assert "tried again later" in mailer("explain", "RCPT", "451 4.7.1 greylisted").out
    assert "stops on all workers" in mailer("explain", "AUTH", "535 5.7.8 no").out
    full = mailer("explain", "RCPT", "550 5.2.2 mailbox full").out
    assert "after 3 such refusals, the last 14 days or more after the first" in full


def test_replaying_nothing_says_so(mailer):
    assert "nothing lies aside" in mailer("events", "replay").out
