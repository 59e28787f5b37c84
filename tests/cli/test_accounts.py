"""`mailer accounts list` and `stop`: what is shown of an account in each state."""

import json
from time import time

import pytest

from mailer.mail.said import Said
from mailer.store.breaker import OPERATOR, Breaker, Refusal, Trouble
from mailer.store.ledger import Ledger
from mailer.store.pace import Pace
from tests.store.batches import NOW, claim, enqueue, open_campaign

BAD_PASSWORD = Said("AUTH", 535, "5.7.8", "bad password for ada@shop.example")
LATER = Said("AUTH", 454, "4.7.0", "try later")


@pytest.fixture
def two(place):
    """A second account, with limits."""
    with (place / "mailer.toml").open("a") as file:
        file.write('[accounts.backup]\nurl = "smtp://localhost:2525"\nrate = "50000/day"\n')


def refused(client, trouble, said, reason):
    Breaker(client, random=lambda: 0.5).refused(
        "primary", "w1", Refusal(trouble, reason, said), time()
    )


STATES = {
    "unknown": lambda client: None,
    "running": lambda client: Breaker(client).succeeded("primary", "w1", time()),
    "cooling": lambda client: refused(client, Trouble.COOLS, LATER, "temporary"),
    "stopped": lambda client: refused(client, Trouble.STOPS, BAD_PASSWORD, "credentials"),
}


def record(mailer, name="primary"):
    found = json.loads(mailer("accounts", "list", "--json").out)
    return next(one for one in found if one["account"] == name)


def line(mailer, name="primary"):
    """The line of an account in the table, and those that go on with it."""
    lines = mailer("accounts", "list", environ={"COLUMNS": "200"}).out.splitlines()
    return " ".join(" ".join(one for one in lines if name in one).split())


@pytest.mark.parametrize("state", STATES)
def test_each_state_has_its_word_in_table_and_json(mailer, client, state):
    STATES[state](client)
    seen = record(mailer)
    assert seen["state"] == state
    assert seen["server"] == "localhost:1"
    assert f" {state} " in line(mailer) + " "


def test_a_stopped_account_says_why_without_an_address(mailer, client):
    STATES["stopped"](client)
    seen = record(mailer)
    assert (seen["reason"], seen["logins_failed"], seen["logins"]) == ("credentials", 1, 0)
    assert seen["since"] == pytest.approx(time(), abs=120)
    assert seen["until"] is None
    shown = line(mailer)
    assert "credentials: 535 5.7.8 bad password" in shown
    assert "ada@shop.example" not in shown


def test_an_account_that_cools_says_when_it_is_tried_again(mailer, client):
    STATES["cooling"](client)
    seen = record(mailer)
    assert seen["until"] > time()
    assert "temporary: 454 4.7.0 try later; tried again in " in line(mailer)


def test_an_account_that_is_not_configured_any_more_is_shown_as_that(mailer, client):
    Breaker(client).succeeded("old", "w1", time())
    assert record(mailer, "old")["server"] == "not configured"
    assert "not configured" in line(mailer, "old")


def test_a_rate_is_shown_with_what_throttling_has_left_of_it(mailer, client, two):
    assert "50000/day" in line(mailer, "backup")
    assert record(mailer, "backup")["share"] == 1.0
    # A window of a day: the rate does not come back while the test runs.
    Pace(client, {"backup": ((50_000, 86_400),)}).throttled("backup", "454 rate exceeded")
    seen = record(mailer, "backup")
    assert seen["share"] == pytest.approx(0.5, abs=0.01)
    assert [(one["used"], one["allowed"]) for one in seen["limits"]] == [(0, 50_000)]
    assert "50% of 50000/day" in line(mailer, "backup")


def test_a_pause_that_a_server_asked_for_is_shown_with_its_words(mailer, client, two):
    Pace(client).throttled("backup", "454 4.7.0 rate exceeded, retry after 600 seconds")
    assert record(mailer, "backup")["paused_until"] == pytest.approx(time() + 600, abs=120)
    shown = line(mailer, "backup")
    assert "paused for " in shown
    assert "rate exceeded" in shown


def test_what_waits_for_a_stopped_account_is_counted(mailer, client):
    open_campaign(client)
    ref, _ = enqueue(client, [1, 2])
    Breaker(client).stop("primary", OPERATOR, time())
    assert Ledger(client).park(claim(client, ref), NOW, "account:primary") == "parked"
    assert record(mailer)["waiting"] == 1
    assert record(mailer)["reason"] == OPERATOR


@pytest.mark.parametrize("state", STATES)
def test_a_stop_says_how_to_go_on_whatever_the_state_was(mailer, client, state):
    STATES[state](client)
    ran = mailer("accounts", "stop", "primary")
    assert (ran.code, ran.err) == (0, "")
    assert " ".join(ran.out.split()) == (
        "primary: stopped; go on with: mailer accounts start primary"
    )
    assert record(mailer)["state"] == "stopped"


@pytest.mark.parametrize("command", ["stop", "start", "check"])
def test_a_slip_in_the_name_is_told_the_nearest_one(mailer, client, command):
    ran = mailer("accounts", command, "primray")
    assert ran.code == 1
    assert "mailer.toml has no account 'primray'; did you mean 'primary'?" in ran.err
    assert Breaker(client).all(time()) == []


def test_without_accounts_it_is_said_where_to_add_one(mailer, place, redis_url):
    (place / "mailer.toml").write_text(f'redis = "{redis_url}"\n')
    listed = mailer("accounts", "list")
    assert (listed.code, json.loads(mailer("accounts", "list", "--json").out)) == (0, [])
    assert "add a table [accounts.primary] with a url to mailer.toml" in listed.out
    checked = mailer("accounts", "check")
    assert checked.code == 1
    assert "add a table [accounts.primary] with a url" in checked.err
