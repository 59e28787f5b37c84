"""What is over leaves Redis by itself, whoever is killed meanwhile."""

import time

from mailer.config import load
from mailer.store import keys
from mailer.store.campaigns import Campaigns
from mailer.worker.retention import Retention
from tests.servers.waiting import eventually

DAY = 86400.0


def age(client, name, days):
    """Have everything about the campaign so many days ago."""
    then = time.time() - days * DAY
    client.zadd(keys.CAMPAIGNS, {name: then})
    client.hset(keys.campaign(name), "created", then)
    client.hset(keys.campaign(name), "active", then)


def of(client, name):
    return [key for key in client.keys("mailer:*") if name.encode() in key]


def test_a_worker_forgets_what_is_over_and_goes_on_with_what_another_began(cluster, smtp):
    for name in ("old", "half", "young"):
        cluster.enqueue(name, "primary", 20)
    worker = cluster.start("one")
    for name in ("old", "half", "young"):
        eventually(lambda name=name: cluster.final(name))
    worker.kill()
    worker.wait()
    age(cluster.client, "old", 31)
    age(cluster.client, "young", 29)
    # Somebody was killed after the first step.
    cluster.client.sadd(keys.FORGETTING, "half")
    cluster.client.zadd(keys.FORGOTTEN, {"half": time.time()})
    cluster.client.zrem(keys.CAMPAIGNS, "half")
    cluster.client.delete(keys.lock("retention"))

    cluster.start("two")
    eventually(lambda: not of(cluster.client, "old") and not of(cluster.client, "half"))
    assert Campaigns(cluster.client).names() == ["young"]
    assert cluster.outcomes("young") == {"accepted": 20}
    assert len(smtp.mailboxes("primary")) == 60


def test_a_turn_looks_at_some_and_the_next_ones_at_others(cluster, monkeypatch):
    monkeypatch.setattr("mailer.worker.retention.LOOKED_AT", 2)
    client = cluster.client
    for number in range(5):
        cluster.enqueue(f"c{number}", "primary", 1)
        if number not in (0, 1):
            Campaigns(client).set_state(f"c{number}", "cancelled")
            list(Campaigns(client).cancel_batches(f"c{number}"))
        age(client, f"c{number}", 90 - number)
    duty = Retention(load(cluster.folder / "mailer.toml", {}), client)
    forgotten = []
    for _ in range(3):
        client.delete(keys.lock("retention"))
        forgotten.append(duty.sweep(time.time()))
    assert duty.sweep(time.time()) == 0, "the turn is somebody's for a while"
    assert forgotten == [0, 2, 1]
    assert Campaigns(client).names() == ["c1", "c0"], "who is open stays"
