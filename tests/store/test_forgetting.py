"""A campaign that is over leaves Redis whole, in steps, and never while somebody needs it."""

import re
import time
from itertools import islice

import pytest

from mailer.errors import CampaignChangedError
from mailer.mail.policy import CampaignPolicy
from mailer.mail.status import Status
from mailer.store import keys
from mailer.store.campaigns import CANCELLED, Campaigns
from mailer.store.dead_letters import DeadLetters
from mailer.store.events import EventStream
from mailer.store.feedback.records import Brake, Feedback, Note, Returned
from mailer.store.ledger import Burial, Ledger, Settlement
from mailer.store.retention.forgetting import Forgetting
from mailer.store.singles import Single, Singles
from tests.store.batches import LEASE, NOW, claim, detail, enqueue, fresh, open_campaign

PATTERNS = {
    re.sub(r"<.*?>", "", pattern).strip(":")
    for pattern in re.findall(r"(?m)^(mailer:\S*<c>\S*)", keys.__doc__ or "")
}


def left(client, name="spring"):
    """Every key that holds something of the campaign, by its name or as a member."""
    shared = {keys.FORGOTTEN.encode()}
    found = set()
    for key in client.keys("mailer:*"):
        if key in shared:
            continue
        kind = client.type(key)
        members = {
            b"zset": lambda key=key: client.zrange(key, 0, -1),
            b"set": lambda key=key: client.smembers(key),
            b"hash": lambda key=key: client.hkeys(key),
        }.get(kind, list)()
        if name.encode() in key or any(name.encode() in member for member in members):
            found.add(key.decode())
    return found


def over(client, name="spring", number=3):
    """A campaign of which all is accepted but one, who was refused."""
    open_campaign(client, name)
    ref, _ = enqueue(client, range(number), name)
    lease = claim(client, ref)
    ledger = Ledger(client)
    settled = [Settlement(0, Status.REJECTED, detail(0))]
    settled += [Settlement(position, Status.ACCEPTED) for position in range(1, number)]
    ledger.commit(lease, settled, (), NOW, NOW + LEASE)
    ledger.give_back(lease, NOW)
    Campaigns(client).close(name)
    return lease


