"""Dead letters are counted as they come and go, and anew where an older version did not count."""

import time

import pytest

from mailer.store import keys
from mailer.store.dead_letters import Filter
from mailer.store.views.dead_groups import DeadGroups
from tests.operate.test_dead_letters import Place


@pytest.fixture
def place(client, redis_url):
    made = Place(client, redis_url)
    made.bury(range(3), reason="auth")
    made.bury(range(3, 8), reason="auth")
    made.bury(range(8, 9), reason="exhausted", campaign="autumn")
    return made


def groups(client):
    found = DeadGroups(client).all(time.time())
    return {(one.reason, one.account, one.campaign): (one.letters, one.messages) for one in found}


ALL = {("auth", "primary", "spring"): (2, 8), ("exhausted", "primary", "autumn"): (1, 1)}


def test_groups_count_letters_and_messages(place, client):
    assert groups(client) == ALL


def test_what_is_replayed_or_purged_leaves_its_group(place, client):
    place.replay(Filter(campaign="autumn"))
    assert groups(client) == {("auth", "primary", "spring"): (2, 8)}
    place.office._letters.drop("spring:1.1.rest", time.time())
    place.office._letters.drop("spring:1.1.rest", time.time())
    assert groups(client) == {("auth", "primary", "spring"): (1, 5)}
    place.purge()
    assert groups(client) == {}
    assert not client.exists("mailer:dead:groups")


@pytest.mark.parametrize("damage", ["never counted", "one too few", "stale for an hour"])
def test_what_an_older_version_did_not_count_is_counted_anew(place, client, damage):
    if damage == "never counted":
        client.delete("mailer:dead:groups")
    elif damage == "one too few":
        client.hincrby("mailer:dead:groups", "#", -1)
    else:
        groups(client)
        client.hset("mailer:dead:groups", 'm:["auth","primary","spring"]', "77")
        client.hset("mailer:dead:groups", "at", str(time.time() - 4000))
    assert groups(client) == ALL


def test_a_letter_without_its_hash_is_passed_over(place, client):
    client.delete(keys.dead_letter("autumn:1.1.rest"))
    client.delete("mailer:dead:groups")
    assert groups(client) == {("auth", "primary", "spring"): (2, 8)}


def test_a_page_of_letters_looks_at_no_more_than_it_may(place, client):
    found = DeadGroups(client)
    letters, more = found.page(Filter(), 0, 2, 100)
    assert (len(letters), more) == (2, 2)
    letters, more = found.page(Filter(), 2, 2, 100)
    assert (len(letters), more) == (1, None)
    letters, more = found.page(Filter(reason="poison"), 0, 1, 2)
    assert (letters, more) == ([], 2)
