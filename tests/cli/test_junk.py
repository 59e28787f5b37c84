"""A record that nobody can read, in whatever key, ends no duty of the sweep and no command."""

from time import time

import pytest

from mailer.config import load
from mailer.mail.payload import encode
from mailer.mail.said import Said
from mailer.mail.status import Status
from mailer.queues.application import application
from mailer.queues.broker import Broker
from mailer.store import Store
from mailer.store.ledger import Burial, Ledger, Settlement
from mailer.store.suppression import Suppression
from mailer.worker.alerts import Alerts
from mailer.worker.dead_letters import DeadLetterDuty
from mailer.worker.presence import Presence
from mailer.worker.probe import Probes
from mailer.worker.retention import Retention
from mailer.worker.sweep import Sweeper
from tests.store.batches import claim, detail, enqueue, entry, open_campaign

KEY = "12345678"
OF_ANOTHER_VERSION = b"\x92\x63\x01"

JUNK = (
    ("hset", "campaign:spring", "policy", "junk"),
    ("hset", "campaign:spring", "policy", OF_ANOTHER_VERSION),
    ("hset", "campaign:spring", "summary", "junk"),
    ("hset", "campaign:spring", "state", "odd"),
    ("hset", "campaign:spring", "start", "soon"),
    ("hset", "counts:spring", "?", "3"),
    ("setrange", "status:spring", "3", "?"),
    ("hset", "detail:spring", "1", "junk"),
    ("hset", "detail:spring", "1", OF_ANOTHER_VERSION),
    ("hset", "batch:spring:1", "state", "odd"),
    ("hset", "batch:spring:1", "positions", "odd"),
    ("hset", "batch:spring:1", "trace", "junk"),
    ("set", "payload:spring:1", "junk"),
    ("hset", "dead:d1", "said", "junk"),
    ("hset", "dead:d1", "said", OF_ANOTHER_VERSION),
    ("hset", "dead:d1", "at", "junk"),
    ("hset", "dead:d1", "positions", "junk"),
    ("hset", "dead:d1", "messages", "junk"),
    ("set", "deadload:d1", "junk"),
    ("zadd", "dead", {"nowhere": 1}),
    ("sadd", "dead:unpublished", "nowhere"),
    ("hset", "dead:groups", "junk", "junk"),
    ("hset", "suppressed", KEY, "junk"),
    ("hset", "suppressed", KEY, OF_ANOTHER_VERSION),
    ("hset", "suppressed:why", KEY, "junk"),
    ("hset", "suppressed:scoped", KEY, "junk"),
    ("zadd", "suppressed:until", {KEY: 1}),
    ("zadd", "suppressed:ends", {"junk": 1}),
    ("hset", "account:primary", "said", "junk"),
    ("hset", "account:primary", "said", OF_ANOTHER_VERSION),
    ("hset", "account:primary", "since", "junk"),
    ("hset", "account:primary", "state", "odd"),
    ("hset", "account:primary", "until", "junk"),
    ("sadd", "accounts", "nowhere"),
    ("hset", "pace:primary", "factor", "junk"),
    ("hset", "meter:primary", "junk", "junk"),
    ("zadd", "slots:primary", {"junk": 1}),
    ("hset", "held:primary", "junk", "junk"),
    ("zadd", "alerts", {"junk": 1}),
    ("hset", "workers", "w1", "junk"),
    ("hset", "unable:account:primary", "w1", "junk"),
    ("hset", "back:spring", "junk", "junk"),
    ("hset", "back:spring", "b" + KEY, OF_ANOTHER_VERSION),
    ("hset", "backs:spring", "junk", "3"),
    ("hset", "receivers:spring", "junk", "junk"),
    ("hset", "stopped:spring", "example.org", OF_ANOTHER_VERSION),
    ("zadd", "unknown", {"junk": 1}),
    ("zadd", "campaigns", {"nowhere": 1}),
    ("zadd", "timers", {"nowhere:1": 1}),
    ("zadd", "timers", {"junk": 1}),
    ("zadd", "queued:bulk", {"nowhere:1": 1}),
    ("zadd", "parked:campaign:spring", {"nowhere:1": 1}),
    ("sadd", "resumed", "nowhere"),
    ("hset", "minutes:spring:1", "junk", "junk"),
    ("hset", "left", "junk", "junk"),
    ("hset", "erased:spring", "junk", "junk"),
    ("sadd", "unsure:spring", "junk"),
    ("set", "order:spring", "junk"),
    ("hset", "events:consumers", "hook", "junk"),
    ("hset", "events:lost", "hook", "junk"),
    ("hset", "events:trouble", "hook", OF_ANOTHER_VERSION),
    ("xadd", "events:aside:hook", {"n": "junk", "d": "junk", "w": "junk"}),
    ("xadd", "events", {"n": "1", "e": "junk"}),
    ("xadd", "events", {"junk": "junk"}),
    ("xadd", "audit", {"junk": "junk"}),
    ("zadd", "forgotten", {"junk": 1}),
    ("sadd", "forgetting", "nowhere"),
    ("zadd", "turns:bulk", {"nowhere": 1}),
    ("zadd", "turns:bulk:nowhere", {"nowhere:1": 1}),
    ("sadd", "lines", "account:nowhere"),
)

