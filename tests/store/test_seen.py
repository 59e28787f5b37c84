"""Who was queued already: nobody is new twice, however large the campaign is."""

import os
import random

import pytest

from mailer.errors import CampaignChangedError
from mailer.mail.policy import CampaignPolicy
from mailer.store import keys
from mailer.store.campaigns import Campaigns
from mailer.store.ledger import Fresh, Ledger
from tests.store.batches import NOW, open_campaign


def write(client, recipients, run=1):
    ref = Campaigns(client).next_batch("spring")
    return Ledger(client).enqueue(
        ref,
        run=run,
        queue="bulk",
        account="primary",
        payload=b"M",
        recipients=recipients,
        now=NOW,
    )


def as_the_last_version(client):
    """Have the campaign be one that version 0.1.0 has begun."""
    client.hdel(keys.campaign("spring"), "buckets")
    client.hset(keys.campaign("spring"), "digest", "d")


@pytest.mark.parametrize("begun_by", ["this version", "the last version"])
def test_answers_are_those_of_a_dictionary(client, begun_by):
    """Records that look alike (zeros, digits, a fingerprint across two records) are told apart."""
    open_campaign(client)
    if begun_by == "the last version":
        as_the_last_version(client)
    chance, ledger = random.Random(7), Ledger(client)
    bytes_ = [
        b"\0" * 8,
        b"1" * 8,
        b"\xff" * 8,
        b"11111110",
        *(chance.randbytes(8) for _ in range(900)),
    ]
    known: dict[bytes, tuple[int, int]] = {}
    for run in range(1, 5):
        asked = [Fresh(chance.choice(bytes_), chance.choice([0, 1, 2**32 - 1])) for _ in range(400)]
        expected = ""
        for one in asked:
            digest, its_run = known.get(one.fingerprint, (None, 0))
            if digest is None:
                expected += "n"
            elif its_run == run:
                expected += "d"
            else:
                expected += "k" if digest == one.digest else "c"
                known[one.fingerprint] = digest, run
        assert ledger.reserve("spring", run, asked) == expected
        new = {one.fingerprint: one for one in asked if one.fingerprint not in known}
        assert write(client, list(new.values()), run).state == "queued"
        known |= {one.fingerprint: (one.digest, run) for one in new.values()}
    again = [Fresh(key, digest) for key, (digest, _) in known.items()]
    assert write(client, again[:50], 9).taken == tuple(range(50))
    assert ledger.reserve("spring", 0, again) == "k" * len(again)


def test_buckets_stay_small_while_a_campaign_grows(client):
    open_campaign(client)
    for _ in range(20):
        write(client, [Fresh(os.urandom(8), 1) for _ in range(500)])
    buckets = int(client.hget(keys.campaign("spring"), "buckets"))
    sizes = [client.strlen(keys.seen("spring", number)) // 14 for number in range(buckets)]
    assert (buckets, sum(sizes)) == (-(-10_000 // 64), 10_000)
    assert max(sizes) < 4 * 64
    assert client.exists(keys.seen("spring", buckets)) == 0


@pytest.mark.parametrize("number", [1_000, 5_000])
def test_a_recipient_at_rest_costs_at_most_32_octets(client, number):
    open_campaign(client)
    for first in range(0, number, 500):
        write(client, [Fresh(os.urandom(8), 1) for _ in range(min(500, number - first))])
    Campaigns(client).close("spring")
    passing = (b"mailer:batch", b"mailer:payload", b"mailer:enqueued", b"mailer:queued")
    kept = [key for key in client.keys("mailer:*") if not key.startswith(passing)]
    used = sum(client.memory_usage(key, samples=0) for key in kept)
    assert used / number <= 32


def test_an_older_version_refuses_a_campaign_whose_recipients_it_would_not_find(client):
    """It compares the digest that it would write itself with the one that stands there."""
    open_campaign(client)
    assert client.hget(keys.campaign("spring"), "digest") == b"2 d"


def test_a_campaign_of_the_last_version_goes_on_and_keeps_its_digest(client):
    open_campaign(client)
    as_the_last_version(client)
    open_campaign(client)
    assert client.hget(keys.campaign("spring"), "digest") == b"d"
    with pytest.raises(CampaignChangedError, match="another template or content"):
        Campaigns(client).open(
            "spring", digest="e", summary={}, policy=CampaignPolicy(), accept_changes=False, now=NOW
        )
