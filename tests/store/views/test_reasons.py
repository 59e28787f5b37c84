"""The suppression list by reason and source: counted and found, whoever else writes the list."""

import json
from collections import Counter

import pytest

from mailer.mail.barring.scopes import ALL, BULK
from mailer.store import keys
from mailer.store.suppression import Suppressed, Suppression
from mailer.store.views.reasons import Reasons
from tests.store.batches import NOW

NEWS, TIPS = "news.shop.example", "tips.shop.example"


def key(number):
    return number.to_bytes(8, "big")


def listed(number, reason="bounce", source="hook", scope=ALL, until=None):
    mailbox = f"r{number}@example.org"
    return key(number), Suppressed(mailbox, reason, NOW + number, until, source, "", scope)


def counted(client):
    found = Reasons(client).all()
    return None if found is None else {(one.reason, one.source): one.entries for one in found}


def counts_of(client):
    """The same by reading the whole list."""
    return Counter((one.reason, one.source) for one in Suppression(client))


def write_as_before(client, number, reason="bounce", *, counts=True):
    """What a version without an index writes; 0.1.0 *counts* no changes either."""
    entry = json.dumps([f"r{number}@example.org", reason, NOW], separators=(",", ":"))
    client.hset(keys.SUPPRESSED, key(number), entry)
    if counts:
        client.incr(keys.SUPPRESSED_CHANGES)


def test_an_empty_list_has_no_reasons(client):
    assert counted(client) == {}


def test_entries_are_counted_as_they_come_go_change_and_end(client, chance):
    suppression = Suppression(client)
    for step in range(300):
        number = chance.randrange(20)
        scope = chance.choice([ALL, BULK, NEWS, TIPS])
        if chance.random() < 0.6:
            reason, source = chance.choice(["bounce", "complaint", ""]), chance.choice("ab")
            until = chance.choice([None, NOW + step * 90_000])
            suppression.add([listed(number, reason, source, scope, until)])
        elif chance.random() < 0.8:
            scope = chance.choice([scope, ""])
            suppression.remove([key(number)], scope, chance.choice(["", "bounce"]))
        else:
            suppression.expire(NOW + step * 45_000)
    assert counted(client) == counts_of(client)
    suppression.remove(map(key, range(20)))
    assert counted(client) == {}
    assert client.keys(f"{keys.SUPPRESSED_REASONS[:-7]}of:*") == []


def test_the_entries_of_a_reason_are_found_the_newest_first_from_any_place_on(client):
    Suppression(client).add(
        listed(n, "complaint" if n % 100 == 7 else "bounce") for n in range(2_500)
    )
    reasons = Reasons(client)
    rare, common = sorted(reasons.all(), key=lambda one: one.entries)
    assert (rare.entries, common.entries) == (25, 2_475)
    found = list(reasons.entries([rare], 0))
    assert [place for place, _ in found] == list(range(25))
    assert [one.since for _, one in found] == sorted((one.since for _, one in found), reverse=True)
    assert {one.reason for _, one in found} == {"complaint"}
    both = [place for place, _ in reasons.entries([rare, common], 20)]
    assert both == list(range(20, 2_500))


@pytest.mark.parametrize("counts", [True, False], ids=["last version", "0.1.0"])
def test_what_another_version_wrote_is_found_once_the_sweep_has_made_the_index_anew(client, counts):
    for number in range(1_200):
        write_as_before(client, number, "old", counts=counts)
    Suppression(client).add([listed(5_000)])  # beside them, before a sweep
    assert counted(client) is None
    reasons = Reasons(client)
    reasons.sweep(NOW)
    assert counted(client) == {("old", ""): 1_200, ("bounce", "hook"): 1}

    write_as_before(client, 6_000, "old", counts=counts)
    client.hdel(keys.SUPPRESSED, key(1), key(2))
    assert counted(client) is None
    reasons.sweep(NOW + 60)  # not at once again: a version before may write for hours
    assert counted(client) is None
    reasons.sweep(NOW + 700)
    assert counted(client) == counts_of(client) == {("old", ""): 1_199, ("bounce", "hook"): 1}


def test_who_writes_while_the_index_is_made_is_in_it(client, monkeypatch):
    monkeypatch.setattr("mailer.store.views.reasons._STEPS", 1)
    for number in range(3_000):
        write_as_before(client, number, "old")
    reasons, suppression, turns = Reasons(client), Suppression(client), 0
    while counted(client) is None:
        reasons.sweep(NOW)
        suppression.add([listed(10_000 + turns, "new")])
        suppression.remove([key(turns * 7)])
        turns += 1
    assert turns > 3
    assert counted(client) == counts_of(client)


def test_an_index_of_a_later_version_is_left_alone(client):
    Suppression(client).add([listed(1)])
    client.hset(keys.SUPPRESSED_REASONS, "v", "2")
    Suppression(client).add([listed(2)])
    Reasons(client).sweep(NOW + 10_000)
    assert counted(client) is None
    assert client.hget(keys.SUPPRESSED_REASONS, "v") == b"2"
    assert client.zcard(keys.suppressed_of("1")) == 1
    assert len(Suppression(client)) == 2


def test_reasons_that_are_too_many_share_a_set_and_are_found_in_it(client):
    Suppression(client).add(listed(n, f"asked on day {n}") for n in range(700))
    Suppression(client).add([listed(800, "x" * 400)])
    found = Reasons(client).all()
    assert len(found) < 502
    (others,) = [one for one in found if one.others]
    assert sum(one.entries for one in found) == 701
    reasons = {one.reason for _, one in Reasons(client).entries(found, 0)}
    assert reasons == {f"asked on day {n}" for n in range(700)} | {"x" * 400}
    Suppression(client).remove([key(800), key(699)])
    assert next(one for one in Reasons(client).all() if one.others).entries == others.entries - 2


def test_junk_in_the_list_or_the_index_hides_no_reason(client):
    Suppression(client).add([listed(1), listed(2, "complaint")])
    client.hset(keys.SUPPRESSED, key(3), "junk")
    client.hset(keys.SUPPRESSED, key(4), '["m@x.example",{"a":1},[]]')
    client.hset(keys.SUPPRESSED_WHY, key(2), "junk")
    Reasons(client).sweep(NOW)
    found = counted(client)
    assert found["bounce", "hook"] == 1
    assert found["complaint", ""] == 1
    assert found["", ""] == 2
    entries = [one for _, one in Reasons(client).entries(Reasons(client).all(), 0)]
    assert sorted(one.reason for one in entries) == ["", "", "bounce", "complaint"]
