"""What version 0.1.0 has queued is delivered by this one.

``recorded/redis-0.1.0.json`` holds every key of a Redis that version 0.1.0 left behind: six campaigns in
different states, a single message, dead letters, and the task messages on Celery's queues.
"""

import json
import time
from base64 import b64decode
from collections import Counter
from email import message_from_bytes
from pathlib import Path

import pytest

from mailer.config import load
from mailer.mail.payload import decode
from mailer.operate import campaigns
from mailer.store.breaker import RUNNING
from tests.servers.waiting import eventually

RECORDED = Path(__file__).parent / "recorded"
TOTALS = {"spring": 25, "shared": 3, "deferred": 4, "paused": 3, "refused": 12, "send.letter": 1}


def restore(client, recording):
    """Write each recorded key back: its type, and its octets in base64."""
    for key, (kind, content) in json.loads(recording.read_text()).items():
        match kind:
            case "string":
                client.set(key, b64decode(content))
            case "hash":
                client.hset(key, mapping={b64decode(k): b64decode(v) for k, v in content})
            case "set":
                client.sadd(key, *map(b64decode, content))
            case "zset":
                client.zadd(key, {b64decode(member): score for member, score in content})
            case "list":
                client.rpush(key, *map(b64decode, content))
            case _:
                raise AssertionError(kind)


def dates_of(client):
    """The Date of each message that is stored."""
    kinds = ("mailer:payload:*", "mailer:deadload:*")
    payloads = [client.get(key) for kind in kinds for key in client.scan_iter(kind)]
    entries = [entry for payload in payloads for entry in decode(payload)]
    return {message_from_bytes(entry.message.content[0])["Date"] for entry in entries}


def mailboxes(campaign):
    domain = "example.net" if campaign == "shared" else "example.org"
    return {f"{campaign}-{n}@{domain}" for n in range(TOTALS[campaign])}


@pytest.mark.timeout(600)
def test_what_the_last_version_queued_is_delivered_once(cluster, smtp):
    restore(cluster.client, RECORDED / "redis-0.1.0.json")
    composed = dates_of(cluster.client)
    cluster.start("new")
    for name in ("spring", "shared", "deferred", "send.letter"):
        eventually(lambda name=name: cluster.final(name))
        assert cluster.outcomes(name) == {"accepted": TOTALS[name]}, name

    assert cluster.outcomes("paused") == {"queued": 3}
    settings = load(cluster.folder / "mailer.toml", {})
    campaigns.resume(settings, "paused")
    eventually(lambda: cluster.final("paused"))
    assert cluster.outcomes("mixed") == {"accepted": 4, "rejected": 1}

    cluster.breaker.start("other", time.time())
    moved = Counter(one.how for one in cluster.office.replay(cluster.letters()))
    assert moved == {"replayed": 3}
    eventually(lambda: cluster.final("refused"))
    assert cluster.outcomes("refused") == {"accepted": 12}

    sent = Counter(smtp.mailboxes("primary")) + Counter(smtp.mailboxes("other"))
    wanted = set().union(*(mailboxes(name) for name in TOTALS if name != "send.letter"))
    assert sent == Counter(wanted | {"single@example.org"})
    dates = {message_from_bytes(content)["Date"] for content in smtp.contents}
    assert dates == composed, "nothing told whether they were the caller's own"
    assert {cluster.state("primary"), cluster.state("other")} == {RUNNING}
