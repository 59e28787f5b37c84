"""Who gets no mail, and which mail that is."""

import json
from time import time

import pytest

from mailer.mail.barring.scopes import ALL, BULK
from mailer.mail.recipients import fingerprint
from mailer.store.ledger import Fresh, Ledger
from mailer.store.suppression import Suppressed, Suppression
from tests.store.batches import NOW, open_campaign


def listed(number):
    return number.to_bytes(8, "big"), Suppressed(f"r{number}@example.org", "bounced", NOW)


def test_a_mailbox_is_on_the_list_once_and_keeps_its_first_reason(client):
    suppression = Suppression(client)
    assert suppression.add([listed(1), listed(2)]) == 2
    again = Suppressed("r1@example.org", "complained", NOW + 1)
    assert suppression.add([(listed(1)[0], again), listed(3)]) == 1
    assert len(suppression) == 3
    reasons = {entry.mailbox: entry.reason for entry in suppression}
    assert reasons["r1@example.org"] == "bounced"


def test_among_many_those_on_the_list_are_told_in_order(client):
    suppression = Suppression(client)
    asked = [listed(number)[0] for number in range(4)]
    assert suppression.among(asked, BULK) == [False] * 4
    suppression.add([listed(1), listed(3)])
    assert suppression.among(asked, BULK) == [False, True, False, True]
    assert suppression.among([], BULK) == []


def test_who_is_taken_off_gets_mail_again(client):
    suppression = Suppression(client)
    suppression.add(map(listed, range(2500)))
    assert len(suppression) == 2500
    assert suppression.remove([listed(1)[0], listed(9999)[0]]) == 1
    assert suppression.remove([]) == 0
    assert not suppression.among([listed(1)[0]], BULK)[0]


ADA = fingerprint("ada@example.org")


def put(suppression, scope=ALL, reason="unsubscribe", until=None):
    entry = Suppressed("ada@example.org", reason, NOW, until, "page", scope=scope)
    return suppression.add([(ADA, entry)])


@pytest.mark.parametrize(
    ("scope", "stopped"),
    [
        (ALL, {ALL, BULK, "news.shop.example", "tips.shop.example"}),
        (BULK, {BULK, "news.shop.example", "tips.shop.example"}),
        ("news.shop.example", {"news.shop.example"}),
    ],
)
def test_an_entry_stops_the_mail_of_its_scope(client, scope, stopped):
    suppression = Suppression(client)
    put(suppression, scope)
    open_campaign(client)

    for mail in (ALL, BULK, "news.shop.example", "tips.shop.example"):
        assert suppression.among([ADA, b"somebody"], mail) == [mail in stopped, False]
        answer = Ledger(client).reserve("spring", 0, [Fresh(ADA, 1)], mail, NOW)
        assert (answer == "s") == (mail in stopped)


def test_scopes_of_one_mailbox_come_and_go_by_themselves(client):
    suppression = Suppression(client)
    put(suppression, "news.shop.example")
    put(suppression, "tips.shop.example")
    put(suppression, ALL, "mailbox_unknown")
    assert put(suppression, "news.shop.example") == 0
    assert {one.scope for one in suppression.find(ADA)} == {
        ALL,
        "news.shop.example",
        "tips.shop.example",
    }
    assert len(suppression) == 1

    assert suppression.remove([ADA], ALL) == 1
    assert suppression.among([ADA], ALL) == [False]
    assert suppression.among([ADA], "tips.shop.example") == [True]
    assert suppression.remove([ADA], reason="complaint") == 0
    assert suppression.remove([ADA], "news.shop.example", "unsubscribe") == 1
    assert [one.scope for one in suppression] == ["tips.shop.example"]
    assert suppression.remove([ADA]) == 1
    assert list(suppression) == []
    assert client.exists("mailer:suppressed", "mailer:suppressed:scoped") == 0


def test_what_is_for_a_while_is_over_then_in_every_scope(client):
    suppression, soon = Suppression(client), round(time()) + 3600
    put(suppression, ALL, "mailbox_full", soon)
    put(suppression, BULK, until=soon + 60)
    assert suppression.expire(soon - 1) == 0
    assert suppression.expire(soon + 1) == 1
    assert [(one.scope, one.until) for one in suppression] == [(BULK, soon + 60)]
    assert suppression.expire(soon + 61) == 1
    assert list(suppression) == []


def test_an_entry_in_a_scope_that_is_over_stops_nothing_before_it_is_swept_away(client):
    suppression = Suppression(client)
    put(suppression, BULK, until=time() - 1)
    open_campaign(client)
    assert suppression.among([ADA], BULK) == [False]
    assert Ledger(client).reserve("spring", 0, [Fresh(ADA, 1)], BULK, time()) == "n"


def test_one_for_a_while_gives_way_to_one_for_good_and_not_the_other_way(client):
    """A mailbox that was full must not come back when its complaint was for good."""
    suppression, soon = Suppression(client), time() + 3600
    put(suppression, ALL, "mailbox_full", soon)
    assert put(suppression, ALL, "complaint") == 1
    assert put(suppression, ALL, "mailbox_full", soon) == 0
    (entry,) = suppression
    assert (entry.reason, entry.until) == ("complaint", None)
    assert suppression.expire(soon + 1) == 0


def test_what_the_last_version_wrote_is_for_all_mail(client):
    client.hset("mailer:suppressed", ADA, json.dumps(["ada@example.org", "unsubscribe", NOW]))
    suppression = Suppression(client)
    assert suppression.among([ADA], ALL) == [True]
    assert [one.scope for one in suppression] == [ALL]


def test_the_last_version_takes_an_entry_in_a_scope_for_one_for_all(client):
    """It reads the first three elements, and looks whether there is one: it sends too little."""
    put(Suppression(client), "news.shop.example")
    mailbox, reason, since, *_ = json.loads(client.hget("mailer:suppressed", ADA))
    assert (mailbox, reason, since) == ("ada@example.org", "unsubscribe", NOW)


def test_changes_are_counted_when_somebody_comes(client):
    suppression = Suppression(client)
    before = suppression.changes()
    put(suppression)
    put(suppression)
    assert suppression.changes() == before + 1


def test_two_thousand_five_hundred_entries_are_told_each_once(client):
    suppression = Suppression(client)
    suppression.add(map(listed, range(2500)))
    assert len({one.mailbox for one in suppression}) == 2500
