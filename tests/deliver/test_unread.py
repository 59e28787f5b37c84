"""A payload that cannot be read: whoever may have been mailed is uncertain, the others are dead."""

import time

import pytest

from mailer.config import Settings
from mailer.deliver.delivery import Delivery
from mailer.mail.payload import decode, encode
from mailer.mail.status import Status
from mailer.store import keys
from mailer.store.campaigns import Campaigns
from mailer.store.dead_letters import DeadLetters, Filter
from mailer.store.ledger import BULK, Claim, Ledger, Settlement
from tests.store.batches import entry, fresh, open_campaign, outcomes

LEASE = 0.05
POISON_AFTER = 3


@pytest.fixture
def delivery(client, redis_url):
    open_campaign(client)
    settings = Settings.model_validate(
        {
            "redis": redis_url,
            "accounts": {"primary": {"url": "smtp://127.0.0.1:9"}},
            "worker": {"poison_after": POISON_AFTER},
        }
    )
    made = Delivery(settings, client)
    yield made
    made.close()


def enqueue(client, payload):
    ref = Campaigns(client).next_batch("spring")
    Ledger(client).enqueue(
        ref,
        run=1,
        queue=BULK,
        account="primary",
        payload=payload,
        recipients=[fresh(number) for number in range(4)],
        now=time.time(),
    )
    return ref


def begun(client, ref, *transmitting, accepted=()):
    """A worker that transmits to some, and is lost."""
    ledger, now = Ledger(client), time.time()
    claim = ledger.claim(ref, "lost", now, now + LEASE)
    settled = [Settlement(position, Status.ACCEPTED) for position in accepted]
    ledger.commit(claim, settled, transmitting, now, now + LEASE)


def lost(client, ref, times):
    """So many workers die over the batch."""
    client.hset(keys.batch(ref), "deaths", times)


def deliver(delivery, ref):
    time.sleep(LEASE)  # until the lease of the lost worker is over, which nobody says
    return delivery.deliver(ref)


def letters(client):
    found = DeadLetters(client).find(Filter(), time.time())
    return {(one.reason, one.messages) for one in found}


WHOLE = encode([entry(number) for number in range(4)])


@pytest.mark.parametrize("payload", [b"M\x01junk", WHOLE[:-9], b"rubbish", b""])
def test_whoever_was_being_transmitted_is_uncertain_and_not_dead(client, delivery, payload):
    ref = enqueue(client, payload)
    begun(client, ref, 1, 2, accepted=[0])
    report = deliver(delivery, ref)

    assert report.failure == "undecodable"
    assert outcomes(client) == {"accepted": 1, "uncertain": 2, "dead": 1}
    assert letters(client) == {("uncertain", 2), ("undecodable", 1)}
    assert client.keys("mailer:batch:*") == client.keys("mailer:payload:*") == []
    doubtful = [
        one.detail for one in Campaigns(client).failures("spring") if one.status is Status.UNCERTAIN
    ]
    assert [one.rule for one in doubtful] == ["local: the worker was lost"] * 2


def test_where_all_were_being_transmitted_there_is_one_letter(client, delivery):
    ref = enqueue(client, b"rubbish")
    begun(client, ref, 0, 1, 2, 3)
    deliver(delivery, ref)

    assert outcomes(client) == {"uncertain": 4}
    assert letters(client) == {("uncertain", 4)}
    assert client.keys("mailer:batch:*") == client.keys("mailer:payload:*") == []


def test_what_kills_whoever_reads_it_is_buried_unread(client, delivery):
    ref = enqueue(client, WHOLE)
    begun(client, ref, 2)
    lost(client, ref, POISON_AFTER)  # and one more, whose lease is over
    report = deliver(delivery, ref)

    assert report.failure == "poison"
    assert "4 workers were lost" in report.said.reply
    assert outcomes(client) == {"uncertain": 1, "dead": 3}


def test_one_death_less_and_it_is_read_and_halved(client, delivery):
    ref = enqueue(client, WHOLE)
    begun(client, ref)
    lost(client, ref, POISON_AFTER - 1)
    report = deliver(delivery, ref)

    assert len(report.queued) == 2
    assert letters(client) == set()


@pytest.mark.parametrize(("reason", "whose"), [("uncertain", {2}), ("poison", {0, 1, 3})])
def test_each_of_the_two_letters_is_replayed_to_its_own_recipients(client, delivery, reason, whose):
    """They share the bytes: neither may send what is the other's."""
    ref = enqueue(client, WHOLE)
    begun(client, ref, 2)
    lost(client, ref, POISON_AFTER)
    deliver(delivery, ref)
    office = DeadLetters(client)
    (letter,) = office.find(Filter(reason=reason), time.time())
    again = office.replay(letter.identifier, time.time())

    now = time.time()
    claim = Ledger(client).claim(again.ref, "w", now, now + LEASE)
    assert isinstance(claim, Claim)
    open_ones = {
        position
        for position, status in zip(claim.positions, claim.letters, strict=True)
        if status == "q"
    }
    assert open_ones == whose
    assert [one.fingerprint for one in decode(claim.payload)] == [
        fresh(number).fingerprint for number in claim.positions
    ]