def fill_every_key(client):
    """Have each kind of key that a campaign may have."""
    lease = over(client)
    campaigns = Campaigns(client)
    campaigns.share("spring", "d" * 64, b"packed")
    about = Returned("bounce", "r1@example.org", NOW, permanent=True)
    Feedback(client).note(Note("spring", fresh(1).fingerprint, about, None, Brake()))
    for name in ("turns:bulk", "line:account:primary"):
        client.zadd(f"mailer:{name}", {"spring": 1})
        client.zadd(f"mailer:{name}:spring", {lease.ref: 1})
    client.sadd(keys.LINES, "account:primary")
    client.sadd(keys.RESUMED, "spring")
    client.zadd(keys.parked("campaign:spring"), {"spring:9": 1})
    client.sadd(keys.unsure("spring"), 1)
    client.hset(keys.stopped("spring"), "example.org", "too many came back")
    client.hset(keys.erased("spring"), "2", fresh(2).fingerprint)
    client.set(keys.rate("spring", int(NOW // 10)), "1")
    client.hset(keys.batch("spring:1"), mapping={"state": "queued", "queue": "bulk"})
    client.set(keys.payload("spring:1"), b"left behind")
    return lease


def test_every_key_of_the_table_is_there_and_none_is_left(client):
    fill_every_key(client)
    there = left(client)
    for pattern in PATTERNS:
        assert any(key.startswith(pattern.partition("::")[0]) for key in there), pattern
    assert Forgetting(client).forget("spring", NOW, NOW).what == "done"
    assert left(client) == set()
    assert client.zscore(keys.FORGOTTEN, "spring") == NOW


@pytest.mark.parametrize("steps", range(8))
def test_whoever_is_killed_while_it_forgets_leaves_it_to_the_next(client, steps):
    fill_every_key(client)
    forgetting = Forgetting(client)
    assert forgetting._forget("spring", NOW, NOW) == [b"begun"]
    for step in islice(forgetting.steps("spring", NOW), steps):
        client.unlink(*step)
    assert forgetting.unfinished() == ["spring"]
    assert Campaigns(client).names() == []

    other = Forgetting(client)
    other.finish("spring", NOW)
    assert (left(client), other.unfinished()) == (set(), [])


def test_a_late_worker_writes_nothing_into_what_was_forgotten(client):
    lease = over(client)
    Forgetting(client).forget("spring", NOW, NOW)
    ledger = Ledger(client)
    ledger.commit(lease, [Settlement(1, Status.ACCEPTED)], (), NOW, NOW + LEASE)
    ledger.give_back(lease, NOW)
    assert left(client) == set()


def test_nothing_is_forgotten_of_which_somebody_is_open(client):
    open_campaign(client)
    ref, _ = enqueue(client, [1, 2])
    forgetting = Forgetting(client)
    found = forgetting.forget("spring", NOW, NOW)
    assert (found.what, found.number) == ("open", 2)
    lease = claim(client, ref)
    burial = Burial("d1", Status.DEAD, "exhausted", b"", lease.positions, None)
    Ledger(client).bury(lease, burial, NOW)
    found = forgetting.forget("spring", NOW, NOW)
    assert (found.what, found.number) == ("dead", 2)
    DeadLetters(client).drop("d1", NOW)
    assert forgetting.forget("spring", NOW, NOW - 1).what == "young"
    assert forgetting.forget("spring", NOW, NOW).what == "enqueueing"
    assert forgetting.forget("spring", NOW + 700, NOW + 700).what == "done"
    assert forgetting.forget("spring", NOW, NOW).what == "gone"


def test_a_cancelled_campaign_is_forgotten_too(client):
    open_campaign(client)
    enqueue(client, [1, 2])
    Campaigns(client).set_state("spring", CANCELLED)
    list(Campaigns(client).cancel_batches("spring"))
    assert Forgetting(client).forget("spring", NOW, NOW).what == "done"
    assert left(client) == set()


def test_what_the_history_has_not_read_is_not_forgotten(client):
    stream = EventStream(client)
    client.hset(keys.CONSUMERS, "history", "0-0")
    over(client)
    now = time.time()
    client.hset(keys.campaign("spring"), "active", now)
    found = Forgetting(client).forget("spring", now, now)
    assert (found.what, found.reader) == ("unread", "history")
    reading = stream.read("history", 100)
    stream.acknowledge("history", reading)
    assert Forgetting(client).forget("spring", now, now).what == "done"


def test_the_name_stays_taken_until_somebody_accepts_that_all_get_it_again(client):
    over(client)
    Forgetting(client).forget("spring", NOW, NOW)
    with pytest.raises(CampaignChangedError, match="was sent, and forgotten on"):
        open_campaign(client)
    opened = Campaigns(client).open(
        "spring", digest="d", summary={}, policy=CampaignPolicy(), accept_changes=True, now=NOW
    )
    assert opened.run == 1
    assert client.zscore(keys.FORGOTTEN, "spring") is None


def single(**changes):
    values = {
        "campaign": "send.hello",
        "account": "primary",
        "queue": "priority",
        "summary": {},
        "policy": CampaignPolicy().encode(),
        "payload": b"",
        "fingerprints": [fresh(1).fingerprint],
        "message_id": "<1@shop.example>",
    }
    return Single(**{**values, **changes})


def test_single_messages_never_take_places_that_a_forgotten_campaign_had(client):
    singles, forgetting = Singles(client), Forgetting(client)
    for name in ("send.hello", "send.hello.2"):
        assert singles.write(single(), NOW).ref == f"{name}:1"
        Campaigns(client).set_state(name, CANCELLED)
        list(Campaigns(client).cancel_batches(name))
        assert forgetting.is_single(name)
        assert forgetting.forget(name, NOW, NOW).what == "done"
    assert singles.write(single(), NOW).ref == "send.hello.3:1"


def test_replies_are_forgotten_of_whom_nobody_decides_any_more(client):
    open_campaign(client)
    ref, _ = enqueue(client, [0, 1, 2])
    lease = claim(client, ref)
    settled = [
        Settlement(0, Status.REJECTED, detail(0, at=NOW - 100)),
        Settlement(1, Status.DEFERRED, detail(1, at=NOW - 100)),
        Settlement(2, Status.REJECTED, detail(2, at=NOW)),
    ]
    Ledger(client).commit(lease, settled, (), NOW, NOW + LEASE)
    assert Forgetting(client).forget_replies("spring", NOW - 50) == 1
    assert sorted(client.hkeys(keys.detail("spring"))) == [b"1", b"2"]
