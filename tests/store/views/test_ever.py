"""What there ever was stays counted when a dead letter is replayed or a campaign leaves Redis."""

import time

from mailer.mail.said import Said
from mailer.mail.status import Status
from mailer.store import keys
from mailer.store.campaigns import Campaigns
from mailer.store.dead_letters import DeadLetters
from mailer.store.feedback.records import Brake, Feedback, Note, Returned
from mailer.store.ledger import Burial, Ledger, Settlement
from mailer.store.retention.forgetting import Forgetting
from mailer.store.views.ever import Ever
from tests.store.batches import LEASE, NOW, claim, detail, enqueue, open_campaign


def counted(client):
    return {words: number for words, number in Ever(client).counted().outcomes.items() if number}


def send(client, ref, *settled):
    lease = claim(client, ref)
    Ledger(client).commit(lease, settled, (), NOW, NOW + LEASE)
    Ledger(client).give_back(lease, NOW)


def named(client, name="spring", account="primary"):
    open_campaign(client, name)
    client.hset(keys.campaign(name), "summary", f'{{"account": "{account}"}}')


def test_a_dead_letter_that_is_replayed_stays_counted_beside_what_becomes_of_it(client):
    named(client)
    ref, _ = enqueue(client, range(3))
    burial = Burial("one", Status.DEAD, "auth", Said().encode(), [0, 1, 2])
    Ledger(client).bury(claim(client, ref), burial, NOW)
    assert counted(client) == {("dead", "primary"): 3}

    replayed = DeadLetters(client).replay("one", NOW)
    assert counted(client) == {("dead", "primary"): 3}
    assert Ever(client).counted().now["queued"] == 3

    send(client, replayed.ref, *(Settlement(position, Status.ACCEPTED) for position in range(3)))
    assert counted(client) == {("dead", "primary"): 3, ("accepted", "primary"): 3}
    assert Ever(client).counted().now["dead"] == 0


def test_a_dead_letter_that_is_dropped_stays_counted(client):
    named(client)
    ref, _ = enqueue(client, range(2))
    burial = Burial("one", Status.UNCERTAIN, "uncertain", Said().encode(), [0, 1])
    Ledger(client).bury(claim(client, ref), burial, NOW)
    DeadLetters(client).drop("one", NOW)
    assert counted(client) == {("uncertain", "primary"): 2, ("dropped", "primary"): 2}


def test_a_campaign_that_left_redis_stays_counted_with_what_came_back_of_it(client):
    for name, account in (("spring", "primary"), ("autumn", "first, second")):
        named(client, name, account)
        ref, _ = enqueue(client, range(3), name)
        settled = [Settlement(0, Status.REJECTED, detail(0))]
        send(client, ref, *settled, *(Settlement(one, Status.ACCEPTED) for one in (1, 2)))
        Campaigns(client).close(name)
        about = Returned("complaint", "a@example.org", NOW)
        Feedback(client).note(Note(name, b"somebody", about, None, Brake()))
    before = Ever(client).counted()

    now = time.time()
    assert Forgetting(client).forget("autumn", now, now).what == "done"
    assert Forgetting(client).forget("autumn", now, now).what == "gone"

    after = Ever(client).counted()
    assert after.outcomes == before.outcomes
    assert after.outcomes["accepted", "first, second"] == 2
    assert after.came_back == before.came_back
    assert after.came_back["complaint", "first, second"] == 1
    assert (after.now["accepted"], after.now["rejected"]) == (2, 1)


def test_a_campaign_that_leaves_while_it_is_counted_is_counted_once(client, monkeypatch):
    named(client)
    ref, _ = enqueue(client, range(3))
    send(client, ref, *(Settlement(position, Status.ACCEPTED) for position in range(3)))
    Campaigns(client).close("spring")
    listed = Campaigns.counts_by_account

    def leaving(self):
        yield from list(listed(self))
        Forgetting(client).forget("spring", time.time(), time.time())

    monkeypatch.setattr(Campaigns, "counts_by_account", leaving)
    assert counted(client) == {("accepted", "primary"): 3}


def test_junk_among_what_left_is_passed_over_and_hides_nothing(client):
    good = {"a:primary": 3, "z:primary": 1, "bounce:primary": 2, "permanent:primary": 1}
    junk = {"junk": "junk", "r:primary": "many", "?:primary": 5, "q:primary": 7, "": 1}
    client.hset(keys.LEFT, mapping={**good, **junk, b"\xff:primary": 1, b"odd:primary": 4})
    found = Ever(client).counted()
    assert counted(client) == {("accepted", "primary"): 3, ("dead", "primary"): 1}
    assert found.came_back == {("bounce", "primary"): 2, ("permanent", "primary"): 1}
    assert not sum(found.now.values())


def test_junk_among_a_campaigns_counts_hides_no_other(client):
    named(client)
    ref, _ = enqueue(client, range(2))
    send(client, ref, *(Settlement(position, Status.ACCEPTED) for position in range(2)))
    client.hset(keys.counts("spring"), mapping={b"\xff": 1, "r": "many"})
    client.hset(keys.backs("spring"), mapping={b"\xff": 1, "bounce": "some"})
    assert counted(client) == {("accepted", "primary"): 2}