SHARES = 7
"""Worlds that the junk is spread over: what hides other junk lies in another one."""

COMMANDS = (
    "status",
    "status --json",
    "status spring",
    "failures spring",
    "trace r1@example.org",
    "accounts list",
    "accounts list --json",
    "dead list",
    "dead show d1",
    "suppress list",
    "suppress export",
    "events list",
    "feedback unknown",
    "export spring --csv",
    "pause spring",
    "resume spring",
    "dead replay",
    "cancel spring --yes",
    "dead purge --yes",
    "erase r2@example.org --yes",
    "forget spring --yes",
)


@pytest.fixture
def world(client):
    """A campaign of four: accepted, deferred, dead, queued; an account that is stopped."""
    open_campaign(client)
    ref, _ = enqueue(client, [1, 2, 3, 4])
    claimed, ledger, now = claim(client, ref, now=time()), Ledger(client), time()
    settled = [Settlement(0, Status.ACCEPTED), Settlement(1, Status.DEFERRED, detail(2))]
    ledger.commit(claimed, settled, (), now, now + 15)
    said = Said("AUTH", 535, "5.7.8", "no").encode()
    ledger.bury(
        claimed,
        Burial("d1", Status.DEAD, "auth", said, (2,), encode([entry(3)]), [(2, detail(3))]),
        now,
    )
    ledger.give_back(claimed, now)
    Store(client).breaker.stop("primary", "operator", now)
    return client


def duties(place, client):
    """What a worker's sweep does, each duty by itself."""
    settings = load(place / "mailer.toml", {})
    broker = Broker(application(settings.redis))
    store = Store(client)
    letters = DeadLetterDuty(client, broker)
    sweep = Sweeper(settings, client, broker)
    return [
        sweep.release,
        sweep.call,
        sweep.reconcile,
        sweep.wake_resumed,
        sweep.wake_accounts,
        store.waiting.note_sweep,
        Presence(settings, client, "w2").sweep,
        letters.publish_late,
        letters.condemn,
        letters.agree,
        Alerts(settings, client).sweep,
        Probes(settings, client).sweep,
        Retention(settings, client).sweep,
        Suppression(client).expire,
    ]


@pytest.mark.parametrize("share", range(SHARES))
def test_records_that_cannot_be_read_end_nothing(mailer, place, world, share):
    for command, key, *value in JUNK[share::SHARES]:
        getattr(world, command)(f"mailer:{key}", *value)
    failed = []
    for duty in duties(place, world):
        try:
            duty(time())
        except Exception as error:  # noqa: BLE001 - whatever it is
            failed.append(f"{duty.__qualname__}: {error!r}")
    for line in COMMANDS:
        ran = mailer(*line.split())
        if ran.code == 70:
            failed.append(f"{line}: {ran.err}")

    assert failed == []
