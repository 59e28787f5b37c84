"""One person leaves everything; everybody else keeps what is hers."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import get_args

import pytest

from mailer import Campaign, errors
from mailer.config import load
from mailer.config.events import Events
from mailer.feedback.report import Kind
from mailer.mail.payload import decode, encode_detail
from mailer.mail.recipients import fingerprint
from mailer.mail.said import Said
from mailer.mail.status import Detail, Status
from mailer.operate import audit
from mailer.operate import erasing as module
from mailer.operate.erasing import Found, erase
from mailer.operate.trace import trace
from mailer.store import Store, keys
from mailer.store.events import Aside, EventStream
from mailer.store.feedback.records import Brake, Note, Returned
from mailer.store.ledger import Burial, Settlement
from mailer.store.retention.erasing import KINDS
from mailer.store.suppression import Suppressed
from mailer.worker.followers import Follower
from mailer.worker.history_writer import HistoryWriter
from tests.servers.shop import template
from tests.servers.waiting import eventually

ADA, BOB = "ada@example.org", "bob@example.org"


@pytest.fixture
def settings(tmp_path, redis_url):
    template(tmp_path, body="Dear {{ email }}")
    (tmp_path / "mailer.toml").write_text(f'redis = "{redis_url}"\nsender = "news@shop.example"\n')
    return load(tmp_path / "mailer.toml", {})


@pytest.fixture
def store(client):
    return Store(client)


def enqueue(settings, name, *people):
    Campaign(name, template="hello", settings=settings).enqueue([{"email": one} for one in people])


def bury(store, name, identifier, status=Status.DEAD):
    now = time.time()
    claim = store.ledger.claim(f"{name}:1", "w", now, now + 15)
    said = Said(text=f"no {ADA} here", dialogue=(f"C: RCPT TO:<{ADA}>",)).encode()
    burial = Burial(identifier, status, "exhausted", said, claim.positions, None)
    store.ledger.bury(claim, burial, now)


def holding(client, address=ADA):
    """Every key in which the address can be read."""
    found = set()
    for key in client.keys("mailer:*"):
        kind = client.type(key)
        if kind == b"string":
            content = [client.get(key)]
            if key.startswith((b"mailer:payload:", b"mailer:deadload:")):
                content = [repr(decode(content[0])).encode()]
                content += [b"".join(one.message.content) for one in decode(client.get(key))]
        elif kind == b"hash":
            content = [part for pair in client.hgetall(key).items() for part in pair]
        else:
            content = client.zrange(key, 0, -1) if kind == b"zset" else []
        if any(address.encode() in (part or b"") for part in content):
            found.add(key.decode())
    return found


def test_a_person_leaves_every_place_and_the_second_time_nothing_is_found(settings, store, client):
    enqueue(settings, "waits", ADA, BOB)
    enqueue(settings, "alone", ADA)
    enqueue(settings, "dead", ADA, BOB)
    bury(store, "dead", "d1")
    enqueue(settings, "hers", ADA)
    bury(store, "hers", "d2")
    client.hset(keys.detail("alone"), "0", encode_detail(Detail(ADA, text="later")))
    returned = Returned("bounce", ADA, time.time(), permanent=True, reason="mailbox_unknown")
    store.feedback.note(Note("waits", fingerprint(ADA), returned, None, Brake()))
    client.zadd(keys.UNKNOWN, {json.dumps({"recipient": "Ada@Example.org"}): 1.0})
    client.hset(keys.refusals(fingerprint(ADA)), "times", "1")
    assert holding(client)

    done = erase(settings, "Ada@EXAMPLE.org")
    assert done.found == [
        Found("dead letters", "dead", 1),
        Found("dead letters", "hers", 1),
        Found("ledger", "hers", 1),
        Found("ledger", "dead", 1),
        Found("queued, and cancelled", "alone", 1),
        Found("queued, and cancelled", "waits", 1),
        Found("refusals counted", "", 1),
        Found("what came back and proved nothing", "", 1),
    ]
    assert (done.suppressed, done.again) == (False, ())
    assert holding(client) == set()
    assert trace(ADA, settings) == []
    assert holding(client, BOB) == {"mailer:payload:waits:1", "mailer:deadload:d1"}

    outcomes = {
        name: {word: n for word, n in store.campaigns.progress(name, 0).outcomes.items() if n}
        for name in ("waits", "alone", "dead", "hers")
    }
    assert outcomes == {
        "waits": {"cancelled": 1, "queued": 1},
        "alone": {"cancelled": 1},
        "dead": {"dropped": 1, "dead": 1},
        "hers": {"dropped": 1},
    }
    assert erase(settings, ADA).found == []


def test_the_others_are_sent_what_was_theirs(settings, store):
    enqueue(settings, "waits", ADA, BOB)
    enqueue(settings, "dead", BOB, ADA)
    bury(store, "dead", "d1")
    erase(settings, ADA)
    now = time.time()
    assert store.dead_letters.replay("d1", now).messages == 1
    for ref, position in (("waits:1", 1), ("dead:2", 0)):
        claim = store.ledger.claim(ref, "w", now, now + 15)
        open_ones = [at for at, letter in enumerate(claim.letters) if letter in "qd"]
        assert [claim.positions[at] for at in open_ones] == [position]
        assert decode(claim.payload)[open_ones[0]].message.forward_path == BOB
        store.ledger.commit(claim, [Settlement(position, Status.ACCEPTED)], (), now, None)
        assert store.ledger.give_back(claim, now) == "final"


def test_a_list_that_is_enqueued_again_does_not_mail_her_once_more(settings, store):
    enqueue(settings, "waits", ADA, BOB)
    erase(settings, ADA)
    enqueue(settings, "waits", ADA, BOB)
    assert store.campaigns.progress("waits", 0).total == 2


def test_who_has_an_outcome_can_still_be_listed_without_her(settings, store):
    campaign = Campaign("waits", template="hello", settings=settings)
    enqueue(settings, "waits", ADA, BOB)
    store.campaigns.set_state("waits", "cancelled")
    list(store.campaigns.cancel_batches("waits"))
    erase(settings, ADA)
    assert (BOB in campaign.failed, ADA in campaign.failed, len(campaign.failed)) == (
        True,
        False,
        1,
    )


def test_who_has_it_and_was_erased_is_skipped_by_the_next_campaign(settings, store):
    campaign = Campaign("spring", template="hello", settings=settings)
    enqueue(settings, "spring", BOB, ADA)
    now = time.time()
    claim = store.ledger.claim("spring:1", "w", now, now + 15)
    done = [Settlement(0, Status.REJECTED), Settlement(1, Status.ACCEPTED)]
    store.ledger.commit(claim, done, (), now, None)
    store.ledger.give_back(claim, now)
    for _ in range(2):
        erase(settings, ADA)
        assert (ADA in campaign.accepted, BOB in campaign.accepted) == (True, False)
        assert (ADA in campaign.failed, BOB in campaign.failed) == (False, True)
    assert trace(ADA, settings) == []
    erase(settings, BOB)
    assert (len(campaign.accepted), len(campaign.failed)) == (1, 0)


def test_who_was_uncertain_and_was_erased_is_skipped_by_the_next_campaign(settings, store):
    for name, people in (("several", [ADA, BOB]), ("one", [ADA])):
        enqueue(settings, name, *people)
        bury(store, name, name, Status.UNCERTAIN)
    erase(settings, ADA)
    for name in ("several", "one"):
        campaign = Campaign(name, template="hello", settings=settings)
        assert ADA in campaign.accepted
        assert ADA not in campaign.failed


def test_what_a_worker_has_in_its_hands_is_said_and_left(settings, store):
    enqueue(settings, "waits", ADA, BOB)
    now = time.time()
    claim = store.ledger.claim("waits:1", "w", now, now + 15)
    done = erase(settings, ADA)
    assert done.found == []
    assert done.again == ("a worker has a batch of waits in its hands that holds her message",)
    store.ledger.give_back(claim, now)
    assert erase(settings, ADA).found == [Found("queued, and cancelled", "waits", 1)]


def test_the_suppression_list_keeps_her(settings, store):
    store.suppression.add([(fingerprint(ADA), Suppressed(ADA, "unsubscribed", 0.0))])
    assert erase(settings, ADA).suppressed
    assert len(store.suppression) == 1


def test_what_is_no_address_is_refused(settings):
    with pytest.raises(errors.InputError, match="'nobody' is no address"):
        erase(settings, "nobody")


def test_every_kind_that_may_come_back_is_looked_for():
    assert set(get_args(Kind)) - {"unknown"} <= set(KINDS)


def test_what_operators_did_about_a_person_is_forgotten_too(settings):
    for address in ("Ada@Example.org", "bob@example.org"):
        audit.note(settings, audit.Deed("vic", "suppress", address, f"{address} is on the list."))
    found = {one.place: one.number for one in erase(settings, "ada@example.org").found}
    assert found == {"audit log": 1}
    assert [one.about for one in audit.newest(settings, 9)] == ["bob@example.org"]
    assert erase(settings, "ada@example.org").found == []


def test_events_that_lie_aside_name_her_no_more(settings, store, client):
    store.events.register("hook")
    aside = Aside(client)
    for number, people in enumerate(([ADA], [BOB, ADA, ""], [BOB])):
        events = [{"id": f"e{number}", "mailbox": one} for one in people]
        aside.put("hook", json.dumps({"id": "d", "events": events}).encode(), len(events), "why")

    found = erase(settings, ADA.upper()).found

    assert Found("events set aside", "", 2) in found
    left = [json.loads(one.body)["events"] for one in aside.lying("hook")]
    assert sorted([event["mailbox"] for event in events] for events in left) == [[BOB], [BOB, ""]]
    assert erase(settings, ADA).found == []


def test_what_a_reader_has_in_its_hands_is_erased_when_it_is_written(settings, client, tmp_path):
    with (tmp_path / "mailer.toml").open("a") as file:
        file.write(f'[history]\nurl = "sqlite:///{tmp_path}/history.sqlite"\n')
    settings = load(tmp_path / "mailer.toml", {})
    EventStream(client).register("history")
    enqueue(settings, "spring", ADA, BOB)
    has_it, goes_on = threading.Event(), threading.Event()

    class Slow(HistoryWriter):
        def take(self, events):
            if events:
                has_it.set()
                assert goes_on.wait(60)
            super().take(events)

    follower = Follower(client, Slow(settings, client))
    follower.start()
    try:
        assert has_it.wait(60)
        erasing = ThreadPoolExecutor(1).submit(erase, settings, ADA)
        eventually(lambda: not list(store_of(client, ADA)))
        goes_on.set()
        done = erasing.result(60)
    finally:
        goes_on.set()
        follower.stop()
        follower.join(60)

    assert done.again == ()
    assert Found("history", "", 1) in done.found
    assert trace(ADA, settings) == []
    assert len(trace(BOB, settings)) == 1


def test_one_who_does_not_get_on_is_said(settings, client, monkeypatch):
    monkeypatch.setattr(module, "_PATIENCE", 0.0)
    EventStream(client).register("hook")
    settings = settings.model_copy(update={"events": Events(hook="shop.mail:on_event")})
    enqueue(settings, "spring", ADA, BOB)

    done = erase(settings, ADA)

    assert done.again == ("hook has not read yet what became of 1 message",)


def store_of(client, mailbox):
    """Where the ledger knows her place."""
    return Store(client).campaigns.places("spring", fingerprint(mailbox))
