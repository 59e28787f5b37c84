"""How accounts stand, as operators see it: out of configuration, breaker, limits, and what waits."""

from time import time

import pytest

from mailer.config import Settings
from mailer.errors import ConfigError
from mailer.mail.said import Said
from mailer.mail.status import Status
from mailer.operate.accounts import BREAKER_STATES, AccountOffice
from mailer.store.breaker import (
    COOLING,
    OPERATOR,
    RUNNING,
    STOPPED,
    UNKNOWN,
    Breaker,
    Refusal,
    Trouble,
)
from mailer.store.ledger import Burial, Ledger
from mailer.store.views.dead_groups import DeadGroup
from tests.store.batches import NOW, claim, enqueue, open_campaign

BAD_PASSWORD = Said("AUTH", 535, "5.7.8", "bad password")


@pytest.fixture
def settings(redis_url):
    title = "the title of the table"
    accounts = {name: {title: name, "url": "smtp://localhost"} for name in ("primary", "backup")}
    return Settings(redis=redis_url, accounts=accounts)


@pytest.fixture
def office(settings):
    return AccountOffice(settings)


def standing(office, name):
    return next(one for one in office.standings() if one.name == name)


def test_every_account_that_is_configured_or_was_ever_used_is_there_by_name(client, office):
    Breaker(client).succeeded("old", "w1", time())
    found = list(office.standings())
    assert [one.name for one in found] == ["backup", "old", "primary"]
    assert [one.configured is not None for one in found] == [True, False, True]


def unknown(_breaker, _now):
    """Nobody has tried it."""


def running(breaker, now):
    breaker.succeeded("primary", "w1", now)


def cooling(breaker, now):
    said = Said("AUTH", 454, "4.7.0", "try later")
    breaker.refused("primary", "w1", Refusal(Trouble.COOLS, "temporary", said), now)


def stopped(breaker, now):
    breaker.refused("primary", "w1", Refusal(Trouble.STOPS, "credentials", BAD_PASSWORD), now)


WAYS = {UNKNOWN: unknown, RUNNING: running, COOLING: cooling, STOPPED: stopped}


def test_the_states_below_are_all_that_there_are():
    assert set(WAYS) == set(BREAKER_STATES)


@pytest.mark.parametrize("state", BREAKER_STATES)
def test_each_state_is_seen_and_only_a_stopped_account_does_not_run(client, office, state):
    WAYS[state](Breaker(client), time())
    one = standing(office, "primary")
    assert one.state.state == state
    assert one.running is (state != STOPPED)
    assert standing(office, "backup").state.state == UNKNOWN


@pytest.mark.parametrize("state", BREAKER_STATES)
def test_an_operator_stops_it_out_of_each_state_and_hears_which_it_was(client, office, state):
    WAYS[state](Breaker(client), time())
    assert office.stop("primary") == state
    one = standing(office, "primary")
    assert one.state.state == STOPPED
    # What stopped it by itself says more than that an operator did, too.
    assert one.state.reason == ("credentials" if state == STOPPED else OPERATOR)


def test_an_account_that_is_not_configured_is_not_stopped_by_a_slip(client, office):
    with pytest.raises(ConfigError, match="no account 'primry'; did you mean 'primary'"):
        office.stop("primry")
    assert Breaker(client).all(time()) == []


def test_what_waits_for_an_account_and_what_is_dead_is_counted(client, office):
    open_campaign(client)
    parked, _ = enqueue(client, [1, 2, 3])
    Breaker(client).stop("primary", OPERATOR, NOW)
    assert Ledger(client).park(claim(client, parked), NOW, "account:primary") == "parked"
    ref, _ = enqueue(client, [4, 5])
    burial = Burial("dead-1", Status.DEAD, "auth", BAD_PASSWORD.encode(), range(3, 5))
    assert Ledger(client).bury(claim(client, ref), burial, NOW) == 2
    one = standing(office, "primary")
    assert (one.waiting, one.dead) == (1, 2), "batches that wait, messages that are dead"
    assert office.dead_messages("primary") == 2
    assert (standing(office, "backup").waiting, office.dead_messages("backup")) == (0, 0)


def test_dead_letters_that_were_counted_already_are_not_asked_for_again(office):
    groups = [
        DeadGroup("auth", "primary", "spring", 2, 700),
        DeadGroup("exhausted", "primary", "winter", 1, 50),
        DeadGroup("exhausted", "gone", "winter", 1, 9),
    ]
    found = {one.name: one.dead for one in office.standings(groups)}
    assert found == {"backup": 0, "primary": 750}
